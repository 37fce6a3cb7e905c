//! Owns the SQL that brings a server connection from what stands on it to what a client wants.
//!
//! Pipelined in front of a client's first message, it must not fail without that message failing as well:
//! whoever ran it would run it in another one's session. So the first Query turns `exit_on_error` on,
//! which ends the session at any error, and does the work; the second one, the gate, ends the session
//! unless the first one is committed, and only then puts `exit_on_error` back.
//!
//! What an error could hit without this: a parameter that isn't one, a value that is refused, a timeout or
//! a cancel at any moment. RESET ALL turns `exit_on_error` off for a moment; a first Query that failed
//! just then, or before its first statement, is rolled back and seen by the gate.

use super::text::Sql;
use super::{Cleanup, Wishes, known, name};
use buf::{Full, Plain};
use wire::frame::HEADER;
use wire::{Message, Text, from_client};

/// From where to where.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// What stands on the server connection.
    pub have: &'a Wishes,
    /// What the client wants.
    pub want: &'a Wishes,
    /// What else there is to take back. With [`Cleanup::SETTINGS`], `have` counts for nothing.
    pub cleanup: Cleanup,
}

/// When the client's first message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// With it. Any error ends the server connection (FATAL instead of the answer), and the client's message
    /// has surely not run: it can be sent to another server connection.
    Pipelined,
    /// After the whole answer has come without an error. After an error the server connection stands where
    /// it stood: one Query is one transaction. For the wishes of a client that nobody has tried yet, whose
    /// values may be refused.
    Awaited,
}

/// The most bytes that [`bring`] appends.
pub const BYTES_MAX: usize = 32 * 1024;

/// A custom parameter holds whatever anybody likes; this one turns every error into the session's end.
const FATAL: &str = "exit_on_error";

/// Whether the change must be [`Way::Awaited`]: with a timeout so short, both Queries of a prefix could fall
/// victim to it before their first statements, and no error would be fatal.
pub fn must_wait(have: &Wishes) -> bool {
    have.value("statement_timeout").is_some_and(is_short)
}

/// A time below a second; one that isn't understood counts as short.
fn is_short(value: &[u8]) -> bool {
    let digits = value
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (number, unit) = value.split_at(digits);
    let number = std::str::from_utf8(number).ok();
    match (number.and_then(|number| number.parse().ok()), unit) {
        (Some(number), b"" | b"ms") => (1..1000u64).contains(&number),
        (Some(_), b"s" | b"min" | b"h" | b"d") => false,
        _ => true,
    }
}

/// Appends what makes the change, all of it or nothing, and gives the number of Query messages: each owes
/// the whole reply of a Query, none of which is the client's. 0 if there is nothing to do.
pub fn bring(change: Change<'_>, way: Way, output: &mut Plain) -> Result<usize, Full> {
    let work = Work::of(change);
    if work.is_empty() {
        return Ok(0);
    }
    let mut queries = Vec::new();
    let fatal = change.want.value(FATAL);
    match way {
        Way::Awaited => {
            let mut sql = work.sql(change, false);
            match fatal {
                Some(value) => assign(&mut sql, FATAL, value),
                None if work.fatal_differs => reset(&mut sql, FATAL),
                None => {}
            }
            queries.push(sql);
        }
        Way::Pipelined => {
            // Left on by somebody, it would open the gate whatever happened.
            if change.have.value(FATAL).is_some() {
                let mut sql = Sql::default();
                sql.put("SET exit_on_error = off");
                queries.push(sql);
            }
            queries.push(work.sql(change, true));
            queries.push(gate(change.want));
        }
    }
    send(&queries, output)
}

fn send(queries: &[Sql], output: &mut Plain) -> Result<usize, Full> {
    let total = queries.iter().map(|sql| HEADER + sql.0.len() + 1).sum();
    if total > output.room() {
        let room = output.room();
        return Err(Full {
            offered: total,
            room,
        });
    }
    for sql in queries {
        let sql = Text::cut(sql.0.as_bytes());
        from_client::Query { sql }.encode(output)?;
    }
    Ok(queries.len())
}

/// What is to be done.
struct Work<'a> {
    cleanup: Cleanup,
    /// Parameters to be reset, and those to be set, with the value.
    names: Vec<(&'a str, Option<&'a [u8]>)>,
    /// `exit_on_error` itself differs.
    fatal_differs: bool,
}

impl<'a> Work<'a> {
    fn of(change: Change<'a>) -> Self {
        let Change {
            have,
            want,
            cleanup,
        } = change;
        let all = cleanup.has(Cleanup::SETTINGS);
        let mut names = Vec::new();
        if !all {
            // An empty custom parameter is what a reset one is.
            let stands = |(name, value): &(&str, &[u8])| {
                want.value(name).is_none() && !(name::is_custom(name) && value.is_empty())
            };
            names.extend(have.iter().filter(stands).map(|(name, _)| (name, None)));
        }
        let differs = |(name, value): &(&str, &[u8])| all || have.value(name) != Some(value);
        let wanted = want.iter().filter(differs);
        names.extend(wanted.map(|(name, value)| (name, Some(value))));
        names.retain(|(name, _)| *name != FATAL);
        // Timeouts begin to count when they are set.
        names.sort_by_key(|(name, value)| (value.is_some(), name.ends_with("_timeout")));
        Self {
            cleanup,
            names,
            fatal_differs: have.value(FATAL) != want.value(FATAL),
        }
    }

    fn is_empty(&self) -> bool {
        self.cleanup == Cleanup::NONE && self.names.is_empty() && !self.fatal_differs
    }

    fn resets_all(&self) -> bool {
        self.cleanup.has(Cleanup::SETTINGS)
    }

    /// Whether a statement needs a snapshot, which a deferrable transaction may have to wait for.
    fn selects(&self) -> bool {
        let by_call = |(name, value): &(&str, Option<&[u8]>)| {
            value.is_some_and(|value| needs_call(name, value))
        };
        self.cleanup.has(Cleanup::LOCKS) || self.names.iter().any(by_call)
    }

    fn sql(&self, change: Change<'_>, is_fatal: bool) -> Sql {
        let bytes = |wishes: &Wishes| -> usize {
            let each = |(name, value): (&str, &[u8])| 160 + name.len() + 2 * value.len();
            wishes.iter().map(each).sum()
        };
        let mut sql = Sql::with_capacity(1024 + bytes(change.have) + bytes(change.want));
        if is_fatal {
            sql.put("SET exit_on_error = on");
        }
        if self.resets_all() {
            statement(&mut sql, "SET statement_timeout = 0");
        }
        if self.selects() {
            statement(&mut sql, "SET TRANSACTION ISOLATION LEVEL READ COMMITTED");
        }
        self.clean(&mut sql, is_fatal);
        for (name, value) in &self.names {
            match value {
                Some(value) => assign(&mut sql, name, value),
                None => reset(&mut sql, name),
            }
        }
        sql
    }

    /// In the order of DISCARD ALL.
    fn clean(&self, sql: &mut Sql, is_fatal: bool) {
        let role = "SET SESSION AUTHORIZATION DEFAULT; RESET ROLE";
        let all = match is_fatal {
            true => "RESET ALL; SET exit_on_error = on",
            false => "RESET ALL",
        };
        for (part, text) in [
            (Cleanup::CURSORS, "CLOSE ALL"),
            (Cleanup::ROLE, role),
            (Cleanup::SETTINGS, all),
            (Cleanup::STATEMENTS, "DEALLOCATE ALL"),
            (Cleanup::CHANNELS, "UNLISTEN *"),
            (Cleanup::LOCKS, "SELECT pg_catalog.pg_advisory_unlock_all()"),
            (Cleanup::PLANS, "DISCARD PLANS"),
            (Cleanup::TEMPORARY, "DISCARD TEMP"),
            (Cleanup::SEQUENCES, "DISCARD SEQUENCES"),
        ] {
            if self.cleanup.has(part) {
                statement(sql, text);
            }
        }
    }
}

/// Ends the session with an error if `exit_on_error` is not on, by turning it on and dividing by zero; else
/// puts it where the client wants it. Needs no privilege, whatever the role is.
fn gate(want: &Wishes) -> Sql {
    let mut sql = Sql::with_capacity(1024);
    if want
        .iter()
        .any(|(name, _)| name.starts_with("default_transaction_"))
    {
        statement(&mut sql, "SET TRANSACTION ISOLATION LEVEL READ COMMITTED");
    }
    statement(
        &mut sql,
        "SELECT 1 OPERATOR(pg_catalog./) CASE WHEN pg_catalog.current_setting('exit_on_error') \
         OPERATOR(pg_catalog.=) 'on' THEN 1 ELSE pg_catalog.length(pg_catalog.set_config(\
         'exit_on_error', 'on', false)) OPERATOR(pg_catalog.-) 2 END",
    );
    match want.value(FATAL) {
        Some(value) => assign(&mut sql, FATAL, value),
        None => reset(&mut sql, FATAL),
    }
    sql
}

fn statement(sql: &mut Sql, text: &str) {
    if !sql.0.is_empty() {
        sql.put("; ");
    }
    sql.put(text);
}

fn reset(sql: &mut Sql, name: &str) {
    statement(sql, "RESET ");
    sql.name(name);
}

/// SET where it does: it needs neither a snapshot nor an answer with rows.
fn assign(sql: &mut Sql, name: &str, value: &[u8]) {
    if !needs_call(name, value) {
        statement(sql, "SET ");
        sql.name(name).put(" = ").literal(value);
        return;
    }
    // Its length, since the value itself would be converted to the client's encoding.
    statement(sql, "SELECT pg_catalog.length(pg_catalog.set_config(");
    sql.literal(name.as_bytes()).put(", ").value(value);
    sql.put(", false))");
}

fn needs_call(name: &str, value: &[u8]) -> bool {
    known::is_name_list(name) || !value.is_ascii()
}

#[cfg(test)]
mod tests;
