//! Owns the life of one client, step by step: greeting, TLS, startup packet, proof, lease, login to
//! the server; relay and farewell are in `linked`. Each step is a pure machine of another crate; this
//! is their order, and what is said and logged when one of them ends it.

mod linked;

use crate::acceptor::{Admission, Incoming};
use crate::balancer;
use crate::cancel::{Bounds, Carried, Issued, Target};
use crate::context::Context;
use crate::control::Control;
use crate::credentials;
use crate::dial::{Dialled, ServerLogin, converse, dial, full};
use crate::door::Seat;
use crate::exchange::{Leased, Lent};
use crate::log::{self, Started};
use crate::port::Port;
use crate::rest::{Key, Resting};
use crate::setup::{ClientCertificates, Database, Listener, Login, Setup};
use crate::socket::Socket;
use crate::{chance, entry, leg, lend};
use admission::Source;
use auth::hba::Certificate;
use auth::{
    Attempt, Chance, Claim, Credential, Gate, GateStep, LegFacts, Proof, Proved, Reason, ServerUser,
};
use linked::{Linked, Next};
use session::arrival::{self, Arrived, Awaited, Newcomer};
use session::fault::{Fault, FaultKind, Side};
use session::{farewell, welcome};
use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use wire::from_server::BackendKeyData;
use wire::startup::{CancelRequest, Replication};
use wire::{CancelKey, ProtocolVersion};

/// Serves one client from accept to close. What only one part of its life needs is in a box of that
/// part: a session that sleeps keeps the room of none.
pub async fn serve(
    context: Arc<Context>,
    control: Arc<Control>,
    mut incoming: Box<Incoming>,
    number: u64,
) {
    let setup = Arc::clone(&incoming.setup);
    let listener = &setup.listeners[incoming.listener];
    let end = tokio::time::Instant::now() + setup.timeouts.client_login;
    let told = Box::pin(behind_balancer(&context, listener, &mut incoming, end));
    if let Err(fault) = told.await {
        return log::refused(&incoming.peer, None, &fault);
    }
    let peer = incoming.peer.clone();
    let life = Life {
        context: &context,
        setup: &setup,
        listener,
        peer: &peer,
        address: incoming.address,
    };
    let Some((client, linked)) = Box::pin(life.enter(incoming, end)).await else {
        return;
    };
    let mut seated = life.seat(client, linked, control, number);
    let ending = poll_fn(|cx| seated.pump.poll(cx)).await;
    Box::pin(life.leave(seated, ending)).await;
}

/// Learns who is behind a load balancer, where the listener stands behind one.
async fn behind_balancer(
    context: &Context,
    listener: &Listener,
    incoming: &mut Incoming,
    end: tokio::time::Instant,
) -> Result<(), Fault> {
    let (socket, demanded) = (&mut incoming.socket, &listener.proxy_protocol);
    let told = balancer::client(socket, demanded, incoming.address, &context.counters);
    let told = tokio::time::timeout_at(end, told)
        .await
        .unwrap_or_else(|_| {
            let kind = FaultKind::Timeout {
                setting: "client_login_timeout",
                phase: "the load balancer told whose connection it is",
            };
            Err(Fault::new(Side::Client, kind))
        })?;
    if let Some(client) = told {
        incoming.peer = client.to_string();
        incoming.address = Some(client.ip().to_canonical());
    }
    Ok(())
}

/// What stays the same while a client lives.
pub(crate) struct Life<'a> {
    pub(crate) context: &'a Context,
    /// The setup in force when the client was accepted.
    pub(crate) setup: &'a Setup,
    pub(crate) listener: &'a Listener,
    /// The client's address, for the log.
    pub(crate) peer: &'a str,
    /// The same for rules; `None` over a Unix-domain socket.
    pub(crate) address: Option<IpAddr>,
}

/// What is known of a client that is on its way in, so that a fault can be told and logged.
#[derive(Default)]
struct Progress {
    port: Option<Port>,
    /// Claimed role and wanted database.
    claim: Option<(String, String)>,
    /// The server is to say whether the client's password is right.
    server_decides: bool,
}

impl Progress {
    /// Whether a fault is a failed proof of the client's, which counts against its address and the
    /// user it named.
    fn is_to_blame(&self, fault: &Fault) -> bool {
        match &fault.kind {
            FaultKind::AuthRefused { sqlstate, .. } => sqlstate.starts_with("28"),
            FaultKind::ServerRefused { sqlstate, .. } => {
                self.server_decides && sqlstate.starts_with("28")
            }
            _ => false,
        }
    }
}

impl<'a> Life<'a> {
    /// Lets the client in, or tells it why not; `None` if it is gone then.
    async fn enter(
        &self,
        incoming: Box<Incoming>,
        end: tokio::time::Instant,
    ) -> Option<(Port, Box<Linked<'a>>)> {
        let source = Source::of(self.address);
        let mut progress = Progress::default();
        let seat = match self.context.door.arrive(incoming.listener, source) {
            Ok(seat) => seat,
            Err(fault) => {
                self.refuse(progress, fault).await;
                return None;
            }
        };
        let login = self.login(incoming.socket, incoming.admission, seat, &mut progress);
        let login = tokio::time::timeout_at(end, login).await;
        let fault = match login {
            Ok(Ok(Some(linked))) => return progress.port.map(|port| (port, linked)),
            Ok(Ok(None)) => {
                if let Some(client) = progress.port {
                    self.part(client).await;
                }
                return None;
            }
            Ok(Err(fault)) => {
                if let (true, Some((user, _))) = (progress.is_to_blame(&fault), &progress.claim) {
                    self.context.door.failed(source, user);
                }
                fault
            }
            Err(_) => {
                let kind = FaultKind::Timeout {
                    setting: "client_login_timeout",
                    phase: "logging in",
                };
                Fault::new(Side::Client, kind)
            }
        };
        self.refuse(progress, fault).await;
        None
    }

    /// Everything up to the client's first ReadyForQuery; `None` for a cancel request. The port is
    /// left in `progress` as soon as there is one.
    async fn login(
        &self,
        socket: Socket,
        admission: Admission,
        mut seat: Seat<'_>,
        progress: &mut Progress,
    ) -> Result<Option<Box<Linked<'a>>>, Fault> {
        let Some((port, mut reached)) = self.greet(socket, &mut seat).await? else {
            return Ok(None);
        };
        let port = progress.port.insert(port);
        let first = converse(port, |input, output| {
            arrival::first_packet(&mut reached, input, output)
        });
        let arrived = seat.patient(first).await?;
        let newcomer = match arrived {
            Arrived::Newcomer(newcomer) => newcomer,
            Arrived::Cancel(request) => {
                self.cancel(&request).await;
                return Ok(None);
            }
        };
        progress.claim = Some((newcomer.user.clone(), newcomer.database.clone()));
        if admission == Admission::OverLimit {
            let limit = self.setup.limits.max_client_conn as u64;
            let setting = "max_client_conn";
            return Err(Fault::new(Side::Proxy, FaultKind::Limit { setting, limit }));
        }
        self.context.door.check(seat.source(), &newcomer.user)?;
        let client_leg = leg::facts(
            port,
            self.listener.client_certificates != ClientCertificates::NotAsked,
        );
        let entered = self.admit(port, &newcomer, &client_leg, &mut seat).await?;
        progress.server_decides = matches!(entered, Entered::Claims(_));
        // What follows may wait long for a server: others log in meanwhile.
        seat.give_back();
        let linked = self.link(port, &newcomer, entered, client_leg).await?;
        self.context.door.succeeded(seat.source(), &newcomer.user);
        Ok(Some(linked))
    }

    /// Lets the client prove who it is.
    async fn admit(
        &self,
        port: &mut Port,
        newcomer: &Newcomer,
        leg: &LegFacts,
        seat: &mut Seat<'_>,
    ) -> Result<Entered, Fault> {
        let setup = self.setup;
        let from = (leg, self.address);
        let entry = entry::choose(setup, self.listener, newcomer, from)?;
        self.certificate(entry.certificate, newcomer, leg)?;
        let method = entry.method;
        let (user, database) = (&newcomer.user, &newcomer.database);
        let stored = credentials::stored(self, method, user, database).await?;
        let mut step = Gate::start(Attempt {
            method,
            user,
            leg,
            stored,
            chance: Chance {
                nonce: chance::bytes()?,
                md5_salt: chance::bytes()?,
            },
            mock: &setup.auth.mock,
            rules: &self.listener.rules,
        });
        let mut derived = None;
        loop {
            step = match step {
                GateStep::Send(request, gate) => {
                    full(welcome::put_request(&request.body(), port.room()))?;
                    let awaited = awaited(&request);
                    let body = converse(port, |input, _| arrival::proof(awaited, input));
                    let body = seat.patient(body).await;
                    let body = body.map_err(|fault| broken_sasl(fault, awaited, user))?;
                    gate.on_message(body.expose())
                }
                GateStep::Derive(question, gate) => {
                    let keys = self.context.deriver.keys_at_pace(&question).await;
                    if let Ok(keys) = &keys {
                        derived = Some((question, keys.clone()));
                    }
                    gate.on_derived(keys)
                }
                GateStep::Proved(proved) => {
                    if let Some((question, keys)) = &derived {
                        self.context.deriver.keep(question, keys);
                    }
                    return Ok(Entered::Proved(proved));
                }
                GateStep::AskServer(claim) => return Ok(Entered::Claims(claim)),
                GateStep::Refused(refusal) => return Err(refused(&refusal)),
            };
        }
    }

    /// What the certificate has to be good for, whatever the method.
    fn certificate(
        &self,
        demanded: Certificate,
        newcomer: &Newcomer,
        leg: &LegFacts,
    ) -> Result<(), Fault> {
        let verdict = match demanded {
            Certificate::AsListener => return Ok(()),
            Certificate::Verified if leg.verified => return Ok(()),
            Certificate::Verified => Err(Reason::NoCertificate),
            Certificate::NamesTheRole => {
                let names = &self.listener.rules.certificates;
                names.admits(leg, &newcomer.user)
            }
        };
        verdict.map_err(|reason| {
            let user = &newcomer.user;
            let kind = FaultKind::AuthRefused {
                sqlstate: "28000",
                message: format!("certificate authentication failed for user \"{user}\""),
                reason: reason.to_string(),
            };
            Fault::new(Side::Client, kind)
        })
    }

    /// Leases a server, logs in to it as this client, and welcomes the client.
    async fn link(
        &self,
        port: &mut Port,
        newcomer: &Newcomer,
        mut entered: Entered,
        client_leg: LegFacts,
    ) -> Result<Box<Linked<'a>>, Fault> {
        let Some(database) = self.setup.database(&newcomer.database) else {
            let name = newcomer.database.clone();
            return Err(Fault::new(
                Side::Client,
                FaultKind::UnknownDatabase { name },
            ));
        };
        let (role, credential) = self.credential(database, &newcomer.user, &mut entered);
        let name = database.dbname.as_deref().unwrap_or(&newcomer.database);
        let startup = arrival::startup_for_server(newcomer, role.name(), name)?;
        let may_rest = newcomer.replication == Replication::No && !database.rest.lifetime.is_zero();
        let key = match may_rest {
            true => Some(Key::of(&startup, &self.context.key_secret)?),
            false => None,
        };
        let login = ServerLogin {
            user: &role,
            credential,
            startup: &startup,
        };
        // Whom the server itself has to judge is not let in by a connection of before.
        let asked = key.filter(|_| matches!(entered, Entered::Proved(_)));
        let (lease, mut dialled, born) = self.server(database, asked, login).await?;
        let proved = match entered {
            Entered::Proved(proved) => proved,
            Entered::Claims(claim) => {
                let accepted = claim.accepted(&dialled.accepted);
                accepted.map_err(|refusal| refused(&refusal))?
            }
        };
        let last = proved.last.as_ref().map(auth::AuthRequest::body);
        let issued = self.issue(&dialled, database, newcomer.version)?;
        let cancel_key = issued.as_ref().map(|issued| issued.key().clone());
        // The welcome lies in a lent buffer of the same size as the output; what the server sent
        // must leave room for our own messages around it.
        full(welcome::put(
            last.as_deref(),
            &dialled.welcome,
            cancel_key.as_ref(),
            port.room(),
        ))?;
        dialled.welcome.0.clear();
        lend::give_back_plain(&mut dialled.welcome.0);
        port.hibernate();
        dialled.port.hibernate();
        let log = Started::new(self.peer, newcomer, &proved, &client_leg, &dialled);
        if self.setup.log.connections {
            log::started(&log);
        }
        Ok(Box::new(Linked {
            dialled,
            lease,
            next: key.map(|key| Next {
                key,
                born,
                lifetime: database.rest.lifetime,
            }),
            issued,
            log: log.into(),
        }))
    }

    /// A connection that rested, or a new one.
    async fn server(
        &self,
        database: &Database,
        key: Option<Key>,
        login: ServerLogin<'_>,
    ) -> Result<(Leased<Resting>, Dialled, Instant), Fault> {
        let patience = self.setup.timeouts.query_wait;
        let counters = &self.context.counters.server;
        let limit = database.connect_timeout;
        let lease = match self.context.exchange.lease(database, key, patience).await? {
            Lent::Fresh(lease) => lease,
            Lent::Rested(lease, rested) => {
                let woken = tokio::time::timeout(limit, rested.wake(database.rest.check_after));
                match woken.await {
                    Ok(Ok((dialled, born))) => {
                        counters.reused.add(1);
                        return Ok((lease, dialled, born));
                    }
                    // It died at rest: nothing of this client's was sent to it.
                    Ok(Err(_)) | Err(_) => counters.died_at_rest.add(1),
                }
                lease
            }
        };
        let dialling = dial(&database.hosts, &database.tcp, &self.context.deriver, login);
        let dialled = tokio::time::timeout(limit, dialling).await;
        let dialled = dialled.unwrap_or_else(|_| {
            Err(Fault::new(
                Side::Server,
                FaultKind::Timeout {
                    setting: "server_connect_timeout",
                    phase: "connecting to the server",
                },
            ))
        })?;
        counters.dialled.add(1);
        Ok((lease, dialled, Instant::now()))
    }

    /// Who Portcullis is towards the server, and what proves it.
    fn credential(
        &self,
        database: &Database,
        user: &str,
        entered: &mut Entered,
    ) -> (ServerUser, Credential) {
        let exception = self.setup.auth.exceptions.get(user);
        let login = exception.and_then(|exception| exception.login.as_ref());
        match (login.unwrap_or(&database.login), entered) {
            (Login::Forced { user, password }, _) => (
                user.clone(),
                match password {
                    Some(password) => Credential::Password(password.clone()),
                    None => Credential::None,
                },
            ),
            (Login::AsClient, Entered::Claims(claim)) => {
                (ServerUser::claimed(claim), claim.credential())
            }
            (Login::AsClient, Entered::Proved(proved)) => {
                let role = ServerUser::same_as_client(&proved.user);
                let kept = credentials::from_users_file(self.setup, role.name());
                let credential = match (std::mem::replace(&mut proved.proof, Proof::None), kept) {
                    // A password fits every server; what a client showed fits one verifier.
                    (_, kept @ Credential::Password(_)) | (Proof::None, kept) => kept,
                    (proof, _) => proof.into_credential(),
                };
                (role, credential)
            }
        }
    }

    /// The client's own cancel key: the server's process id with a secret of ours.
    fn issue(
        &self,
        dialled: &Dialled,
        database: &Database,
        version: ProtocolVersion,
    ) -> Result<Option<Issued<'a>>, Fault> {
        let Some(server) = &dialled.server.key else {
            return Ok(None);
        };
        let secret: [u8; 32] = chance::bytes()?;
        let len = if version >= ProtocolVersion::V3_2 {
            32
        } else {
            4
        };
        let issued = CancelKey::new(&secret[..len]).map(|key| BackendKeyData {
            pid: server.pid,
            key,
        });
        let target = Target::new(
            Arc::clone(&dialled.host),
            database.tcp.clone(),
            server.clone(),
        );
        Ok(issued.map(|issued| self.context.cancels.issue(issued, target)))
    }

    pub(crate) async fn cancel(&self, request: &CancelRequest) {
        let limits = &self.setup.limits;
        let bounds = Bounds {
            at_once: limits.cancels_max,
            per_second: limits.cancels_per_second,
            deadline: self.setup.timeouts.cancel,
        };
        let cancels = &self.context.cancels;
        match cancels.carry_out(request, self.peer, bounds).await {
            Ok(Carried::Out) => log::cancelled(self.peer),
            Ok(Carried::Unknown) => log::cancel_unknown(self.peer),
            Ok(Carried::Dropped) => log::cancel_dropped(self.peer),
            Err(fault) => log::cancel_failed(self.peer, &fault),
        }
    }

    /// Tells the client why it can't come in, as far as it may know, and closes.
    async fn refuse(&self, progress: Progress, fault: Fault) {
        log::refused(self.peer, progress.claim.as_ref(), &fault);
        if let Some(mut port) = progress.port {
            farewell::put(&fault, port.room());
            self.part(port).await;
        }
    }

    pub(crate) async fn part(&self, port: Port) {
        let _ = tokio::time::timeout(self.setup.timeouts.close, port.close()).await;
    }
}

/// How a client came in.
enum Entered {
    /// It proved who it is.
    Proved(Proved),
    /// The server is to say.
    Claims(Claim),
}

/// What a client sends next.
fn awaited(request: &auth::AuthRequest) -> Awaited {
    match request {
        auth::AuthRequest::Sasl(_) | auth::AuthRequest::SaslContinue(_) => Awaited::Sasl,
        _ => Awaited::Password,
    }
}

/// PostgreSQL takes a SASL message whose length can't be for a wrong password.
fn broken_sasl(fault: Fault, awaited: Awaited, user: &str) -> Fault {
    match (awaited, &fault.kind) {
        (Awaited::Sasl, FaultKind::BadLength { .. }) => Fault::new(
            Side::Client,
            FaultKind::AuthRefused {
                sqlstate: "28P01",
                message: format!("password authentication failed for user \"{user}\""),
                reason: fault.kind.to_string(),
            },
        ),
        _ => fault,
    }
}

fn refused(refusal: &auth::Refusal) -> Fault {
    Fault::new(
        Side::Client,
        FaultKind::AuthRefused {
            sqlstate: refusal.sqlstate(),
            message: refusal.message().to_owned(),
            reason: refusal.reason().to_string(),
        },
    )
}
