//! Owns the settings of how clients prove who they are, and who they are towards servers.

use super::pool::{CONNECTIONS, POOL_SIZE};
use super::{NAME, TIMEOUT};
use crate::checked::CertificateName;
use crate::pattern::Role;
use crate::setting::Fallback::{Unset, Value};
use crate::setting::section;
use crate::values::{EnvName, Timeout};
use crate::words::{ChannelBinding, Method, PoolMode, UnixSocketMethod};
use std::path::PathBuf;

section! {
    /// How clients prove who they are.
    Auth = "auth", Once {
        /// How clients prove over TCP who they are.
        method: Method { fallback: Value("\"scram-sha-256\"") }
        /// How clients prove over the Unix socket who they are.
        unix_socket_method: UnixSocketMethod { fallback: Value("\"peer\"") }
        /// File with rules of who may log in from where and how, in the format of pg_hba.conf. The
        /// first that matches decides, and where none does nobody gets in. The methods then stand
        /// there instead of here.
        auth_hba_file: Option<PathBuf> {
            fallback: Unset("method decides for everybody"),
            sample: "\"hba.conf\"",
        }
        /// Whether SCRAM with clients is bound to the TLS channel, so that nobody can sit between.
        channel_binding: ChannelBinding { fallback: Value("\"prefer\"") }
        /// File with one user a line: "name" "verifier or password", as PgBouncer's userlist.txt.
        auth_file: Option<PathBuf> {
            fallback: Unset("users are looked up by auth_user, or need no look-up"),
            sample: "\"users.txt\"",
            in_example: true,
        }
        /// Server user that looks up users who are not in auth_file.
        auth_user: Option<String> {
            fallback: Unset("only users in auth_file are known"),
            bounds: NAME,
            sample: "\"portcullis\"",
        }
        /// File whose first line is the password of auth_user.
        auth_password_file: Option<PathBuf> {
            fallback: Unset("no password, unless auth_password_env is set"),
            sample: "\"auth_user.password\"",
        }
        /// Environment variable with the password of auth_user.
        auth_password_env: Option<EnvName> {
            fallback: Unset("no password, unless auth_password_file is set"),
            sample: "\"AUTH_PASSWORD\"",
        }
        /// Which database, by its name here, users are looked up in.
        auth_dbname: Option<String> {
            fallback: Unset("the one that the client asks for"),
            bounds: NAME,
            sample: "\"app\"",
        }
        /// Query that gives the name and the verifier of user $1, in two columns. Whoever writes
        /// another one keeps its check of the password's expiry.
        auth_query: String {
            fallback: Value(
                "\"SELECT rolname, CASE WHEN rolvaliduntil OPERATOR(pg_catalog.<) \
                 pg_catalog.now() THEN NULL ELSE rolpassword END FROM pg_catalog.pg_authid WHERE \
                 rolname OPERATOR(pg_catalog.=) $1 AND rolcanlogin\"",
            ),
        }
    }
}

section! {
    /// Which names in a client's certificate may log in as which user, for method "cert" and mode
    /// "verify-full". Without entries the common name is the user; with entries, only they count.
    AuthMap = "auth.map", AnyTimes {
        /// A name in the certificate: "CN=…" of the subject, or "DNS:…", "email:…" or "URI:…" of the
        /// subject alternative names, as OpenSSL prints them. "*" stands for a part of the name,
        /// "{name}" for a part that user may use; a part has 1 to 63 characters, and none of / . @ :
        certificate: CertificateName { sample: "\"URI:spiffe://example.com/ns/*/sa/{role}\"" }
        /// PostgreSQL user; "{name}" is what certificate has captured.
        user: Role { bounds: NAME, sample: "\"{role}\"" }
    }
}

section! {
    /// What differs for one user.
    User = "user", AnyTimes {
        /// The name that the client gives.
        name: String { bounds: NAME, sample: "\"report\"" }
        /// How this user proves over TCP who it is.
        method: Option<Method> { fallback: Unset("auth.method"), sample: "\"cert\"" }
        /// User to log in as at the server; goes before the database's user.
        server_user: Option<String> {
            fallback: Unset("the database's user, or the client's"),
            bounds: NAME,
            sample: "\"report_ro\"",
        }
        /// File whose first line is the password of server_user.
        server_password_file: Option<PathBuf> {
            fallback: Unset("no password, unless server_password_env is set"),
            sample: "\"report.password\"",
        }
        /// Environment variable with the password of server_user.
        server_password_env: Option<EnvName> {
            fallback: Unset("no password, unless server_password_file is set"),
            sample: "\"REPORT_PASSWORD\"",
        }
        /// When a server connection goes back to the pool; goes before the database's.
        pool_mode: Option<PoolMode> {
            fallback: Unset("the database's, or pool.pool_mode"),
            sample: "\"session\"",
        }
        /// Most server connections of each of this user's pools; goes before the database's.
        pool_size: Option<u32> {
            fallback: Unset("the database's, or pool.default_pool_size"),
            bounds: POOL_SIZE,
            sample: "5",
        }
        /// Server connections that each of this user's pools may have beyond its size while
        /// clients wait long; goes before the database's.
        reserve_pool_size: Option<u32> {
            fallback: Unset("the database's, or pool.reserve_pool_size"),
            bounds: CONNECTIONS,
            sample: "0",
        }
        /// Server connections that nobody else gets: of the max_db_connections of a database, so
        /// many are kept free for this user while it has clients there: see pool.pool_guaranteed.
        pool_guaranteed: Option<u32> {
            fallback: Unset("pool.pool_guaranteed"),
            bounds: CONNECTIONS,
            sample: "2",
        }
        /// Most server connections of this user, over all databases; 0 means no limit: see
        /// pool.max_user_connections.
        max_user_connections: Option<u32> {
            fallback: Unset("pool.max_user_connections"),
            bounds: CONNECTIONS,
            sample: "10",
        }
        /// Most clients of this user, over all databases; 0 means no limit.
        max_user_client_connections: Option<u32> {
            fallback: Unset("pool.max_user_client_connections"),
            bounds: CONNECTIONS,
            sample: "100",
        }
        /// How long this user's clients may be idle outside a transaction; 0 means for ever.
        client_idle_timeout: Option<Timeout> {
            fallback: Unset("listen.client_idle_timeout"),
            bounds: TIMEOUT,
            sample: "\"8h\"",
        }
        /// How long this user's clients may be idle inside a transaction; 0 means for ever.
        idle_transaction_timeout: Option<Timeout> {
            fallback: Unset("listen.idle_transaction_timeout"),
            bounds: TIMEOUT,
            sample: "\"10s\"",
        }
        /// How long this user's transactions may take; 0 means for ever.
        transaction_timeout: Option<Timeout> {
            fallback: Unset("listen.transaction_timeout"),
            bounds: TIMEOUT,
            sample: "\"1min\"",
        }
        /// How long this user's queries may run; 0 means for ever.
        query_timeout: Option<Timeout> {
            fallback: Unset("listen.query_timeout"),
            bounds: TIMEOUT,
            sample: "\"1h\"",
        }
    }
}
