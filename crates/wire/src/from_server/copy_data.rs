//! Owns CopyData.

use super::tag;
use crate::{Message, MessageFault, Payload, Sink};
use buf::Full;

/// A piece of COPY data: one row, or anything in replication (manual, "CopyData").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyData<'a> {
    /// The piece.
    pub data: Payload<'a>,
}

impl<'a> Message<'a> for CopyData<'a> {
    const TAG: u8 = tag::COPY_DATA;
    const NAME: &'static str = "CopyData";

    fn decode(body: &'a [u8]) -> Result<Self, MessageFault> {
        Ok(Self {
            data: Payload(body),
        })
    }

    fn body<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        out.put(&self.data)
    }
}
