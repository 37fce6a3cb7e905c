//! Owns the judgement of `[pool]`, and of what databases and users have instead.

use super::Judge;
use crate::conflict::Conflict;
use crate::pool::{Pool, PoolOfDatabase, PoolOfUser, Prepared, SessionState};
use crate::sections::{self, Sections};
use crate::warning::Weakness;
use crate::words::ServerReset;

impl Judge<'_, '_> {
    pub(super) fn pool(&self, pool: &sections::Pool, sections: &Sections) -> Pool {
        self.least_fits(pool, sections);
        if pool.server_reset.value == ServerReset::Never {
            self.warn(&pool.server_reset, Weakness::NoReset);
        }
        Pool {
            mode: pool.pool_mode.value,
            size: pool.default_pool_size.value,
            min_size: pool.min_pool_size.value,
            reserve_size: pool.reserve_pool_size.value,
            reserve_timeout: pool.reserve_pool_timeout.value.0,
            guaranteed: pool.pool_guaranteed.value,
            max_user_connections: limit(pool.max_user_connections.value),
            max_user_clients: limit(pool.max_user_client_connections.value),
            max_database_clients: limit(pool.max_db_client_connections.value),
            state: state(pool),
            prepared: Prepared {
                per_server: limit(pool.max_prepared_statements.value),
                count_max: pool.prepared_count_max.value,
                bytes_max: pool.prepared_bytes_max.value,
            },
        }
    }

    /// A pool can't keep more connections than it may have.
    fn least_fits(&self, pool: &sections::Pool, sections: &Sections) {
        let (least, size) = (pool.min_pool_size.value, pool.default_pool_size.value);
        if least > size {
            let conflict = Conflict::PoolBelowLeast { least, size };
            self.conflict(&pool.min_pool_size, conflict);
        }
        for database in sections.databases.iter().map(|it| &it.database) {
            let own = (database.min_pool_size.value, database.pool_size.value);
            let (least, size) = (own.0.unwrap_or(least), own.1.unwrap_or(size));
            if least > size && own != (None, None) {
                let conflict = Conflict::PoolBelowLeast { least, size };
                match own {
                    (Some(_), _) => self.conflict(&database.min_pool_size, conflict),
                    (None, _) => self.conflict(&database.pool_size, conflict),
                }
            }
        }
    }
}

fn state(pool: &sections::Pool) -> SessionState {
    SessionState {
        reset: pool.server_reset.value,
        pinning: pool.pinning.value,
        max_pinned: pool.max_pinned.value,
        idle_pinned_timeout: pool.idle_pinned_timeout.value.0,
        tracked: pool.track_extra_parameters.value.0.clone(),
        ignored: pool.ignore_startup_parameters.value.0.clone(),
    }
}

/// What a database says of its pools.
pub(super) fn of_database(database: &sections::Database) -> PoolOfDatabase {
    PoolOfDatabase {
        mode: database.pool_mode.value,
        size: database.pool_size.value,
        min_size: database.min_pool_size.value,
        reserve_size: database.reserve_pool_size.value,
        max_clients: database.max_db_client_connections.value,
    }
}

/// What a user says of its pools.
pub(super) fn of_user(user: &sections::User) -> PoolOfUser {
    PoolOfUser {
        mode: user.pool_mode.value,
        size: user.pool_size.value,
        reserve_size: user.reserve_pool_size.value,
        guaranteed: user.pool_guaranteed.value,
        max_connections: user.max_user_connections.value,
        max_clients: user.max_user_client_connections.value,
    }
}

/// A limit that 0 switches off.
pub(super) fn limit(number: u32) -> Option<u32> {
    Some(number).filter(|number| *number > 0)
}
