//! Owns the rows of what PgBouncer has no table for.

use super::define::row;
use crate::datum::Sum;

row! {
    /// A certificate in force.
    Certificate {
        /// The file that it was read from.
        file: String,
        /// What ends: `certificate`, or a revocation list.
        kind: String,
        /// Days until it expires, rounded down; 0 afterwards.
        days_left: u32,
        /// 1 if it has expired.
        expired: bool,
    }
}

row! {
    /// What has happened so far.
    Counter {
        /// Its group and name.
        name: &'static str,
        /// How often.
        value: Sum,
        /// What is counted.
        meaning: &'static str,
    }
}
