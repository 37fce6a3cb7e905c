//! Owns CopyFail.

use super::tag;
use crate::reader::Reader;
use crate::sink::SinkExt;
use crate::{Message, MessageFault, Sink, Text};
use buf::Full;

/// Ends COPY data with failure (manual, "CopyFail").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyFail<'a> {
    /// Why; the server quotes it in its error.
    pub reason: Text<'a>,
}

impl<'a> Message<'a> for CopyFail<'a> {
    const TAG: u8 = tag::COPY_FAIL;
    const NAME: &'static str = "CopyFail";

    fn decode(body: &'a [u8]) -> Result<Self, MessageFault> {
        let mut reader = Reader::new(Self::NAME, body);
        let message = Self {
            reason: reader.text("reason")?,
        };
        reader.end()?;
        Ok(message)
    }

    fn body<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        out.text(self.reason)
    }
}
