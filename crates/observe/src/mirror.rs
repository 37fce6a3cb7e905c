//! Owns the counters of one mirror: a database to which statements of another one are copied.

use crate::Reading;
use crate::counter::{Group, counters};

counters! {
    /// Copies that were meant for a mirror.
    Mirror = "mirror" {
        /// Copies that a mirror answered, and whose answer was compared.
        compared,
        /// Copies that never went to a mirror: the queue was full, they waited too long, or it is paused.
        dropped,
        /// Copies that a mirror did not answer: it could not be reached, was too slow, or broke off.
        failed,
        /// Answers with another number of rows than the client got.
        rows_differ,
        /// Answers with an error where the client got none, or the other way round, or with another error.
        errors_differ,
    }
}

impl Mirror {
    /// Shows each of them, in the order of their definition.
    pub fn each(&self, mut visit: impl FnMut(Reading)) {
        Group::each(self, &mut visit);
    }
}
