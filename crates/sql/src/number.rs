//! Owns numbers: decimal, with a fraction or an exponent, with a base, with `_` between digits.

use crate::lexer::Lexer;
use crate::token::Kind;
use crate::unknown::Unknown;

/// A number, at a digit or a dot before a digit.
pub(crate) fn lex(lexer: &mut Lexer<'_>) -> Result<Kind, Unknown> {
    let base: Option<fn(u8) -> bool> = match (lexer.peek(0), lexer.peek(1) | 0x20) {
        (b'0', b'x') => Some(|byte| byte.is_ascii_hexdigit()),
        (b'0', b'o') => Some(|byte| matches!(byte, b'0'..=b'7')),
        (b'0', b'b') => Some(|byte| matches!(byte, b'0' | b'1')),
        _ => None,
    };
    if let Some(is_digit) = base {
        lexer.at += 2;
        if lexer.peek(0) == b'_' {
            lexer.at += 1;
        }
        digits(lexer, is_digit)?;
        return end(lexer);
    }
    if lexer.peek(0) != b'.' {
        digits(lexer, |byte| byte.is_ascii_digit())?;
        // `1..10` is 1, `..`, 10.
        if lexer.peek(0) == b'.' && lexer.peek(1) == b'.' {
            return Ok(Kind::Number);
        }
    }
    if lexer.peek(0) == b'.' {
        lexer.at += 1;
        if lexer.peek(0).is_ascii_digit() {
            digits(lexer, |byte| byte.is_ascii_digit())?;
        }
    }
    if lexer.peek(0) | 0x20 == b'e' {
        lexer.at += 1;
        if matches!(lexer.peek(0), b'+' | b'-') {
            lexer.at += 1;
        }
        digits(lexer, |byte| byte.is_ascii_digit())?;
    }
    end(lexer)
}

/// One digit or more, single `_` between them.
fn digits(lexer: &mut Lexer<'_>, is_digit: fn(u8) -> bool) -> Result<(), Unknown> {
    loop {
        let start = lexer.at;
        lexer.skip(is_digit);
        if lexer.at == start {
            return Err(Unknown::Number);
        }
        if lexer.peek(0) != b'_' {
            return Ok(());
        }
        lexer.at += 1;
    }
}

/// No letter may follow.
fn end(lexer: &Lexer<'_>) -> Result<Kind, Unknown> {
    match lexer.peek(0) {
        b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'0'..=b'9' | 0x80.. => Err(Unknown::Number),
        _ => Ok(Kind::Number),
    }
}
