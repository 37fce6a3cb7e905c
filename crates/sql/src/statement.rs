//! Owns the cutting of a text into statements, and the pass over each of them that finds the functions
//! it calls.

use crate::body::Body;
use crate::effects::Effects;
use crate::encoding::Lexing;
use crate::head::{self, Head};
use crate::lexer::Lexer;
use crate::look::Look;
use crate::token::{Kind, Span, Token};
use crate::unknown::Unknown;
use crate::verb::Verb;

/// One statement of a text. Spans are places in that text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// From its first token to behind its last, without the semicolon.
    pub span: Span,
    /// What it is.
    pub verb: Verb,
    /// What it may leave behind.
    pub effects: Effects,
    /// As it was written: the parameter of SET and RESET, the statement of PREPARE, EXECUTE and DEALLOCATE,
    /// the channel, the cursor, the savepoint, the id of a prepared transaction, what DISCARD discards.
    pub name: Option<Span>,
    /// As it was written, to the end of the statement: the value of SET, the modes of BEGIN.
    pub value: Option<Span>,
    /// The verb of what EXPLAIN, PREPARE or DECLARE holds.
    pub inner: Option<Verb>,
}

/// The effects of all statements of a text together.
pub fn effects(text: &[u8], lexing: Lexing) -> Result<Effects, Unknown> {
    let mut all = Effects::NONE;
    for statement in statements(text, lexing) {
        all |= statement?.effects;
    }
    Ok(all)
}

/// The statements of a text, one after the other. An [`Unknown`] is the last item, and speaks of the whole
/// text: what came before it may be cut wrongly.
pub fn statements(text: &[u8], lexing: Lexing) -> Statements<'_> {
    Statements {
        lexer: Some(Lexer::new(text, lexing)),
    }
}

/// See [`statements`].
#[derive(Debug)]
pub struct Statements<'a> {
    lexer: Option<Result<Lexer<'a>, Unknown>>,
}

impl Iterator for Statements<'_> {
    type Item = Result<Statement, Unknown>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut lexer = match self.lexer.take()? {
            Ok(lexer) => lexer,
            Err(unknown) => return Some(Err(unknown)),
        };
        let found = next(&mut lexer).transpose()?;
        if found.is_ok() {
            self.lexer = Some(Ok(lexer));
        }
        Some(found)
    }
}

/// The first token of the next statement; the lexer stands before it.
pub(crate) fn first(lexer: &mut Lexer<'_>) -> Result<Option<Token>, Unknown> {
    let first = loop {
        match lexer.significant()? {
            None => return Ok(None),
            Some(token) if token.kind == Kind::Semicolon => {}
            Some(token) => break token,
        }
    };
    lexer.at = first.span.start;
    Ok(Some(first))
}

fn next(lexer: &mut Lexer<'_>) -> Result<Option<Statement>, Unknown> {
    let Some(first) = first(lexer)? else {
        return Ok(None);
    };
    let head = head::read(&mut Look::new(*lexer)?, 0)?;
    let mut body = Body::new(lexer.text, &head);
    let mut last = first;
    while let Some(token) = lexer.significant()? {
        if token.kind == Kind::Semicolon && body.is_outside() {
            break;
        }
        body.token(token)?;
        last = token;
    }
    if !body.is_outside() {
        return Err(Unknown::Unbalanced);
    }
    let span = Span {
        start: first.span.start,
        end: last.span.end,
    };
    Ok(Some(finish(lexer.text, span, &head, &body)))
}

/// The statement, once all its tokens were seen.
pub(crate) fn finish(text: &[u8], span: Span, head: &Head, body: &Body<'_>) -> Statement {
    let mut effects = head.effects | body.effects();
    if effects.has(Effects::SET | Effects::SET_LOCAL | Effects::SET_CONFIG)
        && may_name_temporary_schema(span.of(text))
    {
        effects |= Effects::TEMPORARY;
    }
    let value = head.value.map(|start| Span {
        start,
        end: span.end,
    });
    Statement {
        span,
        verb: head.verb,
        effects,
        name: head.name,
        value,
        inner: head.inner,
    }
}

/// With a temporary schema first in the search path, every object made is temporary. An escape may
/// spell it.
fn may_name_temporary_schema(text: &[u8]) -> bool {
    text.contains(&b'\\')
        || text
            .windows(7)
            .any(|part| part.eq_ignore_ascii_case(b"pg_temp"))
}
