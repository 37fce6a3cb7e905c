//! Owns the pools where the workers meet: each behind a short mutex that is never held across I/O,
//! libssl or an await. Takes requests for a lease, gives guards that give it back, and keeps the
//! connections that rest.
//!
//! A pool belongs to the name of a database, not to one setup: it outlives a reload, so that a limit
//! counts the connections of before, too. What rested under the setup of before is closed then.

mod hall;
mod lease;
mod numbered;
mod place;
mod sync;
#[cfg(test)]
mod tests;

pub use lease::{Leased, Lent, Turn};
pub(crate) use place::NO_LEADER;
pub use place::{Attending, Place};

use crate::rest::RestRules;
use crate::setup::{Database, Servers};
use crate::trouble::Trouble;
use hall::Hall;
use place::{Leading, Shared, tell};
use pool::{Bounds, Pool};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use sync::{Arc, AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering, PoisonError};

/// All pools: one for each database that was asked for, and one for each host of a cluster that it reads from.
/// `C` is a connection at rest.
pub struct Exchange<C> {
    pools: Mutex<HashMap<Of, Arc<Place<C>>>>,
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

/// What a pool is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Of {
    database: Name,
    /// The standby that it connects to; `None`: the database's servers, or its cluster's leader.
    standby: Option<cluster::Key>,
}

impl Of {
    fn database(database: &Database) -> Of {
        Of {
            database: database.name.clone(),
            standby: None,
        }
    }
}

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
        self.lock().retain(|of, place| {
            let mut shared = place.lock();
            let entry = databases.iter().find(|entry| entry.name == of.database);
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
                    shared.lead(of, entry);
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
        let (mut closed, mut called) = (Vec::new(), Vec::new());
        for place in places {
            let mut shared = place.lock();
            let mut numbers = shared.pool.expire(self.clock.at(Instant::now()));
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
            called.extend(place.serve(&mut shared));
        }
        tell(called);
        self.hall.settle();
        closed
    }

    /// Takes out the pools of standbys that belong to nothing any more, unless a connection is lent or waited for; gives
    /// what rested there.
    pub fn leave(&self, is_left: impl Fn(&Option<String>, &cluster::Key) -> bool) -> Vec<C> {
        let mut closed = Vec::new();
        self.lock().retain(|of, place| {
            let left = |standby| is_left(&of.database, standby);
            if !of.standby.as_ref().is_some_and(left) {
                return true;
            }
            let mut shared = place.lock();
            let numbers = shared.pool.empty();
            closed.extend(shared.take(numbers));
            shared.pool.lent() > 0 || shared.pool.waiting() > 0
        });
        self.hall.settle();
        closed
    }

    /// Every pool with the name of its database.
    pub fn places(&self) -> Vec<(Option<String>, Arc<Place<C>>)> {
        let pools = self.lock();
        let each = pools.iter();
        each.map(|(of, place)| (of.database.clone(), Arc::clone(place)))
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
        self.place_of(Of::database(database), (database, None), patience)
    }

    /// Its pool of connections to one standby of its cluster; `busy` counts the leases of all such pools.
    pub fn place_at(
        &self,
        database: &Database,
        (standby, busy): (&cluster::Key, &Arc<AtomicUsize>),
        patience: Duration,
    ) -> Arc<Place<C>> {
        let of = Of {
            standby: Some(standby.clone()),
            ..Of::database(database)
        };
        self.place_of(of, (database, Some(busy)), patience)
    }

    fn place_of(
        &self,
        of: Of,
        (database, busy): (&Database, Option<&Arc<AtomicUsize>>),
        patience: Duration,
    ) -> Arc<Place<C>> {
        let mut pools = self.lock();
        if let Some(place) = pools.get(&of) {
            return Arc::clone(place);
        }
        let roll = self.hall.roll();
        let id = roll.pool();
        let mut shared = Shared {
            leading: Leading::Configured,
            pool: Pool::new(bounds(database, patience), roll),
            resting: HashMap::default(),
            waiters: HashMap::default(),
            fingerprint: database.fingerprint,
        };
        shared.lead(&of, database);
        let place = Arc::new(Place {
            standby: of.standby.clone(),
            busy: busy.map(Arc::clone),
            shared: Mutex::new(shared),
            hall: Arc::clone(&self.hall),
            clock: self.clock.clone(),
            generation: AtomicU64::new(0),
            pinned: AtomicUsize::new(0),
            trouble: Trouble::default(),
        });
        self.hall.open(id, &place);
        pools.insert(of, Arc::clone(&place));
        place
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Of, Arc<Place<C>>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> Shared<C> {
    /// Has the pool follow its cluster's leader, where its database has one; until that is told, it has none.
    fn lead(&mut self, of: &Of, database: &Database) {
        let follows = of.standby.is_none() && matches!(database.servers, Servers::Of(_));
        match (&self.leading, follows) {
            (Leading::Configured, true) => {
                self.leading = Leading::Follows(None);
                self.pool.lose_leader();
            }
            (Leading::Follows(_), false) => {
                self.leading = Leading::Configured;
                self.pool.find_leader();
            }
            (Leading::Configured, false) | (Leading::Follows(_), true) => {}
        }
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
    fn at(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.start)
    }
}
