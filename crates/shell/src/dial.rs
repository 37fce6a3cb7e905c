//! Owns the way to a server: name look-up, TCP, the beginning of TLS by either negotiation, and the
//! login. Every step has its fault; the whole has one deadline, which the caller holds.

use crate::chance;
use crate::clusters::Via;
use crate::derive::Deriver;
use crate::leg;
use crate::lend;
use crate::port::{Arrived, Port};
use crate::setup::{Host, HostAddress, Negotiation, ServerTls, TcpOptions};
use crate::socket::Socket;
use crate::tcp;
use auth::{Accepted, Answer, AnswerStep, Credential, Derivation, LegFacts, ScramKeys, ServerUser};
use buf::{Cipher, Plain, Secret};
use observe::{Handshakes, Leg};
use session::Server;
use session::fault::{Fault, FaultKind, Side};
use session::greeting::Preamble;
use session::login::{Dialogue, LoginEvent, Welcome};
use session::welcome::put_response;
use std::future::poll_fn;
use std::sync::Arc;
use tls::{Engine, ServerName, Upkeep};
use wire::startup::StartupMessage;

/// A server connection whose login is complete.
pub struct Dialled {
    /// Our end.
    pub port: Port,
    /// Its state.
    pub server: Server,
    /// What the client is to see of the login.
    pub welcome: Welcome,
    /// What the server asked for.
    pub accepted: Accepted,
    /// The leg's facts.
    pub leg: LegFacts,
    /// Where it is.
    pub host: Arc<Host>,
    /// For what in a cluster it was made, if for any.
    pub(crate) via: Option<Via>,
}

/// Who logs in, and as what.
pub struct ServerLogin<'a> {
    /// The role.
    pub user: &'a ServerUser,
    /// What proves it.
    pub credential: Credential,
    /// The startup packet.
    pub startup: &'a StartupMessage,
}

/// Connects and logs in to the first host that can be reached.
pub async fn dial(
    hosts: &[Arc<Host>],
    options: &TcpOptions,
    deriver: &Deriver,
    login: ServerLogin<'_>,
) -> Result<Dialled, Fault> {
    let mut last = None;
    for host in hosts {
        match reach(host, options, deriver.handshakes()).await {
            Ok(port) => {
                let logged_in = log_in(port, host, deriver, login).await;
                return logged_in.map_err(unreachable);
            }
            Err(fault) => last = Some(unreachable(fault)),
        }
    }
    Err(last.unwrap_or_else(|| {
        Fault::new(
            Side::Server,
            FaultKind::Io {
                phase: "connecting",
                cause: "no host is configured".to_owned(),
            },
        )
    }))
}

/// A connection that breaks before the client is welcomed is one that could not be made: another
/// host may do.
fn unreachable(fault: Fault) -> Fault {
    match (fault.side, &fault.kind) {
        (
            Side::Server,
            FaultKind::Tls { .. }
            | FaultKind::Lost { .. }
            | FaultKind::Io {
                phase: "reading" | "writing",
                ..
            },
        ) => {
            let cause = fault.kind.to_string();
            let phase = "connecting";
            Fault::new(Side::Server, FaultKind::Io { phase, cause })
        }
        _ => fault,
    }
}

/// Connects, up to the end of the TLS handshake.
pub async fn reach(
    host: &Host,
    options: &TcpOptions,
    handshakes: &Handshakes,
) -> Result<Port, Fault> {
    let socket = match &host.address {
        HostAddress::Tcp(name, port) => Socket::Tcp(tcp::connect(name, *port, options).await?),
        HostAddress::Unix(path) => {
            let connected = tokio::net::UnixStream::connect(path).await;
            Socket::Unix(connected.map_err(|error| {
                let cause = error.to_string();
                let phase = "connecting";
                Fault::new(Side::Server, FaultKind::Io { phase, cause })
            })?)
        }
    };
    match &host.tls {
        ServerTls::UnencryptedByConfiguration => Ok(unencrypted(socket)),
        ServerTls::Required {
            context,
            name,
            negotiation: Negotiation::Direct,
            ..
        } => {
            let mut port = encrypted(socket, (context, &host.upkeep), name)?;
            shake_hands(&mut port, handshakes).await?;
            match port.engine().alpn() {
                Some(b"postgresql") => Ok(port),
                _ => Err(Fault::new(Side::Server, FaultKind::AlpnMissing)),
            }
        }
        ServerTls::Required { context, name, .. } => match ask_for_tls(socket).await? {
            Asked::Granted(socket) => {
                let mut port = encrypted(socket, (context, &host.upkeep), name)?;
                shake_hands(&mut port, handshakes).await?;
                Ok(port)
            }
            Asked::Refused(_) => Err(Fault::new(Side::Server, FaultKind::ServerRefusesTls)),
        },
        ServerTls::Preferred { context, name } => match ask_for_tls(socket).await? {
            Asked::Granted(socket) => {
                let mut port = encrypted(socket, (context, &host.upkeep), name)?;
                shake_hands(&mut port, handshakes).await?;
                Ok(port)
            }
            Asked::Refused(socket) => Ok(unencrypted(socket)),
        },
    }
}

async fn shake_hands(port: &mut Port, handshakes: &Handshakes) -> Result<(), Fault> {
    let under_way = handshakes.begin(Leg::Server);
    port.handshake().await?;
    port.note_handshake(under_way);
    Ok(())
}

/// Gives back a welcome that no client is to see.
pub(crate) fn forget(mut welcome: Welcome) {
    welcome.0.clear();
    lend::give_back_plain(&mut welcome.0);
}

enum Asked {
    Granted(Socket),
    Refused(Socket),
}

/// Sends SSLRequest and reads exactly one byte. Whatever else comes before TLS is an attack or an
/// error of a server that proved nothing yet: neither is shown (CVE-2021-23222, CVE-2024-10977).
async fn ask_for_tls(mut socket: Socket) -> Result<Asked, Fault> {
    let io = |phase, error: std::io::Error| {
        let cause = error.to_string();
        Fault::new(Side::Server, FaultKind::Io { phase, cause })
    };
    let mut raw = Cipher::with_capacity(16);
    let request = Preamble::SslRequest.bytes();
    raw.push(request)
        .map_err(|full| io("writing", std::io::Error::other(full)))?;
    poll_fn(|cx| socket.poll_write(cx, &mut raw))
        .await
        .map_err(|error| io("writing", error))?;
    let count = poll_fn(|cx| socket.poll_read(cx, &mut raw, 16))
        .await
        .map_err(|error| io("reading", error))?;
    match (count, raw.bytes()) {
        (0, _) => Err(Fault::new(
            Side::Server,
            FaultKind::Lost { truncated: false },
        )),
        (1, b"S") => Ok(Asked::Granted(socket)),
        (1, b"N") => Ok(Asked::Refused(socket)),
        (_, [b'S' | b'N', ..]) => Err(Fault::new(
            Side::Server,
            FaultKind::PlaintextBehindTlsAnswer,
        )),
        _ => Err(Fault::new(Side::Server, FaultKind::ServerRefusesTls)),
    }
}

fn encrypted(
    socket: Socket,
    (context, upkeep): (&tls::ServerContext, &Upkeep),
    name: &ServerName,
) -> Result<Port, Fault> {
    let mut engine = Engine::connect(context, name).map_err(|fault| {
        let cause = fault.to_string();
        Fault::new(Side::Server, FaultKind::Tls { cause })
    })?;
    engine.uphold(upkeep, chance::spread());
    Ok(Port::new(Side::Server, socket, engine, Cipher::none()))
}

fn unencrypted(socket: Socket) -> Port {
    let engine = Engine::unencrypted_by_configuration();
    Port::new(Side::Server, socket, engine, Cipher::none())
}

/// True if the mode checks the server's certificate.
pub fn verifies(tls: &ServerTls) -> bool {
    matches!(tls, ServerTls::Required { verified: true, .. })
}

async fn log_in(
    mut port: Port,
    host: &Arc<Host>,
    deriver: &Deriver,
    login: ServerLogin<'_>,
) -> Result<Dialled, Fault> {
    let leg = leg::facts(&port, verifies(&host.tls));
    let mut answer = Answer::start(auth::ServerLogin {
        user: login.user,
        credential: login.credential,
        leg: &leg,
        rules: &host.rules,
        nonce: chance::bytes()?,
    })
    .map_err(refuse)?;
    full(login.startup.encode(port.room()))?;
    let mut welcome = Plain::none();
    lend::borrow_plain(&mut welcome);
    let mut dialogue = Dialogue::new(login.startup.clone(), welcome);
    let mut derived = None;
    loop {
        match converse(&mut port, |input, _| dialogue.step(input)).await? {
            LoginEvent::Request(body) => {
                match answer_request(answer, body, deriver, &mut derived).await? {
                    Answered::Send(body, next) => {
                        full(put_response(body.expose(), port.room()))?;
                        answer = next;
                    }
                    Answered::Await(next) => answer = next,
                    Answered::Accepted(accepted) => {
                        if let Some((question, keys)) = &derived {
                            deriver.keep(question, keys);
                        }
                        dialogue.accepted();
                        return settle(port, dialogue, accepted, leg, host).await;
                    }
                }
            }
            LoginEvent::Ready(..) => {
                return Err(refuse(auth::AuthFault::OutOfTurn));
            }
        }
    }
}

enum Answered {
    Send(Secret, Answer),
    Await(Answer),
    Accepted(Accepted),
}

async fn answer_request(
    answer: Answer,
    body: Secret,
    deriver: &Deriver,
    derived: &mut Option<(Derivation, ScramKeys)>,
) -> Result<Answered, Fault> {
    let mut step = answer.on_request(body.expose());
    loop {
        step = match step {
            AnswerStep::Send(response, next) => return Ok(Answered::Send(response.body, next)),
            AnswerStep::Expect(next) => return Ok(Answered::Await(next)),
            AnswerStep::Done(accepted) => return Ok(Answered::Accepted(accepted)),
            AnswerStep::Fault(fault) => return Err(refuse(fault)),
            AnswerStep::Derive(question, next) => {
                let keys = deriver.keys(&question).await;
                if let Ok(keys) = &keys {
                    derived.replace((question, keys.clone()));
                }
                next.on_derived(keys)
            }
        }
    }
}

async fn settle(
    mut port: Port,
    mut dialogue: Dialogue,
    accepted: Accepted,
    leg: LegFacts,
    host: &Arc<Host>,
) -> Result<Dialled, Fault> {
    match converse(&mut port, |input, _| dialogue.step(input)).await? {
        LoginEvent::Ready(server, welcome) => Ok(Dialled {
            port,
            server: *server,
            welcome,
            accepted,
            leg,
            host: Arc::clone(host),
            via: None,
        }),
        LoginEvent::Request(_) => Err(refuse(auth::AuthFault::OutOfTurn)),
    }
}

/// Sends what waits, then reads until `step` has something; also sends what it put into the output.
pub async fn converse<T>(
    port: &mut Port,
    mut step: impl FnMut(&mut Plain, &mut Plain) -> Result<Option<T>, Fault>,
) -> Result<T, Fault> {
    loop {
        lend::borrow_plain(&mut port.plain_in);
        lend::borrow_plain(&mut port.plain_out);
        let found = step(&mut port.plain_in, &mut port.plain_out);
        port.rest();
        if let Some(found) = found? {
            return Ok(found);
        }
        port.send().await?;
        if let Arrived::End(end) = port.receive().await? {
            let truncated = end == tls::EndOfInput::Truncated;
            return Err(Fault::new(port.side(), FaultKind::Lost { truncated }));
        }
    }
}

/// A message that doesn't fit into an empty buffer.
pub fn full(result: Result<(), buf::Full>) -> Result<(), Fault> {
    result.map_err(|full| {
        let cause = format!("a login message is too long: {full}");
        Fault::new(Side::Proxy, FaultKind::ServerLogin { cause })
    })
}

fn refuse(fault: auth::AuthFault) -> Fault {
    let cause = fault.to_string();
    Fault::new(Side::Server, FaultKind::ServerLogin { cause })
}
