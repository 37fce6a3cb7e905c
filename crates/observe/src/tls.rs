//! Owns the counters of encrypted connections after their handshake, both legs together.

use crate::counter::counters;

counters! {
    /// TLS on both legs, after the handshake.
    Tls = "tls" {
        /// KeyUpdates that peers sent (RFC 8446 section 4.6.3).
        key_updates_received,
    }
}
