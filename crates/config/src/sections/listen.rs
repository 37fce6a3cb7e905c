//! Owns the settings of where and how clients connect.

use super::peer::PEER_ID;
use super::policy::{GROUPS, section_with_policy};
use super::{DAY, HOUR, SECOND, TIMEOUT};
use crate::checked::{MaxClientConn, Workers};
use crate::setting::Fallback::{Unset, Value};
use crate::setting::{Bounds, same_section, section};
use crate::values::{Addresses, Command, HostNames, Mode, Networks, Timeout, TimeoutWithUnit};
use crate::words::{
    ListenMode, Method, PlaintextCancel, ProxyProtocol, Renegotiation, UnknownName,
};
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
        /// How long a transaction may take, queries and pauses together, before its session is
        /// closed.
        transaction_timeout: Timeout {
            fallback: Value("0"),
            bounds: TIMEOUT,
            sample: "\"30min\"",
        }
        /// How long sessions may go on after SIGINT, to end with their transactions; then they are cut.
        drain_timeout: Duration { fallback: Value("30"), bounds: Bounds::new(0, DAY) }
        /// Unix socket over which a newly started process of the same account gets the listening
        /// sockets of this one, which then ends with its sessions. The directory must be writable for
        /// this account alone.
        takeover_socket: Option<PathBuf> {
            fallback: Unset("a restart closes the listening sockets for a moment"),
            sample: "\"/run/portcullis/takeover.sock\"",
        }
        /// How long clients may stay with a process that has given its listening sockets away, before
        /// it drains; 0 is until they leave.
        takeover_timeout: Timeout {
            fallback: Value("\"5min\""),
            bounds: TIMEOUT,
            sample: "\"1h\"",
        }
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
        /// Number of this instance among its peers, which cancel keys then hold; 0 if it has none.
        peer_id: u32 { fallback: Value("0"), bounds: Bounds::new(0, PEER_ID), sample: "1" }
        /// Must be true wherever a method is "trust", which lets anybody in without a proof.
        allow_trust: bool { fallback: Value("false") }
    }
}

section_with_policy! {
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
        /// File whose first line decrypts the private key.
        private_key_passphrase_file: Option<PathBuf> {
            fallback: Unset("the private key is not encrypted"),
            sample: "\"server.key.passphrase\"",
        }
        /// Program, with its arguments, whose first line of output decrypts the private key. It runs
        /// at start and at reload, for ten seconds at most.
        private_key_passphrase_command: Option<Command> {
            fallback: Unset("the private key is not encrypted"),
            sample: "[\"/usr/bin/vault\", \"kv\", \"get\", \"-field=passphrase\", \"secret/portcullis\"]",
        }
        /// DER file with an OCSP response about the certificate, to hand to clients that ask for one.
        /// A stale or wrong one is not handed out, and warned about.
        staple: Option<PathBuf> {
            fallback: Unset("nothing is stapled"),
            sample: "\"server.ocsp\"",
        }
        /// PEM file with the authorities that sign your clients' certificates. In the modes that
        /// do not require certificates, one that a client shows is verified all the same.
        client_ca: Option<PathBuf> {
            fallback: Unset("clients are not asked for certificates"),
            sample: "\"client-ca.crt\"",
        }
        /// PEM file with the revocation lists of client_ca. With it, each authority of a chain needs
        /// a list that is in date, or the client is refused.
        client_crl: Option<PathBuf> {
            fallback: Unset("revoked certificates are not known"),
            sample: "\"client-ca.crl\"",
        }
        /// What becomes of clients that ask for a name (SNI) that no certificate here is for.
        unknown_name: UnknownName { fallback: Value("\"default\"") }
    }
    policy { groups: GROUPS }
    {
        /// Whether clients may resume sessions with stateless tickets (not with client_ca). Whoever
        /// steals their keys from memory can decrypt resumed sessions of TLS 1.2.
        session_tickets: bool { fallback: Value("false") }
        /// How long a key seals tickets; it opens them for as long again.
        session_ticket_key_lifetime: Duration {
            fallback: Value("\"1h\""),
            bounds: Bounds::new(60 * SECOND, DAY),
        }
        /// Whether the peer may renegotiate (TLS 1.2), for foreign peers that rekey this way.
        renegotiation: Renegotiation { fallback: Value("\"refuse\"") }
        /// Whether TLS may start at once, without SSLRequest (sslnegotiation=direct).
        direct: bool { fallback: Value("true") }
        /// What to do with an unencrypted CancelRequest for an encrypted session. psql up to
        /// version 18 sends them so, and needs "accept" for Ctrl-C.
        plaintext_cancel: PlaintextCancel { fallback: Value("\"refuse\"") }
    }
}

section! {
    /// A further certificate of the listener. With names, for clients that ask for one of them (SNI);
    /// several sections with the same name and keys of different types stand side by side. Without
    /// names, beside the default certificate, with a key of another type.
    ListenTlsIdentity = "listen.tls.identity", AnyTimes {
        /// Host names that the certificate is for; "*.example.com" stands for one label more.
        names: HostNames {
            fallback: Value("[]"),
            sample: "[\"db.example.com\", \"*.db.example.com\"]",
        }
        /// PEM file with the certificate, followed by its intermediates.
        certificate: PathBuf { sample: "\"db.crt\"" }
        /// PEM file with the private key of the certificate; only its owner may read it.
        private_key: PathBuf { sample: "\"db.key\"" }
        /// File whose first line decrypts the private key.
        private_key_passphrase_file: Option<PathBuf> {
            fallback: Unset("the private key is not encrypted"),
            sample: "\"db.key.passphrase\"",
        }
        /// Program, with its arguments, whose first line of output decrypts the private key. It runs
        /// at start and at reload, for ten seconds at most.
        private_key_passphrase_command: Option<Command> {
            fallback: Unset("the private key is not encrypted"),
            sample: "[\"/usr/bin/vault\", \"kv\", \"get\", \"-field=passphrase\", \"secret/portcullis\"]",
        }
        /// DER file with an OCSP response about the certificate, to hand to clients that ask for one.
        /// A stale or wrong one is not handed out, and warned about.
        staple: Option<PathBuf> {
            fallback: Unset("nothing is stapled"),
            sample: "\"db.ocsp\"",
        }
    }
}

section! {
    /// A further listener with a TLS policy of its own. Whatever else [listen] says holds for it, too.
    Listener = "listener", AnyTimes {
        /// Where to accept TCP connections.
        address: Addresses { sample: "\"192.0.2.1:6432\"" }
        /// How clients of this listener prove who they are.
        method: Option<Method> { fallback: Unset("auth.method"), sample: "\"cert\"" }
    }
}

same_section! {
    /// Encryption towards the clients of the listener section above it. The settings are those of
    /// [listen.tls], with the same defaults.
    ListenerTls = "listener.tls", Once, as ListenTls
}

same_section! {
    /// A further certificate of the listener section above it. The settings are those of
    /// [[listen.tls.identity]].
    ListenerTlsIdentity = "listener.tls.identity", AnyTimes, as ListenTlsIdentity
}
