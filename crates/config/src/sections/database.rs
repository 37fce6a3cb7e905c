//! Owns the settings of the databases that clients can ask for, and of the way to their servers.

use super::policy::{SERVER_GROUPS, section_with_policy};
use super::pool::{CONNECTIONS, POOL_SIZE};
use super::{DAY, HOUR, NAME, TIMEOUT};
use crate::checked::{CaSource, Sha256};
use crate::setting::Fallback::{Unset, Value};
use crate::setting::{Bounds, section};
use crate::values::{Command, EnvName, Hosts, Ports, ServerName, Timeout, TimeoutWithUnit};
use crate::words::{
    ChannelBinding, Negotiation, PoolMode, Renegotiation, RouteReads, ServerMode, TargetWord,
};
use std::path::PathBuf;
use std::time::Duration;

section! {
    /// A database that clients can ask for, and the servers that have it: host, or cluster.
    Database = "database", AtLeastOnce {
        /// What clients ask for; "*" stands for every name that has no section of its own.
        name: String { bounds: NAME, sample: "\"app\"", in_example: true }
        /// Server, or servers in the order to try them: names, IP addresses, or the directory of a
        /// Unix socket.
        host: Option<Hosts> {
            fallback: Unset("those of cluster"),
            sample: "\"db.example.com\"",
            in_example: true,
        }
        /// Port of the servers, or a list with one for each host.
        port: Ports { fallback: Value("5432") }
        /// Name of the [[cluster]] whose hosts have this database, instead of host, port and [database.tls].
        cluster: Option<String> { fallback: Unset("the servers are those of host"), bounds: NAME, sample: "\"main\"" }
        /// Which hosts of the cluster sessions are led to.
        target: TargetWord { fallback: Value("\"primary\"") }
        /// Whether clients may choose other hosts of the cluster for themselves, with the startup parameter
        /// portcullis.target: in "options" as -c portcullis.target=standby, with the words of target. Else such
        /// a parameter is refused.
        target_by_client: bool { fallback: Value("false") }
        /// Whether statements that only read may go to standbys although target is the primary. Needs pool_mode
        /// "transaction" or "statement". A standby may show data that is a bit older.
        route_reads: RouteReads { fallback: Value("\"off\"") }
        /// Name of another [[database]] to which a share of the statements that only read is copied. What it answers is
        /// compared by count and time, and thrown away; the client never waits for it. It needs a user with a password of
        /// its own, and here pool_mode "transaction" or "statement".
        mirror: Option<String> { fallback: Unset("nothing is copied"), bounds: NAME, sample: "\"app_next\"" }
        /// How many of 100 such statements are copied to mirror.
        mirror_share: u32 { fallback: Value("1"), bounds: Bounds::new(1, 100) }
        /// Connections to mirror, and so copies under way at once.
        mirror_connections: u32 { fallback: Value("2"), bounds: Bounds::new(1, 100) }
        /// Copies that wait for one of them; more are dropped, and counted.
        mirror_queue_max: u32 { fallback: Value("100"), bounds: Bounds::new(1, 10_000) }
        /// Bytes of the longest request that is copied.
        mirror_bytes_max: u32 { fallback: Value("65536"), bounds: Bounds::new(256, 65_536) }
        /// How long mirror may take to answer a copy; one that takes longer has failed. Copies that wait longer are
        /// dropped.
        mirror_timeout: Duration { fallback: Value("10"), bounds: Bounds::new(10, HOUR) }
        /// What the server calls the database.
        dbname: Option<String> {
            fallback: Unset("the name that the client asks for"),
            bounds: NAME,
            sample: "\"app_production\"",
        }
        /// User to log in as at the server, whoever the client is.
        user: Option<String> {
            fallback: Unset("the client's user"),
            bounds: NAME,
            sample: "\"app\"",
        }
        /// File whose first line is the password of user.
        password_file: Option<PathBuf> {
            fallback: Unset("no password, unless password_env is set"),
            sample: "\"app.password\"",
        }
        /// Environment variable with the password of user.
        password_env: Option<EnvName> {
            fallback: Unset("no password, unless password_file is set"),
            sample: "\"APP_PASSWORD\"",
        }
        /// Most connections to the servers of this database at a time; 0 means no limit. Who comes
        /// later waits.
        max_db_connections: u32 { fallback: Value("0"), bounds: Bounds::new(0, 1_000_000) }
        /// When a server connection goes back to the pool.
        pool_mode: Option<PoolMode> {
            fallback: Unset("pool.pool_mode"),
            sample: "\"transaction\"",
        }
        /// Most server connections of each pool of this database.
        pool_size: Option<u32> {
            fallback: Unset("pool.default_pool_size"),
            bounds: POOL_SIZE,
            sample: "50",
        }
        /// Server connections that each pool of this database keeps ready: see pool.min_pool_size.
        min_pool_size: Option<u32> {
            fallback: Unset("pool.min_pool_size"),
            bounds: CONNECTIONS,
            sample: "5",
        }
        /// Server connections that each pool of this database may have beyond its size while
        /// clients wait long.
        reserve_pool_size: Option<u32> {
            fallback: Unset("pool.reserve_pool_size"),
            bounds: CONNECTIONS,
            sample: "5",
        }
        /// Most clients of this database; 0 means no limit.
        max_db_client_connections: Option<u32> {
            fallback: Unset("pool.max_db_client_connections"),
            bounds: CONNECTIONS,
            sample: "500",
        }
        /// How long connecting, TLS handshake and login at a server may take together.
        server_connect_timeout: Duration {
            fallback: Value("10"),
            bounds: Bounds::new(100, HOUR),
        }
        /// How long after a failed connection or login the next one is tried.
        server_login_retry: Duration { fallback: Value("15"), bounds: Bounds::new(100, HOUR) }
        /// How many server connections without a client may wait for the next one. Who comes with
        /// the same user, database and startup parameters gets one, after DISCARD ALL; 0 closes each
        /// with its client.
        server_idle_max: u32 { fallback: Value("20"), bounds: Bounds::new(0, 100_000) }
        /// How long a server connection may wait for its next client; 0 means for ever.
        server_idle_timeout: Timeout { fallback: Value("600"), bounds: TIMEOUT, sample: "\"1min\"" }
        /// How old a server connection may become before it is closed, behind its client or without one;
        /// with 0 it serves one client only. No reset takes back a library that a client loaded, or that its
        /// backend has a temporary schema.
        server_lifetime: Timeout { fallback: Value("3600"), bounds: TIMEOUT, sample: "\"1d\"" }
        /// After how long without a client a server connection has to answer before the next one
        /// gets it.
        server_check_delay: Duration {
            fallback: Value("30"),
            bounds: Bounds::new(0, DAY),
            sample: "0",
        }
        /// How long data sent to a server may stay unacknowledged before the connection is dead.
        /// PgBouncer counts this in milliseconds; here it needs its unit.
        tcp_user_timeout: TimeoutWithUnit {
            fallback: Value("0"),
            bounds: TIMEOUT,
            sample: "\"30s\"",
        }
    }
}

section_with_policy! {
    /// Encryption towards the servers of the database section above it.
    DatabaseTls = "database.tls", Once {
        /// What a server must prove.
        mode: ServerMode { fallback: Value("\"verify-full\"") }
        /// PEM file with the authorities that sign your servers' certificates, or "system" for
        /// those of the operating system.
        ca: CaSource { fallback: Value("\"system\""), sample: "\"ca.crt\"" }
        /// PEM file with the revocation lists of ca. With it, each authority of a chain needs a list
        /// that is in date, or the server is refused.
        crl: Option<PathBuf> {
            fallback: Unset("revoked certificates are not known"),
            sample: "\"ca.crl\"",
        }
        /// SHA-256 of the server's certificate, for mode "pin".
        pin: Option<Sha256> {
            fallback: Unset("no certificate is pinned"),
            sample: "\"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"",
        }
        /// PEM file with the certificate that servers see, followed by its intermediates.
        certificate: Option<PathBuf> {
            fallback: Unset("no certificate is shown"),
            sample: "\"client.crt\"",
        }
        /// PEM file with the private key of the certificate; only its owner may read it.
        private_key: Option<PathBuf> {
            fallback: Unset("no certificate is shown"),
            sample: "\"client.key\"",
        }
        /// File whose first line decrypts the private key.
        private_key_passphrase_file: Option<PathBuf> {
            fallback: Unset("the private key is not encrypted"),
            sample: "\"client.key.passphrase\"",
        }
        /// Program, with its arguments, whose first line of output decrypts the private key. It runs
        /// at start and at reload, for ten seconds at most.
        private_key_passphrase_command: Option<Command> {
            fallback: Unset("the private key is not encrypted"),
            sample: "[\"/usr/bin/vault\", \"kv\", \"get\", \"-field=passphrase\", \"secret/portcullis\"]",
        }
        /// Whether the peer may renegotiate (TLS 1.2), for foreign peers that rekey this way.
        renegotiation: Renegotiation { fallback: Value("\"refuse\"") }
        /// How TLS starts.
        negotiation: Negotiation { fallback: Value("\"postgres\"") }
        /// Whether SCRAM with the server is bound to the TLS channel, so that nobody can sit
        /// between.
        channel_binding: ChannelBinding { fallback: Value("\"prefer\"") }
        /// Name to ask for (SNI) and to verify.
        server_name: Option<ServerName> {
            fallback: Unset("the host"),
            sample: "\"db.example.com\"",
        }
    }
    policy { groups: SERVER_GROUPS }
    {
    }
}

/// Each of these settings as written, or else as in the other section.
macro_rules! inherit {
    ($own:expr, $from:expr, $($setting:ident),+ $(,)?) => {
        DatabaseTls { $( $setting: $own.$setting.or(&$from.$setting), )+ }
    };
}

impl DatabaseTls {
    /// With the values of another section where this one is silent.
    pub(crate) fn or(self, other: &Self) -> Self {
        inherit!(
            self,
            other,
            mode,
            renegotiation,
            ca,
            crl,
            pin,
            certificate,
            private_key,
            private_key_passphrase_file,
            private_key_passphrase_command,
            negotiation,
            channel_binding,
            server_name,
            profile,
            min_version,
            max_version,
            ciphers,
            ciphersuites,
            groups,
            signature_algorithms,
            security_level,
        )
    }
}
