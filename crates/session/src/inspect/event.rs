//! Owns what there is to tell of a statement.

use super::bound::Bound;
use super::types::Types;
use buf::Secret;
use patterns::Pattern;
use policy::Log;
use std::sync::Arc;
use std::time::Instant;
use trace::Parent;

/// What is known of a statement's text.
#[derive(Debug, Clone)]
pub struct Known {
    /// Its pattern.
    pub pattern: Arc<Pattern>,
    /// The text itself, where it is kept. It may hold literals.
    pub text: Option<Arc<Secret>>,
    /// The types of its parameters, where values are kept.
    pub types: Option<Arc<Types>>,
    /// The values that were bound to it.
    pub bound: Bound,
    /// What caused it, where that is looked for and its text says it. Seldom there, and so not to be moved about.
    pub parent: Option<Box<Parent>>,
}

/// By which message a statement was executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Query.
    Simple,
    /// Execute.
    Extended,
    /// FunctionCall.
    Function,
}

impl Protocol {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Protocol::Simple => "simple",
            Protocol::Extended => "extended",
            Protocol::Function => "function",
        }
    }
}

/// How a statement ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// In order.
    Done,
    /// With an error of the server's.
    Failed,
    /// Execute gave as many rows as were asked for; more may follow.
    Suspended,
    /// The server skipped it, for an error before it.
    Skipped,
    /// It is sent once more: a statement that it used had gone stale, and nothing was executed.
    Withdrawn,
    /// The session ended first.
    Lost,
}

impl End {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            End::Done => "done",
            End::Failed => "failed",
            End::Suspended => "suspended",
            End::Skipped => "skipped",
            End::Withdrawn => "withdrawn",
            End::Lost => "lost",
        }
    }
}

/// The first word of a command tag: `SELECT`, `INSERT`. At most 16 bytes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Word {
    /// How the tag begins; what is seldom looked at isn't cut before.
    bytes: [u8; 16],
}

impl Word {
    /// The first word of a tag.
    pub(crate) fn of(tag: &[u8]) -> Word {
        let mut bytes = [0; 16];
        let len = tag.len().min(bytes.len());
        bytes[..len].copy_from_slice(&tag[..len]);
        Word { bytes }
    }

    /// As text; empty if there was none.
    pub fn as_str(&self) -> &str {
        let is_letter = |byte: &&u8| byte.is_ascii_uppercase();
        let len = self.bytes.iter().take_while(is_letter).count();
        std::str::from_utf8(&self.bytes[..len]).unwrap_or_default()
    }
}

/// A statement was refused by a rule that wants that to be logged. It never went to the server.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Its text.
    pub known: Known,
    /// The rule; none if no rule allowed it.
    pub rule: Option<String>,
    /// How it is to be logged.
    pub log: Log,
}

/// A statement that went to the server.
#[derive(Debug)]
pub struct Record {
    /// Its number on this connection; never given twice.
    pub number: u64,
    /// Its text.
    pub known: Known,
    /// How it was sent.
    pub protocol: Protocol,
    /// What rules want of the query log for it.
    pub log: Log,
    /// How it ended, once it has.
    pub end: End,
    /// The server's SQLSTATE, if it ended with an error.
    pub sqlstate: Option<[u8; 5]>,
    /// The last command tag's first word.
    pub command: Word,
    /// Rows by the command tags so far.
    pub(super) tagged: Option<u64>,
    /// Rows that passed.
    pub(super) passed: u64,
    /// Its first row has come, which was not told before.
    pub begins: bool,
    /// Bytes of the request's messages, copied data included.
    pub bytes_in: u64,
    /// Bytes of rows, copied data and errors that passed to the client.
    pub bytes_out: u64,
    /// What whoever watches notes of it.
    pub notes: Notes,
}

/// What whoever watches notes of a statement: time is no matter of the relay's.
#[derive(Debug, Clone, Copy, Default)]
pub struct Notes {
    /// When it went to the server.
    pub since: Option<Instant>,
    /// When its first row came.
    pub first_row: Option<Instant>,
    /// How long the client had waited for the connection, in microseconds.
    pub wait_us: u64,
    /// It is one of a sample.
    pub sampled: bool,
}

impl Record {
    /// Rows sent to the client, or changed or copied, by the command tags; without a tag, rows that passed.
    pub fn rows(&self) -> u64 {
        self.tagged.unwrap_or(self.passed)
    }

    /// A command tag.
    pub(super) fn tag(&mut self, tag: &[u8]) {
        self.command = Word::of(tag);
        let (mut number, mut unit) = (Some(0u64), Some(1u64));
        let mut rest = tag;
        while let Some((digit @ b'0'..=b'9', before)) = rest.split_last() {
            let more = unit.and_then(|unit| unit.checked_mul(u64::from(digit - b'0')));
            number = number
                .zip(more)
                .and_then(|(sum, more)| sum.checked_add(more));
            unit = unit.and_then(|unit| unit.checked_mul(10));
            rest = before;
        }
        if rest.len() == tag.len() || rest.last().is_some_and(|it| *it != b' ') {
            return;
        }
        if let Some(number) = number {
            self.tagged = Some(self.tagged.unwrap_or(0).saturating_add(number));
        }
    }
}

/// Something that happened to a statement.
#[derive(Debug)]
pub enum Event<'a> {
    /// It went to the server.
    Started(&'a mut Record),
    /// It did not: a rule refused it.
    Refused(Refused),
    /// Its first row, or first copied data, came, and it isn't over.
    FirstRow(&'a mut Record),
    /// It is over: the oldest of those that were started and are not. It is forgotten then.
    Completed(&'a Record),
}
