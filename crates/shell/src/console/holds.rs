//! Owns what administrators hold up: paused databases lend no server connection, disabled ones take no
//! client. Databases go by the name of their entry in the configuration.

use admin::{Pauses, Refusal};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is held up now. That nothing is lent is the pools' doing: see [`apply`](super::carry::apply).
#[derive(Default)]
pub(crate) struct Holds {
    /// Whether any database is disabled: what each login asks first.
    any_disabled: AtomicBool,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    all: bool,
    /// All are paused, and no session moves.
    suspended: bool,
    paused: BTreeSet<String>,
    disabled: BTreeSet<String>,
}

impl Holds {
    /// True while a database lends no server connections.
    pub(crate) fn is_paused(&self, database: &str) -> bool {
        let held = self.lock();
        held.all || held.paused.contains(database)
    }

    /// True while a database takes no clients.
    pub(crate) fn is_disabled(&self, database: &str) -> bool {
        self.any_disabled.load(Ordering::Acquire) && self.lock().disabled.contains(database)
    }

    /// Whether all are paused.
    pub(crate) fn pauses(&self) -> Pauses {
        let held = self.lock();
        match (held.suspended, held.all) {
            (true, _) => Pauses::Suspended,
            (false, true) => Pauses::Paused,
            (false, false) => Pauses::Active,
        }
    }

    /// Whether this database is paused by itself, and whether it is disabled.
    pub(crate) fn of(&self, database: &str) -> (bool, bool) {
        let held = self.lock();
        let paused = held.paused.contains(database);
        (paused, held.disabled.contains(database))
    }

    /// Pauses one database or all.
    pub(crate) fn pause(&self, database: Option<&str>) -> Result<(), Refusal> {
        let mut held = self.lock();
        if held.all {
            return Err(Refusal::AlreadyPaused);
        }
        match database {
            Some(name) => drop(held.paused.insert(name.to_owned())),
            None => held.all = true,
        }
        Ok(())
    }

    /// Pauses all, and has no session move.
    pub(crate) fn suspend(&self) -> Result<(), Refusal> {
        let mut held = self.lock();
        if held.all {
            return Err(Refusal::AlreadyPaused);
        }
        if !held.paused.is_empty() {
            return Err(Refusal::PausedDatabases);
        }
        (held.all, held.suspended) = (true, true);
        Ok(())
    }

    /// Ends that.
    pub(crate) fn resume(&self, database: Option<&str>) -> Result<(), Refusal> {
        let mut held = self.lock();
        match database {
            Some(name) if held.paused.remove(name) => Ok(()),
            Some(name) => Err(Refusal::DatabaseNotPaused(name.to_owned())),
            // KILL pauses each database: RESUME takes back what it and PAUSE did.
            None if held.all || !held.paused.is_empty() => {
                (held.all, held.suspended) = (false, false);
                held.paused.clear();
                Ok(())
            }
            None => Err(Refusal::NotPaused),
        }
    }

    /// Turns a database off or on.
    pub(crate) fn disable(&self, database: &str, disabled: bool) {
        let mut held = self.lock();
        match disabled {
            true => drop(held.disabled.insert(database.to_owned())),
            false => drop(held.disabled.remove(database)),
        }
        let any = !held.disabled.is_empty();
        self.any_disabled.store(any, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_database_and_all() {
        let holds = Holds::default();
        assert_eq!(holds.resume(None), Err(Refusal::NotPaused));
        let not_paused = Refusal::DatabaseNotPaused("a".into());
        assert_eq!(holds.resume(Some("a")), Err(not_paused));
        holds.pause(Some("a")).unwrap();
        assert!(holds.is_paused("a") && !holds.is_paused("b"));
        assert_eq!(holds.pauses(), Pauses::Active);
        holds.resume(Some("a")).unwrap();
        holds.pause(None).unwrap();
        assert!(holds.is_paused("b") && holds.of("b") == (false, false));
        assert_eq!(holds.pauses(), Pauses::Paused);
        assert_eq!(holds.pause(None), Err(Refusal::AlreadyPaused));
        assert_eq!(holds.pause(Some("b")), Err(Refusal::AlreadyPaused));
        holds.resume(None).unwrap();
        assert!(!holds.is_paused("a") && !holds.is_paused("b"));
    }

    #[test]
    fn all_are_suspended_or_nothing_is() {
        let holds = Holds::default();
        holds.pause(Some("a")).unwrap();
        assert_eq!(holds.suspend(), Err(Refusal::PausedDatabases));
        holds.resume(None).unwrap();
        holds.suspend().unwrap();
        assert!(holds.is_paused("a"));
        assert_eq!(holds.pauses(), Pauses::Suspended);
        assert_eq!(holds.suspend(), Err(Refusal::AlreadyPaused));
        assert_eq!(holds.pause(None), Err(Refusal::AlreadyPaused));
        holds.resume(None).unwrap();
        assert_eq!(holds.pauses(), Pauses::Active);
        holds.pause(None).unwrap();
        assert_eq!(holds.pauses(), Pauses::Paused);
    }

    #[test]
    fn databases_are_turned_off_and_on() {
        let holds = Holds::default();
        holds.disable("a", true);
        assert!(holds.is_disabled("a") && !holds.is_disabled("b") && !holds.is_paused("a"));
        holds.disable("a", false);
        assert!(!holds.is_disabled("a") && !holds.any_disabled.load(Ordering::Relaxed));
    }
}
