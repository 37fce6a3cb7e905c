//! Owns the tagged frame: one tag byte, a length that counts itself and not the tag, a body.
//! Takes a slice that starts at a frame's beginning and gives the header or the whole frame.

pub use crate::FrameFault;

/// Bytes of a header: the tag and the length field.
pub const HEADER: usize = 5;

/// The least legal length: that of an empty body.
pub const LEN_MIN: u32 = 4;

/// The first five bytes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The message type.
    pub tag: u8,
    /// The length field: counts itself and the body, not the tag.
    pub len: u32,
}

impl Header {
    /// Reads a header if it is here in full. Judges nothing: `len` is what the peer sent.
    #[inline]
    pub fn peek(bytes: &[u8]) -> Option<Self> {
        let [tag, a, b, c, d] = *bytes.first_chunk::<HEADER>()?;
        Some(Self {
            tag,
            len: u32::from_be_bytes([a, b, c, d]),
        })
    }

    /// Bytes of the body; 0 for a length that is too small to be legal.
    #[inline]
    pub fn body(self) -> usize {
        self.len.saturating_sub(LEN_MIN) as usize
    }

    /// Bytes of the whole frame on the wire.
    #[inline]
    pub fn total(self) -> usize {
        HEADER + self.body()
    }

    /// Accepts a length from 4 to `limit`.
    #[inline]
    pub fn within(self, limit: u32) -> Result<Self, FrameFault> {
        if self.len < LEN_MIN || self.len > limit {
            return Err(FrameFault {
                tag: self.tag,
                len: self.len,
                limit,
            });
        }
        Ok(self)
    }

    /// The five bytes, as they are sent.
    #[inline]
    pub fn bytes(self) -> [u8; HEADER] {
        let [a, b, c, d] = self.len.to_be_bytes();
        [self.tag, a, b, c, d]
    }
}

/// A frame that is here in full.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The message type.
    pub tag: u8,
    /// What stands behind the length field.
    pub body: &'a [u8],
    /// Bytes of the whole frame on the wire: what to consume.
    pub total: usize,
}

impl std::fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame({:?}, {} bytes)", char::from(self.tag), self.total)
    }
}

/// The frame at the front of `bytes`, or nothing if more bytes are needed.
///
/// For small messages only: a big body must be passed on in pieces (see [`Header::peek`]). `limit`
/// gives the greatest length of a tag, 0 for one that is unknown; it is asked as soon as the header
/// is here, so that a peer can't make anybody wait for a body that would be refused.
pub fn whole(bytes: &[u8], limit: impl Fn(u8) -> u32) -> Result<Option<Frame<'_>>, FrameFault> {
    let Some(header) = Header::peek(bytes) else {
        return Ok(None);
    };
    let header = header.within(limit(header.tag))?;
    Ok(bytes.get(HEADER..header.total()).map(|body| Frame {
        tag: header.tag,
        body,
        total: header.total(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_count_themselves_and_not_the_tag() {
        let header = Header::peek(b"Z\0\0\0\x05I").unwrap();
        assert_eq!((header.tag, header.len), (b'Z', 5));
        assert_eq!((header.body(), header.total()), (1, 6));
        assert_eq!(&header.bytes(), b"Z\0\0\0\x05");
        assert_eq!(Header::peek(b"Z\0\0\0"), None);
    }

    #[test]
    fn limits_hold_before_the_body_comes() {
        // (length field, limit, accepted so far)
        for (len, limit, accepted) in [
            (0u32, 100, false),
            (3, 100, false),
            (4, 100, true),
            (4, 0, false),
            (100, 100, true),
            (101, 100, false),
            (0x7fff_ffff, 0x3fff_fffe, false),
            (0x8000_0000, 0x3fff_fffe, false),
            (u32::MAX, 0x3fff_fffe, false),
        ] {
            let bytes = Header { tag: b'Q', len }.bytes();
            let expected = FrameFault {
                tag: b'Q',
                len,
                limit,
            };
            match whole(&bytes, |_| limit) {
                Ok(frame) => {
                    assert!(accepted, "{len}");
                    assert_eq!(frame.is_some(), len == 4);
                }
                Err(fault) => {
                    assert!(!accepted, "{len}");
                    assert_eq!(fault, expected);
                }
            }
        }
    }

    #[test]
    fn a_frame_ends_where_its_length_says() {
        let bytes = b"Q\0\0\0\x06a\0Z";
        for cut in 0..7 {
            assert_eq!(whole(&bytes[..cut], |_| 100), Ok(None));
        }
        let frame = whole(bytes, |_| 100).unwrap().unwrap();
        assert_eq!((frame.tag, frame.body, frame.total), (b'Q', &b"a\0"[..], 7));
    }
}
