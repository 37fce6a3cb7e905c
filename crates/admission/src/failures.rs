//! Owns what follows from failed logins: a source that fails too often, and a user for whom too many
//! failed, have to wait. A source from which that user got in lately is not held up by what others
//! do in the user's name, so that nobody can be locked out from where they work.

use crate::rates::{Rate, Rates};
use crate::source::Source;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Pairs of source and user remembered as good.
const GOOD: usize = 1 << 12;

/// Why a login has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Too many failures from this source.
    Source,
    /// Too many failures for this user.
    User,
}

/// Failed logins. Whether a user exists makes no difference to anything here.
pub struct Failures {
    sources: Rates,
    users: Rates,
    seed: RandomState,
    /// Fingerprints of pairs that got in; a newer one takes the place of an older one.
    good: Vec<u64>,
}

impl Failures {
    /// None yet; `rate` holds for each source and for each user.
    pub fn new(rate: Rate, mut seed: impl FnMut() -> RandomState) -> Failures {
        Failures {
            sources: Rates::new(rate, [seed(), seed()]),
            users: Rates::new(rate, [seed(), seed()]),
            seed: seed(),
            good: vec![0; GOOD],
        }
    }

    /// Whether this login may be tried. This machine's own sockets always may.
    pub fn check(&self, source: Source, user: &str, now: Duration) -> Result<(), Blame> {
        if source == Source::Local {
            return Ok(());
        }
        if !self.sources.allows(&source, now) {
            return Err(Blame::Source);
        }
        match self.users.allows(&user, now) || self.is_good(source, user) {
            true => Ok(()),
            false => Err(Blame::User),
        }
    }

    /// A login failed: the proof was wrong, or there was none.
    pub fn failed(&mut self, source: Source, user: &str, now: Duration) {
        if source != Source::Local {
            self.sources.spend(&source, now);
            self.users.spend(&user, now);
        }
    }

    /// A login succeeded.
    pub fn succeeded(&mut self, source: Source, user: &str) {
        let (place, mark) = self.mark(source, user);
        self.good[place] = mark;
    }

    fn is_good(&self, source: Source, user: &str) -> bool {
        let (place, mark) = self.mark(source, user);
        self.good[place] == mark
    }

    fn mark(&self, source: Source, user: &str) -> (usize, u64) {
        let hash = self.seed.hash_one((source, user));
        (hash as usize % GOOD, hash | 1 << 63)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(5);
    const HOME: Source = Source::V4([10, 0, 0, 1]);

    fn failures(burst: u32) -> Failures {
        let rate = Rate::of(60, Duration::from_secs(60), burst).unwrap();
        Failures::new(rate, RandomState::new)
    }

    #[test]
    fn a_source_that_fails_too_often_waits_whomever_it_names() {
        let mut failures = failures(3);
        for user in ["a", "b", "c"] {
            assert_eq!(failures.check(HOME, user, NOW), Ok(()));
            failures.failed(HOME, user, NOW);
        }
        assert_eq!(failures.check(HOME, "d", NOW), Err(Blame::Source));
        let later = NOW + Duration::from_millis(1001);
        assert_eq!(failures.check(HOME, "d", later), Ok(()));
    }

    #[test]
    fn guesses_from_many_places_hold_up_strangers_but_not_who_got_in() {
        let mut failures = failures(3);
        failures.succeeded(HOME, "app");
        for last in 10..20 {
            failures.failed(Source::V4([192, 0, 2, last]), "app", NOW);
        }
        let stranger = Source::V4([198, 51, 100, 1]);
        assert_eq!(failures.check(stranger, "app", NOW), Err(Blame::User));
        assert_eq!(failures.check(stranger, "other", NOW), Ok(()));
        assert_eq!(failures.check(HOME, "app", NOW), Ok(()));
    }

    #[test]
    fn this_machine_is_never_held_up() {
        let mut failures = failures(1);
        for _ in 0..9 {
            failures.failed(Source::Local, "a", NOW);
        }
        assert_eq!(failures.check(Source::Local, "a", NOW), Ok(()));
        assert_eq!(failures.check(HOME, "a", NOW), Ok(()));
    }
}
