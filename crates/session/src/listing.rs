//! Owns what a simple query gives to a client of our own that shows it to people: names of columns,
//! values as text, the words of an error. Pure: takes plaintext, and is bounded in rows and bytes.

use crate::fault::{Fault, FaultKind, Side};
use buf::{Full, Plain};
use wire::frame::whole;
use wire::from_client::Query;
use wire::from_server::{self, CommandComplete, DataRow, ErrorResponse, RowDescription};
use wire::{Fields, Message, Text};

/// Rows that are kept unless it is said otherwise; further ones are only counted.
pub const ROWS_MAX: usize = 20_000;

/// Bytes of values that are kept; a row beyond is only counted.
pub const BYTES_MAX: usize = 32 << 20;

/// A table as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Names of its columns.
    pub columns: Vec<String>,
    /// A value for each column; `None` for NULL.
    pub rows: Vec<Vec<Option<String>>>,
    /// Rows that were left out for want of room.
    pub left_out: usize,
    /// What was done.
    pub tag: String,
}

/// An error in the server's words. They are not ours: whoever shows them has to make them harmless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// SQLSTATE.
    pub sqlstate: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// A query under way.
#[derive(Debug)]
pub struct Reading {
    listing: Listing,
    rows_max: usize,
    bytes: usize,
    refused: Option<Words>,
}

impl Default for Reading {
    fn default() -> Reading {
        Reading {
            listing: Listing::default(),
            rows_max: ROWS_MAX,
            bytes: 0,
            refused: None,
        }
    }
}

impl Reading {
    /// Appends the query and begins to await its answer.
    pub fn ask(sql: &str, output: &mut Plain) -> Result<Reading, Full> {
        Query { sql: sql.into() }.encode(output)?;
        Ok(Reading::default())
    }

    /// Keeps so many rows.
    pub fn rows_max(self, rows_max: usize) -> Reading {
        Reading { rows_max, ..self }
    }

    /// Takes the answer off `input`; `None` asks for more.
    pub fn step(&mut self, input: &mut Plain) -> Result<Option<Result<Listing, Words>>, Fault> {
        loop {
            let limit = |tag| from_server::limit(tag).unwrap_or(0).min(from_server::SHORT);
            let frame = whole(input.bytes(), limit).map_err(|fault| {
                let (tag, len) = (fault.tag, fault.len);
                Fault::new(Side::Server, FaultKind::BadLength { tag, len })
            })?;
            let Some(frame) = frame else {
                return Ok(None);
            };
            let (tag, total) = (frame.tag, frame.total);
            let malformed = |what| Fault::new(Side::Server, FaultKind::Malformed { tag, what });
            match tag {
                b'T' => {
                    let row =
                        RowDescription::decode(frame.body).map_err(|_| malformed("columns"))?;
                    self.listing.columns = row.columns.iter().map(|it| text(it.name)).collect();
                }
                b'D' => {
                    let row = DataRow::decode(frame.body).map_err(|_| malformed("columns"))?;
                    if row.values.iter().count() != self.listing.columns.len() {
                        return Err(malformed("columns"));
                    }
                    self.take(&row, frame.body.len());
                }
                b'C' => {
                    let done = CommandComplete::decode(frame.body).map_err(|_| malformed("tag"))?;
                    self.listing.tag = text(done.command);
                }
                b'E' => {
                    let error =
                        ErrorResponse::decode(frame.body).map_err(|_| malformed("error"))?;
                    self.refused = Some(words(&error.fields));
                }
                b'I' | b'N' | b'S' | b'A' | b'Z' => {}
                tag => {
                    let phase = "the answer to a question of Portcullis's own";
                    let kind = FaultKind::OutOfPhase { tag, phase };
                    return Err(Fault::new(Side::Server, kind));
                }
            }
            input.consume(total);
            if tag == b'Z' {
                let listing = std::mem::take(&mut self.listing);
                return Ok(Some(self.refused.take().map_or(Ok(listing), Err)));
            }
        }
    }

    fn take(&mut self, row: &DataRow<'_>, len: usize) {
        self.bytes = self.bytes.saturating_add(len);
        if self.listing.rows.len() >= self.rows_max || self.bytes > BYTES_MAX {
            self.listing.left_out += 1;
            return;
        }
        let value = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let values = row.values.iter().map(|it| it.map(value));
        self.listing.rows.push(values.collect());
    }
}

fn text(text: Text<'_>) -> String {
    String::from_utf8_lossy(&text).into_owned()
}

fn words(fields: &Fields<'_>) -> Words {
    Words {
        sqlstate: fields.sqlstate().map(text).unwrap_or_default(),
        message: fields.message().map(text).unwrap_or_default(),
        hint: fields.field(b'H').map(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::from_server::{ReadyForQuery, TransactionStatus};
    use wire::{Columns, Report, Severity, Sqlstate, Values};

    fn put_table(rows: &[[Option<&str>; 2]], into: &mut Plain) {
        let (mut names, columns) = (
            Vec::new(),
            ["a", "b"].map(|it| wire::Column::text(it.into())),
        );
        let columns = Columns::pack(columns, &mut names).expect("columns");
        RowDescription { columns }.encode(into).expect("room");
        for row in rows {
            let mut packed = Vec::new();
            let values = row.iter().map(|it| it.map(str::as_bytes));
            let values = Values::pack(values, &mut packed).expect("values");
            DataRow { values }.encode(into).expect("room");
        }
        let command = "SHOW".into();
        CommandComplete { command }.encode(into).expect("room");
    }

    fn ready(into: &mut Plain) {
        let status = TransactionStatus::Idle;
        ReadyForQuery { status }.encode(into).expect("room");
    }

    #[test]
    fn a_table_in_any_pieces_is_the_same() {
        let mut whole = Plain::with_capacity(4096);
        put_table(
            &[[Some("1"), None], [Some(""), Some("\u{1b}[2J")]],
            &mut whole,
        );
        ready(&mut whole);
        for at in 0..whole.bytes().len() {
            let mut reading = Reading::default();
            let mut input = Plain::with_capacity(4096);
            input.push(&whole.bytes()[..at]).expect("room");
            assert_eq!(reading.step(&mut input), Ok(None), "{at}");
            input.push(&whole.bytes()[at..]).expect("room");
            let listing = reading.step(&mut input).expect("a table").expect("its end");
            let listing = listing.expect("no error");
            assert_eq!(listing.columns, ["a", "b"]);
            assert_eq!(listing.rows[0], [Some("1".to_owned()), None]);
            assert_eq!(listing.rows[1][1].as_deref(), Some("\u{1b}[2J"));
            assert_eq!((listing.left_out, listing.tag.as_str()), (0, "SHOW"));
        }
    }

    #[test]
    fn rows_without_room_are_counted() {
        let mut reading = Reading::default();
        let mut input = Plain::with_capacity(1 << 16);
        put_table(&[], &mut input);
        assert_eq!(reading.step(&mut input), Ok(None));
        for _ in 0..ROWS_MAX / 1000 + 1 {
            let mut packed = Vec::new();
            let values = Values::pack([Some(&b"x"[..]), None], &mut packed).expect("values");
            for _ in 0..1000 {
                DataRow { values }.encode(&mut input).expect("room");
            }
            assert_eq!(reading.step(&mut input), Ok(None));
        }
        ready(&mut input);
        let listing = reading.step(&mut input).expect("a table").expect("its end");
        let listing = listing.expect("no error");
        assert_eq!((listing.rows.len(), listing.left_out), (ROWS_MAX, 1000));
    }

    #[test]
    fn an_error_is_told_and_the_next_question_can_be_asked() {
        let mut input = Plain::with_capacity(4096);
        Report::new(
            Severity::Error,
            Sqlstate::new("42501"),
            "admin access needed",
        )
        .encode_error(&mut input)
        .expect("room");
        ready(&mut input);
        let refused = Reading::default().step(&mut input);
        let words = Words {
            sqlstate: "42501".to_owned(),
            message: "admin access needed".to_owned(),
            hint: None,
        };
        assert_eq!(refused, Ok(Some(Err(words))));
    }

    #[test]
    fn rows_that_fit_no_columns_are_a_fault() {
        let mut input = Plain::with_capacity(4096);
        let mut packed = Vec::new();
        let values = Values::pack([None], &mut packed).expect("values");
        DataRow { values }.encode(&mut input).expect("room");
        assert!(Reading::default().step(&mut input).is_err());
    }
}
