//! Owns the time of day of moments that were read from the steady clock: asked for anew once a minute, so that
//! nobody looks at a second clock for each statement.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long what was asked for is good.
const GOOD_FOR: Duration = Duration::from_secs(60);

/// A moment on both clocks, good until another one.
#[derive(Default)]
pub(super) struct Clock(Mutex<Option<(Instant, Duration, Instant)>>);

impl Clock {
    /// Time since 1970 at a moment.
    pub(super) fn since_1970(&self, moment: Instant) -> Duration {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *known {
            Some((then, day, until)) if moment < until => {
                // A moment just before the one that is known is taken for that one.
                day + moment.saturating_duration_since(then)
            }
            _ => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                let day = now.unwrap_or_default();
                let late = moment.elapsed();
                let day = day.saturating_sub(late);
                *known = Some((moment, day, moment + GOOD_FOR));
                day
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_a_time_of_day() {
        let clock = Clock::default();
        let now = Instant::now();
        let day = clock.since_1970(now);
        let wanted = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        assert!(
            wanted - day < Duration::from_secs(5),
            "{day:?}, not {wanted:?}"
        );
        let later = clock.since_1970(now + Duration::from_secs(7));
        assert_eq!(later - day, Duration::from_secs(7));
    }
}
