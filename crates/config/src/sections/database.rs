//! Owns the settings of the databases that clients can ask for, and of the way to their servers.

use super::{CIPHERS, CIPHERSUITES, DAY, HOUR, NAME, SERVER_GROUPS, TIMEOUT};
use crate::checked::{CaSource, Sha256};
use crate::setting::Fallback::{Unset, Value};
use crate::setting::{Bounds, section};
use crate::values::{EnvName, Hosts, Ports, ServerName, Timeout, TimeoutWithUnit};
use crate::words::{ChannelBinding, MinTlsVersion, Negotiation, Renegotiation, ServerMode};
use std::path::PathBuf;
use std::time::Duration;

section! {
    /// A database that clients can ask for, and the servers that have it.
    Database = "database", AtLeastOnce {
        /// What clients ask for; "*" stands for every name that has no section of its own.
        name: String { bounds: NAME, sample: "\"app\"", in_example: true }
        /// Server, or servers in the order to try them: names, IP addresses, or the directory of a
        /// Unix socket.
        host: Hosts { sample: "\"db.example.com\"", in_example: true }
        /// Port of the servers, or a list with one for each host.
        port: Ports { fallback: Value("5432") }
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
        /// How long connecting, TLS handshake and login at a server may take together.
        server_connect_timeout: Duration {
            fallback: Value("10"),
            bounds: Bounds::new(100, HOUR),
        }
        /// How many server connections without a client may wait for the next one. Who comes with
        /// the same user, database and startup parameters gets one, after DISCARD ALL; 0 closes each
        /// with its client.
        server_idle_max: u32 { fallback: Value("20"), bounds: Bounds::new(0, 100_000) }
        /// How long a server connection may wait for its next client; 0 means for ever.
        server_idle_timeout: Timeout { fallback: Value("600"), bounds: TIMEOUT, sample: "\"1min\"" }
        /// How old a server connection may become before it is closed behind its client; with 0 it
        /// serves one client only.
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

section! {
    /// Encryption towards the servers of the database section above it.
    DatabaseTls = "database.tls", Once {
        /// What a server must prove.
        mode: ServerMode { fallback: Value("\"verify-full\"") }
        /// PEM file with the authorities that sign your servers' certificates, or "system" for
        /// those of the operating system.
        ca: CaSource { fallback: Value("\"system\""), sample: "\"ca.crt\"" }
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
        /// The lowest TLS version spoken.
        min_version: MinTlsVersion { fallback: Value("\"TLSv1.2\"") }
        /// Ciphers of TLS 1.2, as OpenSSL names them.
        ciphers: String { fallback: Value(CIPHERS) }
        /// Cipher suites of TLS 1.3, as OpenSSL names them.
        ciphersuites: String { fallback: Value(CIPHERSUITES) }
        /// Groups for the key exchange, as OpenSSL names them.
        groups: String { fallback: Value(SERVER_GROUPS) }
    }
}
