//! Owns Query: what its text leaves behind, and DEALLOCATE of a name that the protocol gave.

use super::{Run, Step};
use crate::fault::Fault;
use crate::ledger::{Request, Terms};
use crate::statements::{Ahead, Found, Instead, Promise, Reading, Unnamed};
use sql::{Effects, Plain, TEMPLATE_MAX, Values};
use wire::frame::{HEADER, Header};

/// What takes the place of DEALLOCATE of a statement that servers know by another name, if they know
/// it at all: it succeeds and fails as that would, and leaves nothing. The answer to its first half
/// isn't passed on.
const DEALLOCATE: &[u8] = b"PREPARE pc_deallocate AS SELECT; DEALLOCATE pc_deallocate\0";

impl Run<'_> {
    pub(super) fn query(&mut self, header: Header, ahead: Ahead) -> Result<Step, Fault> {
        if header.total() > self.belt.frame_max() {
            if let Some(step) = self.govern_long_query(header) {
                return Ok(step);
            }
            self.sides.server.lease.unknown = true;
            self.watch_unread("too long to be read", header);
            return Ok(self.pass_query(header, true));
        }
        let Some(body) = self.belt.rest().get(HEADER..header.total()) else {
            return Ok(Step::Stop);
        };
        // The server refuses it unread.
        if !matches!(body.split_last(), Some((0, text)) if !text.contains(&0)) {
            self.watch_unread("not a text", header);
            self.pass(header, Request::Query);
            self.end_batch();
            return Ok(Step::Go);
        }
        let text = &body[..body.len() - 1];
        let lexing = self.sides.pooled.dialect.lexing;
        let is_watched = self.sides.is_governed() || self.sides.server.inspector.is_some();
        let (mut values, mut room);
        let governor = self.sides.pooled.governor();
        let expected = governor.and_then(|it| it.passes_as_expected(text, lexing));
        let (plain, template) = match (&expected, ahead) {
            (Some((_, plain)), _) => (Some(*plain), None),
            (None, Ahead::Query(plain)) if !is_watched => (plain, None),
            (None, _) => {
                (values, room) = (Values::default(), [0; TEMPLATE_MAX]);
                let plain = Plain::with_values(text, lexing, &mut values);
                let has_template = is_watched && plain.is_some();
                let template = has_template.then(|| values.template(text, &mut room));
                (plain, template.flatten())
            }
        };
        debug_assert_eq!(plain, Plain::of(text, lexing));
        let like = match expected {
            Some((known, _)) => self.admit_query(header).map(|()| Some(known)),
            None if self.sides.is_governed() => self.govern_query(header, template),
            None => Ok(None),
        };
        let like = match like {
            Ok(like) => like,
            Err(step) => return Ok(step),
        };
        let Some(text) = self.belt.rest().get(HEADER..header.total() - 1) else {
            return Ok(Step::Stop);
        };
        let dialect = self.sides.pooled.dialect;
        let mut reading = match plain {
            Some(plain) => Reading::plain(plain),
            None => Reading::of(text, dialect.lexing),
        };
        if self.sides.reads_otherwise() && !reads_the_same(text) {
            reading = Reading::UNKNOWN;
        }
        if let Some(refusal) = self.sides.pooled.refusal(reading.effects) {
            self.refuse(refusal, Instead::Query);
            return Ok(self.drop_frame(header));
        }
        if let Some(name) = reading.deallocates
            && self.sides.server.statements.is_on()
        {
            let holdings = &self.sides.pooled.holdings;
            match self.sides.server.statements.name(holdings, name.bytes()) {
                Found::Unsure => return Ok(self.stall()),
                Found::Here(_) => {
                    if let Some(inspector) = &mut self.sides.server.inspector {
                        inspector.query(text, dialect.lexing, header.total());
                    }
                    self.sides.tell_wish();
                    self.put_front(b'Q', DEALLOCATE.len());
                    self.belt.put(DEALLOCATE);
                    let promise = Some(Promise::Deallocated(name));
                    self.owe(Request::Query, Terms::FORWARD, promise);
                    self.end_batch();
                    return Ok(self.drop_frame(header));
                }
                Found::Nothing => {}
            }
        }
        self.sides.note(&reading, text, dialect.lexing);
        if let Some(inspector) = &mut self.sides.server.inspector {
            let recogniser = &inspector.inspection().recogniser;
            let pattern = match like {
                Some(like) => like.pattern(recogniser),
                // Of one pattern with its template.
                None => recogniser.pattern(template.unwrap_or(text), dialect.lexing),
            };
            inspector.query_of(pattern, text, dialect.lexing, header.total());
        }
        self.sides.tell_wish();
        let forgets = |it: Effects| it.has(Effects::DEALLOCATE_ALL);
        Ok(self.pass_query(header, reading.effects.is_none_or(forgets)))
    }

    /// Lets a Query pass, behind which there is no unnamed statement, and perhaps no other either.
    pub(super) fn pass_query(&mut self, header: Header, all: bool) -> Step {
        let statements = &self.sides.server.statements;
        let unnamed = &self.sides.pooled.holdings.unnamed;
        let changes = all || !statements.is_settled() || !matches!(unnamed, Unnamed::None);
        let promise = changes.then_some(Promise::Queried { all });
        self.owe(Request::Query, Terms::FORWARD, promise);
        *self.passing = header.total();
        self.end_batch();
        Step::Go
    }
}

/// True if a text means the same under all settings that decide where tokens end.
pub(super) fn reads_the_same(text: &[u8]) -> bool {
    text.is_ascii() && !text.contains(&b'\\')
}
