//! Owns one pool: its bounds, its leases, its resting connections, its queue. What comes back is in
//! `giving`, how much of everything there may be in `room`.

mod giving;
mod room;

use crate::{Asked, Bounds, Census, Group, Home, Lease, Served, Ticket, Wanted};
use room::Guarantee;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// Why nothing is lent, if so: who asks waits, what comes back rests. Each reason ends for itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Holds {
    paused: bool,
    leaderless: bool,
}

impl Holds {
    fn any(self) -> bool {
        self.paused || self.leaderless
    }
}

/// One pool. Times are durations since any fixed moment. `R` counts roles over all pools.
#[derive(Debug)]
pub struct Pool<K, R> {
    bounds: Bounds,
    roles: R,
    holds: Holds,
    lent: usize,
    next: u64,
    /// Connections that exist, by group.
    existing: HashMap<Group, usize>,
    /// Those that are not to be fewer, by group.
    ready: HashMap<Group, usize>,
    /// Those that others can't take, by group.
    guarantees: HashMap<Group, Guarantee>,
    /// Oldest first.
    resting: VecDeque<Resting<K>>,
    waiting: VecDeque<Waiting<K>>,
    /// Whether anybody here has a limit over all pools.
    limits_roles: bool,
    /// Turns since another pool was last given way.
    turns_ahead: u8,
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
    /// How often somebody got a connection first who waits where it is.
    passed: u8,
    /// How often one went from hand to hand whose end would have made room.
    waived: u8,
}

impl<K: Eq + Copy, R: Census> Pool<K, R> {
    /// A pool with nothing in it.
    pub fn new(bounds: Bounds, roles: R) -> Pool<K, R> {
        Pool {
            bounds,
            roles,
            holds: Holds::default(),
            lent: 0,
            next: 0,
            existing: HashMap::new(),
            ready: HashMap::new(),
            guarantees: HashMap::new(),
            resting: VecDeque::new(),
            waiting: VecDeque::new(),
            limits_roles: false,
            turns_ahead: 0,
        }
    }

    /// Asks for a connection. Nobody passes those of the same group who wait already.
    pub fn ask(&mut self, wanted: Wanted<K>, now: Duration) -> Asked {
        self.limits_roles |= wanted.role_max.is_some();
        let waits = |it: &Waiting<K>| it.wanted.group == wanted.group;
        if !self.holds.any() && !self.waiting.iter().any(waits) {
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
            waived: 0,
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
        let room = self.has_room(wanted, None);
        if room && self.roles.enter_ahead_of_need(group, wanted.role_max) {
            return Some(Now::Dial(self.lend(group)));
        }
        if let Some(gone) = self.make_room(wanted) {
            return Some(Now::Replace(self.lend(group), gone));
        }
        let enters = room && self.roles.enter(group, wanted.role_max);
        enters.then(|| Now::Dial(self.lend(group)))
    }

    /// Serves the first of those who wait that can be: to be called until it gives nothing, when more
    /// has become possible.
    pub fn serve(&mut self) -> Option<Served> {
        if self.holds.any() {
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
        self.holds.paused = true;
    }

    /// Lends again; those who wait are to be [served](Self::serve).
    pub fn resume(&mut self) {
        self.holds.paused = false;
    }

    /// True between [`pause`](Self::pause) and [`resume`](Self::resume).
    pub fn is_paused(&self) -> bool {
        self.holds.paused
    }

    /// There is no server to connect to at present: nothing is lent, whether or not it is [paused](Self::pause).
    pub fn lose_leader(&mut self) {
        self.holds.leaderless = true;
    }

    /// There is one; those who wait are to be [served](Self::serve).
    pub fn find_leader(&mut self) {
        self.holds.leaderless = false;
    }

    /// True while something is lent at all.
    pub fn lends(&self) -> bool {
        !self.holds.any()
    }

    /// Lets one who waits connect beyond its group's limit, by up to `reserve` connections; `None`
    /// if that is used up, too, or its turn has come already.
    pub fn reserve(&mut self, ticket: Ticket, reserve: usize) -> Option<Lease> {
        let at = self.waiting.iter().position(|it| it.ticket == ticket)?;
        let mut wanted = self.waiting[at].wanted;
        wanted.group_max = wanted.group_max.map(|max| max.saturating_add(reserve));
        if self.holds.any()
            || !self.has_room(&wanted, None)
            || !self.roles.enter(wanted.group, wanted.role_max)
        {
            return None;
        }
        self.waiting.remove(at);
        Some(self.lend(wanted.group))
    }

    /// The right to connect ahead of need, while the group has fewer than `least` connections and nobody
    /// has to go for it.
    pub fn prepare(&mut self, wanted: &Wanted<K>, least: usize) -> Option<Lease> {
        let group = wanted.group;
        let may = self.lends() && self.existing(group) < least && self.has_room(wanted, None);
        let may = may && self.roles.enter_ahead_of_need(group, wanted.role_max);
        may.then(|| self.lend(group))
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

    /// Takes out the oldest resting connection whose end makes room for another, which is counted in its
    /// place, and gives its number.
    fn make_room(&mut self, wanted: &Wanted<K>) -> Option<u64> {
        let makes = |pool: &Self, at: usize, same: bool| {
            let gone = pool.resting[at].group;
            (gone == wanted.group) == same && pool.has_room(wanted, Some(gone))
        };
        let first = |pool: &Self, same| (0..pool.resting.len()).find(|at| makes(pool, *at, same));
        let (own, other) = (first(self, true), first(self, false));
        let at = match (own, other) {
            // The count of the role takes no part in a change within it.
            (Some(own), other) if wanted.role_max.is_some() || other.is_none_or(|it| own < it) => {
                own
            }
            (_, Some(other)) if self.roles.enter(wanted.group, wanted.role_max) => other,
            _ => return None,
        };
        let gone = self.resting.remove(at)?;
        match gone.group == wanted.group {
            true => self.uncount(gone.group),
            false => self.closed(gone.group),
        }
        Some(gone.number)
    }

    /// Takes out the connections that rested too long or too many, and gives their numbers. Those that
    /// are [kept ready](Self::keep_ready) stay.
    pub fn expire(&mut self, now: Duration) -> Vec<u64> {
        let mut many = self.resting.len().saturating_sub(self.bounds.resting_max);
        let mut gone = Vec::new();
        let mut at = 0;
        while let Some(it) = self.resting.get(at) {
            let most = self.bounds.rest_max;
            let long = most.is_some_and(|most| now.saturating_sub(it.since) >= most);
            if !long && many == 0 {
                break;
            }
            if self.existing(it.group) <= self.least(it.group) {
                at += 1;
                continue;
            }
            many = many.saturating_sub(1);
            gone.extend(self.take(at));
        }
        gone
    }

    fn take(&mut self, at: usize) -> Option<u64> {
        let gone = self.resting.remove(at)?;
        self.closed(gone.group);
        Some(gone.number)
    }

    /// Takes out a resting connection that turned out to be of no use; false if it rests no more.
    pub fn forget(&mut self, number: u64) -> bool {
        let found = self.resting.iter().position(|it| it.number == number);
        found.and_then(|at| self.take(at)).is_some()
    }

    /// Takes out the oldest resting connection of a group, for somebody of that group in another pool.
    pub fn yield_one(&mut self, group: Group) -> Option<u64> {
        let found = self.resting.iter().position(|it| it.group == group);
        found.and_then(|at| self.take(at))
    }

    /// Takes out all resting connections, and gives their numbers.
    pub fn empty(&mut self) -> Vec<u64> {
        std::iter::from_fn(|| self.take(0)).collect()
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

    /// Connections of a group, lent and resting.
    pub fn existing(&self, group: Group) -> usize {
        self.existing.get(&group).copied().unwrap_or(0)
    }

    /// A new connection, whose role has entered the count of all pools.
    fn lend(&mut self, group: Group) -> Lease {
        self.lent += 1;
        self.next += 1;
        *self.existing.entry(group).or_default() += 1;
        let number = self.next;
        Lease { number, group }
    }

    fn closed(&mut self, group: Group) {
        self.uncount(group);
        self.roles.leave(group);
    }

    fn uncount(&mut self, group: Group) {
        if let Some(count) = self.existing.get_mut(&group) {
            *count -= 1;
            if *count == 0 {
                self.existing.remove(&group);
            }
        }
    }
}
