//! Owns counted lists of values, each NULL or so many bytes: parameters of Bind, arguments of
//! FunctionCall, columns of DataRow.

use crate::MessageFault;
use crate::reader::Reader;
use crate::sink::{Sink, SinkExt};
use buf::Full;
use std::fmt;

/// Values behind an Int16 count, each with an Int32 length where -1 is NULL.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Values<'a> {
    count: u16,
    raw: &'a [u8],
}

impl<'a> Values<'a> {
    /// The wire form of `items`, appended to `scratch`; nothing if there are more than 65535 or one
    /// is longer than 2 GiB.
    pub fn pack<'i>(
        items: impl IntoIterator<Item = Option<&'i [u8]>>,
        scratch: &'a mut Vec<u8>,
    ) -> Option<Self> {
        let start = scratch.len();
        let mut count = 0u16;
        for item in items {
            count = count.checked_add(1)?;
            scratch.value(item).ok()?;
        }
        Some(Self {
            count,
            raw: &scratch[start..],
        })
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The values in order; `None` is NULL.
    pub fn iter(&self) -> impl Iterator<Item = Option<&'a [u8]>> + use<'a> {
        let mut reader = Reader::new("", self.raw);
        (0..self.count).map_while(move |_| reader.value("").ok())
    }

    pub(crate) fn read(reader: &mut Reader<'a>, field: &'static str) -> Result<Self, MessageFault> {
        let count = reader.u16(field)?;
        let start = *reader;
        for _ in 0..count {
            reader.value(field)?;
        }
        Ok(Self {
            count,
            raw: start.until(*reader),
        })
    }

    pub(crate) fn write<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        out.u16(self.count)?;
        out.put(self.raw)
    }
}

impl fmt::Debug for Values<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Values({} in {} bytes)", self.count, self.raw.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_not_empty() {
        let mut scratch = Vec::new();
        let items = [Some(&b"a"[..]), None, Some(b"")];
        let values = Values::pack(items, &mut scratch).unwrap();
        assert_eq!(values.iter().collect::<Vec<_>>(), items);
        assert_eq!(format!("{values:?}"), "Values(3 in 13 bytes)");
    }

    #[test]
    fn lengths_are_checked_when_read() {
        for (bytes, fits) in [
            (&b"\0\x01\xff\xff\xff\xff"[..], true),
            (b"\0\x01\xff\xff\xff\xfe", false),
            (b"\0\x01\0\0\0\x01", false),
            (b"\0\x02\0\0\0\x01a", false),
            (b"\0\x01\x7f\xff\xff\xffa", false),
            (b"\0", false),
        ] {
            let read = Values::read(&mut Reader::new("test", bytes), "values");
            assert_eq!(read.is_ok(), fits, "{bytes:?}");
        }
    }
}
