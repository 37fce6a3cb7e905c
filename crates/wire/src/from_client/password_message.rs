//! Owns PasswordMessage.

use super::tag;
use crate::reader::Reader;
use crate::sink::SinkExt;
use crate::{Message, MessageFault, Sink, Text};
use buf::Full;

/// A password, in clear text or as MD5 (manual, "PasswordMessage"). The owner of the buffer wipes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordMessage<'a> {
    /// The password; an empty one is to be refused with 28P01.
    pub password: Text<'a>,
}

impl<'a> Message<'a> for PasswordMessage<'a> {
    const TAG: u8 = tag::PASSWORD;
    const NAME: &'static str = "PasswordMessage";

    fn decode(body: &'a [u8]) -> Result<Self, MessageFault> {
        let mut reader = Reader::new(Self::NAME, body);
        let message = Self {
            password: reader.text("password")?,
        };
        reader.end()?;
        Ok(message)
    }

    fn body<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        out.text(self.password)
    }
}
