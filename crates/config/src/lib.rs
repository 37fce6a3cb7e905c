//! The configuration: one TOML file, strict, every setting defined once.
//!
//! Takes the text of the file and gives a checked, immutable [`Config`] with [`Warning`]s about
//! what was weakened, or [`Invalid`]: *all* [`ConfigError`]s at once, each with file, line and key. The same
//! table of settings ([`SECTIONS`]) gives the help of a setting ([`help()`]), the annotated example
//! ([`example()`]) and the reference page ([`reference()`]).
//!
//! It never opens a file or looks at the environment: [`Config::sources`] lists what the caller
//! has to read, each with the place that names it.

mod check;
mod checked;
mod conflict;
mod document;
mod error;
mod nearest;
mod page;
mod pattern;
mod pool;
mod read;
mod sections;
mod setting;
mod values;
mod warning;
mod words;

pub use checked::{
    Admin, Auth, AuthQuery, CaSource, CertificateMapping, CertificateName, ClientCertificates,
    Clients, Config, CustomTls, Database, DatabaseName, DatabaseUser, Files, Holds, Host,
    HostAddress, Invalid, KeyPair, Limits, Listen, ListenTls, ListenTlsOn, Listener, Log,
    MaxClientConn, Metrics, NamedKeyPair, Origin, Pattern, Peer, Piece, Process, ServerTls,
    ServerTlsOn, ServerTrust, Sha256, Source, Tcp, TimeoutsOfUser, Tls, TlsOptions, UnixSocket,
    User, Workers,
};
pub use conflict::Conflict;
pub use error::{ConfigError, Malformed, Place, Problem, Suggestion};
pub use page::{example, help, reference};
pub use pool::{Pool, PoolOfDatabase, PoolOfUser, PoolSize, Prepared, SessionState};
pub use sections::SECTIONS;
pub use setting::{Bounds, Fallback, Kind, Occurs, Section, Setting, Unit, Word};
pub use warning::{Warning, Weakness};
pub use words::{
    ChannelBinding, LogFormat, LogLevel, MaxTlsVersion, Method, MinTlsVersion, Negotiation,
    Pinning, PlaintextCancel, PoolMode, Profile, Reload, Renegotiation, Sandbox, ServerReset,
    Tls12Limit, UnixSocketMethod, UnknownName,
};
