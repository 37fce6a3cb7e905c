//! Owns the last message to a client: the one total function from a fault to what the client reads
//! (severity, SQLSTATE and text that drivers act on), or to silence where PostgreSQL is silent.

use crate::arrival::Awaited;
use crate::fault::{Fault, FaultKind, ServerWords, Side};
use buf::Plain;
use wire::{Report, Severity, Sqlstate};

/// The Flush message.
pub const FLUSH: &[u8; 5] = b"H\0\0\0\x04";

/// The Terminate message.
pub const TERMINATE: &[u8; 5] = b"X\0\0\0\x04";

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

/// Appends what the client is to read of `fault`, if anything, and if it fits.
pub fn put(fault: &Fault, output: &mut Plain) {
    match fault.farewell() {
        Farewell::Silence => {}
        Farewell::Relay(words) => {
            let _ = output.push(&words.0);
        }
        Farewell::Fatal { sqlstate, message } => {
            let report = Report::new(Severity::Fatal, Sqlstate::new(sqlstate), &message);
            let _ = report.encode_error(output);
        }
    }
}

impl Fault {
    /// What the client reads.
    pub fn farewell(&self) -> Farewell {
        match (self.side, &self.kind) {
            (_, FaultKind::AlpnMissing) => Farewell::Silence,
            (_, FaultKind::ServerRefused { response, .. }) => Farewell::Relay(response.clone()),
            (_, FaultKind::Timeout { setting, phase }) => timeout(setting, phase),
            (Side::Client, kind) => of_client(kind),
            (Side::Server | Side::Proxy, kind) => of_server(kind),
        }
    }

    /// Whether the client gets to read anything.
    pub fn is_told(&self) -> bool {
        self.farewell() != Farewell::Silence
    }
}

fn fatal(sqlstate: &'static str, message: impl Into<String>) -> Farewell {
    let message = message.into();
    Farewell::Fatal { sqlstate, message }
}

/// A deadline, named by its setting.
fn timeout(setting: &str, phase: &str) -> Farewell {
    let ended = format!("terminating connection due to {setting}");
    match setting {
        "client_login_timeout" => fatal("57014", "canceling authentication due to timeout"),
        "client_idle_timeout" => fatal("57P05", ended),
        "idle_transaction_timeout" => fatal("25P03", ended),
        "query_timeout" => fatal("08006", ended),
        _ => fatal("57P03", format!("{setting} passed while {phase}")),
    }
}

/// What the client did, in PostgreSQL's words where it has some.
fn of_client(kind: &FaultKind) -> Farewell {
    match kind {
        // PostgreSQL drops a connection whose length fields lie, or that vanished.
        FaultKind::BadLength { .. }
        | FaultKind::Lost { .. }
        | FaultKind::Io { .. }
        | FaultKind::ProxyHeader { .. }
        | FaultKind::Tls { .. } => Farewell::Silence,
        FaultKind::UnknownMessage { tag } => {
            fatal("08P01", format!("invalid frontend message type {tag}"))
        }
        FaultKind::NoProof { tag, awaited } => {
            let awaited = match awaited {
                Awaited::Password => "password",
                Awaited::Sasl => "SASL",
            };
            let text = format!("expected {awaited} response, got message type {tag}");
            fatal("08P01", text)
        }
        FaultKind::Malformed { tag: 0, what } => {
            fatal("08P01", format!("invalid startup packet layout: {what}"))
        }
        FaultKind::Malformed { .. } => fatal("08P01", "invalid message format"),
        FaultKind::UnsupportedVersion { major, minor } => fatal(
            "0A000",
            format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2"),
        ),
        FaultKind::NoUser => fatal(
            "28000",
            "no PostgreSQL user name specified in startup packet",
        ),
        FaultKind::TlsRequired => fatal(
            "28000",
            "this connection requires TLS; set sslmode=verify-full or at least require",
        ),
        FaultKind::AuthRefused {
            sqlstate, message, ..
        } => fatal(sqlstate, message.clone()),
        FaultKind::UnknownDatabase { name } => {
            fatal("3D000", format!("database \"{name}\" does not exist"))
        }
        other => of_server(other),
    }
}

/// What the server did, or Portcullis itself.
fn of_server(kind: &FaultKind) -> Farewell {
    match kind {
        // Whoever guesses passwords learns nothing: it is the same for users that don't exist.
        FaultKind::Limit {
            setting: "failed_login_rate",
            limit,
        } => fatal(
            "53300",
            format!("too many failed logins, try again later (failed_login_rate = {limit})"),
        ),
        FaultKind::Limit { setting, limit } => fatal(
            "53300",
            format!("sorry, too many clients already ({setting} = {limit})"),
        ),
        FaultKind::Throttled { message, .. } => fatal("53400", message.clone()),
        FaultKind::Cancelled => fatal("57014", "canceling statement due to user request"),
        FaultKind::Demoted { .. } => fatal(
            "08006",
            format!("the connection to the server was given up: {kind}"),
        ),
        FaultKind::NotRestored => fatal(
            "08006",
            "the server connection could not be given this session's settings",
        ),
        FaultKind::Disabled { name } => fatal("57P03", format!("database \"{name}\" is disabled")),
        FaultKind::TargetRefused { .. } => fatal("42501", kind.to_string()),
        FaultKind::UnknownTarget => fatal("22023", kind.to_string()),
        FaultKind::ShuttingDown | FaultKind::Killed => fatal(
            "57P01",
            "terminating connection due to administrator command",
        ),
        FaultKind::LogFull => fatal(
            "53000",
            "terminating connection: what it does can't be logged at present (query_log.on_full)",
        ),
        FaultKind::Unlogged => fatal(
            "53000",
            "this statement was not sent to the server: it can't be logged at present (query_log.audit)",
        ),
        FaultKind::WornKeys => fatal("57P01", format!("terminating connection: {kind}")),
        FaultKind::UnknownDatabase { .. } | FaultKind::AuthRefused { .. } => of_client(kind),
        FaultKind::Unavailable { .. } => fatal(
            "57P03",
            "the credentials of this user can't be looked up at present",
        ),
        FaultKind::ServerLogin { cause } => {
            fatal("57P03", format!("login to the server failed: {cause}"))
        }
        FaultKind::ServerRefusesTls | FaultKind::PlaintextBehindTlsAnswer => {
            fatal("57P03", format!("can't reach the server: {kind}"))
        }
        FaultKind::Io {
            phase: "connecting",
            cause,
        } => fatal("57P03", format!("can't reach the server: {cause}")),
        FaultKind::Tls { .. } | FaultKind::Io { .. } | FaultKind::Lost { .. } => fatal(
            "08006",
            format!("the connection to the server broke: {kind}"),
        ),
        _ => fatal("08P01", format!("the server broke the protocol: {kind}")),
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
            (
                Side::Proxy,
                FaultKind::Limit {
                    setting: "failed_login_rate",
                    limit: 3,
                },
                Some("53300"),
            ),
            (
                Side::Client,
                FaultKind::ProxyHeader { cause: "x".into() },
                None,
            ),
            (
                Side::Proxy,
                FaultKind::Throttled {
                    rule: "x".into(),
                    message: "later".into(),
                },
                Some("53400"),
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
}
