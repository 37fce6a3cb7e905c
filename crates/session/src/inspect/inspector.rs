//! Owns the records of one server connection: of each statement that is under way, in the order of the ledger's
//! debts.

use super::bound::Bound;
use super::event::{Completed, End, Event, Known, Protocol, Refused, Started, Word};
use super::names::{Portals, Statements};
use super::types::Types;
use crate::govern::Denied;
use crate::ledger::Outcome;
use buf::Secret;
use patterns::{Pattern, Recogniser};
use policy::Log;
use sql::{Lexing, Plain, TEMPLATE_MAX, Values};
use std::collections::VecDeque;
use std::sync::Arc;
use trace::Parent;
use wire::from_client::Parse;

/// How a client's statements are looked at.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// Finds patterns.
    pub recogniser: Recogniser,
    /// Keeps texts, up to so many bytes of each; 0: none.
    pub keep_text: usize,
    /// Keeps the values that are bound, if they have at most so many bytes; 0: none.
    pub keep_values: usize,
    /// Looks for what caused them, in their comments.
    pub traces: bool,
}

impl Inspection {
    /// What is known of a text.
    pub(crate) fn known(&self, text: &[u8], lexing: Lexing) -> Known {
        self.known_as(self.recogniser.pattern(text, lexing), text, lexing)
    }

    /// What is known of a text with this pattern.
    pub(crate) fn known_as(&self, pattern: Arc<Pattern>, text: &[u8], lexing: Lexing) -> Known {
        let kept = &text[..text.len().min(self.keep_text)];
        Known {
            pattern,
            text: (self.keep_text > 0).then(|| Arc::new(Secret::new(kept))),
            types: None,
            bound: Bound::None,
            parent: self.parent(text, lexing),
        }
    }

    /// What caused a statement with this text, where that is looked for.
    fn parent(&self, text: &[u8], lexing: Lexing) -> Option<Box<Parent>> {
        match self.traces {
            true => trace::parent(text, lexing).map(Box::new),
            false => None,
        }
    }

    /// The types of a Parse, where they are of use.
    fn types(&self, types: impl Iterator<Item = u32>) -> Option<Arc<Types>> {
        (self.keep_values > 0).then(|| Arc::new(Types::said(types)))
    }

    /// What is known of a Parse.
    pub(super) fn parsed(&self, parse: &Parse<'_>, lexing: Lexing) -> Known {
        Known {
            types: self.types(parse.types.iter()),
            ..self.known(&parse.sql, lexing)
        }
    }

    /// What is known without a text.
    pub(crate) fn untold(&self, reason: &'static str) -> Known {
        Known {
            pattern: Arc::new(Pattern::untold(reason)),
            text: None,
            types: None,
            bound: Bound::None,
            parent: None,
        }
    }
}

/// A statement under way.
#[derive(Debug)]
struct Record {
    number: u64,
    protocol: Protocol,
    command: Word,
    sqlstate: Option<[u8; 5]>,
    /// By the tags so far.
    tagged: Option<u64>,
    /// That passed.
    passed: u64,
    bytes_in: u64,
    bytes_out: u64,
    end: End,
}

/// Watches one server connection for the client that has it.
#[derive(Debug)]
pub struct Inspector {
    pub(super) inspection: Inspection,
    pub(super) lexing: Lexing,
    /// What the client has prepared, where it has the connection to itself.
    pub(super) statements: Statements,
    pub(super) portals: Portals,
    running: VecDeque<Record>,
    /// The ledger's count of ended statements that is accounted for.
    ended: u64,
    numbers: u64,
    events: VecDeque<Event>,
}

impl Inspector {
    /// For a client that just got the connection, whose ledger has ended so many statements.
    pub(crate) fn new(inspection: Inspection, ended: u64) -> Inspector {
        Inspector {
            inspection,
            lexing: Lexing::default(),
            statements: Statements::default(),
            portals: Portals::default(),
            running: VecDeque::new(),
            ended,
            numbers: 0,
            events: VecDeque::new(),
        }
    }

    /// For the next client that gets the connection.
    pub(crate) fn renew(&mut self, inspection: &Inspection, ended: u64) {
        self.inspection.clone_from(inspection);
        self.statements = Statements::default();
        self.portals.clear();
        self.running.clear();
        self.events.clear();
        self.ended = ended;
    }

    /// How statements are looked at.
    pub(crate) fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    /// What happened next, oldest first. The room stays.
    #[inline]
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// True if there is something to drain.
    #[inline]
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Rows and bytes that have passed so far of the statement that is being answered.
    #[inline]
    pub fn progress(&self) -> Option<(u64, u64)> {
        let front = self.running.front()?;
        Some((front.passed, front.bytes_out))
    }

    /// The session ends with statements under way.
    pub fn lost(&mut self) {
        while let Some(mut record) = self.running.pop_front() {
            record.end = End::Lost;
            self.complete(record);
        }
    }

    /// How texts are read from now on.
    pub(crate) fn set_lexing(&mut self, lexing: Lexing) {
        self.lexing = lexing;
    }

    /// A statement goes to the server with a request of so many bytes.
    pub(crate) fn start(&mut self, known: Known, protocol: Protocol, bytes: usize) {
        self.numbers += 1;
        let number = self.numbers;
        self.events.push_back(Event::Started(Started {
            number,
            known,
            protocol,
            log: Log::Default,
        }));
        self.running.push_back(Record {
            number,
            protocol,
            command: Word::default(),
            sqlstate: None,
            tagged: None,
            passed: 0,
            bytes_in: bytes as u64,
            bytes_out: 0,
            end: End::Done,
        });
    }

    /// What rules want of the query log for the statement that has just started.
    pub(crate) fn wished(&mut self, log: Log) {
        if let Some(Event::Started(started)) = self.events.back_mut() {
            started.log = log;
        }
    }

    /// A statement was refused, and that is to be logged.
    pub(crate) fn refused(&mut self, denied: Denied) {
        let known = match &denied.text {
            Some(text) => self.inspection.known(text.expose(), self.lexing),
            None => self.inspection.untold("a statement that was not followed"),
        };
        self.events.push_back(Event::Refused(Refused {
            known,
            rule: denied.rule,
            log: denied.log,
        }));
    }

    /// A Query.
    pub(crate) fn query(&mut self, text: &[u8], lexing: Lexing, bytes: usize) {
        let (mut values, mut room) = (Values::default(), [0; TEMPLATE_MAX]);
        let plain = Plain::with_values(text, lexing, &mut values);
        let template = plain.and_then(|_| values.template(text, &mut room));
        self.query_like(text, template, lexing, bytes);
    }

    /// A Query whose text may have a template.
    pub(crate) fn query_like(
        &mut self,
        text: &[u8],
        template: Option<&[u8]>,
        lexing: Lexing,
        bytes: usize,
    ) {
        self.portals.close(b"");
        // Of one pattern with it, and there before.
        let recogniser = &self.inspection.recogniser;
        let pattern = recogniser.pattern(template.unwrap_or(text), lexing);
        let known = self.inspection.known_as(pattern, text, lexing);
        self.start(known, Protocol::Simple, bytes);
    }

    /// A request without a text that could be read.
    pub(crate) fn unread(&mut self, reason: &'static str, protocol: Protocol, bytes: usize) {
        let known = self.inspection.untold(reason);
        self.start(known, protocol, bytes);
    }

    /// True if a Bind has to be here as a whole, if it can be.
    #[inline]
    pub(crate) fn keeps_values(&self) -> bool {
        self.inspection.keep_values > 0
    }

    /// A portal with this statement is being bound, by so many bytes, whose body may be here.
    pub(crate) fn bind(
        &mut self,
        portal: &[u8],
        mut known: Known,
        (bytes, body): (usize, Option<&[u8]>),
    ) {
        known.bound = Bound::of(body, self.inspection.keep_values);
        self.portals.bind(portal, known, bytes);
    }

    /// A portal is executed.
    pub(crate) fn execute(&mut self, portal: &[u8], bytes: usize) {
        let found = self.portals.find(portal);
        let (known, bound) =
            found.unwrap_or_else(|| (self.inspection.untold("a portal that was not followed"), 0));
        self.start(known, Protocol::Extended, bytes + bound);
    }

    /// What became of the client's names.
    pub(crate) fn defined(&mut self, outcome: Outcome) {
        self.statements.settle(outcome);
    }

    /// Copied data for the statement that was sent last.
    #[inline]
    pub(crate) fn copied(&mut self, bytes: usize) {
        if let Some(last) = self.running.back_mut() {
            last.bytes_in += bytes as u64;
        }
    }

    /// So many rows of the statement being answered pass, with so many bytes.
    #[inline]
    pub(super) fn rows(&mut self, rows: usize, bytes: usize) {
        let Some(front) = self.running.front_mut() else {
            return;
        };
        if front.passed == 0 {
            let number = front.number;
            self.events.push_back(Event::FirstRow { number });
        }
        front.passed += rows as u64;
        front.bytes_out += bytes as u64;
    }

    /// Its command tag.
    pub(super) fn tag(&mut self, tag: &[u8]) {
        let Some(front) = self.running.front_mut() else {
            return;
        };
        front.command = Word::of(tag);
        let number = tag.rsplit(|byte| *byte == b' ').next();
        let number = number.and_then(|it| std::str::from_utf8(it).ok()?.parse::<u64>().ok());
        if let Some(number) = number {
            front.tagged = Some(front.tagged.unwrap_or(0).saturating_add(number));
        }
    }

    /// It gave as many rows as were asked for.
    pub(super) fn suspended(&mut self) {
        if let Some(front) = self.running.front_mut() {
            front.end = End::Suspended;
        }
    }

    /// An error of so many bytes that ends it, or what goes before it in its batch.
    pub(super) fn error(&mut self, sqlstate: [u8; 5], bytes: usize) {
        if let Some(front) = self.running.front_mut() {
            // The first one counts: what follows is what became of it.
            front.sqlstate.get_or_insert(sqlstate);
            front.end = End::Failed;
            front.bytes_out += bytes as u64;
        }
    }

    /// The ledger has ended so many statements by now: the first of them as it says, those behind it
    /// because the server skipped them.
    #[inline]
    pub(super) fn ended(&mut self, ended: u64, rest: End) {
        let mut count = ended.wrapping_sub(self.ended);
        self.ended = ended;
        let mut is_first = true;
        while count > 0
            && let Some(mut record) = self.running.pop_front()
        {
            count -= 1;
            if !is_first || rest == End::Withdrawn {
                record.end = rest;
            }
            is_first = false;
            self.complete(record);
        }
    }

    /// True if statements have ended that were not accounted for.
    pub(super) fn is_behind(&self, ended: u64) -> bool {
        self.ended != ended
    }

    fn complete(&mut self, record: Record) {
        self.events.push_back(Event::Completed(Completed {
            number: record.number,
            protocol: record.protocol,
            end: record.end,
            sqlstate: record.sqlstate,
            command: record.command,
            rows: record.tagged.unwrap_or(record.passed),
            bytes_in: record.bytes_in,
            bytes_out: record.bytes_out,
        }));
    }
}
