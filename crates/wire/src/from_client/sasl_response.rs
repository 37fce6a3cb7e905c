//! Owns SASLResponse.

use super::tag;
use crate::{Message, MessageFault, Payload, Sink};
use buf::Full;

/// A later message of a SASL exchange (manual, "SASLResponse").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaslResponse<'a> {
    /// What the mechanism says.
    pub data: Payload<'a>,
}

impl<'a> Message<'a> for SaslResponse<'a> {
    const TAG: u8 = tag::PASSWORD;
    const NAME: &'static str = "SASLResponse";

    fn decode(body: &'a [u8]) -> Result<Self, MessageFault> {
        Ok(Self {
            data: Payload(body),
        })
    }

    fn body<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        out.put(&self.data)
    }
}
