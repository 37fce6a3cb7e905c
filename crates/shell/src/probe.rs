//! Owns a small client on our own machines: connects, looks at the leg, logs in, asks one question,
//! and reports what it saw. For commands that prove a configuration, never for the data path.
//!
//! Takes a [`Host`] and what proves a role; gives [`Leg`], [`Session`] or [`Unencrypted`], or the
//! fault that a session would have met. Each call has its own event loop and blocks until it is
//! over, at most until its deadline.

use crate::chance;
use crate::derive::Deriver;
use crate::dial::{Dialled, ServerLogin, converse, dial, full, reach};
use crate::port::{Arrived, Port};
use crate::setup::{Host, HostAddress, ServerTls, TcpOptions};
use auth::{Acceptance, AnswerRules, Credential, ServerUser};
use buf::{Plain, Secret};
use observe::Handshakes;
use session::farewell::TERMINATE;
use session::fault::{Fault, FaultKind, Side};
use session::lookup::{Lookup, Row};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tls::{LegFacts, PeerCertificate};
use tokio::runtime::Runtime;
use wire::frame::whole;
use wire::from_server::{self, ErrorResponse};
use wire::startup::StartupMessage;
use wire::{Message, ProtocolVersion};

/// Saying goodbye may take this long; what was seen is already known then.
const CLOSE: Duration = Duration::from_secs(1);

/// How the probe names itself to servers (`application_name`).
const NAME: &str = "portcullis probe";

/// Where to connect, and for how long to try.
pub struct Probe<'a> {
    /// The peer: a server, or a listener of our own.
    pub host: &'a Host,
    /// Name look-up, TCP, TLS and all that is asked afterwards.
    pub timeout: Duration,
}

/// Who logs in, and to what.
pub struct Login<'a> {
    /// The role.
    pub user: &'a str,
    /// What proves it.
    pub credential: Credential,
    /// The database.
    pub database: &'a str,
    /// The version to ask for; an older server answers with its own.
    pub version: ProtocolVersion,
}

/// A leg whose handshake is done.
pub struct Leg {
    /// What both ends agreed on; `None` without TLS.
    pub tls: Option<LegFacts>,
}

impl Leg {
    /// The peer's certificate. Verified only if the host's TLS says so.
    pub fn certificate(&self) -> Option<&PeerCertificate> {
        self.tls.as_ref().and_then(|tls| tls.peer.as_ref())
    }
}

/// A session that was begun, asked one question and ended.
pub struct Session {
    /// The leg.
    pub leg: Leg,
    /// What the peer asked for before it let us in.
    pub accepted: Acceptance,
    /// The version agreed on.
    pub version: ProtocolVersion,
    /// What the peer says it is (`server_version`).
    pub server_version: Option<String>,
    /// The answer.
    pub rows: Vec<Row>,
}

/// What becomes of a client that does not ask for TLS (`sslmode=disable`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unencrypted {
    /// An error, and the end of the connection.
    Refused {
        /// SQLSTATE of the error.
        sqlstate: String,
        /// Its text.
        message: String,
    },
    /// The peer went on.
    Admitted,
}

impl Probe<'_> {
    /// Connects up to the end of the TLS handshake, then leaves.
    pub fn leg(&self) -> Result<Leg, Fault> {
        block(self.timeout, async {
            let port = reach(self.host, &TcpOptions::default(), &Handshakes::default()).await?;
            let leg = look(&port);
            let _ = tokio::time::timeout(CLOSE, port.close()).await;
            Ok(leg)
        })
    }

    /// Logs in, asks `sql` and leaves.
    pub fn session(&self, login: Login<'_>, sql: &str) -> Result<Session, Fault> {
        block(self.timeout, self.converse(login, sql))
    }

    async fn converse(&self, login: Login<'_>, sql: &str) -> Result<Session, Fault> {
        let startup = startup(&login, NAME)?;
        let user = ServerUser::configured(login.user);
        let hosts = [Arc::new(self.host.clone())];
        let server_login = ServerLogin {
            user: &user,
            credential: login.credential,
            startup: &startup,
        };
        let secret = Secret::new(&chance::bytes::<32>()?);
        let deriver = Deriver::new(1, secret, Arc::default());
        let options = TcpOptions::default();
        let Dialled {
            mut port,
            server,
            accepted,
            ..
        } = dial(&hosts, &options, &deriver, server_login).await?;
        let mut asked = Lookup::default();
        full(Lookup::ask(sql, &[], port.room()).map(|lookup| asked = lookup))?;
        let rows = converse(&mut port, |input, _| asked.step(input)).await?;
        let leg = look(&port);
        full(port.room().push(TERMINATE))?;
        let _ = tokio::time::timeout(CLOSE, port.close()).await;
        let reported = server.reported.value("server_version");
        Ok(Session {
            leg,
            accepted: accepted.how(),
            version: server.version,
            server_version: reported.map(|text| String::from_utf8_lossy(text).into_owned()),
            rows,
        })
    }
}

/// Sends a StartupMessage without asking for TLS first, as `sslmode=disable` does.
pub fn unencrypted(address: SocketAddr, timeout: Duration) -> Result<Unencrypted, Fault> {
    let host = Host {
        upkeep: tls::Upkeep::default(),
        address: HostAddress::Tcp(address.ip().to_string(), address.port()),
        tls: ServerTls::UnencryptedByConfiguration,
        rules: AnswerRules::default(),
    };
    block(timeout, async {
        let mut port = reach(&host, &TcpOptions::default(), &Handshakes::default()).await?;
        // The role is of no importance: a listener that requires TLS answers before it looks.
        let login = Login {
            user: "portcullis",
            credential: Credential::None,
            database: "portcullis",
            version: ProtocolVersion::V3_0,
        };
        let startup = startup(&login, NAME)?;
        full(startup.encode(port.room()))?;
        match converse(&mut port, |input, _| first_answer(input)).await? {
            Unencrypted::Refused { sqlstate, message } => {
                // An error alone is not yet a refusal: the connection has to end, too.
                match port.receive().await? {
                    Arrived::End(_) => Ok(Unencrypted::Refused { sqlstate, message }),
                    Arrived::Bytes => Ok(Unencrypted::Admitted),
                }
            }
            Unencrypted::Admitted => Ok(Unencrypted::Admitted),
        }
    })
}

fn first_answer(input: &mut Plain) -> Result<Option<Unencrypted>, Fault> {
    let limit = |tag| from_server::limit_before_auth(tag).unwrap_or(0);
    let frame = whole(input.bytes(), limit).map_err(|fault| {
        let (tag, len) = (fault.tag, fault.len);
        Fault::new(Side::Server, FaultKind::BadLength { tag, len })
    })?;
    let Some(frame) = frame else {
        return Ok(None);
    };
    let answer = match (frame.tag, ErrorResponse::decode(frame.body)) {
        (b'E', Ok(error)) => {
            let text = |field: Option<wire::Text<'_>>| {
                field.map_or_else(String::new, |text| String::from_utf8_lossy(&text).into())
            };
            Unencrypted::Refused {
                sqlstate: text(error.fields.sqlstate()),
                message: text(error.fields.message()),
            }
        }
        _ => Unencrypted::Admitted,
    };
    let total = frame.total;
    input.consume(total);
    Ok(Some(answer))
}

pub(crate) fn look(port: &Port) -> Leg {
    Leg {
        tls: port.engine().facts(),
    }
}

/// The startup packet of a login under this `application_name`.
pub(crate) fn startup(login: &Login<'_>, name: &str) -> Result<StartupMessage, Fault> {
    let parameters = [
        ("user", login.user),
        ("database", login.database),
        ("application_name", name),
        ("client_encoding", "UTF8"),
    ];
    let parameters = parameters.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    StartupMessage::new(login.version, parameters).map_err(|_| {
        let what = "the names of user and database are too long, or hold a zero byte".to_owned();
        Fault::new(Side::Proxy, FaultKind::Unavailable { what })
    })
}

/// Carries `work` through on an event loop of its own.
fn block<T>(timeout: Duration, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    block_on(&runtime()?, timeout, work)
}

/// An event loop of the thread that asks.
pub(crate) fn runtime() -> Result<Runtime, Fault> {
    let built = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    built.map_err(|error| {
        let what = format!("an event loop: {error}");
        Fault::new(Side::Proxy, FaultKind::Unavailable { what })
    })
}

/// Carries `work` through, at most until its deadline.
pub(crate) fn block_on<T>(
    runtime: &Runtime,
    timeout: Duration,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let bounded = runtime.block_on(async { tokio::time::timeout(timeout, work).await });
    bounded.unwrap_or_else(|_| {
        let setting = "server_connect_timeout";
        let phase = "waiting for the peer's answer";
        Err(Fault::new(
            Side::Server,
            FaultKind::Timeout { setting, phase },
        ))
    })
}
