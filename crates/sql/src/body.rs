//! Owns the pass over a statement's tokens that finds the functions it calls, temporary objects, and the
//! semicolons that end nothing.
//!
//! A name before a parenthesis is a call unless the grammar leaves no other reading; what is in doubt
//! counts as a call.

use crate::effects::Effects;
use crate::functions;
use crate::head::Head;
use crate::token::{Kind, Token};
use crate::unknown::Unknown;
use crate::verb::Verb;
use crate::word::{Packed, pack, w};

/// A token as the next one remembers it.
#[derive(Clone, Copy, Default)]
struct Seen {
    token: Option<Token>,
    word: Packed,
}

impl Seen {
    fn is(self, kind: Kind) -> bool {
        self.token.is_some_and(|token| token.kind == kind)
    }
}

/// What the token behind a closing parenthesis decides.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Doubt {
    None,
    /// `ON conflict (…)` opened at this depth: a function, unless DO follows.
    Conflict(usize),
    /// Its closing parenthesis was the last token.
    ConflictClosed,
    /// `operator (…)` opened at this depth: a function, unless it holds an operator.
    Operator(usize),
}

/// Which name the last token showed to be called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    None,
    /// The present dotted name.
    Present,
    /// The one that was in doubt.
    Doubted,
}

/// The pass over a statement's tokens.
pub(crate) struct Body<'a> {
    text: &'a [u8],
    verb: Verb,
    effects: Effects,
    parentheses: usize,
    may_have_body: bool,
    is_atomic: bool,
    /// An expression may follow a closing parenthesis: DISTINCT ON (…), OPERATOR(…).
    may_resume: bool,
    doubt: Doubt,
    /// Of the call that the last token opened.
    pending: Effects,
    /// The call that the last token showed.
    call: Shown,
    /// The name that `doubt` is about.
    doubted: Option<Token>,
    /// Behind AS NOT.
    is_as_not: bool,
    last: Seen,
    /// What stood before the present dotted name.
    before: Seen,
    /// The last two parts of that name.
    schema: Option<Token>,
    tail: Seen,
}

impl<'a> Body<'a> {
    pub(crate) fn new(text: &'a [u8], head: &Head) -> Self {
        Self {
            text,
            verb: head.verb,
            effects: Effects::NONE,
            parentheses: 0,
            may_have_body: head.may_have_body,
            is_atomic: false,
            may_resume: false,
            doubt: Doubt::None,
            pending: Effects::NONE,
            call: Shown::None,
            doubted: None,
            is_as_not: false,
            last: Seen::default(),
            before: Seen::default(),
            schema: None,
            tail: Seen::default(),
        }
    }

    /// Whether a semicolon would end the statement.
    pub(crate) fn is_outside(&self) -> bool {
        self.parentheses == 0 && !self.is_atomic
    }

    /// The call that the last token showed, once.
    #[inline]
    pub(crate) fn take_call(&mut self) -> Option<(Option<Token>, Token)> {
        let (schema, name) = match self.call {
            Shown::None => return None,
            Shown::Present => (self.schema, self.tail.token),
            Shown::Doubted => (None, self.doubted),
        };
        self.call = Shown::None;
        name.map(|name| (schema, name))
    }

    /// What was found, at the end of the statement.
    pub(crate) fn effects(&self) -> Effects {
        if self.doubt == Doubt::None {
            self.effects
        } else {
            self.effects | Effects::CALLS
        }
    }

    pub(crate) fn token(&mut self, token: Token) -> Result<(), Unknown> {
        self.packed(token, pack(self.text, token))
    }

    /// A token with what [`pack`] makes of it.
    #[inline(always)]
    pub(crate) fn packed(&mut self, token: Token, word: Packed) -> Result<(), Unknown> {
        let seen = Seen {
            token: Some(token),
            word,
        };
        if self.doubt == Doubt::ConflictClosed {
            self.settle(seen.word == w("do"));
        }
        // A query without parentheses of its own is no argument: `a JOIN (SELECT …)`.
        if self.pending != Effects::NONE {
            if ![w("select"), w("with"), w("table")].contains(&seen.word) {
                self.effects |= self.pending;
            }
            self.pending = Effects::NONE;
        }
        match token.kind {
            Kind::Open => {
                if self.last.token.is_some_and(|last| last.kind.is_name()) {
                    self.open_behind_name();
                }
                self.parentheses += 1;
            }
            Kind::Close => {
                self.parentheses = self.parentheses.checked_sub(1).ok_or(Unknown::Unbalanced)?;
                self.close();
            }
            kind if kind.is_name() => self.name(seen),
            _ => {}
        }
        self.last = seen;
        Ok(())
    }

    fn settle(&mut self, is_syntax: bool) {
        self.doubt = Doubt::None;
        if !is_syntax {
            self.effects |= Effects::CALLS;
            self.call = Shown::Doubted;
        }
    }

    fn close(&mut self) {
        match self.doubt {
            Doubt::Conflict(depth) if depth == self.parentheses => {
                self.doubt = Doubt::ConflictClosed;
            }
            Doubt::Operator(depth) if depth == self.parentheses => {
                // `operator(*)` could be an aggregate of that name.
                let symbol = self.last.token.filter(|last| last.kind == Kind::Operator);
                self.settle(symbol.is_some_and(|symbol| symbol.span.of(self.text) != b"*"));
            }
            _ => {}
        }
    }

    fn name(&mut self, seen: Seen) {
        if self.last.is(Kind::Dot) {
            self.schema = self.tail.token;
        } else {
            self.before = self.last;
            self.schema = None;
            // Most names are no key words.
            if seen.word == 0 {
                self.is_as_not = false;
            } else {
                self.is_as_not = seen.word == w("not") && self.last.word == w("as")
                    || self.is_as_not && seen.word == w("materialized");
                self.key_word(seen.word);
            }
        }
        self.tail = seen;
        if self.may_be_temporary_schema(seen) {
            self.effects |= Effects::TEMPORARY;
        }
    }

    fn may_be_temporary_schema(&self, seen: Seen) -> bool {
        let Some(token) = seen.token else {
            return false;
        };
        let bytes = token.span.of(self.text);
        match token.kind {
            Kind::UnicodeQuoted => true,
            Kind::Quoted => bytes.starts_with(b"\"pg_temp"),
            _ => bytes.len() >= 7 && bytes[..7].eq_ignore_ascii_case(b"pg_temp"),
        }
    }

    fn key_word(&mut self, word: Packed) {
        if word == w("into") {
            let fills = [w("insert"), w("merge")].contains(&self.last.word);
            if !fills && self.verb != Verb::Fetch {
                self.effects |= Effects::WRITES | Effects::DEFINES;
            }
        } else if word == w("temp") || word == w("temporary") {
            if [w("into"), w("local"), w("global")].contains(&self.last.word) {
                self.effects |= Effects::TEMPORARY;
            }
        } else if self.may_have_body {
            self.body_word(word);
        }
    }

    /// `BEGIN ATOMIC …; END`: no CASE ends behind a semicolon, and no label can stand there.
    fn body_word(&mut self, word: Packed) {
        if word == w("atomic") && self.last.word == w("begin") && self.parentheses == 0 {
            self.is_atomic = true;
        } else if self.is_atomic && word == w("end") {
            let ends = self.last.is(Kind::Semicolon) || self.last.word == w("atomic");
            if ends && self.parentheses == 0 {
                self.is_atomic = false;
                self.may_have_body = false;
            }
        }
    }

    /// An opening parenthesis behind a name.
    fn open_behind_name(&mut self) {
        let (before, word) = (self.before.word, self.tail.word);
        let is_bare = self.schema.is_none();
        if is_bare && word == w("on") && before == w("distinct")
            || is_bare && word == w("with") && before == w("returning")
        {
            self.may_resume = true;
        }
        if self.before.token.is_none() || self.is_declared(before) {
            return;
        }
        if is_bare && self.is_syntax(before, word) {
            return;
        }
        if is_bare && word == w("operator") && self.doubt == Doubt::None {
            self.may_resume = true;
            self.doubt = Doubt::Operator(self.parentheses);
            self.doubted = self.tail.token;
            return;
        }
        if is_bare && word == w("conflict") && before == w("on") && self.doubt == Doubt::None {
            self.doubt = Doubt::Conflict(self.parentheses);
            self.doubted = self.tail.token;
            return;
        }
        if let Some(name) = self.tail.token {
            self.pending = functions::called(self.text, self.schema, name);
            self.call = Shown::Present;
        }
    }

    /// Places where a name with a list in parentheses is made or filled, or is a type.
    fn is_declared(&self, before: Packed) -> bool {
        self.before.is(Kind::Typecast)
            || [w("into"), w("as"), w("table"), w("references")].contains(&before)
            || [w("with"), w("recursive")].contains(&before)
            || matches!(self.verb, Verb::CopyFrom | Verb::CopyTo) && before == w("copy")
            || self.verb == Verb::Execute && before == w("execute")
            || self.verb == Verb::Prepare && before == w("prepare")
            || self.verb == Verb::Create && before == w("exists")
    }

    /// Unreserved words that, where they stand, can only be syntax.
    fn is_syntax(&self, before: Packed, word: Packed) -> bool {
        if word == w("by") {
            [w("order"), w("group"), w("partition")].contains(&before)
        } else if word == w("key") {
            [w("primary"), w("foreign")].contains(&before)
        } else if word == w("materialized") {
            self.is_as_not
        } else if word == w("sets") {
            before == w("grouping")
        } else if word == w("over") || word == w("filter") || word == w("join") {
            self.before.is(Kind::Close) && !self.may_resume
                || word == w("join")
                    && [
                        w("left"),
                        w("right"),
                        w("full"),
                        w("inner"),
                        w("cross"),
                        w("outer"),
                    ]
                    .contains(&before)
        } else {
            false
        }
    }
}
