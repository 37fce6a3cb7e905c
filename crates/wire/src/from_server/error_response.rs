//! Owns ErrorResponse.

use super::tag;
use crate::reader::Reader;
use crate::{Fields, Message, MessageFault, Sink};
use buf::Full;

/// An error (manual, "ErrorResponse"). To write one, see [`crate::Report`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorResponse<'a> {
    /// What it says; every field may be missing.
    pub fields: Fields<'a>,
}

impl<'a> Message<'a> for ErrorResponse<'a> {
    const TAG: u8 = tag::ERROR_RESPONSE;
    const NAME: &'static str = "ErrorResponse";

    fn decode(body: &'a [u8]) -> Result<Self, MessageFault> {
        let mut reader = Reader::new(Self::NAME, body);
        let message = Self {
            fields: Fields::read(&mut reader)?,
        };
        reader.end()?;
        Ok(message)
    }

    fn body<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        self.fields.write(out)
    }
}
