//! Owns the two ids of a statement and its normalised text, all made from its tokens.
//!
//! The *shape* is the exact token stream: words in lower case, everything else as it was written, with a length
//! before each so that no two streams meet. Only the literals of statements that change or read rows give
//! way to their kind: everywhere else (SET, DO, COPY … TO 'file', CREATE FUNCTION, EXPLAIN's options) a literal
//! decides what happens.
//! The *group* is what is left when also lists, signs and the difference between a literal and a
//! parameter are taken out.

use sha2::{Digest, Sha256};

use crate::analysis::Asked;
use crate::encoding::Lexing;
use crate::facts::{Facts, GroupId, ShapeId};
use crate::functions::is_key_word;
use crate::lexer::Lexer;
use crate::token::{Kind, Span, Token};
use crate::verb::Verb;
use crate::word::{Packed, pack, w};

/// Computes what is asked for.
pub(crate) fn identify(text: &[u8], asked: &Asked<'_>, facts: &mut Facts) {
    let span = facts.statement.span;
    if let Some(scope) = asked.shape {
        let keeps = !leaves_literals_out(facts);
        facts.shape = Some(shape(Tokens::new(text, asked.lexing, span), scope, keeps));
    }
    if asked.group {
        let mut hash = Sha256::new();
        grouped(Tokens::new(text, asked.lexing, span), |piece| {
            hash.update([piece.len().min(255) as u8]);
            hash.update(piece);
        });
        let digest = hash.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        facts.group = Some(GroupId(u64::from_be_bytes(first)));
    }
}

/// Writes a statement without its literals: `?` for each, one for a list of them, no comments, single blanks. What
/// it writes holds no value that a client sent, passwords of role definitions among them.
pub fn normalise(text: &[u8], lexing: Lexing, statement: Span, into: &mut Vec<u8>) {
    let mut last = Vec::new();
    grouped(Tokens::new(text, lexing, statement), |piece| {
        let tight = matches!(piece, b"," | b")" | b"." | b"]" | b"::" | b"[")
            || matches!(&last[..], b"(" | b"." | b"[" | b"::");
        if !into.is_empty() && !tight {
            into.push(b' ');
        }
        into.extend_from_slice(piece);
        last.clear();
        last.extend_from_slice(piece);
    });
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
#[derive(Clone, Copy)]
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

/// What a list that is written once is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    /// `IN (`, `ARRAY[`.
    Values,
    /// `VALUES (…), (…)`.
    Rows,
}

/// Gives the pieces of the group: words in lower case, `?` for values, lists of values once.
fn grouped(mut tokens: Tokens<'_>, mut give: impl FnMut(&[u8])) {
    let text = tokens.lexer.text;
    let mut last: Option<Token> = None;
    let mut last_word: Packed = 0;
    let mut list = None;
    while let Some(token) = tokens.next() {
        let word = pack(text, token);
        if is_value(token, word, last_word) {
            give(b"?");
            if list == Some(List::Values) {
                skip_values(&mut tokens);
            }
        } else if token.kind == Kind::Operator
            && is_sign(token.span.of(text))
            && expects_operand(text, last)
            && follows_number(tokens)
        {
            // A sign is part of the value.
            continue;
        } else {
            give_lower(token.span.of(text), token.kind, &mut give);
        }
        let opens = matches!(token.span.of(text), b"(" | b"[");
        list = match (list, token.kind) {
            _ if opens && (last_word == w("in") || last_word == w("array")) => Some(List::Values),
            _ if word == w("values") => Some(List::Rows),
            (Some(List::Rows), Kind::Open) => {
                if let Some(behind) = row(tokens) {
                    give(b"?");
                    give(b")");
                    tokens = behind;
                    skip_rows(&mut tokens);
                    last = Some(Token {
                        kind: Kind::Close,
                        span: token.span,
                    });
                    last_word = 0;
                    list = None;
                    continue;
                }
                None
            }
            (Some(List::Values), Kind::Close) => None,
            (list @ Some(List::Values), _) => list,
            _ => None,
        };
        last = Some(token);
        last_word = word;
    }
}

fn give_lower(bytes: &[u8], kind: Kind, give: &mut impl FnMut(&[u8])) {
    if kind == Kind::Word {
        let mut lower = [0; 64];
        if let Some(lower) = lower.get_mut(..bytes.len()) {
            lower.copy_from_slice(bytes);
            lower.make_ascii_lowercase();
            return give(lower);
        }
        return give(&bytes.to_ascii_lowercase());
    }
    give(bytes);
}

/// A literal, a parameter, or NULL, TRUE and FALSE where they stand for a value.
fn is_value(token: Token, word: Packed, last_word: Packed) -> bool {
    match token.kind {
        Kind::String | Kind::Dollar | Kind::Bits | Kind::Number | Kind::Parameter => true,
        Kind::Word if word == w("null") || word == w("true") || word == w("false") => {
            last_word != w("is") && last_word != w("not")
        }
        _ => false,
    }
}

fn is_sign(bytes: &[u8]) -> bool {
    matches!(bytes, b"-" | b"+")
}

/// Whether what stood before leaves an operand due, so that a minus is a sign.
fn expects_operand(text: &[u8], last: Option<Token>) -> bool {
    last.is_some_and(|last| match last.kind {
        Kind::Open | Kind::Comma | Kind::Operator => true,
        Kind::Punctuation => last.span.of(text) != b"]",
        Kind::Word => is_key_word(text, last),
        _ => false,
    })
}

fn follows_number(mut tokens: Tokens<'_>) -> bool {
    tokens
        .next()
        .is_some_and(|token| token.kind == Kind::Number)
}

/// Over `, value` as often as it comes.
fn skip_values(tokens: &mut Tokens<'_>) {
    loop {
        let mut ahead = *tokens;
        let comma = ahead.next().is_some_and(|token| token.kind == Kind::Comma);
        if !comma || !value(&mut ahead) {
            return;
        }
        *tokens = ahead;
    }
}

/// Over one value with its sign.
fn value(ahead: &mut Tokens<'_>) -> bool {
    let text = ahead.lexer.text;
    let mut token = ahead.next();
    if token.is_some_and(|token| is_sign(token.span.of(text))) {
        token = ahead.next().filter(|token| token.kind == Kind::Number);
    }
    token.is_some_and(|token| {
        let word = pack(text, token);
        is_value(token, word, 0) || word == w("default")
    })
}

/// Behind a row of nothing but values, whose opening parenthesis was read.
fn row(mut ahead: Tokens<'_>) -> Option<Tokens<'_>> {
    loop {
        if !value(&mut ahead) {
            return None;
        }
        match ahead.next()?.kind {
            Kind::Comma => {}
            Kind::Close => return Some(ahead),
            _ => return None,
        }
    }
}

fn skip_rows(tokens: &mut Tokens<'_>) {
    loop {
        let mut ahead = *tokens;
        let comma = ahead.next().is_some_and(|token| token.kind == Kind::Comma);
        if !comma || ahead.next().is_none_or(|token| token.kind != Kind::Open) {
            return;
        }
        match row(ahead) {
            Some(behind) => *tokens = behind,
            None => return,
        }
    }
}
