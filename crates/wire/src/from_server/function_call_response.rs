//! Owns FunctionCallResponse.

use super::tag;
use crate::reader::Reader;
use crate::sink::SinkExt;
use crate::{Message, MessageFault, Payload, Sink};
use buf::Full;

/// What a function gave (manual, "FunctionCallResponse").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionCallResponse<'a> {
    /// The result; nothing is NULL.
    pub result: Option<Payload<'a>>,
}

impl<'a> Message<'a> for FunctionCallResponse<'a> {
    const TAG: u8 = tag::FUNCTION_CALL_RESPONSE;
    const NAME: &'static str = "FunctionCallResponse";

    fn decode(body: &'a [u8]) -> Result<Self, MessageFault> {
        let mut reader = Reader::new(Self::NAME, body);
        let message = Self {
            result: reader.value("result")?.map(Payload),
        };
        reader.end()?;
        Ok(message)
    }

    fn body<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        out.value(self.result.map(|data| data.0))
    }
}
