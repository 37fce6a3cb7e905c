//! Owns the counters of encrypted connections after their handshake, both legs together.

use crate::counter::counters;

counters! {
    /// TLS on both legs, after the handshake.
    Tls = "tls" {
        /// KeyUpdates that we sent of our own accord (RFC 8446 section 4.6.3).
        key_updates_sent,
        /// Those among them that asked the peer to change its key, too.
        key_updates_requested,
        /// KeyUpdates of peers that asked for our answer, and got it.
        key_updates_answered,
        /// Renegotiations of peers that may, carried through (TLS 1.2).
        renegotiations,
        /// Connections of TLS 1.2 that passed a limit of their keys.
        limits_passed,
        /// Connections closed because of KeyUpdates or empty records.
        floods_of_key_updates,
        /// Connections closed because of refused renegotiations or empty records.
        floods_of_refused_renegotiations,
        /// Connections closed because of permitted renegotiations.
        floods_of_renegotiations,
        /// Connections closed because of records of a few bytes.
        floods_of_tiny_records,
        /// Connections closed because of a handshake without end.
        floods_of_handshake,
    }
}
