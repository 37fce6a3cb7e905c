//! Owns the question which values parameters have on a server connection, and what its answer makes of the
//! client's wishes.
//!
//! One Query, asked behind a client's transaction on its own server connection. Values come in hexadecimal
//! of the database's encoding, so that no conversion to the client's can fail or lose anything. The
//! answer is a server's, and not trusted.

use super::text::{Sql, unhex};
use super::touched::How;
use super::{Draft, NAMES_MAX, TOTAL_BYTES_MAX, TooMany, Touched, VALUE_BYTES_MAX, Wishes, name};
use buf::{Full, Plain, Secret};
use std::sync::Arc;
use wire::from_server::{DataRow, ErrorResponse};
use wire::{Message, MessageFault, Text, from_client};

/// Rows of an answer: PostgreSQL has some 400 parameters.
const ROWS_MAX: usize = 1000;

/// Statements of the question, each of which is answered with CommandComplete.
const STATEMENTS: usize = 2;

/// Without a snapshot of its own: a client whose transactions are serializable, read only and deferrable
/// would make the question wait for others.
const BEGINNING: &str = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; ";

/// A question under way.
#[derive(Debug)]
pub struct Question {
    touched: Touched,
    have: Arc<Wishes>,
    base: Arc<Wishes>,
    rows: Vec<Row>,
    value_bytes: usize,
    completed: usize,
}

#[derive(Debug)]
struct Row {
    name: String,
    value: Option<Secret>,
    source: Source,
}

/// Where the server says a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// SET or `set_config`.
    Session,
    /// The server's own, or the login's.
    Default,
    /// Not asked: a custom parameter.
    Unsaid,
}

/// What a question brought to light.
#[derive(Debug)]
pub struct Answer {
    /// What stands on the server connection now.
    pub have: Arc<Wishes>,
    /// What the client wants from now on: parameters that it has reset are at its base again. The server
    /// connection has to be brought there before the client's next request.
    pub want: Arc<Wishes>,
}

/// Why there is no answer. The client can only keep its server connection, or lose it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// The server refused the question, perhaps for the client's own `statement_timeout`.
    #[error("the server refused to tell its parameters")]
    Refused {
        /// The SQLSTATE, if it has five bytes.
        state: Option<[u8; 5]>,
    },
    /// A message is not laid out as it must be.
    #[error(transparent)]
    Layout(#[from] MessageFault),
    /// The rows aren't those that were asked for.
    #[error("the server's answer about its parameters is not one to what was asked")]
    Strange,
    /// More than can be carried.
    #[error(transparent)]
    TooMany(#[from] TooMany),
}

impl Question {
    /// Appends the question what became of the touched parameters; nothing if none was touched.
    ///
    /// `have` is what stood on the server before, `base` what the client's startup packet wished for.
    pub fn ask(
        touched: Touched,
        have: &Arc<Wishes>,
        base: &Arc<Wishes>,
        output: &mut Plain,
    ) -> Result<Option<Self>, Full> {
        let question = Self {
            touched,
            have: Arc::clone(have),
            base: Arc::clone(base),
            rows: Vec::new(),
            value_bytes: 0,
            completed: 0,
        };
        if !question.touched.is_wide() && question.touched.names().next().is_none() {
            return Ok(None);
        }
        let sql = question.text();
        let sql = Text::cut(sql.0.as_bytes());
        from_client::Query { sql }.encode(output)?;
        Ok(Some(question))
    }

    /// Names that are asked for one by one, custom ones or the server's own.
    fn names(&self, custom: bool) -> Vec<&str> {
        let mut names: Vec<&str> = self.touched.names().collect();
        // A custom parameter is not among those that the server lists.
        if self.touched.is_wide() {
            let known = self.have.iter().chain(self.base.iter());
            names.extend(known.map(|(name, _)| name));
        }
        names.retain(|name| name::is_custom(name) == custom);
        names.sort_unstable();
        names.dedup();
        names
    }

    fn text(&self) -> Sql {
        let mut listed = self.names(false);
        let custom = self.names(true);
        // Those of extensions are listed; only their source tells whether they were reset.
        let reset = custom
            .iter()
            .filter(|name| self.touched.how(name) != How::Set);
        listed.extend(reset);
        let mut sql = Sql::with_capacity(1024 + 80 * (listed.len() + custom.len()));
        sql.put(BEGINNING);
        let selects = !listed.is_empty() || self.touched.is_wide();
        if selects {
            sql.put("SELECT pg_catalog.lower(s.name), ");
            value_of(&mut sql, "pg_catalog.current_setting(s.name)");
            sql.put(", s.source FROM pg_catalog.pg_settings s WHERE ");
            if self.touched.is_wide() {
                sql.put("s.source OPERATOR(pg_catalog.=) 'session' OR ");
            }
            sql.put("pg_catalog.lower(s.name) OPERATOR(pg_catalog.=) ANY (ARRAY[");
            list(&mut sql, &listed, "", "");
            sql.put("]::pg_catalog.text[])");
        }
        if !custom.is_empty() {
            sql.put(if selects { " UNION ALL " } else { "" });
            sql.put("SELECT v.n, ");
            value_of(&mut sql, "pg_catalog.current_setting(v.n, true)");
            sql.put(", NULL FROM (VALUES ");
            list(&mut sql, &custom, "(", ")");
            sql.put(") v(n)");
        }
        sql
    }

    /// Takes in one message of the reply, up to ReadyForQuery; notices and reports may be left out or not.
    pub fn take(&mut self, tag: u8, body: &[u8]) -> Result<(), Unanswered> {
        match tag {
            b'D' => self.row(body),
            b'C' => {
                self.completed += 1;
                Ok(())
            }
            b'E' => {
                let refusal = ErrorResponse::decode(body)?;
                let state = refusal.fields.sqlstate();
                let state = state.and_then(|state| state.bytes().try_into().ok());
                Err(Unanswered::Refused { state })
            }
            b'T' | b'Z' | b'N' | b'S' | b'A' => Ok(()),
            _ => Err(Unanswered::Strange),
        }
    }

    fn row(&mut self, body: &[u8]) -> Result<(), Unanswered> {
        let row = DataRow::decode(body)?;
        let columns: Vec<_> = row.values.iter().collect();
        let [Some(told), value, source] = columns[..] else {
            return Err(Unanswered::Strange);
        };
        let told = name::folded(told).ok_or(Unanswered::Strange)?;
        let value = match value {
            None => None,
            Some(hex) if hex.len() > 2 * VALUE_BYTES_MAX => return Err(TooMany.into()),
            Some(hex) => Some(Secret::from_vec(unhex(hex).ok_or(Unanswered::Strange)?)),
        };
        self.value_bytes += value.as_ref().map_or(0, Secret::len);
        // A value may come twice.
        if self.rows.len() >= ROWS_MAX || self.value_bytes > 2 * TOTAL_BYTES_MAX {
            return Err(TooMany.into());
        }
        self.rows.push(Row {
            name: told,
            value,
            source: match source {
                None => Source::Unsaid,
                Some(b"session") => Source::Session,
                Some(_) => Source::Default,
            },
        });
        Ok(())
    }

    /// Judges the answer, once ReadyForQuery has come.
    pub fn finish(self) -> Result<Answer, Unanswered> {
        if self.completed != STATEMENTS {
            return Err(Unanswered::Strange);
        }
        let (mut have, mut want) = (self.have.draft(), self.have.draft());
        let mut names = self.names(false);
        names.extend(self.names(true));
        if self.touched.is_wide() {
            names.extend(self.rows.iter().map(|row| &*row.name));
        }
        names.retain(|name| name::is_carried(name));
        for name in names {
            let found = self.found(name)?;
            let base = self.base.value(name);
            let is_base = found.is_none_or(|value| self.is_reset(name, value.expose()));
            match found {
                Some(value) => have.set(name, value.clone()),
                None => have.remove(name),
            }
            match (is_base, base, found) {
                (true, Some(base), _) => want.set(name, Secret::new(base)),
                (true, None, _) | (false, _, None) => want.remove(name),
                (false, _, Some(value)) => want.set(name, value.clone()),
            }
        }
        Ok(Answer {
            want: bounded(want).finish_like(&self.have)?,
            have: bounded(have).finish_like(&self.have)?,
        })
    }

    /// Whether this value of a custom parameter is what RESET made of it. The server doesn't tell: a reset one
    /// is empty, or has a default of the role; one whose RESET was rolled back is as it was.
    fn is_reset(&self, name: &str, value: &[u8]) -> bool {
        let is_told = self
            .rows
            .iter()
            .any(|row| row.name == name && row.source != Source::Unsaid);
        if is_told || self.base.value(name).is_none() {
            return false;
        }
        match self.touched.how(name) {
            How::Set => false,
            How::Reset => value.is_empty() || self.have.value(name) != Some(value),
            How::Both => value.is_empty(),
        }
    }

    /// What the session has set for this parameter.
    fn found(&self, name: &str) -> Result<Option<&Secret>, Unanswered> {
        let rows = || self.rows.iter().filter(|row| row.name == name);
        if let Some(row) = rows().find(|row| row.source != Source::Unsaid) {
            return Ok(row.value.as_ref().filter(|_| row.source == Source::Session));
        }
        match rows().next() {
            Some(row) => Ok(row.value.as_ref()),
            // Every custom parameter that was asked for has a row.
            None if name::is_custom(name) => Err(Unanswered::Strange),
            None => Ok(None),
        }
    }
}

/// Custom parameters that are empty are as good as none when there are too many.
fn bounded(mut draft: Draft) -> Draft {
    if draft.list.len() > NAMES_MAX {
        draft
            .list
            .retain(|wish| !name::is_custom(&wish.name) || !wish.value.is_empty());
    }
    draft
}

fn value_of(sql: &mut Sql, expression: &str) {
    sql.put("pg_catalog.encode(pg_catalog.convert_to(")
        .put(expression)
        .put(", pg_catalog.getdatabaseencoding()), 'hex')");
}

fn list(sql: &mut Sql, names: &[&str], before: &str, behind: &str) {
    for (at, name) in names.iter().enumerate() {
        sql.put(if at > 0 { ", " } else { "" });
        sql.put(before).literal(name.as_bytes()).put(behind);
    }
}

#[cfg(test)]
mod tests;
