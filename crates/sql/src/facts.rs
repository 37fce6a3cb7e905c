//! Owns what is known of the statements of a text, as rules, logs and statistics ask for it. Holds places
//! in the text and never the text.

use std::fmt;
use std::ops::Range;

use crate::impact::Impact;
use crate::statement::Statement;
use crate::token::Span;
use crate::unknown::Unknown;

/// What is done to a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Access {
    /// Its rows are read, or its definition is (LIKE, INHERITS, REFERENCES).
    Read,
    /// Its rows are changed or locked, or it is filled, emptied, copied into or maintained.
    Write,
    /// It is made, altered, dropped, or rights on it change.
    Ddl,
}

/// A relation that a statement names: a table, view, sequence, index, materialised view or foreign table. One entry
/// for each mention, so one relation may come several times. Names of common table expressions are not
/// relations where they are in scope; aliases never are.
///
/// The parts are places in the text, as they were written; [`crate::name()`] folds one as the server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation {
    /// The database, where it was written (`db.schema.name`).
    pub catalog: Option<Span>,
    /// The schema, where it was written. Without it the session's `search_path` decides, so a rule on the name
    /// in any schema has to match.
    pub schema: Option<Span>,
    /// Its name.
    pub name: Span,
    /// What is done to it.
    pub access: Access,
}

/// A function, procedure or aggregate that a statement calls by name. The list errs on one side: it may hold a name
/// before a parenthesis that is none (a type with a modifier in a definition), and misses none.
///
/// Not listed: what the grammar spells with words of its own (EXTRACT, COALESCE, CURRENT_USER, CAST …), and what
/// no text shows (operators, casts, triggers, `row.function`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The schema, where it was written.
    pub schema: Option<Span>,
    /// Its name.
    pub name: Span,
}

/// Why a statement can't be judged: rules have to treat it as one that may do anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsure {
    /// The text wasn't lexed to its end; speaks of all of it.
    Text(Unknown),
    /// A form of statement whose relations aren't read.
    Grammar,
    /// Parentheses nested more deeply than [`crate::DEPTH_MAX`], or more relations, calls or literals than are kept.
    Size,
    /// An identifier that only the server can fold: letters outside ASCII where its encoding isn't known to be
    /// UTF8, or a malformed `U&""`.
    Name,
    /// EXECUTE: the facts are those of the PREPARE with [`Statement::name`], if somebody kept them.
    Prepared,
    /// Code in a language other than SQL, or in a string: DO, CREATE EXTENSION.
    Code,
}

impl fmt::Display for Unsure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(unknown) => unknown.fmt(out),
            Self::Grammar => out.write_str("a form whose relations aren't read"),
            Self::Size => out.write_str("nested too deeply, or too many names"),
            Self::Name => out.write_str("a name that only the server can fold"),
            Self::Prepared => out.write_str("executes what was prepared before"),
            Self::Code => out.write_str("runs code that isn't in sight"),
        }
    }
}

/// What a shape is told by: SHA-256 of the exact token stream and of the scope that the caller gave. Only
/// literals of queries are left out. Fit for allow-lists, also between processes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShapeId(pub [u8; 32]);

impl fmt::Display for ShapeId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for ShapeId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// What is known of one statement. Its lists lie in the [`crate::Analysis`] it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its place, verb, name, and what it leaves in its session.
    pub statement: Statement,
    /// What it does; not all of it where [`Facts::unsure`] is set.
    pub impact: Impact,
    /// Why it can't be judged, if it can't: then its lists may be incomplete and its `impact` too small.
    pub unsure: Option<Unsure>,
    /// An UPDATE or DELETE somewhere in it has no WHERE.
    pub without_where: bool,
    /// EXPLAIN without ANALYZE: nothing of it is executed. `impact` is that of the explaining alone; the relations
    /// keep the access that the explained statement would have, which the server checks too.
    pub only_explained: bool,
    /// Its literals may hold a password (CREATE and ALTER of roles, servers, user mappings, subscriptions): they must
    /// not be shown, whatever a setting says.
    pub has_secret: bool,
    /// The highest `$n`; 0 without any.
    pub parameters: u16,
    /// For rules, if it was asked for.
    pub shape: Option<ShapeId>,
    pub(crate) relations: Range<u32>,
    pub(crate) calls: Range<u32>,
    pub(crate) literals: Range<u32>,
}
