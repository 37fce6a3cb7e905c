//! Owns the passage of frames from a server to its client: each is settled in the ledger, which says
//! whether it passes, or was owed to a request of ours.

use super::Relayed;
use super::tags::{PREPARED, changes_reading, is_all_gone, may_tell, tells_of_stale};
use crate::client::ClientStream;
use crate::fault::{Fault, FaultKind, Side};
use crate::ledger::{Fate, Status};
use crate::server::Server;
use crate::statements::{Pooled, REFUSAL_BYTES_MAX, Refusal};
use buf::Plain;
use wire::frame::{HEADER, Header};
use wire::from_server;
use wire::run::bulk;

/// Frames from the server to the client, each settled in the ledger. Also to be called without
/// input while the ledger has something to say ([`crate::ledger::Ledger::has_said`]).
pub fn to_client(
    client: &mut ClientStream,
    server: &mut Server,
    input: &mut Plain,
    output: &mut Plain,
) -> Result<Relayed, Fault> {
    match &mut client.pooled {
        None => relay::<false>(None, server, input, output),
        Some(pooled) => relay::<true>(Some(pooled), server, input, output),
    }
}

/// The same with what a client shares, or without a trace of it.
fn relay<const POOLED: bool>(
    mut pooled: Option<&mut Pooled>,
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
        // Nothing comes behind a FATAL error, what is ours to say neither.
        if relayed == Relayed::ServerEnding || server.ending {
            break Ok(());
        }
        if server.ledger.has_said() {
            input.pour(done, output);
            done = 0;
            if output.room() < HEADER {
                break Ok(());
            }
            say(server, output);
            if POOLED {
                settle(server, pooled.as_deref_mut());
            }
            continue;
        }
        let Some(header) = Header::peek(rest) else {
            break Ok(());
        };
        if POOLED && server.ledger.refuses() && output.room() - done < REFUSAL_BYTES_MAX {
            break Ok(());
        }
        let step = reply::<POOLED>(pooled.as_deref_mut(), server, header, rest);
        let refusal = match POOLED {
            true => settle(server, pooled.as_deref_mut()),
            false => None,
        };
        match step {
            Ok(Step::Pass(count)) => done += count,
            Ok(Step::Stream) => server.passing = header.total(),
            Ok(Step::Wait) => break Ok(()),
            Ok(Step::Drop(count)) => {
                input.pour(done, output);
                done = 0;
                input.consume(count);
                if let Some(refusal) = refusal {
                    let put = refusal.put(output);
                    debug_assert!(put.is_ok());
                }
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

/// Settles what was promised with the last reply; gives why it was made to fail, if it was.
#[inline]
fn settle(server: &mut Server, pooled: Option<&mut Pooled>) -> Option<Refusal> {
    match server.ledger.has_outcome() {
        false => None,
        true => settled(server, pooled),
    }
}

#[inline(never)]
fn settled(server: &mut Server, pooled: Option<&mut Pooled>) -> Option<Refusal> {
    let outcome = server.ledger.take_outcome();
    let holdings = pooled.map(|it| &mut it.holdings);
    server.statements.settle(outcome, holdings)
}

enum Step {
    /// So many bytes of whole frames pass.
    Pass(usize),
    /// The frame passes as it comes.
    Stream,
    /// More of the frame has to be here first.
    Wait,
    /// So many bytes of whole frames are not the client's.
    Drop(usize),
    /// A FATAL ErrorResponse passes as it comes and is the last frame.
    Fatal,
}

/// Judges the frame at the front of `bytes`.
fn reply<const POOLED: bool>(
    pooled: Option<&mut Pooled>,
    server: &mut Server,
    header: Header,
    bytes: &[u8],
) -> Result<Step, Fault> {
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
        b'E' => error::<POOLED>(server, header, bytes),
        // Part of a login; never due afterwards.
        b'R' | b'K' | b'v' => bad(FaultKind::LoginMessageLater { tag: header.tag }),
        _ if server.ledger.is_ours() => ours(server, header, bytes),
        b'N' | b'A' => Ok(Step::Stream),
        b'S' => match whole(header, bytes) {
            Some(body) => {
                if POOLED && changes_reading(body) {
                    server.lease.meddled = true;
                }
                server.report(body)?;
                Ok(Step::Pass(header.total()))
            }
            None => Ok(Step::Wait),
        },
        b'Z' => match whole(header, bytes) {
            Some(body) => Ok(match server.ready(body)? {
                Fate::Swallow if POOLED => Step::Drop(header.total()),
                _ => {
                    server.traffic.answered(server.status == Status::Idle);
                    Step::Pass(header.total())
                }
            }),
            None => Ok(Step::Wait),
        },
        b'C' if POOLED && may_tell(header) => match whole(header, bytes) {
            Some(body) => {
                let replaced = server.ledger.promises() && server.statements.deallocates_next();
                server.reply(b'C')?;
                if replaced && body == PREPARED {
                    return Ok(Step::Drop(header.total()));
                }
                server.done(body);
                if let Some(pooled) = pooled.filter(|_| is_all_gone(body)) {
                    pooled.holdings.names.clear();
                }
                Ok(Step::Pass(header.total()))
            }
            None => Ok(Step::Wait),
        },
        b't' if POOLED && server.again.is_kept() => described(server, header, bytes),
        b'2' if POOLED => {
            // The batch is under way: it can't be sent again.
            server.again.drop();
            server.reply(b'2')?;
            Ok(Step::Stream)
        }
        tag => Ok(match server.reply(tag)? {
            Fate::Forward => Step::Stream,
            // ParseComplete and CloseComplete: a header alone.
            _ if bytes.len() >= header.total() => Step::Drop(header.total()),
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
        b'C' => {
            server.reply(b'C')?;
            server.done(body);
        }
        tag => {
            server.reply(tag)?;
        }
    }
    Ok(Step::Drop(header.total()))
}

fn error<const POOLED: bool>(
    server: &mut Server,
    header: Header,
    bytes: &[u8],
) -> Result<Step, Fault> {
    let severity = severity(header, bytes);
    match severity {
        Severity::Unseen => Ok(Step::Wait),
        // The client's own request, right behind, was not reached or not meant for such a session.
        _ if server.ledger.is_ours() => Err(Fault::new(Side::Server, FaultKind::NotRestored)),
        Severity::Fatal => Ok(Step::Fatal),
        Severity::Error if POOLED && server.ledger.refuses() => {
            if header.len > from_server::SHORT {
                let (tag, len) = (header.tag, header.len);
                return Err(Fault::new(Side::Server, FaultKind::BadLength { tag, len }));
            }
            if bytes.len() < header.total() {
                return Ok(Step::Wait);
            }
            server.reply(b'E')?;
            Ok(Step::Drop(header.total()))
        }
        Severity::Error => {
            if POOLED {
                if takes_back(server, header, bytes) {
                    return Ok(Step::Drop(header.total()));
                }
                server.again.drop();
            }
            server.reply(b'E')?;
            Ok(Step::Stream)
        }
    }
}

/// The parameters of a statement. The columns follow, or, if they are not what they were, an error:
/// then the client sees neither.
fn described(server: &mut Server, header: Header, bytes: &[u8]) -> Result<Step, Fault> {
    const LOOK_AHEAD_MAX: usize = 16 * 1024;
    let total = header.total();
    if total <= LOOK_AHEAD_MAX {
        let rest = bytes.get(total..).unwrap_or_default();
        let Some(next) = Header::peek(rest) else {
            return Ok(Step::Wait);
        };
        if next.tag == b'E' && next.total() <= LOOK_AHEAD_MAX {
            if rest.len() < next.total() {
                return Ok(Step::Wait);
            }
            if takes_back(server, next, rest) {
                return Ok(Step::Drop(total + next.total()));
            }
        }
    }
    server.again.drop();
    server.reply(b't')?;
    Ok(Step::Stream)
}

/// Takes back the batch under way, to be sent again, if an ErrorResponse says that its statement was
/// stale, and nothing was executed yet.
fn takes_back(server: &mut Server, header: Header, bytes: &[u8]) -> bool {
    let Some(stale) = tells_of_stale(header, bytes) else {
        return false;
    };
    server.statements.doubt_all();
    let may = bytes.len() >= header.total() && server.again.may(stale) && server.ledger.take_back();
    if may {
        server.again.demand();
    }
    may
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
