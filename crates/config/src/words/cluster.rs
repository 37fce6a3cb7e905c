//! Owns the words about clusters, and what databases want of one.

use crate::error::Problem;
use crate::nearest;
use crate::read::{Bad, Read, Value};
use crate::setting::{Bounds, Kind, Unit, Word};

choice! {
    /// How one of several hosts is chosen.
    pub enum Balance {
        /// of two that are drawn by weight the one that works on less
        LeastBusy = "least_busy",
        /// each in its turn, by weight
        RoundRobin = "round_robin",
    }
}

choice! {
    /// What becomes of transactions that want the primary while there is none.
    pub enum WithoutPrimary {
        /// they wait for it, as long as limits.query_wait_timeout
        Wait = "wait",
        /// new ones are led to a standby, where writes fail with SQLSTATE 25006
        ReadOnly = "read_only",
    }
}

choice! {
    /// Which hosts of a cluster a database wants.
    pub(crate) enum TargetWord {
        /// the one that is written to
        Primary = "primary",
        /// a standby
        Standby = "standby",
        /// a standby while there is one that can be used, else the primary
        PreferStandby = "prefer-standby",
        /// whichever
        Any = "any",
        /// the same as primary, for those who know it from libpq
        ReadWrite = "read-write",
        /// the same as standby, for those who know it from libpq
        ReadOnly = "read-only",
    }
}

choice! {
    /// Whether statements are looked at to send them somewhere.
    pub enum RouteReads {
        /// they go where their session goes
        Off = "off",
        /// those that only read, outside of transactions that write, go to standbys
        Replicas = "replicas",
        /// those of them do that a rule (action = "route") or a hint leads there
        Asked = "asked",
    }
}

choice! {
    /// Where a rule leads statements.
    pub enum RuleTarget {
        /// to the host that is written to
        Primary = "primary",
        /// to a standby while there is one that can be used
        Standby = "standby",
    }
}
