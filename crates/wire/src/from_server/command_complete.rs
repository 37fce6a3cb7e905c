//! Owns CommandComplete.

use super::tag;
use crate::reader::Reader;
use crate::sink::SinkExt;
use crate::{Message, MessageFault, Sink, Text};
use buf::Full;

/// A statement is done (manual, "CommandComplete").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandComplete<'a> {
    /// What it was, and how many rows it touched.
    pub command: Text<'a>,
}

impl<'a> Message<'a> for CommandComplete<'a> {
    const TAG: u8 = tag::COMMAND_COMPLETE;
    const NAME: &'static str = "CommandComplete";

    fn decode(body: &'a [u8]) -> Result<Self, MessageFault> {
        let mut reader = Reader::new(Self::NAME, body);
        let message = Self {
            command: reader.text("command tag")?,
        };
        reader.end()?;
        Ok(message)
    }

    fn body<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        out.text(self.command)
    }
}
