//! Owns RowDescription.

use super::tag;
use crate::reader::Reader;
use crate::{Columns, Message, MessageFault, Sink};
use buf::Full;

/// The columns of the rows to come (manual, "RowDescription").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowDescription<'a> {
    /// The columns.
    pub columns: Columns<'a>,
}

impl<'a> Message<'a> for RowDescription<'a> {
    const TAG: u8 = tag::ROW_DESCRIPTION;
    const NAME: &'static str = "RowDescription";

    fn decode(body: &'a [u8]) -> Result<Self, MessageFault> {
        let mut reader = Reader::new(Self::NAME, body);
        let message = Self {
            columns: Columns::read(&mut reader)?,
        };
        reader.end()?;
        Ok(message)
    }

    fn body<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        self.columns.write_all(out)
    }
}
