//! Owns Describe.

use super::Target;
use super::tag;
use crate::reader::Reader;
use crate::{Message, MessageFault, Sink};
use buf::Full;

/// Asks what a statement or portal will give (manual, "Describe").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Describe<'a> {
    /// Which one.
    pub target: Target<'a>,
}

impl<'a> Message<'a> for Describe<'a> {
    const TAG: u8 = tag::DESCRIBE;
    const NAME: &'static str = "Describe";

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
