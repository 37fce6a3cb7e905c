//! Owns how rows are found by their number: folded by a multiplication under a secret key, so that nobody can choose
//! patterns whose rows meet, and at the cost of a few instructions.

use std::hash::{BuildHasher, Hasher};

/// For maps whose keys are single numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keyed {
    add: u64,
    times: u64,
}

impl Keyed {
    pub(crate) fn new(key: &[u8; 32]) -> Keyed {
        let word = |at: usize| {
            let bytes = key[at..].first_chunk().copied();
            u64::from_ne_bytes(bytes.unwrap_or_default())
        };
        Keyed {
            add: word(8) ^ word(16),
            times: word(24) | 1,
        }
    }
}

impl BuildHasher for Keyed {
    type Hasher = Folded;

    #[inline]
    fn build_hasher(&self) -> Folded {
        Folded {
            key: *self,
            state: 0,
        }
    }
}

/// See [`Keyed`].
pub(crate) struct Folded {
    key: Keyed,
    state: u64,
}

impl Hasher for Folded {
    #[inline]
    fn write_u64(&mut self, number: u64) {
        let product = u128::from(self.state ^ number ^ self.key.add) * u128::from(self.key.times);
        self.state = product as u64 ^ (product >> 64) as u64;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_come_to_lie_apart_and_each_key_spreads_them_otherwise() {
        let places = |times: u8| -> Vec<u64> {
            let key = std::array::from_fn(|at| (at as u8).wrapping_mul(times) ^ times);
            let keyed = Keyed::new(&key);
            (0..256u64)
                .map(|it| keyed.hash_one(it << 32) % 4096)
                .collect()
        };
        let (one, other) = (places(0x5a), places(0xa7));
        let mut apart = one.clone();
        apart.sort_unstable();
        apart.dedup();
        assert!(apart.len() > 200, "{}", apart.len());
        assert_ne!(one, other);
    }
}
