//! Owns how durations are spread: counts in buckets with fixed edges, and their sum.

use std::sync::atomic::{AtomicU64, Ordering};

/// The buckets' upper edges in microseconds, each included; one more bucket has all that is longer.
pub const EDGES_US: [u64; 19] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

/// For each number of bits that a duration may have, the first bucket that may hold it: at most a few are
/// looked at from there.
const FIRST: [u8; 65] = first();

const fn first() -> [u8; 65] {
    let mut first = [0; 65];
    let mut bits = 1;
    while bits < first.len() {
        let least = 1 << (bits - 1);
        let mut at = 0;
        while at < EDGES_US.len() && EDGES_US[at] < least {
            at += 1;
        }
        first[bits] = at as u8;
        bits += 1;
    }
    first
}

/// Durations as one thread notes them; everybody may look.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; EDGES_US.len() + 1],
    sum_us: AtomicU64,
}

impl Histogram {
    /// Notes a duration. One thread alone may do so: it is a load and a store, without a lock.
    #[inline]
    pub fn note(&self, us: u64) {
        let bits = (u64::BITS - us.leading_zeros()) as usize;
        let mut at = usize::from(FIRST[bits]);
        while at < EDGES_US.len() && EDGES_US[at] < us {
            at += 1;
        }
        let bucket = &self.buckets[at];
        bucket.store(bucket.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        let sum = self.sum_us.load(Ordering::Relaxed);
        self.sum_us.store(sum.saturating_add(us), Ordering::Relaxed);
    }

    /// How they are spread by now.
    pub fn spread(&self) -> Spread {
        let mut spread = Spread::default();
        for (count, bucket) in spread.counts.iter_mut().zip(&self.buckets) {
            *count = bucket.load(Ordering::Relaxed);
        }
        spread.sum_us = self.sum_us.load(Ordering::Relaxed);
        spread
    }
}

/// How durations are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spread {
    /// For each bucket, the durations in it.
    pub counts: [u64; EDGES_US.len() + 1],
    /// Of all of them, in microseconds.
    pub sum_us: u64,
}

impl Spread {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Adds those of another thread.
    pub fn add(&mut self, other: &Spread) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for us in [0, 50, 51, 60_000_000, 60_000_001, u64::MAX] {
            histogram.note(us);
        }
        let spread = histogram.spread();
        assert_eq!(spread.counts[..3], [2, 1, 0]);
        assert_eq!(spread.counts[EDGES_US.len() - 1..], [1, 2]);
        assert_eq!((spread.count(), spread.sum_us), (6, u64::MAX));
        assert!(EDGES_US.is_sorted());
    }

    #[test]
    fn each_edge_has_its_bucket() {
        for (at, edge) in EDGES_US.into_iter().enumerate() {
            let histogram = Histogram::default();
            histogram.note(edge);
            histogram.note(edge + 1);
            let counts = histogram.spread().counts;
            assert_eq!(counts[at..at + 2], [1, 1], "{edge}");
        }
    }

    #[test]
    fn threads_are_added() {
        let (one, other) = (Histogram::default(), Histogram::default());
        one.note(10);
        other.note(20);
        other.note(70);
        let mut both = one.spread();
        both.add(&other.spread());
        assert_eq!(both.counts[..2], [2, 1]);
        assert_eq!((both.count(), both.sum_us), (3, 100));
    }
}
