//! Owns the shape of what is checked of events, and of who is told of them.

use crate::error::Place;
use crate::words::EventKind;
use std::path::PathBuf;
use std::time::Duration;

/// What operators should hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Events {
    /// How many of the last ones are kept.
    pub kept_max: usize,
    /// What counts as a change in the statistics by pattern, if changes are events.
    pub changes: Option<Changes>,
}

/// What counts as a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// Time in which patterns are got to know.
    pub warmup: Duration,
    /// Calls without which times say nothing.
    pub calls_min: u32,
    /// So many percent of the usual time are slower.
    pub slower_percent: u32,
    /// The least time that is.
    pub slower_min: Duration,
    /// Errors without which there is no burst.
    pub errors_min: u32,
    /// Percent of calls that have to end with one.
    pub errors_percent: u32,
    /// Calls without which they are not many.
    pub volume_min: u32,
    /// So many percent of the usual number are many.
    pub volume_percent: u32,
    /// Events in a minute.
    pub per_minute_max: u32,
}

/// One who is told of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its name.
    pub name: String,
    /// Where events go; its path may be a secret.
    pub url: String,
    /// Where that stands.
    pub place: Place,
    /// The file with the secret.
    pub secret_file: PathBuf,
    /// Who signs the receiver's certificate; `None`: an authority of the system.
    pub ca_file: Option<PathBuf>,
    /// Which events; `None`: all.
    pub kinds: Option<Vec<EventKind>>,
    /// How long one try may take.
    pub timeout: Duration,
    /// Tries after the first one.
    pub retries: u32,
    /// How long the second try waits at most.
    pub retry_wait: Duration,
    /// No try waits longer.
    pub retry_wait_max: Duration,
    /// Events that may wait.
    pub queue_max: usize,
}
