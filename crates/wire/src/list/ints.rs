//! Owns counted lists of Int16 (format codes) and Int32 (type oids), both behind an Int16 count
//! that is read without a sign.

use crate::MessageFault;
use crate::reader::Reader;
use crate::sink::{Sink, SinkExt};
use buf::Full;
use std::fmt;

macro_rules! ints {
    ($(#[$doc:meta])* $name:ident, $int:ty, $size:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name<'a>(&'a [u8]);

        impl<'a> $name<'a> {
            /// The wire form of `items`, appended to `scratch`; nothing if there are more than 65535.
            pub fn pack(items: &[$int], scratch: &'a mut Vec<u8>) -> Option<Self> {
                if items.len() > usize::from(u16::MAX) {
                    return None;
                }
                let start = scratch.len();
                scratch.extend(items.iter().flat_map(|item| item.to_be_bytes()));
                Some(Self(&scratch[start..]))
            }

            /// Number of items.
            pub fn len(&self) -> usize {
                self.0.len() / $size
            }

            /// True if there are none.
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }

            /// The items in order.
            pub fn iter(&self) -> impl ExactSizeIterator<Item = $int> + use<'a> {
                self.0.chunks_exact($size).map(|bytes| {
                    let mut item = [0; $size];
                    item.copy_from_slice(bytes);
                    <$int>::from_be_bytes(item)
                })
            }

            pub(crate) fn read(
                reader: &mut Reader<'a>,
                field: &'static str,
            ) -> Result<Self, MessageFault> {
                let count = usize::from(reader.u16(field)?);
                Ok(Self(reader.take(count * $size, field)?))
            }

            pub(crate) fn write<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
                out.u16(self.len() as u16)?;
                out.put(self.0)
            }
        }

        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_list().entries(self.iter()).finish()
            }
        }
    };
}

ints!(
    /// Int16 items: format codes (0 is text, 1 is binary).
    Int16s,
    i16,
    2
);
ints!(
    /// Int32 items: oids of types (0 is unspecified).
    Int32s,
    u32,
    4
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_no_sign() {
        let items = vec![1i16; 65535];
        let mut scratch = Vec::new();
        let list = Int16s::pack(&items, &mut scratch).unwrap();
        let mut out = Vec::new();
        list.write(&mut out).unwrap();
        assert_eq!(&out[..4], &[0xff, 0xff, 0, 1]);
        let mut reader = Reader::new("test", &out);
        assert_eq!(Int16s::read(&mut reader, "codes").unwrap(), list);
        assert_eq!(Int16s::pack(&vec![1; 65536], &mut Vec::new()), None);
    }
}
