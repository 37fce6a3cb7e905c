//! Owns what a step can do beside letting a frame pass: answer it, refuse it, put a request of ours
//! in front.

use super::{Run, Sides, Step};
use crate::ledger::{Fate, Request, Terms};
use crate::statements::{
    Course, Id, Instead, Presence, Promise, REFUSED_TEXT, Refusal, Sending, ServerName, Slot,
    Statement,
};
use std::sync::Arc;
use wire::frame::{HEADER, Header};

/// Terms of a reply that is made here.
const SAY: Terms = Terms {
    fate: Fate::Say,
    promise: false,
};
const REFUSE: Terms = Terms {
    fate: Fate::Refuse,
    promise: false,
};

const VOID: Terms = Terms {
    fate: Fate::Void,
    promise: false,
};

/// A request of ours that has to go in front of the client's.
pub(super) enum First {
    /// Close of a statement.
    Close(Id),
    /// Parse of a statement under its name.
    Prepare(Arc<Statement>),
    /// Parse of the client's unnamed statement.
    FillSlot(Arc<Statement>),
    /// Close of the unnamed statement.
    ClearSlot,
}

/// What a statement needs before it can be used.
pub(super) enum Need {
    /// Nothing.
    Nothing,
    /// This first.
    First(First),
    /// An answer.
    Answer,
}

impl Sides<'_> {
    /// What it takes for a statement with a name to be there.
    #[inline]
    pub(super) fn need(&mut self, statement: &Arc<Statement>, id: Id) -> Need {
        match self.server.statements.presence(id) {
            Presence::There => Need::Nothing,
            Presence::Absent => Need::First(match self.server.statements.victim() {
                Some(victim) => First::Close(victim),
                None => First::Prepare(statement.clone()),
            }),
            Presence::Doubtful => Need::First(First::Close(id)),
            Presence::Unsure => Need::Answer,
        }
    }

    /// What it takes for the server's unnamed statement to be the client's, or to be none.
    pub(super) fn need_slot(&mut self, statement: Option<&Arc<Statement>>) -> Need {
        match (self.server.statements.slot(), statement) {
            (None, _) => Need::Answer,
            (Some(Slot::Filled), Some(_)) | (Some(Slot::Empty), None) => Need::Nothing,
            (_, Some(statement)) => Need::First(First::FillSlot(statement.clone())),
            (_, None) => Need::First(First::ClearSlot),
        }
    }
}

impl Run<'_> {
    /// Puts a request of ours in front; the frame is judged again behind it.
    pub(super) fn first(&mut self, first: First) -> Step {
        match first {
            First::Close(id) => {
                self.put_close(id.name().bytes());
                self.owe(Request::Close, Terms::SWALLOW, Some(Promise::Closed(id)));
            }
            First::ClearSlot => {
                self.put_close(b"");
                self.owe(Request::Close, Terms::SWALLOW, Some(Promise::SlotCleared));
            }
            First::Prepare(statement) => {
                let Some((id, name)) = statement.id() else {
                    debug_assert!(false, "a statement without a name");
                    return Step::Stop;
                };
                self.owe(Request::Parse, Terms::SWALLOW, Some(Promise::Prepared(id)));
                self.put_parse(name.bytes(), statement);
            }
            First::FillSlot(statement) => {
                self.owe(Request::Parse, Terms::SWALLOW, Some(Promise::SlotFilled));
                self.put_parse(b"", statement);
            }
        }
        Step::Go
    }

    fn put_close(&mut self, name: &[u8]) {
        self.put_front(b'C', 1 + name.len() + 1);
        self.belt.put(b"S");
        self.put_name(name);
    }

    /// The front of a Parse; the rest goes as room allows.
    pub(super) fn put_parse(&mut self, name: &[u8], statement: Arc<Statement>) {
        self.put_front(b'P', name.len() + 1 + statement.len());
        self.put_name(name);
        self.sides.pooled.sending = Some(Sending { statement, at: 0 });
    }

    /// A header for so many bytes of body.
    pub(super) fn put_front(&mut self, tag: u8, body: usize) {
        let len = 4 + body as u32;
        self.belt.put(&Header { tag, len }.bytes());
    }

    /// A name and its NUL.
    pub(super) fn put_name(&mut self, name: &[u8]) {
        self.belt.put(name);
        self.belt.put(b"\0");
    }

    /// Answers a Parse or Close in the server's stead.
    pub(super) fn say(&mut self, request: Request, promise: Option<Promise>) {
        self.owe(request, SAY, promise);
    }

    /// Drops the frame at the front.
    pub(super) fn drop_frame(&mut self, header: Header) -> Step {
        self.sides.pooled.course = Course::Dropping(header.total());
        Step::Go
    }

    /// Lets the server fail where the client is refused something.
    pub(super) fn refuse(&mut self, refusal: Refusal, instead: Instead) {
        self.sides.tell_refusal();
        let promise = Some(Promise::Refused { refusal, instead });
        self.sides.pooled.drop_hold();
        match self.put_failing(instead) {
            Request::Query => {
                self.owe(Request::Query, REFUSE, promise);
                self.end_batch();
            }
            request => self.owe(request, REFUSE, promise),
        }
    }

    /// Lets the server fail behind a result that was cut.
    pub(super) fn fail(&mut self, instead: Instead) {
        let request = self.put_failing(instead);
        self.owe(request, VOID, None);
    }

    /// Puts what is sure to fail.
    fn put_failing(&mut self, instead: Instead) -> Request {
        match instead {
            Instead::Query => {
                self.put_front(b'Q', REFUSED_TEXT.len());
                self.belt.put(REFUSED_TEXT);
                Request::Query
            }
            Instead::UnnamedParse | Instead::NamedParse => {
                let name = Id::FIXTURE.name();
                self.put_front(b'P', name.bytes().len() + 1 + REFUSED_TEXT.len() + 2);
                self.put_name(name.bytes());
                self.belt.put(REFUSED_TEXT);
                self.belt.put(&[0; 2]);
                Request::Parse
            }
        }
    }

    /// Puts what the server answers with an error, as it would the client's malformed frame, and
    /// drops that, which may be long and hide a name.
    pub(super) fn malformed(&mut self, header: Header, request: Request) -> Step {
        self.put_front(header.tag, 0);
        self.request(request);
        self.drop_frame(header)
    }

    /// Puts the front of the frame under another name: of its `front` bytes of body, those before
    /// `keep` stay and the name behind them with its NUL is replaced. The rest passes.
    #[inline]
    pub(super) fn rename(&mut self, header: Header, keep: usize, front: usize, name: &[u8]) {
        const MAX: usize = 64;
        let body = header.body() - front + keep + name.len() + 1;
        let len = HEADER + keep;
        let end = len + name.len();
        let mut bytes = [0; MAX];
        let kept = self.belt.rest().get(HEADER..len).unwrap_or_default();
        if end < MAX {
            let renamed = Header {
                tag: header.tag,
                len: 4 + body as u32,
            };
            bytes[..HEADER].copy_from_slice(&renamed.bytes());
            bytes[HEADER..len].copy_from_slice(kept);
            bytes[len..end].copy_from_slice(name);
            self.belt.put(&bytes[..=end]);
        } else {
            self.put_front(header.tag, body);
            self.belt.put_part(HEADER, len);
            self.put_name(name);
        }
        self.belt.drop(HEADER + front);
        *self.passing = header.total() - HEADER - front;
    }
}

/// Whether a name that the client doesn't have may reach the server as it is: it may be one that SQL
/// prepared there. Never one of ours.
pub(super) fn may_pass(name: &[u8]) -> bool {
    !name.starts_with(ServerName::PREFIX)
}

/// What such a name is replaced by: no statement has it, and it is as long.
pub(super) const STRANGER: u8 = b'-';
