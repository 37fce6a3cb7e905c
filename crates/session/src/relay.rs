//! Owns the passage of frames between a client and the server leased to it.
//!
//! Takes plaintext of one side and gives it to the other as it came, after each frame's header was
//! judged against the protocol and the ledger. A body that needs no judging passes in pieces,
//! so a 1 GiB row or Bind needs one buffer. Each direction moves at most what one read produced:
//! it runs only when the other side's output is empty, which bounds memory and lets the two
//! buffers change places instead of being copied.

use crate::client::ClientStream;
use crate::fault::{Fault, FaultKind, Side};
use crate::ledger::Request;
use crate::server::Server;
use buf::Plain;
use wire::frame::{HEADER, Header};
use wire::run::bulk;
use wire::{from_client, from_server};

/// What became of one direction's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relayed {
    /// Whole and partial frames passed; the session goes on.
    Open,
    /// The client's Terminate is the next frame.
    Terminated,
    /// The server's FATAL ErrorResponse passed: the server closes next.
    ServerEnding,
}

/// Frames from the client to the server, until input or the pipeline's limit ends.
pub fn to_server(
    client: &mut ClientStream,
    server: &mut Server,
    input: &mut Plain,
    output: &mut Plain,
) -> Result<Relayed, Fault> {
    let mut done = 0;
    let mut relayed = Relayed::Open;
    let result = loop {
        let rest = &input.bytes()[done..];
        if client.passing > 0 {
            let count = client.passing.min(rest.len());
            client.passing -= count;
            done += count;
            if client.passing > 0 {
                break Ok(());
            }
            continue;
        }
        let Some(header) = Header::peek(rest) else {
            break Ok(());
        };
        if server.ledger.len() >= client.pipeline_max {
            break Ok(());
        }
        if header.tag == from_client::tag::COPY_DATA {
            let run = bulk(rest, from_client::tag::COPY_DATA);
            if run.bytes > 0 {
                done += run.bytes;
                continue;
            }
        }
        match request(header, rest) {
            Ok(Some(request)) => server.ledger.request(request),
            Ok(None) => break Ok(()),
            Err(fault) => break Err(fault),
        }
        // The caller ends the server's session with a Terminate of its own.
        if header.tag == from_client::tag::TERMINATE {
            relayed = Relayed::Terminated;
            break Ok(());
        }
        client.passing = header.total();
    };
    input.pour(done, output);
    result.map(|()| relayed)
}

/// What the frame at the front of `bytes` makes the server owe; `None` if that can't be said
/// before more of it is here.
fn request(header: Header, bytes: &[u8]) -> Result<Option<Request>, Fault> {
    let Some(limit) = from_client::limit(header.tag) else {
        return Err(Fault::new(
            Side::Client,
            FaultKind::UnknownMessage { tag: header.tag },
        ));
    };
    if header.len < 4 || header.len > limit {
        return Err(Fault::new(
            Side::Client,
            FaultKind::BadLength {
                tag: header.tag,
                len: header.len,
            },
        ));
    }
    Ok(Some(match header.tag {
        b'Q' => Request::Query,
        b'P' => Request::Parse,
        b'B' => Request::Bind,
        b'E' => Request::Execute,
        b'C' => Request::Close,
        b'S' => Request::Sync,
        b'F' => Request::FunctionCall,
        b'c' | b'f' => Request::CopyEnd,
        b'D' => match bytes.get(HEADER) {
            _ if header.body() == 0 => Request::DescribePortal,
            Some(b'S') => Request::DescribeStatement,
            Some(_) => Request::DescribePortal,
            None => return Ok(None),
        },
        _ => Request::Nothing,
    }))
}

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

enum Step {
    /// So many bytes of whole frames pass.
    Pass(usize),
    /// The frame passes as it comes.
    Stream,
    /// More of the frame has to be here first.
    Wait,
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
                Ok(Step::Pass(header.total()))
            }
            None => Ok(Step::Wait),
        },
        b'E' => match severity(header, bytes) {
            Severity::Unseen => Ok(Step::Wait),
            Severity::Fatal => Ok(Step::Fatal),
            Severity::Error => {
                server.reply(b'E')?;
                Ok(Step::Stream)
            }
        },
        // Part of a login; never due afterwards.
        b'R' | b'K' | b'v' => bad(FaultKind::LoginMessageLater { tag: header.tag }),
        tag => {
            server.reply(tag)?;
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
