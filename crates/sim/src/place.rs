//! Owns one pool with what rests in it and who waits: the order of `shell/exchange.rs` (`Place`, `Leased`,
//! `Turn`), with mailboxes in place of its mutex and channels.

use crate::link::Link;
use pool::{
    Asked, Bounds, Census, Group, Home, Lease, Pool, PoolId, Returned, Roles, Served, Ticket,
    Wanted,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

/// What connections must have in common: here the group alone.
pub type Key = u64;

/// A lease, as a guard of the shell holds it.
#[derive(Debug)]
pub struct Leased {
    /// `None`: a mutation made one up.
    pub lease: Option<Lease>,
    /// Where it counts.
    pub group: u64,
    generation: u64,
}

impl Leased {
    /// A lease that the pool never gave.
    pub fn made_up(group: u64, generation: u64) -> Leased {
        Leased {
            lease: None,
            group,
            generation,
        }
    }

    /// How often all connections had been replaced when it was given.
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

/// What a client gets.
#[derive(Debug)]
pub enum Lent {
    /// A connection that rested.
    Rested(Leased, Box<Link>),
    /// The right to make one.
    Fresh(Leased),
}

/// The counts of roles, which only this pool has.
#[derive(Debug, Default)]
pub struct Roll(RefCell<Roles>);

impl Census for Roll {
    fn enter(&self, group: Group, max: Option<usize>) -> bool {
        self.0.borrow_mut().enter(group, max, PoolId(0))
    }

    fn enter_ahead_of_need(&self, group: Group, max: Option<usize>) -> bool {
        self.0.borrow_mut().enter_ahead_of_need(group, max)
    }

    fn leave(&self, group: Group) {
        self.0.borrow_mut().leave(group);
    }

    fn is_pressed(&self, group: Group) -> bool {
        self.0.borrow().is_pressed(group, PoolId(0))
    }
}

/// One pool.
#[derive(Debug)]
pub struct Place {
    /// Its rules.
    pub pool: Pool<Key, Roll>,
    /// Clients of each group that are there.
    pub present: BTreeMap<u64, usize>,
    /// Connections at rest.
    pub resting: BTreeMap<u64, Box<Link>>,
    /// Whose a ticket is.
    pub waiters: BTreeMap<Ticket, usize>,
    /// What was sent to those who waited, and not seen by them yet.
    pub mailboxes: BTreeMap<usize, Lent>,
    /// How often all connections were to be replaced.
    pub generation: u64,
    /// Connections that nobody has any more: to be closed.
    pub dropped: Vec<Box<Link>>,
    /// The group of each client.
    pub groups: Vec<u64>,
    /// See [`crate::plan::Mutation::ForgetWaiters`].
    pub forgets: bool,
    /// See [`crate::plan::Mutation::KeepOld`].
    pub keeps_old: bool,
}

impl Place {
    /// An empty one.
    pub fn new(bounds: Bounds) -> Place {
        Place {
            pool: Pool::new(bounds, Roll::default()),
            present: BTreeMap::new(),
            resting: BTreeMap::new(),
            waiters: BTreeMap::new(),
            mailboxes: BTreeMap::new(),
            generation: 0,
            dropped: vec![],
            groups: vec![],
            forgets: false,
            keeps_old: false,
        }
    }

    /// `Place::attend`; `ignores`: see [`crate::plan::Mutation::IgnoreGuarantees`].
    pub fn attend(&mut self, group: u64, guaranteed: usize, ignores: bool) {
        *self.present.entry(group).or_default() += 1;
        if !ignores {
            self.pool.attend(Group(group), guaranteed);
        }
    }

    /// The drop of an `Attending`.
    pub fn depart(&mut self, group: u64, guaranteed: usize) {
        if let Some(clients) = self.present.get_mut(&group) {
            *clients -= 1;
        }
        self.pool.depart(Group(group), guaranteed);
        self.serve();
    }

    fn guard(&self, lease: Lease, group: u64) -> Leased {
        Leased {
            lease: Some(lease),
            group,
            generation: self.generation,
        }
    }

    /// `Place::ask`.
    pub fn ask(&mut self, client: usize, wanted: Wanted<Key>, now: u64) -> Result<Lent, Ticket> {
        let group = wanted.group.0;
        match self.pool.ask(wanted, Duration::from_micros(now)) {
            Asked::Granted(lease) => match self.resting.remove(&lease.number()) {
                Some(rested) => Ok(Lent::Rested(self.guard(lease, group), rested)),
                None => Ok(Lent::Fresh(self.guard(lease, group))),
            },
            Asked::Dial(lease) => Ok(Lent::Fresh(self.guard(lease, group))),
            Asked::Replace(lease, gone) => {
                self.dropped.extend(self.resting.remove(&gone));
                Ok(Lent::Fresh(self.guard(lease, group)))
            }
            Asked::Wait(ticket) => {
                self.waiters.insert(ticket, client);
                Err(ticket)
            }
        }
    }

    /// `Place::serve`.
    pub fn serve(&mut self) {
        while let Some(served) = self.pool.serve() {
            let (ticket, lease, gone) = match served {
                Served::Dial(ticket, lease) => (ticket, lease, None),
                Served::Rested(ticket, lease) => (ticket, lease, None),
                Served::Replace(ticket, lease, gone) => (ticket, lease, Some(gone)),
            };
            self.dropped
                .extend(gone.and_then(|gone| self.resting.remove(&gone)));
            let rested = self.resting.remove(&lease.number());
            let Some(client) = self.waiters.remove(&ticket) else {
                panic!("a ticket of nobody was served");
            };
            let guard = self.guard(lease, self.groups[client]);
            let lent = match rested {
                Some(rested) => Lent::Rested(guard, rested),
                None => Lent::Fresh(guard),
            };
            self.mailboxes.insert(client, lent);
        }
    }

    /// `Place::give_back`, where each waiter that was called is still there: one that is gone has left
    /// the queue in the same step.
    fn give_back(
        &mut self,
        lease: Lease,
        group: u64,
        clean: Option<((Key, Home), Box<Link>)>,
        now: u64,
    ) {
        let key = clean.as_ref().map(|(key, _)| *key);
        let mut link = clean.map(|(_, link)| link);
        let now = Duration::from_micros(now);
        let calls = |ticket: &Ticket, place: &Place| {
            let client = place.waiters.get(ticket);
            client.map_or(group, |client| place.groups[*client])
        };
        let (ticket, lent) = match self.pool.give_back(lease, key, now) {
            Returned::Rest { kept, closed } => {
                self.resting.extend(link.map(|link| (kept, link)));
                let makes_room = !closed.is_empty();
                let closed = closed.into_iter().filter_map(|it| self.resting.remove(&it));
                self.dropped.extend(closed);
                if makes_room {
                    self.serve();
                }
                return;
            }
            Returned::Close => return self.dropped.extend(link),
            Returned::HandTo(ticket, lease) => {
                let guard = self.guard(lease, group);
                match link.take() {
                    Some(link) => (ticket, Lent::Rested(guard, link)),
                    None => (ticket, Lent::Fresh(guard)),
                }
            }
            Returned::CloseAndCall(ticket, lease) => {
                let group = calls(&ticket, self);
                (ticket, Lent::Fresh(self.guard(lease, group)))
            }
        };
        self.dropped.extend(link);
        if self.forgets {
            return;
        }
        match self.waiters.remove(&ticket) {
            Some(client) => drop(self.mailboxes.insert(client, lent)),
            None => panic!("a ticket of nobody was called"),
        }
    }

    /// `Leased::keep`.
    pub fn keep(&mut self, leased: Leased, key: (Key, Home), link: Box<Link>, now: u64) {
        let current = leased.generation == self.generation || self.keeps_old;
        let group = leased.group;
        match leased.lease {
            Some(lease) if current => self.give_back(lease, group, Some((key, link)), now),
            lease => {
                self.dropped.push(link);
                lease
                    .into_iter()
                    .for_each(|lease| self.give_back(lease, group, None, now));
            }
        }
    }

    /// The drop of a `Leased`.
    pub fn release(&mut self, leased: Leased, now: u64) {
        let group = leased.group;
        leased
            .lease
            .into_iter()
            .for_each(|lease| self.give_back(lease, group, None, now));
    }

    /// The drop of a `Turn`.
    pub fn leave(&mut self, client: usize, ticket: Ticket, now: u64) {
        self.pool.cancel(ticket);
        self.waiters.remove(&ticket);
        match self.mailboxes.remove(&client) {
            Some(Lent::Rested(leased, link)) => {
                self.dropped.push(link);
                self.release(leased, now);
            }
            Some(Lent::Fresh(leased)) => self.release(leased, now),
            None => {}
        }
    }

    /// `Turn::reserve`.
    pub fn reserve(&mut self, ticket: Ticket, group: u64, reserve: usize) -> Option<Leased> {
        let lease = self.pool.reserve(ticket, reserve)?;
        self.waiters.remove(&ticket);
        Some(self.guard(lease, group))
    }

    /// `Place::reconnect`, and the first half of `Exchange::rebound`.
    pub fn replace_all(&mut self) {
        self.generation += 1;
        let numbers = self.pool.empty();
        let closed = numbers
            .into_iter()
            .filter_map(|it| self.resting.remove(&it));
        self.dropped.extend(closed);
        self.serve();
    }

    /// `Exchange::expire`.
    pub fn expire(&mut self, now: u64, is_gone: impl Fn(&Link) -> bool) {
        let mut numbers = self.pool.expire(Duration::from_micros(now));
        let gone: Vec<_> = self
            .resting
            .iter()
            .filter(|(_, it)| is_gone(it))
            .map(|(n, _)| *n)
            .collect();
        numbers.extend(gone.into_iter().filter(|it| self.pool.forget(*it)));
        numbers.sort_unstable();
        let closed = numbers
            .into_iter()
            .filter_map(|it| self.resting.remove(&it));
        self.dropped.extend(closed);
        self.serve();
    }
}
