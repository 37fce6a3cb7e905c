//! Owns the account of one measure: it fills with time up to a cap, is charged, and may be in debt.

/// How fast an account fills, and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Tokens a second.
    per_s: u64,
    /// Tokens that it holds.
    burst: u64,
}

/// Parts of a token that are counted: at one token a second, one comes each microsecond.
const PARTS: i64 = 1_000_000;

impl Rate {
    /// The most tokens a second.
    pub const PER_S_MAX: u64 = 100_000_000_000;
    /// The longest time that an account may save up for.
    pub const BURST_MS_MAX: u64 = 60_000;

    /// So many a second, and at once as many as come in `burst_ms` milliseconds, but one at least. Both are cut to what
    /// can be counted.
    pub fn new(per_s: u64, burst_ms: u64) -> Rate {
        let per_s = per_s.clamp(1, Rate::PER_S_MAX);
        let burst = per_s * burst_ms.min(Rate::BURST_MS_MAX) / 1000;
        Rate {
            per_s,
            burst: burst.max(1),
        }
    }

    /// Tokens a second.
    pub fn per_s(self) -> u64 {
        self.per_s
    }

    /// Tokens that can be had at once.
    pub fn burst(self) -> u64 {
        self.burst
    }

    fn cap(self) -> i64 {
        parts(self.burst)
    }
}

fn parts(tokens: u64) -> i64 {
    i64::try_from(tokens)
        .unwrap_or(i64::MAX)
        .saturating_mul(PARTS)
}

/// The account. Without a rate it is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bucket {
    /// In parts of tokens.
    level: i64,
    /// As of this time.
    at_us: u64,
}

impl Bucket {
    /// A full one.
    pub fn full(rate: Option<Rate>, now_us: u64) -> Bucket {
        Bucket {
            level: rate.map_or(0, Rate::cap),
            at_us: now_us,
        }
    }

    /// What has come in until now. Time that goes backwards brings nothing.
    fn fill(&mut self, rate: Rate, now_us: u64) {
        let passed = now_us.saturating_sub(self.at_us);
        self.at_us = self.at_us.max(now_us);
        let passed = i64::try_from(passed).unwrap_or(i64::MAX);
        let per_us = i64::try_from(rate.per_s).unwrap_or(i64::MAX);
        let gain = passed.saturating_mul(per_us);
        self.level = self.level.saturating_add(gain).min(rate.cap());
    }

    /// Charges tokens, into debt if there are too few.
    pub fn charge(&mut self, rate: Rate, tokens: u64, now_us: u64) {
        self.fill(rate, now_us);
        self.level = self.level.saturating_sub(parts(tokens));
    }

    /// When so many tokens are there; what is more than it ever holds counts as all it can hold.
    pub fn ready_at(&mut self, rate: Rate, tokens: u64, now_us: u64) -> u64 {
        self.fill(rate, now_us);
        let missing = parts(tokens.min(rate.burst)).saturating_sub(self.level);
        let per_us = i64::try_from(rate.per_s).unwrap_or(i64::MAX);
        match missing {
            ..=0 => now_us,
            missing => {
                let wait = missing / per_us + i64::from(missing % per_us != 0);
                now_us.saturating_add(wait.unsigned_abs())
            }
        }
    }

    /// True if nothing is remembered in it.
    pub fn is_full(&mut self, rate: Rate, now_us: u64) -> bool {
        self.fill(rate, now_us);
        self.level >= rate.cap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_fills_with_time_and_no_further_than_its_cap() {
        let rate = Rate::new(10, 1000);
        assert_eq!((rate.per_s(), rate.burst()), (10, 10));
        let mut bucket = Bucket::full(Some(rate), 0);
        bucket.charge(rate, 10, 0);
        assert_eq!(bucket.ready_at(rate, 1, 0), 100_000);
        assert_eq!(bucket.ready_at(rate, 1, 99_999), 100_000);
        assert_eq!(bucket.ready_at(rate, 1, 100_000), 100_000);
        assert!(!bucket.is_full(rate, 999_999) && bucket.is_full(rate, 1_000_000));
        // An hour brings no more than a second.
        assert_eq!(bucket.ready_at(rate, 10, 3_600_000_000), 3_600_000_000);
        bucket.charge(rate, 10, 3_600_000_000);
        assert_eq!(bucket.ready_at(rate, 1, 3_600_000_000), 3_600_100_000);
        // More than it holds can be had when it is full.
        assert_eq!(bucket.ready_at(rate, 500, 3_600_000_000), 3_601_000_000);
    }

    #[test]
    fn a_debt_is_paid_with_time() {
        let rate = Rate::new(1000, 1);
        assert_eq!(rate.burst(), 1);
        let mut bucket = Bucket::full(Some(rate), 5);
        bucket.charge(rate, 10_001, 5);
        assert_eq!(bucket.ready_at(rate, 0, 5), 10_000_005);
        // The clock going back changes nothing.
        assert_eq!(bucket.ready_at(rate, 0, 0), 10_000_000);
        assert_eq!(bucket.ready_at(rate, 0, 10_000_005), 10_000_005);
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let rate = Rate::new(u64::MAX, u64::MAX);
        let mut bucket = Bucket::full(Some(rate), 0);
        bucket.charge(rate, u64::MAX, u64::MAX);
        bucket.charge(rate, u64::MAX, u64::MAX);
        assert!(bucket.ready_at(rate, u64::MAX, 0) > 0);
        let mut slow = Bucket::full(Some(Rate::new(1, 0)), 0);
        slow.charge(Rate::new(1, 0), u64::MAX, 0);
        assert!(slow.ready_at(Rate::new(1, 0), 1, 1) > 1_000_000_000);
    }
}
