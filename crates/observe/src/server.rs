//! Owns the counters of connections to servers.

use crate::counter::counters;

counters! {
    /// Connections to servers.
    Server = "server" {
        /// Connections that were made, for a client or ahead of need.
        dialled,
        /// Those that were made ahead of need (min_pool_size).
        prepared,
        /// Attempts to make a connection ahead of need that failed.
        prepare_failed,
        /// Times that a connection was lent to another client after it rested.
        reused,
        /// Resets after a client that did not succeed, so that the connection was closed.
        resets_failed,
        /// Times that a client kept a connection, for what only that one has, beyond its transaction.
        pinned,
        /// Connections kept whose client had vanished in the middle of a request.
        salvaged,
        /// Clients whose wait for a connection ended without one.
        waits_failed,
        /// Connections that turned out to be dead when somebody asked for them.
        died_at_rest,
    }
}
