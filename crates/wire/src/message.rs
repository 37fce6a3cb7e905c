//! Owns what all messages have in common: a tag, a name, and two operations.

use crate::MessageFault;
use crate::frame::HEADER;
use crate::sink::{Measure, Sink};
use buf::Full;

/// A tagged message of one direction.
///
/// `decode` reads the body of a frame (what stands behind the length field) and borrows from it;
/// `encode` appends the whole frame. Each undoes the other.
pub trait Message<'a>: Sized {
    /// The frame's first byte.
    const TAG: u8;

    /// PostgreSQL's name of the message.
    const NAME: &'static str;

    /// Reads a whole body; every byte must be accounted for.
    fn decode(body: &'a [u8]) -> Result<Self, MessageFault>;

    /// Appends the body alone.
    fn body<S: Sink>(&self, out: &mut S) -> Result<(), Full>;

    /// Appends tag, length and body, or nothing at all: half a frame would destroy the connection.
    fn encode<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        let mut measure = Measure::default();
        self.body(&mut measure)?;
        begin(Self::TAG, measure.0, out)?;
        self.body(out)
    }
}

/// Appends the header of a frame, after checking that its body will fit as well.
pub(crate) fn begin<S: Sink>(tag: u8, body: usize, out: &mut S) -> Result<(), Full> {
    let total = body.saturating_add(HEADER);
    // Both peers read the length as a signed integer.
    let room = out.room().min(i32::MAX as usize);
    if total > room {
        return Err(Full {
            offered: total,
            room,
        });
    }
    let len = (body + 4) as u32;
    let mut header = [tag, 0, 0, 0, 0];
    header[1..].copy_from_slice(&len.to_be_bytes());
    out.put(&header)
}

/// A message whose body is empty.
macro_rules! bodiless {
    ($(#[$doc:meta])* $name:ident, $tag:expr, $text:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name;

        impl $crate::Message<'_> for $name {
            const TAG: u8 = $tag;
            const NAME: &'static str = $text;

            fn decode(body: &[u8]) -> Result<Self, $crate::MessageFault> {
                $crate::reader::Reader::new($text, body).end()?;
                Ok(Self)
            }

            fn body<S: $crate::Sink>(&self, _: &mut S) -> Result<(), buf::Full> {
                Ok(())
            }
        }
    };
}
pub(crate) use bodiless;
