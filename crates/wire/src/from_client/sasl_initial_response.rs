//! Owns SASLInitialResponse.

use super::tag;
use crate::reader::Reader;
use crate::sink::SinkExt;
use crate::{Message, MessageFault, Payload, Sink, Text};
use buf::Full;

/// The choice of a SASL mechanism and its first message (manual, "SASLInitialResponse").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaslInitialResponse<'a> {
    /// Name of the mechanism.
    pub mechanism: Text<'a>,
    /// What the mechanism says first, if anything.
    pub response: Option<Payload<'a>>,
}

impl<'a> Message<'a> for SaslInitialResponse<'a> {
    const TAG: u8 = tag::PASSWORD;
    const NAME: &'static str = "SASLInitialResponse";

    fn decode(body: &'a [u8]) -> Result<Self, MessageFault> {
        let mut reader = Reader::new(Self::NAME, body);
        let message = Self {
            mechanism: reader.text("mechanism")?,
            response: reader.value("initial response")?.map(Payload),
        };
        reader.end()?;
        Ok(message)
    }

    fn body<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        out.text(self.mechanism)?;
        out.value(self.response.map(|data| data.0))
    }
}
