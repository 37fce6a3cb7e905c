//! Owns the id of a statement, made from its tokens.
//!
//! The *shape* is the exact token stream: words in lower case, everything else as it was written, with a length
//! before each so that no two streams meet. Only the literals of statements that change or read rows give
//! way to their kind: everywhere else (SET, DO, COPY … TO 'file', CREATE FUNCTION, EXPLAIN's options) a literal
//! decides what happens.

use sha2::{Digest, Sha256};

use crate::encoding::Lexing;
use crate::facts::{Facts, ShapeId};
use crate::lexer::Lexer;
use crate::token::{Kind, Span, Token};
use crate::verb::Verb;

/// The shape of a statement within a scope.
pub(crate) fn shape_of(text: &[u8], lexing: Lexing, scope: &[u8], facts: &Facts) -> ShapeId {
    let tokens = Tokens::new(text, lexing, facts.statement.span);
    shape(tokens, scope, !leaves_literals_out(facts))
}

fn leaves_literals_out(facts: &Facts) -> bool {
    let changes_rows = |verb| {
        matches!(
            verb,
            Verb::Select | Verb::Insert | Verb::Update | Verb::Delete | Verb::Merge
        )
    };
    let verb = facts.statement.verb;
    changes_rows(verb)
        || matches!(verb, Verb::Declare | Verb::Prepare)
            && facts.statement.inner.is_some_and(changes_rows)
}

fn shape(tokens: Tokens<'_>, scope: &[u8], keeps_literals: bool) -> ShapeId {
    let mut hash = Sha256::new();
    hash.update((scope.len() as u64).to_be_bytes());
    hash.update(scope);
    let text = tokens.lexer.text;
    let mut block = [0; 64];
    for token in tokens {
        let bytes = token.span.of(text);
        let bytes = match token.kind {
            Kind::String | Kind::Dollar | Kind::Bits | Kind::Number if !keeps_literals => &[],
            _ => bytes,
        };
        hash.update([token.kind as u8]);
        hash.update((bytes.len() as u64).to_be_bytes());
        if token.kind == Kind::Word {
            for part in bytes.chunks(block.len()) {
                let lower = &mut block[..part.len()];
                lower.copy_from_slice(part);
                lower.make_ascii_lowercase();
                hash.update(&*lower);
            }
        } else {
            hash.update(bytes);
        }
    }
    ShapeId(hash.finalize().into())
}

/// The significant tokens of a statement.
struct Tokens<'a> {
    lexer: Lexer<'a>,
    end: usize,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a [u8], lexing: Lexing, statement: Span) -> Self {
        Self {
            lexer: Lexer::within(text, lexing, statement.start),
            end: statement.end,
        }
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let token = self.lexer.significant().ok()??;
        (token.span.end <= self.end).then_some(token)
    }
}
