//! Owns ParameterDescription.

use super::tag;
use crate::reader::Reader;
use crate::{Int32s, Message, MessageFault, Sink};
use buf::Full;

/// The types of the parameters of a statement (manual, "ParameterDescription").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParameterDescription<'a> {
    /// Oids of the types.
    pub types: Int32s<'a>,
}

impl<'a> Message<'a> for ParameterDescription<'a> {
    const TAG: u8 = tag::PARAMETER_DESCRIPTION;
    const NAME: &'static str = "ParameterDescription";

    fn decode(body: &'a [u8]) -> Result<Self, MessageFault> {
        let mut reader = Reader::new(Self::NAME, body);
        let message = Self {
            types: Int32s::read(&mut reader, "parameter types")?,
        };
        reader.end()?;
        Ok(message)
    }

    fn body<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        self.types.write(out)
    }
}
