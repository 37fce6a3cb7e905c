//! Owns where encoded bytes go: anything that takes all of a slice or refuses it.

use buf::{Full, Plain};

/// A place that messages are appended to.
pub trait Sink {
    /// Bytes that may still be added.
    fn room(&self) -> usize;

    /// Appends all of `bytes` or nothing.
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full>;
}

impl Sink for Plain {
    #[inline]
    fn room(&self) -> usize {
        Plain::room(self)
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.push(bytes)
    }
}

impl Sink for Vec<u8> {
    #[inline]
    fn room(&self) -> usize {
        isize::MAX as usize - self.len()
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

/// Counts what would be written: a length field comes before what it counts, and a capped buffer
/// can't be patched afterwards.
#[derive(Debug, Default)]
pub(crate) struct Measure(pub(crate) usize);

impl Sink for Measure {
    fn room(&self) -> usize {
        usize::MAX - self.0
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.0 += bytes.len();
        Ok(())
    }
}

/// The manual's types, appended to any sink.
pub(crate) trait SinkExt: Sink {
    fn byte(&mut self, value: u8) -> Result<(), Full> {
        self.put(&[value])
    }
    fn i16(&mut self, value: i16) -> Result<(), Full> {
        self.put(&value.to_be_bytes())
    }
    fn u16(&mut self, value: u16) -> Result<(), Full> {
        self.put(&value.to_be_bytes())
    }
    fn i32(&mut self, value: i32) -> Result<(), Full> {
        self.put(&value.to_be_bytes())
    }
    fn u32(&mut self, value: u32) -> Result<(), Full> {
        self.put(&value.to_be_bytes())
    }
    fn text(&mut self, text: crate::Text<'_>) -> Result<(), Full> {
        self.put(&text)?;
        self.put(&[0])
    }
    fn value(&mut self, value: Option<&[u8]>) -> Result<(), Full> {
        match value {
            None => self.i32(-1),
            Some(bytes) => {
                let len = i32::try_from(bytes.len()).map_err(|_| Full {
                    offered: bytes.len(),
                    room: i32::MAX as usize,
                })?;
                self.i32(len)?;
                self.put(bytes)
            }
        }
    }
}
impl<S: Sink + ?Sized> SinkExt for S {}
