//! Leases of server connections as plain data: who holds one, who waits, when a wait ends.
//!
//! Takes questions and the time; gives answers. Owns no socket and no lock: one [`Pool`] per pool
//! key lies behind a short mutex of the shell. Session mode is its first user: a lease is a
//! connection of its own from login to close, so each is dialled and each return closes it.

use std::collections::VecDeque;
use std::time::Duration;

/// A permission to hold one server connection of the pool. Given back exactly once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a lease that is dropped is never given back to its pool"]
pub struct Lease {
    number: u64,
}

impl Lease {
    /// The lease's number, unique in its pool: for logs.
    pub fn number(&self) -> u64 {
        self.number
    }
}

/// A place in the queue of waiters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(u64);

/// The answer to [`Pool::ask`].
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// Connect to a server; the connection belongs to this lease.
    Dial(Lease),
    /// Every permitted connection is lent: wait for this ticket to be called.
    Wait(Ticket),
}

/// The answer to [`Pool::give_back`]: the connection closes, and perhaps somebody's turn has come.
#[derive(Debug, PartialEq, Eq)]
pub enum Returned {
    /// Nobody waits.
    Close,
    /// The ticket's holder may dial with this lease.
    CloseAndCall(Ticket, Lease),
}

/// One pool: limits, leases and waiters. Times are durations since any fixed moment.
#[derive(Debug)]
pub struct Pool {
    /// Connections that may exist at once; `None` without a limit.
    connections_max: Option<usize>,
    /// How long a ticket is good for.
    wait_max: Duration,
    lent: usize,
    next: u64,
    waiting: VecDeque<(Ticket, Duration)>,
}

impl Pool {
    /// A pool of at most `connections_max` connections whose waiters give up after `wait_max`.
    pub fn new(connections_max: Option<usize>, wait_max: Duration) -> Pool {
        Pool {
            connections_max,
            wait_max,
            lent: 0,
            next: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Asks for a connection. Nobody passes those who wait already.
    pub fn ask(&mut self, now: Duration) -> Asked {
        if self.has_room() && self.waiting.is_empty() {
            Asked::Dial(self.lend())
        } else {
            self.next += 1;
            let ticket = Ticket(self.next);
            self.waiting
                .push_back((ticket, now.saturating_add(self.wait_max)));
            Asked::Wait(ticket)
        }
    }

    /// Changes the limit and the patience of those who come from now on, and calls the waiters that
    /// the limit has room for now. Connections beyond a lower limit live on until they are given back.
    pub fn rebound(
        &mut self,
        connections_max: Option<usize>,
        wait_max: Duration,
    ) -> Vec<(Ticket, Lease)> {
        self.connections_max = connections_max;
        self.wait_max = wait_max;
        std::iter::from_fn(|| self.call()).collect()
    }

    /// Ends a lease, whose connection closes, and calls the oldest waiter.
    pub fn give_back(&mut self, lease: Lease) -> Returned {
        let Lease { number: _ } = lease;
        assert!(self.lent > 0, "a lease came back that was never given");
        self.lent -= 1;
        match self.call() {
            Some((ticket, lease)) => Returned::CloseAndCall(ticket, lease),
            None => Returned::Close,
        }
    }

    /// Takes a waiter out of the queue; false if it was called before.
    pub fn cancel(&mut self, ticket: Ticket) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|(waiting, _)| *waiting != ticket);
        self.waiting.len() < before
    }

    /// Takes out and gives the tickets whose time is over at `now`.
    pub fn tick(&mut self, now: Duration) -> Vec<Ticket> {
        let mut over = Vec::new();
        while let Some((ticket, deadline)) = self.waiting.front() {
            if *deadline > now {
                break;
            }
            over.push(*ticket);
            self.waiting.pop_front();
        }
        over
    }

    /// Connections lent now.
    pub fn lent(&self) -> usize {
        self.lent
    }

    /// Waiters now.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn has_room(&self) -> bool {
        self.connections_max.is_none_or(|max| self.lent < max)
    }

    /// The oldest waiter's turn, if there is room.
    fn call(&mut self) -> Option<(Ticket, Lease)> {
        if !self.has_room() {
            return None;
        }
        let (ticket, _) = self.waiting.pop_front()?;
        Some((ticket, self.lend()))
    }

    fn lend(&mut self) -> Lease {
        self.lent += 1;
        self.next += 1;
        Lease { number: self.next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn dial(asked: Asked) -> Lease {
        match asked {
            Asked::Dial(lease) => lease,
            Asked::Wait(ticket) => panic!("has to wait: {ticket:?}"),
        }
    }
    fn wait(asked: Asked) -> Ticket {
        match asked {
            Asked::Wait(ticket) => ticket,
            Asked::Dial(lease) => panic!("got {lease:?}"),
        }
    }

    #[test]
    fn without_a_limit_everybody_dials() {
        let mut pool = Pool::new(None, SECOND);
        let leases: Vec<_> = (0..100).map(|_| dial(pool.ask(SECOND))).collect();
        assert_eq!(pool.lent(), 100);
        for lease in leases {
            assert_eq!(pool.give_back(lease), Returned::Close);
        }
        assert_eq!(pool.lent(), 0);
    }

    #[test]
    fn a_higher_limit_calls_waiters_and_a_lower_one_lets_leases_end() {
        let mut pool = Pool::new(Some(1), SECOND);
        let mut leases = vec![dial(pool.ask(SECOND))];
        let tickets: Vec<_> = (0..3).map(|_| wait(pool.ask(SECOND))).collect();
        for (called, ticket) in pool.rebound(Some(3), SECOND).into_iter().zip(&tickets) {
            assert_eq!(called.0, *ticket);
            leases.push(called.1);
        }
        assert_eq!((leases.len(), pool.lent(), pool.waiting()), (3, 3, 1));
        assert!(pool.rebound(Some(1), SECOND).is_empty());
        let mut leases = leases.into_iter();
        for _ in 0..2 {
            assert_eq!(pool.give_back(leases.next().unwrap()), Returned::Close);
        }
        let Returned::CloseAndCall(called, last) = pool.give_back(leases.next().unwrap()) else {
            panic!("nobody was called");
        };
        assert_eq!((called, pool.lent()), (tickets[2], 1));
        assert_eq!(pool.give_back(last), Returned::Close);
    }

    #[test]
    fn waiters_are_called_in_order_and_the_limit_is_exact() {
        let mut pool = Pool::new(Some(1), SECOND);
        let lease = dial(pool.ask(SECOND));
        let first = wait(pool.ask(SECOND));
        let second = wait(pool.ask(SECOND));
        let Returned::CloseAndCall(called, lease) = pool.give_back(lease) else {
            panic!("nobody was called");
        };
        assert_eq!((called, pool.lent()), (first, 1));
        let Returned::CloseAndCall(called, lease) = pool.give_back(lease) else {
            panic!("nobody was called");
        };
        assert_eq!(called, second);
        assert_eq!(pool.give_back(lease), Returned::Close);
        assert_eq!((pool.lent(), pool.waiting()), (0, 0));
    }

    #[test]
    fn a_wait_ends_by_time_or_by_cancel_and_never_twice() {
        let mut pool = Pool::new(Some(0), SECOND);
        let first = wait(pool.ask(Duration::ZERO));
        let second = wait(pool.ask(SECOND));
        let third = wait(pool.ask(SECOND));
        assert!(pool.cancel(third));
        assert!(!pool.cancel(third));
        assert_eq!(pool.tick(SECOND / 2), []);
        assert_eq!(pool.tick(SECOND), [first]);
        assert_eq!(pool.tick(2 * SECOND), [second]);
        assert_eq!(pool.waiting(), 0);
    }
}
