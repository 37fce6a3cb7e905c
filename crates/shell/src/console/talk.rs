//! Owns a console client's way in, after its proof, and the conversation.

use super::carry::carry;
use super::show::show;
use super::{Client, ClientFacts, Whereabouts};
use crate::chance;
use crate::control::{Phase, Sleeper};
use crate::dial::full;
use crate::life::{Course, Entered, Life};
use crate::log;
use crate::port::{Arrived, Port};
use crate::setup::Login;
use admin::{Console, Right, Shutdown, Step};
use auth::LegFacts;
use buf::Plain;
use session::arrival::Newcomer;
use session::fault::{Fault, FaultKind, Side};
use session::login::Welcome;
use session::routes::parameter;
use session::{farewell, welcome};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use wire::from_server::{BackendKeyData, ParameterStatus};
use wire::startup::Replication;
use wire::{CancelKey, Message, ProtocolVersion};

/// What drivers are told at the start, as by PgBouncer.
const REPORTED: [(&str, &str); 7] = [
    (
        "server_version",
        concat!(env!("CARGO_PKG_VERSION"), "/portcullis"),
    ),
    ("client_encoding", "UTF8"),
    ("server_encoding", "UTF8"),
    ("DateStyle", "ISO"),
    ("TimeZone", "GMT"),
    ("standard_conforming_strings", "on"),
    ("is_superuser", "on"),
];

/// A client of the console, welcomed.
pub(crate) struct Guest {
    right: Right,
    database: String,
}

impl Life<'_> {
    /// True for a client over a Unix-domain socket whose process has this one's user id: it could do
    /// whatever we can do.
    pub(crate) fn is_ourselves(&self, port: &Port) -> bool {
        port.socket.peer_uid() == Some(nix::unistd::geteuid().as_raw())
    }

    /// What the console shows of a client.
    pub(crate) fn facts(
        &self,
        port: &Port,
        (newcomer, course): (&Newcomer, &Course),
        leg: &LegFacts,
    ) -> (ClientFacts, Whereabouts) {
        let application_name = parameter(&newcomer.startup, "application_name").unwrap_or_default();
        let user = &newcomer.user;
        let exception = self.setup.auth.exceptions.get(user);
        let login = exception.and_then(|it| it.login.as_ref());
        let entry = self.setup.database(&course.database);
        let pool_user = match login.or(entry.map(|it| &it.login)) {
            Some(Login::Forced { user, .. }) => user.name(),
            Some(Login::AsClient) | None => user,
        };
        let facts = ClientFacts {
            user: user.clone(),
            database: course.database.clone(),
            asked_for: newcomer.database.clone(),
            pool_user: pool_user.to_owned(),
            replication: match newcomer.replication {
                Replication::No => "none",
                Replication::Logical => "logical",
                Replication::Physical => "physical",
            },
            local: port.socket.local(),
            tls: super::tls(leg),
            has_certificate: leg.verified && leg.peer.is_some(),
            application_name: String::from_utf8_lossy(&application_name).into_owned(),
            is_console: self.setup.is_console(&newcomer.database),
        };
        let at = Whereabouts {
            // Behind a load balancer, the address that it told.
            peer: self.peer.parse().ok(),
            pid: port.socket.peer_pid().unwrap_or(0),
        };
        (facts, at)
    }

    /// Lets a client into the console, or not; `entered` is `None` for [ourselves](Self::is_ourselves).
    pub(crate) fn admit_to_console(
        &self,
        port: &mut Port,
        newcomer: &Newcomer,
        entered: Option<&Entered>,
    ) -> Result<Guest, Fault> {
        let (proved, right) = match entered {
            None => (None, Some(Right::Admin)),
            Some(Entered::Proved(proved)) => (Some(proved), self.right(proved.user.name())),
            // There is no server to ask.
            Some(Entered::Claims(_)) => (None, None),
        };
        let right = right.ok_or_else(|| {
            let database = &newcomer.database;
            let kind = FaultKind::AuthRefused {
                sqlstate: "42501",
                message: format!("permission denied for database \"{database}\""),
                reason: "the user is in neither admin_users nor stats_users".to_owned(),
            };
            Fault::new(Side::Client, kind)
        })?;
        let mut reported = Plain::with_capacity(1024);
        for (name, value) in REPORTED {
            let (name, value) = (name.into(), value.into());
            full(ParameterStatus { name, value }.encode(&mut reported))?;
        }
        let last = proved
            .and_then(|it| it.last.as_ref())
            .map(auth::AuthRequest::body);
        let key = key(newcomer.version)?;
        let reported = Welcome(reported);
        full(welcome::put(
            last.as_deref(),
            &reported,
            key.as_ref(),
            port.room(),
        ))?;
        Ok(Guest {
            right,
            database: newcomer.database.clone(),
        })
    }

    fn right(&self, user: &str) -> Option<Right> {
        let users = self.setup.console.as_ref()?;
        let is_named = |names: &[String]| names.iter().any(|name| name == user);
        match (is_named(&users.admins), is_named(&users.watchers)) {
            (true, _) => Some(Right::Admin),
            (false, true) => Some(Right::Stats),
            (false, false) => None,
        }
    }

    /// The conversation, to its end.
    pub(crate) async fn talk(&self, mut port: Port, guest: Guest, client: &Arc<Client>) {
        if self.setup.log.connections {
            log::console_opened(&self.peer, &client.facts.user, guest.right);
        }
        let asleep = Asleep::new(client);
        let ended = self.converse(&mut port, &guest, client, &asleep).await;
        drop(asleep);
        match &ended {
            Ok(()) => {}
            Err(fault) => {
                self.context.console.faults.note(fault);
                farewell::put(fault, port.room());
            }
        }
        if self.setup.log.disconnections {
            log::console_closed(&self.peer, &client.facts.user, ended.as_ref().err());
        }
        self.part(port).await;
    }

    async fn converse(
        &self,
        port: &mut Port,
        guest: &Guest,
        client: &Client,
        asleep: &Asleep,
    ) -> Result<(), Fault> {
        let mut console = Console::new(guest.right);
        loop {
            let step = {
                port.lend();
                let step = console.step(&mut port.plain_in, &mut port.plain_out);
                port.rest();
                step.map_err(|fault| broken(&fault))?
            };
            match step {
                Step::End => return Ok(()),
                Step::Write => port.send().await?,
                Step::Show(table) => console.shown(show(self.context, table)),
                Step::Carry(command) => {
                    log::ordered(&client.facts.user, &command);
                    port.send().await?;
                    let carried = carry(self.context, &command, &guest.database);
                    let carried = tokio::select! {
                        carried = carried => carried,
                        fault = gone(port) => return Err(fault),
                        fault = asleep.told_to_end(client) => return Err(fault),
                    };
                    // PgBouncer keeps the connection silent until the process is gone.
                    if command == admin::Command::Shutdown(Shutdown::Immediate)
                        && carried == admin::Outcome::Done
                    {
                        return Err(asleep.told_to_end(client).await);
                    }
                    console.carried(carried);
                }
                Step::Read => {
                    port.send().await?;
                    let arrived = tokio::select! {
                        arrived = port.receive() => arrived?,
                        fault = asleep.told_to_end(client) => return Err(fault),
                    };
                    if let Arrived::End(end) = arrived {
                        let truncated = end == tls::EndOfInput::Truncated;
                        return Err(Fault::new(Side::Client, FaultKind::Lost { truncated }));
                    }
                }
            }
        }
    }
}

/// A cancel key as drivers expect one. There is nothing to cancel: a request with it misses.
fn key(version: ProtocolVersion) -> Result<Option<BackendKeyData>, Fault> {
    let secret: [u8; 32] = chance::bytes()?;
    let len = if version >= ProtocolVersion::V3_2 {
        32
    } else {
        4
    };
    let pid = std::process::id();
    Ok(CancelKey::new(&secret[..len]).map(|key| BackendKeyData { pid, key }))
}

fn broken(fault: &admin::Fault) -> Fault {
    let kind = match fault {
        admin::Fault::Frame(frame) if frame.limit == 0 => {
            FaultKind::UnknownMessage { tag: frame.tag }
        }
        admin::Fault::Frame(frame) => FaultKind::BadLength {
            tag: frame.tag,
            len: frame.len,
        },
        admin::Fault::Message(_) => FaultKind::Malformed {
            tag: b'Q',
            what: "a message to the console",
        },
        admin::Fault::Room { .. } => FaultKind::Unavailable {
            what: "a row of the console's is longer than a buffer".to_owned(),
        },
    };
    Fault::new(Side::Client, kind)
}

/// Ready when a client is gone that isn't read meanwhile.
async fn gone(port: &Port) -> Fault {
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(200));
    loop {
        tick.tick().await;
        if port.socket.hung_up() {
            return Fault::new(Side::Client, FaultKind::Lost { truncated: true });
        }
    }
}

/// A console client among its worker's sessions: what wakes them wakes it.
struct Asleep {
    sleeper: Arc<Sleeper>,
    client: Arc<Client>,
}

impl Asleep {
    fn new(client: &Arc<Client>) -> Asleep {
        Asleep {
            sleeper: Arc::default(),
            client: Arc::clone(client),
        }
    }

    /// Ready when the session has to end.
    async fn told_to_end(&self, client: &Client) -> Fault {
        let (control, number) = &client.session;
        let phase = poll_fn(|cx| {
            control.enter(*number, cx.waker(), &self.sleeper);
            match control.phase() {
                Phase::Running => Poll::Pending,
                Phase::Draining | Phase::Cut => Poll::Ready(()),
            }
        });
        let kind = tokio::select! {
            () = phase => FaultKind::ShuttingDown,
            () = client.killed() => FaultKind::Killed,
        };
        Fault::new(Side::Proxy, kind)
    }
}

impl Drop for Asleep {
    fn drop(&mut self) {
        let (control, number) = &self.client.session;
        control.leave(*number);
    }
}
