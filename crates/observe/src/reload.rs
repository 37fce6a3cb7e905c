//! Owns the counters of reloads.

use crate::counter::counters;

counters! {
    /// Configurations that were read while the proxy ran.
    Reload = "reload" {
        /// Reloads that came into force.
        succeeded,
        /// Reloads that were refused; the configuration before stayed.
        failed,
    }
}
