//! The fuzz target, driven by a seeded mutator and by properties: a small share of what the fuzzer does.

use proptest::prelude::*;
use sql::{Effects, Lexer, Lexing, Unknown, Verb, effects, fuzzing, statements};

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers for the same seed, everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }
}

const TELLING: &[u8] = b"'\"\\$;()-/*+.:eEuU&1x_ \n\x80\x95\0";

#[test]
fn mutated_statements() {
    let mut corpus: Vec<&str> = include_str!("corpus.sql").split("\n\n").collect();
    corpus.extend(include_str!("facts.txt").lines().step_by(2));
    let mut random = Random(1);
    for round in 0..20_000 {
        let mut data = vec![random.below(12) as u8];
        data.extend(corpus[random.below(corpus.len())].bytes());
        for _ in 0..=random.below(4) {
            let at = 1 + random.below(data.len() - 1);
            let byte = TELLING[random.below(TELLING.len())];
            match random.below(4) {
                0 => data[at] = byte,
                1 => data.insert(at, byte),
                2 => data.truncate(at + 1),
                _ => drop(data.remove(at)),
            }
            if data.len() < 3 {
                data.extend(b"SELECT 1");
            }
        }
        fuzzing::scan(&data);
        fuzzing::plain(&data);
        if round % 4 == 0 {
            fuzzing::facts(&data);
        }
    }
}

/// What plain texts, and those that nearly are, are made of.
const PIECES: &[&str] = &[
    "SELECT",
    "select",
    "INSERT INTO",
    "insert",
    "UPDATE",
    "DELETE FROM",
    "FROM",
    "WHERE",
    "SET",
    "VALUES",
    "IN",
    "OR",
    "AND",
    "NOT",
    "FOR UPDATE",
    "for",
    "into",
    "INTO",
    "temp",
    "pg_temp.",
    "t",
    "f",
    "\"f\"",
    "u&\"f\"",
    "s.",
    "\"",
    "'",
    "''",
    "'x'",
    "'a\"b'",
    "\"a'b\"",
    "(",
    "(1)",
    ")",
    "nextval('s')",
    ",",
    "=",
    "+",
    "-",
    "--",
    "/*",
    "*/",
    "*",
    "/",
    "$1",
    "$",
    "$$",
    "$a$",
    ";",
    "1",
    "1.5",
    "e'",
    "N'x'",
    "\\",
    "::int",
    "[1]",
    "\n",
    "WITH x AS (",
    "on conflict (a)",
    "distinct on (a)",
    "operator(",
    "current_user",
    "CAST(",
    "as",
    "AS x (",
    "all",
    "any",
    "values (1)",
    "exists (",
    "0x1F",
    "0",
    "12e5",
    "12.5",
    ".5",
    "1.",
    "1..2",
    "1_000",
    "12a",
    "a12",
    "b'01'",
    "x'1F'",
    "u&'x' uescape '!'",
    "interval '1 day'",
];

#[test]
fn what_passes_as_plain_is_plain() {
    let mut random = Random(7);
    let mut passed = 0;
    for _ in 0..200_000 {
        let mut data = vec![random.below(12) as u8];
        data.extend(PIECES[random.below(6)].bytes());
        for _ in 0..=random.below(9) {
            if random.below(4) != 0 {
                data.push(b' ');
            }
            data.extend(PIECES[random.below(PIECES.len())].bytes());
        }
        passed += usize::from(fuzzing::plain(&data));
    }
    assert!(passed > 10_000, "{passed}");
}

fn judged(text: &[u8]) -> Result<Vec<(Verb, Effects)>, Unknown> {
    statements(text, Lexing::default())
        .map(|statement| statement.map(|statement| (statement.verb, statement.effects)))
        .collect()
}

/// The text with something put between its tokens; a string may not be continued by a line end.
fn spread(text: &[u8], between: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let Ok(mut lexer) = Lexer::new(text, Lexing::default()) else {
        return out;
    };
    while let Ok(Some(token)) = lexer.token() {
        out.extend_from_slice(token.span.of(text));
        out.extend_from_slice(between);
    }
    out
}

#[test]
fn blanks_and_comments_between_tokens_change_nothing() {
    for text in include_str!("corpus.sql").split("\n\n") {
        let wanted = judged(text.as_bytes());
        assert!(wanted.is_ok(), "{text}");
        for between in [&b" "[..], b"\t/* ' /* \" */ ; */", b" --x'\n "] {
            assert_eq!(judged(&spread(text.as_bytes(), between)), wanted, "{text}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzzing::scan(&data);
        fuzzing::plain(&data);
        fuzzing::facts(&data);
    }

    #[test]
    fn any_text_of_telling_bytes(picks in proptest::collection::vec(0..TELLING.len(), 0..60), choice in 0..12u8) {
        let mut data = vec![choice];
        data.extend(b"SELECT ");
        data.extend(picks.iter().map(|&pick| TELLING[pick]));
        fuzzing::scan(&data);
        fuzzing::plain(&data);
        fuzzing::facts(&data);
    }

    /// What follows a statement never takes an effect away from it.
    #[test]
    fn a_second_statement_only_adds(pick in 0..40usize) {
        let corpus: Vec<&str> = include_str!("corpus.sql").split("\n\n").collect();
        let text = corpus[pick % corpus.len()].trim_end();
        let alone = effects(text.as_bytes(), Lexing::default());
        let both = effects(format!("{text}\n;LISTEN x").as_bytes(), Lexing::default());
        prop_assert_eq!(both, alone.map(|alone| alone | Effects::LISTEN));
    }
}
