//! Owns all lanes of one throttle, shared by all workers: the table of its keys, which is bounded, and what was
//! counted.
//!
//! A lane that somebody uses or that isn't full again is never forgotten, so no key gets rid of its debt by others
//! coming. Where the table is full of such, what comes with a new key counts in one lane with all of its kind.

use super::lane::{Entered, Lane, Ticket, Turn};
use super::{Excess, Measure, Throttle};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// Lanes that are looked at for one that can go when a new key comes.
const LOOKS_MAX: usize = 16;

type Shared = Arc<Mutex<Lane<Waker>>>;

/// The lanes of one throttle.
#[derive(Debug)]
pub struct Lanes {
    throttle: Throttle,
    table: Mutex<Table>,
    others: Shared,
    waits: AtomicU64,
    refusals: AtomicU64,
    excesses: AtomicU64,
    waiting: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    by_key: HashMap<Box<[u8]>, usize>,
    lanes: Vec<(Box<[u8]>, Shared)>,
    /// Where the search for one that can go goes on.
    hand: usize,
}

/// What became of an attempt.
#[derive(Debug)]
pub enum Tried {
    /// It goes.
    Go(Pass),
    /// It waits.
    Wait(Waiting),
    /// It is refused.
    Refused,
}

/// How it stands with someone who waits.
#[derive(Debug)]
pub enum Looked {
    /// It goes.
    Go(Pass),
    /// It has waited as long as it may.
    Late,
    /// It has to look again at this time, or when it is woken.
    Until(u64),
}

/// The right to go; what runs under it ends when this is dropped.
#[derive(Debug)]
pub struct Pass {
    lanes: Arc<Lanes>,
    lane: Shared,
}

/// A place in a queue, which is left when this is dropped.
#[derive(Debug)]
pub struct Waiting {
    lanes: Arc<Lanes>,
    lane: Shared,
    ticket: Ticket,
    wants: [u64; 5],
    until_us: u64,
    is_over: bool,
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lanes {
    /// No lanes yet.
    pub fn new(throttle: Throttle) -> Lanes {
        Lanes {
            others: Arc::new(Mutex::new(Lane::new(&throttle.rates, 0))),
            throttle,
            table: Mutex::default(),
            waits: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
            excesses: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
        }
    }

    /// What they go by.
    pub fn throttle(&self) -> &Throttle {
        &self.throttle
    }

    /// Statements and clients that had to wait.
    pub fn waits(&self) -> u64 {
        self.waits.load(Ordering::Relaxed)
    }

    /// Those that were refused.
    pub fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }

    /// Those that passed and would have been held up if the rule were enforced.
    pub fn excesses(&self) -> u64 {
        self.excesses.load(Ordering::Relaxed)
    }

    /// Those that wait now.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Keys that are told apart now.
    pub fn keys(&self) -> usize {
        lock(&self.table).lanes.len()
    }

    fn lane(&self, key: &[u8], now_us: u64) -> Shared {
        let mut table = lock(&self.table);
        if let Some((_, lane)) = table.by_key.get(key).and_then(|at| table.lanes.get(*at)) {
            return Arc::clone(lane);
        }
        let rates = &self.throttle.rates;
        let fresh = Arc::new(Mutex::new(Lane::new(rates, now_us)));
        if table.lanes.len() < self.throttle.keys_max {
            let at = table.lanes.len();
            table.by_key.insert(key.into(), at);
            table.lanes.push((key.into(), Arc::clone(&fresh)));
            return fresh;
        }
        for _ in 0..LOOKS_MAX.min(table.lanes.len()) {
            let at = table.hand;
            table.hand = (at + 1) % table.lanes.len();
            let Some((old, lane)) = table.lanes.get_mut(at) else {
                continue;
            };
            // Nobody gets hold of it meanwhile: that takes the table.
            if Arc::strong_count(lane) > 1 || !lock(lane).is_fresh(rates, now_us) {
                continue;
            }
            let old = std::mem::replace(old, key.into());
            *lane = Arc::clone(&fresh);
            table.by_key.remove(&old);
            table.by_key.insert(key.into(), at);
            return fresh;
        }
        Arc::clone(&self.others)
    }

    /// Someone comes under a key.
    pub fn enter(
        self: &Arc<Self>,
        key: &[u8],
        wants: [u64; 5],
        (now_us, waker): (u64, &Waker),
    ) -> Tried {
        let lane = self.lane(key, now_us);
        let (queue_max, wait_max_us) = match self.throttle.excess {
            Excess::Refuse => (0, 0),
            Excess::Wait {
                queue_max,
                wait_max_us,
            } => (queue_max, wait_max_us),
        };
        let when = (&self.throttle.rates, now_us);
        let entered = lock(&lane).enter(when, &wants, (queue_max, waker));
        let lanes = Arc::clone(self);
        match entered {
            Entered::Go => Tried::Go(Pass { lanes, lane }),
            Entered::Full => {
                self.refusals.fetch_add(1, Ordering::Relaxed);
                Tried::Refused
            }
            Entered::Wait(ticket) => {
                self.waits.fetch_add(1, Ordering::Relaxed);
                self.waiting.fetch_add(1, Ordering::Relaxed);
                Tried::Wait(Waiting {
                    lanes,
                    lane,
                    ticket,
                    wants,
                    until_us: now_us.saturating_add(wait_max_us),
                    is_over: false,
                })
            }
        }
    }

    /// Someone comes under a key who isn't to be held up; true if it would have been.
    pub fn observe(self: &Arc<Self>, key: &[u8], wants: [u64; 5], now_us: u64) -> (Pass, bool) {
        let lane = self.lane(key, now_us);
        let is_excess = lock(&lane).observe((&self.throttle.rates, now_us), &wants);
        if is_excess {
            self.excesses.fetch_add(1, Ordering::Relaxed);
        }
        let lanes = Arc::clone(self);
        (Pass { lanes, lane }, is_excess)
    }
}

impl Pass {
    /// True if something is still to be counted, or the end to be told.
    pub fn lasts(&self) -> bool {
        self.lanes.throttle.rates.outlast_the_start()
    }

    /// Charges what turned out.
    pub fn charge(&self, measure: Measure, tokens: u64, now_us: u64) {
        let rates = &self.lanes.throttle.rates;
        if tokens > 0 && rates.of(measure).is_some() {
            lock(&self.lane).charge((rates, now_us), measure, tokens);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let next = {
            let mut lane = lock(&self.lane);
            lane.end();
            let counts = self.lanes.throttle.rates.at_once.is_some();
            lane.first().filter(|_| counts).cloned()
        };
        if let Some(waker) = next {
            waker.wake();
        }
    }
}

impl Waiting {
    /// How it stands at this time.
    pub fn look(&mut self, (now_us, waker): (u64, &Waker)) -> Looked {
        let rates = &self.lanes.throttle.rates;
        let (turn, next) = {
            let mut lane = lock(&self.lane);
            let turn = lane.look((rates, now_us), &self.wants, (self.ticket, waker));
            let next = match turn {
                Turn::Go => lane.first().cloned(),
                Turn::At(_) | Turn::Behind => None,
            };
            (turn, next)
        };
        if let Some(waker) = next {
            waker.wake();
        }
        let at_us = match turn {
            Turn::Go => {
                self.is_over = true;
                let (lanes, lane) = (Arc::clone(&self.lanes), Arc::clone(&self.lane));
                return Looked::Go(Pass { lanes, lane });
            }
            Turn::At(at_us) => at_us,
            Turn::Behind => self.until_us,
        };
        if now_us >= self.until_us {
            self.lanes.refusals.fetch_add(1, Ordering::Relaxed);
            return Looked::Late;
        }
        Looked::Until(at_us.min(self.until_us))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.lanes.waiting.fetch_sub(1, Ordering::Relaxed);
        if self.is_over {
            return;
        }
        let next = {
            let mut lane = lock(&self.lane);
            match lane.leave(self.ticket) {
                true => lane.first().cloned(),
                false => None,
            }
        };
        if let Some(waker) = next {
            waker.wake();
        }
    }
}
