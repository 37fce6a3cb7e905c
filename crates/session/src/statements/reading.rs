//! Owns what a text shows of itself: what it may leave behind, whether texts are read otherwise after
//! it, and whether it deallocates one statement.

use super::Name;
use sql::{Effects, Kind, Lexer, Lexing, Plain, Verb};

/// What reading a whole text gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// What it may leave behind; `None` if it could not be read to its end.
    pub effects: Option<Effects>,
    /// It may change a setting that decides what the server makes of a text when it parses it.
    pub meddles: bool,
    /// The text is DEALLOCATE of this name and nothing else.
    pub deallocates: Option<Name>,
}

/// Settings that are set often, and that no parsing depends on. `search_path` is one: the server looks
/// at statements again when it has changed.
const HARMLESS: &[&str] = &[
    "application_name",
    "bytea_output",
    "client_min_messages",
    "default_transaction_deferrable",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "effective_cache_size",
    "effective_io_concurrency",
    "extra_float_digits",
    "from_collapse_limit",
    "hash_mem_multiplier",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "join_collapse_limit",
    "lock_timeout",
    "maintenance_work_mem",
    "max_parallel_workers_per_gather",
    "plan_cache_mode",
    "random_page_cost",
    "role",
    "row_security",
    "search_path",
    "seq_page_cost",
    "session_replication_role",
    "statement_timeout",
    "synchronous_commit",
    "temp_buffers",
    "transaction_isolation",
    "transaction_read_only",
    "transaction_timeout",
    "work_mem",
];

/// Beginnings of such names.
const HARMLESS_KINDS: &[&str] = &["enable_", "jit", "log_", "track_"];

impl Reading {
    /// Of a text that leaves nothing.
    pub const NOTHING: Reading = Reading {
        effects: Some(Effects::NONE),
        meddles: false,
        deallocates: None,
    };

    /// Of a text that can't be read.
    pub const UNKNOWN: Reading = Reading {
        effects: None,
        meddles: true,
        deallocates: None,
    };

    /// Of a plain text.
    pub fn plain(plain: Plain) -> Reading {
        Reading {
            effects: Some(plain.effects()),
            ..Reading::NOTHING
        }
    }

    /// Reads a text.
    pub fn of(text: &[u8], lexing: Lexing) -> Reading {
        if let Some(plain) = Plain::of(text, lexing) {
            return Reading::plain(plain);
        }
        let mut reading = Reading::NOTHING;
        for (index, statement) in sql::statements(text, lexing).enumerate() {
            let Ok(statement) = statement else {
                return Reading::UNKNOWN;
            };
            let effects = statement.effects;
            reading.effects = reading.effects.map(|all| all | effects);
            let name = statement.name.map(|name| name.of(text));
            reading.meddles |= if effects.has(Effects::SET_CONFIG) {
                !configures_harmlessly(statement.span.of(text), lexing)
            } else if effects.has(Effects::SET | Effects::SET_LOCAL) {
                !(statement.verb == Verb::SetTransaction || name.is_some_and(is_harmless))
            } else {
                statement.verb == Verb::DiscardAll
            };
            reading.deallocates = match (index, statement.verb, name) {
                (0, Verb::Deallocate, Some(name)) => identifier(name, lexing),
                _ => None,
            };
        }
        reading
    }
}

/// True for a setting that no parsing depends on, by its name as it was written. A name with a dot is
/// one of an extension or of the application.
fn is_harmless(name: &[u8]) -> bool {
    let is = |known: &&str| name.eq_ignore_ascii_case(known.as_bytes());
    let begins = |kind: &&str| {
        let start = name.get(..kind.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(kind.as_bytes()))
    };
    name.contains(&b'.') || HARMLESS.iter().any(is) || HARMLESS_KINDS.iter().any(begins)
}

/// True if all that a statement hands to `set_config` are names of harmless settings, written out.
fn configures_harmlessly(text: &[u8], lexing: Lexing) -> bool {
    let Ok(lexer) = Lexer::new(text, lexing) else {
        return false;
    };
    let mut tokens = significant(lexer);
    let mut found = false;
    while let Some(token) = tokens.next() {
        if token.kind == Kind::Quoted || token.kind == Kind::UnicodeQuoted {
            return false;
        }
        if token.kind != Kind::Word || !token.span.of(text).eq_ignore_ascii_case(b"set_config") {
            continue;
        }
        found = true;
        let open = tokens.next().map(|it| it.kind);
        let name = tokens.next().map(|it| it.span.of(text)).unwrap_or_default();
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
        let harmless = match name {
            [b'\'', inner @ .., b'\''] => inner.iter().all(is_name) && is_harmless(inner),
            _ => false,
        };
        let ends = tokens.next().map(|it| it.kind) == Some(Kind::Comma);
        if open != Some(Kind::Open) || !harmless || !ends {
            return false;
        }
    }
    found
}

/// The tokens that the server's parser sees.
fn significant(mut lexer: Lexer<'_>) -> impl Iterator<Item = sql::Token> {
    std::iter::from_fn(move || {
        loop {
            match lexer.token() {
                Ok(Some(token)) if token.kind.is_blank() => {}
                Ok(token) => return token,
                Err(_) => return None,
            }
        }
    })
}

/// The name that the server makes of an identifier, where that can be told.
fn identifier(written: &[u8], lexing: Lexing) -> Option<Name> {
    let mut lexer = Lexer::new(written, lexing).ok()?;
    let token = lexer.token().ok()??;
    if token.span.end != written.len() {
        return None;
    }
    let mut room = [0; Name::MAX];
    sql::fold(written, token, &mut room).map(Name::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deallocate_alone_is_seen() {
        let table: &[(&str, Option<&str>)] = &[
            ("DEALLOCATE a", Some("a")),
            (" deallocate prepare \"_pg3_0\" ; ", Some("_pg3_0")),
            ("DEALLOCATE A -- x", Some("a")),
            ("DEALLOCATE \"A\"\"b\"", Some("A\"b")),
            ("DEALLOCATE ALL", None),
            ("DEALLOCATE a; DEALLOCATE b", None),
            ("SELECT 1; DEALLOCATE a", None),
            ("SELECT 1", None),
            ("", None),
            ("DEALLOCATE 'a'", None),
        ];
        for (text, name) in table {
            let reading = Reading::of(text.as_bytes(), Lexing::default());
            let expected = name.map(|name| Name::new(name.as_bytes()));
            assert_eq!(reading.deallocates, expected, "{text}");
        }
    }

    #[test]
    fn texts_after_which_others_mean_something_else() {
        let table: &[(&str, bool)] = &[
            ("SELECT 1", false),
            ("BEGIN", false),
            ("SELECT f()", false),
            ("SET DateStyle = 'DMY'", true),
            ("SET TIME ZONE 'UTC'", true),
            ("SET NAMES 'LATIN1'", true),
            ("SET standard_conforming_strings = off", true),
            ("RESET ALL", true),
            ("RESET timezone", true),
            ("RESET work_mem", false),
            ("DISCARD ALL", true),
            ("DISCARD PLANS", false),
            ("SET LOCAL app.tenant = '1'", false),
            ("SET \"app\".\"tenant\" = '1'", false),
            ("set Statement_Timeout TO 0", false),
            ("SET search_path = a, b", false),
            ("SET LOCAL ROLE reader", false),
            ("SET enable_seqscan = off", false),
            ("SET TRANSACTION READ ONLY", false),
            ("SET work_mem = 1; SET xmloption = document", true),
            ("SELECT set_config('app.tenant', $1, true)", false),
            (
                "SELECT pg_catalog.set_config( 'app.a' , 'x', true), SET_CONFIG('app.b', 'y', true)",
                false,
            ),
            (
                "SELECT set_config('app.a', 'x', true), set_config('DateStyle', 'DMY', true)",
                true,
            ),
            ("SELECT set_config($1, $2, true)", true),
            ("SELECT set_config('app.a' || b, 'x', true)", true),
            ("SELECT set_config(E'app.a', 'x', true)", true),
            (
                "SELECT \"set_config\"('DateStyle', 'DMY', true), set_config('app.a', '', true)",
                true,
            ),
            ("SELECT '", true),
        ];
        for (text, meddles) in table {
            let reading = Reading::of(text.as_bytes(), Lexing::default());
            assert_eq!(reading.meddles, *meddles, "{text}");
        }
    }
}
