//! Owns the checked settings of pools: those of `[pool]`, what a database or a user has instead, and
//! what follows for one pool. PgBouncer's order: the user's, the database's, the general one.

use crate::checked::{Config, Database, User};
use crate::words::{Pinning, PoolMode, ServerReset};
use std::time::Duration;

/// `[pool]`: how clients share server connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// When a server connection goes back.
    pub mode: PoolMode,
    /// Most server connections of a pool.
    pub size: u32,
    /// Those that it keeps ready.
    pub min_size: u32,
    /// Those beyond its size, while clients wait long.
    pub reserve_size: u32,
    /// How long that is; `None`: the reserve is never used.
    pub reserve_timeout: Option<Duration>,
    /// Server connections of a database's limit that are kept free for each user with clients.
    pub guaranteed: u32,
    /// Most server connections of one user; `None` without a limit.
    pub max_user_connections: Option<u32>,
    /// Most clients of one user; `None` without a limit.
    pub max_user_clients: Option<u32>,
    /// Most clients of one database; `None` without a limit.
    pub max_database_clients: Option<u32>,
    /// What becomes of the state of sessions.
    pub state: SessionState,
    /// Prepared statements.
    pub prepared: Prepared,
}

/// What becomes of the state of sessions that share server connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionState {
    /// How a server connection is made ready for another client.
    pub reset: ServerReset,
    /// Whether state that can't be carried keeps a server connection, or is refused.
    pub pinning: Pinning,
    /// Most pinned server connections of a pool; `None`: half of its size.
    pub max_pinned: Option<u32>,
    /// How long a pinned client may be idle; `None` = for ever.
    pub idle_pinned_timeout: Option<Duration>,
    /// Parameters kept beside those that always are, as written.
    pub tracked: Vec<String>,
    /// Startup parameters that are left out, as written.
    pub ignored: Vec<String>,
}

/// Bounds on prepared statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prepared {
    /// Statements that a server connection keeps; `None`: clients' statements are not touched.
    pub per_server: Option<u32>,
    /// Statements of one client.
    pub count_max: u32,
    /// Bytes of their texts.
    pub bytes_max: u64,
}

impl SessionState {
    /// Most pinned server connections of a pool of this size.
    pub fn max_pinned_of(&self, pool_size: u32) -> u32 {
        self.max_pinned.unwrap_or(pool_size / 2)
    }
}

/// What a database's pools have instead; `None` where it says nothing, 0 where it has no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolOfDatabase {
    /// Its pool mode.
    pub mode: Option<PoolMode>,
    /// Size of each pool.
    pub size: Option<u32>,
    /// Connections kept ready in each.
    pub min_size: Option<u32>,
    /// Connections beyond its size.
    pub reserve_size: Option<u32>,
    /// Most clients.
    pub max_clients: Option<u32>,
}

/// What a user's pools have instead; `None` where it says nothing, 0 where it has no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolOfUser {
    /// Its pool mode.
    pub mode: Option<PoolMode>,
    /// Size of each pool.
    pub size: Option<u32>,
    /// Connections beyond its size.
    pub reserve_size: Option<u32>,
    /// Connections kept free for it.
    pub guaranteed: Option<u32>,
    /// Most server connections.
    pub max_connections: Option<u32>,
    /// Most clients.
    pub max_clients: Option<u32>,
}

/// Mode and sizes of one pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSize {
    /// When a server connection goes back.
    pub mode: PoolMode,
    /// Most server connections.
    pub size: u32,
    /// Those kept ready; never more than `size`.
    pub min_size: u32,
    /// Those beyond `size`, while clients wait long.
    pub reserve_size: u32,
    /// Those kept free for its user.
    pub guaranteed: u32,
}

impl Config {
    /// Mode and sizes of the pool of a database and a user; `user` is the section of this name, if
    /// there is one.
    pub fn pool_size(&self, database: &Database, user: Option<&User>) -> PoolSize {
        let (all, database) = (&self.pool, &database.pool);
        let silent = PoolOfUser::default();
        let user = user.map_or(&silent, |user| &user.pool);
        let size = user.size.or(database.size).unwrap_or(all.size);
        let reserve = user.reserve_size.or(database.reserve_size);
        PoolSize {
            mode: user.mode.or(database.mode).unwrap_or(all.mode),
            size,
            min_size: database.min_size.unwrap_or(all.min_size).min(size),
            reserve_size: reserve.unwrap_or(all.reserve_size),
            guaranteed: user.guaranteed.unwrap_or(all.guaranteed),
        }
    }

    /// Most clients of a database at a time; `None` without a limit.
    pub fn max_database_clients(&self, database: &Database) -> Option<u32> {
        limit(database.pool.max_clients, self.pool.max_database_clients)
    }

    /// Most clients of a user at a time; `None` without a limit.
    pub fn max_user_clients(&self, user: Option<&User>) -> Option<u32> {
        let own = user.and_then(|user| user.pool.max_clients);
        limit(own, self.pool.max_user_clients)
    }

    /// Most server connections of a user at a time; `None` without a limit.
    pub fn max_user_connections(&self, user: Option<&User>) -> Option<u32> {
        let own = user.and_then(|user| user.pool.max_connections);
        limit(own, self.pool.max_user_connections)
    }
}

/// The own limit, which 0 switches off, or else the general one.
fn limit(own: Option<u32>, general: Option<u32>) -> Option<u32> {
    match own {
        Some(own) => Some(own).filter(|own| *own > 0),
        None => general,
    }
}
