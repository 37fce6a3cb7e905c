//! Owns the settings of the console: a database of its own that answers SHOW, PAUSE and the like.

use super::NAME;
use crate::setting::Fallback::Value;
use crate::setting::section;
use crate::values::Roles;

section! {
    /// The console: a database named "portcullis", and "pgbouncer" for existing tools, that clients
    /// log in to as to any other.
    Admin = "admin", Once {
        /// Whether there is a console.
        console: bool { fallback: Value("true") }
        /// Users who may do everything there. Over the Unix socket, so may the user that Portcullis
        /// runs as.
        admin_users: Roles { fallback: Value("[]"), bounds: NAME, sample: "[\"postgres\"]" }
        /// Users who may look at everything there, and change nothing.
        stats_users: Roles { fallback: Value("[]"), bounds: NAME, sample: "[\"monitoring\"]" }
    }
}
