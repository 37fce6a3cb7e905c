//! Owns what Describe and Close point at: a prepared statement or a portal, by name.

use crate::reader::Reader;
use crate::sink::{Sink, SinkExt};
use crate::{MessageFault, Text};
use buf::Full;

/// A prepared statement or a portal. The empty name is the unnamed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// `S`
    Statement(Text<'a>),
    /// `P`
    Portal(Text<'a>),
}

impl<'a> Target<'a> {
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, MessageFault> {
        match reader.byte("kind")? {
            b'S' => reader.text("statement name").map(Self::Statement),
            b'P' => reader.text("portal name").map(Self::Portal),
            other => Err(reader.bad("kind", i64::from(other))),
        }
    }

    pub(crate) fn write<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        let (kind, name) = match self {
            Self::Statement(name) => (b'S', name),
            Self::Portal(name) => (b'P', name),
        };
        out.byte(kind)?;
        out.text(*name)
    }
}
