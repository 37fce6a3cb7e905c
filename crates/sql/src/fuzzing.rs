//! Owns what must hold for any bytes at all: plain functions that a fuzzer or a seeded mutator calls,
//! and that panic if it doesn't hold.

use crate::{
    Analysis, Asked, Encoding, Facts, Kind, Lexer, Lexing, Span, Unsure, normalise, statements,
};

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
    let lexing = chosen(choice);
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

fn chosen(choice: u8) -> Lexing {
    Lexing {
        encoding: ENCODINGS[usize::from(choice >> 1) % ENCODINGS.len()],
        standard_conforming_strings: choice & 1 == 0,
        len_max: 1 << 16,
    }
}

/// The first byte chooses the lexing state. The facts speak of the statements that the first layer finds; their
/// places lie in them; a statement alone has the facts that it has among others; other literals leave the
/// group as it is; anything else that is added changes the shape; and normalised text holds no literal.
pub fn facts(data: &[u8]) {
    let Some((&choice, text)) = data.split_first() else {
        return;
    };
    let lexing = chosen(choice);
    let asked = Asked {
        literals: true,
        group: true,
        shape: Some(b"scope"),
        ..Asked::facts(lexing)
    };
    let mut analysis = Analysis::new();
    analysis.read(text, &asked);
    let plain: Result<Vec<_>, _> = statements(text, lexing).collect();
    let plain = match plain {
        Ok(plain) => plain,
        Err(unknown) => {
            assert_eq!(analysis.unsure(), Some(Unsure::Text(unknown)));
            return;
        }
    };
    assert_eq!(analysis.unsure, None, "lexed, but not by the second layer");
    assert_eq!(analysis.statements().len(), plain.len());
    let mut alone = Analysis::new();
    for (facts, plain) in analysis.statements().iter().zip(&plain) {
        assert_eq!(&facts.statement, plain);
        let span = facts.statement.span;
        for inner in places(&analysis, facts) {
            assert!(inner.start >= span.start && inner.end <= span.end && inner.start < inner.end);
        }
        let piece = span.of(text);
        alone.read(piece, &asked);
        let [only] = alone.statements() else {
            panic!("one statement became several");
        };
        assert_eq!(only.impact, facts.impact);
        assert_eq!(only.unsure, facts.unsure);
        assert_eq!(only.group, facts.group);
        assert_eq!(only.shape, facts.shape);
        let (one, other) = (places(&alone, only), places(&analysis, facts));
        assert!(
            one.map(|place| place.start + span.start)
                .eq(other.map(|place| place.start))
        );
        vary(text, &asked, &analysis, facts);
    }
}

/// All places of a statement's lists.
fn places<'a>(analysis: &'a Analysis, facts: &'a Facts) -> impl Iterator<Item = Span> + 'a {
    let relations = analysis.relations(facts).iter();
    let relations = relations.flat_map(|found| [found.catalog, found.schema, Some(found.name)]);
    let calls = analysis.calls(facts).iter();
    let calls = calls.flat_map(|call| [call.schema, Some(call.name)]);
    let literals = analysis.literals(facts).iter().copied();
    relations.chain(calls).flatten().chain(literals)
}

/// Other literals, and other tokens.
fn vary(text: &[u8], asked: &Asked<'_>, analysis: &Analysis, facts: &Facts) {
    let span = facts.statement.span;
    let mut changed = Vec::new();
    let mut at = span.start;
    for literal in analysis.literals(facts) {
        changed.extend_from_slice(&text[at..literal.start]);
        let mut lexer = Lexer::within(text, asked.lexing, literal.start);
        let kind = lexer.token().ok().flatten().map(|token| token.kind);
        changed.extend_from_slice(match kind {
            Some(Kind::Number) => b"4711 ",
            Some(Kind::Bits) => b"B'1011'",
            _ => b"'another'",
        });
        at = literal.end;
    }
    changed.extend_from_slice(&text[at..span.end]);
    let mut other = Analysis::new();
    other.read(&changed, asked);
    // A number may have held two tokens together (`1..2`), and UESCAPE a string.
    if let [only] = other.statements() {
        let is_same_length = tokens(&changed, asked.lexing) == tokens(span.of(text), asked.lexing);
        if is_same_length && other.unsure.is_none() {
            assert_eq!(only.group, facts.group, "a literal changed the group");
        }
    }
    changed.clear();
    changed.extend_from_slice(span.of(text));
    changed.extend_from_slice(b"\n, more");
    other.read(&changed, asked);
    if let [only] = other.statements() {
        assert_ne!(only.shape, facts.shape, "a token more left the shape");
    }
    let mut normal = Vec::new();
    normalise(text, asked.lexing, span, &mut normal);
    // In other encodings a quote can be the second byte of a letter.
    let is_walked = matches!(asked.lexing.encoding, Encoding::Utf8 | Encoding::AsciiSafe);
    if is_walked && !text.contains(&b'"') {
        assert!(!normal.contains(&b'\''), "a literal in normalised text");
    }
}

fn tokens(text: &[u8], lexing: Lexing) -> usize {
    let mut count = 0;
    if let Ok(mut lexer) = Lexer::new(text, lexing) {
        while let Ok(Some(_)) = lexer.significant() {
            count += 1;
        }
    }
    count
}
