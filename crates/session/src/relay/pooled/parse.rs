//! Owns Parse: a statement that the server has already is not sent again, any other under its name
//! on servers.

use super::act::{First, Need};
use super::query::reads_the_same;
use super::{Run, Sides, Step};
use crate::fault::Fault;
use crate::ledger::{Request, Status, Terms};
use crate::statements::{
    Course, Found, Id, Instead, Name, Presence, Promise, Reading, Refusal, ServerName, Statement,
    Unnamed, Way,
};
use buf::Plain;
use sql::{Effects, Lexing};
use std::sync::Arc;
use wire::frame::{HEADER, Header};
use wire::from_client::{Parse, ParseFront};
use wire::{Message, Text};

/// What is to become of a Parse.
enum Verdict {
    /// It goes on, under this name if one is given.
    Send(Option<ServerName>, Option<Promise>),
    /// This goes on in its place, as the unnamed statement.
    Replace(Arc<Statement>),
    /// The server has it: the answer is made here.
    Say(Promise),
    /// It is refused.
    Refuse(Refusal, Instead),
    /// A request of ours goes first.
    First(First),
    /// An answer has to come first.
    Stall,
}

/// Where a Parse lies that is here as a whole.
enum Place {
    /// At the front of the input.
    Input,
    /// Aside: it was too long for that.
    Aside(Plain),
}

impl Run<'_> {
    pub(super) fn parse(&mut self, header: Header) -> Result<Step, Fault> {
        if header.total() > self.belt.frame_max() {
            return self.long_parse(header);
        }
        match self.belt.rest().get(HEADER..header.total()) {
            Some(_) => Ok(self.whole_parse(header, Place::Input)),
            None => Ok(Step::Stop),
        }
    }

    /// A Parse that can't be here as a whole is gathered, unless it is longer than any may be.
    fn long_parse(&mut self, header: Header) -> Result<Step, Fault> {
        let bytes = self.belt.rest();
        let Some(front) = ParseFront::decode(&bytes[HEADER..]) else {
            return Ok(match bytes.len() >= self.belt.frame_max() {
                true => self.malformed(header, Request::Parse),
                false => Step::Stop,
            });
        };
        let is_named = !front.statement.is_empty();
        let max = self.sides.pooled.limits.statement_bytes_max;
        if header.body() - front.len <= max {
            self.sides.pooled.course = Course::Gathering(Plain::with_capacity(header.total()));
            return Ok(Step::Go);
        }
        if is_named && self.sides.server.statements.is_on() {
            self.refuse(Refusal::Text { max }, Instead::NamedParse);
            return Ok(self.drop_frame(header));
        }
        if let Some(step) = self.govern_long_parse(header, is_named) {
            return Ok(step);
        }
        self.sides.server.lease.unknown = true;
        self.sides.server.lease.named |= is_named;
        let promise = (!is_named).then_some(Promise::Unnamed {
            unnamed: Unnamed::Unkept,
            way: Way::Plain,
        });
        self.owe(Request::Parse, Terms::FORWARD, promise);
        *self.passing = header.total();
        Ok(Step::Go)
    }

    /// A Parse that is being set aside.
    pub(super) fn gathered(&mut self, mut frame: Plain) -> Result<Step, Fault> {
        self.belt.set_aside(frame.room(), &mut frame);
        let Some(header) = Header::peek(frame.bytes()).filter(|_| frame.room() == 0) else {
            self.sides.pooled.course = Course::Gathering(frame);
            return Ok(Step::Stop);
        };
        if self.belt.room() < Self::ROOM_MIN {
            self.sides.pooled.course = Course::Gathering(frame);
            return Ok(Step::Stop);
        }
        if header.tag == b'Q' {
            return Ok(self.gathered_query(header, frame));
        }
        // An error may have come meanwhile.
        if self.sides.server.ledger.skips() {
            self.request(Request::Parse);
            self.sides.pooled.course = Course::Passing(frame);
            return Ok(Step::Go);
        }
        Ok(self.whole_parse(header, Place::Aside(frame)))
    }

    fn whole_parse(&mut self, header: Header, place: Place) -> Step {
        let body = match &place {
            Place::Input => &self.belt.rest()[HEADER..header.total()],
            Place::Aside(frame) => &frame.bytes()[HEADER..],
        };
        // The server refuses a malformed one before it looks at the name.
        let Ok(parse) = Parse::decode(body) else {
            self.request(Request::Parse);
            return self.send(header, place, None, 0);
        };
        let front = parse.statement.len() + 1;
        let name = (!parse.statement.is_empty()).then(|| Name::new(&parse.statement));
        let mut verdict = match name {
            Some(name) => self.sides.named_parse(name, &body[front..]),
            None => self.sides.unnamed_parse(&body[front..]),
        };
        if self.sides.is_governed()
            && let Some(refusal) = match &verdict {
                Verdict::Send(_, promise) => self
                    .sides
                    .govern_parse(promise.as_ref().and_then(Promise::statement), &parse.sql),
                Verdict::Say(promise) => self.sides.govern_parse(promise.statement(), &parse.sql),
                Verdict::Replace(_) => self.sides.govern_parse(None, &parse.sql),
                Verdict::Refuse(..) | Verdict::First(_) | Verdict::Stall => None,
            }
        {
            let instead = match name {
                Some(_) => Instead::NamedParse,
                None => Instead::UnnamedParse,
            };
            verdict = Verdict::Refuse(refusal, instead);
        }
        if matches!(verdict, Verdict::Send(..) | Verdict::Say(_)) {
            self.sides.pooled.parsed = Some(name.unwrap_or(Name::new(b"")));
        }
        match verdict {
            Verdict::Send(to, promise) => {
                self.owe(Request::Parse, Terms::FORWARD, promise);
                self.send(header, place, to, front)
            }
            Verdict::Replace(statement) => {
                let promise = Promise::Unnamed {
                    unnamed: Unnamed::Kept(statement.clone()),
                    way: Way::Plain,
                };
                self.owe(Request::Parse, Terms::FORWARD, Some(promise));
                self.put_parse(b"", statement);
                self.done(header, place)
            }
            Verdict::Say(promise) => {
                self.say(Request::Parse, Some(promise));
                self.done(header, place)
            }
            Verdict::Refuse(refusal, instead) => {
                self.refuse(refusal, instead);
                self.done(header, place)
            }
            Verdict::First(first) => {
                self.keep(place);
                self.first(first)
            }
            Verdict::Stall => {
                self.keep(place);
                self.stall()
            }
        }
    }
}

impl Run<'_> {
    /// Lets a whole Parse go on, under another name if one is given.
    fn send(
        &mut self,
        header: Header,
        place: Place,
        name: Option<ServerName>,
        front: usize,
    ) -> Step {
        match (place, name) {
            (Place::Input, None) => *self.passing = header.total(),
            (Place::Input, Some(name)) => self.rename(header, 0, front, name.bytes()),
            (Place::Aside(frame), None) => self.sides.pooled.course = Course::Passing(frame),
            (Place::Aside(mut frame), Some(name)) => {
                self.put_front(b'P', header.body() - front + name.bytes().len() + 1);
                self.put_name(name.bytes());
                frame.consume(HEADER + front);
                self.sides.pooled.course = Course::Passing(frame);
            }
        }
        Step::Go
    }

    /// A whole Parse that doesn't go on.
    fn done(&mut self, header: Header, place: Place) -> Step {
        match place {
            Place::Input => self.drop_frame(header),
            Place::Aside(_) => Step::Go,
        }
    }

    /// A whole Parse that is to be judged again.
    fn keep(&mut self, place: Place) {
        if let Place::Aside(frame) = place {
            self.sides.pooled.course = Course::Gathering(frame);
        }
    }
}

impl Sides<'_> {
    fn named_parse(&mut self, name: Name, body: &[u8]) -> Verdict {
        if !self.server.statements.is_on() {
            // It is there under the client's name, so the client must stay.
            let dialect = self.pooled.dialect;
            let text = Text::cut(body).bytes();
            let reading = Reading::of(text, dialect.lexing);
            self.server.lease.named = true;
            self.note(&reading, text, dialect.lexing);
            return Verdict::Send(None, None);
        }
        let known = self
            .server
            .statements
            .name(&self.pooled.holdings, name.bytes());
        match known {
            Found::Unsure => return Verdict::Stall,
            // The server refuses it, for what is wrong with it or for its name.
            Found::Here(_) => {
                let fixture = self.pooled.interner.fixture();
                return match self.need(&fixture, Id::FIXTURE) {
                    Need::Nothing => Verdict::Send(Some(Id::FIXTURE.name()), None),
                    Need::First(first) => Verdict::First(first),
                    Need::Answer => Verdict::Stall,
                };
            }
            Found::Nothing => {}
        }
        if let Some(refusal) = self.beyond_limits(body.len()) {
            return Verdict::Refuse(refusal, Instead::NamedParse);
        }
        let statement = self.pooled.interner.intern(self.pooled.dialect, body);
        if let Some(refusal) = self.pooled.refusal(statement.effects()) {
            return Verdict::Refuse(refusal, Instead::NamedParse);
        }
        let promise = |sent| Promise::Named {
            name,
            statement: statement.clone(),
            sent,
        };
        let Some((id, server_name)) = statement.id() else {
            return Verdict::Stall;
        };
        match self.server.statements.presence(id) {
            Presence::There if self.is_as_parsed_now() => Verdict::Say(promise(false)),
            Presence::There | Presence::Doubtful => Verdict::First(First::Close(id)),
            Presence::Unsure => Verdict::Stall,
            Presence::Absent => match self.server.statements.victim() {
                Some(victim) => Verdict::First(First::Close(victim)),
                None => Verdict::Send(Some(server_name), Some(promise(true))),
            },
        }
    }

    fn unnamed_parse(&mut self, body: &[u8]) -> Verdict {
        let dialect = self.pooled.dialect;
        let kept = |statement: Arc<Statement>, way| Promise::Unnamed {
            unnamed: Unnamed::Kept(statement),
            way,
        };
        let shared = match self.server.statements.is_on() && self.is_as_parsed_now() {
            true => self.known(body),
            false => None,
        };
        if let Some(statement) = shared.filter(|it| it.reading().deallocates.is_none())
            && let Some((id, name)) = statement.id()
        {
            if let Some(refusal) = self.pooled.refusal(statement.effects()) {
                return Verdict::Refuse(refusal, Instead::UnnamedParse);
            }
            match self.server.statements.presence(id) {
                Presence::There => return Verdict::Say(kept(statement, Way::Said)),
                Presence::Doubtful => return Verdict::First(First::Close(id)),
                Presence::Absent => {
                    return match self.server.statements.victim() {
                        Some(victim) => Verdict::First(First::Close(victim)),
                        None => Verdict::Send(Some(name), Some(kept(statement, Way::Renamed))),
                    };
                }
                Presence::Unsure => {}
            }
        }
        let statement = Arc::new(Statement::unshared(dialect, body));
        if let Some(verdict) = self.deallocating(&statement) {
            return verdict;
        }
        match self.pooled.refusal(statement.effects()) {
            Some(refusal) => Verdict::Refuse(refusal, Instead::UnnamedParse),
            None => Verdict::Send(None, Some(kept(statement, Way::Plain))),
        }
    }

    /// An unnamed DEALLOCATE of one name: servers don't know the client's names. They do know those that
    /// its own SQL prepared since it has this server.
    fn deallocating(&self, statement: &Statement) -> Option<Verdict> {
        let name = statement.reading().deallocates?;
        let is_on = self.server.statements.is_on();
        if !is_on || (self.reads_otherwise() && !reads_the_same(statement.text())) {
            return None;
        }
        let lease = &self.server.lease;
        let holdings = &self.pooled.holdings;
        match self.server.statements.name(holdings, name.bytes()) {
            Found::Unsure => return Some(Verdict::Stall),
            Found::Nothing if lease.effects.has(Effects::PREPARE) => return None,
            Found::Nothing | Found::Here(_) => {}
        }
        let dialect = self.pooled.dialect;
        let replaced = Statement::deallocating(dialect, statement.body(), name);
        Some(Verdict::Replace(Arc::new(replaced)))
    }

    /// The shared statement of an unnamed text that came before.
    fn known(&self, body: &[u8]) -> Option<Arc<Statement>> {
        let dialect = self.pooled.dialect;
        match &self.pooled.holdings.unnamed {
            Unnamed::Kept(last) if last.id().is_some() && last.is(dialect, body) => {
                Some(last.clone())
            }
            _ => self.pooled.interner.promote(dialect, body),
        }
    }

    /// Notes what is executed.
    #[inline]
    pub(super) fn note(&mut self, reading: &Reading, text: &[u8], lexing: Lexing) {
        let batch = self.server.statements.batch();
        self.server.lease.note(reading, text, lexing, batch);
    }

    /// True if a statement that is there is what the server would make of its text now: it would
    /// parse it at all, and as it did.
    fn is_as_parsed_now(&self) -> bool {
        self.server.status != Status::Failed
            && self.server.ledger.is_one_batch()
            && !self.reads_otherwise()
    }

    /// Why the client may not have a further statement of so many bytes.
    fn beyond_limits(&self, bytes: usize) -> Option<Refusal> {
        let limits = self.pooled.limits;
        let (count, held) = self.pooled.held();
        if bytes > limits.statement_bytes_max {
            let max = limits.statement_bytes_max;
            Some(Refusal::Text { max })
        } else if count >= limits.client_max {
            let max = limits.client_max;
            Some(Refusal::Statements { max })
        } else if held + bytes > limits.client_bytes_max {
            let max = limits.client_bytes_max;
            Some(Refusal::Bytes { max })
        } else {
            None
        }
    }
}
