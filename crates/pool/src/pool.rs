//! Owns one pool: its bounds, its leases, its resting connections, its queue.

use crate::{Lease, Ticket};
use std::collections::VecDeque;
use std::time::Duration;

/// What a pool may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Connections that may exist at once, resting ones included; `None` without a limit.
    pub connections_max: Option<usize>,
    /// Connections that may rest.
    pub resting_max: usize,
    /// How long one may rest; `None` without a limit.
    pub rest_max: Option<Duration>,
    /// How long a ticket is good for.
    pub wait_max: Duration,
}

/// The answer to [`Pool::ask`].
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// The resting connection of this number is yours.
    Granted(Lease),
    /// Connect to a server; the connection belongs to this lease.
    Dial(Lease),
    /// The same, but first close the resting connection of this number, which made room.
    Replace(Lease),
    /// Every permitted connection is lent: wait for this ticket to be called.
    Wait(Ticket),
}

/// The answer to [`Pool::give_back`].
#[derive(Debug, PartialEq, Eq)]
pub enum Returned {
    /// Keep the connection under this number, and close those of the others.
    Rest {
        /// Its number.
        kept: u64,
        /// Of connections that rested too long, or too many.
        closed: Vec<u64>,
    },
    /// The ticket's holder gets the connection with its lease.
    HandTo(Ticket, Lease),
    /// The connection closes, and nobody waits.
    Close,
    /// The connection closes, and the ticket's holder may dial with this lease.
    CloseAndCall(Ticket, Lease),
}

/// One pool. Times are durations since any fixed moment.
#[derive(Debug)]
pub struct Pool<K> {
    bounds: Bounds,
    lent: usize,
    next: u64,
    /// Oldest first.
    resting: VecDeque<Resting<K>>,
    waiting: VecDeque<Waiting<K>>,
}

#[derive(Debug)]
struct Resting<K> {
    number: u64,
    key: K,
    since: Duration,
}

#[derive(Debug)]
struct Waiting<K> {
    ticket: Ticket,
    /// What would fit; `None`: nothing that rests.
    key: Option<K>,
    deadline: Duration,
}

impl<K: Eq> Pool<K> {
    /// A pool with nothing in it.
    pub fn new(bounds: Bounds) -> Pool<K> {
        Pool {
            bounds,
            lent: 0,
            next: 0,
            resting: VecDeque::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Asks for a connection that rests under `key` (`None`: for a new one in any case). Nobody
    /// passes those who wait already.
    pub fn ask(&mut self, key: Option<K>, now: Duration) -> Asked {
        if self.waiting.is_empty() {
            // The one that rested least: its caches are warm, and the others may come of age.
            let fits = |it: &Resting<K>| key.as_ref() == Some(&it.key);
            if let Some(at) = self.resting.iter().rposition(fits)
                && let Some(found) = self.resting.remove(at)
            {
                self.lent += 1;
                return Asked::Granted(Lease {
                    number: found.number,
                });
            }
            if self.has_room() {
                return Asked::Dial(self.lend());
            }
            if let Some(oldest) = self.resting.pop_front() {
                self.lent += 1;
                return Asked::Replace(Lease {
                    number: oldest.number,
                });
            }
        }
        self.next += 1;
        let ticket = Ticket(self.next);
        let deadline = now.saturating_add(self.bounds.wait_max);
        self.waiting.push_back(Waiting {
            ticket,
            key,
            deadline,
        });
        Asked::Wait(ticket)
    }

    /// Ends a lease. `clean` is the key under which the connection may rest; `None`: it closes.
    pub fn give_back(&mut self, lease: Lease, clean: Option<K>, now: Duration) -> Returned {
        assert!(self.lent > 0, "a lease came back that was never given");
        self.lent -= 1;
        let Some(key) = clean.filter(|_| self.may_rest()) else {
            return match self.call() {
                Some((ticket, lease)) => Returned::CloseAndCall(ticket, lease),
                None => Returned::Close,
            };
        };
        match self.waiting.pop_front() {
            Some(first) if first.key.as_ref() == Some(&key) => {
                self.lent += 1;
                Returned::HandTo(first.ticket, lease)
            }
            Some(first) => {
                self.lent += 1;
                Returned::CloseAndCall(first.ticket, lease)
            }
            None => {
                let kept = lease.number;
                self.resting.push_back(Resting {
                    number: kept,
                    key,
                    since: now,
                });
                let closed = self.expire(now);
                Returned::Rest { kept, closed }
            }
        }
    }

    /// True if a connection may go on after its lease: within a limit that was lowered meanwhile.
    fn may_rest(&self) -> bool {
        self.has_room() && (self.bounds.resting_max > 0 || !self.waiting.is_empty())
    }

    /// Takes out the connections that rested too long or too many, and gives their numbers.
    pub fn expire(&mut self, now: Duration) -> Vec<u64> {
        let too_long = |it: &Resting<K>| {
            let most = self.bounds.rest_max;
            most.is_some_and(|most| now.saturating_sub(it.since) >= most)
        };
        let old = self.resting.iter().take_while(|it| too_long(it)).count();
        let many = self.resting.len().saturating_sub(self.bounds.resting_max);
        let gone = self.resting.drain(..old.max(many));
        gone.map(|it| it.number).collect()
    }

    /// Takes out a resting connection that turned out to be of no use; false if it rests no more.
    pub fn forget(&mut self, number: u64) -> bool {
        let before = self.resting.len();
        self.resting.retain(|it| it.number != number);
        self.resting.len() < before
    }

    /// Takes out all resting connections, and gives their numbers.
    pub fn empty(&mut self) -> Vec<u64> {
        self.resting.drain(..).map(|it| it.number).collect()
    }

    /// Changes the bounds for those who come from now on, and calls the waiters that there is room
    /// for now. Connections beyond a lower limit live on until they are given back.
    pub fn rebound(&mut self, bounds: Bounds) -> Vec<(Ticket, Lease)> {
        self.bounds = bounds;
        std::iter::from_fn(|| self.call()).collect()
    }

    /// Takes a waiter out of the queue; false if it was called before.
    pub fn cancel(&mut self, ticket: Ticket) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|it| it.ticket != ticket);
        self.waiting.len() < before
    }

    /// Takes out and gives the tickets whose time is over at `now`.
    pub fn tick(&mut self, now: Duration) -> Vec<Ticket> {
        let mut over = Vec::new();
        while let Some(first) = self.waiting.front() {
            if first.deadline > now {
                break;
            }
            over.push(first.ticket);
            self.waiting.pop_front();
        }
        over
    }

    /// Connections lent now.
    pub fn lent(&self) -> usize {
        self.lent
    }

    /// Connections that rest now.
    pub fn resting(&self) -> usize {
        self.resting.len()
    }

    /// Waiters now.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn has_room(&self) -> bool {
        let existing = self.lent + self.resting.len();
        self.bounds.connections_max.is_none_or(|max| existing < max)
    }

    /// The oldest waiter's turn to dial, if there is room.
    fn call(&mut self) -> Option<(Ticket, Lease)> {
        if !self.has_room() {
            return None;
        }
        let first = self.waiting.pop_front()?;
        Some((first.ticket, self.lend()))
    }

    fn lend(&mut self) -> Lease {
        self.lent += 1;
        self.next += 1;
        Lease { number: self.next }
    }
}
