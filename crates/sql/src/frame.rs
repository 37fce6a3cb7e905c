//! Owns the stack of parentheses that the reader of statements keeps, and what is known at each.

use crate::token::Span;

/// Memory of the reader that lives on between texts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) frames: Vec<Frame>,
    /// Common table expressions in scope, the innermost last.
    pub(crate) ctes: Vec<Span>,
}

impl Scratch {
    pub(crate) fn bytes(&self) -> usize {
        self.frames.capacity() * size_of::<Frame>() + self.ctes.capacity() * size_of::<Span>()
    }
}

/// Where in its grammar the text within a pair of parentheses is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Mode {
    /// A query may begin here, or a statement in a [`Frame::is_statement`].
    #[default]
    Start,
    /// Where only parentheses can hold queries.
    Expression,
    /// A select list: FROM and INTO mean what they say.
    Select,
    /// A table, function or parenthesis of a FROM list is due.
    From,
    /// Behind one: its alias, a join, a comma.
    Item,
    /// Behind ON.
    On,
    /// Behind the parenthesis of a common table expression.
    Cte,
    /// UPDATE … SET: a FROM may come.
    Set,
    /// DELETE and MERGE behind their target: a USING may come.
    Using,
    /// INSERT behind its target.
    Insert,
}

/// What is known within one pair of parentheses, or outside all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Frame {
    pub(crate) mode: Mode,
    /// INSERT, UPDATE, DELETE and MERGE may begin here.
    pub(crate) is_statement: bool,
    /// Holds a query, so that FOR is a lock.
    pub(crate) is_query: bool,
    /// WITH RECURSIVE.
    pub(crate) is_recursive: bool,
    pub(crate) is_insert: bool,
    /// Holds an UPDATE or DELETE whose WHERE hasn't come.
    pub(crate) lacks_where: bool,
    /// CASE without their END.
    pub(crate) cases: u32,
    /// Common table expressions that were in scope before it.
    pub(crate) ctes: usize,
    /// The same, behind INSERT.
    pub(crate) insert_ctes: usize,
    /// Relations that were known before WITH RECURSIVE.
    pub(crate) relations: usize,
    /// The common table expression that comes into scope behind this parenthesis.
    pub(crate) cte: Option<Span>,
}
