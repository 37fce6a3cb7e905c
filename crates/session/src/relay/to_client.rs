//! Owns the passage of frames from a server to its client: each is settled in the ledger, which says
//! whether it passes, or was owed to a request of ours.

use super::Relayed;
use super::cut;
use super::plain;
use super::tags::{
    PREPARED, TAG_BYTES_MAX, changes_reading, is_all_gone, may_tell, tells_of_failed_transaction,
    tells_of_stale,
};
use crate::client::ClientStream;
use crate::fault::{Fault, FaultKind, Side};
use crate::govern::Rows;
use crate::inspect::{self, Passed};
use crate::ledger::{Fate, Status};
use crate::server::Server;
use crate::statements::{Pooled, REFUSAL_BYTES_MAX, Refusal};
use buf::Plain;
use wire::frame::{HEADER, Header};
use wire::from_server;
use wire::run::{Run, bulk};
use wire::{Report, Sqlstate};

/// Frames from the server to the client, each settled in the ledger. Also to be called without
/// input while the ledger has something to say that can't wait ([`crate::ledger::Ledger::must_say`]).
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
        if relayed == Relayed::Open && plain::passes_plainly(server, pooled.as_deref()) {
            done += plain::frames::<POOLED>(server, &input.bytes()[done..]);
        }
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
        if POOLED && server.dropping > 0 {
            input.pour(done, output);
            done = 0;
            let count = server.dropping.min(input.len());
            server.dropping -= count;
            input.consume(count);
            if server.dropping > 0 {
                break Ok(());
            }
            continue;
        }
        // Nothing comes behind a FATAL error, what is ours to say neither.
        if relayed == Relayed::ServerEnding || server.ending {
            break Ok(());
        }
        if POOLED && server.ledger.has_said() {
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
        let may_refuse = |pooled: &Option<&mut Pooled>| {
            let counts = pooled.as_deref().is_some_and(Pooled::counts);
            counts || server.ledger.refuses()
        };
        if POOLED && may_refuse(&pooled) && output.room() - done < REFUSAL_BYTES_MAX {
            break Ok(());
        }
        if POOLED
            && let Some(governor) = pooled.as_deref_mut().and_then(Pooled::governor)
            && let Some(notice) = governor.take_notice()
        {
            input.pour(done, output);
            done = 0;
            let notice = Report::new(wire::Severity::Notice, Sqlstate::new("00000"), &notice);
            // Without room it is lost; the match is counted all the same.
            let _ = notice.encode_notice(output);
            continue;
        }
        let was_statement = server.inspector.is_some() && server.ledger.statement_due();
        let step = match pooled
            .as_deref_mut()
            .and_then(|it| cut::counted(it, server, header, rest))
        {
            None => reply::<POOLED>(pooled.as_deref_mut(), server, header, rest),
            Some(Rows::Pass(run)) => Ok(Step::Rows(run)),
            Some(Rows::Stream) => Ok(Step::Stream),
            Some(Rows::Over(refusal)) => {
                input.pour(done, output);
                done = 0;
                cut::cut(server, &refusal, output);
                if let Some(witness) = pooled.as_deref_mut().and_then(|it| it.witness.as_mut()) {
                    witness.spoil();
                }
                continue;
            }
        };
        if server.inspector.is_some() {
            inspect(server, header, rest, (&step, was_statement));
            if !POOLED {
                defined(server);
            }
        }
        let refusal = match POOLED {
            true => settle(server, pooled.as_deref_mut()),
            false => None,
        };
        if POOLED && let Some(witness) = pooled.as_deref_mut().and_then(|it| it.witness.as_mut()) {
            match &step {
                Ok(Step::Rows(run)) => witness.rows(run.frames),
                Ok(Step::Pass(_) | Step::Stream) => witness.passed(header, rest),
                Ok(Step::Drop(_)) if refusal.is_some() => witness.spoil(),
                _ => {}
            }
        }
        match step {
            Ok(Step::Pass(count)) => done += count,
            Ok(Step::Rows(run)) => done += run.bytes,
            Ok(Step::Stream) if rest.len() >= header.total() => done += header.total(),
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
    if POOLED && let Some(governor) = pooled.and_then(Pooled::governor) {
        governor.settle(&server.ledger);
        governor.settle_views(|| server.ledger.is_settled() && server.status == Status::Idle);
    }
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

/// Tells who watches what became of a frame of the server's.
fn inspect(
    server: &mut Server,
    header: Header,
    bytes: &[u8],
    (step, was_statement): (&Result<Step, Fault>, bool),
) {
    let (bytes_passed, rows) = match step {
        Ok(Step::Rows(run)) => (run.bytes, run.frames),
        Ok(Step::Pass(count)) => (*count, 0),
        Ok(Step::Stream | Step::Fatal) => (header.total(), 1),
        // Not the client's; but what it settled may be a statement's end.
        Ok(Step::Drop(_)) => return inspect::dropped(server),
        Ok(Step::Wait) | Err(_) => return,
    };
    let passed = Passed {
        bytes: bytes_passed,
        rows,
        was_statement,
    };
    inspect::replied(server, header, bytes, passed);
}

/// Tells who watches what became of names, where the client has its server connection to itself.
fn defined(server: &mut Server) {
    if server.ledger.has_outcome()
        && let Some(inspector) = &mut server.inspector
    {
        inspector.defined(server.ledger.take_outcome());
    }
}

pub(super) enum Step {
    /// So many bytes of whole frames pass.
    Pass(usize),
    /// Whole frames of rows or copied data pass.
    Rows(Run),
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
    if POOLED && server.ledger.is_cut() && !matches!(header.tag, b'N' | b'A' | b'S') {
        return cut::reply(pooled, server, header, bytes);
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
                    server.lease.lexing_meddled = true;
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
                    let ended = server.status == Status::Idle;
                    server.traffic.answered(ended, server.ledger.tally());
                    Step::Pass(header.total())
                }
            }),
            None => Ok(Step::Wait),
        },
        b'C' if server.inspector.is_some()
            && header.body() <= TAG_BYTES_MAX
            && whole(header, bytes).is_none() =>
        {
            Ok(Step::Wait)
        }
        b't' if server
            .inspector
            .as_ref()
            .is_some_and(|it| it.keeps_values())
            && header.total() <= inspect::TYPES_BYTES_MAX
            && whole(header, bytes).is_none() =>
        {
            Ok(Step::Wait)
        }
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
            // Whatever it was, in a failed transaction it is refused for that.
            match tells_of_failed_transaction(header, bytes) {
                true => Ok(Step::Pass(header.total())),
                false => Ok(Step::Drop(header.total())),
            }
        }
        Severity::Error => {
            if POOLED {
                if takes_back(server, header, bytes) {
                    inspect::withdrawn(server);
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
                inspect::withdrawn(server);
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
    match bulk(bytes, tag) {
        Run { frames: 0, .. } => Step::Stream,
        run => Step::Rows(run),
    }
}

pub(super) fn whole(header: Header, bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(HEADER..header.total())
}

pub(super) enum Severity {
    Unseen,
    Error,
    Fatal,
}

/// Reads the severity of an ErrorResponse from as much of it as is here. PostgreSQL sends S and
/// V first; a server that hides them behind more than a few kB is taken as saying ERROR.
pub(super) fn severity(header: Header, bytes: &[u8]) -> Severity {
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
