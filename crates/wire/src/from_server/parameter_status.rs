//! Owns ParameterStatus.

use super::tag;
use crate::reader::Reader;
use crate::sink::SinkExt;
use crate::{Message, MessageFault, Sink, Text};
use buf::Full;

/// A reported setting and its value; may come at any time (manual, "ParameterStatus").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParameterStatus<'a> {
    /// Name of the setting.
    pub name: Text<'a>,
    /// Its value.
    pub value: Text<'a>,
}

impl<'a> Message<'a> for ParameterStatus<'a> {
    const TAG: u8 = tag::PARAMETER_STATUS;
    const NAME: &'static str = "ParameterStatus";

    fn decode(body: &'a [u8]) -> Result<Self, MessageFault> {
        let mut reader = Reader::new(Self::NAME, body);
        let message = Self {
            name: reader.text("name")?,
            value: reader.text("value")?,
        };
        reader.end()?;
        Ok(message)
    }

    fn body<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        out.text(self.name)?;
        out.text(self.value)
    }
}
