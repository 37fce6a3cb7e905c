//! Owns how many connections each role has in all pools together, and which pools stand in line for one more.
//!
//! Plain data: the shell has one [`Roles`] for all its pools, behind a lock that each pool reaches through
//! its [`Census`]. A pool touches it when a connection is made or ends, not when one is lent.

use crate::Group;
use std::collections::{HashMap, VecDeque};

/// A pool among all that count together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PoolId(pub u64);

/// A pool's way to [`Roles`].
pub trait Census {
    /// Counts one more connection of the role, if fewer than `max` exist and no other pool's turn comes
    /// first; else the pool stands in line.
    fn enter(&self, group: Group, max: Option<usize>) -> bool;

    /// The same for a connection that nobody waits for: it goes behind everybody, and stands in no line.
    fn enter_ahead_of_need(&self, group: Group, max: Option<usize>) -> bool;

    /// Counts one less.
    fn leave(&self, group: Group);

    /// True if another pool stands in line for a connection of this role.
    fn is_pressed(&self, group: Group) -> bool;
}

/// The counts of all roles.
#[derive(Debug, Default)]
pub struct Roles {
    roles: HashMap<Group, Role>,
    due: Vec<Group>,
    standing: usize,
}

#[derive(Debug, Default)]
struct Role {
    count: usize,
    /// Pools in which somebody waits for this role's limit alone.
    line: VecDeque<PoolId>,
}

impl Roles {
    /// See [`Census::enter`].
    pub fn enter(&mut self, group: Group, max: Option<usize>, pool: PoolId) -> bool {
        let role = self.roles.entry(group).or_default();
        let Some(max) = max else {
            role.count += 1;
            return true;
        };
        let first = role.line.front();
        if role.count >= max || first.is_some_and(|first| *first != pool) {
            if !role.line.contains(&pool) {
                role.line.push_back(pool);
                self.standing += 1;
                self.is_due(group);
            }
            return false;
        }
        role.count += 1;
        if role.line.pop_front().is_some() {
            self.standing -= 1;
            if !role.line.is_empty() {
                self.is_due(group);
            }
        }
        true
    }

    /// See [`Census::enter_ahead_of_need`].
    pub fn enter_ahead_of_need(&mut self, group: Group, max: Option<usize>) -> bool {
        let role = self.roles.entry(group).or_default();
        let free = max.is_none_or(|max| role.count < max && role.line.is_empty());
        role.count += usize::from(free);
        self.forget(group);
        free
    }

    /// See [`Census::leave`].
    pub fn leave(&mut self, group: Group) {
        let Some(role) = self.roles.get_mut(&group) else {
            return;
        };
        role.count = role.count.saturating_sub(1);
        if !role.line.is_empty() {
            self.is_due(group);
        }
        self.forget(group);
    }

    /// See [`Census::is_pressed`].
    pub fn is_pressed(&self, group: Group, pool: PoolId) -> bool {
        let role = self.roles.get(&group);
        role.is_some_and(|it| it.line.iter().any(|other| *other != pool))
    }

    /// The connections of a role, in all pools.
    pub fn count(&self, group: Group) -> usize {
        self.roles.get(&group).map_or(0, |role| role.count)
    }

    /// How many places in line are taken, over all roles.
    pub fn standing(&self) -> usize {
        self.standing
    }

    /// True if [`next_due`](Self::next_due) has something.
    pub fn is_any_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// A role whose line has to be looked at, because something has changed for it.
    pub fn next_due(&mut self) -> Option<Group> {
        self.due.pop()
    }

    /// Has every line looked at: somebody left a pool's queue, or a limit is another one.
    pub fn look_again(&mut self) {
        let lines = self.roles.iter().filter(|(_, role)| !role.line.is_empty());
        self.due = lines.map(|(group, _)| *group).collect();
    }

    /// Whose turn it is.
    pub fn first(&self, group: Group) -> Option<PoolId> {
        self.roles.get(&group)?.line.front().copied()
    }

    /// A pool whose turn it is, but in which nobody waits for this role any more, leaves the line.
    pub fn step_out(&mut self, group: Group, pool: PoolId) {
        if let Some(role) = self.roles.get_mut(&group)
            && role.line.front() == Some(&pool)
        {
            role.line.pop_front();
            self.standing -= 1;
        }
        self.forget(group);
    }

    fn is_due(&mut self, group: Group) {
        if !self.due.contains(&group) {
            self.due.push(group);
        }
    }

    fn forget(&mut self, group: Group) {
        let role = self.roles.get(&group);
        if role.is_some_and(|role| role.count == 0 && role.line.is_empty()) {
            self.roles.remove(&group);
        }
    }
}
