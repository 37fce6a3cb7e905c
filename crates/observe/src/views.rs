//! Owns the counters of looks at what views depend on.

use crate::counter::counters;

counters! {
    /// Looks at the catalogs of databases whose rules name relations.
    Views = "views" {
        /// Times that the catalogs of a database were read for what its views depend on.
        looks,
        /// Those of them that failed.
        failures,
    }
}
