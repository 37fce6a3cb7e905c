//! Owns Close.

use super::Target;
use super::tag;
use crate::reader::Reader;
use crate::{Message, MessageFault, Sink};
use buf::Full;

/// Forgets a statement or portal; succeeds even if there is none (manual, "Close").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Close<'a> {
    /// Which one.
    pub target: Target<'a>,
}

impl<'a> Message<'a> for Close<'a> {
    const TAG: u8 = tag::CLOSE;
    const NAME: &'static str = "Close";

    fn decode(body: &'a [u8]) -> Result<Self, MessageFault> {
        let mut reader = Reader::new(Self::NAME, body);
        let message = Self {
            target: Target::read(&mut reader)?,
        };
        reader.end()?;
        Ok(message)
    }

    fn body<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        self.target.write(out)
    }
}
