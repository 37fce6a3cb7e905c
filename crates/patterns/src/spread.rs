//! Owns how durations are spread, in little memory: counts in buckets of which each is at most a quarter wider than
//! the one before, kept only where there is something to count.

/// Buckets in each doubling.
const PARTS: u32 = 4;
/// Of longer durations only that they were: 2^36 microseconds, about 19 hours.
const DOUBLINGS: u32 = 36;

/// Durations by bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spread {
    /// Buckets with something in them, in order.
    counts: Vec<(u8, u64)>,
    /// Of all, in microseconds.
    sum_us: u64,
    count: u64,
    max_us: u64,
}

impl Spread {
    /// Bytes that one can come to take.
    pub const BYTES_MAX: usize = (PARTS * DOUBLINGS) as usize * size_of::<(u8, u64)>();

    /// Notes a duration; gives the bytes that this took.
    #[inline]
    pub fn note(&mut self, us: u64) -> usize {
        self.sum_us = self.sum_us.saturating_add(us);
        self.count += 1;
        self.max_us = self.max_us.max(us);
        let bucket = bucket(us);
        match self.counts.binary_search_by_key(&bucket, |it| it.0) {
            Ok(at) => {
                self.counts[at].1 += 1;
                0
            }
            Err(at) => self.insert(at, (bucket, 1)),
        }
    }

    fn insert(&mut self, at: usize, count: (u8, u64)) -> usize {
        let before = self.bytes();
        if self.counts.len() == self.counts.capacity() {
            self.counts.reserve_exact(4);
        }
        self.counts.insert(at, count);
        self.bytes() - before
    }

    /// None of them, in the same room.
    pub(crate) fn cleared(mut self) -> Spread {
        self.counts.clear();
        Spread {
            counts: self.counts,
            ..Spread::default()
        }
    }

    /// Bytes outside of itself.
    pub fn bytes(&self) -> usize {
        self.counts.capacity() * size_of::<(u8, u64)>()
    }

    /// Adds those of another; gives the bytes that this took.
    pub fn add(&mut self, other: &Spread) -> usize {
        let before = self.bytes();
        for (bucket, count) in &other.counts {
            match self.counts.binary_search_by_key(bucket, |it| it.0) {
                Ok(at) => self.counts[at].1 += count,
                Err(at) => drop(self.insert(at, (*bucket, *count))),
            }
        }
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
        self.count += other.count;
        self.max_us = self.max_us.max(other.max_us);
        self.bytes() - before
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum in microseconds.
    pub fn sum_us(&self) -> u64 {
        self.sum_us
    }

    /// The longest in microseconds.
    pub fn max_us(&self) -> u64 {
        self.max_us
    }

    /// Microseconds that so many of a hundred don't exceed; 0 without any. At most a quarter too long.
    pub fn percentile_us(&self, percent: u64) -> u64 {
        let wanted = (self.count * percent).div_ceil(100).max(1);
        let mut below = 0;
        for (bucket, count) in &self.counts {
            below += count;
            if below >= wanted {
                return edge(*bucket).min(self.max_us);
            }
        }
        self.max_us
    }

    /// Buckets with something in them, in order: the longest duration of each in microseconds, and how many it has.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.counts
            .iter()
            .map(|(bucket, count)| (edge(*bucket), *count))
    }

    /// For each edge in microseconds, in order, how many don't exceed it.
    pub fn below<'a>(&'a self, edges_us: &'a [u64]) -> impl Iterator<Item = u64> + 'a {
        edges_us.iter().map(|edge_us| {
            let within = self.counts.iter().filter(|it| edge(it.0) <= *edge_us);
            within.map(|it| it.1).sum()
        })
    }
}

/// The bucket of a duration: which doubling, and which part of it.
fn bucket(us: u64) -> u8 {
    // The first doublings have fewer values than parts.
    if us < u64::from(PARTS) {
        return us as u8;
    }
    let doubling = us.ilog2();
    let part = (us >> (doubling - 2)) & 3;
    let bucket = (doubling - 1) * PARTS + part as u32;
    bucket.min(PARTS * DOUBLINGS - 1) as u8
}

/// The longest duration of a bucket.
fn edge(bucket: u8) -> u64 {
    let bucket = u64::from(bucket);
    if bucket < u64::from(PARTS) {
        return bucket;
    }
    let (doubling, part) = (bucket / 4 + 1, bucket % 4);
    (((4 + part + 1) << doubling) >> 2) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edges_and_buckets_agree() {
        for bucket_number in 0..(PARTS * DOUBLINGS - 1) as u8 {
            assert_eq!(bucket(edge(bucket_number)), bucket_number);
            assert_eq!(bucket(edge(bucket_number) + 1), bucket_number + 1);
        }
        assert_eq!(bucket(u64::MAX), (PARTS * DOUBLINGS - 1) as u8);
    }

    proptest! {
        #[test]
        fn percentiles_are_at_most_a_quarter_too_long(mut all in prop::collection::vec(0..10_000_000u64, 1..200), percent in 1..=100u64) {
            let mut spread = Spread::default();
            let mut bytes = 0;
            for us in &all {
                bytes += spread.note(*us);
            }
            prop_assert_eq!(bytes, spread.bytes());
            prop_assert_eq!(spread.buckets().map(|it| it.1).sum::<u64>(), spread.count());
            prop_assert!(spread.buckets().is_sorted());
            prop_assert!(bytes <= Spread::BYTES_MAX + 64);
            all.sort_unstable();
            let at = (all.len() * percent as usize).div_ceil(100).max(1) - 1;
            let (exact, shown) = (all[at], spread.percentile_us(percent));
            prop_assert!(shown >= exact && shown <= exact + exact / 4 + 1, "{} for {}", shown, exact);
        }

        #[test]
        fn sums_of_spreads_are_spreads_of_all(one in prop::collection::vec(any::<u32>(), 0..50), other in prop::collection::vec(any::<u32>(), 0..50)) {
            let of = |all: &[u32]| {
                let mut spread = Spread::default();
                for us in all { spread.note(u64::from(*us)); }
                spread
            };
            let mut sum = of(&one);
            sum.add(&of(&other));
            prop_assert_eq!(sum, of(&[one, other].concat()));
        }
    }
}
