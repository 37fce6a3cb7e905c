//! Owns the life of one client, step by step: greeting, TLS, startup packet, proof, lease, login to
//! the server; relay and farewell are in `linked`. Each step is a pure machine of another crate; this
//! is their order, and what is said and logged when one of them ends it.

mod acquire;
mod follow;
mod link;
mod linked;
mod lookers;
mod member;
mod route;
mod rules;
#[cfg(test)]
mod sizes;
mod waiting;

use crate::acceptor::{Admission, Incoming};
use crate::balancer;
use crate::cancel::{Asked, Bounds, Carried};
use crate::console::Registered;
use crate::context::Context;
use crate::control::Control;
use crate::credentials;
use crate::dial::{converse, full};
use crate::door::Seat;
use crate::log;
use crate::port::Port;
use crate::setup::{ClientCertificates, Listener, Setup};
use crate::socket::Socket;
use crate::strangers::Event;
use crate::worker::Counted;
use crate::{chance, entry, leg};
use admission::Source;
use auth::hba::Certificate;
use auth::{Attempt, Claim, Gate, GateStep, LegFacts, Proved, Reason};
use link::In;
use pool::Home;
pub(crate) use route::Course;
use session::arrival::{self, Arrived, Awaited, Newcomer};
use session::fault::{Fault, FaultKind, Side};
use session::{farewell, welcome};
use std::future::Future;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use wire::startup::CancelRequest;

/// Serves one client from accept to close. What only one part of its life needs is in a box of that
/// part: a session that sleeps keeps the room of none.
#[expect(
    clippy::manual_async_fn,
    reason = "the arguments of an `async fn` are kept twice: as they came and as it uses them"
)]
pub(crate) fn serve(session: Counted, incoming: Box<Incoming>) -> impl Future<Output = ()> + Send {
    async move {
        let Some(incoming) = Box::pin(behind_balancer(&session.context, incoming)).await else {
            return;
        };
        let setup = Arc::clone(&incoming.setup);
        let life = Life {
            context: &session.context,
            setup: &setup,
            listener: &setup.listeners[incoming.listener],
            peer: (*incoming.peer).into(),
            address: incoming.address,
            home: session.control.home,
            control: &session.control,
            number: u64::from(session.control.home.0) << 48 | (incoming.number + 1),
        };
        let Some(entrant) = Box::pin(life.enter(incoming)).await else {
            return;
        };
        // `_registered` goes at the end: until then others see this client.
        let (stay, _registered) = life.stay(entrant);
        stay.await;
    }
}

/// What was in a box, which is gone: one that is only moved out of lasts as long as its variable.
#[expect(clippy::boxed_local, reason = "that the box ends here is its use")]
pub(crate) fn unboxed<T>(it: Box<T>) -> T {
    *it
}

/// All that a client does once it is in.
type Stay<'f> = Pin<Box<dyn Future<Output = ()> + Send + 'f>>;

/// A client that is in.
struct Entrant<'a> {
    port: Port,
    is_in: In<'a>,
    registered: Option<Registered<'a>>,
    /// Its number at its worker.
    number: u64,
}

/// Learns who is behind a load balancer, where the listener stands behind one; `None` if nobody may come from there.
async fn behind_balancer(context: &Context, mut incoming: Box<Incoming>) -> Option<Box<Incoming>> {
    match told_by_balancer(context, &mut incoming).await {
        Ok(()) => Some(incoming),
        Err(fault) => {
            context.strangers.refused(&incoming.peer, None, &fault);
            None
        }
    }
}

async fn told_by_balancer(context: &Context, incoming: &mut Incoming) -> Result<(), Fault> {
    let listener = &incoming.setup.listeners[incoming.listener];
    let (socket, demanded) = (&mut incoming.socket, &listener.proxy_protocol);
    let told = balancer::client(socket, demanded, incoming.address, &context.counters);
    let told = tokio::time::timeout_at(incoming.login_end, told)
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
    pub(crate) peer: Box<str>,
    /// The same for rules; `None` over a Unix-domain socket.
    pub(crate) address: Option<IpAddr>,
    /// The worker on which all this happens.
    pub(crate) home: Home,
    /// Its instructions.
    pub(crate) control: &'a Arc<Control>,
    /// The client's number in the process; never 0.
    pub(crate) number: u64,
}

/// What is known of a client that is on its way in, so that a fault can be told and logged.
struct Progress<'a> {
    port: Option<Port>,
    /// The session among those of its worker.
    session: (Arc<Control>, u64),
    /// What the console shows of a client that has proved who it is.
    registered: Option<Registered<'a>>,
    /// Claimed role and wanted database.
    claim: Option<(String, String)>,
    /// The server is to say whether the client's password is right.
    server_decides: bool,
}

impl Progress<'_> {
    fn new(session: (Arc<Control>, u64)) -> Self {
        Progress {
            port: None,
            session,
            registered: None,
            claim: None,
            server_decides: false,
        }
    }

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
    /// What the client does from now on, and its place among those that the console shows.
    fn stay<'f>(&'f self, entrant: Box<Entrant<'a>>) -> (Stay<'f>, Option<Registered<'a>>) {
        let Entrant {
            port,
            is_in,
            registered,
            number,
        } = unboxed(entrant);
        let stay: Stay<'f> = match (is_in, &registered) {
            (In::Linked(linked), _) => {
                let client = self.client_side(port, &linked.shown, number);
                Box::pin(self.relay(client, linked))
            }
            (In::Member(member), _) => {
                let client = self.client_side(port, &member.0.shown, number);
                Box::pin(self.share(client, member))
            }
            (In::Guest(guest), Some(it)) => {
                let shown = Arc::clone(&it.client);
                Box::pin(async move { self.talk(port, guest, &shown).await })
            }
            (In::Guest(_), None) => Box::pin(self.part(port)),
        };
        (stay, registered)
    }

    /// Lets the client in, or tells it why not; `None` if it is gone then.
    async fn enter(&self, incoming: Box<Incoming>) -> Option<Box<Entrant<'a>>> {
        let (end, number) = (incoming.login_end, incoming.number);
        let source = Source::of(self.address);
        let mut progress = Progress::new((Arc::clone(self.control), number));
        let seat = match self.context.door.arrive(incoming.listener, source) {
            Ok(seat) => seat,
            Err(fault) => {
                self.refuse(progress, fault).await;
                return None;
            }
        };
        let login = {
            let (socket, admission) = (incoming.socket, incoming.admission);
            let login = pin!(self.login(socket, admission, seat, &mut progress));
            tokio::time::timeout_at(end, login).await
        };
        let fault = match login {
            Ok(Ok(Some(is_in))) => {
                let mut port = progress.port?;
                let registered = progress.registered;
                port.meter = registered.as_ref().map(|it| Arc::clone(&it.client));
                return Some(Box::new(Entrant {
                    port,
                    is_in,
                    registered,
                    number,
                }));
            }
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
        progress: &mut Progress<'a>,
    ) -> Result<Option<In<'a>>, Fault> {
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
        let console = self.setup.is_console(&newcomer.database);
        // Who is to find out why there are so many clients must be able to come in.
        if admission == Admission::OverLimit && !console {
            let limit = self.setup.limits.max_client_conn as u64;
            let setting = "max_client_conn";
            return Err(Fault::new(Side::Proxy, FaultKind::Limit { setting, limit }));
        }
        self.context.door.check(seat.source(), &newcomer.user)?;
        let client_leg = leg::facts(
            port,
            self.listener.client_certificates != ClientCertificates::NotAsked,
        );
        let course = match console {
            true => Course::as_asked(&newcomer),
            false => self.course(&newcomer, &client_leg)?,
        };
        let entered = match console && self.is_ourselves(port) {
            true => None,
            false => {
                let newcomer = (&*newcomer, &course);
                Some(self.admit(port, newcomer, &client_leg, &mut seat).await?)
            }
        };
        progress.server_decides = matches!(entered, Some(Entered::Claims(_)));
        // What follows may wait long for a server: others log in meanwhile.
        seat.give_back();
        let facts = self.facts(port, (&newcomer, &course), &client_leg);
        let session = progress.session.clone();
        let registered = self.context.console.register(facts, session);
        let client = Arc::clone(&registered.client);
        progress.registered = Some(registered);
        let is_in = match entered {
            Some(entered) if !console => {
                let linked = async {
                    self.may_connect(&client).await?;
                    // Large, and many wait to come so far: its room is taken when they have.
                    let newcomer = (&*newcomer, &course);
                    Box::pin(self.link((port, &client), newcomer, entered, client_leg)).await
                };
                tokio::select! {
                    is_in = linked => is_in?,
                    () = client.killed() => {
                        return Err(Fault::new(Side::Proxy, FaultKind::Killed));
                    }
                }
            }
            entered => In::Guest(self.admit_to_console(port, &newcomer, entered.as_ref())?),
        };
        self.context.door.succeeded(seat.source(), &newcomer.user);
        Ok(Some(is_in))
    }

    /// Lets the client prove who it is.
    async fn admit(
        &self,
        port: &mut Port,
        (newcomer, course): (&Newcomer, &Course),
        leg: &LegFacts,
        seat: &mut Seat<'_>,
    ) -> Result<Entered, Fault> {
        let setup = self.setup;
        let from = (leg, self.address);
        let entry = entry::choose(setup, self.listener, newcomer, from)?;
        self.certificate(entry.certificate, newcomer, leg)?;
        let method = entry.method;
        let (user, database) = (&newcomer.user, &course.database);
        let stored = credentials::stored(self, method, user, database).await?;
        let mut step = Gate::start(Attempt {
            method,
            user,
            leg,
            stored,
            chance: chance::for_proof()?,
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

    pub(crate) async fn cancel(&self, request: &CancelRequest) {
        let limits = &self.setup.limits;
        let bounds = Bounds {
            at_once: limits.cancels_max,
            per_second: limits.cancels_per_second,
            deadline: self.setup.timeouts.cancel,
        };
        let (cancels, strangers) = (&self.context.cancels, &self.context.strangers);
        let asked = Asked {
            request,
            from: &self.peer,
            peers: &self.setup.peers,
            tcp: &self.setup.tcp,
        };
        match cancels.carry_out(&asked, bounds).await {
            Ok(Carried::Out) => log::cancelled(&self.peer),
            Ok(Carried::PassedOn(faults)) => {
                strangers.cancel(Event::CancelPassedOn, &self.peer, None);
                for fault in faults {
                    strangers.peer(fault);
                }
            }
            Ok(Carried::Unknown) => strangers.cancel(Event::CancelUnknown, &self.peer, None),
            Ok(Carried::Dropped) => strangers.cancel(Event::CancelDropped, &self.peer, None),
            Err(fault) => strangers.cancel(Event::CancelFailed, &self.peer, Some(&fault)),
        }
    }

    /// Tells the client why it can't come in, as far as it may know, and closes.
    async fn refuse(&self, progress: Progress<'_>, fault: Fault) {
        let claim = progress.claim.as_ref();
        self.context.console.faults.note(&fault);
        self.context.strangers.refused(&self.peer, claim, &fault);
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
pub(crate) enum Entered {
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
