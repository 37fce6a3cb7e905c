//! Owns the settings of how clients share server connections. A pool is what the clients of one
//! database and one server user share; databases and users may differ from what stands here.

use super::{DAY, SECOND, TIMEOUT};
use crate::setting::Fallback::{Unset, Value};
use crate::setting::{Bounds, section};
use crate::values::{ParameterNames, Timeout};
use crate::words::{Pinning, PoolMode, ServerReset};

/// Server connections of one pool.
pub(super) const POOL_SIZE: Bounds = Bounds::new(1, 100_000);
/// Server connections or clients where none, or no limit, is a choice.
pub(super) const CONNECTIONS: Bounds = Bounds::new(0, 1_000_000);

section! {
    /// How clients share server connections. A pool is what one user's clients of one database share.
    Pool = "pool", Once {
        /// When a server connection goes back to the pool.
        pool_mode: PoolMode { fallback: Value("\"session\"") }
        /// Most server connections of a pool.
        default_pool_size: u32 { fallback: Value("20"), bounds: POOL_SIZE }
        /// Server connections that a pool keeps open, made ahead of need: while it has a client, or where
        /// the database names the user (outside session mode). Nobody waits for them.
        min_pool_size: u32 { fallback: Value("0"), bounds: CONNECTIONS, sample: "5" }
        /// Server connections that a pool may have beyond its size while clients wait long.
        reserve_pool_size: u32 { fallback: Value("0"), bounds: CONNECTIONS, sample: "5" }
        /// How long a client waits before reserve_pool_size counts; 0 leaves the reserve unused.
        reserve_pool_timeout: Timeout { fallback: Value("5"), bounds: Bounds::new(SECOND, DAY) }
        /// Server connections that nobody else gets: of the max_db_connections of a database, so
        /// many are for each user who has clients there, counted by the role on the server. Others that
        /// have them by then give way with the next that comes back.
        pool_guaranteed: u32 { fallback: Value("0"), bounds: CONNECTIONS, sample: "1" }
        /// Most server connections of one user, by the role on the server, over all databases; 0 means
        /// no limit. Who waits for one gets that which the role doesn't use in another database.
        max_user_connections: u32 { fallback: Value("0"), bounds: CONNECTIONS }
        /// Most clients of one user, over all databases; 0 means no limit.
        max_user_client_connections: u32 { fallback: Value("0"), bounds: CONNECTIONS }
        /// Most clients of one database; 0 means no limit.
        max_db_client_connections: u32 { fallback: Value("0"), bounds: CONNECTIONS }
        /// How a server connection is made ready for another client.
        server_reset: ServerReset { fallback: Value("\"auto\"") }
        /// What becomes of a client, outside session mode, that makes what no other server connection
        /// has: LISTEN, session advisory locks, temporary tables, cursors WITH HOLD, LOAD.
        pinning: Pinning { fallback: Value("\"allow\"") }
        /// Most server connections of a pool that clients may keep that way; who would be next gets
        /// an error.
        max_pinned: Option<u32> {
            fallback: Unset("half of the pool's size"),
            bounds: CONNECTIONS,
            sample: "5",
        }
        /// How long a client that keeps a server connection that way may be idle before its session
        /// is closed; 0 means for ever.
        idle_pinned_timeout: Timeout { fallback: Value("0"), bounds: TIMEOUT, sample: "\"10min\"" }
        /// Parameters kept for each client beside those that always are, if the server reports them.
        track_extra_parameters: ParameterNames {
            fallback: Value("[\"IntervalStyle\"]"),
            sample: "[\"IntervalStyle\", \"search_path\"]",
        }
        /// Parameters that clients may send at startup and that are then left out.
        ignore_startup_parameters: ParameterNames {
            fallback: Value("[]"),
            sample: "[\"extra_float_digits\"]",
        }
        /// Prepared statements that a server connection keeps; 0 leaves them to the clients, which
        /// works in session mode only.
        max_prepared_statements: u32 { fallback: Value("200"), bounds: Bounds::new(0, 100_000) }
        /// Prepared statements that one client may have.
        prepared_count_max: u32 { fallback: Value("5000"), bounds: Bounds::new(1, 1_000_000) }
        /// Bytes of text that the prepared statements of one client may have together.
        prepared_bytes_max: u64 {
            fallback: Value("16777216"),
            bounds: Bounds::new(1024, 1 << 32),
            sample: "1048576",
        }
    }
}
