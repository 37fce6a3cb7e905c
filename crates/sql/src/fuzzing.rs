//! Owns what must hold for any bytes at all: plain functions that a fuzzer or a seeded mutator calls,
//! and that panic if it doesn't hold.

use crate::{Encoding, Lexer, Lexing, statements};

const ENCODINGS: [Encoding; 6] = [
    Encoding::Utf8,
    Encoding::AsciiSafe,
    Encoding::Sjis,
    Encoding::TwoBytes,
    Encoding::Gb18030,
    Encoding::Johab,
];

/// The first byte chooses the lexing state. Tokens tile the text, statements lie in order within it,
/// and every span is of the text.
pub fn scan(data: &[u8]) {
    let Some((&choice, text)) = data.split_first() else {
        return;
    };
    let lexing = Lexing {
        encoding: ENCODINGS[usize::from(choice >> 1) % ENCODINGS.len()],
        standard_conforming_strings: choice & 1 == 0,
        len_max: 1 << 16,
    };
    let mut is_lexed = false;
    if let Ok(mut lexer) = Lexer::new(text, lexing) {
        let mut at = 0;
        loop {
            match lexer.token() {
                Ok(Some(token)) => {
                    assert_eq!(token.span.start, at);
                    assert!(token.span.end > at && token.span.end <= text.len());
                    at = token.span.end;
                }
                Ok(None) => {
                    assert_eq!(at, text.len());
                    is_lexed = true;
                    break;
                }
                Err(_) => break,
            }
        }
    }
    let mut at = 0;
    for statement in statements(text, lexing) {
        let Ok(statement) = statement else {
            return;
        };
        let span = statement.span;
        assert!(span.start >= at && span.start < span.end && span.end <= text.len());
        for inner in [statement.name, statement.value].into_iter().flatten() {
            assert!(inner.start >= span.start && inner.end <= span.end);
        }
        at = span.end;
    }
    assert!(is_lexed, "judged to its end although not lexed to its end");
}
