//! Owns one pool: its bounds, its leases, its resting connections, its queue.

use crate::{Lease, Ticket};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// How often one that waits may be passed by others that wait where the connection is.
const PASSED_MAX: u8 = 4;

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

/// Connections that are counted together within a pool: those of one role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Group(pub u64);

/// The worker that a connection, or somebody who wants one, lives on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Home(pub u16);

/// What somebody asks for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<K> {
    /// What it must rest under; `None`: a new one in any case.
    pub key: Option<K>,
    /// Where it counts.
    pub group: Group,
    /// Connections of the group that may exist at once; `None` without a limit.
    pub group_max: Option<usize>,
    /// Where it is wanted.
    pub home: Home,
}

/// The answer to [`Pool::ask`].
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// The resting connection of this number is yours.
    Granted(Lease),
    /// Connect to a server; the connection belongs to this lease.
    Dial(Lease),
    /// The same, but first close the resting connection of this number, which made room.
    Replace(Lease, u64),
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

/// Somebody who waited and gets something.
#[derive(Debug, PartialEq, Eq)]
pub enum Served {
    /// The resting connection of the lease's number.
    Rested(Ticket, Lease),
    /// The right to connect.
    Dial(Ticket, Lease),
    /// The same, but first close the resting connection of this number.
    Replace(Ticket, Lease, u64),
}

/// Whether connections are lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Traffic {
    Flows,
    /// Who asks waits; what comes back rests.
    Paused,
}

/// One pool. Times are durations since any fixed moment.
#[derive(Debug)]
pub struct Pool<K> {
    bounds: Bounds,
    traffic: Traffic,
    lent: usize,
    next: u64,
    /// Connections that exist, by group.
    existing: HashMap<Group, usize>,
    /// Oldest first.
    resting: VecDeque<Resting<K>>,
    waiting: VecDeque<Waiting<K>>,
}

/// What can be had at once.
enum Now {
    Rested(Lease),
    Dial(Lease),
    Replace(Lease, u64),
}

#[derive(Debug)]
struct Resting<K> {
    number: u64,
    key: K,
    group: Group,
    home: Home,
    since: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Waiting<K> {
    ticket: Ticket,
    wanted: Wanted<K>,
    deadline: Duration,
    passed: u8,
}

impl<K: Eq + Copy> Pool<K> {
    /// A pool with nothing in it.
    pub fn new(bounds: Bounds) -> Pool<K> {
        Pool {
            bounds,
            traffic: Traffic::Flows,
            lent: 0,
            next: 0,
            existing: HashMap::new(),
            resting: VecDeque::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Asks for a connection. Nobody passes those of the same group who wait already.
    pub fn ask(&mut self, wanted: Wanted<K>, now: Duration) -> Asked {
        let waits = |it: &Waiting<K>| it.wanted.group == wanted.group;
        if self.traffic == Traffic::Flows && !self.waiting.iter().any(waits) {
            match self.try_now(&wanted) {
                Some(Now::Rested(lease)) => return Asked::Granted(lease),
                Some(Now::Dial(lease)) => return Asked::Dial(lease),
                Some(Now::Replace(lease, gone)) => return Asked::Replace(lease, gone),
                None => {}
            }
        }
        self.next += 1;
        let ticket = Ticket(self.next);
        let deadline = now.saturating_add(self.bounds.wait_max);
        self.waiting.push_back(Waiting {
            ticket,
            wanted,
            deadline,
            passed: 0,
        });
        Asked::Wait(ticket)
    }

    fn try_now(&mut self, wanted: &Wanted<K>) -> Option<Now> {
        let group = wanted.group;
        if let Some(found) = self.find(wanted).and_then(|at| self.resting.remove(at)) {
            self.lent += 1;
            let number = found.number;
            return Some(Now::Rested(Lease { number, group }));
        }
        if self.has_room(wanted) {
            return Some(Now::Dial(self.lend(group)));
        }
        let gone = self.make_room(wanted)?;
        Some(Now::Replace(self.lend(group), gone))
    }

    /// Serves the first of those who wait that can be: to be called until it gives nothing, when more
    /// has become possible.
    pub fn serve(&mut self) -> Option<Served> {
        if self.traffic == Traffic::Paused {
            return None;
        }
        for at in 0..self.waiting.len() {
            let Waiting { ticket, wanted, .. } = self.waiting[at];
            let served = match self.try_now(&wanted) {
                None => continue,
                Some(Now::Rested(lease)) => Served::Rested(ticket, lease),
                Some(Now::Dial(lease)) => Served::Dial(ticket, lease),
                Some(Now::Replace(lease, gone)) => Served::Replace(ticket, lease, gone),
            };
            self.waiting.remove(at);
            return Some(served);
        }
        None
    }

    /// Lends nothing from now on: who asks waits.
    pub fn pause(&mut self) {
        self.traffic = Traffic::Paused;
    }

    /// Lends again; those who wait are to be [served](Self::serve).
    pub fn resume(&mut self) {
        self.traffic = Traffic::Flows;
    }

    /// True between [`pause`](Self::pause) and [`resume`](Self::resume).
    pub fn is_paused(&self) -> bool {
        self.traffic == Traffic::Paused
    }

    /// Lets one who waits connect beyond its group's limit, by up to `reserve` connections; `None`
    /// if that is used up, too, or its turn has come already.
    pub fn reserve(&mut self, ticket: Ticket, reserve: usize) -> Option<Lease> {
        let at = self.waiting.iter().position(|it| it.ticket == ticket)?;
        let mut wanted = self.waiting[at].wanted;
        wanted.group_max = wanted.group_max.map(|max| max.saturating_add(reserve));
        if self.is_paused() || !self.has_room(&wanted) {
            return None;
        }
        self.waiting.remove(at);
        Some(self.lend(wanted.group))
    }

    /// The one that rested least where it is wanted, else anywhere: its caches are warm, and the
    /// others may come of age.
    fn find(&self, wanted: &Wanted<K>) -> Option<usize> {
        let key = wanted.key?;
        let mut elsewhere = None;
        for (at, it) in self.resting.iter().enumerate().rev() {
            if it.key != key || it.group != wanted.group {
                continue;
            }
            if it.home == wanted.home {
                return Some(at);
            }
            elsewhere = elsewhere.or(Some(at));
        }
        elsewhere
    }

    /// Takes out the oldest resting connection whose end makes room for another, and gives its number.
    fn make_room(&mut self, wanted: &Wanted<K>) -> Option<u64> {
        let full = self.is_group_full(wanted);
        let mut candidates = self.resting.iter();
        let at = candidates.position(|it| !full || it.group == wanted.group)?;
        let gone = self.resting.remove(at)?;
        self.closed(gone.group);
        Some(gone.number)
    }

    /// Ends a lease. `clean` is the key under which the connection may rest, and where it is;
    /// `None`: it closes.
    pub fn give_back(&mut self, lease: Lease, clean: Option<(K, Home)>, now: Duration) -> Returned {
        assert!(self.lent > 0, "a lease came back that was never given");
        self.lent -= 1;
        let Some((key, home)) = clean.filter(|_| self.may_rest()) else {
            self.closed(lease.group);
            return match self.call() {
                Some((ticket, lease)) => Returned::CloseAndCall(ticket, lease),
                None => Returned::Close,
            };
        };
        if !self.is_paused()
            && let Some(ticket) = self.next_for(key, lease.group, home)
        {
            self.lent += 1;
            return Returned::HandTo(ticket, lease);
        }
        if !self.waiting.is_empty() {
            // Somebody may wait whom only the end of this one helps.
            self.closed(lease.group);
            if let Some((ticket, lease)) = self.call() {
                return Returned::CloseAndCall(ticket, lease);
            }
            *self.existing.entry(lease.group).or_default() += 1;
        }
        let kept = lease.number;
        self.resting.push_back(Resting {
            number: kept,
            key,
            group: lease.group,
            home,
            since: now,
        });
        let closed = self.expire(now);
        Returned::Rest { kept, closed }
    }

    /// Takes out the one whose turn it is to get this connection: who has waited longest, unless
    /// somebody waits where the connection is, and the first was not passed too often.
    fn next_for(&mut self, key: K, group: Group, home: Home) -> Option<Ticket> {
        let fits = |it: &Waiting<K>| it.wanted.key == Some(key) && it.wanted.group == group;
        let first = self.waiting.iter().position(fits)?;
        let at_home = |it: &Waiting<K>| fits(it) && it.wanted.home == home;
        let mut chosen = first;
        if self.waiting[first].wanted.home != home
            && self.waiting[first].passed < PASSED_MAX
            && let Some(local) = self.waiting.iter().position(at_home)
        {
            self.waiting[first].passed += 1;
            chosen = local;
        }
        self.waiting.remove(chosen).map(|it| it.ticket)
    }

    /// True if a connection may go on after its lease: within a limit that was lowered meanwhile.
    fn may_rest(&self) -> bool {
        let existing = self.lent + self.resting.len();
        let max = self.bounds.connections_max;
        max.is_none_or(|max| existing < max)
            && (self.bounds.resting_max > 0 || !self.waiting.is_empty())
    }

    /// Takes out the connections that rested too long or too many, and gives their numbers.
    pub fn expire(&mut self, now: Duration) -> Vec<u64> {
        let too_long = |it: &Resting<K>| {
            let most = self.bounds.rest_max;
            most.is_some_and(|most| now.saturating_sub(it.since) >= most)
        };
        let old = self.resting.iter().take_while(|it| too_long(it)).count();
        let many = self.resting.len().saturating_sub(self.bounds.resting_max);
        self.take_oldest(old.max(many))
    }

    fn take_oldest(&mut self, count: usize) -> Vec<u64> {
        let gone: Vec<_> = self.resting.drain(..count).collect();
        gone.iter().for_each(|it| self.closed(it.group));
        gone.into_iter().map(|it| it.number).collect()
    }

    /// Takes out a resting connection that turned out to be of no use; false if it rests no more.
    pub fn forget(&mut self, number: u64) -> bool {
        let found = self.resting.iter().position(|it| it.number == number);
        match found.and_then(|at| self.resting.remove(at)) {
            Some(gone) => {
                self.closed(gone.group);
                true
            }
            None => false,
        }
    }

    /// Takes out all resting connections, and gives their numbers.
    pub fn empty(&mut self) -> Vec<u64> {
        self.take_oldest(self.resting.len())
    }

    /// Changes the bounds for those who come from now on. Connections beyond a lower limit live on
    /// until they are given back. Those who wait are to be [served](Self::serve).
    pub fn rebound(&mut self, bounds: Bounds) {
        self.bounds = bounds;
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

    fn has_room(&self, wanted: &Wanted<K>) -> bool {
        let existing = self.lent + self.resting.len();
        let max = self.bounds.connections_max;
        max.is_none_or(|max| existing < max) && !self.is_group_full(wanted)
    }

    fn is_group_full(&self, wanted: &Wanted<K>) -> bool {
        wanted.group_max.is_some_and(|max| {
            let existing = self.existing.get(&wanted.group);
            existing.copied().unwrap_or(0) >= max
        })
    }

    /// The turn of the oldest waiter that may dial, if there is room for one.
    fn call(&mut self) -> Option<(Ticket, Lease)> {
        if self.is_paused() {
            return None;
        }
        let at = self
            .waiting
            .iter()
            .position(|it| self.has_room(&it.wanted))?;
        let called = self.waiting.remove(at)?;
        Some((called.ticket, self.lend(called.wanted.group)))
    }

    fn lend(&mut self, group: Group) -> Lease {
        self.lent += 1;
        self.next += 1;
        *self.existing.entry(group).or_default() += 1;
        let number = self.next;
        Lease { number, group }
    }

    fn closed(&mut self, group: Group) {
        if let Some(count) = self.existing.get_mut(&group) {
            *count -= 1;
            if *count == 0 {
                self.existing.remove(&group);
            }
        }
    }
}
