//! Owns the records of one server connection: of each statement that is under way, in the order of the ledger's
//! debts.

use super::bound::Bound;
use super::event::{End, Event, Known, Notes, Protocol, Record, Refused, Word};
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

/// Watches one server connection for the client that has it.
#[derive(Debug)]
pub struct Inspector {
    pub(super) inspection: Inspection,
    pub(super) lexing: Lexing,
    /// What the client has prepared, where it has the connection to itself.
    pub(super) statements: Statements,
    pub(super) portals: Portals,
    /// Statements under way, and in front of them those that are over, of which nobody was told yet.
    records: VecDeque<Record>,
    /// So many in front are over.
    over: usize,
    /// Of so many in front it was told that they started.
    told: usize,
    /// Of the one in front it was told that it is over.
    spent: bool,
    /// There is something to tell.
    has_news: bool,
    /// What was refused, each behind the statement with this number.
    refused: VecDeque<(u64, Refused)>,
    /// The ledger's count of ended statements that is accounted for.
    ended: u64,
    numbers: u64,
}

impl Inspector {
    /// For a client that just got the connection, whose ledger has ended so many statements.
    pub(crate) fn new(inspection: Inspection, ended: u64) -> Inspector {
        Inspector {
            inspection,
            lexing: Lexing::default(),
            statements: Statements::default(),
            portals: Portals::default(),
            records: VecDeque::new(),
            over: 0,
            told: 0,
            spent: false,
            has_news: false,
            refused: VecDeque::new(),
            ended,
            numbers: 0,
        }
    }

    /// For the next client that gets the connection.
    pub(crate) fn renew(&mut self, inspection: &Inspection, ended: u64) {
        self.inspection.clone_from(inspection);
        self.statements.clear();
        self.portals.clear();
        self.records.clear();
        (self.over, self.told) = (0, 0);
        (self.spent, self.has_news) = (false, false);
        self.refused.clear();
        self.ended = ended;
    }

    /// How statements are looked at.
    pub(crate) fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    /// What happened next: first what started, then what became of it, oldest first.
    pub fn next_event(&mut self) -> Option<Event<'_>> {
        if !self.has_news {
            return None;
        }
        if std::mem::take(&mut self.spent) {
            (self.over, self.told) = (self.over - 1, self.told - 1);
            self.records.pop_front();
        }
        let next = self.records.get(self.told).map(|it| it.number);
        if let Some((behind, _)) = self.refused.front()
            && next.is_none_or(|it| it > *behind)
        {
            return Some(Event::Refused(self.refused.pop_front()?.1));
        }
        if next.is_some() {
            self.told += 1;
            return self.records.get_mut(self.told - 1).map(Event::Started);
        }
        if self.over > 0 {
            self.spent = true;
            return self.records.front().map(Event::Completed);
        }
        if self.records.front().is_some_and(|it| it.begins) {
            let front = self.records.front_mut()?;
            front.begins = false;
            return Some(Event::FirstRow(front));
        }
        self.has_news = false;
        None
    }

    /// True if there is something to drain.
    #[inline]
    pub fn has_events(&self) -> bool {
        self.has_news
    }

    /// The oldest statement whose end was not told.
    #[inline]
    pub fn oldest(&self) -> Option<&Record> {
        self.records.get(usize::from(self.spent))
    }

    /// Statements whose end was not told.
    #[inline]
    pub fn running(&self) -> usize {
        self.records.len() - usize::from(self.spent)
    }

    /// The statement that is being answered.
    #[inline]
    fn front(&mut self) -> Option<&mut Record> {
        self.records.get_mut(self.over)
    }

    /// Rows and bytes that have passed so far of the statement that is being answered.
    #[inline]
    pub fn progress(&self) -> Option<(u64, u64)> {
        let front = self.records.get(self.over)?;
        Some((front.passed, front.bytes_out))
    }

    /// The session ends with statements under way.
    pub fn lost(&mut self) {
        for record in self.records.iter_mut().skip(self.over) {
            record.end = End::Lost;
        }
        self.has_news |= self.over < self.records.len();
        self.over = self.records.len();
    }

    /// How texts are read from now on.
    pub(crate) fn set_lexing(&mut self, lexing: Lexing) {
        self.lexing = lexing;
    }

    /// A statement goes to the server with a request of so many bytes.
    pub(crate) fn start(&mut self, known: Known, protocol: Protocol, bytes: usize) {
        self.numbers += 1;
        self.has_news = true;
        self.records.push_back(Record {
            number: self.numbers,
            known,
            protocol,
            log: Log::Default,
            end: End::Done,
            sqlstate: None,
            command: Word::default(),
            tagged: None,
            passed: 0,
            begins: false,
            bytes_in: bytes as u64,
            bytes_out: 0,
            notes: Notes::default(),
        });
    }

    /// What rules want of the query log for the statement that has just started.
    pub(crate) fn wished(&mut self, log: Log) {
        if self.told < self.records.len()
            && let Some(last) = self.records.back_mut()
        {
            last.log = log;
        }
    }

    /// A statement was refused, and that is to be logged.
    pub(crate) fn refused(&mut self, denied: Denied) {
        let known = match &denied.text {
            Some(text) => self.inspection.known(text.expose(), self.lexing),
            None => self.inspection.untold("a statement that was not followed"),
        };
        self.has_news = true;
        let refused = Refused {
            known,
            rule: denied.rule,
            log: denied.log,
        };
        self.refused.push_back((self.numbers, refused));
    }

    /// A Query.
    pub(crate) fn query(&mut self, text: &[u8], lexing: Lexing, bytes: usize) {
        let (mut values, mut room) = (Values::default(), [0; TEMPLATE_MAX]);
        let plain = Plain::with_values(text, lexing, &mut values);
        let template = plain.and_then(|_| values.template(text, &mut room));
        // Of one pattern with it, and there before.
        let recogniser = &self.inspection.recogniser;
        let pattern = recogniser.pattern(template.unwrap_or(text), lexing);
        self.query_of(pattern, text, lexing, bytes);
    }

    /// A Query with this pattern.
    pub(crate) fn query_of(
        &mut self,
        pattern: Arc<Pattern>,
        text: &[u8],
        lexing: Lexing,
        bytes: usize,
    ) {
        self.portals.close(b"");
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
        if self.over < self.records.len()
            && let Some(last) = self.records.back_mut()
        {
            last.bytes_in += bytes as u64;
        }
    }

    /// So many rows of the statement being answered pass, with so many bytes.
    #[inline]
    pub(super) fn rows(&mut self, rows: usize, bytes: usize) {
        let Some(front) = self.front() else {
            return;
        };
        let begins = front.passed == 0;
        front.begins |= begins;
        front.passed += rows as u64;
        front.bytes_out += bytes as u64;
        self.has_news |= begins;
    }

    /// Its command tag.
    #[inline]
    pub(super) fn tag(&mut self, tag: &[u8]) {
        if let Some(front) = self.front() {
            front.tag(tag);
        }
    }

    /// It gave as many rows as were asked for.
    pub(super) fn suspended(&mut self) {
        if let Some(front) = self.front() {
            front.end = End::Suspended;
        }
    }

    /// An error of so many bytes that ends it, or what goes before it in its batch.
    pub(super) fn error(&mut self, sqlstate: [u8; 5], bytes: usize) {
        if let Some(front) = self.front() {
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
        let count = ended.wrapping_sub(self.ended) as usize;
        if count == 0 {
            return;
        }
        self.ended = ended;
        let end = self.records.len().min(self.over + count);
        let first = match rest {
            End::Withdrawn => self.over,
            _ => self.over + 1,
        };
        for at in first..end {
            self.records[at].end = rest;
        }
        self.has_news |= end > self.over;
        self.over = end;
    }

    /// True if statements have ended that were not accounted for.
    pub(super) fn is_behind(&self, ended: u64) -> bool {
        self.ended != ended
    }
}
