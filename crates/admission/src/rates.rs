//! Owns rates per key in a table of fixed size.
//!
//! Each key has two cells, chosen by two hashes of secret seeds; a cell may belong to several keys.
//! A key has exceeded its rate if both of its cells say so: strangers can't make the table grow,
//! nobody is ever swept out, and to use up somebody else's rate one has to hit both cells blindly.

use std::hash::{BuildHasher, Hash, RandomState};
use std::time::Duration;

/// Cells of each of the two rows.
const CELLS: usize = 1 << 13;

/// How often something may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Time in which one more is earned.
    pub interval: Duration,
    /// How many may come at once after a long silence.
    pub burst: u32,
}

impl Rate {
    /// `count` in `period`, and `burst` at once; `None` for a count of zero, which is no bound.
    pub fn of(count: u32, period: Duration, burst: u32) -> Option<Rate> {
        (count > 0).then(|| Rate {
            interval: period / count,
            burst: burst.max(1),
        })
    }

    fn interval_us(self) -> u64 {
        (self.interval.as_micros() as u64).max(1)
    }

    fn burst_us(self) -> u64 {
        self.interval_us().saturating_mul(self.burst.into())
    }
}

/// How far each key is ahead of its rate. Times are counted from any fixed moment.
pub struct Rates {
    rate: Rate,
    seeds: [RandomState; 2],
    /// When each cell will have earned all that it spent, in microseconds.
    cells: Vec<u64>,
}

impl Rates {
    /// Nothing spent yet. The seeds keep strangers from choosing their cells.
    pub fn new(rate: Rate, seeds: [RandomState; 2]) -> Rates {
        Rates {
            rate,
            seeds,
            cells: vec![0; 2 * CELLS],
        }
    }

    /// Whether `key` may do it once more now.
    pub fn allows(&self, key: &impl Hash, now: Duration) -> bool {
        let most = now.as_micros() as u64 + self.rate.burst_us() - self.rate.interval_us();
        self.places(key)
            .iter()
            .any(|&place| self.cells[place] <= most)
    }

    /// Counts one of `key`, allowed or not: whoever goes on knocking doesn't get in sooner, but
    /// owes at most a burst.
    pub fn spend(&mut self, key: &impl Hash, now: Duration) {
        let now = now.as_micros() as u64;
        let most = now + self.rate.burst_us();
        for place in self.places(key) {
            let cell = &mut self.cells[place];
            *cell = ((*cell).max(now) + self.rate.interval_us()).min(most);
        }
    }

    fn places(&self, key: &impl Hash) -> [usize; 2] {
        let [first, second] = &self.seeds;
        let cell = |seed: &RandomState| seed.hash_one(key) as usize % CELLS;
        [cell(first), CELLS + cell(second)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(count: u32, burst: u32) -> Rates {
        let rate = Rate::of(count, Duration::from_secs(1), burst).unwrap();
        Rates::new(rate, [RandomState::new(), RandomState::new()])
    }

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn take(rates: &mut Rates, key: &str, now: Duration) -> bool {
        let allowed = rates.allows(&key, now);
        rates.spend(&key, now);
        allowed
    }

    #[test]
    fn a_burst_then_the_rate() {
        let mut rates = rates(10, 3);
        for _ in 0..3 {
            assert!(take(&mut rates, "a", at(0)));
        }
        assert!(!take(&mut rates, "a", at(50)));
        assert!(take(&mut rates, "b", at(50)), "another key");
        assert!(!rates.allows(&"a", at(90)));
        assert!(rates.allows(&"a", at(151)));
    }

    #[test]
    fn knocking_on_never_costs_more_than_a_burst() {
        let mut rates = rates(10, 3);
        for _ in 0..1000 {
            take(&mut rates, "a", at(0));
        }
        assert!(!rates.allows(&"a", at(99)));
        assert!(rates.allows(&"a", at(100)));
        assert!(!rates.allows(&"a", at(0)));
    }

    #[test]
    fn many_strangers_take_no_memory_and_leave_most_others_alone() {
        let mut rates = rates(1, 1);
        for stranger in 0..2000 {
            rates.spend(&stranger, at(0));
        }
        assert_eq!(rates.cells.len(), 2 * CELLS);
        let fresh = (10_000..11_000).filter(|key| rates.allows(key, at(0)));
        // Both cells of a fresh key are taken in about one case of twenty.
        assert!(fresh.count() > 850);
    }

    #[test]
    fn zero_is_no_rate() {
        assert_eq!(Rate::of(0, Duration::from_secs(1), 9), None);
    }
}
