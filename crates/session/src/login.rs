//! Owns Portcullis's login to a server, from the startup packet to ReadyForQuery.
//!
//! Takes the server's plaintext, gives events: a request of the authentication (whose answer the
//! caller works out with `auth::Answer`) or the finished [`Server`] with the messages a client is
//! to see. The server is taken for hostile: every message is bounded, and so is their number.

use crate::fault::{Fault, FaultKind, ServerWords, Side};
use crate::server::{Reported, Server};
use buf::{Full, Plain, Secret};
use wire::frame::{Frame, whole};
use wire::from_server::{self, BackendKeyData, ErrorResponse, NegotiateProtocolVersion};
use wire::startup::{StartupMessage, accept_answer};
use wire::{Message, ProtocolVersion};

/// Messages that a login may take; PostgreSQL needs about 20.
const MESSAGES_MAX: usize = 1000;

/// A login under way.
#[derive(Debug)]
pub struct Dialogue {
    phase: Phase,
    sent: StartupMessage,
    version: ProtocolVersion,
    reported: Reported,
    key: Option<BackendKeyData>,
    welcome: Plain,
    messages: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing has come: a version may be negotiated, once.
    Opening,
    /// Until AuthenticationOk.
    Authenticating,
    /// Until ReadyForQuery.
    Settling,
}

/// What the server's messages amount to.
#[derive(Debug)]
pub enum LoginEvent {
    /// The body of an authentication request. Answer it, or call [`Dialogue::accepted`].
    Request(Secret),
    /// The login is complete.
    Ready(Box<Server>, Welcome),
}

/// ParameterStatus and NoticeResponse of the login, as they came, for the client.
#[derive(Debug)]
pub struct Welcome(pub Plain);

impl Dialogue {
    /// A login that begins with this packet. What the client is to see of it is collected in
    /// `welcome`, whose capacity bounds it.
    pub fn new(sent: StartupMessage, welcome: Plain) -> Dialogue {
        Dialogue {
            phase: Phase::Opening,
            version: sent.version(),
            sent,
            reported: Reported::default(),
            key: None,
            welcome,
            messages: 0,
        }
    }

    /// The authentication is over and the server has proved what it had to.
    pub fn accepted(&mut self) {
        self.phase = Phase::Settling;
    }

    /// Takes messages off `input` up to the next event; `None` asks for more input.
    pub fn step(&mut self, input: &mut Plain) -> Result<Option<LoginEvent>, Fault> {
        loop {
            let phase = self.phase;
            let limit = |tag| match phase {
                Phase::Opening | Phase::Authenticating => {
                    from_server::limit_before_auth(tag).unwrap_or(0)
                }
                Phase::Settling => from_server::limit(tag).unwrap_or(0).min(from_server::SHORT),
            };
            let frame = match whole(input.bytes(), limit) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(None),
                Err(fault) if fault.limit == 0 => return Err(out_of_phase(fault.tag, phase)),
                Err(fault) => {
                    return Err(Fault::new(
                        Side::Server,
                        FaultKind::BadLength {
                            tag: fault.tag,
                            len: fault.len,
                        },
                    ));
                }
            };
            self.messages += 1;
            if self.messages > MESSAGES_MAX {
                return Err(malformed(frame.tag, "too many messages in a login"));
            }
            let total = frame.total;
            let event = self.message(frame);
            input.consume(total);
            if let Some(event) = event? {
                return Ok(Some(event));
            }
        }
    }

    fn message(&mut self, frame: Frame<'_>) -> Result<Option<LoginEvent>, Fault> {
        match (self.phase, frame.tag) {
            (_, b'E') => Err(refused(frame.body)),
            (Phase::Opening | Phase::Authenticating, b'R') => {
                self.phase = Phase::Authenticating;
                Ok(Some(LoginEvent::Request(Secret::new(frame.body))))
            }
            (Phase::Opening, b'v') => self.negotiated(frame.body).map(|()| None),
            (Phase::Settling, b'S') => {
                self.reported.note(frame.body)?;
                self.keep(&frame).map(|()| None)
            }
            (Phase::Settling, b'N') => self.keep(&frame).map(|()| None),
            (Phase::Settling, b'K') => {
                let key = BackendKeyData::decode(frame.body)
                    .ok()
                    .filter(|key| key.fits(self.version) && self.key.is_none())
                    .ok_or_else(|| malformed(b'K', "cancel key"))?;
                self.key = Some(key);
                Ok(None)
            }
            (Phase::Settling, b'Z') if frame.body == b"I" => {
                let server = Server::new(
                    self.version,
                    self.key.take(),
                    std::mem::take(&mut self.reported),
                );
                let welcome = std::mem::replace(&mut self.welcome, Plain::none());
                Ok(Some(LoginEvent::Ready(Box::new(server), Welcome(welcome))))
            }
            (phase, tag) => Err(out_of_phase(tag, phase)),
        }
    }

    fn negotiated(&mut self, body: &[u8]) -> Result<(), Fault> {
        let answer = NegotiateProtocolVersion::decode(body)
            .map_err(|_| malformed(b'v', "version and options"))?;
        self.version = accept_answer(&answer, &self.sent, ProtocolVersion::V3_0)
            .map_err(|_| malformed(b'v', "a version that was not asked for"))?;
        self.phase = Phase::Authenticating;
        Ok(())
    }

    fn keep(&mut self, frame: &Frame<'_>) -> Result<(), Fault> {
        let header = wire::frame::Header {
            tag: frame.tag,
            len: frame.body.len() as u32 + 4,
        };
        let kept: Result<(), Full> = self
            .welcome
            .push(&header.bytes())
            .and_then(|()| self.welcome.push(frame.body));
        kept.map_err(|_| malformed(frame.tag, "more parameters and notices than a login has"))
    }
}

/// The server's own words go to the client only if they say what clients act on.
fn refused(body: &[u8]) -> Fault {
    let sqlstate = ErrorResponse::decode(body)
        .ok()
        .and_then(|error| error.fields.sqlstate())
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .filter(|code| code.len() == 5 && code.bytes().all(|b| b.is_ascii_alphanumeric()));
    let Some(sqlstate) = sqlstate else {
        return malformed(b'E', "no SQLSTATE");
    };
    let header = wire::frame::Header {
        tag: b'E',
        len: body.len() as u32 + 4,
    };
    Fault::new(
        Side::Server,
        FaultKind::ServerRefused {
            sqlstate,
            response: ServerWords([&header.bytes()[..], body].concat()),
        },
    )
}

fn malformed(tag: u8, what: &'static str) -> Fault {
    Fault::new(Side::Server, FaultKind::Malformed { tag, what })
}

fn out_of_phase(tag: u8, phase: Phase) -> Fault {
    Fault::new(
        Side::Server,
        FaultKind::OutOfPhase {
            tag,
            phase: match phase {
                Phase::Opening | Phase::Authenticating => "the server's authentication",
                Phase::Settling => "the server's start",
            },
        },
    )
}
