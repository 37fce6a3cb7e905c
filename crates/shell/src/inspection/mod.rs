//! Seeing what clients execute: what each worker remembers of it, and who may look.
//!
//! The session tells what happens ([`session::inspect`]); here it gets its time, which is the one that the
//! session's stopwatch read anyway. From there it goes to what the client shows of itself ([`activity`]) and to the
//! worker's statistics by pattern. Nothing of it exists for a client whose setup doesn't ask for it.

pub(crate) mod activity;
mod clock;
pub(crate) mod families;
mod logbook;
pub(crate) mod shown;
mod spans;
mod tracker;

pub(crate) use activity::Activity;
pub use logbook::{Before, Form, LogRules};
pub(crate) use tracker::{Tracker, Waits, Wishes};

use crate::setup::InspectionRules;
use clock::Clock;
use patterns::{Merged, Recogniser, Table, WindowLength};
use pool::Home;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a worker knows of its clients' statements.
pub(crate) struct Watched {
    /// Finds patterns.
    pub(crate) recogniser: Recogniser,
    table: Mutex<Table>,
    clock: Clock,
    length: WindowLength,
}

impl Watched {
    fn new(key: [u8; 32], rules: &InspectionRules, length: WindowLength) -> Watched {
        Watched {
            recogniser: Recogniser::new(key),
            table: Mutex::new(Table::new(key, rules.patterns).with_windows(length)),
            clock: Clock::default(),
            length,
        }
    }

    /// Its statistics. Locked by its worker for as long as it takes to count, and by those who look.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rows that are copied while a worker may have to wait.
const AT_ONCE: usize = 128;

impl Watched {
    /// Adds its rows, a few at a time; all at once only if rows had to make room meanwhile.
    fn add_to(&self, merged: &mut Merged) {
        let evicted = self.table().evicted();
        let mut rows = Vec::new();
        loop {
            let table = self.table();
            if table.evicted() != evicted {
                return table.add_to(merged);
            }
            let some = table.some(rows.len(), AT_ONCE);
            if some.is_empty() {
                table.add_rest_to(merged);
                break;
            }
            drop(table);
            rows.extend(some);
        }
        for row in rows {
            merged.add(row);
        }
    }
}

/// What all workers know, by worker.
#[derive(Default)]
pub(crate) struct Inspections(Mutex<Vec<(Home, Arc<Watched>)>>);

impl Inspections {
    fn lock(&self) -> MutexGuard<'_, Vec<(Home, Arc<Watched>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this worker knows; its bounds are these from now on. Windows stay as long as the first one's.
    pub(crate) fn of(&self, home: Home, key: [u8; 32], rules: &InspectionRules) -> Arc<Watched> {
        let mut workers = self.lock();
        if let Some((_, watched)) = workers.iter().find(|(of, _)| *of == home) {
            watched.table().set_bounds(rules.patterns);
            return Arc::clone(watched);
        }
        let length = workers.first().map_or(rules.window, |it| it.1.length);
        let watched = Arc::new(Watched::new(key, rules, length));
        workers.push((home, Arc::clone(&watched)));
        watched
    }

    /// How long the windows are, as far as there are any.
    pub(crate) fn length(&self) -> WindowLength {
        self.lock()
            .first()
            .map(|it| it.1.length)
            .unwrap_or_default()
    }

    /// The rows of all workers.
    pub(crate) fn merged(&self) -> Merged {
        let mut merged = Merged::default();
        let workers: Vec<_> = self.lock().iter().map(|it| Arc::clone(&it.1)).collect();
        for watched in workers {
            watched.add_to(&mut merged);
        }
        merged
    }

    /// Forgets what was counted by pattern.
    pub(crate) fn reset(&self) {
        for (_, watched) in self.lock().iter() {
            watched.table().reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use patterns::{Pattern, Run, Who};

    /// More rows than are copied at once, of two workers.
    #[test]
    fn rows_of_all_workers_are_added_and_forgotten_together() {
        let inspections = Inspections::default();
        let rules = InspectionRules::default();
        for home in [Home(0), Home(1), Home(0)] {
            let watched = inspections.of(home, [1; 32], &rules);
            let mut table = watched.table();
            let who = Arc::new(Who::default());
            let key = table.key_of(&who);
            for number in 0..3 * AT_ONCE {
                let pattern = Arc::new(Pattern::untold(&number.to_string()));
                table.note(&pattern, (&who, key), &Run::default(), 60);
            }
        }
        let rows = inspections.merged().rows();
        assert_eq!(rows.len(), 3 * AT_ONCE);
        assert!(rows.iter().all(|row| row.sum.all.calls == 3));
        inspections.reset();
        assert!(inspections.merged().rows().is_empty());
    }
}
