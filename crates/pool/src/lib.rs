//! Leases of server connections as plain data: who holds one, which ones rest, who waits.
//!
//! Takes questions and the time; gives answers. Owns no socket and no lock: one [`Pool`] per
//! database lies behind a short mutex of the shell, which keeps the resting connections themselves
//! by the numbers of their leases. A connection rests under a key; only who asks for the same key
//! gets it, so that nobody gets a connection that was made for somebody else's settings.

mod pool;
mod roles;
#[cfg(test)]
mod tests;
mod types;

pub use pool::Pool;
pub use roles::{Census, PoolId, Roles};
pub use types::{Asked, Bounds, Group, Hindrance, Home, Returned, Served, Wanted};

/// A permission to hold one server connection of the pool. Given back exactly once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a lease that is dropped is never given back to its pool"]
pub struct Lease {
    number: u64,
    group: Group,
}

impl Lease {
    /// The lease's number, unique in its pool: what a resting connection is kept under.
    pub fn number(&self) -> u64 {
        self.number
    }
}

/// A place in the queue of waiters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(u64);
