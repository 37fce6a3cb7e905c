//! Owns what can go wrong in a session, and the one total function from a fault to what the client
//! reads: severity, SQLSTATE and text, or silence where PostgreSQL is silent.
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
    /// A deadline passed.
    #[error("{setting} passed while {phase}")]
    Timeout {
        /// Name of the setting.
        setting: &'static str,
        /// What was being waited for.
        phase: &'static str,
    },
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

/// What the client gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Farewell {
    /// The connection closes without a word, as PostgreSQL does here.
    Silence,
    /// FATAL ErrorResponse.
    Fatal {
        /// SQLSTATE.
        sqlstate: &'static str,
        /// Message text.
        message: String,
    },
    /// The server's own ErrorResponse.
    Relay(ServerWords),
}

impl Fault {
    /// What the client reads, by the table of SQLSTATEs that drivers act on.
    pub fn farewell(&self) -> Farewell {
        let fatal = |sqlstate, message: String| Farewell::Fatal { sqlstate, message };
        match (&self.side, &self.kind) {
            // PostgreSQL drops a connection whose length fields lie, or that vanished.
            (Side::Client, FaultKind::BadLength { .. } | FaultKind::Lost { .. }) => {
                Farewell::Silence
            }
            (Side::Client, FaultKind::Io { .. } | FaultKind::Tls { .. }) => Farewell::Silence,
            (_, FaultKind::AlpnMissing) => Farewell::Silence,
            (Side::Client, FaultKind::UnknownMessage { tag }) => {
                fatal("08P01", format!("invalid frontend message type {tag}"))
            }
            (_, FaultKind::NoProof { tag, awaited }) => {
                let awaited = match awaited {
                    Awaited::Password => "password",
                    Awaited::Sasl => "SASL",
                };
                let text = format!("expected {awaited} response, got message type {tag}");
                fatal("08P01", text)
            }
            (Side::Client, FaultKind::Malformed { tag: 0, what }) => {
                fatal("08P01", format!("invalid startup packet layout: {what}"))
            }
            (Side::Client, FaultKind::Malformed { .. }) => {
                fatal("08P01", "invalid message format".into())
            }
            (_, FaultKind::UnsupportedVersion { major, minor }) => fatal(
                "0A000",
                format!(
                    "unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2"
                ),
            ),
            (_, FaultKind::NoUser) => fatal(
                "28000",
                "no PostgreSQL user name specified in startup packet".into(),
            ),
            (_, FaultKind::TlsRequired) => {
                fatal("28000", "this connection requires TLS (SSL); connect with sslmode=verify-full or at least sslmode=require".into())
            }
            (
                _,
                FaultKind::AuthRefused {
                    sqlstate, message, ..
                },
            ) => fatal(sqlstate, message.clone()),
            (_, FaultKind::ServerRefused { response, .. }) => Farewell::Relay(response.clone()),
            (_, FaultKind::UnknownDatabase { name }) => {
                fatal("3D000", format!("database \"{name}\" does not exist"))
            }
            (_, FaultKind::Limit { setting, limit }) => fatal(
                "53300",
                format!("sorry, too many clients already ({setting} = {limit})"),
            ),
            (Side::Client, FaultKind::Timeout { setting: "client_login_timeout", .. }) => {
                fatal("57014", "canceling authentication due to timeout".into())
            }
            (Side::Client, FaultKind::Timeout { setting: setting @ "client_idle_timeout", .. }) => {
                fatal("57P05", format!("terminating connection due to {setting}"))
            }
            (_, FaultKind::Timeout { setting: setting @ "idle_transaction_timeout", .. }) => {
                fatal("25P03", format!("terminating connection due to {setting}"))
            }
            (_, FaultKind::Timeout { setting: setting @ "query_timeout", .. }) => {
                fatal("08006", format!("terminating connection due to {setting}"))
            }
            (_, FaultKind::Timeout { setting, phase }) => {
                fatal("57P03", format!("{setting} passed while {phase}"))
            }
            (_, FaultKind::ShuttingDown) => fatal(
                "57P01",
                "terminating connection due to administrator command".into(),
            ),
            (_, FaultKind::Unavailable { .. }) => fatal(
                "57P03",
                "the credentials of this user can't be looked up at present".into(),
            ),
            (_, FaultKind::ServerLogin { cause }) => fatal("57P03", format!("login to the server failed: {cause}")),
            (_, FaultKind::ServerRefusesTls | FaultKind::PlaintextBehindTlsAnswer) => {
                fatal("57P03", format!("can't reach the server: {}", self.kind))
            }
            (_, FaultKind::Io { phase, cause }) if *phase == "connecting" => {
                fatal("57P03", format!("can't reach the server: {cause}"))
            }
            (_, FaultKind::Tls { cause }) => fatal("08006", format!("connection to the server: TLS: {cause}")),
            (_, FaultKind::Io { .. } | FaultKind::Lost { .. }) => fatal(
                "08006",
                format!("the connection to the server broke: {}", self.kind),
            ),
            (
                _,
                FaultKind::UnknownMessage { .. }
                | FaultKind::BadLength { .. }
                | FaultKind::Malformed { .. }
                | FaultKind::OutOfTurn(_)
                | FaultKind::OutOfPhase { .. }
                | FaultKind::LoginMessageLater { .. },
            ) => fatal(
                "08P01",
                format!("the server broke the protocol: {}", self.kind),
            ),
        }
    }

    /// Whether the client gets to read anything.
    pub fn is_told(&self) -> bool {
        self.farewell() != Farewell::Silence
    }

    /// Whether trying again is safe for the client.
    pub fn retry(&self) -> Retry {
        match &self.kind {
            FaultKind::Limit { .. }
            | FaultKind::ServerRefusesTls
            | FaultKind::ServerLogin { .. }
            | FaultKind::Unavailable { .. } => Retry::Safe,
            FaultKind::Io { phase, .. } if *phase == "connecting" => Retry::Safe,
            FaultKind::Io { .. }
            | FaultKind::Lost { .. }
            | FaultKind::Tls { .. }
            | FaultKind::OutOfTurn(_)
            | FaultKind::ShuttingDown
            | FaultKind::Timeout { .. } => Retry::Unknown,
            _ => Retry::Pointless,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn farewells() {
        let table: &[(Side, FaultKind, Option<&str>)] = &[
            (
                Side::Client,
                FaultKind::BadLength { tag: b'Q', len: 3 },
                None,
            ),
            (Side::Client, FaultKind::Lost { truncated: true }, None),
            (
                Side::Client,
                FaultKind::UnknownMessage { tag: 1 },
                Some("08P01"),
            ),
            (Side::Client, FaultKind::NoUser, Some("28000")),
            (Side::Client, FaultKind::TlsRequired, Some("28000")),
            (
                Side::Server,
                FaultKind::Lost { truncated: false },
                Some("08006"),
            ),
            (
                Side::Server,
                FaultKind::BadLength { tag: b'C', len: 3 },
                Some("08P01"),
            ),
            (
                Side::Server,
                FaultKind::Io {
                    phase: "connecting",
                    cause: "refused".into(),
                },
                Some("57P03"),
            ),
            (
                Side::Proxy,
                FaultKind::Limit {
                    setting: "max_client_conn",
                    limit: 3,
                },
                Some("53300"),
            ),
            (Side::Proxy, FaultKind::ShuttingDown, Some("57P01")),
            (
                Side::Proxy,
                FaultKind::UnknownDatabase { name: "x".into() },
                Some("3D000"),
            ),
        ];
        for (side, kind, expected) in table {
            let got = match Fault::new(*side, kind.clone()).farewell() {
                Farewell::Silence | Farewell::Relay(_) => None,
                Farewell::Fatal { sqlstate, .. } => Some(sqlstate),
            };
            assert_eq!(got, *expected, "{side:?} {kind:?}");
        }
    }

    #[test]
    fn debug_hides_the_servers_words() {
        let kind = FaultKind::ServerRefused {
            sqlstate: "28P01".into(),
            response: ServerWords(b"hunter2".to_vec()),
        };
        assert!(!format!("{kind:?} {kind}").contains("hunter2"));
    }
}
