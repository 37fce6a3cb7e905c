//! Owns the cutting of a console's text into words. The language is PgBouncer's and not SQL: a word may
//! begin with a digit (`PAUSE 2024`). What drivers put around a statement (comments, blanks) is skipped.

use std::borrow::Cow;

/// A piece of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word<'a> {
    /// Letters, digits, `_`: compared without regard to case where it is a key word.
    Bare(&'a str),
    /// What may be an address: the same with `.`, `:`, `-`, `[` and `]` among it.
    Address(&'a str),
    /// `"…"`, without its quotes.
    Quoted(Cow<'a, str>),
    /// `'…'`, without its quotes.
    Literal(Cow<'a, str>),
    /// `=`
    Equals,
    /// `;`
    Semicolon,
}

impl<'a> Word<'a> {
    /// What names a thing: a bare or quoted word.
    pub(crate) fn name(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Bare(text) => Some(Cow::Borrowed(text)),
            Self::Quoted(text) => Some(text),
            Self::Address(_) | Self::Literal(_) | Self::Equals | Self::Semicolon => None,
        }
    }

    /// What names a host.
    pub(crate) fn host(&self) -> Option<&str> {
        match self {
            Self::Address(text) | Self::Bare(text) => Some(text),
            Self::Quoted(text) | Self::Literal(text) => Some(text),
            Self::Equals | Self::Semicolon => None,
        }
    }

    /// What may be a setting's value.
    pub(crate) fn value(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Literal(text) => Some(text),
            other => other.name(),
        }
    }
}

/// The words of a text; `None` if there is anything else in it.
pub(crate) fn words(text: &str) -> Option<Vec<Word<'_>>> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.bytes().next() {
        rest = match first {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => &rest[1..],
            b'-' if rest.starts_with("--") => line_comment(rest),
            b'/' if rest.starts_with("/*") => block_comment(rest)?,
            b'=' => {
                words.push(Word::Equals);
                &rest[1..]
            }
            b';' => {
                words.push(Word::Semicolon);
                &rest[1..]
            }
            b'"' => {
                let (inside, after) = quoted(rest, '"')?;
                words.push(Word::Quoted(inside));
                after
            }
            b'\'' => {
                let (inside, after) = quoted(rest, '\'')?;
                words.push(Word::Literal(inside));
                after
            }
            _ => {
                let (word, after) = unquoted(rest)?;
                words.push(word);
                after
            }
        };
    }
    Some(words)
}

/// A word without quotes, and what follows.
fn unquoted(text: &str) -> Option<(Word<'_>, &str)> {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_part = |byte: u8| is_bare(byte) || b".:-[]".contains(&byte);
    let end = text.bytes().take_while(|it| is_part(*it)).count();
    // A comment ends a word.
    let end = text[..end].find("--").unwrap_or(end);
    let (word, after) = text.split_at_checked(end)?;
    let first = word.bytes().next().filter(|it| is_bare(*it) || *it == b'[');
    first?;
    match word.bytes().all(is_bare) {
        true => Some((Word::Bare(word), after)),
        false => Some((Word::Address(word), after)),
    }
}

fn line_comment(text: &str) -> &str {
    text.find(['\n', '\r']).map_or("", |end| &text[end..])
}

/// Nested, as in SQL.
fn block_comment(text: &str) -> Option<&str> {
    let mut depth = 0usize;
    let mut rest = text;
    loop {
        if let Some(after) = rest.strip_prefix("/*") {
            depth += 1;
            rest = after;
        } else if let Some(after) = rest.strip_prefix("*/") {
            depth -= 1;
            rest = after;
            if depth == 0 {
                return Some(rest);
            }
        } else {
            let mut chars = rest.chars();
            chars.next()?;
            rest = chars.as_str();
        }
    }
}

/// What stands between quotes, a doubled quote being one, and what follows.
fn quoted(text: &str, quote: char) -> Option<(Cow<'_, str>, &str)> {
    let body = &text[1..];
    let mut at = 0;
    loop {
        at += body[at..].find(quote)?;
        match body[at + 1..].starts_with(quote) {
            true => at += 2,
            false => break,
        }
    }
    let inside = &body[..at];
    let doubled: String = [quote, quote].iter().collect();
    let inside = match inside.contains(&doubled) {
        true => Cow::Owned(inside.replace(&doubled, &quote.to_string())),
        false => Cow::Borrowed(inside),
    };
    Some((inside, &body[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_their_words() {
        use Word::{Address, Bare, Equals, Literal, Quoted, Semicolon};
        let cases: [(&str, &[Word]); 13] = [
            ("", &[]),
            ("-- ping", &[]),
            (
                "/* a /* b */ */ show/**/pools;",
                &[Bare("show"), Bare("pools"), Semicolon],
            ),
            ("PAUSE 2024db\n", &[Bare("PAUSE"), Bare("2024db")]),
            (
                "pause \"a \"\"b\"\"\"",
                &[Bare("pause"), Quoted("a \"b\"".into())],
            ),
            (
                "SET x='it''s' ;",
                &[
                    Bare("SET"),
                    Bare("x"),
                    Equals,
                    Literal("it's".into()),
                    Semicolon,
                ],
            ),
            ("''", &[Literal("".into())]),
            ("a--b\nc", &[Bare("a"), Bare("c")]),
            ("a-b.c--d", &[Address("a-b.c")]),
            (
                "drain db-1 db-1.example:5432;",
                &[
                    Bare("drain"),
                    Address("db-1"),
                    Address("db-1.example:5432"),
                    Semicolon,
                ],
            ),
            ("[::1]:5432", &[Address("[::1]:5432")]),
            ("''''", &[Literal("'".into())]),
            ("\"é\"", &[Quoted("é".into())]),
        ];
        for (text, expected) in cases {
            assert_eq!(words(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_has_other_things_in_it_has_no_words() {
        for text in [
            "'", "\"a", "/* a", "/*", "é", "aé", ".b", "-b", ":", "]", "$1", "*", "'''", "a\0",
        ] {
            assert_eq!(words(text), None, "{text}");
        }
    }
}
