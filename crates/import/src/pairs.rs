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
    behind_password: bool,
}

/// Parameters of databases that are no part of anybody's password.
const KNOWN: &[&str] = &[
    "application_name",
    "auth_dbname",
    "auth_query",
    "auth_user",
    "client_encoding",
    "connect_query",
    "datestyle",
    "dbname",
    "host",
    "load_balance_hosts",
    "max_db_client_connections",
    "max_db_connections",
    "min_pool_size",
    "password",
    "pool_mode",
    "pool_size",
    "port",
    "query_wait_timeout",
    "reserve_pool",
    "reserve_pool_size",
    "server_lifetime",
    "target_session_attrs",
    "timezone",
    "user",
];

impl Pair<'_> {
    /// Its value, which may be a password.
    pub(crate) fn value(&self) -> &str {
        std::str::from_utf8(self.value.expose()).unwrap_or_default()
    }

    /// The parameter, safe to print. Behind a password, what looks like one may be the rest of it.
    pub(crate) fn shown(&self) -> String {
        let known = KNOWN.contains(&self.key);
        match self.behind_password && !known {
            true => "what follows the password".to_owned(),
            false => printable(self.key),
        }
    }

    /// The fault that this value is.
    pub(crate) fn fault(&self, problem: Problem) -> Fault {
        Fault::Setting {
            at: self.entry.at.clone(),
            key: format!("{}: {}", printable(&self.entry.key), self.shown()),
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
        let behind_password = pairs.iter().any(|it| it.key == "password");
        pairs.push(Pair {
            key,
            value,
            entry,
            behind_password,
        });
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
