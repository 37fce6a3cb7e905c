//! Owns the values of databases, users and peers: `name=value` pairs, quoted as in libpq's connection
//! strings, read as PgBouncer's own parser does.

use crate::fault::{Fault, Problem};
use crate::ini::Entry;
use buf::Secret;

/// One pair.
#[derive(Debug)]
pub(crate) struct Pair<'e> {
    /// The parameter.
    pub(crate) key: &'e str,
    value: Secret,
    entry: &'e Entry,
}

impl Pair<'_> {
    /// Its value, which may be a password.
    pub(crate) fn value(&self) -> &str {
        std::str::from_utf8(self.value.expose()).unwrap_or_default()
    }

    /// The fault that this value is.
    pub(crate) fn fault(&self, problem: Problem) -> Fault {
        Fault::Setting {
            at: self.entry.at.clone(),
            key: format!("{}: {}", self.entry.key, printable(self.key)),
            problem,
        }
    }
}

/// All pairs of an entry. Of two with the same name, the last one counts.
pub(crate) fn pairs(entry: &Entry) -> Result<Vec<Pair<'_>>, Fault> {
    let mut pairs: Vec<Pair<'_>> = Vec::new();
    let mut rest = entry.value().trim_start_matches(is_blank);
    while !rest.is_empty() {
        let (key, value, after) = pair(rest).ok_or_else(|| Fault::Setting {
            at: entry.at.clone(),
            key: entry.key.clone(),
            problem: Problem::Pairs,
        })?;
        pairs.retain(|it| it.key != key);
        pairs.push(Pair { key, value, entry });
        rest = after.trim_start_matches(is_blank);
    }
    Ok(pairs)
}

fn is_blank(letter: char) -> bool {
    letter == ' ' || letter == '\t'
}

/// The first pair, and what follows it. An empty value is none.
fn pair(text: &str) -> Option<(&str, Secret, &str)> {
    let (key, rest) = text.split_at(text.find(['=', ' '])?);
    let rest = rest.trim_start_matches(is_blank).strip_prefix('=')?;
    let rest = rest.trim_start_matches(is_blank);
    let (value, rest) = match rest.strip_prefix('\'') {
        Some(quoted) => unquoted(quoted)?,
        None => {
            let (value, rest) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
            (Secret::new(value.as_bytes()), rest)
        }
    };
    // The letter behind a value is its end, whatever it is.
    let mut after = rest.chars();
    after.next();
    (!key.is_empty() && !value.is_empty()).then_some((key, value, after.as_str()))
}

/// A value up to its closing quote; a doubled one is one.
fn unquoted(mut rest: &str) -> Option<(Secret, &str)> {
    // No more than this: a vector that grows leaves copies behind.
    let mut value = Vec::with_capacity(rest.len());
    loop {
        let (part, after) = rest.split_once('\'')?;
        value.extend_from_slice(part.as_bytes());
        match after.strip_prefix('\'') {
            Some(after) => {
                value.push(b'\'');
                rest = after;
            }
            None => return Some((Secret::from_vec(value), after)),
        }
    }
}

/// A name of the file, safe to print: without control characters, and not endless.
pub(crate) fn printable(name: &str) -> String {
    let printable = |letter: char| match letter {
        letter if letter.is_control() => '?',
        letter => letter,
    };
    name.chars().take(64).map(printable).collect()
}
