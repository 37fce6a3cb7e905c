//! Owns one question of Portcullis's own to a server: a statement with text parameters through the
//! extended protocol, and its rows.
//!
//! Used for `auth_query` and for what the program asks on its own behalf. Parameters are bound,
//! never pasted into the text. Takes and gives plaintext; rows are bounded in number and size.

use crate::fault::{Fault, FaultKind, ServerWords, Side};
use buf::{Full, Plain, Secret};
use wire::frame::whole;
use wire::from_server::{self, DataRow, ErrorResponse, RowDescription};
use wire::{Int16s, Int32s, Message, Text, Values, from_client};

/// Rows that an answer may have.
const ROWS_MAX: usize = 1000;

/// One row: each column's bytes in text format, `None` for NULL.
pub type Row = Vec<Option<Secret>>;

/// A question under way.
#[derive(Debug, Default)]
pub struct Lookup {
    columns: Option<usize>,
    rows: Vec<Row>,
    refused: Option<Fault>,
}

impl Lookup {
    /// Appends the question and begins to await its answer.
    pub fn ask(sql: &str, parameters: &[&str], output: &mut Plain) -> Result<Lookup, Full> {
        let unnamed = Text::from("");
        let (mut none, mut formats, mut packed) = (Vec::new(), Vec::new(), Vec::new());
        let too_many = || Full {
            offered: parameters.len(),
            room: usize::from(u16::MAX),
        };
        from_client::Parse {
            statement: unnamed,
            sql: sql.into(),
            types: Int32s::pack(&[], &mut none).ok_or_else(too_many)?,
        }
        .encode(output)?;
        let (mut no_formats, values) = (
            Vec::new(),
            parameters.iter().map(|text| Some(text.as_bytes())),
        );
        from_client::Bind {
            portal: unnamed,
            statement: unnamed,
            formats: Int16s::pack(&[], &mut no_formats).ok_or_else(too_many)?,
            values: Values::pack(values, &mut packed).ok_or_else(too_many)?,
            result_formats: Int16s::pack(&[], &mut formats).ok_or_else(too_many)?,
        }
        .encode(output)?;
        from_client::Describe {
            target: from_client::Target::Portal(unnamed),
        }
        .encode(output)?;
        from_client::Execute {
            portal: unnamed,
            rows_max: 0,
        }
        .encode(output)?;
        from_client::Sync.encode(output)?;
        Ok(Lookup::default())
    }

    /// How many columns the server said the rows have, also where there is no row; 0 for a statement
    /// that gives none. `None` before it said so.
    pub fn columns(&self) -> Option<usize> {
        self.columns
    }

    /// Takes the answer off `input`; `None` asks for more.
    pub fn step(&mut self, input: &mut Plain) -> Result<Option<Vec<Row>>, Fault> {
        loop {
            let limit = |tag| from_server::limit(tag).unwrap_or(0).min(from_server::SHORT);
            let frame = whole(input.bytes(), limit).map_err(|fault| {
                let (tag, len) = (fault.tag, fault.len);
                Fault::new(Side::Server, FaultKind::BadLength { tag, len })
            })?;
            let Some(frame) = frame else {
                return Ok(None);
            };
            let malformed = |what| {
                let tag = frame.tag;
                Fault::new(Side::Server, FaultKind::Malformed { tag, what })
            };
            let mut over = false;
            match frame.tag {
                b'T' => {
                    let row = RowDescription::decode(frame.body);
                    self.columns = Some(row.map_err(|_| malformed("columns"))?.columns.len());
                }
                b'n' => self.columns = Some(0),
                b'D' => {
                    let row = DataRow::decode(frame.body).map_err(|_| malformed("columns"))?;
                    if self.rows.len() >= ROWS_MAX {
                        return Err(malformed("more rows than asked for"));
                    }
                    self.rows
                        .push(row.values.iter().map(|v| v.map(Secret::new)).collect());
                }
                b'E' => self.refused = Some(refused(frame.body)),
                b'Z' => over = true,
                b'1' | b'2' | b'C' | b'N' | b'S' | b'A' => {}
                tag => {
                    let phase = "the answer to a question of Portcullis's own";
                    return Err(Fault::new(
                        Side::Server,
                        FaultKind::OutOfPhase { tag, phase },
                    ));
                }
            }
            let total = frame.total;
            input.consume(total);
            if over {
                return match self.refused.take() {
                    Some(fault) => Err(fault),
                    None => Ok(Some(std::mem::take(&mut self.rows))),
                };
            }
        }
    }
}

fn refused(body: &[u8]) -> Fault {
    let sqlstate = ErrorResponse::decode(body)
        .ok()
        .and_then(|error| error.fields.sqlstate())
        .map_or_else(
            || "(none)".to_owned(),
            |text| String::from_utf8_lossy(&text).into_owned(),
        );
    Fault::new(
        Side::Server,
        FaultKind::ServerRefused {
            sqlstate,
            response: ServerWords(Vec::new()),
        },
    )
}
