//! Owns the settings of where and how clients connect.

use super::{CIPHERS, CIPHERSUITES, DAY, GROUPS, HOUR, SECOND, TIMEOUT};
use crate::checked::{MaxClientConn, Workers};
use crate::setting::Fallback::{Unset, Value};
use crate::setting::{Bounds, section};
use crate::values::{Addresses, Mode, Networks, Timeout, TimeoutWithUnit};
use crate::words::{ListenMode, MinTlsVersion, PlaintextCancel, ProxyProtocol, Renegotiation};
use std::path::PathBuf;
use std::time::Duration;

section! {
    /// Where clients connect, and how long they may take.
    Listen = "listen", Once {
        /// Where to accept TCP connections. "0.0.0.0:6432" is every IPv4 address of the machine,
        /// "[::]:6432" every address; an empty list leaves only the Unix socket.
        address: Addresses {
            fallback: Value("\"127.0.0.1:6432\""),
            sample: "[\"127.0.0.1:6432\", \"[::1]:6432\"]",
        }
        /// Connections that may wait to be accepted.
        listen_backlog: u32 { fallback: Value("128"), bounds: Bounds::new(1, 65535) }
        /// Directory of a Unix socket. As with PostgreSQL, its name is .s.PGSQL. and a port, here
        /// that of the first address.
        unix_socket_dir: Option<PathBuf> {
            fallback: Unset("no Unix socket"),
            sample: "\"/run/portcullis\"",
        }
        /// Permissions of the Unix socket, set before it listens.
        unix_socket_mode: Mode { fallback: Value("\"0600\"") }
        /// Worker threads; 0 means one for each core.
        workers: Workers { fallback: Value("0"), bounds: Bounds::new(0, 1024) }
        /// Most clients at a time; "auto" fits them to the limit of open files.
        max_client_conn: MaxClientConn {
            fallback: Value("\"auto\""),
            bounds: Bounds::new(1, 1_000_000),
            sample: "1000",
        }
        /// How long TLS handshake and login may take together.
        client_login_timeout: Duration {
            fallback: Value("60"),
            bounds: Bounds::new(SECOND, HOUR),
        }
        /// How long a client may be idle outside a transaction before its session is closed.
        client_idle_timeout: Timeout { fallback: Value("0"), bounds: TIMEOUT, sample: "\"1h\"" }
        /// How long a client may be idle inside a transaction before its session is closed.
        idle_transaction_timeout: Timeout {
            fallback: Value("0"),
            bounds: TIMEOUT,
            sample: "\"5min\"",
        }
        /// How long a query may run before its session is closed.
        query_timeout: Timeout { fallback: Value("0"), bounds: TIMEOUT, sample: "\"10min\"" }
        /// How long sessions may go on after the first SIGTERM; then they are cut.
        drain_timeout: Duration { fallback: Value("30"), bounds: Bounds::new(0, DAY) }
        /// How long data sent to a client may stay unacknowledged before the connection is dead.
        /// PgBouncer counts this in milliseconds; here it needs its unit.
        tcp_user_timeout: TimeoutWithUnit {
            fallback: Value("0"),
            bounds: TIMEOUT,
            sample: "\"30s\"",
        }
        /// Whether a load balancer says in front of each connection whose it is (PROXY protocol,
        /// version 2). The client's own address then is what the log, limits and rules use.
        proxy_protocol: ProxyProtocol { fallback: Value("\"off\"") }
        /// Addresses and networks of the load balancers that are believed. Whoever else connects
        /// is refused.
        proxy_trusted: Networks {
            fallback: Value("[]"),
            sample: "[\"10.0.0.0/8\", \"2001:db8::7\"]",
        }
        /// Must be true wherever a method is "trust", which lets anybody in without a proof.
        allow_trust: bool { fallback: Value("false") }
    }
}

section! {
    /// Encryption towards clients.
    ListenTls = "listen.tls", Once {
        /// Whether clients must encrypt, and whether they must show a certificate.
        mode: ListenMode { fallback: Value("\"require\"") }
        /// PEM file with the certificate that clients see, followed by its intermediates.
        certificate: Option<PathBuf> {
            fallback: Unset("an error, unless mode is \"disable\""),
            sample: "\"server.crt\"",
            in_example: true,
        }
        /// PEM file with the private key of the certificate; only its owner may read it.
        private_key: Option<PathBuf> {
            fallback: Unset("an error, unless mode is \"disable\""),
            sample: "\"server.key\"",
            in_example: true,
        }
        /// PEM file with the authorities that sign your clients' certificates. In the modes that
        /// do not require certificates, one that a client shows is verified all the same.
        client_ca: Option<PathBuf> {
            fallback: Unset("clients are not asked for certificates"),
            sample: "\"client-ca.crt\"",
        }
        /// The lowest TLS version spoken.
        min_version: MinTlsVersion { fallback: Value("\"TLSv1.2\"") }
        /// Ciphers of TLS 1.2, as OpenSSL names them.
        ciphers: String { fallback: Value(CIPHERS) }
        /// Cipher suites of TLS 1.3, as OpenSSL names them.
        ciphersuites: String { fallback: Value(CIPHERSUITES) }
        /// Groups for the key exchange, as OpenSSL names them.
        groups: String { fallback: Value(GROUPS) }
        /// Whether the peer may renegotiate (TLS 1.2), for foreign peers that rekey this way.
        renegotiation: Renegotiation { fallback: Value("\"refuse\"") }
        /// Whether TLS may start at once, without SSLRequest (sslnegotiation=direct).
        direct: bool { fallback: Value("true") }
        /// What to do with an unencrypted CancelRequest for an encrypted session. psql up to
        /// version 18 sends them so, and needs "accept" for Ctrl-C.
        plaintext_cancel: PlaintextCancel { fallback: Value("\"refuse\"") }
    }
}
