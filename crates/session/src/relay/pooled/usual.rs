//! Owns the batch that drivers send over and over for a statement: Bind of it to the unnamed portal, perhaps Describe of
//! that portal, Execute of it, and Sync, where all of it is in front, nothing is owed and nothing holds it up; and the same
//! behind a Parse, without a name, of the very text that came last. Each message is judged, noted and passed as by itself;
//! what would be asked of every frame is asked once.

use super::uses::Use;
use super::{Run, Step};
use crate::govern::{Admitted, Governor};
use crate::ledger::{Request, Status};
use crate::statements::{Ahead, Instead, Name, Presence, ServerName, Statement, Unnamed};
use sql::Effects;
use std::sync::Arc;
use wire::frame::{HEADER, Header};
use wire::from_client::tag;

/// Where the messages of such a batch are.
struct Batch {
    bind: Header,
    /// Bytes of the Bind's two names, NULs included.
    names: usize,
    describe: Option<Header>,
    execute: Header,
    sync: Header,
}

impl Batch {
    /// More messages than it has.
    const MESSAGES: usize = 4;
    /// Bytes of both names if there is none.
    const NO_NAMES: usize = 2;

    /// The batch at the front, if it is one, and here as a whole.
    #[inline]
    fn of(bytes: &[u8]) -> Option<Batch> {
        let (bind, body, rest) = frame(bytes)?;
        let (0, names) = body.split_first()? else {
            return None;
        };
        let name = names.iter().position(|byte| *byte == 0)?;
        let (next, body, behind) = frame(rest)?;
        let (describe, execute, body, rest) = match (next.tag, body) {
            (tag::DESCRIBE, b"P\0") => {
                let (execute, body, behind) = frame(behind)?;
                (Some(next), execute, body, behind)
            }
            _ => (None, next, body, behind),
        };
        let (sync, nothing, _) = frame(rest)?;
        let is_one = (bind.tag, execute.tag, sync.tag) == (tag::BIND, tag::EXECUTE, tag::SYNC)
            && matches!(body, [0, _, _, _, _])
            && nothing.is_empty();
        is_one.then_some(Batch {
            bind,
            names: 1 + name + 1,
            describe,
            execute,
            sync,
        })
    }

    /// True if there is room for it, and for as many debts, with so many messages in front.
    #[inline]
    fn fits(&self, room: usize, in_front: usize, pipeline_max: usize) -> bool {
        pipeline_max > in_front + Batch::MESSAGES && room >= self.len() + Run::ROOM_MIN
    }

    fn len(&self) -> usize {
        let describe = self.describe.map_or(0, Header::total);
        self.bind.total() + describe + self.execute.total() + self.sync.total()
    }
}

/// The whole frame at the front: its header, its body, and what is behind it.
#[inline]
fn frame(bytes: &[u8]) -> Option<(Header, &[u8], &[u8])> {
    let header = Header::peek(bytes).filter(|it| it.len >= 4)?;
    let body = bytes.get(HEADER..header.total())?;
    Some((header, body, &bytes[header.total()..]))
}

impl Run<'_> {
    /// Lets the batch at the front pass, or does what has to be done before it can; `None`, and nothing done, if it is none of
    /// this kind.
    pub(super) fn usual_batch(&mut self, pipeline_max: usize) -> Option<Step> {
        let bytes = self.belt.rest();
        let batch = Batch::of(bytes)?;
        let fits = batch.fits(self.belt.room(), 0, pipeline_max);
        if batch.names == Batch::NO_NAMES || !fits || !self.sides.is_calm() {
            return None;
        }
        let name = &bytes[HEADER + 1..HEADER + batch.names - 1];
        let (Use::Named(server_name), Some(statement)) = self.sides.used(name, Some(true)) else {
            return None;
        };
        if self.sides.ends_with_batch(&statement) {
            return Some(self.brief_batch(&batch, &statement, server_name));
        }
        let body = &bytes[HEADER..batch.bind.total()];
        if self.sides.is_governed() {
            let known = self.sides.facts_of(&statement);
            let is_outside = self.sides.server.status == Status::Idle;
            let governor = self.sides.pooled.governor()?;
            governor.stands(!is_outside);
            if is_outside {
                governor.end_portals();
            }
            if let Some(refusal) = governor.bind(b"", Some(known), (None, batch.bind.total())) {
                return Some(self.refuse_use(refusal, batch.bind));
            }
        }
        self.sides.begin(name, bytes);
        let bound = (&b""[..], batch.bind.total(), Some(body));
        self.sides.watch_bind(bound, (name, Some(&statement)));
        self.request(Request::Bind);
        self.rename(batch.bind, 1, batch.names, server_name.bytes());
        if let Some(describe) = batch.describe {
            self.request(Request::DescribePortal);
            *self.passing += describe.total();
        }
        self.pass_rest();
        if self.sides.pooled.forgets.is_some() || self.sides.pooled.forgets_all {
            return Some(Step::Go);
        }
        if let Some(step) = self.execute_bound(&batch) {
            return Some(step);
        }
        self.request(Request::Sync);
        *self.passing = batch.execute.total() + batch.sync.total();
        self.pass_rest();
        Some(self.end_usual_batch())
    }

    /// The same with a Parse in front that changes nothing, and is answered here.
    pub(super) fn usual_parse(&mut self, pipeline_max: usize) -> Option<Step> {
        let bytes = self.belt.rest();
        let (parse, body, rest) = frame(bytes)?;
        let (0, body) = body.split_first()? else {
            return None;
        };
        let batch = Batch::of(rest)?;
        let fits = batch.fits(self.belt.room(), 1, pipeline_max);
        if batch.names > Batch::NO_NAMES || !fits || !self.sides.is_calm() {
            return None;
        }
        let (statement, server_name) = self.sides.parsed_again(body)?;
        self.sides.pooled.ahead = Ahead::Unseen;
        if self.sides.is_governed() {
            let known = self.sides.facts_of(&statement);
            let governor = self.sides.pooled.governor()?;
            if let Some(refusal) = governor.parse(&known) {
                self.refuse(refusal, Instead::UnnamedParse);
                return Some(self.drop_frame(parse));
            }
        }
        self.sides.server.ledger.say_parsed();
        self.sides.pooled.parsed = Some(Name::new(b""));
        self.sides.bound(&statement, true);
        self.belt.drop(parse.total());
        Some(self.brief_batch(&batch, &statement, server_name))
    }

    /// Lets the batch at the front pass, whose portal nobody can execute once more.
    fn brief_batch(
        &mut self,
        batch: &Batch,
        statement: &Arc<Statement>,
        server_name: ServerName,
    ) -> Step {
        if self.sides.is_governed() {
            let known = self.sides.facts_of(statement);
            if let Some(governor) = self.sides.pooled.governor() {
                governor.stands(false);
                governor.end_portals();
                if let Some(refusal) = governor.once(&known) {
                    return self.refuse_use(refusal, batch.bind);
                }
            }
        }
        let bytes = self.belt.rest();
        self.sides
            .begin(&bytes[HEADER + 1..HEADER + batch.names - 1], bytes);
        self.request(Request::Bind);
        if batch.describe.is_some() {
            self.request(Request::DescribePortal);
        }
        self.request(Request::Execute);
        let sent = batch.bind.total() + batch.execute.total();
        self.sides.watch_once(statement, sent);
        self.request(Request::Sync);
        self.rename(batch.bind, 1, batch.names, server_name.bytes());
        *self.passing += batch.len() - batch.bind.total();
        self.pass_rest();
        self.end_usual_batch()
    }

    #[inline]
    fn end_usual_batch(&mut self) -> Step {
        self.end_batch();
        self.sides.pooled.drop_hold();
        self.sides.pooled.turns.holds(tag::SYNC, true);
        Step::Go
    }

    /// The Execute at the front, of the portal that was just bound, may pass; or what was done in its stead.
    #[inline]
    fn execute_bound(&mut self, batch: &Batch) -> Option<Step> {
        let bytes = batch.bind.total() + batch.execute.total();
        if let Some(governor) = self.sides.pooled.governor() {
            let refusal = match governor.asks_nothing_more() {
                true => None,
                false => governor.execute(b""),
            };
            if let Some(refusal) = refusal {
                return Some(self.refuse_use(refusal, batch.execute));
            }
            match governor.admit(bytes) {
                Admitted::Go => {}
                Admitted::Hold => return Some(self.wait()),
                Admitted::Refuse(refusal) => return Some(self.refuse_use(refusal, batch.execute)),
            }
        }
        self.sides.pooled.begun = true;
        self.request(Request::Execute);
        let now = self.asked();
        if let Some(inspector) = &mut self.sides.server.inspector {
            inspector.execute(b"", batch.execute.total());
            self.sides.tell_wish();
        }
        if let Some(governor) = self.sides.pooled.governor() {
            governor.sent(Some(now), Some(b""));
        }
        None
    }

    /// What passes is here, and fits.
    #[inline]
    fn pass_rest(&mut self) {
        let passed = self.belt.pass(*self.passing);
        debug_assert_eq!(passed, *self.passing);
        *self.passing -= passed;
    }
}

impl super::Sides<'_> {
    /// The client's unnamed statement, if it would be the same behind a Parse of `body`, the server has it under a name,
    /// and its portal is [gone](Self::ends_with_batch) at the end of its batch.
    #[inline]
    fn parsed_again(&mut self, body: &[u8]) -> Option<(Arc<Statement>, ServerName)> {
        let Unnamed::Kept(last) = &self.pooled.holdings.unnamed else {
            return None;
        };
        let (id, name) = last.id()?;
        let reading = last.reading();
        let forgets = |it: Effects| it.has(Effects::DEALLOCATE_ALL);
        let does_more = reading.deallocates.is_some()
            || last.forgets().is_some()
            || reading.effects.is_none_or(forgets)
            || self.pooled.refusal(reading.effects).is_some();
        if does_more || self.reads_otherwise() || !last.is(self.pooled.dialect, body) {
            return None;
        }
        let statement = Arc::clone(last);
        let is_there = self.ends_with_batch(&statement)
            && self.server.statements.presence(id) == Presence::There;
        is_there.then_some((statement, name))
    }

    /// True if a portal of this statement that is bound now is gone at the end of its batch: no transaction is open, nor
    /// does the statement begin one. And nobody looks at it in between.
    #[inline]
    fn ends_with_batch(&mut self, statement: &Statement) -> bool {
        let begins = |it: Effects| it.has(Effects::TRANSACTION);
        self.server.status == Status::Idle
            && self.pooled.forgets.is_none()
            && !self.pooled.forgets_all
            && !statement.reading().effects.is_none_or(begins)
            && self.pooled.governor().is_none_or(|it| it.judges_once())
    }

    /// True if nothing is under way between both, and nobody wants to look at single messages.
    #[inline]
    fn is_calm(&mut self) -> bool {
        let (pooled, server) = (&mut self.pooled, &self.server);
        !pooled.begun
            && pooled.parsed.is_none()
            && pooled.forgets.is_none()
            && !pooled.forgets_all
            && server.ledger.is_settled()
            && server.statements.is_on()
            && server.statements.is_settled()
            && !server.again.is_due()
            && server
                .inspector
                .as_ref()
                .is_none_or(|it| !it.keeps_values())
            && pooled.governor().is_none_or(Governor::is_calm)
    }
}
