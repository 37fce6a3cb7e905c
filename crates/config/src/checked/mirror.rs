//! Owns what was checked of the copies of a database's statements.

use std::time::Duration;

/// Where statements that only read are copied to, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirrored {
    /// The database that they go to: one that is there, with a user and its password.
    pub to: String,
    /// So many of 100.
    pub share: u32,
    /// Copies under way at once.
    pub connections: u32,
    /// Copies that wait.
    pub queue_max: u32,
    /// Bytes of the longest one.
    pub bytes_max: u32,
    /// How long one may take.
    pub timeout: Duration,
}
