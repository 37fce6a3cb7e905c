//! Owns how connections are found by their number: those are given one after the other by ourselves, so nobody
//! can choose them to collide, and a multiplication spreads them.

use std::hash::{BuildHasherDefault, Hasher};

/// For maps whose keys are numbers of connections.
pub(super) type Numbered = BuildHasherDefault<NumberHasher>;

#[derive(Default)]
pub(super) struct NumberHasher(u64);

/// 2^64 divided by the golden ratio: neighbours come to lie far apart, in the upper bits, too.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(SPREAD);
    }
}
