//! Owns Execute.

use super::tag;
use crate::reader::Reader;
use crate::sink::SinkExt;
use crate::{Message, MessageFault, Sink, Text};
use buf::Full;

/// Runs a portal (manual, "Execute").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Execute<'a> {
    /// The portal; empty for the unnamed one.
    pub portal: Text<'a>,
    /// Rows after which it is suspended; 0 and below: never.
    pub rows_max: i32,
}

impl<'a> Message<'a> for Execute<'a> {
    const TAG: u8 = tag::EXECUTE;
    const NAME: &'static str = "Execute";

    fn decode(body: &'a [u8]) -> Result<Self, MessageFault> {
        let mut reader = Reader::new(Self::NAME, body);
        let message = Self {
            portal: reader.text("portal name")?,
            rows_max: reader.i32("row limit")?,
        };
        reader.end()?;
        Ok(message)
    }

    fn body<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        out.text(self.portal)?;
        out.i32(self.rows_max)
    }
}
