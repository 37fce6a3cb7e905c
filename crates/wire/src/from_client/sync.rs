//! Owns Sync.

use super::tag;
use crate::message::bodiless;

bodiless!(
    /// Ends a batch; answered by exactly one ReadyForQuery outside of copy-in (manual, "Sync").
    Sync,
    tag::SYNC,
    "Sync"
);
