//! Owns what is known of a cluster at one moment, for whoever sends clients somewhere or shows it to people.

use crate::report::{Lsn, Report};
use crate::{Health, Key};
use std::fmt;
use std::time::Duration;

/// A cluster at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// Counts changes of what can be used: the same number, the same hosts.
    pub version: u64,
    /// The one that is written to, or why there is none.
    pub leader: Leader,
    /// All of them, in the order of the members.
    pub hosts: Vec<Host>,
}

/// The host that is written to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Leader {
    /// Not every host has been asked yet.
    #[default]
    NotYetKnown,
    /// This one, since then.
    Is(Key, Duration),
    /// None says that it is the primary.
    None,
    /// Several do, and nobody can tell which one is right.
    Split(Vec<Key>),
    /// Where the cluster's members are kept, another one is named than the one that says so.
    Disagreed {
        /// The one that is named there.
        named: Key,
        /// The one that says that it is.
        says: Key,
    },
}

impl Leader {
    /// The host, if there is one.
    pub fn key(&self) -> Option<&Key> {
        match self {
            Leader::Is(key, _) => Some(key),
            _ => None,
        }
    }
}

impl fmt::Display for Leader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Leader::NotYetKnown => f.write_str("not every host has been asked yet"),
            Leader::Is(key, _) => write!(f, "{key}"),
            Leader::None => f.write_str("no host says that it is the primary"),
            Leader::Split(keys) => {
                let keys: Vec<_> = keys.iter().map(Key::as_str).collect();
                let keys = keys.join(" and ");
                write!(
                    f,
                    "{keys} all say that they are the primary of the same timeline"
                )
            }
            Leader::Disagreed { named, says } => {
                write!(
                    f,
                    "{says} says that it is the primary, and {named} is named as the leader"
                )
            }
        }
    }
}

/// What a host is in its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It never said.
    Unknown,
    /// It takes writes, by its own word.
    Primary,
    /// It would, but for a setting (`default_transaction_read_only`).
    ReadOnlyPrimary,
    /// It replays another one's log.
    Standby,
    /// It doesn't belong to the others: nobody is sent there.
    Refused(Refused),
}

/// Why a host that answers is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Its data is of another database cluster than that of the others.
    OtherSystem,
    /// It says that it is the primary, of a timeline that is over.
    OldTimeline,
    /// It and another one say that they are the primary of the same timeline.
    Split,
}

impl Role {
    /// One word for tables and labels.
    pub fn word(self) -> &'static str {
        match self {
            Role::Unknown => "unknown",
            Role::Primary => "primary",
            Role::ReadOnlyPrimary => "read-only",
            Role::Standby => "standby",
            Role::Refused(Refused::OtherSystem) => "refused: other system",
            Role::Refused(Refused::OldTimeline) => "refused: old timeline",
            Role::Refused(Refused::Split) => "refused: split brain",
        }
    }
}

/// One host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// What it is found under.
    pub key: Key,
    /// How much it is to do beside others.
    pub weight: u32,
    /// Where it stands.
    pub zone: String,
    /// How well it does.
    pub health: Health,
    /// What it is.
    pub role: Role,
    /// What it said last, and when.
    pub report: Option<(Report, Duration)>,
    /// How much of the leader's log it has yet to replay, in bytes.
    pub lag_bytes: Option<u64>,
    /// It is asked to do nothing new, by an administrator.
    pub drained: bool,
}

impl Host {
    /// Where it is in the log, by its last report.
    pub fn lsn(&self) -> Lsn {
        self.report
            .as_ref()
            .map_or(Lsn(0), |(report, _)| report.lsn)
    }

    /// How old what it shows may be: what it says of itself, nothing if it has replayed all that it has.
    pub fn behind(&self) -> Duration {
        let report = self.report.as_ref().map(|(report, _)| report);
        report.and_then(|it| it.behind).unwrap_or_default()
    }
}

impl View {
    /// The host under this key.
    pub fn host(&self, key: &Key) -> Option<&Host> {
        self.hosts.iter().find(|it| it.key == *key)
    }
}
