//! Owns the pools where the workers meet: each behind a short mutex that is never held across I/O,
//! libssl or an await. Takes requests for a lease, gives guards that give it back, and keeps the
//! connections that rest.
//!
//! A pool belongs to the name of a database, not to one setup: it outlives a reload, so that a limit
//! counts the connections of before, too. What rested under the setup of before is closed then.

use crate::rest::{Key, RestRules};
use crate::setup::Database;
use pool::{Asked, Bounds, Home, Lease, Pool, Returned, Served, Ticket, Wanted};
use session::fault::{Fault, FaultKind, Side};
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// All pools, one for each database that was asked for. `C` is a connection at rest.
pub struct Exchange<C> {
    pools: Mutex<HashMap<Name, Arc<Place<C>>>>,
    clock: Clock,
}

/// What a database is called in the configuration; `None` for the entry of all names.
type Name = Option<String>;

/// The time of all pools, and how often the setup has changed.
#[derive(Clone)]
struct Clock {
    start: Instant,
    generation: Arc<AtomicU64>,
}

/// One pool, what rests in it, and those who wait for it.
pub struct Place<C> {
    shared: Mutex<Shared<C>>,
    clock: Clock,
    /// How often all its connections were to be replaced.
    generation: AtomicU64,
    pinned: AtomicUsize,
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

type Call<C> = oneshot::Sender<Lent<C>>;

/// Gives those who waited what is theirs. Not under a lock: a waiter that is gone by now gives its lease
/// back at once.
fn tell<C>(called: Vec<(Call<C>, Lent<C>)>) {
    for (call, lent) in called {
        let _ = call.send(lent);
    }
}

struct Shared<C> {
    pool: Pool<Key>,
    resting: HashMap<u64, C>,
    waiters: HashMap<Ticket, Call<C>>,
}

/// What a client gets.
pub enum Lent<C> {
    /// A connection that rested.
    Rested(Leased<C>, C),
    /// The right to make one.
    Fresh(Leased<C>),
}

/// A lease that returns by itself, its connection closed, unless it is [kept](Leased::keep).
pub struct Leased<C> {
    place: Arc<Place<C>>,
    lease: Option<Lease>,
    generation: (u64, u64),
}

impl<C> Default for Exchange<C> {
    fn default() -> Self {
        Exchange {
            pools: Mutex::default(),
            clock: Clock {
                start: Instant::now(),
                generation: Arc::default(),
            },
        }
    }
}

impl<C> Exchange<C> {
    /// Gives the pools the limits of another setup, and the connections that rested under the one
    /// before. A pool that the setup doesn't have goes, unless a connection is lent or waited for;
    /// should its name come back, those count.
    pub fn rebound(&self, databases: &[Database], patience: Duration) -> Vec<C> {
        self.clock.generation.fetch_add(1, Ordering::Relaxed);
        let (mut called, mut closed) = (Vec::new(), Vec::new());
        self.lock().retain(|name, place| {
            let mut shared = place.lock();
            let numbers = shared.pool.empty();
            closed.extend(shared.take(numbers));
            match databases.iter().find(|entry| entry.name == *name) {
                Some(entry) => {
                    shared.pool.rebound(bounds(entry, patience));
                    called.extend(place.serve(&mut shared));
                    true
                }
                None => shared.pool.lent() > 0 || shared.pool.waiting() > 0,
            }
        });
        tell(called);
        closed
    }

    /// Takes out the connections that rested long enough, and those that `is_gone` says are dead; it
    /// asks the kernel at most, and never waits.
    pub fn expire(&self, mut is_gone: impl FnMut(&mut C) -> bool) -> Vec<C> {
        let places: Vec<_> = self.lock().values().map(Arc::clone).collect();
        let mut closed = Vec::new();
        for place in places {
            let mut shared = place.lock();
            let mut numbers = shared.pool.expire(self.clock.now());
            let mut gone = Vec::new();
            for (number, connection) in &mut shared.resting {
                if is_gone(connection) {
                    gone.push(*number);
                }
            }
            numbers.extend(gone.into_iter().filter(|it| shared.pool.forget(*it)));
            closed.extend(shared.take(numbers));
        }
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
        let shared = Shared {
            pool: Pool::new(bounds(database, patience)),
            resting: HashMap::new(),
            waiters: HashMap::new(),
        };
        let place = Arc::new(Place {
            shared: Mutex::new(shared),
            clock: self.clock.clone(),
            generation: AtomicU64::new(0),
            pinned: AtomicUsize::new(0),
        });
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

impl<C> Shared<C> {
    fn take(&mut self, numbers: Vec<u64>) -> Vec<C> {
        let numbers = numbers.into_iter();
        numbers.filter_map(|it| self.resting.remove(&it)).collect()
    }
}

impl<C> Place<C> {
    /// A connection or the right to make one, if that can be had at once; else a turn to wait for.
    pub fn ask(self: &Arc<Self>, wanted: Wanted<Key>) -> Result<Lent<C>, Turn<C>> {
        let mut shared = self.lock();
        let lent = match shared.pool.ask(wanted, self.clock.now()) {
            Asked::Granted(lease) => match shared.resting.remove(&lease.number()) {
                Some(rested) => Lent::Rested(self.guard(lease), rested),
                None => Lent::Fresh(self.guard(lease)),
            },
            Asked::Dial(lease) => Lent::Fresh(self.guard(lease)),
            Asked::Replace(lease, gone) => {
                let made_room = shared.resting.remove(&gone);
                drop(shared);
                drop(made_room);
                Lent::Fresh(self.guard(lease))
            }
            Asked::Wait(ticket) => {
                let (call, called) = oneshot::channel();
                shared.waiters.insert(ticket, call);
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
        let mut turn = match self.ask(wanted) {
            Ok(lent) => return Ok(lent),
            Err(turn) => turn,
        };
        let called = poll_fn(|cx| turn.poll(cx));
        let called = tokio::time::timeout(patience, called).await;
        called.map_err(|_| {
            Fault::new(
                Side::Proxy,
                FaultKind::Timeout {
                    setting: "query_wait_timeout",
                    phase: "waiting for a free server connection (pool_size, max_db_connections)",
                },
            )
        })
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
    }

    /// Has every connection of now closed once nobody uses it; gives those that rest.
    pub fn reconnect(&self) -> Vec<C> {
        self.generation.fetch_add(1, Ordering::Relaxed);
        let mut shared = self.lock();
        let numbers = shared.pool.empty();
        shared.take(numbers)
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
    fn serve(self: &Arc<Self>, shared: &mut Shared<C>) -> Vec<(Call<C>, Lent<C>)> {
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

    fn generation(&self) -> (u64, u64) {
        let own = self.generation.load(Ordering::Relaxed);
        (self.clock.generation.load(Ordering::Relaxed), own)
    }

    fn guard(self: &Arc<Self>, lease: Lease) -> Leased<C> {
        Leased {
            place: Arc::clone(self),
            lease: Some(lease),
            generation: self.generation(),
        }
    }

    /// Ends a lease; the connections that this closes are given.
    fn give_back(
        self: &Arc<Self>,
        mut lease: Lease,
        mut clean: Option<((Key, Home), C)>,
    ) -> Vec<C> {
        loop {
            let mut shared = self.lock();
            let key = clean.as_ref().map(|(key, _)| *key);
            let (call, lent) = match shared.pool.give_back(lease, key, self.clock.now()) {
                Returned::Rest { kept, closed } => {
                    shared.resting.extend(clean.map(|(_, it)| (kept, it)));
                    return shared.take(closed);
                }
                Returned::Close => return clean.into_iter().map(|(_, it)| it).collect(),
                Returned::HandTo(ticket, next) => {
                    let call = shared.waiters.remove(&ticket);
                    let guard = self.guard(next);
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

    fn lock(&self) -> MutexGuard<'_, Shared<C>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> Leased<C> {
    /// Ends the lease; the connection may rest under `key`, or goes to somebody who waits for one.
    /// Gives the connections that are to be closed instead, this one if its setup is of the past.
    pub fn keep(mut self, key: (Key, Home), connection: C) -> Vec<C> {
        let current = self.place.generation();
        match self.lease.take() {
            Some(lease) if self.generation == current => {
                self.place.give_back(lease, Some((key, connection)))
            }
            lease => {
                self.lease = lease;
                vec![connection]
            }
        }
    }
}

impl<C> Drop for Leased<C> {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            drop(self.place.give_back(lease, None));
        }
    }
}

/// A place in the queue, given up when the waiter leaves for whatever reason.
pub struct Turn<C> {
    place: Arc<Place<C>>,
    ticket: Option<Ticket>,
    called: oneshot::Receiver<Lent<C>>,
}

impl<C> Turn<C> {
    /// Ends the wait by up to `reserve` connections beyond the limit of its group.
    pub fn reserve(&mut self, reserve: usize) -> Option<Leased<C>> {
        let ticket = self.ticket?;
        let lease = {
            let mut shared = self.place.lock();
            let lease = shared.pool.reserve(ticket, reserve)?;
            shared.waiters.remove(&ticket);
            lease
        };
        self.ticket = None;
        Some(self.place.guard(lease))
    }

    /// Ready when the turn has come; not to be asked again then.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Lent<C>> {
        match std::pin::Pin::new(&mut self.called).poll(cx) {
            Poll::Ready(Ok(lent)) => {
                self.ticket = None;
                Poll::Ready(lent)
            }
            // Nobody drops the other end while the ticket is in the queue.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

impl<C> Drop for Turn<C> {
    fn drop(&mut self) {
        // A lease that was sent in this moment returns by its guard.
        if let Some(ticket) = self.ticket {
            let mut shared = self.place.lock();
            shared.pool.cancel(ticket);
            shared.waiters.remove(&ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::{Login, Pools, TcpOptions};
    use pool::Group;

    const LONG: Duration = Duration::from_secs(60);
    const KEY: Key = Key::of_bytes([1; 32]);
    const OTHER: Key = Key::of_bytes([2; 32]);

    fn database(name: &str, connections_max: usize) -> Database {
        Database {
            name: Some(name.to_owned()),
            dbname: None,
            hosts: Vec::new(),
            login: Login::AsClient,
            connections_max: Some(connections_max),
            rest: RestRules {
                resting_max: 10,
                rest_max: Some(LONG),
                lifetime: LONG,
                check_after: LONG,
            },
            pools: Pools::default(),
            connect_timeout: LONG,
            tcp: TcpOptions::default(),
        }
    }

    fn want(key: impl Into<Option<Key>>) -> Wanted<Key> {
        Wanted {
            key: key.into(),
            group: Group(0),
            group_max: None,
            home: Home(0),
        }
    }

    const HERE: (Key, Home) = (KEY, Home(0));

    impl Exchange<u32> {
        async fn lease(
            &self,
            database: &Database,
            key: Option<Key>,
            patience: Duration,
        ) -> Result<Lent<u32>, Fault> {
            self.place(database, patience)
                .lease(want(key), patience)
                .await
        }
    }

    /// A lease without a connection that rested.
    async fn fresh(exchange: &Exchange<u32>, database: &Database) -> Leased<u32> {
        match exchange.lease(database, Some(KEY), LONG).await {
            Ok(Lent::Fresh(leased)) => leased,
            Ok(Lent::Rested(..)) => panic!("one rested"),
            Err(fault) => panic!("{fault}"),
        }
    }

    fn counts(exchange: &Exchange<u32>, name: &str) -> Option<(usize, usize)> {
        let pools = exchange.lock();
        let shared = pools.get(&Some(name.to_owned()))?.lock();
        assert!(shared.waiters.len() >= shared.pool.waiting());
        Some((shared.pool.lent(), shared.pool.waiting()))
    }

    /// A client of another worker that waits for a lease and then holds it.
    async fn waiter(
        exchange: &Arc<Exchange<u32>>,
        database: Database,
    ) -> tokio::task::JoinHandle<Leased<u32>> {
        let name = database.name.clone().unwrap_or_default();
        let before = counts(exchange, &name).map_or(0, |(_, waiting)| waiting);
        let shared = Arc::clone(exchange);
        let task = tokio::spawn(async move {
            match shared.lease(&database, None, LONG).await {
                Ok(Lent::Fresh(leased) | Lent::Rested(leased, _)) => leased,
                Err(fault) => panic!("{fault}"),
            }
        });
        while counts(exchange, &name).map_or(0, |(_, waiting)| waiting) == before {
            tokio::task::yield_now().await;
        }
        task
    }

    #[tokio::test]
    async fn a_lease_goes_to_the_one_that_waits() {
        let exchange = Arc::new(Exchange::default());
        let first = fresh(&exchange, &database("a", 1)).await;
        let waiter = waiter(&exchange, database("a", 1)).await;
        drop(first);
        drop(waiter.await.unwrap());
        assert_eq!(counts(&exchange, "a"), Some((0, 0)));
    }

    #[tokio::test]
    async fn waits_end_and_leave_nothing_behind() {
        let exchange = Exchange::default();
        let only = database("a", 1);
        let held = exchange.lease(&only, None, LONG).await.ok();
        let late = exchange.lease(&only, None, Duration::from_millis(1)).await;
        let late = late.err().unwrap();
        assert!(late.to_string().contains("query_wait_timeout"), "{late}");
        assert_eq!(counts(&exchange, "a"), Some((1, 0)));
        // A waiter that goes away by itself.
        let future = exchange.lease(&only, None, LONG);
        assert!(tokio::time::timeout(Duration::ZERO, future).await.is_err());
        drop(held);
        assert_eq!(counts(&exchange, "a"), Some((0, 0)));
        assert!(exchange.place(&only, LONG).lock().waiters.is_empty());
    }

    #[tokio::test]
    async fn a_reload_changes_limits_and_counts_what_is_lent() {
        let exchange = Arc::new(Exchange::default());
        let first = fresh(&exchange, &database("a", 1)).await;
        let second = waiter(&exchange, database("a", 1)).await;
        exchange.rebound(&[database("a", 2)], LONG);
        let second = second.await.unwrap();
        assert_eq!(counts(&exchange, "a"), Some((2, 0)));
        // Taken out of the configuration, then back, with both connections still there.
        exchange.rebound(&[], LONG);
        exchange.rebound(&[database("a", 2)], LONG);
        let third = waiter(&exchange, database("a", 2)).await;
        drop(first);
        drop(third.await.unwrap());
        drop(second);
        assert_eq!(counts(&exchange, "a"), Some((0, 0)));
        exchange.rebound(&[database("b", 1)], LONG);
        assert_eq!(counts(&exchange, "a"), None);
    }

    #[tokio::test]
    async fn what_rests_goes_to_the_next_with_the_same_key() {
        let exchange = Exchange::default();
        let only = database("a", 2);
        assert_eq!(fresh(&exchange, &only).await.keep(HERE, 7), []);
        assert_eq!(exchange.counts(), (1, 0));
        let Ok(Lent::Fresh(other)) = exchange.lease(&only, Some(OTHER), LONG).await else {
            panic!("somebody else's");
        };
        let Ok(Lent::Rested(leased, 7)) = exchange.lease(&only, Some(KEY), LONG).await else {
            panic!("nothing rested");
        };
        assert_eq!(exchange.counts(), (0, 2));
        drop(leased);
        assert_eq!(other.keep((OTHER, Home(0)), 8), []);
        assert_eq!(exchange.expire(|it| *it == 8), [8]);
        assert_eq!(exchange.counts(), (0, 0));
    }

    #[tokio::test]
    async fn it_goes_from_hand_to_hand_to_one_that_waits() {
        let exchange = Arc::new(Exchange::default());
        let only = database("a", 1);
        let first = fresh(&exchange, &only).await;
        let shared = Arc::clone(&exchange);
        let waiter = tokio::spawn(async move {
            let lent = shared.lease(&database("a", 1), Some(KEY), LONG).await;
            matches!(lent, Ok(Lent::Rested(_, 7)))
        });
        while counts(&exchange, "a") != Some((1, 1)) {
            tokio::task::yield_now().await;
        }
        assert_eq!(first.keep(HERE, 7), []);
        assert!(waiter.await.unwrap());
        assert_eq!(exchange.counts(), (0, 0));
    }

    #[tokio::test]
    async fn nothing_of_the_setup_before_is_lent_again() {
        let exchange = Exchange::default();
        let only = database("a", 3);
        let held = fresh(&exchange, &only).await;
        assert_eq!(fresh(&exchange, &only).await.keep(HERE, 7), []);
        assert_eq!(exchange.rebound(&[database("a", 3)], LONG), [7]);
        assert_eq!(held.keep(HERE, 8), [8]);
        assert_eq!(exchange.counts(), (0, 0));
    }
}
