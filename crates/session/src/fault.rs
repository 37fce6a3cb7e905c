//! Owns what can go wrong in a session. What the client reads of it is [`crate::farewell`]'s.
//!
//! A fault is side × kind; it carries facts (tags, lengths, causes in the operating system's or
//! the TLS library's words), never payload. What the operator reads is the fault's `Display`.

use crate::arrival::Awaited;
use crate::ledger::OutOfTurn;
use std::fmt;

/// Whose behaviour ended the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The client, or the way to it.
    Client,
    /// The server, or the way to it.
    Server,
    /// Portcullis: a limit, a shutdown, a setting.
    Proxy,
}

/// May the client's driver try again?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Nothing of the session reached a server: trying again is safe.
    Safe,
    /// The outcome of what was sent is unknown.
    Unknown,
    /// The same again gives the same fault.
    Pointless,
}

/// A session's end, as a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Whose it is.
    pub side: Side,
    /// What happened.
    pub kind: FaultKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultKind {
    /// A type byte that the protocol doesn't know in this direction.
    #[error("unknown message type {tag}")]
    UnknownMessage {
        /// The byte.
        tag: u8,
    },
    /// A length below 4 or above the limit of its message type.
    #[error("message '{}' says it is {len} bytes long, which is out of bounds", *tag as char)]
    BadLength {
        /// Type byte; 0 for a startup packet.
        tag: u8,
        /// The length field.
        len: u32,
    },
    /// A body that doesn't follow the message's format.
    #[error("message '{}' is malformed: {what}", *tag as char)]
    Malformed {
        /// Type byte; 0 for a startup packet.
        tag: u8,
        /// Which part.
        what: &'static str,
    },
    /// A login message after the login.
    #[error("message '{}' belongs to the login, which is over", *tag as char)]
    LoginMessageLater {
        /// Type byte.
        tag: u8,
    },
    /// A message that has no place in this phase of the login.
    #[error("message '{}' has no place in {phase}", *tag as char)]
    OutOfPhase {
        /// Type byte.
        tag: u8,
        /// The phase, in words.
        phase: &'static str,
    },
    /// Another message where a client was to prove who it is.
    #[error("message '{}' came where a proof was awaited", *tag as char)]
    NoProof {
        /// Type byte.
        tag: u8,
        /// What was awaited.
        awaited: Awaited,
    },
    /// A reply nobody asked for.
    #[error(transparent)]
    OutOfTurn(#[from] OutOfTurn),
    /// The startup packet's version is not one of ours.
    #[error("protocol {major}.{minor} is not supported")]
    UnsupportedVersion {
        /// Major number.
        major: u16,
        /// Minor number.
        minor: u16,
    },
    /// No user in the startup packet.
    #[error("the startup packet names no user")]
    NoUser,
    /// The header of a load balancer is missing, wrong, or comes from a stranger.
    #[error("refused for its PROXY protocol header: {cause}")]
    ProxyHeader {
        /// What is wrong.
        cause: String,
    },
    /// A session without TLS where it is required.
    #[error("the client did not ask for TLS, which this listener requires")]
    TlsRequired,
    /// Direct TLS without ALPN `postgresql` (manual: "Direct SSL", ALPACA).
    #[error("a direct TLS connection came without the ALPN protocol postgresql")]
    AlpnMissing,
    /// A TLS failure on the fault's side.
    #[error("TLS: {cause}")]
    Tls {
        /// The TLS engine's sentence.
        cause: String,
    },
    /// The server doesn't offer what the configuration demands.
    #[error("the server refused TLS, which database.tls.mode demands")]
    ServerRefusesTls,
    /// More than one byte answered SSLRequest: a plaintext injection (CVE-2021-23222).
    #[error("the server sent unencrypted bytes behind its answer to SSLRequest")]
    PlaintextBehindTlsAnswer,
    /// A socket failed.
    #[error("{phase}: {cause}")]
    Io {
        /// What was being done: connecting, reading, writing.
        phase: &'static str,
        /// The operating system's words.
        cause: String,
    },
    /// The peer closed where it may not: without Terminate, or in mid-message.
    #[error("the connection was closed{}", if *.truncated { " without a TLS close_notify" } else { "" })]
    Lost {
        /// True if TLS was cut, not closed.
        truncated: bool,
    },
    /// The client failed to prove who it is; the words and SQLSTATE are PostgreSQL's.
    #[error("{reason}")]
    AuthRefused {
        /// SQLSTATE.
        sqlstate: &'static str,
        /// What the client reads.
        message: String,
        /// What the operator reads.
        reason: String,
    },
    /// Portcullis failed to log in to the server.
    #[error("login to the server: {cause}")]
    ServerLogin {
        /// Why.
        cause: String,
    },
    /// The server refused the login with an ErrorResponse of its own, which the client gets.
    #[error("the server refused the login with SQLSTATE {sqlstate}")]
    ServerRefused {
        /// SQLSTATE of the server's answer.
        sqlstate: String,
        /// Its ErrorResponse, whole, as it came.
        response: ServerWords,
    },
    /// No database of that name is configured.
    #[error("no database of that name is configured")]
    UnknownDatabase {
        /// The name the client gave.
        name: String,
    },
    /// A limit of Portcullis.
    #[error("the limit {setting} = {limit} is reached")]
    Limit {
        /// Name of the setting.
        setting: &'static str,
        /// Its value.
        limit: u64,
    },
    /// A rule lets no more clients in now.
    #[error("refused by throttle {rule:?}")]
    Throttled {
        /// Its name.
        rule: String,
        /// What the client reads.
        message: String,
    },
    /// A deadline passed.
    #[error("{setting} passed while {phase}")]
    Timeout {
        /// Name of the setting.
        setting: &'static str,
        /// What was being waited for.
        phase: &'static str,
    },
    /// The client cancelled what it waited to ask.
    #[error("cancelled while it waited for a server connection")]
    Cancelled,
    /// The server is no more what the session was led to it for: it is not the primary, or must not be used at all.
    #[error(
        "{host} is not what it was in its cluster any more: it was demoted, refused, or is down"
    )]
    Demoted {
        /// The server, as it is configured.
        host: String,
    },
    /// The server refused to take over the client's session settings, which went ahead of its request.
    #[error("the server connection could not be given the client's session settings")]
    NotRestored,
    /// The keys of a TLS 1.2 connection are worn, and the operator wants it closed for that.
    #[error("a TLS 1.2 connection has passed the limit of its keys (tls12_limit = \"close\")")]
    WornKeys,
    /// An administrator ended this session from the console.
    #[error("ended from the console (KILL, KILL_CLIENT)")]
    Killed,
    /// A record of the query log found no room, and the operator wants nothing done without one.
    #[error("the query log takes no more records (query_log.on_full = \"refuse\")")]
    LogFull,
    /// A start record could not be written, and the operator wants nothing done before it is.
    #[error(
        "the query log can't be written, and no statement goes on before it is (query_log.audit = \"before\", \
         query_log.on_full = \"refuse\")"
    )]
    Unlogged,
    /// An administrator turned the database off.
    #[error("the database was disabled from the console (DISABLE)")]
    Disabled {
        /// Its name.
        name: String,
    },
    /// A client that may not choose the hosts that it is led to.
    #[error("clients of database \"{name}\" may not set portcullis.target (target_by_client)")]
    TargetRefused {
        /// The database.
        name: String,
    },
    /// A client that wants other hosts than there can be.
    #[error(
        "portcullis.target is none of primary, standby, prefer-standby, any, read-write and read-only"
    )]
    UnknownTarget,
    /// Portcullis is shutting down.
    #[error("shutting down")]
    ShuttingDown,
    /// An answer that Portcullis needs for itself isn't to be had (users file, auth_query).
    #[error("{what}")]
    Unavailable {
        /// What is missing, for the operator.
        what: String,
    },
}

/// A server's ErrorResponse on its way to the client. May quote what the client sent: `Debug`
/// and logs show its size only.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerWords(pub Vec<u8>);

impl fmt::Debug for ServerWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerWords({} bytes)", self.0.len())
    }
}

impl FaultKind {
    /// Its name, for counts.
    pub fn name(&self) -> &'static str {
        match self {
            FaultKind::UnknownMessage { .. } => "unknown_message",
            FaultKind::BadLength { .. } => "bad_length",
            FaultKind::Malformed { .. } => "malformed",
            FaultKind::LoginMessageLater { .. } => "login_message_later",
            FaultKind::OutOfPhase { .. } => "out_of_phase",
            FaultKind::NoProof { .. } => "no_proof",
            FaultKind::OutOfTurn(_) => "out_of_turn",
            FaultKind::UnsupportedVersion { .. } => "unsupported_version",
            FaultKind::NoUser => "no_user",
            FaultKind::ProxyHeader { .. } => "proxy_header",
            FaultKind::TlsRequired => "tls_required",
            FaultKind::AlpnMissing => "alpn_missing",
            FaultKind::Tls { .. } => "tls",
            FaultKind::ServerRefusesTls => "server_refuses_tls",
            FaultKind::PlaintextBehindTlsAnswer => "plaintext_behind_tls_answer",
            FaultKind::Io { .. } => "io",
            FaultKind::Lost { .. } => "lost",
            FaultKind::AuthRefused { .. } => "auth_refused",
            FaultKind::ServerLogin { .. } => "server_login",
            FaultKind::ServerRefused { .. } => "server_refused",
            FaultKind::UnknownDatabase { .. } => "unknown_database",
            FaultKind::Limit { .. } => "limit",
            FaultKind::Throttled { .. } => "throttled",
            FaultKind::Timeout { .. } => "timeout",
            FaultKind::Cancelled => "cancelled",
            FaultKind::Demoted { .. } => "demoted",
            FaultKind::NotRestored => "not_restored",
            FaultKind::WornKeys => "worn_keys",
            FaultKind::Killed => "killed",
            FaultKind::LogFull => "log_full",
            FaultKind::Unlogged => "unlogged",
            FaultKind::Disabled { .. } => "disabled",
            FaultKind::TargetRefused { .. } => "target_refused",
            FaultKind::UnknownTarget => "unknown_target",
            FaultKind::ShuttingDown => "shutting_down",
            FaultKind::Unavailable { .. } => "unavailable",
        }
    }
}

impl Fault {
    /// A fault of `side`.
    pub fn new(side: Side, kind: impl Into<FaultKind>) -> Fault {
        Fault {
            side,
            kind: kind.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.side {
            Side::Client => "client",
            Side::Server => "server",
            Side::Proxy => "portcullis",
        };
        write!(f, "{side}: {}", self.kind)
    }
}
impl std::error::Error for Fault {}

impl Fault {
    /// Whether trying again is safe for the client.
    pub fn retry(&self) -> Retry {
        match &self.kind {
            FaultKind::Limit { .. }
            | FaultKind::Throttled { .. }
            | FaultKind::ServerRefusesTls
            | FaultKind::ServerLogin { .. }
            | FaultKind::Disabled { .. }
            | FaultKind::Unavailable { .. } => Retry::Safe,
            FaultKind::Io { phase, .. } if *phase == "connecting" => Retry::Safe,
            FaultKind::Io { .. }
            | FaultKind::Lost { .. }
            | FaultKind::Tls { .. }
            | FaultKind::OutOfTurn(_)
            | FaultKind::Demoted { .. }
            | FaultKind::NotRestored
            | FaultKind::ShuttingDown
            | FaultKind::WornKeys
            | FaultKind::Timeout { .. } => Retry::Unknown,
            _ => Retry::Pointless,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_servers_words() {
        let kind = FaultKind::ServerRefused {
            sqlstate: "28P01".into(),
            response: ServerWords(b"hunter2".to_vec()),
        };
        assert!(!format!("{kind:?} {kind}").contains("hunter2"));
    }
}
