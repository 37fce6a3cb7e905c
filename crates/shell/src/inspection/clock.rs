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

/// The second of the day in which things happen, which is one for many of them.
#[derive(Default)]
pub(super) struct Second(Option<(Instant, Instant, u64)>);

impl Second {
    /// Seconds since 1970 at a moment.
    #[inline]
    pub(super) fn of(&mut self, moment: Instant, clock: &Clock) -> u64 {
        match self.0 {
            Some((from, until, second)) if from <= moment && moment < until => second,
            _ => self.look(moment, clock),
        }
    }

    #[cold]
    fn look(&mut self, moment: Instant, clock: &Clock) -> u64 {
        let day = clock.since_1970(moment);
        let rest = Duration::from_secs(1) - Duration::from_nanos(u64::from(day.subsec_nanos()));
        self.0 = Some((moment, moment + rest, day.as_secs()));
        day.as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_that_of_the_clock() {
        let (clock, mut second) = (Clock::default(), Second::default());
        let start = Instant::now();
        for step in (0..5000).chain([100, 4999]) {
            let moment = start + Duration::from_millis(step);
            assert_eq!(
                second.of(moment, &clock),
                clock.since_1970(moment).as_secs()
            );
        }
    }

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
