//! Owns what the server's frames say of the statement that they answer.

use super::event::End;
use super::inspector::Inspector;
use crate::Server;
use crate::ledger::{Ledger, Status};
use wire::Sqlstate;
use wire::frame::{HEADER, Header};
use wire::run::Run;

/// What the relay did with the frames at the front of its input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passed {
    /// Bytes that pass: of whole frames, or of one that passes as it comes.
    pub bytes: usize,
    /// Frames of rows or copied data among them.
    pub rows: usize,
    /// The oldest debt was a statement's, before these frames.
    pub was_statement: bool,
}

/// Bytes of an ErrorResponse in which its SQLSTATE is looked for: PostgreSQL sends it third.
const LOOK_AHEAD_MAX: usize = 8192;
/// Bytes of a ParameterDescription that is read.
pub(crate) const TYPES_BYTES_MAX: usize = 16 * 1024;
/// SQLSTATE of an error that has none where it is looked for.
const UNKNOWN_STATE: [u8; 5] = *b"XX000";

/// Rows of the statement that is being answered pass.
#[inline]
pub(crate) fn rows(server: &mut Server, run: Run) {
    if let Some(inspector) = &mut server.inspector {
        inspector.rows(run.frames, run.bytes);
    }
}

/// A statement's CommandComplete passes, which is at the front of `bytes`.
#[inline]
pub(crate) fn tagged(server: &mut Server, header: Header, bytes: &[u8]) {
    if let Some(inspector) = &mut server.inspector {
        tag(inspector, header, bytes);
        settle(inspector, &server.ledger);
    }
}

fn tag(inspector: &mut Inspector, header: Header, bytes: &[u8]) {
    let tag = bytes.get(HEADER..header.total()).unwrap_or_default();
    inspector.tag(tag.strip_suffix(b"\0").unwrap_or(tag));
}

/// Notes frames that the relay lets pass to the client.
#[inline]
pub(crate) fn replied(server: &mut Server, header: Header, bytes: &[u8], passed: Passed) {
    let Server {
        inspector: Some(inspector),
        statements,
        ledger,
        reported,
        status,
        ..
    } = server
    else {
        return;
    };
    match header.tag {
        b'D' | b'd' => return inspector.rows(passed.rows, passed.bytes),
        b'C' if passed.was_statement => tag(inspector, header, bytes),
        b't' if inspector.keeps_values() => {
            // The client shares its connection, or has it to itself.
            let types = statements.described().or(inspector.statements.described());
            if let (Some(types), Some(body)) = (types, bytes.get(HEADER..header.total())) {
                types.told(body);
            }
        }
        b's' if passed.was_statement => inspector.suspended(),
        b'E' => failed(inspector, ledger, bytes, passed),
        b'S' => inspector.set_lexing(reported.lexing()),
        b'Z' if *status == Status::Idle && ledger.is_closed() => inspector.portals.clear(),
        _ => {}
    }
    settle(inspector, ledger);
}

/// A batch was taken back, to be sent again.
pub(crate) fn withdrawn(server: &mut Server) {
    if let Some(inspector) = &mut server.inspector {
        inspector.ended(server.ledger.statements_ended(), End::Withdrawn);
    }
}

/// The statement that is being answered has ended for its client, with an error of ours.
pub(crate) fn cut(server: &mut Server, sqlstate: Sqlstate) {
    if let Some(inspector) = &mut server.inspector {
        inspector.error(sqlstate.bytes(), 0);
    }
}

/// Frames were taken off that are not the client's.
pub(crate) fn dropped(server: &mut Server) {
    if let Some(inspector) = &mut server.inspector {
        settle(inspector, &server.ledger);
    }
}

#[inline]
fn settle(inspector: &mut Inspector, ledger: &Ledger) {
    inspector.ended(ledger.statements_ended(), End::Skipped);
}

fn failed(inspector: &mut Inspector, ledger: &Ledger, bytes: &[u8], passed: Passed) {
    // An error of Parse, Bind or Describe is that of the statement which was to be executed so, if it came
    // in the same batch: then the ledger has just ended it.
    if passed.was_statement || inspector.is_behind(ledger.statements_ended()) {
        inspector.error(sqlstate(bytes), passed.bytes);
    }
}

/// The SQLSTATE of an ErrorResponse, as far as it is here.
fn sqlstate(bytes: &[u8]) -> [u8; 5] {
    let body = bytes.get(HEADER..bytes.len().min(LOOK_AHEAD_MAX));
    let mut fields = body.unwrap_or_default().split(|byte| *byte == 0);
    let code = fields.find_map(|field| field.strip_prefix(b"C"));
    let code: Option<[u8; 5]> = code.and_then(|code| code.try_into().ok());
    code.filter(|it| it.iter().all(u8::is_ascii_alphanumeric))
        .unwrap_or(UNKNOWN_STATE)
}
