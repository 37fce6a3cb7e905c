//! Owns the one forward pass over a text that finds what its statements do. Tokens go through here once: to
//! the pass for functions ([`Body`]), and to the automaton that follows queries (`query`), the utility
//! statements (`utility`) and definitions (`define`).

use crate::analysis::{Analysis, Asked, LIST_MAX};
use crate::body::Body;
use crate::effects::Effects;
use crate::facts::{Access, Call, Facts, Relation, Unsure};
use crate::functions::is_key_word;
use crate::head::{self, Head};
use crate::impact::Impact;
use crate::lexer::Lexer;
use crate::look::Look;
use crate::name::name;
use crate::statement::{self, Statement};
use crate::token::{Kind, Span, Token};
use crate::unknown::Unknown;
use crate::verb::Verb;
use crate::word::{NAME_MAX, Packed, pack, packed_len, w};

/// What is known of the statement being read.
#[derive(Default)]
pub(crate) struct Present {
    pub(crate) impact: Impact,
    pub(crate) unsure: Option<Unsure>,
    pub(crate) without_where: bool,
    pub(crate) only_explained: bool,
    pub(crate) has_secret: bool,
    parameters: u16,
}

/// A text being read.
pub(crate) struct Reader<'a, 'x> {
    lexer: Lexer<'a>,
    is_utf8: bool,
    wants_literals: bool,
    pub(crate) out: &'x mut Analysis,
    body: Body<'a>,
    pub(crate) here: Present,
    /// The present token; `None` at the end of the statement.
    pub(crate) token: Option<Token>,
    /// It as a word; 0 if it can't be a key word.
    pub(crate) word: Packed,
    /// The token before it.
    pub(crate) last: Option<Token>,
    pub(crate) last_word: Packed,
    /// The end of the statement was reached, and stays.
    is_over: bool,
    /// Key words of definitions count: REFERENCES, LIKE.
    pub(crate) defines: bool,
}

impl<'a, 'x> Reader<'a, 'x> {
    pub(crate) fn new(
        text: &'a [u8],
        asked: &Asked<'_>,
        out: &'x mut Analysis,
    ) -> Result<Self, Unknown> {
        Ok(Self {
            lexer: Lexer::new(text, asked.lexing)?,
            is_utf8: asked.server_is_utf8
                && asked.lexing.encoding == crate::encoding::Encoding::Utf8,
            wants_literals: asked.literals,
            out,
            body: Body::new(text, &Head::none()),
            here: Present::default(),
            token: None,
            word: 0,
            last: None,
            last_word: 0,
            is_over: false,
            defines: false,
        })
    }

    pub(crate) fn text(&self) -> &'a [u8] {
        self.lexer.text
    }

    /// All statements to the end of the text.
    pub(crate) fn statements(&mut self) -> Result<(), Unknown> {
        while let Some(first) = statement::first(&mut self.lexer)? {
            let head = head::read(&mut Look::new(self.lexer)?, 0)?;
            self.one(first, &head)?;
        }
        Ok(())
    }

    fn one(&mut self, first: Token, head: &Head) -> Result<(), Unknown> {
        let before = (
            self.out.relations.len() as u32,
            self.out.calls.len() as u32,
            self.out.literals.len() as u32,
        );
        self.body = Body::new(self.lexer.text, head);
        self.here = Present::default();
        self.defines = false;
        self.is_over = false;
        self.token = None;
        self.word = 0;
        self.out.scratch.frames.clear();
        self.out.scratch.ctes.clear();
        self.advance()?;
        self.statement(0)?;
        if self.token.is_some() {
            self.doubt(Unsure::Grammar);
            while self.token.is_some() {
                self.advance()?;
            }
        }
        if !self.body.is_outside() {
            return Err(Unknown::Unbalanced);
        }
        let span = Span {
            start: first.span.start,
            end: self.last.map_or(first.span.end, |last| last.span.end),
        };
        let statement = statement::finish(self.lexer.text, span, head, &self.body);
        self.conclude(&statement);
        let here = std::mem::take(&mut self.here);
        self.out.facts.push(Facts {
            statement,
            impact: here.impact,
            unsure: here.unsure,
            without_where: here.without_where,
            only_explained: here.only_explained,
            has_secret: here.has_secret,
            parameters: here.parameters,
            shape: None,
            relations: before.0..self.out.relations.len() as u32,
            calls: before.1..self.out.calls.len() as u32,
            literals: before.2..self.out.literals.len() as u32,
        });
        Ok(())
    }

    /// What the session's effects say about the impact.
    fn conclude(&mut self, statement: &Statement) {
        let (effects, verb) = (statement.effects, statement.verb);
        if self.here.only_explained {
            self.here.impact = Impact::READ;
        }
        if effects.has(Effects::CALLS) || verb == Verb::Call {
            self.here.impact |= Impact::CALLS;
        }
        if effects.has(Effects::SEQUENCE) && !self.here.only_explained {
            self.here.impact |= Impact::WRITE;
        }
        // `set_config` may set the role.
        let changes_role = effects.has(Effects::ROLE | Effects::SET_CONFIG)
            || verb == Verb::Alter && contains(statement.span.of(self.text()), b"owner")
            || matches!(verb, Verb::Set | Verb::SetLocal | Verb::Reset)
                && statement
                    .name
                    .is_some_and(|name| may_be_role(name.of(self.text())));
        if changes_role && !self.here.only_explained {
            self.here.impact |= Impact::PRIVILEGE;
        }
        let of_session = Effects::SET_CONFIG | Effects::ADVISORY_LOCK | Effects::TEMPORARY;
        if effects.has(of_session) && !self.here.only_explained {
            self.here.impact |= Impact::SESSION;
        }
    }

    /// Steps to the next token of the statement.
    pub(crate) fn advance(&mut self) -> Result<(), Unknown> {
        if self.is_over {
            return Ok(());
        }
        self.last = self.token;
        self.last_word = self.word;
        let found = self.lexer.significant()?;
        let ends = |token: &Token| token.kind == Kind::Semicolon && self.body.is_outside();
        let Some(token) = found.filter(|token| !ends(token)) else {
            self.is_over = true;
            self.token = None;
            self.word = 0;
            return Ok(());
        };
        let word = pack(self.lexer.text, token);
        self.body.packed(token, word)?;
        if let Some((schema, called)) = self.body.take_call() {
            self.call(schema, called);
        }
        self.token = Some(token);
        let is_label = self.last.is_some_and(|last| last.kind == Kind::Dot);
        self.word = if is_label { 0 } else { word };
        match token.kind {
            Kind::Parameter => self.parameter(token.span),
            Kind::String | Kind::Bits | Kind::Dollar | Kind::Number if self.wants_literals => {
                if self.out.literals.len() < LIST_MAX {
                    self.out.literals.push(token.span);
                } else {
                    self.doubt(Unsure::Size);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn parameter(&mut self, span: Span) {
        let digits = &span.of(self.lexer.text)[1..];
        let number = digits.iter().fold(0u32, |number, digit| {
            number
                .saturating_mul(10)
                .saturating_add(u32::from(digit - b'0'))
        });
        let number = u16::try_from(number).unwrap_or(u16::MAX);
        self.here.parameters = self.here.parameters.max(number);
    }

    /// Notes why the statement can't be judged; the first reason stays.
    pub(crate) fn doubt(&mut self, unsure: Unsure) {
        self.here.unsure.get_or_insert(unsure);
    }

    pub(crate) fn does(&mut self, impact: Impact) {
        self.here.impact |= impact;
    }

    pub(crate) fn is(&self, kind: Kind) -> bool {
        self.token.is_some_and(|token| token.kind == kind)
    }

    pub(crate) fn is_name(&self) -> bool {
        self.token.is_some_and(|token| token.kind.is_name())
    }

    pub(crate) fn is_any(&self, words: &[&'static str]) -> bool {
        let len = packed_len(self.word);
        len != 0 && (words.iter()).any(|word| word.len() == len && self.word == w(word))
    }

    /// Steps over one of the words if it is there.
    #[inline]
    pub(crate) fn eat(&mut self, words: &[&'static str]) -> Result<bool, Unknown> {
        let found = self.is_any(words);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    /// The token behind the present one, without going there.
    pub(crate) fn peek(&self) -> (Option<Kind>, Packed) {
        let mut ahead = self.lexer;
        match ahead.significant() {
            Ok(Some(token)) => (Some(token.kind), pack(ahead.text, token)),
            _ => (None, 0),
        }
    }

    /// Steps over a parenthesis in which nothing of interest can be.
    pub(crate) fn skip_parentheses(&mut self) -> Result<(), Unknown> {
        let mut depth = 0usize;
        while let Some(token) = self.token {
            match token.kind {
                Kind::Open => depth += 1,
                Kind::Close => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.advance()?;
            if depth == 0 {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads a dotted name, its parts as relation, schema and database.
    pub(crate) fn dotted(&mut self) -> Result<Option<Relation>, Unknown> {
        let Some(mut part) = self.part()? else {
            self.doubt(Unsure::Grammar);
            return Ok(None);
        };
        let mut found = Relation {
            catalog: None,
            schema: None,
            name: part,
            access: Access::Read,
        };
        while self.is(Kind::Dot) {
            self.advance()?;
            part = match self.part()? {
                Some(part) if found.catalog.is_none() => part,
                _ => {
                    self.doubt(Unsure::Grammar);
                    return Ok(None);
                }
            };
            found.catalog = found.schema;
            found.schema = Some(found.name);
            found.name = part;
        }
        Ok(Some(found))
    }

    /// The relation of a dotted name whose last part is a column.
    pub(crate) fn column(&mut self) -> Result<Option<Relation>, Unknown> {
        let mut parts = [None; 4];
        let mut len = 0;
        while let (Some(slot), Some(part)) = (parts.get_mut(len), self.part()?) {
            *slot = Some(part);
            len += 1;
            if !self.is(Kind::Dot) {
                break;
            }
            self.advance()?;
        }
        let at = |behind: usize| len.checked_sub(behind).and_then(|at| parts[at]);
        let Some(name) = at(2) else {
            self.doubt(Unsure::Grammar);
            return Ok(None);
        };
        Ok(Some(Relation {
            catalog: at(4),
            schema: at(3),
            name,
            access: Access::Ddl,
        }))
    }

    /// One identifier, with its UESCAPE.
    fn part(&mut self) -> Result<Option<Span>, Unknown> {
        let Some(token) = self.token.filter(|token| token.kind.is_name()) else {
            return Ok(None);
        };
        let mut span = token.span;
        self.advance()?;
        if token.kind == Kind::UnicodeQuoted && self.word == w("uescape") {
            self.advance()?;
            span.end = self.token.map_or(span.end, |token| token.span.end);
            self.advance()?;
        }
        Ok(Some(span))
    }

    /// Reads a relation's name, which may follow ONLY and stand in parentheses, and notes it.
    pub(crate) fn relation(&mut self, access: Access) -> Result<(), Unknown> {
        self.eat(&["only"])?;
        let encloses = self.is(Kind::Open);
        if encloses {
            self.advance()?;
        }
        if let Some(found) = self.dotted()? {
            self.note(Relation { access, ..found });
        }
        if encloses {
            if self.is(Kind::Close) {
                self.advance()?;
            } else {
                self.doubt(Unsure::Grammar);
            }
        }
        Ok(())
    }

    pub(crate) fn note(&mut self, found: Relation) {
        if self.out.relations.len() >= LIST_MAX {
            self.doubt(Unsure::Size);
            return;
        }
        self.judge_name(found.name);
        if let Some(schema) = found.schema {
            self.judge_name(schema);
        }
        match found.access {
            Access::Read => self.does(Impact::READ),
            Access::Write => self.does(Impact::WRITE),
            Access::Ddl => {}
        }
        self.out.relations.push(found);
    }

    fn call(&mut self, schema: Option<Token>, called: Token) {
        if schema.is_none() && is_key_word(self.lexer.text, called) {
            return;
        }
        if self.out.calls.len() >= LIST_MAX {
            self.doubt(Unsure::Size);
            return;
        }
        self.judge_name(called.span);
        if let Some(schema) = schema {
            self.judge_name(schema.span);
        }
        self.out.calls.push(Call {
            schema: schema.map(|schema| schema.span),
            name: called.span,
        });
    }

    /// Plain names are folded without looking anything up.
    fn judge_name(&mut self, span: Span) {
        let bytes = span.of(self.lexer.text);
        let is_plain = bytes.is_ascii() && bytes.get(1) != Some(&b'&');
        let mut room = [0; NAME_MAX];
        if !is_plain && name(self.lexer.text, span, self.is_utf8, &mut room).is_err() {
            self.doubt(Unsure::Name);
        }
    }

    /// Whether two identifiers are one to the server.
    pub(crate) fn are_same(&self, one: Span, other: Span) -> bool {
        let text = self.lexer.text;
        let (a, b) = (one.of(text), other.of(text));
        if a == b {
            return true;
        }
        let (mut left, mut right) = ([0; NAME_MAX], [0; NAME_MAX]);
        let left = name(text, one, self.is_utf8, &mut left);
        left.is_ok() && left == name(text, other, self.is_utf8, &mut right)
    }
}

/// Whether a parameter may be the role or the session's user, however it is written.
fn may_be_role(parameter: &[u8]) -> bool {
    contains(parameter, b"role")
        || contains(parameter, b"authorization")
        || parameter.contains(&b'&')
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    let mut parts = text.windows(word.len());
    parts.any(|part| part.eq_ignore_ascii_case(word))
}
