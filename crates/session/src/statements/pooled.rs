//! Owns what the relay knows of a client that shares server connections: its statements, its
//! limits, and how far a frame of its is that can't pass as it came.

use super::promise::{Holdings, Unnamed};
use super::refusal::Refusal;
use super::{Dialect, Interner, Name, Statement};
use crate::Server;
use crate::govern::Governor;
use crate::inspect::TypesByStatement;
use crate::lending::PinRule;
use crate::mirror::Witness;
use crate::routing::Leading;
use sql::{Effects, Plain};
use std::sync::Arc;
use wire::from_client::tag;

/// How long a client keeps its server connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// For a transaction: `pool_mode = "transaction"`.
    Transaction,
    /// For a statement: `pool_mode = "statement"`. Transaction control is refused.
    Statement,
}

/// Bounds of what a client may prepare. At least what is on its way (256 statements) may go beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatementLimits {
    /// `max_prepared_statements`: statements that a server connection holds; 0 switches the sharing
    /// off, and names pass as they are.
    pub server_max: usize,
    /// `prepared_count_max`: names that a client has.
    pub client_max: usize,
    /// `prepared_bytes_max`: bytes of their texts.
    pub client_bytes_max: usize,
    /// Bytes of one text, with its types.
    pub statement_bytes_max: usize,
}

impl Default for StatementLimits {
    fn default() -> Self {
        StatementLimits {
            server_max: 200,
            client_max: 10_000,
            client_bytes_max: 8 << 20,
            statement_bytes_max: 1 << 20,
        }
    }
}

/// A client that shares server connections.
#[derive(Debug)]
pub struct Pooled {
    pub(crate) interner: Interner,
    pub(crate) limits: StatementLimits,
    pub(crate) mode: Mode,
    pub(crate) pins: PinRule,
    pub(crate) dialect: Dialect,
    pub(crate) holdings: Holdings,
    pub(crate) course: Course,
    pub(crate) sending: Option<Sending>,
    /// What is known of the frame at the front, before the relay has come to it.
    pub(crate) ahead: Ahead,
    /// A statement was bound in this transaction behind whose execution all may be gone.
    pub(crate) forgets_all: bool,
    /// The client's statement that executing the unnamed portal deallocates.
    pub(crate) forgets: Option<Box<Name>>,
    /// A request at a time, where what follows may belong to another server.
    pub(crate) turns: Turns,
    /// Something was used or executed in this batch.
    pub(crate) begun: bool,
    /// The name of the statement that was parsed last in this batch.
    pub(crate) parsed: Option<Name>,
    /// The server was asked to deliver what it has answered, and nothing since.
    pub(crate) flushed: bool,
    /// Judges what it sends, where there are rules.
    pub(crate) governor: Option<Box<Governor>>,
    /// Of statements whose values are written down.
    pub(crate) types: TypesByStatement,
    /// Counts an answer, where its request is copied to a mirror.
    pub(crate) witness: Option<Witness>,
}

/// Whether requests pass one at a time, and how far the present one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turns {
    /// As many as come.
    Any,
    /// One at a time; none has begun.
    Between,
    /// One at a time; a batch of the extended protocol is on its way.
    Batch,
}

impl Turns {
    /// Whether the frame with this tag has to wait while answers are owed; if not, it goes now.
    #[inline]
    pub(crate) fn holds(&mut self, tag: u8, owed: bool) -> bool {
        match (*self, tag) {
            (Turns::Any, _) => false,
            (_, tag::SYNC) => {
                *self = Turns::Between;
                false
            }
            (Turns::Between, tag::QUERY | tag::FUNCTION_CALL) => owed,
            (
                Turns::Between,
                tag::PARSE | tag::BIND | tag::DESCRIBE | tag::EXECUTE | tag::CLOSE,
            ) => {
                if !owed {
                    *self = Turns::Batch;
                }
                owed
            }
            _ => false,
        }
    }
}

/// A frame that doesn't pass as it came.
#[derive(Debug)]
pub(crate) enum Course {
    /// None.
    None,
    /// So many bytes of it are still to be dropped.
    Dropping(usize),
    /// A Parse, or a Query to be judged, that is being gathered, into as much room as it needs.
    Gathering(buf::Plain),
    /// The rest of one that was gathered, on its way to the server.
    Passing(buf::Plain),
}

/// What was found out about the client's next frame by whoever had to know where it goes; the relay, which takes that
/// very frame next, doesn't find it out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ahead {
    /// Nothing.
    Unseen,
    /// It is a Query, whose text is plain or isn't.
    Query(Option<Plain>),
}

/// A Parse of a kept statement on its way to the server: so many bytes of the body have gone.
#[derive(Debug)]
pub(crate) struct Sending {
    pub statement: Arc<Statement>,
    pub at: usize,
}

impl Pooled {
    /// A client without statements.
    pub fn new(interner: Interner, limits: StatementLimits, mode: Mode) -> Pooled {
        Pooled {
            interner,
            limits,
            mode,
            pins: PinRule::Allow,
            dialect: Dialect::default(),
            holdings: Holdings::default(),
            course: Course::None,
            sending: None,
            ahead: Ahead::Unseen,
            forgets_all: false,
            forgets: None,
            turns: Turns::Any,
            begun: false,
            parsed: None,
            flushed: false,
            governor: None,
            types: TypesByStatement::default(),
            witness: None,
        }
    }

    /// Has each request of the client's wait until the one before it is answered.
    pub fn take_turns(&mut self) {
        self.turns = Turns::Between;
    }

    /// The same for its next request, or for none. To be called while nothing is owed.
    pub fn set_turns(&mut self, in_turns: bool) {
        self.turns = match in_turns {
            true => Turns::Between,
            false => Turns::Any,
        };
    }

    /// Has all that the client sends judged.
    pub fn govern(&mut self, governor: Governor) {
        self.limits.statement_bytes_max =
            self.limits.statement_bytes_max.min(governor.message_max());
        // Without names of ours nobody knows what is executed.
        if self.limits.server_max == 0 {
            self.limits.server_max = StatementLimits::default().server_max;
        }
        self.governor = Some(Box::new(governor));
    }

    /// Who judges, if somebody does.
    #[inline]
    pub fn governor(&mut self) -> Option<&mut Governor> {
        self.governor.as_deref_mut()
    }

    /// True if the client keeps one server connection, which is followed for rules alone.
    #[inline]
    pub(crate) fn is_alone(&self) -> bool {
        self.governor.as_ref().is_some_and(|it| it.is_alone())
    }

    /// Rules that lead statements somewhere.
    pub(crate) fn leading(&self) -> Option<Leading<'_>> {
        self.governor.as_ref()?.leading()
    }

    /// True if rows are counted for rules.
    #[inline]
    pub(crate) fn counts(&self) -> bool {
        self.governor.as_ref().is_some_and(|it| it.counts())
    }

    /// True if nobody looks at single frames of answers, nor has anything to say between them.
    #[inline]
    pub(crate) fn passes_plainly(&self) -> bool {
        let governor = self.governor.as_ref();
        self.witness.is_none() && governor.is_none_or(|it| it.passes_plainly())
    }

    /// Texts are read as the server says that it reads them now.
    pub(crate) fn read_as_reported(&mut self, server: &mut Server) {
        self.dialect.lexing = server.reported.lexing();
        server.lease.lexing_meddled = false;
    }

    /// The statement that one of the client's names stands for.
    pub(crate) fn statement_of(&self, name: &[u8]) -> Option<&Statement> {
        let statement = self.holdings.names.find(Name::cut(name))?;
        Some(statement)
    }

    /// The client's latest unnamed statement, if its text is kept.
    pub(crate) fn unnamed_statement(&self) -> Option<&Statement> {
        match &self.holdings.unnamed {
            Unnamed::Kept(statement) => Some(statement),
            _ => None,
        }
    }

    /// Counts the answer to the client's next request from now on.
    pub fn set_witness(&mut self, witness: Option<Witness>) {
        self.witness = witness;
    }

    /// What was counted since, if anything is.
    pub fn witness(&self) -> Option<&Witness> {
        self.witness.as_ref()
    }

    /// Number of statements that the client has names for.
    pub fn names(&self) -> usize {
        self.holdings.names.len()
    }

    /// What becomes of statements that would tie the client to one server connection.
    pub fn set_pin_rule(&mut self, rule: PinRule) {
        self.pins = rule;
    }

    /// Why a text of these effects is refused.
    #[inline]
    pub(crate) fn refusal(&self, effects: Option<Effects>) -> Option<Refusal> {
        let effects = effects?;
        if self.mode == Mode::Statement && effects.has(Effects::TRANSACTION) {
            return Some(Refusal::Transaction);
        }
        (self.pins == PinRule::Refuse && effects.pins()).then_some(Refusal::Pin)
    }

    /// How the client's session reads texts from now on: at the start, and whenever a setting that
    /// counts has changed.
    pub fn set_dialect(&mut self, dialect: Dialect) {
        self.dialect = dialect;
    }

    /// How the client's session reads texts.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Named statements, and bytes of their texts: for the console.
    pub fn held(&self) -> (usize, usize) {
        (self.holdings.names.len(), self.holdings.names.bytes())
    }

    /// A batch ends.
    #[inline]
    pub(crate) fn end_batch(&mut self) {
        self.begun = false;
        self.parsed = None;
    }

    /// What was let through in advance in a batch that has ended comes to nothing.
    #[inline]
    pub(crate) fn drop_hold(&mut self) {
        if let Some(governor) = &mut self.governor {
            governor.drop_hold();
        }
    }

    /// No portal is left.
    #[inline]
    pub(crate) fn end_portals(&mut self) {
        self.forgets_all = false;
        self.forgets = None;
        if let Some(governor) = &mut self.governor {
            governor.end_portals();
        }
    }

    /// True if no frame is half gone.
    pub(crate) fn is_between(&self) -> bool {
        matches!(self.course, Course::None) && self.sending.is_none()
    }
}
