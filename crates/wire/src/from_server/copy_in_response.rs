//! Owns CopyInResponse.

use super::tag;
use crate::reader::Reader;
use crate::sink::SinkExt;
use crate::{Int16s, Message, MessageFault, Sink};
use buf::Full;

/// The server waits for COPY data (manual, "CopyInResponse").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyInResponse<'a> {
    /// Format of the whole: 0 is text, 1 is binary.
    pub format: u8,
    /// Format codes of the columns.
    pub columns: Int16s<'a>,
}

impl<'a> Message<'a> for CopyInResponse<'a> {
    const TAG: u8 = tag::COPY_IN_RESPONSE;
    const NAME: &'static str = "CopyInResponse";

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
