//! Owns Parse.

use super::tag;
use crate::reader::Reader;
use crate::sink::SinkExt;
use crate::{Int32s, Message, MessageFault, Sink, Text};
use buf::Full;

/// Prepares a statement (manual, "Parse").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parse<'a> {
    /// Its name; empty for the unnamed one.
    pub statement: Text<'a>,
    /// One statement.
    pub sql: Text<'a>,
    /// Types of the first parameters; 0 leaves one open.
    pub types: Int32s<'a>,
}

impl<'a> Message<'a> for Parse<'a> {
    const TAG: u8 = tag::PARSE;
    const NAME: &'static str = "Parse";

    fn decode(body: &'a [u8]) -> Result<Self, MessageFault> {
        let mut reader = Reader::new(Self::NAME, body);
        let message = Self {
            statement: reader.text("statement name")?,
            sql: reader.text("sql")?,
            types: Int32s::read(&mut reader, "parameter types")?,
        };
        reader.end()?;
        Ok(message)
    }

    fn body<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        out.text(self.statement)?;
        out.text(self.sql)?;
        self.types.write(out)
    }
}

/// The name at the front of a Parse whose body is not here in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseFront<'a> {
    /// The statement's name.
    pub statement: Text<'a>,
    /// Bytes of the body that it takes, NUL included.
    pub len: usize,
}

impl<'a> ParseFront<'a> {
    /// Reads the front of a body; nothing if the name has not come in full.
    pub fn decode(front: &'a [u8]) -> Option<Self> {
        let statement = Text::cut(front);
        (statement.len() < front.len()).then_some(Self {
            statement,
            len: statement.len() + 1,
        })
    }
}
