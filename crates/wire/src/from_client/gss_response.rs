//! Owns GSSResponse.

use super::tag;
use crate::{Message, MessageFault, Payload, Sink};
use buf::Full;

/// A token of a GSSAPI or SSPI exchange (manual, "GSSResponse").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GssResponse<'a> {
    /// The token.
    pub data: Payload<'a>,
}

impl<'a> Message<'a> for GssResponse<'a> {
    const TAG: u8 = tag::PASSWORD;
    const NAME: &'static str = "GSSResponse";

    fn decode(body: &'a [u8]) -> Result<Self, MessageFault> {
        Ok(Self {
            data: Payload(body),
        })
    }

    fn body<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        out.put(&self.data)
    }
}
