//! Owns the rows of `SHOW ROUTES`.

use super::define::row;

row! {
    /// A route of sessions.
    Route {
        /// Its place in the order in which routes are asked.
        position: u32,
        /// Its name.
        name: String,
        /// What has to be true of a client.
        conditions: String,
        /// The database that it leads to; empty for the one that the client asks for.
        database: String,
        /// The hosts of that database's cluster; empty for those that the database is led to.
        target: &'static str,
        /// Sessions that took it since the start.
        sessions: u64,
    }
}
