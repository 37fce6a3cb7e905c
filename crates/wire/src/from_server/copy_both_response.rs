//! Owns CopyBothResponse.

use super::tag;
use crate::reader::Reader;
use crate::sink::SinkExt;
use crate::{Int16s, Message, MessageFault, Sink};
use buf::Full;

/// COPY data will flow both ways, for replication (manual, "CopyBothResponse").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyBothResponse<'a> {
    /// Format of the whole: 0 is text, 1 is binary.
    pub format: u8,
    /// Format codes of the columns.
    pub columns: Int16s<'a>,
}

impl<'a> Message<'a> for CopyBothResponse<'a> {
    const TAG: u8 = tag::COPY_BOTH_RESPONSE;
    const NAME: &'static str = "CopyBothResponse";

    fn decode(body: &'a [u8]) -> Result<Self, MessageFault> {
        let mut reader = Reader::new(Self::NAME, body);
        let message = Self {
            format: reader.byte("overall format")?,
            columns: Int16s::read(&mut reader, "column formats")?,
        };
        reader.end()?;
        Ok(message)
    }

    fn body<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        out.byte(self.format)?;
        self.columns.write(out)
    }
}
