//! Owns what the shell has to be told of the copies of a database's statements.

use std::time::Duration;

/// Where statements that only read are copied to, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirrored {
    /// The name of the database that they go to, which has a role of its own.
    pub to: String,
    /// So many of 100.
    pub share: u32,
    /// Copies under way at once: each has a connection.
    pub connections: usize,
    /// Copies that wait for one.
    pub queue_max: usize,
    /// Bytes of the longest request that is copied.
    pub bytes_max: usize,
    /// How long one may wait, and then how long its answer may take.
    pub timeout: Duration,
}
