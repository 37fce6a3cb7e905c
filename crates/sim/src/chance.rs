//! Owns chance: numbers that are the same for the same seed (SplitMix64).

/// A stream of numbers.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `below`; 0 if that is 0.
    pub fn below(&mut self, below: u64) -> u64 {
        self.number() % below.max(1)
    }

    /// The same as a size.
    pub fn size(&mut self, below: usize) -> usize {
        self.below(below as u64) as usize
    }

    /// True once in `of` times.
    pub fn one_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }

    /// One of them.
    ///
    /// # Panics
    /// If there is none.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.size(of.len())]
    }

    /// How much of `most` bytes moves at once: mostly all, often little.
    pub fn chunk(&mut self, most: usize) -> usize {
        match self.below(4) {
            0 => most.min(1 + self.size(7)),
            1 => most.min(1 + self.size(300)),
            _ => most,
        }
    }
}
