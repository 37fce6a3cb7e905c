//! Chance that can be had again: SplitMix64 (Steele, Lea, Flood 2014).

use std::hash::{BuildHasher, RandomState};

/// A seeded source of choices.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The same choices for the same numbers.
    pub fn new(seed: u64, stream: u64) -> Chance {
        let mut chance = Chance(seed);
        let first = chance.number();
        Chance(first ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The seed of this run: `$PORTCULLIS_SEED`, else a new one.
    pub fn seed() -> u64 {
        match std::env::var("PORTCULLIS_SEED") {
            Ok(text) => text.parse().expect("PORTCULLIS_SEED is a whole number"),
            Err(_) => RandomState::new().hash_one("seed") >> 32,
        }
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below this one.
    pub fn below(&mut self, end: usize) -> usize {
        (self.number() % end as u64) as usize
    }

    /// True once in so many times.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}
