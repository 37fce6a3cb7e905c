//! Owns when a source is asked: what happened and the time in, the time of the next question out. Touches no clock.

use std::time::Duration;

/// How close questions follow each other at most, whoever is in a hurry.
pub(crate) const CLOSEST: Duration = Duration::from_secs(1);

/// When to ask. Times are durations since any fixed moment.
#[derive(Debug, Default)]
pub(crate) struct Due {
    /// When the last question was.
    asked: Option<Duration>,
    at: Duration,
    /// How many questions in a row brought nothing.
    failures: u32,
}

impl Due {
    /// When to ask next. At first: at once.
    pub(crate) fn at(&self) -> Duration {
        self.at
    }

    /// Somebody would like to know now.
    pub(crate) fn hurried(&mut self) {
        let soonest = self.asked.map_or(Duration::ZERO, |asked| asked + CLOSEST);
        self.at = self.at.min(soonest);
    }

    /// A question is being asked.
    pub(crate) fn begun(&mut self, now: Duration) {
        self.asked = Some(now);
    }

    /// It was answered, and the answer is good for so long.
    pub(crate) fn answered(&mut self, now: Duration, good_for: Duration) {
        self.failures = 0;
        self.at = now.saturating_add(good_for.max(CLOSEST));
    }

    /// It was not: again in a second, then after twice that, and so on up to the interval.
    pub(crate) fn failed(&mut self, now: Duration, interval: Duration) {
        let wait = CLOSEST.saturating_mul(1 << self.failures.min(16));
        self.failures += 1;
        self.at = now + wait.min(interval).max(CLOSEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_first_question_is_at_once_and_the_next_when_the_answer_is_old() {
        let mut due = Due::default();
        assert_eq!(due.at(), s(0));
        due.begun(s(5));
        due.answered(s(6), s(30));
        assert_eq!(due.at(), s(36));
        // A time to live of nothing is one of a second.
        due.begun(s(36));
        due.answered(s(36), s(0));
        assert_eq!(due.at(), s(37));
    }

    #[test]
    fn a_hurry_brings_it_nearer_but_never_closer_than_a_second() {
        let mut due = Due::default();
        due.hurried();
        assert_eq!(due.at(), s(0));
        due.begun(s(10));
        due.answered(s(10), s(30));
        for _ in 0..3 {
            due.hurried();
            assert_eq!(due.at(), s(11));
        }
        due.begun(s(11));
        due.answered(ms(11_400), s(30));
        due.hurried();
        assert_eq!(due.at(), s(12));
    }

    #[test]
    fn after_failures_it_waits_longer_each_time_and_no_longer_than_the_interval() {
        let mut due = Due::default();
        for wanted in [1, 2, 4, 8, 10, 10] {
            due.begun(s(100));
            due.failed(s(100), s(10));
            assert_eq!(due.at(), s(100 + wanted));
        }
        due.answered(s(100), s(10));
        due.failed(s(100), s(10));
        assert_eq!(due.at(), s(101));
        for _ in 0..100 {
            due.failed(s(0), s(u64::MAX / 2));
        }
        assert_eq!(due.at(), s(1 << 16));
        due.failed(s(0), ms(1));
        assert_eq!(due.at(), s(1));
    }
}
