//! Owns the passage of frames from a server to its client: each is settled in the ledger, which says
//! whether it passes, or was owed to a request of ours.

use super::Relayed;
use crate::fault::{Fault, FaultKind, Side};
use crate::ledger::{Fate, Status};
use crate::server::Server;
use buf::Plain;
use wire::frame::{HEADER, Header};
use wire::from_server;
use wire::run::bulk;

/// Frames from the server to the client, each settled in the ledger.
pub fn to_client(
    server: &mut Server,
    input: &mut Plain,
    output: &mut Plain,
) -> Result<Relayed, Fault> {
    let mut done = 0;
    let mut relayed = Relayed::Open;
    let result = loop {
        let rest = &input.bytes()[done..];
        if server.passing > 0 {
            let count = server.passing.min(rest.len());
            server.passing -= count;
            done += count;
            if server.passing > 0 {
                break Ok(());
            }
            continue;
        }
        if server.ledger.has_said() {
            input.pour(done, output);
            done = 0;
            if output.room() < HEADER {
                break Ok(());
            }
            say(server, output);
            continue;
        }
        if relayed == Relayed::ServerEnding {
            break Ok(());
        }
        let Some(header) = Header::peek(rest) else {
            break Ok(());
        };
        match reply(server, header, rest) {
            Ok(Step::Pass(count)) => done += count,
            Ok(Step::Stream) => server.passing = header.total(),
            Ok(Step::Wait) => break Ok(()),
            Ok(Step::Drop) => {
                input.pour(done, output);
                done = 0;
                input.consume(header.total());
            }
            Ok(Step::Fatal) => {
                relayed = Relayed::ServerEnding;
                server.passing = header.total();
            }
            Err(fault) => break Err(fault),
        }
    };
    input.pour(done, output);
    result.map(|()| relayed)
}

/// Replies that are ours to make, whose turn it is.
fn say(server: &mut Server, output: &mut Plain) {
    if let Some(tag) = server.ledger.take_said() {
        let header = Header { tag, len: 4 };
        let pushed = output.push(&header.bytes());
        debug_assert!(pushed.is_ok());
    }
}

enum Step {
    /// So many bytes of whole frames pass.
    Pass(usize),
    /// The frame passes as it comes.
    Stream,
    /// More of the frame has to be here first.
    Wait,
    /// The frame, which is here as a whole, is not the client's.
    Drop,
    /// A FATAL ErrorResponse passes as it comes and is the last frame.
    Fatal,
}

/// Judges the frame at the front of `bytes`.
fn reply(server: &mut Server, header: Header, bytes: &[u8]) -> Result<Step, Fault> {
    let bad = |kind| Err(Fault::new(Side::Server, kind));
    match from_server::limit(header.tag) {
        None => return bad(FaultKind::UnknownMessage { tag: header.tag }),
        Some(limit) if header.len < 4 || header.len > limit => {
            return bad(FaultKind::BadLength {
                tag: header.tag,
                len: header.len,
            });
        }
        Some(_) => {}
    }
    match header.tag {
        b'D' if server.ledger.rows_due() => Ok(stream(bytes, b'D')),
        b'd' if server.ledger.copy_data_due() => Ok(stream(bytes, b'd')),
        b'E' => error(server, header, bytes),
        // Part of a login; never due afterwards.
        b'R' | b'K' | b'v' => bad(FaultKind::LoginMessageLater { tag: header.tag }),
        _ if server.ledger.is_ours() => ours(server, header, bytes),
        b'N' | b'A' => Ok(Step::Stream),
        b'S' => match whole(header, bytes) {
            Some(body) => {
                server.report(body)?;
                Ok(Step::Pass(header.total()))
            }
            None => Ok(Step::Wait),
        },
        b'Z' => match whole(header, bytes) {
            Some(body) => {
                server.ready(body)?;
                server.traffic.answered(server.status == Status::Idle);
                Ok(Step::Pass(header.total()))
            }
            None => Ok(Step::Wait),
        },
        tag => Ok(match server.reply(tag)? {
            Fate::Forward => Step::Stream,
            // ParseComplete and CloseComplete: a header alone.
            _ if bytes.len() >= header.total() => Step::Drop,
            _ => {
                return bad(FaultKind::BadLength {
                    tag,
                    len: header.len,
                });
            }
        }),
    }
}

/// A message while a Query of ours is answered.
fn ours(server: &mut Server, header: Header, bytes: &[u8]) -> Result<Step, Fault> {
    let tag = header.tag;
    if header.body() > from_server::SHORT as usize {
        let len = header.len;
        return Err(Fault::new(Side::Server, FaultKind::BadLength { tag, len }));
    }
    let Some(body) = whole(header, bytes) else {
        return Ok(Step::Wait);
    };
    match tag {
        b'N' => {}
        // Nobody listens on a connection that is prepared for somebody else.
        b'A' => {}
        b'S' => server.report(body)?,
        b'Z' => {
            server.ready(body)?;
        }
        tag => {
            if server.reply(tag)? == Fate::Observe && tag == b'D' {
                server.observe(body)?;
            }
        }
    }
    Ok(Step::Drop)
}

fn error(server: &mut Server, header: Header, bytes: &[u8]) -> Result<Step, Fault> {
    let severity = severity(header, bytes);
    match severity {
        Severity::Unseen => Ok(Step::Wait),
        // The client's own request, right behind, was not reached or not meant for such a session.
        _ if server.ledger.is_ours() => Err(Fault::new(Side::Server, FaultKind::NotRestored)),
        Severity::Fatal => Ok(Step::Fatal),
        Severity::Error => {
            server.reply(b'E')?;
            Ok(Step::Stream)
        }
    }
}

/// The longest run of whole frames, or else the start of one that passes in pieces.
#[inline]
fn stream(bytes: &[u8], tag: u8) -> Step {
    match bulk(bytes, tag).bytes {
        0 => Step::Stream,
        count => Step::Pass(count),
    }
}

fn whole(header: Header, bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(HEADER..header.total())
}

enum Severity {
    Unseen,
    Error,
    Fatal,
}

/// Reads the severity of an ErrorResponse from as much of it as is here. PostgreSQL sends S and
/// V first; a server that hides them behind more than a few kB is taken as saying ERROR.
fn severity(header: Header, bytes: &[u8]) -> Severity {
    const LOOK_AHEAD_MAX: usize = 8192;
    let wanted = header.total().min(LOOK_AHEAD_MAX);
    if bytes.len() < wanted {
        return Severity::Unseen;
    }
    let mut localised = None;
    for field in bytes[HEADER..wanted].split(|byte| *byte == 0) {
        match field.split_first() {
            Some((b'V', value)) => return rank(value),
            Some((b'S', value)) => localised = Some(value),
            _ => {}
        }
    }
    localised.map_or(Severity::Error, rank)
}

fn rank(value: &[u8]) -> Severity {
    match value {
        b"FATAL" | b"PANIC" => Severity::Fatal,
        _ => Severity::Error,
    }
}
