//! Owns what there is to tell of a statement.

use super::bound::Bound;
use super::types::Types;
use buf::Secret;
use patterns::Pattern;
use policy::Log;
use std::sync::Arc;
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
    bytes: [u8; 16],
    len: u8,
}

impl Word {
    /// The first word of a tag.
    pub(crate) fn of(tag: &[u8]) -> Word {
        let mut word = Word::default();
        let letters = tag.iter().take_while(|byte| byte.is_ascii_uppercase());
        for (place, byte) in word.bytes.iter_mut().zip(letters) {
            *place = *byte;
            word.len += 1;
        }
        word
    }

    /// As text; empty if there was none.
    pub fn as_str(&self) -> &str {
        let bytes = &self.bytes[..usize::from(self.len)];
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

/// A statement went to the server.
#[derive(Debug, Clone)]
pub struct Started {
    /// Its number on this connection; never given twice.
    pub number: u64,
    /// Its text.
    pub known: Known,
    /// How it was sent.
    pub protocol: Protocol,
    /// What rules want of the query log for it.
    pub log: Log,
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

/// A statement is over: the oldest of those that were started and are not.
#[derive(Debug, Clone)]
pub struct Completed {
    /// Its number on this connection.
    pub number: u64,
    /// How it was sent.
    pub protocol: Protocol,
    /// How it ended.
    pub end: End,
    /// The server's SQLSTATE, if it ended with an error.
    pub sqlstate: Option<[u8; 5]>,
    /// The last command tag's first word.
    pub command: Word,
    /// Rows sent to the client, or changed or copied, by the command tags; without a tag, rows that passed.
    pub rows: u64,
    /// Bytes of the request's messages, copied data included.
    pub bytes_in: u64,
    /// Bytes of rows, copied data and errors that passed to the client.
    pub bytes_out: u64,
}

/// Something that happened to a statement.
#[derive(Debug, Clone)]
pub enum Event {
    /// It went to the server.
    Started(Started),
    /// It did not: a rule refused it.
    Refused(Refused),
    /// Its first row, or first copied data, came.
    FirstRow {
        /// Its number.
        number: u64,
    },
    /// It is over.
    Completed(Completed),
}
