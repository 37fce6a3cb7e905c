//! Owns how much of everything a pool may have: the limits of all and of a group, what is kept free for
//! whom, what is kept ready.

use super::Pool;
use crate::{Census, Group, Hindrance, Ticket, Wanted};
use std::collections::HashMap;

/// What clients of a group are guaranteed: each number, and how many have it.
#[derive(Debug, Default)]
pub(super) struct Guarantee(Vec<(usize, usize)>);

impl Guarantee {
    fn most(&self) -> usize {
        self.0.iter().map(|(number, _)| *number).max().unwrap_or(0)
    }
}

impl<K: Eq + Copy, R: Census> Pool<K, R> {
    /// A client of the group is there, until [`depart`](Self::depart): so many connections can't be taken
    /// by others. More than the pool may have are worth what it may have.
    pub fn attend(&mut self, group: Group, guaranteed: usize) {
        let Guarantee(terms) = self.guarantees.entry(group).or_default();
        match terms.iter_mut().find(|(number, _)| *number == guaranteed) {
            Some((_, clients)) => *clients += 1,
            None => terms.push((guaranteed, 1)),
        }
    }

    /// It is gone. Those who wait are to be [served](Self::serve).
    pub fn depart(&mut self, group: Group, guaranteed: usize) {
        let Some(Guarantee(terms)) = self.guarantees.get_mut(&group) else {
            return;
        };
        if let Some((_, clients)) = terms.iter_mut().find(|(number, _)| *number == guaranteed) {
            *clients -= 1;
        }
        terms.retain(|(_, clients)| *clients > 0);
        if terms.is_empty() {
            self.guarantees.remove(&group);
        }
    }

    /// No connection of these groups ends by time or number while there are no more than so many.
    pub fn keep_ready(&mut self, ready: HashMap<Group, usize>) {
        self.ready = ready;
    }

    /// What keeps somebody waiting; `None` if nothing does, or its turn has come.
    pub fn hindrance(&self, ticket: Ticket) -> Option<Hindrance> {
        let waiting = self.waiting.iter().find(|it| it.ticket == ticket)?;
        let wanted = &waiting.wanted;
        Some(match () {
            () if self.is_paused() => Hindrance::Paused,
            () if !self.lends() => Hindrance::Leaderless,
            () if self.is_group_full(wanted, None) => Hindrance::Group,
            () if !self.has_room(wanted, None) => match self.guarantees.is_empty() {
                true => Hindrance::Pool,
                false => Hindrance::Guarantees,
            },
            () if wanted.role_max.is_some() => Hindrance::Role,
            () => return None,
        })
    }

    /// True if somebody of the group waits only because of its connections in other pools.
    pub fn is_held_up(&self, group: Group) -> bool {
        let limited = |wanted: &Wanted<K>| wanted.group == group && wanted.role_max.is_some();
        let makes = |wanted: &Wanted<K>| {
            let mut resting = self.resting.iter();
            self.has_room(wanted, None) || resting.any(|it| self.has_room(wanted, Some(it.group)))
        };
        let mut waiting = self.waiting.iter().map(|it| &it.wanted);
        self.lends() && waiting.any(|it| limited(it) && makes(it))
    }

    /// Whether there is room for one more; once one of group `gone` has ended, if that is given.
    pub(super) fn has_room(&self, wanted: &Wanted<K>, gone: Option<Group>) -> bool {
        if self.is_group_full(wanted, gone) {
            return false;
        }
        let Some(max) = self.bounds.connections_max else {
            return true;
        };
        let existing = self.lent + self.resting.len() - usize::from(gone.is_some());
        if existing >= max || self.guarantees.is_empty() {
            return existing < max;
        }
        let (group, other) = (wanted.group, gone.filter(|gone| *gone != wanted.group));
        if self.remaining(group, gone) < self.guaranteed(group) {
            // Nobody is helped to its own by what is another's own.
            return other.is_none_or(|it| self.remaining(it, gone) >= self.guaranteed(it));
        }
        let others = self.guarantees.keys().filter(|it| **it != group);
        let short = |it: &Group| {
            let has = self.remaining(*it, gone);
            self.guaranteed(*it).saturating_sub(has)
        };
        existing + others.map(short).sum::<usize>() < max
    }

    pub(super) fn is_group_full(&self, wanted: &Wanted<K>, gone: Option<Group>) -> bool {
        let of = wanted.group;
        wanted
            .group_max
            .is_some_and(|max| self.remaining(of, gone) >= max)
    }

    /// What is guaranteed to a group now.
    pub(super) fn guaranteed(&self, group: Group) -> usize {
        self.guarantees.get(&group).map_or(0, Guarantee::most)
    }

    /// How many of a group are kept ready.
    pub(super) fn least(&self, group: Group) -> usize {
        self.ready.get(&group).copied().unwrap_or(0)
    }

    fn remaining(&self, group: Group, gone: Option<Group>) -> usize {
        self.existing(group) - usize::from(gone == Some(group))
    }
}
