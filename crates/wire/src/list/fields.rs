//! Owns the fields of ErrorResponse and NoticeResponse (manual, "Error and Notice Message Fields").
//! A server may leave out any of them, repeat them or invent new ones.

use crate::reader::Reader;
use crate::sink::{Sink, SinkExt};
use crate::{MessageFault, Text};
use buf::Full;
use std::fmt;

/// Fields in the order they were sent, each a code and a text.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The wire form of `items`, appended to `scratch`; nothing if a code is 0, which would end the
    /// list.
    pub fn pack<'i>(
        items: impl IntoIterator<Item = (u8, Text<'i>)>,
        scratch: &'a mut Vec<u8>,
    ) -> Option<Self> {
        let start = scratch.len();
        for (code, text) in items {
            if code == 0 {
                return None;
            }
            scratch.push(code);
            scratch.extend_from_slice(&text);
            scratch.push(0);
        }
        Some(Self(&scratch[start..]))
    }

    /// Codes and texts in order.
    pub fn iter(&self) -> impl Iterator<Item = (u8, Text<'a>)> + use<'a> {
        let mut reader = Reader::new("", self.0);
        std::iter::from_fn(move || Some((reader.byte("").ok()?, reader.text("").ok()?)))
    }

    /// The first field with this code.
    pub fn field(&self, code: u8) -> Option<Text<'a>> {
        self.iter()
            .find(|(found, _)| *found == code)
            .map(|(_, text)| text)
    }

    /// `V`: the severity in English. `S`, which is translated, decides nothing.
    pub fn severity(&self) -> Option<Text<'a>> {
        self.field(b'V')
    }

    /// `C`: the SQLSTATE.
    pub fn sqlstate(&self) -> Option<Text<'a>> {
        self.field(b'C')
    }

    /// `M`: the message; may quote values of the session.
    pub fn message(&self) -> Option<Text<'a>> {
        self.field(b'M')
    }

    /// True if the sender closes the connection after this error. Servers older than 9.6 send no
    /// `V`; their `S` is looked at instead.
    pub fn is_fatal(&self) -> bool {
        self.severity()
            .or_else(|| self.field(b'S'))
            .is_some_and(|severity| severity == "FATAL" || severity == "PANIC")
    }

    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, MessageFault> {
        let start = *reader;
        loop {
            let end = *reader;
            if reader.byte("field code")? == 0 {
                return Ok(Self(start.until(end)));
            }
            reader.text("field")?;
        }
    }

    pub(crate) fn write<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        out.put(self.0)?;
        out.byte(0)
    }
}

/// Shows codes and lengths: messages and details quote rows and queries.
impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|(code, text)| (char::from(code), text)))
            .finish()
    }
}
