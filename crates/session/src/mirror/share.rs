//! Owns the choice of which requests are copied: a share of them, by numbers that look random and come from a seed.

/// A stream of choices.
#[derive(Debug, Clone, Copy)]
pub struct Share(u64);

impl Share {
    /// Choices that begin here: another seed, other choices.
    pub fn from_seed(seed: u64) -> Share {
        Share(seed)
    }

    /// Whether the next one is among `percent` of 100.
    pub fn takes(&mut self, percent: u32) -> bool {
        percent >= 100 || self.next() % 100 < u64::from(percent)
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): an addition, and a finalizer.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_that_many_in_the_long_run() {
        const DRAWS: u32 = 100_000;
        for seed in [0, 1, u64::MAX] {
            for percent in [0, 1, 10, 50, 99, 100] {
                let mut share = Share::from_seed(seed);
                let taken = (0..DRAWS).filter(|_| share.takes(percent)).count() as f64;
                let wanted = f64::from(DRAWS) * f64::from(percent) / 100.0;
                // Four standard deviations of the widest one.
                assert!((taken - wanted).abs() <= 640.0, "{seed} {percent}: {taken}");
            }
        }
        let both = |percent| {
            let (mut one, mut other) = (Share::from_seed(1), Share::from_seed(2));
            (0..64).all(|_| one.takes(percent) == other.takes(percent))
        };
        assert!(!both(50) && both(100) && both(0));
    }
}
