//! Owns the shape of what is checked of clusters, and of what databases want of one.

use super::{CaSource, Config, Database, Host, KeyPair, Origin, ServerTls};
use crate::error::Place;
use crate::words::{Balance, RouteReads, TargetWord, WithoutPrimary};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Hosts with the same data, one of which is written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// What databases call it.
    pub name: String,
    /// Where its hosts are found.
    pub members: MembersSource,
    /// How often they are looked up where their source does not tell by itself.
    pub members_interval: Duration,
    /// How its hosts are asked what they are.
    pub checks: Checks,
    /// What those must be like that are read from.
    pub reads: ReadsOfCluster,
    /// What becomes of those who want the primary while there is none.
    pub without_primary: WithoutPrimary,
    /// How another host is made the primary.
    pub switchover: Switchover,
    /// Encryption towards its hosts.
    pub tls: ServerTls,
    /// Towards those that differ.
    pub host_tls: Vec<HostTls>,
    /// Where its name stands.
    pub place: Place,
}

/// Where a cluster's hosts are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MembersSource {
    /// Here: at least one, each once.
    Hosts(Vec<Member>),
    /// They are the addresses of a name.
    Dns {
        /// The name, in lower case.
        name: String,
        /// The port of each.
        port: u16,
        /// Who is asked; empty: as the system says.
        servers: Vec<SocketAddr>,
    },
    /// They are the targets of a service.
    Srv {
        /// The service, in lower case.
        service: String,
        /// Who is asked; empty: as the system says.
        servers: Vec<SocketAddr>,
    },
    /// In a file, one on each line.
    File(PathBuf),
    /// Patroni's REST API names them.
    Patroni(Service),
    /// Patroni keeps them in etcd.
    Etcd {
        /// Where etcd is.
        service: Service,
        /// What the keys begin with: a slash first and none last.
        scope: String,
    },
}

/// Encryption towards some hosts of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostTls {
    /// Which hosts, each once in all of the cluster.
    pub hosts: Vec<HostName>,
    /// Encryption towards them.
    pub tls: ServerTls,
    /// Where they stand.
    pub place: Place,
}

/// What a host of a cluster is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName {
    /// Its name in lower case, or its address without brackets.
    pub name: String,
    /// Its port; `None`: whichever.
    pub port: Option<u16>,
}

impl HostName {
    /// Whether a host of this name and port is meant.
    pub fn is(&self, name: &str, port: u16) -> bool {
        self.name == name && self.port.is_none_or(|it| it == port)
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.port, self.name.contains(':')) {
            (None, _) => f.write_str(&self.name),
            (Some(port), false) => write!(f, "{}:{port}", self.name),
            (Some(port), true) => write!(f, "[{}]:{port}", self.name),
        }
    }
}

/// A host of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name in lower case, or its address without brackets.
    pub name: String,
    /// Its port.
    pub port: u16,
    /// How much it is to do beside others.
    pub weight: u32,
    /// Where it stands; empty if nobody said so.
    pub zone: String,
}

/// Servers that answer the same, by HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Scheme, host and port of each; at least one.
    pub urls: Vec<String>,
    /// Where they stand.
    pub place: Place,
    /// Who asks, if they want to know.
    pub login: Option<ServiceLogin>,
    /// Who signs their certificates.
    pub ca: CaSource,
    /// The certificate that they see.
    pub identity: Option<KeyPair>,
}

/// Who asks a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceLogin {
    /// The user.
    pub user: String,
    /// Its password.
    pub password: Origin,
}

/// How hosts are asked what they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checks {
    /// Who logs in.
    pub user: String,
    /// That user's password, if one is needed.
    pub password: Option<Origin>,
    /// The database.
    pub database: String,
    /// How often each is asked.
    pub interval: Duration,
    /// How long an answer may take, and how long a connection with its login.
    pub timeout: Duration,
    /// The longest pause before one that is down is asked again; at least the interval.
    pub pause_max: Duration,
    /// Checks in a row that have to fail before one is down.
    pub fall: u32,
    /// Checks in a row that have to be answered before it is up again.
    pub rise: u32,
}

/// What hosts must be like that are read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadsOfCluster {
    /// Bytes of the log that they may have yet to replay; `None`: however many.
    pub lag_bytes_max: Option<u64>,
    /// How old what they show may be; `None`: however old.
    pub lag_max: Option<Duration>,
    /// How one of several is chosen.
    pub balance: Balance,
    /// Those of this zone come first; `None`: all are alike.
    pub zone: Option<String>,
    /// How long one that was down gets less than its share.
    pub slow_start: Duration,
}

/// How another host is made the primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switchover {
    /// Who does it.
    pub by: Promotion,
    /// How long it may take.
    pub timeout: Duration,
}

/// Who makes a host the primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Promotion {
    /// The operator, while clients wait.
    Operator,
    /// This program, with its arguments.
    Command(Vec<String>),
    /// Patroni, where the hosts come from.
    Patroni,
}

/// Where the servers of a database are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Servers {
    /// These.
    Listed(Listed),
    /// Hosts of a cluster.
    Of(Followed),
}

/// Servers that a database names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Tried in this order; never empty.
    pub hosts: Vec<Host>,
    /// Encryption towards them, but for hosts that have their own.
    pub tls: ServerTls,
}

/// What a database wants of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// The cluster's name: one that is there.
    pub cluster: String,
    /// Which of its hosts.
    pub target: Target,
    /// Whether statements that only read may go to standbys; only where the target is the primary.
    pub route_reads: RouteReads,
    /// Whether clients may choose other hosts of it for themselves.
    pub target_by_client: bool,
}

/// Which hosts of a cluster: libpq's `target_session_attrs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The one that is written to.
    Primary,
    /// A standby.
    Standby,
    /// A standby while there is one that can be used, else the primary.
    PreferStandby,
    /// Whichever.
    Any,
}

impl Target {
    /// Its word, as PostgreSQL has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Primary => TargetWord::Primary.word(),
            Self::Standby => TargetWord::Standby.word(),
            Self::PreferStandby => TargetWord::PreferStandby.word(),
            Self::Any => TargetWord::Any.word(),
        }
    }
}

impl From<TargetWord> for Target {
    fn from(word: TargetWord) -> Self {
        match word {
            TargetWord::Primary | TargetWord::ReadWrite => Self::Primary,
            TargetWord::Standby | TargetWord::ReadOnly => Self::Standby,
            TargetWord::PreferStandby => Self::PreferStandby,
            TargetWord::Any => Self::Any,
        }
    }
}

impl Config {
    /// The cluster of this name.
    pub fn cluster(&self, name: &str) -> Option<&Cluster> {
        self.clusters.iter().find(|it| it.name == name)
    }
}

impl Listed {
    /// Encryption towards one of the hosts.
    pub fn tls_of<'a>(&'a self, host: &'a Host) -> &'a ServerTls {
        host.tls.as_ref().unwrap_or(&self.tls)
    }
}

impl Database {
    /// Its servers, if it names them itself.
    pub fn listed(&self) -> Option<&Listed> {
        match &self.servers {
            Servers::Listed(listed) => Some(listed),
            Servers::Of(_) => None,
        }
    }

    /// What it wants of a cluster, if it is of one.
    pub fn followed(&self) -> Option<&Followed> {
        match &self.servers {
            Servers::Listed(_) => None,
            Servers::Of(followed) => Some(followed),
        }
    }
}
