//! Owns how a command ends, and what the client reads then. Texts are PgBouncer's where it has one.

use crate::command::{Command, Misunderstood};
use wire::Sqlstate;

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As ordered.
    Done,
    /// Not at all.
    Refused(Refusal),
}

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No database of this name is configured.
    #[error("no such database: {0}")]
    NoSuchDatabase(String),
    /// The console's own database can't be paused, closed or turned off.
    #[error("cannot {verb} admin db: {database}")]
    OwnDatabase {
        /// What was ordered, in lower case.
        verb: &'static str,
        /// The name that was given.
        database: String,
    },
    /// `PAUSE`, `KILL` or `SUSPEND` while one of them is in force.
    #[error("already suspended/paused")]
    AlreadyPaused,
    /// `RESUME` of nothing.
    #[error("pooler is not paused/suspended")]
    NotPaused,
    /// `RESUME` of a database that is not paused.
    #[error("database {0} is not paused")]
    DatabaseNotPaused(String),
    /// `SUSPEND` needs every client served first.
    #[error("cannot suspend with paused databases")]
    PausedDatabases,
    /// The process is about to end.
    #[error("pooler is shutting down")]
    ShuttingDown,
    /// No client has this id.
    #[error("client not found")]
    NoSuchClient,
    /// It has no server connection and waits for none.
    #[error("client executes nothing")]
    NothingToCancel,
    /// Nobody could tell the server.
    #[error("cannot cancel: {cause}")]
    NotCancelled {
        /// Why.
        cause: String,
    },
    /// No cluster of this name is followed.
    #[error("there is no cluster {0:?}")]
    NoSuchCluster(String),
    /// No host of the cluster goes by this name.
    #[error("the cluster {cluster} has no host {host:?}")]
    NoSuchHost {
        /// The cluster.
        cluster: String,
        /// The name that was given.
        host: String,
    },
    /// Several do, with different ports.
    #[error("the cluster {cluster} has several hosts {host:?}")]
    SeveralHosts {
        /// The cluster.
        cluster: String,
        /// The name that was given.
        host: String,
    },
    /// Who writes has to go there.
    #[error("{host} is written to in the cluster {cluster}")]
    HostLeads {
        /// The cluster.
        cluster: String,
        /// The host.
        host: String,
    },
    /// A switchover was not done, for this reason.
    #[error("{0}")]
    Switchover(String),
    /// The setting is unknown, can't be changed in a running process, or the value doesn't fit.
    #[error("SET failed")]
    NotSet {
        /// What to do instead.
        hint: String,
    },
    /// The configuration on disk can't come into force; the one before stays.
    #[error("RELOAD failed, see logs for additional details")]
    NotReloaded,
    /// Nobody is there to carry it out.
    #[error("{0}")]
    NotSupported(String),
}

impl Refusal {
    pub(crate) fn sqlstate(&self) -> Sqlstate {
        match self {
            Self::NoSuchDatabase(_) => Sqlstate::INVALID_DATABASE,
            Self::OwnDatabase { .. }
            | Self::AlreadyPaused
            | Self::NotPaused
            | Self::DatabaseNotPaused(_)
            | Self::PausedDatabases
            | Self::NothingToCancel
            | Self::HostLeads { .. }
            | Self::Switchover(_) => NOT_IN_STATE,
            Self::NotCancelled { .. } => CONNECTION_FAILURE,
            Self::ShuttingDown => Sqlstate::CANNOT_CONNECT_NOW,
            Self::NoSuchClient
            | Self::NoSuchCluster(_)
            | Self::NoSuchHost { .. }
            | Self::SeveralHosts { .. } => UNDEFINED_OBJECT,
            Self::NotSet { .. } => Sqlstate::INVALID_PARAMETER_VALUE,
            Self::NotReloaded => CONFIG_FILE_ERROR,
            Self::NotSupported(_) => Sqlstate::FEATURE_NOT_SUPPORTED,
        }
    }

    /// What to do instead, where that is known.
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotSet { hint } => Some(hint.clone()),
            Self::NoSuchCluster(_) => Some("SHOW CLUSTERS has all of them.".to_owned()),
            Self::NoSuchHost { .. } => Some("SHOW HOSTS has all of them.".to_owned()),
            Self::SeveralHosts { .. } => Some("Say which one, as host:port.".to_owned()),
            Self::HostLeads { cluster, .. } => Some(format!(
                "Use SWITCHOVER {cluster} first: then it is a standby."
            )),
            _ => None,
        }
    }
}

/// object_not_in_prerequisite_state
pub(crate) const NOT_IN_STATE: Sqlstate = Sqlstate::new("55000");
/// undefined_object
const UNDEFINED_OBJECT: Sqlstate = Sqlstate::new("42704");
/// connection_failure
const CONNECTION_FAILURE: Sqlstate = Sqlstate::new("08006");
/// config_file_error
const CONFIG_FILE_ERROR: Sqlstate = Sqlstate::new("F0000");

/// An error as the client reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) sqlstate: Sqlstate,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Complaint {
    pub(crate) fn new(sqlstate: Sqlstate, message: impl Into<String>) -> Self {
        Self {
            sqlstate,
            message: message.into(),
            hint: None,
        }
    }

    /// A text that says nothing; it is quoted back.
    pub(crate) fn misunderstood(why: Misunderstood, text: &str) -> Self {
        match why {
            Misunderstood::Invalid => {
                let quoted: String = text.chars().take(QUOTED_MAX).collect();
                let message = format!("invalid command '{quoted}', use SHOW HELP;");
                Self::new(Sqlstate::SYNTAX_ERROR, message)
            }
            Misunderstood::NoDatabase => {
                Self::new(Sqlstate::SYNTAX_ERROR, "a database is required")
            }
            Misunderstood::NoClient => Self::new(
                Sqlstate::INVALID_PARAMETER_VALUE,
                "invalid client pointer supplied",
            ),
            Misunderstood::NoCluster => Self::new(Sqlstate::SYNTAX_ERROR, "a cluster is required"),
            Misunderstood::NoHost => Self::new(
                Sqlstate::SYNTAX_ERROR,
                "a cluster and one of its hosts are required",
            ),
            Misunderstood::Fds => Self {
                hint: Some("SHOW SOCKETS shows connections without handing them out.".to_owned()),
                ..Self::new(
                    Sqlstate::FEATURE_NOT_SUPPORTED,
                    "SHOW FDS is not supported: sockets in the middle of TLS can't be handed over",
                )
            },
        }
    }

    pub(crate) fn no_right() -> Self {
        Self::new(Sqlstate::INSUFFICIENT_PRIVILEGE, "admin access needed")
    }

    pub(crate) fn refused(refusal: &Refusal) -> Self {
        Self {
            hint: refusal.hint(),
            ..Self::new(refusal.sqlstate(), refusal.to_string())
        }
    }
}

/// Characters of a text that an error quotes.
const QUOTED_MAX: usize = 200;

/// The tag of a command that is done.
pub(crate) fn tag(command: &Command) -> String {
    match command {
        Command::Set { key, value } => format!("SET {key}={value}"),
        other => other.name().to_owned(),
    }
}
