//! Owns the start of a client inside its leg: the startup packet and the messages with which it
//! proves who it is.
//!
//! Takes plaintext, gives the newcomer or the next message's body; the proof itself is `auth`'s.
//! Source: manual, "Start-up".

use crate::fault::{Fault, FaultKind, Side};
use crate::wishes::Wishes;
use crate::wishes::startup::{Divided, split};
use buf::{Plain, Secret};
use std::sync::Arc;
use wire::frame::whole;
use wire::startup::{
    CancelRequest, Negotiated, Packet, ProtocolVersion, Replication, StartupMessage, first,
    negotiate,
};
use wire::{Message, StartupFault, from_client};

/// How the client got to where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// TLS at once: an SSLRequest inside it is answered with 'N'.
    DirectTls,
    /// TLS after an SSLRequest, or no TLS: further requests are protocol versions unheard of.
    Asked,
}

/// The first packet of the leg.
#[derive(Debug)]
pub enum Arrived {
    /// Somebody wants a session.
    Newcomer(Box<Newcomer>),
    /// Somebody wants to cancel one.
    Cancel(CancelRequest),
}

/// A client that has said who it claims to be.
#[derive(Debug)]
pub struct Newcomer {
    /// The claimed role, cut to 63 bytes as the server does.
    pub user: String,
    /// The wanted database, likewise; the role's name if none was given.
    pub database: String,
    /// A session of SQL or of replication.
    pub replication: Replication,
    /// The version that both sides speak.
    pub version: ProtocolVersion,
    /// The packet, with all parameters.
    pub startup: StartupMessage,
}

/// Takes the first packet off `input`; `None` asks for more. Answers to the packet go to `output`.
pub fn first_packet(
    reached: &mut Reached,
    input: &mut Plain,
    output: &mut Plain,
) -> Result<Option<Arrived>, Fault> {
    loop {
        let found = first(input.bytes()).map_err(|fault| startup(&fault))?;
        let Some((packet, len)) = found else {
            return Ok(None);
        };
        input.consume(len);
        match packet {
            Packet::Cancel(request) => return Ok(Some(Arrived::Cancel(request))),
            Packet::Startup(message) => {
                return newcomer(message, output).map(|who| Some(Arrived::Newcomer(who)));
            }
            Packet::Ssl | Packet::Gss if *reached == Reached::DirectTls => {
                *reached = Reached::Asked;
                put(output.push(b"N"))?;
            }
            Packet::Ssl => return Err(unsupported(1234, 5679)),
            Packet::Gss => return Err(unsupported(1234, 5680)),
        }
    }
}

fn newcomer(message: StartupMessage, output: &mut Plain) -> Result<Box<Newcomer>, Fault> {
    let negotiated: Negotiated =
        negotiate(&message, &[], ProtocolVersion::V3_2).map_err(|fault| startup(&fault))?;
    if let Some(answer) = negotiated.answer() {
        put(answer.encode(output))?;
    }
    let name = |text: Result<wire::Text<'_>, StartupFault>| -> Result<String, Fault> {
        let text = text.map_err(|fault| startup(&fault))?;
        let what = "a role or database name is not UTF-8";
        text.utf8()
            .map(str::to_owned)
            .ok_or_else(|| Fault::new(Side::Client, FaultKind::Malformed { tag: 0, what }))
    };
    Ok(Box::new(Newcomer {
        user: name(message.user())?,
        database: name(message.database())?,
        replication: message.replication().map_err(|fault| startup(&fault))?,
        version: negotiated.version,
        startup: message,
    }))
}

/// What a `p` message is to be; on the wire all of them look the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// PasswordMessage.
    Password,
    /// SASLInitialResponse or SASLResponse.
    Sasl,
}

/// Takes the body of the client's next `p` message off `input`; `None` asks for more.
pub fn proof(awaited: Awaited, input: &mut Plain) -> Result<Option<Secret>, Fault> {
    let limit = |tag| match (tag, awaited) {
        (from_client::tag::PASSWORD, Awaited::Password) => from_client::PASSWORD,
        (from_client::tag::PASSWORD, Awaited::Sasl) => from_client::SASL,
        _ => 0,
    };
    let kind = match whole(input.bytes(), limit) {
        Ok(None) => return Ok(None),
        Ok(Some(frame)) => {
            let body = Secret::new(frame.body);
            let total = frame.total;
            input.consume(total);
            return Ok(Some(body));
        }
        Err(fault) if fault.limit == 0 => FaultKind::NoProof {
            tag: fault.tag,
            awaited,
        },
        Err(fault) => FaultKind::BadLength {
            tag: fault.tag,
            len: fault.len,
        },
    };
    Err(Fault::new(Side::Client, kind))
}

/// The startup packet for a server: the client's own parameters under the server's names.
pub fn startup_for_server(
    newcomer: &Newcomer,
    user: &str,
    database: &str,
) -> Result<StartupMessage, Fault> {
    let own: [(&[u8], &[u8]); 2] = [
        (b"user", user.as_bytes()),
        (b"database", database.as_bytes()),
    ];
    let others = newcomer
        .startup
        .parameters()
        .map(|(name, value)| (name.bytes(), value.bytes()))
        .filter(|(name, _)| {
            *name != b"user" && *name != b"database" && !name.starts_with(b"_pq_.")
        });
    StartupMessage::new(newcomer.version, own.into_iter().chain(others)).map_err(|_| {
        let what = "parameters are too long with the server's names";
        Fault::new(Side::Client, FaultKind::Malformed { tag: 0, what })
    })
}

/// The same for a connection that clients share: what a session can set by itself stays out of the packet
/// and is what the client wishes for. `tracked` names more parameters that every role may set,
/// `ignored` those that are left out altogether; both in lower case.
pub fn startup_for_shared(
    newcomer: &Newcomer,
    (user, database): (&str, &str),
    (tracked, ignored): (&[String], &[String]),
) -> Result<(StartupMessage, Arc<Wishes>), Fault> {
    let Divided { wishes, rest } = split(&newcomer.startup, tracked);
    let own: [(&[u8], &[u8]); 2] = [
        (b"user", user.as_bytes()),
        (b"database", database.as_bytes()),
    ];
    let kept = |name: &[u8]| {
        !ignored
            .iter()
            .any(|it| name.eq_ignore_ascii_case(it.as_bytes()))
    };
    let rest = rest.iter().filter(|(name, _)| kept(name));
    let rest = rest.map(|(name, value)| (&**name, value.expose()));
    let message = StartupMessage::new(newcomer.version, own.into_iter().chain(rest));
    let message = message.map_err(|_| {
        let what = "parameters are too long with the server's names";
        Fault::new(Side::Client, FaultKind::Malformed { tag: 0, what })
    })?;
    Ok((message, wishes))
}

fn startup(fault: &StartupFault) -> Fault {
    let kind = match fault {
        StartupFault::Length { len } | StartupFault::Request { len, .. } => {
            FaultKind::BadLength { tag: 0, len: *len }
        }
        StartupFault::Version(version) => return unsupported(version.major, version.minor),
        StartupFault::NoUser => FaultKind::NoUser,
        StartupFault::Layout => FaultKind::Malformed {
            tag: 0,
            what: "expected terminator as last byte",
        },
        _ => FaultKind::Malformed {
            tag: 0,
            what: "invalid value of a parameter",
        },
    };
    Fault::new(Side::Client, kind)
}

fn unsupported(major: u16, minor: u16) -> Fault {
    Fault::new(Side::Client, FaultKind::UnsupportedVersion { major, minor })
}

fn put(result: Result<(), buf::Full>) -> Result<(), Fault> {
    result.map_err(|_| {
        let what = "its answer doesn't fit into the output buffer";
        Fault::new(Side::Client, FaultKind::Malformed { tag: 0, what })
    })
}
