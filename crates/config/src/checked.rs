//! Owns the shape of a checked configuration: plain, immutable values that need no further
//! judgement. Paths are already resolved against the directory of the configuration file.

mod cluster;
mod events;
mod mirror;
mod route;
mod statements;
mod telemetry;

use crate::error::{ConfigError, Place};
use crate::pool::{Pool, PoolOfDatabase, PoolOfUser};
use crate::shown::Shown;
use crate::words::{
    ChannelBinding, LogFormat, LogLevel, MaxTlsVersion, Method, MinTlsVersion, Negotiation,
    PlaintextCancel, Reload, Renegotiation, Sandbox, Tls12Limit, UnixSocketMethod, UnknownName,
};
pub use cluster::{
    Checks, Cluster, Followed, HostName, HostTls, Listed, Member, MembersSource, Promotion,
    ReadsOfCluster, Servers, Service, ServiceLogin, Switchover, Target,
};
pub use events::{Changes, Events, Webhook};
pub use mirror::Mirrored;
pub use route::Route;
pub use statements::{Inspection, Learn, Policy, QueryLog, Rule, RuleMeans};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
pub use telemetry::OpenTelemetry;

/// Everything one configuration file says, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `[listen]`: where clients connect.
    pub listen: Listen,
    /// `[[listener]]`: further listeners with a TLS policy of their own.
    pub listeners: Vec<Listener>,
    /// `[tls]`: TLS as a whole.
    pub tls: Tls,
    /// `[tcp]`: keepalive on both legs.
    pub tcp: Tcp,
    /// `[auth]`: how clients prove who they are.
    pub auth: Auth,
    /// `[[database]]`: where sessions go. Names are unique, at least one is there.
    pub databases: Vec<Database>,
    /// `[[cluster]]`: hosts with the same data. Names are unique.
    pub clusters: Vec<Cluster>,
    /// `[[route]]`: where sessions go by what their clients say. Names are unique.
    pub routes: Vec<Route>,
    /// `[[user]]`: what differs for single users. Names are unique.
    pub users: Vec<User>,
    /// `[pool]`: how clients share server connections.
    pub pool: Pool,
    /// `[[peer]]`: other instances. Their numbers are unique, and not this one's.
    pub peers: Vec<Peer>,
    /// `[limits]`: bounds on what a client may cause.
    pub limits: Limits,
    /// `[log]`: what is written about sessions.
    pub log: Log,
    /// `[metrics]`: the HTTP listener, if there is one.
    pub metrics: Option<Metrics>,
    /// `[policy]` and `[[rule]]`: how statements are judged, if they are. Names are unique.
    pub policy: Option<Policy>,
    /// `[inspection]`: how statements are looked at, if they are.
    pub inspection: Option<Inspection>,
    /// `[events]`: what operators should hear of.
    pub events: Events,
    /// `[[webhook]]`: who is told of it. Names are unique.
    pub webhooks: Vec<Webhook>,
    /// `[opentelemetry]`: where spans and metrics go, if anywhere.
    pub opentelemetry: Option<OpenTelemetry>,
    /// `[admin]`: the console, if there is one.
    pub admin: Option<Admin>,
    /// `[files]`: how changes come into force.
    pub files: Files,
    /// `[process]`: what the process asks of the kernel.
    pub process: Process,
    /// Every file and environment variable that a setting names, in the order of the file.
    pub sources: Vec<Source>,
    /// Every setting, for people to look at.
    pub settings: Vec<Shown>,
    /// The text of the file, without changes made later.
    pub text: Arc<str>,
}

/// Where clients connect, and how long they may take.
#[derive(Debug, Clone, PartialEq)]
pub struct Listen {
    /// TCP addresses; empty only if there is a Unix socket.
    pub addresses: Vec<SocketAddr>,
    /// Length of the queue of connections not yet accepted.
    pub backlog: u32,
    /// The Unix-domain socket, if one is named.
    pub unix_socket: Option<UnixSocket>,
    /// Number of worker threads.
    pub workers: Workers,
    /// Most clients at a time.
    pub max_client_conn: MaxClientConn,
    /// Handshake and login together.
    pub client_login_timeout: Duration,
    /// How long a client may send nothing outside a transaction.
    pub client_idle_timeout: Option<Duration>,
    /// How long a client may send nothing inside a transaction.
    pub idle_transaction_timeout: Option<Duration>,
    /// How long one query may run.
    pub query_timeout: Option<Duration>,
    /// How long one transaction may take.
    pub transaction_timeout: Option<Duration>,
    /// How long sessions may go on once they are to end with their transactions.
    pub drain_timeout: Duration,
    /// The socket over which a newly started process takes over, if one is named.
    pub takeover_socket: Option<PathBuf>,
    /// How long clients may stay with the process that was taken over from; `None` without a limit.
    pub takeover_timeout: Option<Duration>,
    /// Number of this instance among its peers; `None` if it has none.
    pub peer_id: Option<u32>,
    /// Whether a method may be `trust`.
    pub allow_trust: bool,
    /// TCP_USER_TIMEOUT of client connections.
    pub tcp_user_timeout: Option<Duration>,
    /// Networks of the load balancers whose PROXY protocol header every connection starts with;
    /// `None` where clients connect by themselves. An address and how many of its bits count.
    pub proxy_trusted: Option<Vec<(IpAddr, u8)>>,
    /// Encryption towards clients.
    pub tls: ListenTls,
}

/// A further listener.
#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    /// TCP addresses; never empty.
    pub addresses: Vec<SocketAddr>,
    /// How its clients prove who they are; `None` = as `auth.method` says.
    pub method: Option<Method>,
    /// Encryption towards its clients.
    pub tls: ListenTls,
    /// Where it stands.
    pub place: Place,
}

/// TLS as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The oldest OpenSSL to start with: major, minor, patch.
    pub min_openssl: (u32, u32, u32),
    /// Where that stands.
    pub place: Place,
    /// Records of a direction's key.
    pub rekey_records: u64,
    /// Its bytes.
    pub rekey_bytes: u64,
    /// Its age; `None` without a limit.
    pub rekey_interval: Option<Duration>,
    /// What becomes of TLS 1.2 connections beyond that.
    pub tls12_limit: Tls12Limit,
}

/// A Unix-domain socket to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixSocket {
    /// The socket itself: `<unix_socket_dir>/.s.PGSQL.<port>`.
    pub path: PathBuf,
    /// Its permission bits, set before it listens.
    pub mode: u32,
}

/// Number of worker threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// One per core.
    PerCore,
    /// As many as said.
    Exactly(u32),
}

/// Most clients at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxClientConn {
    /// Fitted to RLIMIT_NOFILE.
    Fitted,
    /// As many as said.
    Exactly(u32),
}

/// Encryption towards clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenTls {
    /// None: every byte is readable on the network.
    Disabled,
    /// TLS is spoken.
    On(Box<ListenTlsOn>),
}

/// How TLS is spoken with clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenTlsOn {
    /// Whether a client may come without TLS.
    pub clients: Clients,
    /// Whether TLS may start without SSLRequest (ALPN `postgresql`).
    pub direct: bool,
    /// Our default certificate chain and key.
    pub identity: KeyPair,
    /// Further ones: for some names, or with keys of other types.
    pub identities: Vec<NamedKeyPair>,
    /// What becomes of clients that ask for another name.
    pub unknown_name: UnknownName,
    /// Whether clients show certificates.
    pub client_certificates: ClientCertificates,
    /// Revocation lists of the clients' authorities.
    pub client_crl: Option<PathBuf>,
    /// How long a key seals session tickets; `None` gives out none.
    pub session_tickets: Option<Duration>,
    /// Versions, ciphers and groups.
    pub options: TlsOptions,
    /// Whether clients may renegotiate.
    pub renegotiation: Renegotiation,
    /// What to do with an unencrypted CancelRequest for an encrypted session.
    pub plaintext_cancel: PlaintextCancel,
}

/// Whether a client may come without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// No.
    MustEncrypt,
    /// Yes: the operator said so.
    MayEncrypt,
}

/// Whether clients show certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They are not asked for.
    NotAsked,
    /// Asked for and verified if shown; needed only by method `cert`.
    Optional(PathBuf),
    /// Required, and signed by this authority (`verify-ca`).
    Required(PathBuf),
    /// Required, and must name the user who logs in (`verify-full`).
    RequiredForUser(PathBuf),
}

/// A certificate chain and its private key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The key of the leaf.
    pub private_key: PathBuf,
    /// What decrypts the key, if it is encrypted.
    pub passphrase: Option<Origin>,
    /// An OCSP response about the leaf, DER.
    pub staple: Option<PathBuf>,
}

/// A certificate for some names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedKeyPair {
    /// Host names in lower case, each perhaps with `*` as its first label; empty for a certificate
    /// beside the default one.
    pub names: Vec<String>,
    /// The certificate.
    pub identity: KeyPair,
}

/// Versions, ciphers and groups of one leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsOptions {
    /// Mozilla's modern ones.
    Modern,
    /// Mozilla's intermediate ones.
    Intermediate,
    /// As written.
    Custom(Box<CustomTls>),
}

/// Versions, ciphers and groups as written; the names are OpenSSL's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomTls {
    /// The lowest version spoken.
    pub min_version: MinTlsVersion,
    /// The highest version spoken.
    pub max_version: MaxTlsVersion,
    /// TLS 1.2 cipher list.
    pub ciphers: String,
    /// TLS 1.3 cipher suites.
    pub ciphersuites: String,
    /// Key exchange groups.
    pub groups: String,
    /// Signature algorithms.
    pub signature_algorithms: String,
    /// OpenSSL's security level.
    pub security_level: u32,
}

/// TCP keepalive of both legs. `None` leaves the system's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tcp {
    /// Whether keepalive probes are sent.
    pub keepalive: bool,
    /// Idle time before the first probe.
    pub keepidle: Option<Duration>,
    /// Time between probes.
    pub keepintvl: Option<Duration>,
    /// Unanswered probes before the connection is dead.
    pub keepcnt: Option<u32>,
}

/// How clients prove who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// Over TCP.
    pub method: Method,
    /// Over the Unix socket.
    pub unix_socket_method: UnixSocketMethod,
    /// SCRAM-SHA-256-PLUS towards clients.
    pub channel_binding: ChannelBinding,
    /// File with rules of who may log in from where; if there is one, it has the methods.
    pub hba_file: Option<PathBuf>,
    /// File with users and their verifiers or passwords.
    pub auth_file: Option<PathBuf>,
    /// Looks users up in a server.
    pub auth_query: Option<AuthQuery>,
    /// Which certificate names may log in as whom; empty = the common name is the user.
    pub map: Vec<CertificateMapping>,
}

/// How to look users up in a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthQuery {
    /// Whom the query runs as.
    pub user: String,
    /// That user's password, if one is needed.
    pub password: Option<Origin>,
    /// The database it runs in (a configured name); `None` = the one the client asked for.
    pub dbname: Option<String>,
    /// The text, with `$1` for the user's name.
    pub query: String,
}

/// One `[[auth.map]]`: a certificate that names `certificate` may log in as `user`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateMapping {
    /// A name in the certificate.
    pub certificate: CertificateName,
    /// PostgreSQL user, perhaps made of what `certificate` captures.
    pub user: Pattern,
}

/// A name in a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateName {
    /// `CN=…`: common name of the subject.
    CommonName(Pattern),
    /// `DNS:…`: dNSName of the subject alternative names.
    Dns(Pattern),
    /// `email:…`: rfc822Name of the subject alternative names.
    Email(Pattern),
    /// `URI:…`: uniformResourceIdentifier of the subject alternative names.
    Uri(Pattern),
}

impl CertificateName {
    /// What the name has to be.
    pub fn pattern(&self) -> &Pattern {
        match self {
            Self::CommonName(it) | Self::Dns(it) | Self::Email(it) | Self::Uri(it) => it,
        }
    }
}

/// A text with holes, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(pub Vec<Piece>);

/// A piece of a [`Pattern`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// This text.
    Text(String),
    /// `*`: any part of a name.
    Any,
    /// `{name}`: a part of a name that is kept under a name of its own.
    Capture(String),
}

impl From<&str> for Pattern {
    /// Exactly this text.
    fn from(text: &str) -> Self {
        Self(vec![Piece::Text(text.to_owned())])
    }
}

/// Where something lies that the caller reads; this crate never sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A file.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// What a program writes: the program and its arguments.
    Command(Vec<String>),
}

/// One database that clients can name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// What clients ask for.
    pub name: DatabaseName,
    /// Where its servers are.
    pub servers: Servers,
    /// The server's name of the database; `None` = as the client asked.
    pub dbname: Option<String>,
    /// Whom to log in as, whoever the client is; `None` = as the client.
    pub user: Option<DatabaseUser>,
    /// Most connections at a time; `None` without a limit.
    pub max_db_connections: Option<u32>,
    /// What its pools have instead of what `[pool]` says.
    pub pool: PoolOfDatabase,
    /// Where statements that only read are copied to.
    pub mirror: Option<Mirrored>,
    /// Connecting, TLS and login together.
    pub server_connect_timeout: Duration,
    /// How long after a failed login the next one is tried.
    pub server_login_retry: Duration,
    /// Connections that may wait for their next client.
    pub server_idle_max: u32,
    /// How long one may; `None` without a limit.
    pub server_idle_timeout: Option<Duration>,
    /// How old one may become; `None`: it serves one client.
    pub server_lifetime: Option<Duration>,
    /// After how long without a client one has to answer first.
    pub server_check_delay: Duration,
    /// TCP_USER_TIMEOUT of server connections.
    pub tcp_user_timeout: Option<Duration>,
    /// Where its name stands.
    pub place: Place,
}

/// What clients ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseName {
    /// This name.
    Named(String),
    /// `*`: any name that no other section has.
    Any,
}

/// A forced server user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseUser {
    /// Its name.
    pub name: String,
    /// Its password, if one is needed.
    pub password: Option<Origin>,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Where it is.
    pub address: HostAddress,
    /// Its port.
    pub port: u16,
    /// Encryption towards it, where it differs from the database's.
    pub tls: Option<ServerTls>,
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostAddress {
    /// A name to resolve.
    Name(String),
    /// An address.
    Ip(IpAddr),
    /// The directory of a Unix-domain socket (`.s.PGSQL.<port>`).
    UnixDir(PathBuf),
}

/// Another instance, for cancel requests that belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its number.
    pub id: u32,
    /// Where it is, and how it is met.
    pub host: Host,
    /// Encryption towards it.
    pub tls: ServerTls,
    /// Where its number stands.
    pub place: Place,
}

/// Encryption towards servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerTls {
    /// None: every byte is readable on the network.
    Disabled,
    /// TLS is spoken.
    On(Box<ServerTlsOn>),
}

/// How TLS is spoken with servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTlsOn {
    /// Whether servers may renegotiate.
    pub renegotiation: Renegotiation,
    /// What makes a server's certificate good.
    pub trust: ServerTrust,
    /// Revocation lists of the servers' authorities.
    pub crl: Option<PathBuf>,
    /// Our client certificate.
    pub identity: Option<KeyPair>,
    /// How TLS starts.
    pub negotiation: Negotiation,
    /// SCRAM-SHA-256-PLUS towards servers.
    pub channel_binding: ChannelBinding,
    /// Name for SNI and verification instead of the host's.
    pub server_name: Option<String>,
    /// Versions, ciphers and groups.
    pub options: TlsOptions,
}

/// What makes a server's certificate good, weakest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerTrust {
    /// Anything, and plain text where the server has no TLS (`prefer`).
    AnyOrPlaintext,
    /// Anything (`require`).
    Any,
    /// Signed by this authority, whatever name it bears (`verify-ca`).
    Authority(PathBuf),
    /// Its SHA-256 is this (`pin`).
    Pinned(Sha256),
    /// Signed by this authority and made out to the host (`verify-full`).
    AuthorityAndName(CaSource),
}

/// Certificate authorities to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaSource {
    /// Those of the operating system.
    System,
    /// Those of a PEM file.
    File(PathBuf),
}

/// SHA-256 of a certificate's DER form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sha256(pub [u8; 32]);

/// What differs for one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name the client gives.
    pub name: String,
    /// Method over TCP instead of `auth.method`.
    pub method: Option<Method>,
    /// Whom to log in as at the server; goes before the database's `user`.
    pub server_user: Option<DatabaseUser>,
    /// What this user's pools have instead of what `[pool]` and the database say.
    pub pool: PoolOfUser,
    /// Timeouts instead of those of `[listen]`.
    pub timeouts: TimeoutsOfUser,
}

/// What a user has instead of the timeouts of `[listen]`. The outer `None`: nothing is said; the
/// inner: no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TimeoutsOfUser {
    /// Silence outside a transaction.
    pub client_idle: Option<Option<Duration>>,
    /// Silence inside one.
    pub idle_transaction: Option<Option<Duration>>,
    /// One transaction.
    pub transaction: Option<Option<Duration>>,
    /// One query.
    pub query: Option<Option<Duration>>,
}

/// Bounds on what a client may cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Requests of one session that the server has not yet answered.
    pub max_pipeline: u32,
    /// Logins under way at a time on one listener.
    pub max_concurrent_logins: u32,
    /// The same of one address.
    pub max_concurrent_logins_per_address: u32,
    /// Clients of one address that have not logged in yet; 0 is half of `max_client_conn`.
    pub max_pending_logins_per_address: u32,
    /// Clients per second from one address; 0 without a bound.
    pub login_rate: u32,
    /// Failed logins per minute from one address, and for one user; 0 without a bound.
    pub failed_login_rate: u32,
    /// Cancel requests per second from one address.
    pub cancel_rate: u32,
    /// Cancel connections to servers at a time.
    pub cancel_concurrency: u32,
    /// How long one cancel may take.
    pub cancel_wait_timeout: Duration,
    /// How long sessions may take to stand still on SUSPEND.
    pub suspend_timeout: Duration,
    /// How long a client may wait for a server connection.
    pub query_wait_timeout: Duration,
    /// How long one waits before it is told so; `None` = never.
    pub query_wait_notify: Option<Duration>,
}

/// What is written about sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Lines for people or for machines.
    pub format: LogFormat,
    /// The least important event still written.
    pub level: LogLevel,
    /// A line at the start of each session.
    pub connections: bool,
    /// A line at the end of each session.
    pub disconnections: bool,
    /// How often statistics are written; `None` = never.
    pub stats: Option<Duration>,
}

/// How a changed configuration, and changed files that it names, come into force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// When they are read anew.
    pub reload: Reload,
    /// How often they are looked at.
    pub reload_interval: Duration,
    /// How long before the end of a certificate warnings begin.
    pub expiry_warning: Duration,
}

/// The HTTP listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its certificate; `None` only on a loopback address.
    pub identity: Option<KeyPair>,
    /// Who signs the certificates that clients must show.
    pub client_ca: Option<PathBuf>,
    /// The file with the token that `/metrics` demands.
    pub token_file: Option<PathBuf>,
    /// How long a login on the page lasts.
    pub login_lifetime: Duration,
    /// Names that requests may be addressed to.
    pub hosts: Vec<String>,
}

/// The console.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admin {
    /// Who may do everything there.
    pub admin_users: Vec<String>,
    /// Who may look at everything there.
    pub stats_users: Vec<String>,
}

/// What the process asks of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Whether a crash may write memory, secrets and rows included, to disk.
    pub core_dumps: bool,
    /// What the running proxy gives up.
    pub sandbox: Sandbox,
    /// Whether secrets and buffers are kept out of swap.
    pub lock_memory: bool,
}

/// A file or environment variable that a setting names, for the caller to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The setting that names it.
    pub place: Place,
    /// What it holds.
    pub holds: Holds,
    /// Where it is.
    pub from: Origin,
}

/// A configuration with mistakes.
#[derive(Debug, Clone, PartialEq)]
pub struct Invalid {
    /// All mistakes, in the order of the file.
    pub errors: Vec<ConfigError>,
    /// What the settings name that could be judged all the same: the caller can look at these files
    /// already, so that a mistake in the text does not hide a missing one.
    pub sources: Vec<Source>,
}

/// What a [`Source`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// A PEM certificate chain.
    Certificate,
    /// A PEM private key.
    PrivateKey,
    /// PEM certificates of authorities.
    Authorities,
    /// PEM revocation lists.
    RevocationLists,
    /// An OCSP response, DER.
    Staple,
    /// What decrypts a private key.
    Passphrase,
    /// A password.
    Password,
    /// Users with verifiers or passwords.
    Users,
    /// Rules of who may log in.
    Rules,
    /// Rules about statements.
    Statements,
    /// Hosts of a cluster. Whoever follows the cluster reads it, again and again.
    Members,
}
