//! Owns the byte queues of the data path: a fixed capacity, bytes in at the back, out at the front.
//!
//! Both kinds share one implementation; they differ in what happens to bytes that were consumed:
//! `Plain` overwrites them at once, `Cipher` does not need to; and in where the bytes lie: `Plain` has
//! guarded memory (crate `guard`), `Cipher` the heap. Neither ever reallocates: a block that was
//! outgrown would be freed with its content.

use crate::wipe::wipe;
use guard::Block;
use std::fmt;
use std::ops::DerefMut;

/// The bytes offered do not fit into the buffer's remaining room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// Bytes that were offered.
    pub offered: usize,
    /// Bytes that would have fitted.
    pub room: usize,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bytes do not fit into the {} left",
            self.offered, self.room
        )
    }
}
impl std::error::Error for Full {}

/// A queue over one fixed block. Invariant: `start <= end <= block.len()`, and for `WIPE` every
/// byte outside `start..end` that ever held content is zero.
struct Fifo<B: DerefMut<Target = [u8]>, const WIPE: bool> {
    block: B,
    /// Not wider than need be: a port has four queues, and thousands of ports have nothing in them.
    start: u32,
    end: u32,
}

impl<B: DerefMut<Target = [u8]>, const WIPE: bool> Fifo<B, WIPE> {
    /// Over a block of zeros.
    fn over(block: B) -> Self {
        assert!(u32::try_from(block.len()).is_ok(), "a queue of 4 GiB");
        Fifo {
            block,
            start: 0,
            end: 0,
        }
    }

    #[inline]
    fn start(&self) -> usize {
        self.start as usize
    }

    #[inline]
    fn end(&self) -> usize {
        self.end as usize
    }

    /// Both lie within the block, whose length fits.
    #[inline]
    fn set(&mut self, start: usize, end: usize) {
        (self.start, self.end) = (start as u32, end as u32);
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        &self.block[self.start()..self.end()]
    }

    #[inline]
    fn len(&self) -> usize {
        self.end() - self.start()
    }

    #[inline]
    fn room(&self) -> usize {
        self.block.len() - self.len()
    }

    #[inline]
    fn consume(&mut self, count: usize) {
        assert!(count <= self.len(), "consumed more than the buffer holds");
        let (start, end) = (self.start() + count, self.end());
        if WIPE {
            wipe(&mut self.block[start - count..start]);
        }
        match start == end {
            true => self.set(0, 0),
            false => self.set(start, end),
        }
    }

    /// Moves the content to the front of the block.
    fn compact(&mut self) {
        if self.start > 0 {
            let (start, end) = (self.start(), self.end());
            self.block.copy_within(start..end, 0);
            self.set(0, end - start);
            if WIPE {
                wipe(&mut self.block[end - start..end]);
            }
        }
    }

    #[inline]
    fn spare(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.compact();
        }
        let end = self.end();
        &mut self.block[end..]
    }

    #[inline]
    fn commit(&mut self, count: usize) {
        assert!(
            count <= self.block.len() - self.end(),
            "committed more than the spare room"
        );
        self.set(self.start(), self.end() + count);
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let room = self.room();
        if bytes.len() > room {
            return Err(Full {
                offered: bytes.len(),
                room,
            });
        }
        if bytes.len() > self.block.len() - self.end() {
            self.compact();
        }
        let (end, behind) = (self.end(), self.end() + bytes.len());
        self.block[end..behind].copy_from_slice(bytes);
        self.set(self.start(), behind);
        Ok(())
    }
}

impl<B: DerefMut<Target = [u8]>, const WIPE: bool> Drop for Fifo<B, WIPE> {
    fn drop(&mut self) {
        if WIPE {
            let (start, end) = (self.start(), self.end());
            wipe(&mut self.block[start..end]);
        }
    }
}

macro_rules! queue {
    ($(#[$doc:meta])* $name:ident, $block:ty, $new:expr, $wipe:literal) => {
        $(#[$doc])*
        pub struct $name(Fifo<$block, $wipe>);

        impl $name {
            /// A queue that holds up to `capacity` bytes and never more.
            pub fn with_capacity(capacity: usize) -> Self {
                let new: fn(usize) -> $block = $new;
                Self(Fifo::over(new(capacity)))
            }

            /// A queue without memory: what an idle port holds.
            pub fn none() -> Self {
                Self::with_capacity(0)
            }

            /// The unread bytes, oldest first.
            #[inline]
            pub fn bytes(&self) -> &[u8] {
                self.0.bytes()
            }

            /// Number of unread bytes.
            #[inline]
            pub fn len(&self) -> usize {
                self.0.len()
            }

            /// True if nothing is unread.
            #[inline]
            pub fn is_empty(&self) -> bool {
                self.0.len() == 0
            }

            /// Bytes that may still be added.
            #[inline]
            pub fn room(&self) -> usize {
                self.0.room()
            }

            /// Bytes that fit in all.
            #[inline]
            pub fn capacity(&self) -> usize {
                self.0.block.len()
            }

            /// Drops the oldest `count` bytes.
            ///
            /// # Panics
            /// If fewer are held: a caller that counts wrongly must not go on.
            #[inline]
            pub fn consume(&mut self, count: usize) {
                self.0.consume(count);
            }

            /// Drops everything.
            pub fn clear(&mut self) {
                self.0.consume(self.0.len());
            }

            /// The writable room behind the content, all of it in one piece. Follow with
            /// [`commit`](Self::commit).
            #[inline]
            pub fn spare(&mut self) -> &mut [u8] {
                self.0.spare()
            }

            /// Declares that the first `count` bytes of [`spare`](Self::spare) hold content now.
            #[inline]
            pub fn commit(&mut self, count: usize) {
                self.0.commit(count);
            }

            /// Appends all of `bytes` or nothing.
            #[inline]
            pub fn push(&mut self, bytes: &[u8]) -> Result<(), Full> {
                self.0.push(bytes)
            }

            /// Moves up to `count` of the oldest bytes to the back of `to`; gives how many.
            ///
            /// When everything moves into an empty queue the blocks change places and no byte
            /// is copied.
            #[inline]
            pub fn pour(&mut self, count: usize, to: &mut Self) -> usize {
                let count = count.min(self.len());
                if count == self.len() && to.is_empty() && to.capacity() == self.capacity() {
                    std::mem::swap(&mut self.0, &mut to.0);
                    return count;
                }
                let count = count.min(to.room());
                let poured = to.push(&self.bytes()[..count]);
                debug_assert!(poured.is_ok());
                self.consume(count);
                count
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(
                    f,
                    concat!(stringify!($name), "({} of {} bytes)"),
                    self.len(),
                    self.capacity()
                )
            }
        }
    };
}

queue!(
    /// Decrypted payload: in guarded memory, wiped as it is consumed and on drop; `Debug` shows only
    /// lengths.
    Plain,
    Block,
    Block::new,
    true
);
queue!(
    /// Bytes as they are on a socket: TLS records, and the few constant bytes that PostgreSQL
    /// exchanges before TLS. The only thing a socket accepts.
    Cipher,
    Box<[u8]>,
    |capacity| vec![0; capacity].into_boxed_slice(),
    false
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consumed_bytes_are_zero_in_the_block() {
        let mut plain = Plain::with_capacity(16);
        plain.push(b"secretsecret").unwrap();
        plain.consume(6);
        assert_eq!(plain.bytes(), b"secret");
        assert_eq!(&plain.0.block[..6], &[0; 6]);
        plain.spare();
        assert_eq!(plain.bytes(), b"secret");
        assert_eq!(&plain.0.block[6..], &[0; 10]);
        plain.clear();
        assert_eq!(&plain.0.block[..], &[0; 16]);
    }

    #[test]
    fn compaction_leaves_nothing_behind_for_any_overlap() {
        for capacity in [8usize, 9, 16] {
            for consumed in 0..=capacity {
                for pushed in consumed..=capacity {
                    let mut plain = Plain::with_capacity(capacity);
                    plain.push(&vec![7; pushed]).unwrap();
                    plain.consume(consumed);
                    plain.spare();
                    let held = pushed - consumed;
                    assert_eq!(plain.bytes(), vec![7; held]);
                    assert!(plain.0.block[held..].iter().all(|b| *b == 0));
                }
            }
        }
    }

    #[test]
    fn push_is_all_or_nothing() {
        let mut plain = Plain::with_capacity(4);
        plain.push(b"abc").unwrap();
        assert_eq!(
            plain.push(b"de"),
            Err(Full {
                offered: 2,
                room: 1
            })
        );
        assert_eq!(plain.bytes(), b"abc");
        plain.consume(2);
        plain.push(b"def").unwrap();
        assert_eq!(plain.bytes(), b"cdef");
    }

    #[test]
    fn pour_swaps_whole_buffers_and_copies_parts() {
        let mut from = Plain::with_capacity(8);
        let mut to = Plain::with_capacity(8);
        from.push(b"abcdef").unwrap();
        assert_eq!(from.pour(9, &mut to), 6);
        assert_eq!((from.len(), to.bytes()), (0, &b"abcdef"[..]));
        from.push(b"ghijk").unwrap();
        assert_eq!(from.pour(5, &mut to), 2);
        assert_eq!((from.bytes(), to.bytes()), (&b"ijk"[..], &b"abcdefgh"[..]));
    }

    #[test]
    fn debug_shows_no_content() {
        let mut plain = Plain::with_capacity(8);
        plain.push(b"hunter2").unwrap();
        assert_eq!(format!("{plain:?}"), "Plain(7 of 8 bytes)");
    }
}
