//! Owns the settings of how clients share server connections. A pool is what the clients of one
//! database and one server user share; databases and users may differ from what stands here.

use super::{DAY, SECOND};
use crate::setting::Fallback::Value;
use crate::setting::{Bounds, section};
use crate::values::Timeout;
use crate::words::PoolMode;

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
        /// Server connections that a pool keeps ready, once a client has asked for it.
        min_pool_size: u32 { fallback: Value("0"), bounds: CONNECTIONS, sample: "5" }
        /// Server connections that a pool may have beyond its size while clients wait long.
        reserve_pool_size: u32 { fallback: Value("0"), bounds: CONNECTIONS, sample: "5" }
        /// How long a client waits before reserve_pool_size counts; 0 leaves the reserve unused.
        reserve_pool_timeout: Timeout { fallback: Value("5"), bounds: Bounds::new(SECOND, DAY) }
        /// Server connections that nobody else gets: of the max_db_connections of a database, so
        /// many are kept free for each user who has clients there.
        pool_guaranteed: u32 { fallback: Value("0"), bounds: CONNECTIONS, sample: "1" }
        /// Most server connections of one user, over all databases; 0 means no limit.
        max_user_connections: u32 { fallback: Value("0"), bounds: CONNECTIONS }
        /// Most clients of one user, over all databases; 0 means no limit.
        max_user_client_connections: u32 { fallback: Value("0"), bounds: CONNECTIONS }
        /// Most clients of one database; 0 means no limit.
        max_db_client_connections: u32 { fallback: Value("0"), bounds: CONNECTIONS }
    }
}
