//! Owns the pools where the workers meet: each behind a short mutex that is never held across I/O,
//! libssl or an await. Takes requests for a lease, gives guards that give it back.

use pool::{Asked, Lease, Pool, Returned, Ticket};
use session::fault::{Fault, FaultKind, Side};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// All pools, one for each configured database.
pub struct Exchange {
    pools: Vec<Mutex<Shared>>,
    start: Instant,
    wait_max: Duration,
}

struct Shared {
    pool: Pool,
    waiters: HashMap<Ticket, oneshot::Sender<Leased>>,
}

/// A lease that returns by itself.
pub struct Leased {
    exchange: Arc<Exchange>,
    pool: usize,
    lease: Option<Lease>,
}

impl Exchange {
    /// Pools with these bounds; waits end after `wait_max`.
    pub fn new(bounds: impl Iterator<Item = Option<usize>>, wait_max: Duration) -> Exchange {
        let shared = |bound| {
            Mutex::new(Shared {
                pool: Pool::new(bound, wait_max),
                waiters: HashMap::new(),
            })
        };
        Exchange {
            pools: bounds.map(shared).collect(),
            start: Instant::now(),
            wait_max,
        }
    }

    /// A lease of pool number `pool`, at once or when its turn comes.
    pub async fn lease(self: &Arc<Self>, pool: usize) -> Result<Leased, Fault> {
        let (ticket, turn) = {
            let mut shared = self.lock(pool);
            match shared.pool.ask(self.start.elapsed()) {
                Asked::Dial(lease) => return Ok(self.guard(pool, lease)),
                Asked::Wait(ticket) => {
                    let (call, turn) = oneshot::channel();
                    shared.waiters.insert(ticket, call);
                    (ticket, turn)
                }
            }
        };
        let waiting = Waiting {
            exchange: self,
            pool,
            ticket,
        };
        let called = tokio::time::timeout(self.wait_max, turn).await;
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

    fn guard(self: &Arc<Self>, pool: usize, lease: Lease) -> Leased {
        Leased {
            exchange: Arc::clone(self),
            pool,
            lease: Some(lease),
        }
    }

    fn give_back(self: &Arc<Self>, pool: usize, lease: Lease) {
        let mut lease = lease;
        loop {
            let (call, next) = {
                let mut shared = self.lock(pool);
                match shared.pool.give_back(lease) {
                    Returned::Close => return,
                    Returned::CloseAndCall(ticket, next) => (shared.waiters.remove(&ticket), next),
                }
            };
            // A called waiter may be gone by now: then the next one is called.
            let mut guard = self.guard(pool, next);
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

    fn lock(&self, pool: usize) -> MutexGuard<'_, Shared> {
        self.pools[pool]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.exchange.give_back(self.pool, lease);
        }
    }
}

/// A place in the queue, given up when the waiter leaves for whatever reason.
struct Waiting<'a> {
    exchange: &'a Arc<Exchange>,
    pool: usize,
    ticket: Ticket,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut shared = self.exchange.lock(self.pool);
        shared.pool.cancel(self.ticket);
        shared.waiters.remove(&self.ticket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(bound: usize, wait: Duration) -> Arc<Exchange> {
        Arc::new(Exchange::new([Some(bound)].into_iter(), wait))
    }

    #[tokio::test]
    async fn a_lease_goes_to_the_one_that_waits() {
        let exchange = exchange(1, Duration::from_secs(60));
        let first = exchange.lease(0).await.ok();
        let waiter = tokio::spawn({
            let exchange = Arc::clone(&exchange);
            async move { exchange.lease(0).await.is_ok() }
        });
        while exchange.lock(0).pool.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        drop(first);
        assert!(waiter.await.unwrap());
        assert_eq!(exchange.lock(0).pool.lent(), 0);
    }

    #[tokio::test]
    async fn waits_end_and_leave_nothing_behind() {
        let exchange = exchange(1, Duration::from_millis(1));
        let held = exchange.lease(0).await.ok();
        let late = exchange.lease(0).await.err().unwrap();
        assert!(late.to_string().contains("query_wait_timeout"), "{late}");
        assert_eq!(exchange.lock(0).pool.waiting(), 0);
        // A waiter that goes away by itself.
        let future = exchange.lease(0);
        assert!(tokio::time::timeout(Duration::ZERO, future).await.is_err());
        drop(held);
        assert_eq!(exchange.lock(0).pool.lent(), 0);
        assert!(exchange.lock(0).waiters.is_empty());
    }
}
