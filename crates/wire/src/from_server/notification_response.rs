//! Owns NotificationResponse.

use super::tag;
use crate::reader::Reader;
use crate::sink::SinkExt;
use crate::{Message, MessageFault, Sink, Text};
use buf::Full;

/// Somebody sent NOTIFY (manual, "NotificationResponse").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotificationResponse<'a> {
    /// Process id of the sender.
    pub pid: u32,
    /// Name of the channel.
    pub channel: Text<'a>,
    /// What was said.
    pub payload: Text<'a>,
}

impl<'a> Message<'a> for NotificationResponse<'a> {
    const TAG: u8 = tag::NOTIFICATION_RESPONSE;
    const NAME: &'static str = "NotificationResponse";

    fn decode(body: &'a [u8]) -> Result<Self, MessageFault> {
        let mut reader = Reader::new(Self::NAME, body);
        let message = Self {
            pid: reader.u32("process id")?,
            channel: reader.text("channel")?,
            payload: reader.text("payload")?,
        };
        reader.end()?;
        Ok(message)
    }

    fn body<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        out.u32(self.pid)?;
        out.text(self.channel)?;
        out.text(self.payload)
    }
}
