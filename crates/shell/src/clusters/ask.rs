//! Owns the asking of one host: a connection of its own, verified as all others to it are, and one question whose
//! answer says what the host is. That the connection breaks is noticed at once, and asked after.

use crate::context::Context;
use crate::dial::{self, ServerLogin, converse, full};
use crate::port::Port;
use crate::setup::{Check, Host};
use auth::Credential;
use cluster::{Key, Lsn, Report, Sick, Why};
use session::fault::{Fault, FaultKind, Side};
use session::lookup::{Lookup, Row};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use wire::ProtocolVersion;
use wire::startup::StartupMessage;

/// What a host is asked. Every part of it is allowed to every role, and stands in pg_catalog, so that no search_path
/// leads elsewhere. A primary's timeline is the one that it writes; a standby's is that of its last checkpoint.
const QUESTION: &str = "SELECT r::text, pg_catalog.current_setting('default_transaction_read_only'), \
    (SELECT system_identifier::text FROM pg_catalog.pg_control_system()), \
    CASE WHEN r THEN (SELECT timeline_id::text FROM pg_catalog.pg_control_checkpoint()) \
    ELSE ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)::int4::text END, \
    CASE WHEN r THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END::text, \
    CASE WHEN r AND pg_catalog.pg_last_wal_receive_lsn() > pg_catalog.pg_last_wal_replay_lsn() \
    THEN (1000 * EXTRACT(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp()))::int8::text END \
    FROM (SELECT pg_catalog.pg_is_in_recovery() AS r) AS q";

/// What a host answered, or why it did not.
pub(super) struct Answer {
    pub(super) key: Key,
    /// When it was asked: what it says is not older.
    pub(super) at: Duration,
    pub(super) said: Result<Report, Sick>,
}

/// Who asks one host.
pub(super) struct Asker {
    pub(super) context: Arc<Context>,
    pub(super) key: Key,
    pub(super) host: Arc<Host>,
    pub(super) check: Check,
    /// Rings when it is to be asked.
    pub(super) bell: Arc<Notify>,
    pub(super) answers: mpsc::UnboundedSender<Answer>,
}

impl Asker {
    /// Asks whenever the bell rings, and whenever the connection breaks; until it is dropped.
    pub(super) async fn run(self) {
        let mut link = None;
        loop {
            match &mut link {
                Some(port) => tokio::select! {
                    () = self.bell.notified() => {}
                    // Whatever it has to say of its own is a reason to ask.
                    _ = Port::receive(port) => {}
                },
                None => self.bell.notified().await,
            }
            let at = self.context.born.elapsed();
            let said = self.answer(&mut link).await;
            let key = self.key.clone();
            if self.answers.send(Answer { key, at, said }).is_err() {
                return;
            }
        }
    }

    async fn answer(&self, link: &mut Option<Port>) -> Result<Report, Sick> {
        let was_linked = link.is_some();
        let asked = tokio::time::timeout(self.check.timeout, self.ask(link)).await;
        match asked {
            Ok(Ok(report)) => Ok(report),
            Ok(Err(_)) if was_linked => {
                // The connection was of before: what goes now only a new one can tell.
                *link = None;
                let asked = tokio::time::timeout(self.check.timeout, self.ask(link)).await;
                self.judge(asked, link)
            }
            asked => self.judge(asked, link),
        }
    }

    fn judge(
        &self,
        asked: Result<Result<Report, Fault>, tokio::time::error::Elapsed>,
        link: &mut Option<Port>,
    ) -> Result<Report, Sick> {
        let sick = match asked {
            Ok(Ok(report)) => return Ok(report),
            Ok(Err(fault)) => sick(&fault),
            Err(_) => Sick {
                why: Why::TimedOut,
                text: format!("no answer within {:?} (check_timeout)", self.check.timeout),
            },
        };
        *link = None;
        Err(sick)
    }

    async fn ask(&self, link: &mut Option<Port>) -> Result<Report, Fault> {
        let port = match link {
            Some(port) => port,
            None => link.insert(self.connect().await?),
        };
        let mut lookup = {
            let mut asked = None;
            full(Lookup::ask(QUESTION, &[], port.room()).map(|ask| asked = Some(ask)))?;
            asked.unwrap_or_default()
        };
        let rows = converse(port, |input, _| lookup.step(input)).await?;
        rows.first().and_then(report).ok_or_else(|| {
            let cause = "the answer to what it is was not understood".to_owned();
            Fault::new(Side::Server, FaultKind::ServerLogin { cause })
        })
    }

    async fn connect(&self) -> Result<Port, Fault> {
        let check = &self.check;
        let startup = [
            ("user", check.user.name()),
            ("database", &check.database),
            ("application_name", "portcullis check"),
            ("client_encoding", "UTF8"),
        ]
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let startup = StartupMessage::new(ProtocolVersion::V3_0, startup).map_err(|fault| {
            let cause = fault.to_string();
            Fault::new(Side::Proxy, FaultKind::ServerLogin { cause })
        })?;
        let login = ServerLogin {
            user: &check.user,
            credential: match &check.password {
                Some(password) => Credential::Password(password.clone()),
                None => Credential::None,
            },
            startup: &startup,
        };
        let hosts = std::slice::from_ref(&self.host);
        let dialled = dial::dial(hosts, &check.tcp, &self.context.deriver, login).await?;
        dial::forget(dialled.welcome);
        Ok(dialled.port)
    }
}

/// What a row says; `None` if it makes no sense.
fn report(row: &Row) -> Option<Report> {
    let text = |at: usize| {
        let value = row.get(at)?.as_ref()?;
        std::str::from_utf8(value.expose()).ok()
    };
    let is = |at, yes: &str| Some(text(at)? == yes);
    Some(Report {
        in_recovery: is(0, "true")?,
        read_only: is(1, "on")?,
        system: text(2)?.parse().ok()?,
        timeline: text(3)?.parse().ok()?,
        // A standby that has replayed nothing yet has no position.
        lsn: text(4).map_or(Some(Lsn(0)), |it| it.parse().ok())?,
        behind: text(5).map_or(Some(None), |it| {
            let ms = it.parse::<i64>().ok()?;
            Some(Some(Duration::from_millis(ms.max(0).unsigned_abs())))
        })?,
    })
}

/// Which kind of trouble a fault is.
pub(super) fn sick(fault: &Fault) -> Sick {
    let why = match &fault.kind {
        FaultKind::Io {
            phase: "connecting",
            cause,
        } => why_not_connected(cause),
        FaultKind::Io { .. } | FaultKind::Lost { .. } => Why::Lost,
        FaultKind::Tls { .. }
        | FaultKind::AlpnMissing
        | FaultKind::ServerRefusesTls
        | FaultKind::PlaintextBehindTlsAnswer => Why::Tls,
        FaultKind::ServerLogin { .. } => Why::Authentication,
        FaultKind::ServerRefused { sqlstate, .. } => match sqlstate.get(..3) {
            Some("57P") => Why::Unavailable,
            Some("280" | "28P") => Why::Authentication,
            _ => Why::Other,
        },
        FaultKind::Timeout { .. } => Why::TimedOut,
        _ => Why::Other,
    };
    let text = fault.kind.to_string();
    Sick { why, text }
}

/// The operating system's words carry its number, which is the same in every language.
fn why_not_connected(cause: &str) -> Why {
    let is = |number: nix::errno::Errno| cause.contains(&format!("(os error {})", number as i32));
    match cause {
        _ if is(nix::errno::Errno::ECONNREFUSED) => Why::Refused,
        _ if is(nix::errno::Errno::ETIMEDOUT) => Why::TimedOut,
        _ if cause.contains("lookup") || cause.contains("resolve") => Why::Name,
        _ if cause.starts_with("TLS") => Why::Tls,
        _ => Why::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use buf::Secret;

    fn row(values: [Option<&str>; 6]) -> Row {
        let value = |it: Option<&str>| it.map(|it| Secret::new(it.as_bytes()));
        values.map(value).into()
    }

    #[test]
    fn what_hosts_say() {
        let primary = row([
            Some("false"),
            Some("off"),
            Some("7300000000000000001"),
            Some("3"),
            Some("1/A0"),
            None,
        ]);
        let expected = Report {
            in_recovery: false,
            read_only: false,
            system: 7_300_000_000_000_000_001,
            timeline: 3,
            lsn: Lsn(1 << 32 | 0xa0),
            behind: None,
        };
        assert_eq!(report(&primary), Some(expected.clone()));
        let standby = row([
            Some("true"),
            Some("off"),
            Some("7300000000000000001"),
            Some("3"),
            None,
            Some("1500"),
        ]);
        let behind = Some(Duration::from_millis(1500));
        let expected = Report {
            in_recovery: true,
            lsn: Lsn(0),
            behind,
            ..expected
        };
        assert_eq!(report(&standby), Some(expected));
        assert_eq!(report(&row([None; 6])), None);
    }

    #[test]
    fn kinds_of_trouble() {
        let connecting = |cause: &str| FaultKind::Io {
            phase: "connecting",
            cause: cause.to_owned(),
        };
        let refused = |sqlstate: &str| FaultKind::ServerRefused {
            sqlstate: sqlstate.to_owned(),
            response: session::fault::ServerWords(Vec::new()),
        };
        let table = [
            (
                connecting("Connection refused (os error 111)"),
                Why::Refused,
            ),
            (
                connecting("Connection timed out (os error 110)"),
                Why::TimedOut,
            ),
            (
                connecting("failed to lookup address information: Name or service not known"),
                Why::Name,
            ),
            (connecting("TLS: certificate verify failed"), Why::Tls),
            (connecting("No route to host (os error 113)"), Why::Lost),
            (FaultKind::Lost { truncated: true }, Why::Lost),
            (FaultKind::ServerRefusesTls, Why::Tls),
            (refused("57P03"), Why::Unavailable),
            (refused("28P01"), Why::Authentication),
            (refused("28000"), Why::Authentication),
            (refused("3D000"), Why::Other),
        ];
        for (kind, why) in table {
            let fault = Fault::new(Side::Server, kind);
            assert_eq!(sick(&fault).why, why, "{fault}");
        }
    }
}
