//! Owns what a pool is asked and answers.

use crate::{Lease, Ticket};
use std::time::Duration;

/// What a pool may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Connections that may exist at once, resting ones included; `None` without a limit.
    pub connections_max: Option<usize>,
    /// Connections that may rest, but for those that are [kept ready](crate::Pool::keep_ready).
    pub resting_max: usize,
    /// How long one may rest; `None` without a limit.
    pub rest_max: Option<Duration>,
    /// How long a ticket is good for.
    pub wait_max: Duration,
}

/// Connections that are counted together within a pool: those of one role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
    /// Connections of the group that may exist at once in this pool; `None` without a limit.
    pub group_max: Option<usize>,
    /// Connections of the group that may exist at once in all pools; `None` without a limit.
    pub role_max: Option<usize>,
    /// Where it is wanted.
    pub home: Home,
}

/// The answer to [`Pool::ask`](crate::Pool::ask).
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

/// The answer to [`Pool::give_back`](crate::Pool::give_back).
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

/// What keeps somebody waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hindrance {
    /// The pool lends nothing.
    Paused,
    /// There is no server to connect to at present.
    Leaderless,
    /// The connections of its group in this pool.
    Group,
    /// The connections of its group in all pools.
    Role,
    /// All connections of this pool.
    Pool,
    /// The same, where some are kept for other groups.
    Guarantees,
}
