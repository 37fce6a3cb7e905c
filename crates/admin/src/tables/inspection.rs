//! Owns the rows of what clients execute: `SHOW ACTIVITY` and `SHOW PATTERNS`.

use super::define::row;
use crate::datum::{Moment, Sum};

row! {
    /// A client that does something, or keeps something.
    Activity {
        /// Number for KILL_CLIENT and CANCEL_CLIENT; the `id` of SHOW CLIENTS.
        id: u64,
        /// The user, as the client named it.
        user: String,
        /// The database, as clients name it.
        database: String,
        /// What the client called itself.
        application_name: String,
        /// The client's address; `unix` for a Unix-domain socket.
        addr: String,
        /// The client's port.
        port: u32,
        /// `waiting for a server` (for its turn in the pool), `connecting`, `sending` (its request is on its way), `executing` (nothing of the answer has come), `streaming` (rows come), `idle in transaction`, or `linked` (it has a server connection and nothing under way, as far as that is looked at).
        state: &'static str,
        /// What the session sleeps for: `a server connection`, `the server answers`, `the server reads`, `the client sends` or `the client reads`; empty while bytes move.
        wait_reason: &'static str,
        /// Microseconds since the state of this statement, wait or standstill began.
        age_us: u64,
        /// The number of the statement's pattern; null if none is under way, or none is looked at.
        pattern: Option<String>,
        /// The pattern's text: the statement without its literals.
        query: Option<String>,
        /// Rows that have passed to the client so far.
        rows: u64,
        /// Bytes of rows that have passed to the client so far.
        bytes: u64,
        /// Statements that the client has sent behind this one.
        queued: u32,
        /// The client's TLS version and cipher suite; empty without TLS.
        tls: String,
        /// The role on the server, which with the database tells the pool.
        pool_user: String,
        /// The server's address and port; empty if the client has no server connection.
        server: String,
        /// The server process; 0 if there is none, or unknown.
        server_pid: u32,
        /// The TLS version and cipher suite towards the server; empty without TLS.
        server_tls: String,
    }
}

row! {
    /// What is known of statements that differ in nothing but their literals.
    Pattern {
        /// Its number, the same in all workers; `other` for all that have no row of their own.
        pattern: String,
        /// Its text: the statement without its literals, cut at 1024 bytes.
        query: String,
        /// The database, as clients name it.
        database: String,
        /// The role that the client proved to be.
        role: String,
        /// What the client called itself.
        application_name: String,
        /// Statements that ended.
        calls: Sum,
        /// Those of them that ended with an error.
        errors: Sum,
        /// Errors by SQLSTATE, as `42P01:3 22012:1`.
        errors_by_state: String,
        /// Rows sent, changed or copied, as the command tags say.
        rows: Sum,
        /// Bytes of requests.
        bytes_in: Sum,
        /// Bytes of rows, copied data and errors.
        bytes_out: Sum,
        /// Microseconds from the wish for a server connection to the end, of all together.
        total_us: Sum,
        /// Of that, until a server connection was lent.
        wait_us: Sum,
        /// Of that, on the server connection.
        server_us: Sum,
        /// Microseconds that half of them took at most, within a quarter.
        p50_us: u64,
        /// The same of 95 in 100.
        p95_us: u64,
        /// The same of 99 in 100.
        p99_us: u64,
        /// The longest, in microseconds.
        max_us: u64,
        /// Until a server connection was lent, of 95 in 100.
        wait_p95_us: u64,
        /// On the server connection, of 95 in 100.
        server_p95_us: u64,
        /// Calls in the last full minute.
        calls_1min: Sum,
        /// Errors in the last full minute.
        errors_1min: Sum,
        /// `p95_us` of the last full minute.
        p95_us_1min: u64,
        /// Calls in the last three full spans of five minutes.
        calls_15min: Sum,
        /// Errors in those.
        errors_15min: Sum,
        /// `p95_us` of those.
        p95_us_15min: u64,
        /// When it was first seen since the start or RESET PATTERNS.
        first_seen: Moment,
        /// When it was last seen.
        last_seen: Moment,
    }
}
