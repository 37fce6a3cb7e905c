//! Owns the way in, shared by all workers: who may log in now, who waits and who is turned away, by
//! the rules of crate `admission`. Short locks, never across I/O or an await.

use crate::setup::Limits;
use admission::{Asked, Blame, Bounds, Failures, Rate, Rates, Source, Ticket, Turns};
use observe::Counters;
use session::fault::{Fault, FaultKind, Side};
use std::future::Future;
use std::hash::RandomState;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot::{Sender, channel};

/// How long a client may keep a place while we wait for it. Whoever is slower goes on without one,
/// and asks again when it has sent something.
const PATIENCE: Duration = Duration::from_secs(1);

/// Seconds' worth of `login_rate` that may come at once: an application with its whole pool.
const LOGIN_BURST_S: u32 = 4;

/// The door of one proxy.
pub struct Door {
    listeners: Vec<Mutex<Turns<Sender<()>>>>,
    logins: Option<Mutex<Rates>>,
    failures: Option<Mutex<Failures>>,
    limits: Limits,
    since: Instant,
    counters: Arc<Counters>,
}

impl Door {
    /// The door of a proxy with this many listeners.
    pub fn new(listeners: usize, limits: &Limits, counters: Arc<Counters>) -> Door {
        let bounds = Bounds {
            places: limits.logins_max,
            places_per_source: limits.logins_max_per_address,
            pending_per_source: limits.pending_max_per_address,
        };
        let second = Duration::from_secs(1);
        let minute = Duration::from_secs(60);
        let burst = limits.logins_per_second.saturating_mul(LOGIN_BURST_S);
        let logins = Rate::of(limits.logins_per_second, second, burst);
        let failed = limits.failed_logins_per_minute;
        let failures = Rate::of(failed, minute, failed);
        let seed = RandomState::new;
        Door {
            listeners: (0..listeners).map(|_| Turns::new(bounds).into()).collect(),
            logins: logins.map(|rate| Rates::new(rate, [seed(), seed()]).into()),
            failures: failures.map(|rate| Failures::new(rate, seed).into()),
            limits: limits.clone(),
            since: Instant::now(),
            counters,
        }
    }

    /// Takes a client's arrival down, or turns it away.
    pub fn arrive(&self, listener: usize, source: Source) -> Result<Seat<'_>, Fault> {
        if let (Some(logins), true) = (&self.logins, source != Source::Local) {
            let now = self.since.elapsed();
            let mut logins = lock(logins);
            let allowed = logins.allows(&source, now);
            logins.spend(&source, now);
            if !allowed {
                self.counters.admission.refused_login_rate.add(1);
                let limit = self.limits.logins_per_second.into();
                return Err(limited("login_rate", limit));
            }
        }
        let arrived = lock(&self.listeners[listener]).arrive(source);
        arrived.map_err(|_| {
            self.counters.admission.refused_pending.add(1);
            let limit = self.limits.pending_max_per_address as u64;
            limited("max_pending_logins_per_address", limit)
        })?;
        Ok(Seat {
            door: self,
            listener,
            source,
            seated: false,
        })
    }

    /// Whether too many logins have failed for this one to be tried.
    pub fn check(&self, source: Source, user: &str) -> Result<(), Fault> {
        let Some(failures) = &self.failures else {
            return Ok(());
        };
        let checked = lock(failures).check(source, user, self.since.elapsed());
        checked.map_err(|blame| {
            match blame {
                Blame::Source => self.counters.admission.refused_failing_address.add(1),
                Blame::User => self.counters.admission.refused_failing_user.add(1),
            }
            let limit = self.limits.failed_logins_per_minute.into();
            limited("failed_login_rate", limit)
        })
    }

    /// Takes a failed login down.
    pub fn failed(&self, source: Source, user: &str) {
        self.counters.admission.logins_failed.add(1);
        if let Some(failures) = &self.failures {
            lock(failures).failed(source, user, self.since.elapsed());
        }
    }

    /// Takes a successful login down.
    pub fn succeeded(&self, source: Source, user: &str) {
        if let Some(failures) = &self.failures {
            lock(failures).succeeded(source, user);
        }
    }

    /// Logins under way and clients that wait for a place, of all listeners.
    pub fn crowd(&self) -> (usize, usize) {
        let of = |turns: &Mutex<Turns<_>>| {
            let turns = lock(turns);
            (turns.busy(), turns.waiting())
        };
        let all = self.listeners.iter().map(of);
        all.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }
}

fn limited(setting: &'static str, limit: u64) -> Fault {
    Fault::new(Side::Proxy, FaultKind::Limit { setting, limit })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A client that isn't in yet, with a place for its login or without.
pub struct Seat<'a> {
    door: &'a Door,
    listener: usize,
    source: Source,
    seated: bool,
}

impl Seat<'_> {
    /// The client's source.
    pub fn source(&self) -> Source {
        self.source
    }

    /// Waits for a place, behind others of this source and in turns with other sources.
    pub async fn take(&mut self) {
        if self.seated {
            return;
        }
        let (call, called) = channel();
        let asked = self.turns().ask(self.source, call);
        if let Asked::Waits(ticket) = asked {
            self.door.counters.admission.waited.add(1);
            let mut waiting = Waiting {
                seat: self,
                ticket: Some(ticket),
            };
            // The sender is dropped only when it was used, or with the door.
            let _ = called.await;
            waiting.ticket = None;
        }
        self.seated = true;
    }

    /// Awaits what the client does next. A client that is slow about it loses its place meanwhile.
    pub async fn patient<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        if let Ok(done) = tokio::time::timeout(PATIENCE, work.as_mut()).await {
            return done;
        }
        if self.seated {
            self.door.counters.admission.places_lost.add(1);
            self.give_back();
        }
        let done = work.await;
        self.take().await;
        done
    }

    /// Gives the place back: what follows needs none.
    pub fn give_back(&mut self) {
        if self.seated {
            self.seated = false;
            self.pass_on();
        }
    }

    fn pass_on(&self) {
        let called = self.turns().give_back(self.source);
        if let Some(call) = called {
            // Who has gone in this very moment gives the place back by itself.
            let _ = call.send(());
        }
    }

    fn turns(&self) -> MutexGuard<'_, Turns<Sender<()>>> {
        lock(&self.door.listeners[self.listener])
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.give_back();
        self.turns().depart(self.source);
    }
}

/// A client in the queue, which may go at any time.
struct Waiting<'a, 'b> {
    seat: &'a Seat<'b>,
    ticket: Option<Ticket>,
}

impl Drop for Waiting<'_, '_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let left = self.seat.turns().leave(self.seat.source, ticket);
        if !left {
            self.seat.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(places: usize) -> Door {
        let limits = Limits {
            logins_max: places,
            logins_max_per_address: places,
            pending_max_per_address: 4,
            logins_per_second: 0,
            failed_logins_per_minute: 2,
            ..Limits::default()
        };
        Door::new(1, &limits, Arc::default())
    }

    fn source(last: u8) -> Source {
        Source::V4([10, 0, 0, last])
    }

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        runtime.expect("a runtime").block_on(test);
    }

    #[test]
    fn a_client_that_leaves_the_queue_costs_nobody_a_place() {
        run(async {
            let door = door(1);
            let mut first = door.arrive(0, source(1)).unwrap();
            first.take().await;
            let mut gone = door.arrive(0, source(2)).unwrap();
            let mut last = door.arrive(0, source(3)).unwrap();
            {
                let mut waiting = Box::pin(gone.take());
                let mut called = Box::pin(last.take());
                assert!(tokio::time::timeout(PATIENCE, &mut waiting).await.is_err());
                assert!(tokio::time::timeout(PATIENCE, &mut called).await.is_err());
                assert_eq!(door.crowd(), (1, 2));
                // The place is promised to one that goes before it has heard of it.
                drop(first);
                drop(waiting);
                called.await;
            }
            assert_eq!(door.crowd(), (1, 0));
            drop((gone, last));
            assert_eq!(door.crowd(), (0, 0));
        });
    }

    #[test]
    fn a_slow_client_loses_its_place_and_gets_one_again() {
        run(async {
            let door = door(1);
            let mut slow = door.arrive(0, source(1)).unwrap();
            let mut other = door.arrive(0, source(2)).unwrap();
            slow.take().await;
            let (go, waits) = channel::<()>();
            let work = slow.patient(waits);
            let meanwhile = async {
                other.take().await;
                drop(other);
                go.send(()).unwrap();
            };
            let (done, ()) = tokio::join!(work, meanwhile);
            done.unwrap();
            assert_eq!(door.crowd(), (1, 0));
            assert_eq!(door.counters.admission.places_lost.total(), 1);
        });
    }

    #[test]
    fn too_many_pending_clients_of_one_source() {
        let door = door(1);
        let seats: Vec<_> = (0..4).map(|_| door.arrive(0, source(1)).unwrap()).collect();
        assert!(door.arrive(0, source(1)).is_err());
        assert!(door.arrive(0, source(2)).is_ok());
        drop(seats);
        assert!(door.arrive(0, source(1)).is_ok());
        assert_eq!(door.counters.admission.refused_pending.total(), 1);
    }

    #[test]
    fn failures_are_counted_and_refused() {
        let door = door(1);
        for _ in 0..2 {
            assert_eq!(door.check(source(1), "a"), Ok(()));
            door.failed(source(1), "a");
        }
        let fault = door.check(source(1), "b").unwrap_err();
        assert!(fault.to_string().contains("failed_login_rate = 2"));
        assert!(door.check(source(2), "a").is_err());
        assert_eq!(door.counters.admission.refused_failing_address.total(), 1);
        assert_eq!(door.counters.admission.refused_failing_user.total(), 1);
    }
}
