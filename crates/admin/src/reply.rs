//! Owns the messages of the console, appended to a sink whole or not at all.

use crate::datum::{Datum, Format};
use crate::help;
use crate::outcome::Complaint;
use crate::tables::{Column, Snapshot};
use buf::Full;
use wire::from_server::{
    CommandComplete, DataRow, ReadyForQuery, RowDescription, TransactionStatus,
};
use wire::{Columns, Message, Report, Severity, Sink, Sqlstate, Values};

/// What a statement answers with: rows, or a line of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// A table.
    Table(Snapshot),
    /// A setting that drivers ask for.
    Faked(&'static str, &'static str),
    /// `SHOW HELP`
    Help,
    /// `SET` without effect.
    Ignored,
    /// A command that was carried out; its tag.
    Done(String),
    /// An empty statement.
    Nothing,
}

impl Reply {
    pub(crate) fn columns(&self) -> Vec<Column> {
        match self {
            Self::Table(snapshot) => snapshot.table().columns(),
            Self::Faked(name, _) => vec![faked(name)],
            _ => Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Table(snapshot) => snapshot.len(),
            Self::Faked(..) => 1,
            _ => 0,
        }
    }

    fn row(&self, at: usize) -> Vec<Datum<'_>> {
        match self {
            Self::Table(snapshot) => snapshot.row(at),
            Self::Faked(_, value) => vec![Datum::Text((*value).into())],
            _ => Vec::new(),
        }
    }

    fn tag(&self) -> &str {
        match self {
            Self::Table(_) | Self::Faked(..) | Self::Help => "SHOW",
            Self::Ignored => "SET",
            Self::Done(tag) => tag,
            Self::Nothing => "",
        }
    }

    /// The row with this number.
    pub(crate) fn put_row<S: Sink>(
        &self,
        at: usize,
        formats: &Formats,
        out: &mut S,
    ) -> Result<(), Full> {
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        for (column, datum) in self.row(at).into_iter().enumerate() {
            let start = bytes.len();
            let is_value = datum.write(formats.of(column), &mut bytes);
            ends.push(is_value.then_some((start, bytes.len())));
        }
        let values = ends
            .iter()
            .map(|it| it.map(|(start, end)| &bytes[start..end]));
        let mut scratch = Vec::new();
        let values = Values::pack(values, &mut scratch).unwrap_or_default();
        DataRow { values }.encode(out)
    }

    /// What follows the last row.
    pub(crate) fn put_end<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        match self {
            Self::Nothing => return wire::from_server::EmptyQueryResponse.encode(out),
            Self::Help => {
                let text = help::text();
                let notice = Report::new(Severity::Notice, SUCCESS, help::TITLE);
                notice.detail(&text).encode_notice(out)?;
            }
            Self::Ignored => {
                Report::new(Severity::Notice, SUCCESS, "SET ignored").encode_notice(out)?;
            }
            Self::Table(_) | Self::Faked(..) | Self::Done(_) => {}
        }
        let command = self.tag().into();
        CommandComplete { command }.encode(out)
    }
}

/// A column of a setting that drivers ask for.
pub(crate) fn faked(name: &'static str) -> Column {
    Column {
        name,
        kind: crate::Type::Text,
        meaning: "A setting.",
    }
}

/// successful_completion
const SUCCESS: Sqlstate = Sqlstate::new("00000");

/// How the columns of a result are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Formats {
    /// All alike.
    All(Format),
    /// One by one.
    Each(Vec<Format>),
}

impl Formats {
    fn of(&self, column: usize) -> Format {
        match self {
            Self::All(format) => *format,
            Self::Each(formats) => formats.get(column).copied().unwrap_or(Format::Text),
        }
    }
}

pub(crate) fn put_columns<S: Sink>(
    columns: &[Column],
    formats: &Formats,
    out: &mut S,
) -> Result<(), Full> {
    let described = columns.iter().enumerate().map(|(at, column)| wire::Column {
        type_oid: column.kind.oid(),
        type_len: column.kind.len(),
        format: formats.of(at).code(),
        ..wire::Column::text(column.name.into())
    });
    let mut scratch = Vec::new();
    let columns = Columns::pack(described, &mut scratch).unwrap_or_default();
    RowDescription { columns }.encode(out)
}

pub(crate) fn put_error<S: Sink>(complaint: &Complaint, out: &mut S) -> Result<(), Full> {
    let report = Report::new(Severity::Error, complaint.sqlstate, &complaint.message);
    match &complaint.hint {
        Some(hint) => report.hint(hint).encode_error(out),
        None => report.encode_error(out),
    }
}

pub(crate) fn put_ready<S: Sink>(out: &mut S) -> Result<(), Full> {
    let status = TransactionStatus::Idle;
    ReadyForQuery { status }.encode(out)
}
