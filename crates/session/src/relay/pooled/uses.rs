//! Owns Bind, Describe and Close: what they name is there before they come, or surely is not.

use super::act::{First, Need, STRANGER, may_pass};
use super::query::reads_the_same;
use super::{Belt, Run, Sides, Step};
use crate::fault::{Fault, FaultKind, Side};
use crate::ledger::{Request, Status, Terms};
use crate::statements::{
    Found, Id, Name, Presence, Promise, Reading, ServerName, Slot, Statement, Unnamed,
};
use sql::Effects;
use std::sync::Arc;
use wire::Text;
use wire::frame::{HEADER, Header};
use wire::from_client::{BindFront, LARGE};

/// Under which name a statement is used.
pub(super) enum Use {
    /// As it came.
    AsItCame,
    /// Under its name on servers.
    Named(ServerName),
    /// Under one that no statement has.
    Stranger,
    /// A request of ours goes first.
    First(First),
    /// An answer has to come first.
    Stall,
}

impl Run<'_> {
    pub(super) fn bind(&mut self, header: Header) -> Result<Step, Fault> {
        let bytes = self.belt.rest();
        let body = &bytes[HEADER..bytes.len().min(header.total())];
        let Some(front) = BindFront::decode(body) else {
            return Ok(if body.len() == header.body() {
                self.pass(header, Request::Bind)
            } else if bytes.len() >= self.belt.frame_max() {
                self.malformed(header, Request::Bind)
            } else {
                Step::Stop
            });
        };
        let keeps_values = self.sides.server.inspector.as_ref();
        if keeps_values.is_some_and(|it| it.keeps_values())
            && body.len() < header.body()
            && header.total() <= self.belt.frame_max()
        {
            return Ok(Step::Stop);
        }
        let (keep, len) = (front.portal.len() + 1, front.len);
        if self.belt.room() < keep + Self::ROOM_MIN {
            return Ok(Step::Stop);
        }
        let stranger = front.statement.len().min(ServerName::LEN);
        let is_unnamed = front.portal.is_empty();
        let (used, statement) = self.sides.used(&front.statement, Some(is_unnamed));
        if self.sides.is_governed() && !matches!(used, Use::First(_) | Use::Stall) {
            let is_stranger = matches!(used, Use::Stranger);
            if let Some(step) = self.govern_bind(header, is_stranger, statement.as_ref()) {
                return Ok(step);
            }
        }
        let bytes = self.belt.rest();
        let body = &bytes[HEADER..bytes.len().min(header.total())];
        let Some(front) = BindFront::decode(body) else {
            return Ok(Step::Stop);
        };
        match used {
            Use::Named(_) => self.sides.begin(&front.statement, bytes),
            Use::AsItCame | Use::Stranger => self.sides.pooled.begun = true,
            Use::First(_) | Use::Stall => {}
        }
        if !matches!(used, Use::First(_) | Use::Stall) {
            let whole = (body.len() == header.body()).then_some(body);
            let bound = (front.portal.bytes(), header.total(), whole);
            let statement = (&*front.statement, statement.as_ref());
            self.sides.watch_bind(bound, statement);
        }
        match used {
            Use::AsItCame => return Ok(self.pass(header, Request::Bind)),
            Use::Named(name) => {
                if header.len as usize - len + keep + ServerName::LEN + 1 > LARGE as usize {
                    let (tag, len) = (header.tag, header.len);
                    return Err(Fault::new(Side::Client, FaultKind::BadLength { tag, len }));
                }
                self.request(Request::Bind);
                self.rename(header, keep, len, name.bytes());
            }
            Use::Stranger => {
                self.request(Request::Bind);
                self.rename(header, keep, len, &[STRANGER; ServerName::LEN][..stranger]);
            }
            Use::First(first) => return Ok(self.first(first)),
            Use::Stall => return Ok(self.stall()),
        }
        Ok(Step::Go)
    }

    pub(super) fn execute(&mut self, header: Header) -> Step {
        if !self.sides.is_governed() {
            return self.execute_watched(header);
        }
        if let Some(step) = self.govern_execute(header) {
            return step;
        }
        let asked = self.asked();
        let step = self.execute_watched(header);
        self.sent(asked, Some(header));
        step
    }

    fn execute_watched(&mut self, header: Header) -> Step {
        if self.sides.server.inspector.is_none() {
            return self.execute_portal(header);
        }
        let is_here = self.belt.rest().len() >= header.total();
        if !is_here && header.total() <= self.belt.frame_max() {
            return Step::Stop;
        }
        let asked = self.asked();
        let step = self.execute_portal(header);
        self.watch_execute(header, asked);
        step
    }

    fn execute_portal(&mut self, header: Header) -> Step {
        if let Some(name) = self.sides.pooled.forgets.as_deref().copied()
            && header.body() > 0
        {
            match self.belt.rest().get(HEADER) {
                None => return Step::Stop,
                Some(0) => return self.deallocate(header, name),
                Some(_) => {}
            }
        }
        self.sides.pooled.begun = true;
        match self.sides.pooled.forgets_all {
            false => self.request(Request::Execute),
            true => self.owe(Request::Execute, Terms::FORWARD, Some(Promise::Executed)),
        }
        *self.passing = header.total();
        Step::Go
    }

    /// Execute of what takes the place of DEALLOCATE: it succeeds if the client has such a statement.
    fn deallocate(&mut self, header: Header, name: Name) -> Step {
        let holdings = &self.sides.pooled.holdings;
        let promise = match self.sides.server.statements.name(holdings, name.bytes()) {
            Found::Unsure => return self.stall(),
            Found::Here(_) => {
                let fixture = self.sides.pooled.interner.fixture();
                match self.sides.need(&fixture, Id::FIXTURE) {
                    Need::Nothing => Some(Promise::Dropped(name)),
                    Need::First(first) => return self.first(first),
                    Need::Answer => return self.stall(),
                }
            }
            Found::Nothing => match self.sides.server.statements.presence(Id::FIXTURE) {
                Presence::Absent => None,
                Presence::Unsure => return self.stall(),
                Presence::There | Presence::Doubtful => {
                    return self.first(First::Close(Id::FIXTURE));
                }
            },
        };
        self.sides.pooled.forgets = None;
        self.sides.pooled.begun = true;
        self.owe(Request::Execute, Terms::FORWARD, promise);
        *self.passing = header.total();
        Step::Go
    }

    pub(super) fn describe(&mut self, header: Header) -> Result<Step, Fault> {
        let Some(target) = Self::target(&self.belt, header) else {
            return Ok(Step::Stop);
        };
        let name = match target {
            Target::Statement(name) => name,
            Target::Portal => return Ok(self.pass(header, Request::DescribePortal)),
            Target::Malformed(request) => return Ok(self.pass(header, request)),
        };
        let stranger = name.len().min(ServerName::LEN);
        let front = name.len() + 2;
        let request = Request::DescribeStatement;
        let (used, _) = self.sides.used(name, None);
        match used {
            Use::Named(_) => self.sides.begin(name, self.belt.rest()),
            Use::AsItCame | Use::Stranger => self.sides.pooled.begun = true,
            Use::First(_) | Use::Stall => {}
        }
        let promise = match used {
            Use::AsItCame | Use::Named(_) => self.sides.describes(name),
            Use::Stranger | Use::First(_) | Use::Stall => None,
        };
        match used {
            Use::AsItCame if promise.is_some() => {
                self.owe(request, Terms::FORWARD, promise);
                *self.passing = header.total();
            }
            Use::AsItCame => return Ok(self.pass(header, request)),
            Use::Named(name) => {
                self.owe(request, Terms::FORWARD, promise);
                self.rename(header, 1, front, name.bytes());
            }
            Use::Stranger => {
                self.request(request);
                self.rename(header, 1, front, &[STRANGER; ServerName::LEN][..stranger]);
            }
            Use::First(first) => return Ok(self.first(first)),
            Use::Stall => return Ok(self.stall()),
        }
        Ok(Step::Go)
    }

    pub(super) fn close(&mut self, header: Header) -> Result<Step, Fault> {
        let Some(target) = Self::target(&self.belt, header) else {
            return Ok(Step::Stop);
        };
        let name = match target {
            Target::Statement(name) => name,
            Target::Portal | Target::Malformed(_) => return Ok(self.pass(header, Request::Close)),
        };
        let statements = &self.sides.server.statements;
        let promise = if name.is_empty() {
            Some(Promise::UnlearnedUnnamed)
        } else if !statements.is_on() {
            return Ok(self.pass(header, Request::Close));
        } else {
            match statements.name(&self.sides.pooled.holdings, Name::cut(name)) {
                Found::Unsure => return Ok(self.stall()),
                Found::Here(_) => Some(Promise::Unlearned(Name::new(name))),
                Found::Nothing if may_pass(name) => return Ok(self.pass(header, Request::Close)),
                Found::Nothing => None,
            }
        };
        self.say(Request::Close, promise);
        Ok(self.drop_frame(header))
    }

    /// What a Describe or Close is about, once it is here.
    fn target<'b>(belt: &'b Belt<'_>, header: Header) -> Option<Target<'b>> {
        let body = belt.rest().get(HEADER..header.total())?;
        Some(match body.split_first() {
            Some((b'S', rest)) => {
                let name = Text::cut(rest).bytes();
                match rest.len() == name.len() + 1 {
                    true => Target::Statement(name),
                    false => Target::Malformed(Request::DescribeStatement),
                }
            }
            Some((b'P', _)) => Target::Portal,
            _ => Target::Malformed(Request::DescribePortal),
        })
    }
}

/// Whether a portal is the unnamed one.
pub(super) type IsUnnamed = bool;

enum Target<'a> {
    Statement(&'a [u8]),
    Portal,
    Malformed(Request),
}

impl Sides<'_> {
    /// True if no transaction is open, for all that is known of this batch's start.
    fn is_outside(&self) -> bool {
        self.server.status == Status::Idle && self.server.ledger.is_one_batch()
    }

    /// How a statement is used, and which, if that is known; if it is bound to a portal, note of what executing that
    /// leaves behind.
    #[inline]
    pub(super) fn used(
        &mut self,
        name: &[u8],
        portal: Option<IsUnnamed>,
    ) -> (Use, Option<Arc<Statement>>) {
        let statement = if name.is_empty() {
            match self.server.statements.unnamed(&self.pooled.holdings) {
                None => return (Use::Stall, None),
                Some(Unnamed::Kept(statement)) => statement.clone(),
                Some(Unnamed::None) => return (self.slot_used(None), None),
                Some(Unnamed::Unkept) => return (self.unkept(), None),
            }
        } else if !self.server.statements.is_on() {
            return (Use::AsItCame, None);
        } else {
            let holdings = &self.pooled.holdings;
            match self.server.statements.name(holdings, Name::cut(name)) {
                Found::Here(statement) => statement,
                Found::Unsure => return (Use::Stall, None),
                Found::Nothing if may_pass(name) && !self.is_governed() => {
                    return (Use::AsItCame, None);
                }
                Found::Nothing if self.is_prepared_by_sql(name) => return (Use::AsItCame, None),
                Found::Nothing => return (Use::Stranger, None),
            }
        };
        let used = match statement.id() {
            None => self.slot_used(Some(&statement)),
            Some((id, name)) => match self.need(&statement, id) {
                Need::Nothing => Use::Named(name),
                Need::First(first) => Use::First(first),
                Need::Answer => Use::Stall,
            },
        };
        if let Some(is_unnamed) = portal
            && matches!(used, Use::AsItCame | Use::Named(_))
        {
            self.bound(&statement, is_unnamed);
        }
        (used, Some(statement))
    }

    /// Use of the server's unnamed statement, which is to be the client's, or none.
    fn slot_used(&mut self, statement: Option<&Arc<Statement>>) -> Use {
        match self.need_slot(statement) {
            Need::Nothing => Use::AsItCame,
            Need::First(first) => Use::First(first),
            Need::Answer => Use::Stall,
        }
    }

    /// Use of an unnamed statement that only the server has which parsed it, if it still has it.
    fn unkept(&mut self) -> Use {
        match self.server.statements.slot() {
            None => Use::Stall,
            Some(Slot::Filled) => {
                self.server.lease.unknown = true;
                Use::AsItCame
            }
            Some(_) => self.slot_used(None),
        }
    }

    /// Notes what a statement that is about to be executed leaves behind.
    #[inline]
    pub(super) fn bound(&mut self, statement: &Statement, is_unnamed: IsUnnamed) {
        let lexing = statement.dialect().lexing;
        let mut reading = statement.reading();
        if lexing != self.pooled.dialect.lexing
            || (self.reads_otherwise() && !reads_the_same(statement.text()))
        {
            reading = &Reading::UNKNOWN;
        }
        self.note(reading, statement.text(), lexing);
        if self.pooled.forgets_all && !self.pooled.begun && self.is_outside() {
            self.pooled.end_portals();
        }
        let forgets = |it: Effects| it.has(Effects::DEALLOCATE_ALL);
        self.pooled.forgets_all |= reading.effects.is_none_or(forgets);
        if is_unnamed {
            self.pooled.forgets = statement.forgets().map(Box::new);
        }
    }
}
