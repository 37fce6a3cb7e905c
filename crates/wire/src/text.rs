//! Owns the two kinds of borrowed content: the manual's String (never holds a NUL) and Byten.
//! Their `Debug` shows lengths, so that a message can be printed without showing what it carries.

use std::fmt;
use std::ops::Deref;

/// The manual's String without its NUL: bytes in the session's encoding, none of them zero.
///
/// Since a `Text` can't hold a NUL, no content can break out of its field when it is rebuilt.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// All of `bytes`, or nothing if a NUL is among them.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        (!bytes.contains(&0)).then_some(Self(bytes))
    }

    /// `bytes` up to the first NUL, as C would read them.
    pub fn cut(bytes: &'a [u8]) -> Self {
        match bytes.iter().position(|b| *b == 0) {
            Some(end) => Self(&bytes[..end]),
            None => Self(bytes),
        }
    }

    /// The first `len` bytes, as PostgreSQL truncates names.
    pub fn truncated(self, len: usize) -> Self {
        Self(&self.0[..self.0.len().min(len)])
    }

    /// The bytes, with the lifetime of what they were decoded from.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// The text if it is UTF-8.
    pub fn utf8(self) -> Option<&'a str> {
        std::str::from_utf8(self.0).ok()
    }
}

impl Deref for Text<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.0
    }
}
impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self::cut(text.as_bytes())
    }
}
impl PartialEq<[u8]> for Text<'_> {
    fn eq(&self, other: &[u8]) -> bool {
        self.0 == other
    }
}
impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}
impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}
impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}

/// Bytes without any inner rule: rows, parameters, SASL data, COPY data.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Payload<'a>(pub &'a [u8]);

impl Deref for Payload<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.0
    }
}
impl fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_never_holds_a_nul() {
        assert_eq!(Text::new(b"a\0b"), None);
        assert_eq!(Text::cut(b"a\0b"), "a");
        assert_eq!(Text::cut(b"\0"), "");
        assert_eq!(Text::from("abc").truncated(2), "ab");
    }

    #[test]
    fn debug_shows_lengths() {
        assert_eq!(format!("{:?}", Text::from("hunter2")), "Text(7 bytes)");
        assert_eq!(format!("{:?}", Payload(b"hunter2")), "Payload(7 bytes)");
    }
}
