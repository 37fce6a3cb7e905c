//! Owns DataRow.

use super::tag;
use crate::reader::Reader;
use crate::{Message, MessageFault, Sink, Values};
use buf::Full;

/// A row (manual, "DataRow"). The relay never decodes one: see [`crate::run`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataRow<'a> {
    /// The values of its columns.
    pub values: Values<'a>,
}

impl<'a> Message<'a> for DataRow<'a> {
    const TAG: u8 = tag::DATA_ROW;
    const NAME: &'static str = "DataRow";

    fn decode(body: &'a [u8]) -> Result<Self, MessageFault> {
        let mut reader = Reader::new(Self::NAME, body);
        let message = Self {
            values: Values::read(&mut reader, "values")?,
        };
        reader.end()?;
        Ok(message)
    }

    fn body<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        self.values.write(out)
    }
}
