//! Owns what must hold for any bytes at all: plain functions that a fuzzer or a seeded mutator calls,
//! and that panic if it doesn't hold.

use crate::{
    Access, Analysis, Asked, Encoding, Facts, Impact, Kind, Layout, Lexer, Lexing, Plain, Span,
    TEMPLATE_MAX, Unsure, Values, statements,
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

/// The first byte chooses the lexing state. What the quick look says of a text is what reading it finds, if it can be read.
/// Says whether it was plain.
pub fn plain(data: &[u8]) -> bool {
    let Some((&choice, text)) = data.split_first() else {
        return false;
    };
    let lexing = chosen(choice);
    let mut values = Values::default();
    let Some(plain) = Plain::with_values(text, lexing, &mut values) else {
        return false;
    };
    let found: Result<Vec<_>, _> = statements(text, lexing).collect();
    let Ok(found) = found else {
        return true;
    };
    let [one] = found.as_slice() else {
        panic!("several statements passed as a plain one");
    };
    assert_eq!(
        one.effects,
        plain.effects(),
        "{}",
        String::from_utf8_lossy(text)
    );
    let mut analysis = Analysis::new();
    analysis.read(text, &Asked::facts(lexing));
    if let ([facts], None) = (analysis.statements(), analysis.unsure())
        && facts.unsure.is_none()
    {
        assert!(analysis.calls(facts).is_empty());
        let reads = facts.impact.is_within(Impact::READ)
            && analysis
                .relations(facts)
                .iter()
                .all(|it| it.access == Access::Read);
        assert!(reads || plain != Plain::Reads);
    }
    let mut room = [0; TEMPLATE_MAX];
    if let Some(template) = values.template(text, &mut room) {
        let (mut values, mut room) = (Values::default(), [0; TEMPLATE_MAX]);
        let again = Plain::with_values(template, lexing, &mut values);
        assert_eq!(again, Some(plain), "a template is something else");
        assert_eq!(values.template(template, &mut room), Some(template));
        alike(text, template, lexing);
        fits_what_has_it(text, (template, plain), data);
    }
    true
}

/// Of texts near one that has a template, its layout fits those that have it, too.
fn fits_what_has_it(text: &[u8], (template, plain): (&[u8], Plain), data: &[u8]) {
    let lexing = Lexing::default();
    let layout = Layout::of(template).expect("a template is plain");
    assert_eq!(layout.plain(), plain);
    assert!(layout.fits(template, text, lexing));
    let mut near = text.to_vec();
    for (index, byte) in data.iter().take(32).enumerate() {
        let at = (usize::from(*byte) * 31 + index) % (near.len() + 1);
        let piece = [&b"'"[..], b"0", b"''", b"a", b"(", b"\\", b" ", b"-"][index % 8];
        match byte % 3 {
            0 => drop(near.splice(at..at, piece.iter().copied())),
            1 if at < near.len() => near[at] = piece[0],
            _ => near.truncate(near.len().max(1) - 1),
        }
        let (mut values, mut room) = (Values::default(), [0; TEMPLATE_MAX]);
        let has_it = Plain::with_values(&near, lexing, &mut values) == Some(plain)
            && values.template(&near, &mut room) == Some(template);
        let near_text = String::from_utf8_lossy(&near);
        assert_eq!(layout.fits(template, &near, lexing), has_it, "{near_text}");
    }
}

/// What is found of a text and of its template differs in nothing but values and places.
fn alike(text: &[u8], template: &[u8], lexing: Lexing) {
    let asked = Asked {
        literals: true,
        shape: Some(b"scope"),
        ..Asked::facts(lexing)
    };
    let read = |text: &[u8]| {
        let mut analysis = Analysis::new();
        analysis.read(text, &asked);
        analysis
    };
    let tokens = |text: &[u8]| -> Vec<Kind> {
        let Ok(mut lexer) = Lexer::new(text, lexing) else {
            return Vec::new();
        };
        std::iter::from_fn(|| lexer.token().ok()?.map(|it| it.kind)).collect()
    };
    assert_eq!(tokens(text), tokens(template));
    let (one, other) = (read(text), read(template));
    assert_eq!(one.unsure(), other.unsure());
    assert_eq!(one.statements().len(), other.statements().len());
    for (facts, like) in one.statements().iter().zip(other.statements()) {
        let said = |it: &Facts| {
            (
                it.impact,
                it.unsure,
                it.without_where,
                it.has_secret,
                it.shape,
            )
        };
        assert_eq!(said(facts), said(like));
        let statement = |it: &Facts| (it.statement.verb, it.statement.effects, it.only_explained);
        assert_eq!(statement(facts), statement(like));
        let names = names(&one, facts, text);
        assert!(names.eq(self::names(&other, like, template)));
        assert_eq!(one.literals(facts).len(), other.literals(like).len());
    }
}

/// What a statement's relations and calls are called, and how they are used.
fn names<'a>(
    analysis: &'a Analysis,
    facts: &'a Facts,
    text: &'a [u8],
) -> impl Iterator<Item = (Option<Access>, Option<&'a [u8]>, &'a [u8])> + 'a {
    let of = move |span: Option<Span>| span.map(|it| it.of(text));
    let relations = analysis.relations(facts).iter();
    let relations = relations.map(move |it| (Some(it.access), of(it.schema), it.name.of(text)));
    let calls = analysis.calls(facts).iter();
    relations.chain(calls.map(move |it| (None, of(it.schema), it.name.of(text))))
}

fn chosen(choice: u8) -> Lexing {
    Lexing {
        encoding: ENCODINGS[usize::from(choice >> 1) % ENCODINGS.len()],
        standard_conforming_strings: choice & 1 == 0,
        len_max: 1 << 16,
    }
}

/// The first byte chooses the lexing state. The facts speak of the statements that the first layer finds; their
/// places lie in them; a statement alone has the facts that it has among others; and whatever is added changes the
/// shape.
pub fn facts(data: &[u8]) {
    let Some((&choice, text)) = data.split_first() else {
        return;
    };
    let lexing = chosen(choice);
    let asked = Asked {
        literals: true,
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
        assert_eq!(only.shape, facts.shape);
        let (one, other) = (places(&alone, only), places(&analysis, facts));
        assert!(
            one.map(|place| place.start + span.start)
                .eq(other.map(|place| place.start))
        );
        vary(text, &asked, facts);
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

/// Other tokens.
fn vary(text: &[u8], asked: &Asked<'_>, facts: &Facts) {
    let span = facts.statement.span;
    let mut other = Analysis::new();
    let mut changed = span.of(text).to_vec();
    changed.extend_from_slice(b"\n, more");
    other.read(&changed, asked);
    if let [only] = other.statements() {
        assert_ne!(only.shape, facts.shape, "a token more left the shape");
    }
}
