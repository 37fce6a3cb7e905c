//! Owns what is held up: paused databases get no server connection, disabled ones no client.

use admin::{Pauses, Refusal};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What is held up now.
#[derive(Default)]
pub(crate) struct Holds {
    /// Whether there is anything to look up at all: what each lease asks first.
    any: AtomicBool,
    held: Mutex<Held>,
    changed: Notify,
}

#[derive(Default)]
struct Held {
    all: bool,
    paused: BTreeSet<String>,
    disabled: BTreeSet<String>,
}

impl Holds {
    /// True while a database gets no server connections.
    pub(crate) fn is_paused(&self, database: &str) -> bool {
        if !self.any.load(Ordering::Acquire) {
            return false;
        }
        let held = self.lock();
        held.all || held.paused.contains(database)
    }

    /// True while a database takes no clients.
    pub(crate) fn is_disabled(&self, database: &str) -> bool {
        self.any.load(Ordering::Acquire) && self.lock().disabled.contains(database)
    }

    /// Ready when a database gets server connections again.
    pub(crate) async fn open(&self, database: &str) {
        loop {
            let changed = self.changed.notified();
            if !self.is_paused(database) {
                return;
            }
            changed.await;
        }
    }

    /// Whether all are paused.
    pub(crate) fn pauses(&self) -> Pauses {
        match self.lock().all {
            true => Pauses::Paused,
            false => Pauses::Active,
        }
    }

    /// Whether this database is paused by itself, and whether it is disabled.
    pub(crate) fn of(&self, database: &str) -> (bool, bool) {
        let held = self.lock();
        (
            held.paused.contains(database),
            held.disabled.contains(database),
        )
    }

    /// Pauses one database or all.
    pub(crate) fn pause(&self, database: Option<&str>) -> Result<(), Refusal> {
        self.change(|held| {
            if held.all {
                return Err(Refusal::AlreadyPaused);
            }
            match database {
                Some(name) => drop(held.paused.insert(name.to_owned())),
                None => held.all = true,
            }
            Ok(())
        })
    }

    /// Ends that.
    pub(crate) fn resume(&self, database: Option<&str>) -> Result<(), Refusal> {
        self.change(|held| match database {
            Some(name) if held.paused.remove(name) => Ok(()),
            Some(name) => Err(Refusal::DatabaseNotPaused(name.to_owned())),
            None if held.all => {
                held.all = false;
                Ok(())
            }
            None => Err(Refusal::NotPaused),
        })
    }

    /// Turns a database off or on.
    pub(crate) fn disable(&self, database: &str, disabled: bool) {
        let _ = self.change(|held| {
            match disabled {
                true => drop(held.disabled.insert(database.to_owned())),
                false => drop(held.disabled.remove(database)),
            }
            Ok(())
        });
    }

    fn change(&self, change: impl FnOnce(&mut Held) -> Result<(), Refusal>) -> Result<(), Refusal> {
        let mut held = self.lock();
        let changed = change(&mut held);
        let any = held.all || !held.paused.is_empty() || !held.disabled.is_empty();
        self.any.store(any, Ordering::Release);
        drop(held);
        self.changed.notify_waiters();
        changed
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
        assert_eq!(
            holds.resume(Some("a")),
            Err(Refusal::DatabaseNotPaused("a".into()))
        );
        holds.pause(Some("a")).unwrap();
        assert!(holds.is_paused("a") && !holds.is_paused("b"));
        holds.pause(None).unwrap();
        assert!(holds.is_paused("b"));
        assert_eq!(holds.pause(None), Err(Refusal::AlreadyPaused));
        assert_eq!(holds.pause(Some("b")), Err(Refusal::AlreadyPaused));
        holds.resume(None).unwrap();
        assert!(holds.is_paused("a") && !holds.is_paused("b"));
        holds.resume(Some("a")).unwrap();
        assert!(!holds.any.load(Ordering::Relaxed));
        holds.disable("a", true);
        assert!(holds.is_disabled("a") && !holds.is_paused("a"));
        holds.disable("a", false);
        assert!(!holds.is_disabled("a") && !holds.any.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn who_waits_goes_on_at_once() {
        let holds = std::sync::Arc::new(Holds::default());
        holds.open("a").await;
        holds.pause(Some("a")).unwrap();
        let waiting = {
            let holds = std::sync::Arc::clone(&holds);
            tokio::spawn(async move { holds.open("a").await })
        };
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        holds.resume(Some("a")).unwrap();
        waiting.await.unwrap();
    }
}
