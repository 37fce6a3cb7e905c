//! What is known of each statement of a corpus that was written by hand: `facts.txt`, in which a line of SQL is
//! followed by one of facts.

use std::fmt::Write;

use sql::{Access, Analysis, Asked, Lexing, NAME_MAX, Span, name};

fn folded(text: &[u8], span: Span) -> String {
    let mut room = [0; NAME_MAX];
    match name(text, span, true, &mut room) {
        Ok(name) => String::from_utf8_lossy(name).into_owned(),
        Err(_) => "?".to_owned(),
    }
}

/// The facts of a text on one line.
fn shown(text: &str, analysis: &Analysis) -> String {
    let text = text.as_bytes();
    let mut out = String::new();
    for facts in analysis.statements() {
        let words = sql::Impact::ALL
            .iter()
            .filter(|(flag, _)| facts.impact.has(*flag));
        let words: Vec<_> = words.map(|(_, word)| *word).collect();
        let _ = write!(out, "{}", words.join(" "));
        for found in analysis.relations(facts) {
            let access = match found.access {
                Access::Read => "read",
                Access::Write => "write",
                Access::Ddl => "ddl",
            };
            let parts = [found.catalog, found.schema, Some(found.name)];
            let parts: Vec<_> = parts
                .into_iter()
                .flatten()
                .map(|part| folded(text, part))
                .collect();
            let _ = write!(out, "; {access} {}", parts.join("."));
        }
        for call in analysis.calls(facts) {
            let parts = [call.schema, Some(call.name)];
            let parts: Vec<_> = parts
                .into_iter()
                .flatten()
                .map(|part| folded(text, part))
                .collect();
            let _ = write!(out, "; call {}", parts.join("."));
        }
        for (flag, word) in [
            (facts.without_where, "; no where"),
            (facts.only_explained, "; only explained"),
            (facts.has_secret, "; secret"),
        ] {
            out.push_str(if flag { word } else { "" });
        }
        if facts.parameters > 0 {
            let _ = write!(out, "; ${}", facts.parameters);
        }
        if let Some(unsure) = facts.unsure {
            let _ = write!(out, "; unsure: {unsure}");
        }
    }
    if let Some(unsure) = analysis
        .unsure()
        .filter(|_| analysis.statements().is_empty())
    {
        let _ = write!(out, "unsure: {unsure}");
    }
    out
}

fn read(text: &str) -> Analysis {
    let mut analysis = Analysis::new();
    analysis.read(text.as_bytes(), &Asked::facts(Lexing::default()));
    analysis
}

#[test]
fn the_corpus() {
    let mut lines = include_str!("facts.txt").lines();
    let mut count = 0;
    while let (Some(text), Some(wanted)) = (lines.next(), lines.next()) {
        assert_eq!(shown(text, &read(text)), wanted.trim(), "{text}");
        count += 1;
    }
    assert!(count > 200, "{count}");
}

/// One [`Analysis`] for all texts says what a fresh one says.
#[test]
fn nothing_stays_from_the_text_before() {
    let mut used = Analysis::new();
    for text in include_str!("facts.txt").lines().step_by(2) {
        used.read(text.as_bytes(), &Asked::facts(Lexing::default()));
        assert_eq!(shown(text, &used), shown(text, &read(text)), "{text}");
    }
}
