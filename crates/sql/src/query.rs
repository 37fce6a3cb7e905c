//! Owns the automaton that follows queries: one frame for each parenthesis, and in each the place in the grammar that
//! decides whether a name is a relation. What it doesn't expect is a doubt, never a guess.

use crate::analysis::DEPTH_MAX;
use crate::facts::{Access, Unsure};
use crate::frame::{Frame, Mode};
use crate::impact::Impact;
use crate::reader::Reader;
use crate::token::Kind;
use crate::unknown::Unknown;
use crate::word::{Packed, packed_len, w};

/// Where a run of the automaton ends, outside all parentheses that it opened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// At the end of the statement.
    End,
    /// Before a comma.
    Comma,
    /// Before this word.
    Word(Packed),
}

/// The words that `Reader::name` and what it calls look for, outside definitions.
const TELLING: [&str; 48] = [
    "union",
    "intersect",
    "except",
    "all",
    "distinct",
    "select",
    "values",
    "table",
    "with",
    "insert",
    "update",
    "delete",
    "merge",
    "from",
    "where",
    "into",
    "using",
    "case",
    "end",
    "atomic",
    "join",
    "on",
    "when",
    "group",
    "having",
    "window",
    "order",
    "limit",
    "offset",
    "fetch",
    "for",
    "returning",
    "do",
    "share",
    "no",
    "key",
    "search",
    "cycle",
    "only",
    "lateral",
    "rows",
    "return",
    "notify",
    "nothing",
    "as",
    "recursive",
    "collation",
    "begin",
];

/// For each length the first letters of telling words, a bit for each.
static FIRST: [u32; 17] = first_letters();

const fn first_letters() -> [u32; 17] {
    let mut table = [0; 17];
    let mut at = 0;
    while at < TELLING.len() {
        let word = TELLING[at].as_bytes();
        table[word.len()] |= 1 << (word[0] - b'a');
        at += 1;
    }
    table
}

/// Whether a word may be a telling one: most names are told by their length and first letter that they aren't.
fn may_matter(word: Packed) -> bool {
    let len = packed_len(word);
    if len == 0 {
        return false;
    }
    let first = ((word >> (8 * (len - 1))) as u8).wrapping_sub(b'a');
    first < 26 && FIRST[len] >> first & 1 != 0
}

impl Reader<'_, '_> {
    /// Runs the automaton from the present token in a frame of its own.
    pub(crate) fn run(&mut self, frame: Frame, stop: Stop) -> Result<(), Unknown> {
        self.push(frame);
        let base = self.out.scratch.frames.len();
        while let Some(token) = self.token {
            let depth = self.out.scratch.frames.len();
            if depth == base {
                let stops = match stop {
                    Stop::End => false,
                    Stop::Comma => token.kind == Kind::Comma,
                    Stop::Word(word) => self.word == word && self.last_word != w("as"),
                };
                if stops || token.kind == Kind::Close {
                    break;
                }
            }
            match token.kind {
                Kind::Open => self.open()?,
                Kind::Close => self.close()?,
                Kind::Comma => self.comma()?,
                Kind::Semicolon => {
                    self.end_inner();
                    self.advance()?;
                }
                kind if kind.is_name() => self.name()?,
                _ => {
                    let frame = self.frame();
                    if matches!(frame.mode, Mode::Start) {
                        frame.mode = Mode::Expression;
                    } else if frame.mode == Mode::From {
                        self.doubt(Unsure::Grammar);
                    }
                    self.advance()?;
                }
            }
            if self.here.unsure == Some(Unsure::Size) {
                break;
            }
        }
        while self.out.scratch.frames.len() >= base {
            self.pop();
        }
        Ok(())
    }

    /// Runs a statement or query that begins here.
    pub(crate) fn inner(&mut self) -> Result<(), Unknown> {
        let frame = Frame {
            is_statement: true,
            ..Frame::default()
        };
        self.run(frame, Stop::End)
    }

    /// Runs what can hold queries only in parentheses.
    pub(crate) fn skim(&mut self, stop: Stop) -> Result<(), Unknown> {
        let frame = Frame {
            mode: Mode::Expression,
            ..Frame::default()
        };
        self.run(frame, stop)
    }

    pub(crate) fn push(&mut self, frame: Frame) {
        let scratch = &mut self.out.scratch;
        if scratch.frames.len() >= DEPTH_MAX {
            self.doubt(Unsure::Size);
            return;
        }
        scratch.frames.push(Frame {
            ctes: scratch.ctes.len(),
            ..frame
        });
    }

    fn pop(&mut self) -> Option<Frame> {
        let frame = self.out.scratch.frames.pop()?;
        self.here.without_where |= frame.lacks_where;
        self.out.scratch.ctes.truncate(frame.ctes);
        Some(frame)
    }

    /// The present frame.
    pub(crate) fn frame(&mut self) -> &mut Frame {
        let frames = &mut self.out.scratch.frames;
        if frames.is_empty() {
            frames.push(Frame::default());
        }
        let last = frames.len() - 1;
        &mut frames[last]
    }

    /// A semicolon inside: the body of a rule or function goes on with its next statement.
    fn end_inner(&mut self) {
        let frame = *self.frame();
        self.here.without_where |= frame.lacks_where;
        self.out.scratch.ctes.truncate(frame.ctes);
        *self.frame() = Frame {
            is_statement: frame.is_statement,
            ctes: frame.ctes,
            cte: frame.cte,
            ..Frame::default()
        };
    }

    fn open(&mut self) -> Result<(), Unknown> {
        let mut child = Frame::default();
        let frame = self.frame();
        match frame.mode {
            Mode::From => {
                frame.mode = Mode::Item;
                child.mode = Mode::From;
            }
            Mode::Start => {
                child.is_statement = frame.is_statement;
                frame.mode = Mode::Expression;
                // `(SELECT …) FOR UPDATE`.
                frame.is_query |= frame.is_statement;
            }
            Mode::Cte => {
                self.end_of_list();
                let frame = self.frame();
                frame.mode = Mode::Expression;
                frame.is_query = true;
            }
            _ => {}
        }
        self.push(child);
        self.advance()
    }

    fn close(&mut self) -> Result<(), Unknown> {
        if self.frame().mode == Mode::From {
            self.doubt(Unsure::Grammar);
        }
        let popped = self.pop();
        if let Some(cte) = popped.and_then(|frame| frame.cte) {
            self.out.scratch.ctes.push(cte);
        }
        self.advance()
    }

    fn comma(&mut self) -> Result<(), Unknown> {
        let frame = self.frame();
        match frame.mode {
            Mode::Item | Mode::On => frame.mode = Mode::From,
            Mode::Cte => {
                self.advance()?;
                return self.cte();
            }
            Mode::From => self.doubt(Unsure::Grammar),
            Mode::Start => frame.mode = Mode::Expression,
            _ => {}
        }
        self.advance()
    }

    /// A word or a quoted name.
    #[inline]
    pub(crate) fn name(&mut self) -> Result<(), Unknown> {
        if self.word == 0 && !self.defines {
            return self.plain();
        }
        // It says nothing between what a query gives.
        let gives = |mode| matches!(mode, Mode::Select | Mode::Expression);
        if self.word == w("as") && !self.defines && gives(self.frame().mode) {
            return self.advance();
        }
        self.word_or_name()
    }

    #[inline(never)]
    fn word_or_name(&mut self) -> Result<(), Unknown> {
        // Behind AS any word is a label.
        let is_label =
            self.last_word == w("as") && !matches!(self.frame().mode, Mode::Start | Mode::From);
        if is_label || !may_matter(self.word) && !self.defines {
            return self.plain();
        }
        if self.is_any(&["union", "intersect", "except"]) && self.frame().mode != Mode::From {
            self.frame().mode = Mode::Start;
            self.advance()?;
            self.eat(&["all", "distinct"])?;
            return Ok(());
        }
        let mode = self.frame().mode;
        if mode == Mode::From {
            return self.item();
        }
        if matches!(mode, Mode::Start | Mode::Insert | Mode::Cte) && self.begins()? {
            return Ok(());
        }
        self.key_word()
    }

    /// A name that is no key word.
    fn plain(&mut self) -> Result<(), Unknown> {
        match self.frame().mode {
            Mode::From => return self.item(),
            Mode::Start => {
                if self.frame().is_statement {
                    self.doubt(Unsure::Grammar);
                }
                self.frame().mode = Mode::Expression;
            }
            Mode::Cte => self.doubt(Unsure::Grammar),
            _ => {}
        }
        self.advance()
    }

    /// Whether a query or a statement begins here; then its beginning has been read.
    fn begins(&mut self) -> Result<bool, Unknown> {
        let frame = *self.frame();
        if self.word == w("select") {
            self.begin_query(Mode::Select);
            self.advance()?;
        } else if self.word == w("values") && self.peek().0 == Some(Kind::Open) {
            self.begin_query(Mode::Expression);
            self.advance()?;
        } else if self.word == w("table") {
            self.begin_query(Mode::Item);
            self.advance()?;
            self.read_relation()?;
            self.eat_star()?;
            self.frame().mode = Mode::Expression;
        } else if self.word == w("with") && frame.mode != Mode::Cte {
            self.with()?;
        } else if frame.is_statement || frame.mode == Mode::Cte {
            return self.changes();
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn begin_query(&mut self, mode: Mode) {
        self.end_of_list();
        let frame = self.frame();
        frame.mode = mode;
        frame.is_query = true;
        self.does(Impact::READ);
    }

    /// INSERT, UPDATE, DELETE, MERGE.
    fn changes(&mut self) -> Result<bool, Unknown> {
        if !self.is_any(&["insert", "update", "delete", "merge"]) {
            return Ok(false);
        }
        if self.frame().mode == Mode::Insert {
            return Ok(false);
        }
        self.end_of_list();
        let verb = self.word;
        self.does(Impact::WRITE);
        self.advance()?;
        let introduced = if verb == w("delete") {
            self.eat(&["from"])?
        } else {
            verb == w("update") || self.eat(&["into"])?
        };
        if !introduced {
            self.doubt(Unsure::Grammar);
        }
        self.relation(Access::Write)?;
        self.eat_star()?;
        let known = self.out.scratch.ctes.len();
        let frame = self.frame();
        frame.insert_ctes = known;
        if verb == w("insert") {
            frame.mode = Mode::Insert;
            frame.is_insert = true;
        } else if verb == w("update") {
            frame.mode = Mode::Set;
            frame.lacks_where = true;
        } else {
            frame.mode = Mode::Using;
            frame.lacks_where = verb == w("delete");
        }
        Ok(true)
    }

    fn eat_star(&mut self) -> Result<(), Unknown> {
        let is_star = self
            .token
            .is_some_and(|token| token.span.of(self.text()) == b"*");
        if is_star { self.advance() } else { Ok(()) }
    }

    /// A key word in a place where no query begins.
    fn key_word(&mut self) -> Result<(), Unknown> {
        let word = self.word;
        let mode = self.frame().mode;
        if word == w("select") || word == w("with") && mode == Mode::Cte {
            self.doubt(Unsure::Grammar);
        } else if word == w("from") {
            if matches!(mode, Mode::Select | Mode::Set) && self.last_word != w("distinct") {
                self.frame().mode = Mode::From;
            }
        } else if word == w("where") {
            let frame = self.frame();
            frame.lacks_where = false;
            frame.mode = Mode::Expression;
        } else if word == w("into") && mode == Mode::Select {
            return self.into();
        } else if word == w("using") && mode == Mode::Using {
            self.frame().mode = Mode::From;
        } else if word == w("case") {
            self.frame().cases += 1;
        } else if word == w("end") {
            self.end();
        } else if word == w("atomic") && self.last_word == w("begin") && self.defines {
            let frame = self.frame();
            frame.mode = Mode::Start;
            frame.is_statement = true;
            return self.advance();
        } else if matches!(mode, Mode::Item | Mode::On) {
            self.list_word();
        } else if self.is_any(&["returning", "do"]) && self.frame().is_insert {
            self.leave_insert();
        } else if self.defines && self.is_any(&["like", "references"]) {
            return self.definition_word();
        }
        self.locking();
        if self.word == w("search") && mode == Mode::Cte {
            return self.behind(w("set"));
        }
        if self.word == w("cycle") && mode == Mode::Cte {
            return self.behind(w("using"));
        }
        if mode == Mode::Start {
            let frame = self.frame();
            let is_other_statement = frame.is_statement && frame.mode == Mode::Start;
            if frame.mode == Mode::Start {
                frame.mode = Mode::Expression;
            }
            if is_other_statement && !self.is_any(&["return", "notify", "nothing"]) {
                self.doubt(Unsure::Grammar);
            }
        } else if mode == Mode::Cte {
            self.doubt(Unsure::Grammar);
        }
        self.advance()
    }

    fn end(&mut self) {
        let frame = self.frame();
        if frame.cases > 0 {
            frame.cases -= 1;
        } else if frame.is_statement && frame.mode == Mode::Start {
            // Of BEGIN ATOMIC.
            frame.mode = Mode::Expression;
        }
    }

    /// FOR UPDATE and its like.
    fn locking(&mut self) {
        if self.last_word == w("for")
            && self.is_any(&["update", "share", "no", "key"])
            && self.frame().is_query
        {
            self.does(Impact::WRITE);
        }
    }

    /// REFERENCES and LIKE in definitions.
    fn definition_word(&mut self) -> Result<(), Unknown> {
        let begins = self
            .last
            .is_some_and(|last| matches!(last.kind, Kind::Open | Kind::Comma));
        let is_like = self.word == w("like") && begins;
        let is_reference = self.word == w("references");
        let frame = self.frame();
        if frame.mode == Mode::Start {
            frame.mode = Mode::Expression;
        }
        self.advance()?;
        if is_like || is_reference {
            self.relation(Access::Read)?;
        }
        Ok(())
    }
}
