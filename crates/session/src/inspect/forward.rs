//! Owns what a client's frames say, where it has its server connection to itself: there the relay itself looks at
//! headers alone.

use super::event::Protocol;
use super::inspector::Inspector;
use crate::ledger::{Ledger, Request, Terms};
use wire::frame::{HEADER, Header};
use wire::from_client::{BindFront, Parse};
use wire::{Message, Text};

/// A request and the terms on which a text's name hangs.
const DEFINES: Terms = Terms {
    promise: true,
    ..Terms::FORWARD
};

/// Notes the request at the front of `bytes`, which goes to the server. False, and nothing is noted, if more of
/// it has to be here first. The text of one longer than `frame_max` is not waited for.
pub(crate) fn forwarded(
    inspector: &mut Inspector,
    ledger: &mut Ledger,
    (request, header, frame_max): (Request, Header, usize),
    bytes: &[u8],
) -> bool {
    let is_read = matches!(
        request,
        Request::Query | Request::Parse | Request::Bind | Request::Execute | Request::Close
    ) || (request == Request::DescribeStatement && inspector.keeps_values());
    if !is_read {
        let before = ledger.statements_asked();
        ledger.request(request);
        match request {
            Request::FunctionCall if ledger.statements_asked() > before => {
                inspector.unread("function call", Protocol::Function, header.total());
            }
            Request::Nothing if header.tag == b'd' => inspector.copied(header.total()),
            _ => {}
        }
        return true;
    }
    let body = match bytes.get(HEADER..header.total()) {
        Some(body) => Some(body),
        None if header.total() <= frame_max => return false,
        None => None,
    };
    read(inspector, ledger, (request, header), (body, bytes));
    true
}

/// Notes a request whose `body` is here as a whole, or is too long for that.
fn read(
    inspector: &mut Inspector,
    ledger: &mut Ledger,
    (request, header): (Request, Header),
    (body, bytes): (Option<&[u8]>, &[u8]),
) {
    let before = ledger.statements_asked();
    match request {
        Request::Parse => {
            let front = bytes.get(HEADER..).unwrap_or_default();
            let name = Text::cut(front).bytes();
            let known = match body.map(Parse::decode) {
                Some(Ok(parse)) => inspector.inspection.parsed(&parse, inspector.lexing),
                _ => inspector.inspection.untold("too long to be read"),
            };
            if ledger.owe(request, DEFINES) {
                inspector.statements.change(name, Some(known));
            }
        }
        Request::DescribeStatement => {
            let name = body.and_then(|it| Some(Text::cut(it.get(1..)?).bytes()));
            let known = name.and_then(|it| inspector.statements.find(it));
            let types = known.and_then(|it| it.types);
            if ledger.owe(request, DEFINES) {
                inspector.statements.describe(types);
            }
        }
        Request::Close => {
            let target =
                body.and_then(|body| Some((*body.first()?, Text::cut(&body[1..]).bytes())));
            match target {
                Some((b'S', name)) => {
                    if ledger.owe(request, DEFINES) {
                        inspector.statements.change(name, None);
                    }
                }
                target => {
                    ledger.request(request);
                    if let Some((b'P', name)) = target {
                        inspector.portals.close(name);
                    }
                }
            }
        }
        Request::Bind => {
            ledger.request(request);
            let front = bytes.get(HEADER..bytes.len().min(header.total()));
            if let Some(front) = front.and_then(BindFront::decode) {
                let known = inspector.statements.find(&front.statement);
                let known = known.unwrap_or_else(|| {
                    inspector
                        .inspection
                        .untold("a statement that was not followed")
                });
                inspector.bind(&front.portal, known, (header.total(), body));
            }
        }
        _ => {
            ledger.request(request);
            // The server skips it, and owes nothing for it.
            if ledger.statements_asked() == before {
                return;
            }
            let text = body.map(|body| Text::cut(body).bytes());
            match (request, text) {
                (Request::Execute, Some(portal)) => inspector.execute(portal, header.total()),
                (Request::Query, Some(text)) => {
                    inspector.query(text, inspector.lexing, header.total());
                }
                (Request::Query, None) => {
                    inspector.unread("too long to be read", Protocol::Simple, header.total());
                }
                _ => inspector.unread("too long to be read", Protocol::Extended, header.total()),
            }
        }
    }
}
