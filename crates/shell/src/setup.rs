//! Owns what the shell has to be told: plain values, checked and built by the caller, never changed.
//! A reload replaces the whole ([`Proxy::reload`](crate::Proxy::reload)); what can't change while the
//! proxy runs says so. The binary makes a setup from the configuration file; tests make it by hand.

mod clusters;
mod mirrors;

pub use crate::inspection::{Before, Form, LogRules};
pub use crate::rest::RestRules;
use admission::Network;
use auth::hba::Hba;
use auth::users::Users;
use auth::{AnswerRules, GateRules, Method, MockSecret};
use buf::Secret;
pub use clusters::{
    Check, Cluster, Feed, Followed, Found, HostName, HostTemplate, HostTemplates, Located,
    MembersPlan, Promoted, Promoter, Promotion, Servers, StatementRouting, Switchover, Verifies,
    WithoutPrimary,
};
pub use mirrors::Mirrored;
pub use patterns::change::Rules as ChangeRules;
pub use patterns::{Bounds as PatternBounds, WindowLength};
use session::lending::{PinRule, ResetRule};
pub use session::routes::Conditions;
use session::statements::StatementLimits;
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tls::{ListenerContext, ServerContext, ServerName, Upkeep};

/// Everything.
pub struct Setup {
    /// Where clients come in. The addresses stay for as long as the proxy runs; the rules beside
    /// them follow a reload.
    pub listeners: Vec<Listener>,
    /// Where they may go.
    pub databases: Vec<Database>,
    /// Clusters that databases follow.
    pub clusters: Vec<Cluster>,
    /// Where sessions go by what their clients say, in the order in which they are asked.
    pub routes: Vec<Route>,
    /// Other instances behind the same address.
    pub peers: Peers,
    /// How they prove who they are.
    pub auth: Authentication,
    /// How much of everything.
    pub limits: Limits,
    /// How long for everything.
    pub timeouts: Timeouts,
    /// Options of the clients' sockets.
    pub tcp: TcpOptions,
    /// Which lines about sessions are logged.
    pub log: LogLines,
    /// What becomes of TLS 1.2 connections whose keys are worn.
    pub tls12_limit: Tls12Limit,
    /// What becomes of the sessions' state where server connections are shared.
    pub sharing: Sharing,
    /// How clients' statements are looked at; `None`: they aren't.
    pub inspection: Option<InspectionRules>,
    /// Events that are kept for who asks. The number of the start stays.
    pub events_kept: usize,
    /// What clients' statements are judged by; `None`: they aren't.
    pub policy: Option<PolicyRules>,
    /// Who may use the console; `None`: there is none.
    pub console: Option<crate::console::Users>,
    /// Every setting, for the console to show.
    pub settings: Vec<crate::console::Shown>,
    /// Worker threads; at least one. They stay for as long as the proxy runs.
    pub workers: usize,
}

impl Setup {
    /// The cluster of this name.
    pub fn cluster(&self, name: &str) -> Option<&Cluster> {
        self.clusters.iter().find(|it| it.name == name)
    }

    /// The entry for a database name: its own, else the one for all names.
    pub fn database(&self, name: &str) -> Option<&Database> {
        let named = |wanted| {
            let is = move |entry: &&Database| entry.name.as_deref() == wanted;
            self.databases.iter().find(is)
        };
        named(Some(name)).or_else(|| named(None))
    }
}

/// Where sessions go of whose clients all conditions hold.
#[derive(Debug, Clone)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Of whom.
    pub conditions: Conditions,
    /// The database; `None`: the one that the client asks for.
    pub to: Option<String>,
    /// Which hosts of its cluster; `None`: those that the database is led to.
    pub wish: Option<cluster::Wish>,
}

/// What clients' statements are judged by.
#[derive(Clone)]
pub struct PolicyRules {
    /// The rules: those of the latest setup go for all sessions that are judged at all.
    pub rules: Arc<policy::Rules>,
    /// Bytes of the longest message that is judged.
    pub message_bytes_max: usize,
    /// How rules see through views; `None`: they don't.
    pub views: Option<ViewRules>,
}

/// How rules see through views.
#[derive(Clone)]
pub struct ViewRules {
    /// Where what they lead to can't be known, rules that deny on relations refuse whatever names one.
    pub is_required: bool,
    /// Who looks in the catalogs, and the password; `None`: the database's own user, else that of `auth_query`.
    pub user: Option<(auth::ServerUser, Option<Secret>)>,
    /// How often.
    pub interval: Duration,
}

/// How clients' statements are looked at.
#[derive(Debug, Clone, Default)]
pub struct InspectionRules {
    /// How much each worker keeps of the statistics by pattern.
    pub patterns: PatternBounds,
    /// How long the windows of the statistics are.
    pub window: WindowLength,
    /// Patterns of which `/metrics` has numbers of their own.
    pub exported_max: usize,
    /// What is logged of them; `None`: nothing.
    pub log: Option<LogRules>,
    /// Where they go as spans; `None`: nowhere.
    pub spans: Option<trace::Sender>,
}

/// What becomes of the sessions' state where server connections are shared.
#[derive(Debug, Clone, Default)]
pub struct Sharing {
    /// How a connection is made ready for another client (`server_reset`).
    pub reset: ResetRule,
    /// What becomes of a client that makes what only one connection has (`pinning`).
    pub pinning: PinRule,
    /// Prepared statements.
    pub statements: StatementLimits,
    /// Parameters carried beside the known ones, in lower case (`track_extra_parameters`).
    pub tracked: Vec<String>,
    /// Startup parameters left out, in lower case (`ignore_startup_parameters`).
    pub ignored: Vec<String>,
}

/// What becomes of TLS 1.2 connections whose keys are worn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls12Limit {
    /// They are logged and counted.
    Warn,
    /// Their sessions end as well, between two transactions.
    Close,
}

/// One address that clients connect to.
#[derive(Clone)]
pub struct Listener {
    /// Where.
    pub address: Address,
    /// How.
    pub tls: ListenerTls,
    /// What becomes of a CancelRequest outside TLS.
    pub plaintext_cancel: PlaintextCancel,
    /// How clients of this listener prove who they are: Unix sockets have `peer`.
    pub method: Method,
    /// What decides about a proof: binding, certificate map, whether `trust` is named here.
    pub rules: GateRules,
    /// How its connections are kept up.
    pub upkeep: Upkeep,
    /// What client certificates this listener asks for are good for.
    pub client_certificates: ClientCertificates,
    /// Whether TLS may begin without SSLRequest.
    pub direct_tls: DirectTls,
    /// Whether a load balancer says in front of each connection whose it is.
    pub proxy_protocol: ProxyProtocol,
}

/// Whether connections start with a load balancer's header (PROXY protocol, version 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// They don't.
    Off,
    /// They must, and only these are believed.
    Required {
        /// Addresses of the balancers.
        trusted: Vec<Network>,
    },
}

/// An address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix-domain socket with its file mode.
    Unix {
        /// Path of the socket.
        path: PathBuf,
        /// Permission bits, set before listening.
        mode: u32,
    },
}

/// Whether clients speak TLS.
#[derive(Clone)]
pub enum ListenerTls {
    /// They must.
    Required(ListenerContext),
    /// They may: the operator spelled out a mode that lets clients in unencrypted.
    Optional(ListenerContext),
    /// They can't: the operator spelled it out, or the listener is a Unix-domain socket.
    UnencryptedByConfiguration,
}

impl ListenerTls {
    /// What encrypts, if anything does.
    pub fn context(&self) -> Option<&ListenerContext> {
        match self {
            ListenerTls::Required(context) | ListenerTls::Optional(context) => Some(context),
            ListenerTls::UnencryptedByConfiguration => None,
        }
    }
}

/// What client certificates are good for; those that come are verified by TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They are not asked for.
    NotAsked,
    /// One that came was signed by the configured authority.
    Verified,
    /// Likewise, and it must belong to the role that logs in, whatever the method.
    VerifiedForUser,
}

/// Whether TLS may begin without SSLRequest (manual, "SSL Session Encryption").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectTls {
    /// With ALPN `postgresql`.
    Accepted,
    /// The operator switched it off.
    Refused,
}

/// What becomes of a CancelRequest that comes unencrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaintextCancel {
    /// It is refused and logged.
    Refuse,
    /// It is carried out: its key could be read on the way.
    Accept,
}

/// A database that clients can ask for.
pub struct Database {
    /// The name clients use; `None` takes every name that no other entry has.
    pub name: Option<String>,
    /// Its name on the server; `None` for the name that the client used.
    pub dbname: Option<String>,
    /// Where its servers are.
    pub servers: Servers,
    /// How Portcullis logs in.
    pub login: Login,
    /// Connections at once; `None` without a limit.
    pub connections_max: Option<usize>,
    /// How long its connections rest and live.
    pub rest: RestRules,
    /// How its clients share them.
    pub pools: Pools,
    /// Where its statements that only read are copied to, if anywhere.
    pub mirror: Option<Mirrored>,
    /// Name look-up, TCP, TLS and login to a server in all.
    pub connect_timeout: Duration,
    /// The longest pause after a server could not be reached (`server_login_retry`).
    pub login_retry: Duration,
    /// Clients at once (`max_db_client_connections`); `None` without a limit.
    pub clients_max: Option<usize>,
    /// Options of its sockets.
    pub tcp: Arc<TcpOptions>,
    /// All that decides how its connections are made, as one number: a reload that brings the same
    /// number leaves them alone.
    pub fingerprint: [u8; 32],
}

/// How the clients of a database share its server connections.
#[derive(Debug, Clone, Default)]
pub struct Pools {
    /// Those of whom nothing else is said.
    pub general: PoolRules,
    /// Those of some users, by the name that the client gives.
    pub of_users: HashMap<String, PoolRules>,
}

impl Pools {
    /// What goes for a user.
    pub fn of(&self, user: &str) -> &PoolRules {
        self.of_users.get(user).unwrap_or(&self.general)
    }
}

/// How the clients of one database and role share server connections.
#[derive(Debug, Clone, Default)]
pub struct PoolRules {
    /// When a connection goes back.
    pub mode: PoolMode,
    /// Clients of the user at once, over all databases (`max_user_client_connections`); `None` without
    /// a limit.
    pub clients_max: Option<usize>,
    /// Connections at once (`pool_size`), outside session mode; `None` without a limit.
    pub size: Option<usize>,
    /// Those that are made ahead of need, and kept (`min_pool_size`).
    pub ready: usize,
    /// Those of the database's that nobody else gets (`pool_guaranteed`).
    pub guaranteed: usize,
    /// Connections at once over all databases, of the role by this name (`max_user_connections`); `None`
    /// without a limit.
    pub role_max: Option<usize>,
    /// Connections that clients may keep for what only those have (`max_pinned`).
    pub pinned_max: usize,
    /// Further ones (`reserve_pool_size`).
    pub reserve: usize,
    /// For clients that have waited this long (`reserve_pool_timeout`); `None`: for nobody.
    pub reserve_after: Option<Duration>,
}

/// When a server connection goes back to its pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PoolMode {
    /// When its client leaves.
    #[default]
    Session,
    /// When its client's transaction ends.
    Transaction,
    /// Likewise; and there are no transactions of several statements.
    Statement,
}

/// Instances behind one address, as behind a load balancer, which pass cancel requests on to each
/// other.
#[derive(Clone, Default)]
pub struct Peers {
    /// This instance's number among them (`peer_id`), which process ids made up here hold.
    pub own: Option<u16>,
    /// The others.
    pub others: Vec<Peer>,
}

/// Another instance.
#[derive(Clone)]
pub struct Peer {
    /// Its number.
    pub number: u16,
    /// Where it is.
    pub host: Arc<Host>,
}

/// One server address and how to get there.
#[derive(Clone)]
pub struct Host {
    /// Where it is.
    pub address: HostAddress,
    /// Encryption.
    pub tls: ServerTls,
    /// How its connections are kept up.
    pub upkeep: Upkeep,
    /// What decides about our login to it: channel binding, passwords in clear text.
    pub rules: AnswerRules,
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostAddress {
    /// Host name or IP address, and port.
    Tcp(String, u16),
    /// A Unix-domain socket.
    Unix(PathBuf),
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostAddress::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            HostAddress::Tcp(host, port) => write!(f, "{host}:{port}"),
            HostAddress::Unix(path) => path.display().fmt(f),
        }
    }
}

/// Encryption towards a server.
#[derive(Clone)]
pub enum ServerTls {
    /// Without it there is no connection.
    Required {
        /// What is verified.
        context: ServerContext,
        /// The name to verify and to send as SNI.
        name: ServerName,
        /// How TLS begins.
        negotiation: Negotiation,
        /// Whether the mode checks the certificate (verify-ca, verify-full, pin).
        verified: bool,
    },
    /// If the server has it; spelled out by the operator.
    Preferred {
        /// What is verified.
        context: ServerContext,
        /// The name to send as SNI.
        name: ServerName,
    },
    /// Never; spelled out by the operator.
    UnencryptedByConfiguration,
}

/// How TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Negotiation {
    /// SSLRequest first.
    Postgres,
    /// At once, with ALPN (PostgreSQL 17 and later).
    Direct,
}

/// Who Portcullis is towards the server.
#[derive(Clone)]
pub enum Login {
    /// The client's role, with what the client's login has shown or the users file holds.
    AsClient,
    /// One role for all clients of this database.
    Forced {
        /// The role.
        user: auth::ServerUser,
        /// Its password; `None` if the certificate or the server's trust is enough.
        password: Option<Secret>,
    },
}

/// How clients prove who they are.
pub struct Authentication {
    /// Verifiers by user.
    pub users: Users,
    /// What differs for some users.
    pub exceptions: HashMap<String, Exception>,
    /// Who may try, from where; `None`: whoever reaches a listener.
    pub hba: Option<Hba>,
    /// Where to ask for users that the file doesn't have.
    pub query: Option<AuthQuery>,
    /// Secret of the salts that unknown users are shown.
    pub mock: MockSecret,
}

/// What differs for one user.
pub struct Exception {
    /// Another method over TCP.
    pub method: Option<Method>,
    /// Another role towards servers.
    pub login: Option<Login>,
}

/// Looking a verifier up in a database.
pub struct AuthQuery {
    /// The role that asks.
    pub user: auth::AuthQueryUser,
    /// Its password.
    pub password: Option<Secret>,
    /// The statement, with `$1` for the user's name.
    pub text: String,
    /// The database to ask in; `None` for the one that the client wants.
    pub database: Option<String>,
}

/// Bounds.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// Clients at once.
    pub max_client_conn: usize,
    /// Cancel requests carried out at once (`cancel_concurrency`).
    pub cancels_max: usize,
    /// Cancel requests per second and client address (`cancel_rate`).
    pub cancels_per_second: u32,
    /// Requests of a session that wait for an answer (`max_pipeline`).
    pub pipeline_max: usize,
    /// PBKDF2 derivations at once. Stays for as long as the proxy runs.
    pub derivations_max: usize,
    /// Logins under way at once on each listener (`max_concurrent_logins`).
    pub logins_max: usize,
    /// The same of one address (`max_concurrent_logins_per_address`).
    pub logins_max_per_address: usize,
    /// Clients of one address that are not in yet (`max_pending_logins_per_address`).
    pub pending_max_per_address: usize,
    /// Clients of one address a second (`login_rate`); zero: no bound.
    pub logins_per_second: u32,
    /// Failed logins a minute from one address, and for one user (`failed_login_rate`); zero: no
    /// bound.
    pub failed_logins_per_minute: u32,
}

/// Which lines about sessions are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLines {
    /// A line at the start of each.
    pub connections: bool,
    /// A line at the end of each.
    pub disconnections: bool,
}

/// Deadlines. Zero switches off those that say so.
#[derive(Debug, Clone)]
pub struct Timeouts {
    /// Greeting, handshake and login of a client in all.
    pub client_login: Duration,
    /// Waiting for a free connection.
    pub query_wait: Duration,
    /// How long a client waits before it is told that it does; zero: never.
    pub query_wait_notify: Duration,
    /// Of sessions.
    pub session: SessionTimeouts,
    /// Of the sessions of some users, by the name that the client gives.
    pub of_users: HashMap<String, SessionTimeouts>,
    /// From the first SIGINT to the cut.
    pub drain: Duration,
    /// Saying goodbye to one peer.
    pub close: Duration,
    /// Waiting for the server to act on a cancel.
    pub cancel: Duration,
    /// How long sessions may take to stand still on SUSPEND.
    pub suspend: Duration,
}

impl Timeouts {
    /// What goes for the sessions of a user.
    pub fn of(&self, user: &str) -> &SessionTimeouts {
        self.of_users.get(user).unwrap_or(&self.session)
    }
}

/// How long a session may be at something; zero: without a limit.
#[derive(Debug, Clone, Copy, Default)]
pub struct SessionTimeouts {
    /// The client silent outside a transaction (`client_idle_timeout`).
    pub idle: Duration,
    /// The same while it keeps a server connection that others could use (`idle_pinned_timeout`).
    pub idle_pinned: Duration,
    /// The client silent inside a transaction (`idle_transaction_timeout`).
    pub idle_transaction: Duration,
    /// One transaction, however busy (`transaction_timeout`).
    pub transaction: Duration,
    /// The server busy with one request (`query_timeout`).
    pub query: Duration,
}

impl SessionTimeouts {
    /// True if there is nothing to watch.
    pub fn none(&self) -> bool {
        let all = [
            self.idle,
            self.idle_pinned,
            self.idle_transaction,
            self.transaction,
            self.query,
        ];
        all.iter().all(Duration::is_zero)
    }
}

/// Options of one leg's TCP sockets.
#[derive(Debug, Clone, Default)]
pub struct TcpOptions {
    /// Probe silent connections.
    pub keepalive: bool,
    /// Silence before the first probe.
    pub keepalive_idle: Option<Duration>,
    /// Time between probes.
    pub keepalive_interval: Option<Duration>,
    /// Probes without answer before the end.
    pub keepalive_count: Option<u32>,
    /// How long sent data may go unacknowledged.
    pub user_timeout: Option<Duration>,
    /// Connections that the kernel keeps before they are accepted.
    pub backlog: u32,
}
