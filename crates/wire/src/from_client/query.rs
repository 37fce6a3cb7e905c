//! Owns Query.

use super::tag;
use crate::reader::Reader;
use crate::sink::SinkExt;
use crate::{Message, MessageFault, Sink, Text};
use buf::Full;

/// SQL to run by the simple protocol (manual, "Query").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<'a> {
    /// One or more statements.
    pub sql: Text<'a>,
}

impl<'a> Message<'a> for Query<'a> {
    const TAG: u8 = tag::QUERY;
    const NAME: &'static str = "Query";

    fn decode(body: &'a [u8]) -> Result<Self, MessageFault> {
        let mut reader = Reader::new(Self::NAME, body);
        let message = Self {
            sql: reader.text("sql")?,
        };
        reader.end()?;
        Ok(message)
    }

    fn body<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        out.text(self.sql)
    }
}
