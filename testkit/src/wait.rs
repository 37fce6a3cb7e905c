//! Waiting for a condition with a deadline. The only place of the tests in which
//! time passes: nothing else sleeps.

use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for something that normally takes milliseconds.
/// Generous, because a loaded machine is slow and a missed deadline fails the test.
pub const LONG: Duration = Duration::from_secs(60);

const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// Returns once `condition` holds; panics with `what` when `limit` passes first.
#[track_caller]
pub fn until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    until_some(what, limit, || condition().then_some(()));
}

/// Like [`until`], for a condition that yields a value.
#[track_caller]
pub fn until_some<T>(what: &str, limit: Duration, probe: impl FnMut() -> Option<T>) -> T {
    match within(limit, probe) {
        Some(value) => value,
        None => panic!("waited {limit:?} in vain for: {what}"),
    }
}

/// The probe's value, or `None` once `limit` has passed. Probes at least once.
pub fn within<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(value) = probe() {
            return Some(value);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        thread::park_timeout(pause.min(left));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_the_value_of_the_first_probe_that_holds() {
        let mut probes = 0;
        let value = until_some("third probe", LONG, || {
            probes += 1;
            (probes == 3).then_some(probes)
        });
        assert_eq!(value, 3);
    }

    #[test]
    fn gives_up_when_the_limit_has_passed() {
        assert_eq!(within(Duration::ZERO, || None::<()>), None);
    }

    #[test]
    #[should_panic(expected = "in vain for: a miracle")]
    fn names_what_it_waited_for() {
        until("a miracle", Duration::ZERO, || false);
    }
}
