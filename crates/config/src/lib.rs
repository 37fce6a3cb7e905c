//! The configuration: one TOML file, strict, every setting defined once.
//!
//! Takes the text of the file and gives a checked, immutable [`Config`] with [`Warning`]s about
//! what was weakened, or [`Invalid`]: *all* [`ConfigError`]s at once, each with file, line and key. The same
//! table of settings ([`SECTIONS`]) gives the help of a setting ([`help()`]), the annotated example
//! ([`example()`]) and the reference page ([`reference()`]).
//!
//! It never opens a file or looks at the environment: [`Config::sources`] lists what the caller
//! has to read, each with the place that names it.

mod change;
mod check;
mod checked;
mod cluster_values;
mod conflict;
mod document;
mod error;
mod event_values;
mod nearest;
mod page;
mod pattern;
mod pool;
mod read;
mod route_values;
mod rule_values;
mod sections;
mod setting;
mod shown;
mod values;
mod warning;
mod words;

pub use change::{Change, Unchangeable};
pub use checked::{
    Admin, Auth, AuthQuery, CaSource, CertificateMapping, CertificateName, Changes, Checks,
    ClientCertificates, Clients, Cluster, Config, CustomTls, Database, DatabaseName, DatabaseUser,
    Events, Files, Followed, Holds, Host, HostAddress, HostName, HostTls, Inspection, Invalid,
    KeyPair, Learn, Limits, Listed, Listen, ListenTls, ListenTlsOn, Listener, Log, MaxClientConn,
    Member, MembersSource, Metrics, Mirrored, NamedKeyPair, OpenTelemetry, Origin, Pattern, Peer,
    Piece, Policy, Process, Promotion, QueryLog, ReadsOfCluster, Route, Rule, RuleMeans, ServerTls,
    ServerTlsOn, ServerTrust, Servers, Service, ServiceLogin, Sha256, Source, Switchover, Target,
    Tcp, TimeoutsOfUser, Tls, TlsOptions, UnixSocket, User, Webhook, Workers,
};
pub use conflict::Conflict;
pub use error::{ConfigError, Malformed, Place, Problem, Suggestion};
pub use page::{example, help, reference};
pub use pool::{Pool, PoolOfDatabase, PoolOfUser, PoolSize, Prepared, SessionState};
pub use sections::SECTIONS;
pub use setting::{Bounds, Fallback, Kind, Occurs, Section, Setting, Unit, Word};
pub use shown::Shown;
pub use warning::{Warning, Weakness};
pub use words::{
    Audit, Balance, ChannelBinding, EventKind, LeastTls, LogFormat, LogLevel, LogParameters,
    LogText, MaxTlsVersion, Method, MinTlsVersion, Negotiation, OnFull, Pinning, PlaintextCancel,
    PolicyDefault, PolicyViews, PoolMode, Profile, QueryLogFormat, Reload, Renegotiation,
    RouteReads, RuleAccess, RuleAction, RuleEffect, RuleExcess, RuleLog, RuleMode, RulePer,
    RuleTarget, Sandbox, ServerReset, Tls12Limit, UnixSocketMethod, UnknownName, Weekday,
    WithoutPrimary,
};
