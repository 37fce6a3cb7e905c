//! Owns the reading of calls of `set_config`: the name if it is a plain literal, and whether the setting
//! ends with the transaction.

use super::{How, Touched};
use crate::wishes::name;
use sql::{Kind, Lexer, Lexing, NAME_MAX, Token, Unknown, fold};

/// Notes the calls in a text. Says whether there was one; `None` if the text can't be read.
pub(super) fn set_configs(text: &[u8], lexing: Lexing, touched: &mut Touched) -> Option<bool> {
    let mut lexer = Lexer::new(text, lexing).ok()?;
    let mut found = false;
    let mut is_named = false;
    while let Some(token) = lexer.significant().ok()? {
        if token.kind == Kind::Open && is_named {
            found = true;
            call(text, lexer, touched).ok()?;
        }
        let mut room = [0; NAME_MAX];
        is_named = fold(text, token, &mut room) == Some(b"set_config");
    }
    Some(found)
}

/// One call, from behind its parenthesis.
fn call(text: &[u8], mut lexer: Lexer<'_>, touched: &mut Touched) -> Result<(), Unknown> {
    let first = lexer.significant()?;
    let second = lexer.significant()?;
    let name = first
        .filter(|_| second.is_some_and(|token| token.kind == Kind::Comma))
        .and_then(|token| literal(text, token));
    match name {
        Some(_) if is_local(text, lexer)? => {}
        Some(name) => touched.put(&name, How::Set),
        None => touched.unknown(),
    }
    Ok(())
}

/// Whether the third argument, with two commas before it, is TRUE and nothing more. From behind the first
/// comma.
fn is_local(text: &[u8], mut lexer: Lexer<'_>) -> Result<bool, Unknown> {
    let mut depth = 0usize;
    let mut last: Vec<Token> = Vec::new();
    let mut commas = 0;
    while let Some(token) = lexer.significant()? {
        let symbol = token.span.of(text);
        if token.kind == Kind::Open || symbol == b"[" {
            depth += 1;
        } else if depth == 0 && token.kind == Kind::Close {
            break;
        } else if token.kind == Kind::Close || symbol == b"]" {
            depth = depth.saturating_sub(1);
        } else if depth == 0 && token.kind == Kind::Comma {
            commas += 1;
            last.clear();
            continue;
        }
        // One more than is looked at.
        if last.len() < 2 {
            last.push(token);
        }
    }
    Ok(match last[..] {
        [only] => {
            let word = only.span.of(text);
            commas == 1 && only.kind == Kind::Word && word.eq_ignore_ascii_case(b"true")
        }
        _ => false,
    })
}

/// The name in a string whose content says all.
fn literal(text: &[u8], token: Token) -> Option<String> {
    let bytes = token.span.of(text);
    let inner = match bytes {
        [b'\'', inner @ .., b'\''] | [b'e' | b'E', b'\'', inner @ .., b'\'']
            if token.kind == Kind::String =>
        {
            inner
        }
        _ => return None,
    };
    // No quote, no backslash, no blank: whatever the rules, the content is what is written.
    name::folded(inner)
}
