//! Owns the rows of what is configured and lent: `SHOW POOLS`, `DATABASES`, `USERS`.

use super::define::row;

row! {
    /// The server connections of a database and user.
    Pool {
        /// The database, as clients name it.
        database: String,
        /// The user, as clients name it.
        user: String,
        /// Clients that have a server connection, or don't need one now.
        cl_active: u32,
        /// Clients that wait for a server connection.
        cl_waiting: u32,
        /// Cancel requests that are being passed on.
        cl_active_cancel_req: u32,
        /// Cancel requests that wait to be passed on.
        cl_waiting_cancel_req: u32,
        /// Server connections that are lent.
        sv_active: u32,
        /// Server connections that pass on a cancel request.
        sv_active_cancel: u32,
        /// Server connections that are kept from the next client until a cancel request has arrived.
        sv_being_canceled: u32,
        /// Server connections that are free.
        sv_idle: u32,
        /// Server connections that are free and are tested before they are lent: idle for longer than `server_check_delay`.
        sv_used: u32,
        /// Server connections that are being reset or tested.
        sv_tested: u32,
        /// Server connections that are logging in.
        sv_login: u32,
        /// Seconds for which the first client in the queue has waited. Rising: the pool is too small, or the server too slow.
        maxwait: u32,
        /// The same: microseconds of the last second.
        maxwait_us: u32,
        /// `session`, `transaction` or `statement`.
        pool_mode: &'static str,
        /// How hosts are chosen, if there are several.
        load_balance_hosts: Option<String>,
    }
}

row! {
    /// A database that clients can ask for.
    Database {
        /// What clients call it; `*` is the entry for all other names.
        name: String,
        /// The hosts of its servers.
        host: Option<String>,
        /// The port of the first.
        port: u32,
        /// What the server calls it.
        database: String,
        /// The user that all log in as, if that is configured.
        force_user: Option<String>,
        /// Server connections at most, of each user's pool.
        pool_size: u32,
        /// Server connections that are kept open at least.
        min_pool_size: u32,
        /// Server connections beyond pool_size for clients that waited too long.
        reserve_pool_size: u32,
        /// Seconds after which a server connection is not lent again.
        server_lifetime: u32,
        /// `session`, `transaction` or `statement`, where the database has an own mode.
        pool_mode: Option<&'static str>,
        /// How hosts are chosen, if there are several.
        load_balance_hosts: Option<String>,
        /// Server connections at most, of all pools; 0 is any number.
        max_connections: u32,
        /// Server connections now.
        current_connections: u32,
        /// Clients at most; 0 is any number.
        max_client_connections: u32,
        /// Clients now.
        current_client_connections: u32,
        /// 1 after PAUSE or KILL.
        paused: bool,
        /// 1 after DISABLE.
        disabled: bool,
    }
}

row! {
    /// A user that is known.
    User {
        /// The user's name.
        name: String,
        /// An own pool size, if there is one; empty if not.
        pool_size: String,
        /// An own reserve, if there is one; empty if not.
        reserve_pool_size: String,
        /// An own mode, if there is one.
        pool_mode: Option<&'static str>,
        /// Server connections at most; 0 is any number.
        max_user_connections: u32,
        /// Server connections now.
        current_connections: u32,
        /// Clients at most; 0 is any number.
        max_user_client_connections: u32,
        /// Clients now.
        current_client_connections: u32,
    }
}
