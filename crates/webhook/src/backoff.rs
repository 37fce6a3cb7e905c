//! Owns when a delivery is tried again: a pure decision of how often it failed, how, and chance.

use std::time::Duration;

/// How long tries wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure at most; twice as long after each further one.
    pub first: Duration,
    /// Never longer.
    pub most: Duration,
    /// Tries after the first one.
    pub retries: u32,
}

/// How a try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// There was no answer.
    Unanswered,
    /// There was one, with this status.
    Answered(u16),
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It was delivered.
    Delivered,
    /// Another try, after this time.
    Again(Duration),
    /// Another try would change nothing, or there were enough.
    GiveUp,
}

impl Backoff {
    /// What follows the try with this number, from 1 on. `chance` is a random number: waits lie between half of
    /// what they may be and all of it, so that proxies that failed together don't come back together.
    pub fn after(&self, tries: u32, outcome: Outcome, chance: u64) -> Next {
        match outcome {
            Outcome::Answered(200..300) => return Next::Delivered,
            Outcome::Unanswered | Outcome::Answered(408 | 425 | 429 | 500..) => {}
            // The receiver says that this request is wrong, or is to go elsewhere.
            Outcome::Answered(_) => return Next::GiveUp,
        }
        if tries > self.retries {
            return Next::GiveUp;
        }
        let doubled = 2_u32.saturating_pow(tries.saturating_sub(1));
        let most = self.first.saturating_mul(doubled).min(self.most);
        let half_us = u64::try_from(most.as_micros() / 2).unwrap_or(u64::MAX);
        let more_us = chance % half_us.saturating_add(1);
        Next::Again(most / 2 + Duration::from_micros(more_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        first: Duration::from_secs(1),
        most: Duration::from_secs(10),
        retries: 6,
    };

    #[test]
    fn answers_decide_whether_there_is_another_try() {
        let again = Next::Again(Duration::from_millis(500));
        for (outcome, next) in [
            (Outcome::Answered(200), Next::Delivered),
            (Outcome::Answered(204), Next::Delivered),
            (Outcome::Answered(299), Next::Delivered),
            (Outcome::Answered(101), Next::GiveUp),
            (Outcome::Answered(301), Next::GiveUp),
            (Outcome::Answered(307), Next::GiveUp),
            (Outcome::Answered(400), Next::GiveUp),
            (Outcome::Answered(401), Next::GiveUp),
            (Outcome::Answered(404), Next::GiveUp),
            (Outcome::Answered(410), Next::GiveUp),
            (Outcome::Answered(408), again),
            (Outcome::Answered(425), again),
            (Outcome::Answered(429), again),
            (Outcome::Answered(500), again),
            (Outcome::Answered(503), again),
            (Outcome::Answered(599), again),
            (Outcome::Unanswered, again),
        ] {
            assert_eq!(BACKOFF.after(1, outcome, 0), next, "{outcome:?}");
        }
    }

    #[test]
    fn waits_double_up_to_the_most_and_end() {
        // (try, the shortest wait after it, the longest)
        for (tries, least_ms, most_ms) in [
            (1, 500, 1000),
            (2, 1000, 2000),
            (3, 2000, 4000),
            (4, 4000, 8000),
            (5, 5000, 10_000),
            (6, 5000, 10_000),
        ] {
            let wait = |chance| match BACKOFF.after(tries, Outcome::Unanswered, chance) {
                Next::Again(wait) => wait.as_millis(),
                other => panic!("{other:?}"),
            };
            assert_eq!(wait(0), least_ms, "{tries}");
            let half_us = u64::try_from(least_ms * 1000).unwrap();
            assert_eq!(wait(half_us), most_ms, "{tries}");
            for chance in [1, 77_777, u64::MAX / 3, u64::MAX] {
                assert!((least_ms..=most_ms).contains(&wait(chance)), "{tries}");
            }
        }
        assert_eq!(BACKOFF.after(7, Outcome::Unanswered, 0), Next::GiveUp);
        let none = Backoff {
            retries: 0,
            ..BACKOFF
        };
        assert_eq!(none.after(1, Outcome::Unanswered, 0), Next::GiveUp);
        let endless = Backoff {
            retries: u32::MAX,
            ..BACKOFF
        };
        let late = endless.after(u32::MAX, Outcome::Unanswered, 0);
        assert_eq!(late, Next::Again(Duration::from_secs(5)));
    }
}
