//! Owns plain sequences of Strings: SASL mechanisms, protocol options. What counts or ends them
//! belongs to the message.

use crate::MessageFault;
use crate::Text;
use crate::reader::Reader;
use std::fmt;

/// Strings one behind the other, each with its NUL.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Strings<'a>(&'a [u8]);

impl<'a> Strings<'a> {
    /// The wire form of `items`, appended to `scratch`.
    pub fn pack<'i>(items: impl IntoIterator<Item = Text<'i>>, scratch: &'a mut Vec<u8>) -> Self {
        let start = scratch.len();
        for item in items {
            scratch.extend_from_slice(&item);
            scratch.push(0);
        }
        Self(&scratch[start..])
    }

    /// Number of strings.
    pub fn len(&self) -> usize {
        self.0.iter().filter(|byte| **byte == 0).count()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The strings in order.
    pub fn iter(&self) -> impl Iterator<Item = Text<'a>> + use<'a> {
        let mut reader = Reader::new("", self.0);
        std::iter::from_fn(move || reader.text("").ok())
    }

    /// True if one of the strings is `wanted`.
    pub fn contains(&self, wanted: &str) -> bool {
        self.iter().any(|text| text == wanted)
    }

    /// A view over strings that were packed before.
    pub(crate) fn over(packed: &'a [u8]) -> Self {
        debug_assert!(packed.last().is_none_or(|byte| *byte == 0));
        Self(packed)
    }

    /// Each string with its NUL.
    pub(crate) fn raw(&self) -> &'a [u8] {
        self.0
    }

    /// Reads `count` strings.
    pub(crate) fn read(
        reader: &mut Reader<'a>,
        count: u32,
        field: &'static str,
    ) -> Result<Self, MessageFault> {
        let start = *reader;
        for _ in 0..count {
            reader.text(field)?;
        }
        Ok(Self(start.until(*reader)))
    }

    /// Reads strings up to an empty one, which is consumed and not part of the list.
    pub(crate) fn read_ended(
        reader: &mut Reader<'a>,
        field: &'static str,
    ) -> Result<Self, MessageFault> {
        let start = *reader;
        loop {
            let end = *reader;
            if reader.text(field)?.is_empty() {
                return Ok(Self(start.until(end)));
            }
        }
    }
}

impl fmt::Debug for Strings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Strings({} in {} bytes)", self.len(), self.0.len())
    }
}
