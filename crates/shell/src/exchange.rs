//! Owns the pools where the workers meet: each behind a short mutex that is never held across I/O,
//! libssl or an await. Takes requests for a lease, gives guards that give it back, and keeps the
//! connections that rest.
//!
//! A pool belongs to the name of a database, not to one setup: it outlives a reload, so that a limit
//! counts the connections of before, too. What rested under the setup of before is closed then.

mod hall;
mod lease;
mod place;
mod sync;
#[cfg(test)]
mod tests;

pub use lease::{Leased, Lent, Turn};
pub use place::{Attending, Place};

use crate::rest::RestRules;
use crate::setup::Database;
use crate::trouble::Trouble;
use hall::Hall;
use place::{Shared, tell};
use pool::{Bounds, Pool};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use sync::{Arc, AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering, PoisonError};

/// All pools, one for each database that was asked for. `C` is a connection at rest.
pub struct Exchange<C> {
    pools: Mutex<HashMap<Name, Arc<Place<C>>>>,
    hall: Arc<Hall<C>>,
    clock: Clock,
}

/// What becomes of a connection at rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It rests on.
    Rests,
    /// It is so old that it has to go. One of each pool does at a time, so that those that were made
    /// together don't go together.
    IsOld,
    /// It is dead, or nobody may have it any more.
    IsGone,
}

/// What a database is called in the configuration; `None` for the entry of all names.
type Name = Option<String>;

/// The time of all pools.
#[derive(Clone)]
struct Clock {
    start: Instant,
}

impl<C> Default for Exchange<C> {
    fn default() -> Self {
        Exchange {
            pools: Mutex::default(),
            hall: Arc::default(),
            clock: Clock {
                start: Instant::now(),
            },
        }
    }
}

impl<C> Exchange<C> {
    /// Gives the pools the limits of another setup. Where that makes connections in another way, those
    /// that rest are given, and those that are lent don't come back. A pool that the setup doesn't have
    /// goes, unless a connection is lent or waited for; should its name come back, those count.
    pub fn rebound(&self, databases: &[Database], patience: Duration) -> Vec<C> {
        let (mut called, mut closed) = (Vec::new(), Vec::new());
        self.lock().retain(|name, place| {
            let mut shared = place.lock();
            let entry = databases.iter().find(|entry| entry.name == *name);
            let fingerprint = entry.map(|entry| entry.fingerprint);
            if fingerprint != Some(shared.fingerprint) {
                place.generation.fetch_add(1, Ordering::Relaxed);
                let numbers = shared.pool.empty();
                closed.extend(shared.take(numbers));
                shared.fingerprint = fingerprint.unwrap_or_default();
            }
            match entry {
                Some(entry) => {
                    shared.pool.rebound(bounds(entry, patience));
                    called.extend(place.serve(&mut shared));
                    true
                }
                None => shared.pool.lent() > 0 || shared.pool.waiting() > 0,
            }
        });
        tell(called);
        self.hall.look_again();
        self.hall.settle();
        closed
    }

    /// Takes out the connections that rested long enough, and those of which `fate` says so; it asks the
    /// kernel at most, and never waits.
    pub fn expire(&self, mut fate: impl FnMut(&mut C) -> Fate) -> Vec<C> {
        let places: Vec<_> = self.lock().values().map(Arc::clone).collect();
        let mut closed = Vec::new();
        for place in places {
            let mut shared = place.lock();
            let mut numbers = shared.pool.expire(self.clock.now());
            let (mut gone, mut old) = (Vec::new(), None);
            for (number, connection) in &mut shared.resting {
                match fate(connection) {
                    Fate::Rests => {}
                    Fate::IsGone => gone.push(*number),
                    Fate::IsOld => old = Some(*number),
                }
            }
            gone.extend(old);
            numbers.extend(gone.into_iter().filter(|it| shared.pool.forget(*it)));
            closed.extend(shared.take(numbers));
        }
        self.hall.settle();
        closed
    }

    /// Every pool with the name of its database.
    pub fn places(&self) -> Vec<(Option<String>, Arc<Place<C>>)> {
        let pools = self.lock();
        let each = pools.iter();
        each.map(|(name, place)| (name.clone(), Arc::clone(place)))
            .collect()
    }

    /// Connections that rest now, and those that are lent.
    pub fn counts(&self) -> (usize, usize) {
        let places: Vec<_> = self.lock().values().map(Arc::clone).collect();
        let count = |place: Arc<Place<C>>| {
            let shared = place.lock();
            (shared.pool.resting(), shared.pool.lent())
        };
        let add = |a: (usize, usize), b: (usize, usize)| (a.0 + b.0, a.1 + b.1);
        places.into_iter().map(count).fold((0, 0), add)
    }

    /// The pool of a database.
    pub fn place(&self, database: &Database, patience: Duration) -> Arc<Place<C>> {
        let mut pools = self.lock();
        if let Some(place) = pools.get(&database.name) {
            return Arc::clone(place);
        }
        let roll = self.hall.roll();
        let id = roll.pool();
        let shared = Shared {
            pool: Pool::new(bounds(database, patience), roll),
            resting: HashMap::new(),
            waiters: HashMap::new(),
            fingerprint: database.fingerprint,
        };
        let place = Arc::new(Place {
            shared: Mutex::new(shared),
            hall: Arc::clone(&self.hall),
            clock: self.clock.clone(),
            generation: AtomicU64::new(0),
            pinned: AtomicUsize::new(0),
            trouble: Trouble::default(),
        });
        self.hall.open(id, &place);
        pools.insert(database.name.clone(), Arc::clone(&place));
        place
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Arc<Place<C>>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bounds(database: &Database, patience: Duration) -> Bounds {
    let RestRules {
        resting_max,
        rest_max,
        ..
    } = database.rest;
    Bounds {
        connections_max: database.connections_max,
        resting_max,
        rest_max,
        wait_max: patience,
    }
}

impl Clock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}
