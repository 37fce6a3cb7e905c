//! Owns one pool where the workers meet: the connections that rest and those who wait for one, behind a
//! short mutex. Takes requests, pauses and returned leases, gives guards; calls waiters outside the mutex
//! where it can, and never waits for I/O.

use super::Clock;
use super::hall::{Hall, Roll};
use super::lease::{Busy, Leased, Lent, Turn};
use super::numbered::Numbered;
use super::sync::{Arc, AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering, PoisonError, oneshot};
use crate::rest::Key;
use crate::trouble::Trouble;
use pool::{Asked, Group, Hindrance, Home, Lease, Pool, Returned, Served, Ticket, Wanted};
use session::fault::{Fault, FaultKind, Side};
use std::collections::HashMap;
use std::future::poll_fn;
use std::time::{Duration, Instant};

/// One pool, what rests in it, and those who wait for it.
pub struct Place<C> {
    /// The standby that it connects to; `None`: the database's servers, or its cluster's leader.
    pub standby: Option<cluster::Key>,
    /// Where its leases are counted, if anybody wants to know.
    pub(super) busy: Option<Arc<AtomicUsize>>,
    pub(super) shared: Mutex<Shared<C>>,
    pub(super) hall: Arc<Hall<C>>,
    pub(super) clock: Clock,
    /// How often all its connections were to be replaced.
    pub(super) generation: AtomicU64,
    pub(super) pinned: AtomicUsize,
    /// Whether its servers can be reached.
    pub trouble: Trouble,
}

/// A connection that a client keeps for what only that one has.
pub struct Pin<C>(Arc<Place<C>>);

impl<C> Drop for Pin<C> {
    fn drop(&mut self) {
        self.0.pinned.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How a pool stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Connections in use.
    pub lent: usize,
    /// Connections that nobody uses.
    pub resting: usize,
    /// Those who wait for one.
    pub waiting: usize,
    /// Nothing is lent.
    pub paused: bool,
}

/// A client in a pool, until this is dropped: see [`Place::attend`].
pub struct Attending<C> {
    place: Arc<Place<C>>,
    group: Group,
    guaranteed: usize,
}

impl<C> Drop for Attending<C> {
    fn drop(&mut self) {
        let called = {
            let mut shared = self.place.lock();
            shared.pool.depart(self.group, self.guaranteed);
            self.place.serve(&mut shared)
        };
        tell(called);
        self.place.hall.settle();
    }
}

/// What is waited for where a cluster has no leader.
pub(crate) const NO_LEADER: &str =
    "waiting for a server of the cluster to connect to: it has no primary now";

/// What a client is told that waited too long: which setting ended the wait, and which one made it wait.
pub(super) fn too_long(hindrance: Option<Hindrance>) -> Fault {
    let phase = match hindrance {
        Some(Hindrance::Paused) => "waiting for a server connection while the database is paused",
        Some(Hindrance::Leaderless) => NO_LEADER,
        Some(Hindrance::Group) => "waiting for a free server connection (pool_size)",
        Some(Hindrance::Role) => "waiting for a free server connection (max_user_connections)",
        Some(Hindrance::Pool) => "waiting for a free server connection (max_db_connections)",
        Some(Hindrance::Guarantees) => {
            "waiting for a free server connection (max_db_connections, pool_guaranteed)"
        }
        None => "waiting for a free server connection (pool_size, max_db_connections)",
    };
    let setting = "query_wait_timeout";
    Fault::new(Side::Proxy, FaultKind::Timeout { setting, phase })
}

pub(super) type Call<C> = oneshot::Sender<Lent<C>>;

/// Gives those who waited what is theirs. Not under a lock: a waiter that is gone by now gives its lease
/// back at once.
pub(super) fn tell<C>(called: Vec<(Call<C>, Lent<C>)>) {
    for (call, lent) in called {
        let _ = call.send(lent);
    }
}

/// Which server a pool connects to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Leading {
    /// Whichever can be reached of those that are configured.
    Configured,
    /// The leader of a cluster, if it has one.
    Follows(Option<cluster::Key>),
}

pub(super) struct Shared<C> {
    pub(super) leading: Leading,
    pub(super) pool: Pool<Key, Roll>,
    pub(super) resting: HashMap<u64, C, Numbered>,
    pub(super) waiters: HashMap<Ticket, Call<C>, Numbered>,
    /// How its connections are made: see [`Database::fingerprint`](crate::setup::Database::fingerprint).
    pub(super) fingerprint: [u8; 32],
}

impl<C> Shared<C> {
    pub(super) fn take(&mut self, numbers: Vec<u64>) -> Vec<C> {
        let numbers = numbers.into_iter();
        numbers.filter_map(|it| self.resting.remove(&it)).collect()
    }
}

impl<C> Place<C> {
    /// A connection or the right to make one, if that can be had at once, at `now`; else a turn to wait for.
    pub fn ask(self: &Arc<Self>, wanted: Wanted<Key>, now: Instant) -> Result<Lent<C>, Turn<C>> {
        let now = self.clock.at(now);
        let mut shared = self.lock();
        let lent = match shared.pool.ask(wanted, now) {
            Asked::Granted(lease) => match shared.resting.remove(&lease.number()) {
                Some(rested) => Lent::Rested(self.guard(lease), rested),
                None => Lent::Fresh(self.guard(lease)),
            },
            Asked::Dial(lease) => Lent::Fresh(self.guard(lease)),
            Asked::Replace(lease, gone) => {
                let made_room = shared.resting.remove(&gone);
                drop(shared);
                drop(made_room);
                self.hall.settle();
                Lent::Fresh(self.guard(lease))
            }
            Asked::Wait(ticket) => {
                let (call, called) = oneshot::channel();
                shared.waiters.insert(ticket, call);
                drop(shared);
                self.hall.settle();
                return Err(Turn {
                    place: Arc::clone(self),
                    ticket: Some(ticket),
                    called,
                });
            }
        };
        Ok(lent)
    }

    /// The same, waiting for the turn; waits end after `patience`.
    pub async fn lease(
        self: &Arc<Self>,
        wanted: Wanted<Key>,
        patience: Duration,
    ) -> Result<Lent<C>, Fault> {
        let mut turn = match self.ask(wanted, Instant::now()) {
            Ok(lent) => return Ok(lent),
            Err(turn) => turn,
        };
        let called = poll_fn(|cx| turn.poll(cx));
        let called = tokio::time::timeout(patience, called).await;
        called.map_err(|_| turn.too_long())
    }

    /// Notes that a client keeps a connection for what only that one has; `None` if as many as may do.
    pub fn pin(self: &Arc<Self>, max: usize) -> Option<Pin<C>> {
        let pinned = self.pinned.fetch_add(1, Ordering::Relaxed);
        let pin = Pin(Arc::clone(self));
        (pinned < max).then_some(pin)
    }

    /// Lends nothing from now on: who asks waits.
    pub fn pause(&self) {
        self.lock().pool.pause();
    }

    /// Lends again.
    pub fn resume(self: &Arc<Self>) {
        let called = {
            let mut shared = self.lock();
            shared.pool.resume();
            self.serve(&mut shared)
        };
        tell(called);
        self.hall.settle();
    }

    /// Another server is connected to from now on, or none (`None`): what rests is given, to be closed, and what is
    /// lent doesn't come back. False if that was so already.
    pub fn follow(self: &Arc<Self>, leader: Option<cluster::Key>) -> Option<Vec<C>> {
        let (closed, called) = {
            let mut shared = self.lock();
            let leader = Leading::Follows(leader);
            if shared.leading == leader {
                return None;
            }
            shared.leading = leader;
            self.generation.fetch_add(1, Ordering::Release);
            let numbers = shared.pool.empty();
            let closed = shared.take(numbers);
            match &shared.leading {
                Leading::Follows(Some(_)) | Leading::Configured => shared.pool.find_leader(),
                Leading::Follows(None) => shared.pool.lose_leader(),
            }
            (closed, self.serve(&mut shared))
        };
        tell(called);
        self.hall.settle();
        Some(closed)
    }

    /// A client of the group is there, and so many connections are kept for those, until the end.
    pub fn attend(self: &Arc<Self>, group: Group, guaranteed: usize) -> Attending<C> {
        self.lock().pool.attend(group, guaranteed);
        Attending {
            place: Arc::clone(self),
            group,
            guaranteed,
        }
    }

    /// Has connections of these groups stay while there are no more than so many.
    pub fn keep_ready(&self, ready: HashMap<Group, usize>) {
        self.lock().pool.keep_ready(ready);
    }

    /// The right to connect ahead of need, while the group has fewer than `least` connections.
    pub fn prepare(self: &Arc<Self>, wanted: &Wanted<Key>, least: usize) -> Option<Leased<C>> {
        let lease = self.lock().pool.prepare(wanted, least)?;
        Some(self.guard(lease))
    }

    /// Connections of a group.
    pub fn existing(&self, group: Group) -> usize {
        self.lock().pool.existing(group)
    }

    /// Serves those who can be served now.
    pub(super) fn serve_those_who_wait(self: &Arc<Self>) {
        let called = self.serve(&mut self.lock());
        tell(called);
    }

    pub(super) fn is_held_up(&self, group: Group) -> bool {
        self.lock().pool.is_held_up(group)
    }

    /// Closes a connection of the group that rests here; false if none does.
    pub(super) fn yield_one(&self, group: Group) -> bool {
        let mut shared = self.lock();
        let Some(number) = shared.pool.yield_one(group) else {
            return false;
        };
        let closed = shared.resting.remove(&number);
        drop(shared);
        drop(closed);
        true
    }

    /// Has every connection of now closed once nobody uses it; gives those that rest.
    pub fn reconnect(self: &Arc<Self>) -> Vec<C> {
        self.generation.fetch_add(1, Ordering::Relaxed);
        let (closed, called) = {
            let mut shared = self.lock();
            let numbers = shared.pool.empty();
            (shared.take(numbers), self.serve(&mut shared))
        };
        tell(called);
        self.hall.settle();
        closed
    }

    /// Connections that clients keep for what only those have.
    pub fn pinned(&self) -> usize {
        self.pinned.load(Ordering::Relaxed)
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        let shared = self.lock();
        Standing {
            lent: shared.pool.lent(),
            resting: shared.pool.resting(),
            waiting: shared.pool.waiting(),
            paused: shared.pool.is_paused(),
        }
    }

    /// Those whom something can be given now.
    pub(super) fn serve(self: &Arc<Self>, shared: &mut Shared<C>) -> Vec<(Call<C>, Lent<C>)> {
        let mut called = Vec::new();
        while let Some(served) = shared.pool.serve() {
            let (ticket, lent) = match served {
                Served::Dial(ticket, lease) => (ticket, Lent::Fresh(self.guard(lease))),
                Served::Rested(ticket, lease) => match shared.resting.remove(&lease.number()) {
                    Some(rested) => (ticket, Lent::Rested(self.guard(lease), rested)),
                    None => (ticket, Lent::Fresh(self.guard(lease))),
                },
                Served::Replace(ticket, lease, gone) => {
                    drop(shared.resting.remove(&gone));
                    (ticket, Lent::Fresh(self.guard(lease)))
                }
            };
            if let Some(call) = shared.waiters.remove(&ticket) {
                called.push((call, lent));
            }
        }
        called
    }

    /// How often all its connections were to be replaced.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(super) fn guard(self: &Arc<Self>, lease: Lease) -> Leased<C> {
        Leased {
            place: Arc::clone(self),
            lease: Some(lease),
            generation: self.generation(),
            back: None,
            _busy: self.busy.as_ref().map(Busy::new),
        }
    }

    /// Ends a lease at `now`; the connections that this closes are given.
    pub(super) fn give_back(
        self: &Arc<Self>,
        mut lease: Lease,
        mut clean: Option<((Key, Home), C)>,
        now: Instant,
    ) -> Vec<C> {
        let now = self.clock.at(now);
        loop {
            let mut shared = self.lock();
            let key = clean.as_ref().map(|(key, _)| *key);
            let (call, lent) = match shared.pool.give_back(lease, key, now) {
                Returned::Rest { kept, closed } => {
                    shared.resting.extend(clean.map(|(_, it)| (kept, it)));
                    if closed.is_empty() {
                        return Vec::new();
                    }
                    // The room of those may be what somebody waits for.
                    let closed = shared.take(closed);
                    let called = self.serve(&mut shared);
                    drop(shared);
                    tell(called);
                    self.hall.settle();
                    return closed;
                }
                Returned::Close => {
                    drop(shared);
                    self.hall.settle();
                    return clean.into_iter().map(|(_, it)| it).collect();
                }
                Returned::HandTo(ticket, next) => {
                    let call = shared.waiters.remove(&ticket);
                    let mut guard = self.guard(next);
                    guard.back = key;
                    match clean.take() {
                        Some((_, it)) => (call, Lent::Rested(guard, it)),
                        None => (call, Lent::Fresh(guard)),
                    }
                }
                Returned::CloseAndCall(ticket, next) => {
                    let call = shared.waiters.remove(&ticket);
                    (call, Lent::Fresh(self.guard(next)))
                }
            };
            drop(shared);
            if let Lent::Fresh(_) = lent {
                // One closes, and in another pool somebody may have its place.
                self.hall.settle();
            }
            // A called waiter may be gone by now: then the next one is called.
            let unclaimed = match call {
                Some(call) => match call.send(lent) {
                    Ok(()) => return clean.into_iter().map(|(_, it)| it).collect(),
                    Err(unclaimed) => unclaimed,
                },
                None => lent,
            };
            let mut guard = match unclaimed {
                Lent::Rested(guard, it) => {
                    clean = key.map(|key| (key, it));
                    guard
                }
                Lent::Fresh(guard) => guard,
            };
            match guard.lease.take() {
                Some(unclaimed) => lease = unclaimed,
                None => return Vec::new(),
            }
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Shared<C>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
