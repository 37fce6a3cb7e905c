//! Owns what becomes of a connection that is given back, and whose turn it is then.
//!
//! From hand to hand costs nothing, a new connection costs a handshake; so those whom the connection fits
//! go first, but nobody is passed for ever: each waiter counts how often that happened to it. The bound is
//! one for the limits of this pool and one for those over all pools; who needs both at the same moment, each
//! used up by others, is served when both come together.

use super::{Pool, Resting, Waiting};
use crate::{Census, Group, Home, Lease, Returned, Ticket};
use std::time::Duration;

/// How often one that waits may be passed by others that wait where the connection is.
const PASSED_MAX: u8 = 4;

/// How often a connection may go from hand to hand ahead of somebody whom only its end helps, and whose
/// group has less than its share.
const WAIVED_MAX: u8 = 8;

/// The same where the group has its share: it is helped by what its own connections do, as a rule.
const WAIVED_MAX_WITH_SHARE: u8 = 128;

/// How many turns a pool takes while another one stands in line for a connection of the same role.
const TURNS_AHEAD_MAX: u8 = 8;

impl<K: Eq + Copy, R: Census> Pool<K, R> {
    /// Ends a lease. `clean` is the key under which the connection may rest, and where it is;
    /// `None`: it closes.
    pub fn give_back(&mut self, lease: Lease, clean: Option<(K, Home)>, now: Duration) -> Returned {
        assert!(self.lent > 0, "a lease came back that was never given");
        let group = lease.group;
        let clean = clean.filter(|_| self.may_go_on(group));
        if !self.lends() {
            return match clean {
                Some(clean) => self.rest(lease, clean, now),
                None => self.end(group),
            };
        }
        if self.gives_way(group) {
            return self.end_for_others(group);
        }
        let Some((key, home)) = clean else {
            return match self.call(group) {
                Some((ticket, lease)) => Returned::CloseAndCall(ticket, lease),
                None => self.end_for_others(group),
            };
        };
        if !self.waiting.is_empty() {
            let owed = self.owed(key, group);
            if let Some((ticket, lease)) = owed.and_then(|at| self.call_at(at, group)) {
                return Returned::CloseAndCall(ticket, lease);
            }
            if let Some(ticket) = self.next_for(key, group, home) {
                return Returned::HandTo(ticket, lease);
            }
            // Somebody may wait whom only the end of this one helps.
            if let Some((ticket, lease)) = self.call(group) {
                return Returned::CloseAndCall(ticket, lease);
            }
        }
        if self.bounds.resting_max == 0 && self.existing(group) > self.least(group) {
            return self.end_for_others(group);
        }
        self.rest(lease, (key, home), now)
    }

    fn rest(&mut self, lease: Lease, (key, home): (K, Home), now: Duration) -> Returned {
        self.lent -= 1;
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

    fn end(&mut self, group: Group) -> Returned {
        self.lent -= 1;
        self.closed(group);
        Returned::Close
    }

    /// Ends it without a successor of its own: the role's place may be for another pool, the room in this one
    /// is for whoever may have it.
    fn end_for_others(&mut self, group: Group) -> Returned {
        let ended = self.end(group);
        let called = (0..self.waiting.len()).find(|at| {
            let wanted = self.waiting[*at].wanted;
            self.has_room(&wanted, None) && self.roles.enter(wanted.group, wanted.role_max)
        });
        match called.and_then(|at| self.waiting.remove(at)) {
            Some(called) => Returned::CloseAndCall(called.ticket, self.lend(called.wanted.group)),
            None => ended,
        }
    }

    /// True if a connection may go on after its lease: within a limit that was lowered meanwhile.
    fn may_go_on(&self, group: Group) -> bool {
        let existing = self.lent + self.resting.len();
        let max = self.bounds.connections_max;
        let may_rest = self.bounds.resting_max > 0 || self.existing(group) <= self.least(group);
        max.is_none_or(|max| existing <= max) && (may_rest || !self.waiting.is_empty())
    }

    /// True if the role's connection is to end for the sake of another pool.
    fn gives_way(&mut self, group: Group) -> bool {
        if !self.limits_roles || !self.roles.is_pressed(group) {
            return false;
        }
        let of_group = |it: &Waiting<K>| it.wanted.group == group;
        self.turns_ahead += 1;
        let gives = self.turns_ahead > TURNS_AHEAD_MAX || !self.waiting.iter().any(of_group);
        if gives {
            self.turns_ahead = 0;
        }
        gives
    }

    /// The one to whom a connection is owed that fits others: whose group has less than it is guaranteed, or
    /// who was passed too often.
    fn owed(&mut self, key: K, group: Group) -> Option<usize> {
        if !self.guarantees.is_empty() {
            let entitled = |it: &Waiting<K>| {
                let of = it.wanted.group;
                of != group
                    && self.existing(of) < self.guaranteed(of)
                    && self.has_room(&it.wanted, Some(group))
            };
            let entitled = self.waiting.iter().position(entitled);
            if entitled.is_some() {
                return entitled;
            }
        }
        let fits = |it: &Waiting<K>| it.wanted.key == Some(key) && it.wanted.group == group;
        let first = self.waiting.iter().position(fits)?;
        let mut ahead = self.waiting.range(..first);
        let passed = ahead.position(|it| self.has_room(&it.wanted, Some(group)))?;
        let of = self.waiting[passed].wanted.group;
        let has_share = of != group
            && self.existing(of) > 0
            && self.existing(group) <= self.existing(of).saturating_add(1);
        let most = match has_share {
            true => WAIVED_MAX_WITH_SHARE,
            false => WAIVED_MAX,
        };
        let waived = &mut self.waiting[passed].waived;
        if *waived >= most {
            return Some(passed);
        }
        *waived += 1;
        None
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

    /// The turn of the oldest waiter that may dial in place of a lent connection of group `gone`.
    fn call(&mut self, gone: Group) -> Option<(Ticket, Lease)> {
        (0..self.waiting.len()).find_map(|at| self.call_at(at, gone))
    }

    fn call_at(&mut self, at: usize, gone: Group) -> Option<(Ticket, Lease)> {
        let wanted = self.waiting[at].wanted;
        if !self.has_room(&wanted, Some(gone)) {
            return None;
        }
        match wanted.group == gone {
            // The group's count over all pools stays as it is.
            true => self.uncount(gone),
            false if self.roles.enter(wanted.group, wanted.role_max) => self.closed(gone),
            false => return None,
        }
        self.lent -= 1;
        let called = self.waiting.remove(at)?;
        Some((called.ticket, self.lend(wanted.group)))
    }
}
