//! Owns the table of all settings: each stands here once, with its type, default, bounds, text and
//! example. The reader, the help, the example and the reference follow from it.
//!
//! A setting with PgBouncer's meaning has PgBouncer's name and default; the modes of TLS are safer.

mod admin;
mod auth;
mod cluster;
mod database;
mod events;
mod host_tls;
mod inspection;
mod listen;
mod metrics;
mod opentelemetry;
mod peer;
mod policy;
mod pool;
mod process;
mod route;
mod rules;
mod tls;

use crate::document::{Report, Span};
use crate::read::{Parent, ReadSection};
use crate::setting::{Bounds, Section};
use toml::de::DeTable;

pub(crate) use admin::Admin;
pub(crate) use auth::{Auth, AuthMap, User};
pub(crate) use cluster::{Cluster, ClusterSourceTls, ClusterTls};
pub(crate) use database::{Database, DatabaseTls};
pub(crate) use events::{Events, Webhook};
pub(crate) use host_tls::{ClusterHostTls, DatabaseHostTls};
pub(crate) use inspection::{Inspection, QueryLog};
pub(crate) use listen::{
    Listen, ListenTls, ListenTlsIdentity, Listener, ListenerTls, ListenerTlsIdentity,
};
pub(crate) use metrics::Metrics;
pub(crate) use opentelemetry::OpenTelemetry;
pub(crate) use peer::{Peer, PeerTls};
pub(crate) use pool::Pool;
pub(crate) use process::{Files, Limits, Log, Process, Tcp};
pub(crate) use route::Route;
pub(crate) use rules::{Policy, Rule};
pub(crate) use tls::Tls;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Names are longer on some managed servers than PostgreSQL's own 63 bytes.
const NAME: Bounds = Bounds::new(1, 128);
/// Timeouts that may be off.
const TIMEOUT: Bounds = Bounds::new(1, 365 * DAY);

/// All sections, in the order of the example and the reference.
pub const SECTIONS: &[Section] = &[
    Listen::SECTION,
    ListenTls::SECTION,
    ListenTlsIdentity::SECTION,
    Listener::SECTION,
    ListenerTls::SECTION,
    ListenerTlsIdentity::SECTION,
    Database::SECTION,
    DatabaseTls::SECTION,
    DatabaseHostTls::SECTION,
    Cluster::SECTION,
    ClusterTls::SECTION,
    ClusterHostTls::SECTION,
    ClusterSourceTls::SECTION,
    Route::SECTION,
    Pool::SECTION,
    Peer::SECTION,
    PeerTls::SECTION,
    Auth::SECTION,
    AuthMap::SECTION,
    User::SECTION,
    Tls::SECTION,
    Limits::SECTION,
    Tcp::SECTION,
    Log::SECTION,
    Metrics::SECTION,
    Policy::SECTION,
    Rule::SECTION,
    Inspection::SECTION,
    QueryLog::SECTION,
    Events::SECTION,
    Webhook::SECTION,
    OpenTelemetry::SECTION,
    Admin::SECTION,
    Files::SECTION,
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
    ("target_session_attrs", "database.target"),
    ("load_balance_hosts", "cluster.balance"),
    ("reserve_pool", "database.reserve_pool_size"),
    ("server_reset_query", "pool.server_reset"),
    ("server_reset_query_always", "pool.server_reset"),
    ("verbose", "log.level"),
];

/// The sections of one file, each setting read but not yet judged beside the others. A section
/// with a bad setting is left out; the report then has an error.
pub(crate) struct Sections {
    pub(crate) listen: Option<Listen>,
    pub(crate) listen_tls: Option<ListenTls>,
    pub(crate) listen_identities: Vec<ListenTlsIdentity>,
    pub(crate) listeners: Vec<ListenerSections>,
    pub(crate) pool: Option<Pool>,
    pub(crate) peers: Vec<(Peer, PeerTls)>,
    pub(crate) tcp: Option<Tcp>,
    pub(crate) auth: Option<Auth>,
    pub(crate) auth_map: Vec<AuthMap>,
    pub(crate) databases: Vec<DatabaseSections>,
    /// `None`: at least one of them has a bad setting.
    pub(crate) clusters: Option<Vec<ClusterSections>>,
    pub(crate) routes: Vec<Route>,
    pub(crate) users: Vec<User>,
    pub(crate) tls: Option<Tls>,
    pub(crate) limits: Option<Limits>,
    pub(crate) log: Option<Log>,
    pub(crate) metrics: Option<Metrics>,
    pub(crate) policy: Option<Policy>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) inspection: Option<Inspection>,
    pub(crate) query_log: Option<QueryLog>,
    pub(crate) events: Option<Events>,
    pub(crate) webhooks: Vec<Webhook>,
    pub(crate) opentelemetry: Option<OpenTelemetry>,
    pub(crate) admin: Option<Admin>,
    pub(crate) files: Option<Files>,
    pub(crate) process: Option<Process>,
}

/// One `[[listener]]` with what belongs to it.
pub(crate) struct ListenerSections {
    pub(crate) listener: Listener,
    pub(crate) tls: ListenTls,
    pub(crate) identities: Vec<ListenTlsIdentity>,
}

/// One `[[database]]` with what belongs to it.
pub(crate) struct DatabaseSections {
    pub(crate) database: Database,
    pub(crate) tls: DatabaseTls,
    /// Where `tls` stands, if it is written.
    pub(crate) tls_at: Option<Span>,
    /// Its hosts that differ.
    pub(crate) host_tls: Vec<DatabaseHostTls>,
}

/// One `[[cluster]]` with what belongs to it.
pub(crate) struct ClusterSections {
    pub(crate) cluster: Cluster,
    pub(crate) tls: DatabaseTls,
    pub(crate) source_tls: ClusterSourceTls,
    /// Its hosts that differ.
    pub(crate) host_tls: Vec<ClusterHostTls>,
}

impl Sections {
    /// Reads all sections of a file.
    pub(crate) fn read(file: &DeTable<'_>, report: &Report<'_>) -> Self {
        let root = Parent::root(file, report);
        root.check_keys(&[]);
        let (listen, in_listen) = root.once();
        let (auth, in_auth) = root.once();
        let (listen_tls, in_listen_tls) = in_listen.once();
        let identities = in_listen_tls.many().into_iter().filter_map(|it| it.0);
        let listener = |(listener, inside): (Option<Listener>, Parent<'_, '_>)| {
            let (tls, in_tls) = inside.once::<ListenerTls>();
            let identities = in_tls.many::<ListenerTlsIdentity>().into_iter();
            let identities = identities.filter_map(|(it, _)| it.map(|it| it.0)).collect();
            Some(ListenerSections {
                listener: listener?,
                tls: tls?.0,
                identities,
            })
        };
        let listeners = root.many().into_iter().filter_map(listener);
        let database = |(database, inside): (Option<Database>, Parent<'_, '_>)| {
            let (tls, in_tls) = inside.once::<DatabaseTls>();
            let hosts = inside.many().into_iter().filter_map(|(host, _)| host);
            let host_tls = hosts.collect();
            Some(DatabaseSections {
                database: database?,
                tls: tls?,
                tls_at: in_tls.written_at(),
                host_tls,
            })
        };
        let databases = root.many().into_iter().filter_map(database);
        let cluster = |(cluster, inside): (Option<Cluster>, Parent<'_, '_>)| {
            let tls = inside.once::<ClusterTls>().0;
            let source_tls = inside.once().0;
            let hosts = inside.many().into_iter().filter_map(|(host, _)| host);
            let host_tls = hosts.collect();
            Some(ClusterSections {
                cluster: cluster?,
                tls: tls?.0,
                source_tls: source_tls?,
                host_tls,
            })
        };
        // All are read before any is missed, so that every error comes out.
        let clusters: Vec<_> = root.many().into_iter().map(cluster).collect();
        let peer = |(peer, inside): (Option<Peer>, Parent<'_, '_>)| {
            let (tls, _) = inside.once::<PeerTls>();
            peer.zip(tls)
        };
        let peers = root.many().into_iter().filter_map(peer);
        let auth_map = in_auth.many().into_iter().filter_map(|(entry, _)| entry);
        let routes = root.many().into_iter().filter_map(|(route, _)| route);
        let rules = root.many().into_iter().filter_map(|(rule, _)| rule);
        let webhooks = root.many().into_iter().filter_map(|(hook, _)| hook);
        let users = root.many().into_iter().filter_map(|(user, _)| user);
        Self {
            listen,
            listen_tls,
            listen_identities: identities.collect(),
            listeners: listeners.collect(),
            pool: root.once().0,
            peers: peers.collect(),
            tcp: root.once().0,
            auth,
            auth_map: auth_map.collect(),
            databases: databases.collect(),
            clusters: clusters.into_iter().collect(),
            routes: routes.collect(),
            tls: root.once().0,
            users: users.collect(),
            limits: root.once().0,
            log: root.once().0,
            metrics: root.once().0,
            policy: root.once().0,
            rules: rules.collect(),
            inspection: root.once().0,
            query_log: root.once().0,
            events: root.once().0,
            webhooks: webhooks.collect(),
            opentelemetry: root.once().0,
            admin: root.once().0,
            files: root.once().0,
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
