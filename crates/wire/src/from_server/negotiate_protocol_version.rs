//! Owns NegotiateProtocolVersion.

use super::tag;
use crate::reader::Reader;
use crate::sink::SinkExt;
use crate::{Message, MessageFault, ProtocolVersion, Sink, Strings};
use buf::Full;

/// The server knows less than was asked for (manual, "NegotiateProtocolVersion").
///
/// The manual calls the first field the newest minor version; what is sent is the whole version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NegotiateProtocolVersion<'a> {
    /// The version that holds from now on.
    pub version: ProtocolVersion,
    /// Requested protocol options that the server does not know.
    pub options: Strings<'a>,
}

impl<'a> Message<'a> for NegotiateProtocolVersion<'a> {
    const TAG: u8 = tag::NEGOTIATE_PROTOCOL_VERSION;
    const NAME: &'static str = "NegotiateProtocolVersion";

    fn decode(body: &'a [u8]) -> Result<Self, MessageFault> {
        let mut reader = Reader::new(Self::NAME, body);
        let version = ProtocolVersion::from_code(reader.u32("version")?);
        let count = reader.u32("option count")?;
        let options = Strings::read(&mut reader, count, "option")?;
        reader.end()?;
        Ok(Self { version, options })
    }

    fn body<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        out.u32(self.version.code())?;
        out.u32(self.options.len() as u32)?;
        out.put(self.options.raw())
    }
}
