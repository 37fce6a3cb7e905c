//! Owns the facts of a whole text: the lists that statements share, and the one call that fills them.

use crate::encoding::Lexing;
use crate::facts::{Call, Facts, Relation, Unsure};
use crate::frame::Scratch;
use crate::ids;
use crate::reader::Reader;
use crate::token::Span;

/// How the text is to be read, and what is wanted of it beyond [`Facts`].
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The session's lexing state.
    pub lexing: Lexing,
    /// Whether `server_encoding` is UTF8: only then are names with letters outside ASCII folded, else they
    /// are [`Unsure::Name`].
    pub server_is_utf8: bool,
    /// Collect the places of literals.
    pub literals: bool,
    /// Compute [`Facts::shape`], within this scope: what the same tokens' meaning depends on, in a form of
    /// the caller's (database, role, effective `search_path`).
    pub shape: Option<&'a [u8]>,
}

impl Asked<'_> {
    /// Facts alone, on a server in UTF8.
    pub fn facts(lexing: Lexing) -> Self {
        Self {
            lexing,
            server_is_utf8: true,
            literals: false,
            shape: None,
        }
    }
}

/// More of one list than this in a text is [`Unsure::Size`].
pub const LIST_MAX: usize = 1 << 16;

/// Parentheses nested more deeply are [`Unsure::Size`].
pub const DEPTH_MAX: usize = 1024;

/// The facts of all statements of a text. Made once and filled again and again: it keeps its memory, so that
/// filling it allocates nothing unless a text has more of something than any before.
#[derive(Clone, Debug, Default)]
pub struct Analysis {
    pub(crate) facts: Vec<Facts>,
    pub(crate) relations: Vec<Relation>,
    pub(crate) calls: Vec<Call>,
    pub(crate) literals: Vec<Span>,
    pub(crate) unsure: Option<Unsure>,
    pub(crate) scratch: Scratch,
}

impl Analysis {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a text; what was here before is gone. Afterwards either [`Analysis::unsure`] is `None` and every
    /// statement of the text is in [`Analysis::statements`], or the text as a whole can't be judged, whatever
    /// statements were found before the place where that showed.
    pub fn read(&mut self, text: &[u8], asked: &Asked<'_>) {
        self.clear();
        let mut reader = match Reader::new(text, asked, self) {
            Ok(reader) => reader,
            Err(unknown) => {
                self.unsure = Some(Unsure::Text(unknown));
                return;
            }
        };
        if let Err(unknown) = reader.statements() {
            self.unsure = Some(Unsure::Text(unknown));
        }
        if let Some(scope) = asked.shape {
            for facts in &mut self.facts {
                facts.shape = Some(ids::shape_of(text, asked.lexing, scope, facts));
            }
        }
    }

    fn clear(&mut self) {
        self.facts.clear();
        self.relations.clear();
        self.calls.clear();
        self.literals.clear();
        self.unsure = None;
    }

    /// The statements in their order.
    pub fn statements(&self) -> &[Facts] {
        &self.facts
    }

    /// Why something in this text can't be judged: the reason of the text as a whole, or of the first statement
    /// that has one.
    pub fn unsure(&self) -> Option<Unsure> {
        self.unsure
            .or_else(|| self.facts.iter().find_map(|facts| facts.unsure))
    }

    /// The relations that a statement of this analysis names, in the order of its text.
    pub fn relations(&self, of: &Facts) -> &[Relation] {
        part(&self.relations, &of.relations)
    }

    /// The functions that a statement of this analysis calls, in the order of its text.
    pub fn calls(&self, of: &Facts) -> &[Call] {
        part(&self.calls, &of.calls)
    }

    /// The literals of a statement of this analysis, if they were asked for; signs aren't part of numbers.
    pub fn literals(&self, of: &Facts) -> &[Span] {
        part(&self.literals, &of.literals)
    }

    /// The bytes that this takes from the heap.
    pub fn bytes(&self) -> usize {
        self.facts.capacity() * size_of::<Facts>()
            + self.relations.capacity() * size_of::<Relation>()
            + self.calls.capacity() * size_of::<Call>()
            + self.literals.capacity() * size_of::<Span>()
            + self.scratch.bytes()
    }

    /// A copy that takes no more memory than it needs, for keeping.
    pub fn compact(&self) -> Self {
        Self {
            facts: self.facts.clone(),
            relations: self.relations.clone(),
            calls: self.calls.clone(),
            literals: self.literals.clone(),
            unsure: self.unsure,
            scratch: Scratch::default(),
        }
    }
}

fn part<'a, T>(list: &'a [T], range: &std::ops::Range<u32>) -> &'a [T] {
    list.get(range.start as usize..range.end as usize)
        .unwrap_or_default()
}
