//! Owns the pools where the workers meet: each behind a short mutex that is never held across I/O,
//! libssl or an await. Takes requests for a lease, gives guards that give it back.
//!
//! A pool belongs to the name of a database, not to one setup: it outlives a reload, so that a limit
//! counts the connections of before, too.

use crate::setup::Database;
use pool::{Asked, Lease, Pool, Returned, Ticket};
use session::fault::{Fault, FaultKind, Side};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// All pools, one for each database that was asked for.
pub struct Exchange {
    pools: Mutex<HashMap<Name, Arc<Place>>>,
    start: Instant,
}

/// What a database is called in the configuration; `None` for the entry of all names.
type Name = Option<String>;

/// One pool and those who wait for it.
#[derive(Debug)]
struct Place(Mutex<Shared>);

#[derive(Debug)]
struct Shared {
    pool: Pool,
    waiters: HashMap<Ticket, oneshot::Sender<Leased>>,
}

/// A lease that returns by itself.
#[derive(Debug)]
pub struct Leased {
    place: Arc<Place>,
    lease: Option<Lease>,
}

impl Default for Exchange {
    fn default() -> Exchange {
        Exchange {
            pools: Mutex::default(),
            start: Instant::now(),
        }
    }
}

impl Exchange {
    /// A lease of a database's pool, at once or when its turn comes; waits end after `patience`.
    pub async fn lease(&self, database: &Database, patience: Duration) -> Result<Leased, Fault> {
        let place = self.place(database, patience);
        let (ticket, turn) = {
            let mut shared = place.lock();
            match shared.pool.ask(self.start.elapsed()) {
                Asked::Dial(lease) => return Ok(place.guard(lease)),
                Asked::Wait(ticket) => {
                    let (call, turn) = oneshot::channel();
                    shared.waiters.insert(ticket, call);
                    (ticket, turn)
                }
            }
        };
        let waiting = Waiting {
            place: &place,
            ticket,
        };
        let called = tokio::time::timeout(patience, turn).await;
        // Takes the ticket back; a lease that was sent in this moment returns by its guard.
        drop(waiting);
        match called {
            Ok(Ok(leased)) => Ok(leased),
            Ok(Err(_)) | Err(_) => Err(Fault::new(
                Side::Proxy,
                FaultKind::Timeout {
                    setting: "query_wait_timeout",
                    phase: "waiting for a free server connection (max_db_connections)",
                },
            )),
        }
    }

    /// Gives the pools the limits of another setup. One that it doesn't have goes, unless a
    /// connection is lent or waited for; should its name come back, those count.
    pub fn rebound(&self, databases: &[Database], patience: Duration) {
        let mut called = Vec::new();
        self.lock().retain(|name, place| {
            let mut shared = place.lock();
            match databases.iter().find(|entry| entry.name == *name) {
                Some(entry) => {
                    for (ticket, lease) in shared.pool.rebound(entry.connections_max, patience) {
                        called.push((shared.waiters.remove(&ticket), place.guard(lease)));
                    }
                    true
                }
                None => shared.pool.lent() > 0 || shared.pool.waiting() > 0,
            }
        });
        // Without a lock: a waiter that is gone by now gives its lease back at once.
        for (call, guard) in called {
            if let Some(call) = call {
                let _ = call.send(guard);
            }
        }
    }

    fn place(&self, database: &Database, patience: Duration) -> Arc<Place> {
        let mut pools = self.lock();
        if let Some(place) = pools.get(&database.name) {
            return Arc::clone(place);
        }
        let shared = Shared {
            pool: Pool::new(database.connections_max, patience),
            waiters: HashMap::new(),
        };
        let place = Arc::new(Place(Mutex::new(shared)));
        pools.insert(database.name.clone(), Arc::clone(&place));
        place
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Arc<Place>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn guard(self: &Arc<Self>, lease: Lease) -> Leased {
        Leased {
            place: Arc::clone(self),
            lease: Some(lease),
        }
    }

    fn give_back(self: &Arc<Self>, lease: Lease) {
        let mut lease = lease;
        loop {
            let (call, next) = {
                let mut shared = self.lock();
                match shared.pool.give_back(lease) {
                    Returned::Close => return,
                    Returned::CloseAndCall(ticket, next) => (shared.waiters.remove(&ticket), next),
                }
            };
            // A called waiter may be gone by now: then the next one is called.
            let mut guard = self.guard(next);
            if let Some(call) = call {
                match call.send(guard) {
                    Ok(()) => return,
                    Err(unclaimed) => guard = unclaimed,
                }
            }
            match guard.lease.take() {
                Some(unclaimed) => lease = unclaimed,
                None => return,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.place.give_back(lease);
        }
    }
}

/// A place in the queue, given up when the waiter leaves for whatever reason.
struct Waiting<'a> {
    place: &'a Place,
    ticket: Ticket,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut shared = self.place.lock();
        shared.pool.cancel(self.ticket);
        shared.waiters.remove(&self.ticket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::{Login, TcpOptions};

    const LONG: Duration = Duration::from_secs(60);

    fn database(name: &str, connections_max: usize) -> Database {
        Database {
            name: Some(name.to_owned()),
            dbname: None,
            hosts: Vec::new(),
            login: Login::AsClient,
            connections_max: Some(connections_max),
            connect_timeout: LONG,
            tcp: TcpOptions::default(),
        }
    }

    fn counts(exchange: &Exchange, name: &str) -> Option<(usize, usize)> {
        let pools = exchange.lock();
        let shared = pools.get(&Some(name.to_owned()))?.lock();
        assert!(shared.waiters.len() >= shared.pool.waiting());
        Some((shared.pool.lent(), shared.pool.waiting()))
    }

    /// A client of another worker that waits for a lease and then holds it.
    async fn waiter(
        exchange: &Arc<Exchange>,
        database: Database,
    ) -> tokio::task::JoinHandle<Leased> {
        let name = database.name.clone().unwrap_or_default();
        let before = counts(exchange, &name).map_or(0, |(_, waiting)| waiting);
        let shared = Arc::clone(exchange);
        let task = tokio::spawn(async move { shared.lease(&database, LONG).await.unwrap() });
        while counts(exchange, &name).map_or(0, |(_, waiting)| waiting) == before {
            tokio::task::yield_now().await;
        }
        task
    }

    #[tokio::test]
    async fn a_lease_goes_to_the_one_that_waits() {
        let exchange = Arc::new(Exchange::default());
        let first = exchange.lease(&database("a", 1), LONG).await.unwrap();
        let waiter = waiter(&exchange, database("a", 1)).await;
        drop(first);
        drop(waiter.await.unwrap());
        assert_eq!(counts(&exchange, "a"), Some((0, 0)));
    }

    #[tokio::test]
    async fn waits_end_and_leave_nothing_behind() {
        let exchange = Exchange::default();
        let only = database("a", 1);
        let held = exchange.lease(&only, LONG).await.ok();
        let late = exchange.lease(&only, Duration::from_millis(1)).await;
        let late = late.err().unwrap();
        assert!(late.to_string().contains("query_wait_timeout"), "{late}");
        assert_eq!(counts(&exchange, "a"), Some((1, 0)));
        // A waiter that goes away by itself.
        let future = exchange.lease(&only, LONG);
        assert!(tokio::time::timeout(Duration::ZERO, future).await.is_err());
        drop(held);
        assert_eq!(counts(&exchange, "a"), Some((0, 0)));
        assert!(exchange.place(&only, LONG).lock().waiters.is_empty());
    }

    #[tokio::test]
    async fn a_reload_changes_limits_and_counts_what_is_lent() {
        let exchange = Arc::new(Exchange::default());
        let first = exchange.lease(&database("a", 1), LONG).await.unwrap();
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
}
