//! Owns the table of all settings: each stands here once, with its type, default, bounds, text and
//! example. The reader, the help, the example and the reference follow from it.
//!
//! A setting with PgBouncer's meaning has PgBouncer's name and default; the modes of TLS are safer.

use crate::checked::{CaSource, CertificateName, MaxClientConn, Sha256, Workers};
use crate::document::Report;
use crate::read::{Parent, ReadSection};
use crate::setting::Fallback::{Unset, Value};
use crate::setting::{Bounds, Section, section};
use crate::values::{Addresses, EnvName, Hosts, Mode, Ports, ServerName, Timeout, TimeoutWithUnit};
use crate::words::{
    ChannelBinding, ListenMode, LogFormat, LogLevel, Method, MinTlsVersion, Negotiation,
    PlaintextCancel, ServerMode, UnixSocketMethod,
};
use std::path::PathBuf;
use std::time::Duration;
use toml::de::DeTable;

const SECOND: u64 = 1000;
const HOUR: u64 = 3600 * SECOND;
const DAY: u64 = 24 * HOUR;

/// Names are longer on some managed servers than PostgreSQL's own 63 bytes.
const NAME: Bounds = Bounds::new(1, 128);
/// Mozilla's "intermediate" suites without finite-field Diffie-Hellman.
const CIPHERS: &str = "\"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
    ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:\
    ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305\"";
const CIPHERSUITES: &str = "\"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:\
    TLS_CHACHA20_POLY1305_SHA256\"";
const GROUPS: &str = "\"X25519:P-256:P-384:P-521\"";
/// PostgreSQL before 18 takes P-256 alone unless told otherwise (ssl_ecdh_curve), and a first offer
/// that it doesn't take costs a round trip.
const SERVER_GROUPS: &str = "\"P-256:X25519:P-384:P-521\"";

/// Timeouts that may be off.
const TIMEOUT: Bounds = Bounds::new(1, 365 * DAY);

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
        /// Whether TLS may start at once, without SSLRequest (sslnegotiation=direct).
        direct: bool { fallback: Value("true") }
        /// What to do with an unencrypted CancelRequest for an encrypted session. psql up to
        /// version 18 sends them so, and needs "accept" for Ctrl-C.
        plaintext_cancel: PlaintextCancel { fallback: Value("\"refuse\"") }
    }
}

section! {
    /// TCP keepalive, towards clients and servers.
    Tcp = "tcp", Once {
        /// Whether idle connections are probed, so that dead ones are noticed.
        tcp_keepalive: bool { fallback: Value("true") }
        /// Idle time before the first probe; 0 leaves the system's.
        tcp_keepidle: Timeout {
            fallback: Value("0"),
            bounds: Bounds::new(SECOND, 32767 * SECOND),
            sample: "60",
        }
        /// Time between probes; 0 leaves the system's.
        tcp_keepintvl: Timeout {
            fallback: Value("0"),
            bounds: Bounds::new(SECOND, 32767 * SECOND),
            sample: "10",
        }
        /// Unanswered probes before a connection is dead; 0 leaves the system's.
        tcp_keepcnt: u32 { fallback: Value("0"), bounds: Bounds::new(0, 127), sample: "6" }
    }
}

section! {
    /// How clients prove who they are.
    Auth = "auth", Once {
        /// How clients prove over TCP who they are.
        method: Method { fallback: Value("\"scram-sha-256\"") }
        /// How clients prove over the Unix socket who they are.
        unix_socket_method: UnixSocketMethod { fallback: Value("\"peer\"") }
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
        /// A name in the certificate, exactly: "CN=…" of the subject, or "DNS:…", "email:…" or
        /// "URI:…" of the subject alternative names, as OpenSSL prints them.
        certificate: CertificateName { sample: "\"DNS:app.example.com\"" }
        /// PostgreSQL user.
        user: String { bounds: NAME, sample: "\"app\"" }
    }
}

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
    }
}

section! {
    /// Bounds on what a client may cause.
    Limits = "limits", Once {
        /// Requests that a session may have sent before the server has answered them; then its
        /// socket is not read until answers come.
        max_pipeline: u32 { fallback: Value("10000"), bounds: Bounds::new(4096, 1_000_000) }
        /// Cancel requests a second from one address.
        cancel_rate: u32 { fallback: Value("20"), bounds: Bounds::new(1, 100_000) }
        /// Cancel connections to servers at a time.
        cancel_concurrency: u32 { fallback: Value("64"), bounds: Bounds::new(1, 10_000) }
        /// How long one cancel may take.
        cancel_wait_timeout: Duration {
            fallback: Value("10"),
            bounds: Bounds::new(SECOND, HOUR),
        }
        /// How long a client may wait for a server connection where max_db_connections is reached.
        query_wait_timeout: Duration {
            fallback: Value("120"),
            bounds: Bounds::new(SECOND, DAY),
        }
    }
}

section! {
    /// What is written about sessions. Never a literal, a secret or payload.
    Log = "log", Once {
        /// Who reads it.
        format: LogFormat { fallback: Value("\"human\"") }
        /// The least important event still written.
        level: LogLevel { fallback: Value("\"info\"") }
        /// A line when a session starts, with the TLS facts of both legs.
        log_connections: bool { fallback: Value("true") }
        /// A line when a session ends, with its reason, bytes and duration.
        log_disconnections: bool { fallback: Value("true") }
    }
}

section! {
    /// What the process asks of the kernel.
    Process = "process", Once {
        /// Whether a crash may write memory, with secrets and rows, to disk.
        core_dumps: bool { fallback: Value("false") }
    }
}

/// All sections, in the order of the example and the reference.
pub const SECTIONS: &[Section] = &[
    Listen::SECTION,
    ListenTls::SECTION,
    Database::SECTION,
    DatabaseTls::SECTION,
    Auth::SECTION,
    AuthMap::SECTION,
    User::SECTION,
    Limits::SECTION,
    Tcp::SECTION,
    Log::SECTION,
    Process::SECTION,
];

/// Names that people bring from PgBouncer and libpq, and what they are called here.
pub(crate) const RENAMED: &[(&str, &str)] = &[
    ("listen_addr", "listen.address"),
    ("listen_port", "listen.address"),
    ("auth_type", "auth.method"),
    ("users_file", "auth.auth_file"),
    ("client_tls_sslmode", "listen.tls.mode"),
    ("client_tls_cert_file", "listen.tls.certificate"),
    ("client_tls_key_file", "listen.tls.private_key"),
    ("client_tls_ca_file", "listen.tls.client_ca"),
    ("client_tls_protocols", "listen.tls.min_version"),
    ("client_tls_ciphers", "listen.tls.ciphers"),
    ("client_tls13_ciphers", "listen.tls.ciphersuites"),
    ("client_tls_ecdhcurve", "listen.tls.groups"),
    ("server_tls_sslmode", "database.tls.mode"),
    ("server_tls_cert_file", "database.tls.certificate"),
    ("server_tls_key_file", "database.tls.private_key"),
    ("server_tls_ca_file", "database.tls.ca"),
    ("server_tls_protocols", "database.tls.min_version"),
    ("server_tls_ciphers", "database.tls.ciphers"),
    ("server_tls13_ciphers", "database.tls.ciphersuites"),
    ("sslmode", "database.tls.mode"),
    ("sslrootcert", "database.tls.ca"),
    ("sslcert", "database.tls.certificate"),
    ("sslkey", "database.tls.private_key"),
    ("sslnegotiation", "database.tls.negotiation"),
    ("connect_timeout", "database.server_connect_timeout"),
    ("hostaddr", "database.host"),
];

/// The sections of one file, each setting read but not yet judged beside the others. A section
/// with a bad setting is left out; the report then has an error.
pub(crate) struct Sections {
    pub(crate) listen: Option<Listen>,
    pub(crate) listen_tls: Option<ListenTls>,
    pub(crate) tcp: Option<Tcp>,
    pub(crate) auth: Option<Auth>,
    pub(crate) auth_map: Vec<AuthMap>,
    pub(crate) databases: Vec<(Database, DatabaseTls)>,
    pub(crate) users: Vec<User>,
    pub(crate) limits: Option<Limits>,
    pub(crate) log: Option<Log>,
    pub(crate) process: Option<Process>,
}

impl Sections {
    /// Reads all sections of a file.
    pub(crate) fn read(file: &DeTable<'_>, report: &Report<'_>) -> Self {
        let root = Parent::root(file, report);
        root.check_keys(&[]);
        let (listen, in_listen) = root.once();
        let (auth, in_auth) = root.once();
        let with_tls = |(database, inside): (Option<Database>, Parent<'_, '_>)| {
            let (tls, _) = inside.once::<DatabaseTls>();
            database.zip(tls)
        };
        let databases = root.many().into_iter().filter_map(with_tls);
        let auth_map = in_auth.many().into_iter().filter_map(|(entry, _)| entry);
        let users = root.many().into_iter().filter_map(|(user, _)| user);
        Self {
            listen,
            listen_tls: in_listen.once().0,
            tcp: root.once().0,
            auth,
            auth_map: auth_map.collect(),
            databases: databases.collect(),
            users: users.collect(),
            limits: root.once().0,
            log: root.once().0,
            process: root.once().0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_names_lead_to_settings_and_are_none_themselves() {
        let has = |path: &str| {
            SECTIONS.iter().any(|section| {
                let of = |name| format!("{}.{name}", section.path);
                section.settings.iter().any(|it| of(it.name) == path)
            })
        };
        let is_setting = |name: &str| {
            let mut all = SECTIONS.iter().flat_map(|section| section.settings);
            all.any(|it| it.name == name)
        };
        for (theirs, ours) in RENAMED {
            assert!(has(ours), "{ours}");
            assert!(!is_setting(theirs), "{theirs}");
        }
    }
}
