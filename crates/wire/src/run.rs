//! Owns the fast path of the relay: how far a stretch of equal frames reaches, so that thousands of
//! rows cost one copy and a few instructions each.

/// A stretch of complete frames with the same tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Run {
    /// Bytes of the stretch.
    pub bytes: usize,
    /// Frames in it.
    pub frames: usize,
}

/// The longest prefix of `bytes` that consists of complete frames tagged `tag`.
///
/// It stops before a frame that is cut off, has another tag, or has an illegal length; which of
/// these it was is the business of [`crate::frame::Header::peek`].
#[inline]
pub fn bulk(bytes: &[u8], tag: u8) -> Run {
    let mut rest = bytes;
    let mut frames = 0;
    while let Some((&[first, a, b, c, d], _)) = rest.split_first_chunk::<5>() {
        let len = u32::from_be_bytes([a, b, c, d]) as usize;
        if first != tag || len < 4 || len >= rest.len() {
            break;
        }
        rest = &rest[1 + len..];
        frames += 1;
    }
    Run {
        bytes: bytes.len() - rest.len(),
        frames,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_stop_where_they_should() {
        let row = b"D\0\0\0\x06\0\0";
        let three = row.repeat(3);
        let with = |tail: &[u8]| [&three[..], tail].concat();
        // (bytes, bytes of the run, frames)
        for (bytes, len, frames) in [
            (vec![], 0, 0),
            (three.clone(), 21, 3),
            (with(b"D"), 21, 3),
            (with(b"D\0\0\0\x06\0"), 21, 3),
            (with(b"D\0\0\0\x04"), 26, 4),
            (with(b"D\0\0\0\x03xxx"), 21, 3),
            (with(b"D\0\0\0\0xxx"), 21, 3),
            (with(b"D\xff\xff\xff\xffxxx"), 21, 3),
            (with(b"C\0\0\0\x04"), 21, 3),
            (three[..20].to_vec(), 14, 2),
            (b"Z\0\0\0\x05I".to_vec(), 0, 0),
        ] {
            assert_eq!(bulk(&bytes, b'D'), Run { bytes: len, frames }, "{bytes:?}");
        }
    }
}
