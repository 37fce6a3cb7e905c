//! Owns what is known of a cluster: which hosts belong to it, what each said of itself, how well it does, which
//! one is written to, and which one a wish leads to.
//!
//! Takes members, what hosts answered, and the time; gives a [`View`] and what changed. Never sees a socket or a
//! clock. Roles are found by asking the hosts, never assumed: a host that says nothing is nobody's primary, and where
//! two say that they are the primary of the same history, nobody is.

#![forbid(unsafe_code)]

mod health;
mod report;
mod route;
#[cfg(test)]
mod tests;
mod verdict;
mod view;

pub use health::Health;
pub use report::{Lsn, Report, Sick, Why};
pub use route::{Balance, Choice, Reads, Ready, Wish, choose};
pub use verdict::{Change, Cluster, Rules};
pub use view::{Host, Leader, Refused, Role, View};

use std::fmt;
use std::sync::Arc;

/// What a host is found under: its name or address and its port, as `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<str>);

impl Key {
    /// The key of a host.
    pub fn new(host: &str, port: u16) -> Key {
        match host.contains(':') {
            true => Key(format!("[{host}]:{port}").into()),
            false => Key(format!("{host}:{port}").into()),
        }
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A host that belongs to a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What it is found under.
    pub key: Key,
    /// How much it is to do beside others; 0: nothing that others can.
    pub weight: u32,
    /// Where it stands; empty if nobody said so.
    pub zone: String,
}

impl Member {
    /// A member like any other.
    pub fn plain(key: Key) -> Member {
        Member {
            key,
            weight: 100,
            zone: String::new(),
        }
    }
}
