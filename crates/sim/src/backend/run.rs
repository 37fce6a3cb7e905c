//! Owns what each statement of the model does.

use super::extended::no_statement;
use super::text::{assignment, between, literals};
use super::{Done, Model, Statement, fail};
use crate::frames::row;

/// Whether a statement gives rows.
pub(super) fn has_rows(text: &str) -> bool {
    ["SELECT", "SHOW"].iter().any(|it| text.starts_with(it))
}

pub(super) fn check_syntax(text: &str) -> Done {
    match text.starts_with("SELEC ") {
        true => fail("42601"),
        false => Ok(()),
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

impl Model {
    pub(super) fn check_status(&self, text: &str) -> Done {
        let exits = text == "COMMIT" || text == "ROLLBACK" || text.is_empty();
        match self.status == b'E' && !exits {
            true => fail("25P02"),
            false => Ok(()),
        }
    }

    /// Runs a statement up to its tag.
    pub(super) fn run(&mut self, text: &str, values: &[Vec<u8>], simple: bool) -> Done {
        self.check_status(text)?;
        self.settings.begin();
        self.before.get_or_insert_with(|| self.temporary.clone());
        self.begun += 1;
        if self.cancel_at == Some(self.begun) {
            return fail("57014");
        }
        let verb = text.split_whitespace().next().unwrap_or_default();
        let rest = text[verb.len()..].trim();
        match verb {
            "" => {
                self.put(b'I', b"");
                Ok(())
            }
            "SELECT" => self.select(text, values, simple),
            "SHOW" => {
                let value = self.settings.value(&rest.to_lowercase());
                self.rows(text, simple, &[vec![Some(value)]]);
                self.complete("SHOW");
                Ok(())
            }
            "INSERT" => {
                let stamp = match values.first() {
                    Some(value) => String::from_utf8_lossy(value).into_owned(),
                    None => literals(text).pop().unwrap_or_default(),
                };
                self.inserted_row(&stamp);
                self.complete("INSERT 0 1");
                Ok(())
            }
            "COPY" => {
                match rest.contains("STDIN") {
                    true => {
                        self.put(b'G', b"\0\0\0");
                        self.copies_in = true;
                    }
                    false => {
                        let stamp = literals(rest).pop().unwrap_or_default();
                        self.put(b'H', b"\0\0\0");
                        for _ in 0..5 {
                            self.put(b'd', stamp.repeat(40).as_bytes());
                        }
                        self.put(b'c', b"");
                        self.complete("COPY 5");
                    }
                }
                Ok(())
            }
            "BEGIN" | "COMMIT" | "ROLLBACK" => self.transaction(verb),
            "SET" | "RESET" => self.set(verb, rest),
            _ => self.define(verb, rest, simple),
        }
    }

    fn transaction(&mut self, verb: &str) -> Done {
        let tag = match (verb, self.status) {
            ("BEGIN", _) => {
                self.status = b'T';
                "BEGIN"
            }
            ("COMMIT", b'T' | b'I') => {
                self.commit();
                "COMMIT"
            }
            _ => {
                self.abort();
                "ROLLBACK"
            }
        };
        if verb != "BEGIN" {
            self.status = b'I';
            self.portals.clear();
        }
        self.complete(tag);
        Ok(())
    }

    fn rows(&mut self, text: &str, simple: bool, rows: &[Vec<Option<String>>]) {
        if simple {
            self.put_columns(text);
        }
        for values in rows {
            let values = values.iter().map(|it| it.as_deref().map(str::as_bytes));
            let values: Vec<_> = values.collect();
            self.buffered.extend(row(&values));
        }
    }

    fn select(&mut self, text: &str, values: &[Vec<u8>], simple: bool) -> Done {
        let mut rows = vec![];
        if text.contains("OPERATOR(pg_catalog./)") {
            // The gate.
            if self.settings.value("exit_on_error") != "on" {
                self.settings.set("exit_on_error", "on");
                return fail("22012");
            }
            rows.push(vec![Some("1".to_owned())]);
        } else if text.contains("pg_catalog.encode") {
            rows = self.answer(text);
        } else if text.contains("set_config(") {
            let arguments = literals(text);
            let [name, value, ..] = &arguments[..] else {
                return fail("42883");
            };
            self.settings.set(name, value);
            rows.push(vec![Some(value.clone())]);
        } else if text == "SELECT 1/0" {
            return fail("22012");
        } else if let Some(table) = text.strip_prefix("SELECT * FROM ") {
            if !self.temporary.contains(table) {
                return fail("42P01");
            }
        } else if text.contains("repeat(") {
            let stamp = literals(text).pop().unwrap_or_default();
            let count = between(text, ", ", ")").and_then(|it| it.parse().ok());
            rows.push(vec![Some(stamp.repeat(count.unwrap_or(1)))]);
        } else {
            let value = values
                .first()
                .map(|it| String::from_utf8_lossy(it).into_owned());
            rows.push(vec![Some(text.to_owned()), value]);
        }
        self.rows(text, simple, &rows);
        self.complete(&format!("SELECT {}", rows.len()));
        Ok(())
    }

    /// The answer to the question what became of parameters.
    fn answer(&self, text: &str) -> Vec<Vec<Option<String>>> {
        let mut rows = vec![];
        let listed = between(text, "ARRAY[", "]")
            .map(literals)
            .unwrap_or_default();
        let mut names: Vec<_> = listed.into_iter().filter(|it| !it.contains('.')).collect();
        if text.contains("s.source OPERATOR(pg_catalog.=) 'session'") {
            let set = self.settings.set_names().into_iter();
            names.extend(set.filter(|it| !it.contains('.')));
        }
        names.sort_unstable();
        names.dedup();
        for name in names {
            let source = match self.settings.is_set(&name) {
                true => "session",
                false => "default",
            };
            let value = hex(&self.settings.value(&name));
            rows.push(vec![Some(name), Some(value), Some(source.to_owned())]);
        }
        for name in between(text, "(VALUES ", ") v(n)")
            .map(literals)
            .unwrap_or_default()
        {
            let exists = self.settings.exists(&name);
            let value = exists.then(|| hex(&self.settings.value(&name)));
            rows.push(vec![Some(name), value, None]);
        }
        rows
    }

    fn set(&mut self, verb: &str, rest: &str) -> Done {
        if rest.starts_with("TRANSACTION ") || rest.starts_with("SESSION AUTHORIZATION") {
            self.complete("SET");
            return Ok(());
        }
        let local = rest.strip_prefix("LOCAL ");
        let (name, value) = assignment(local.unwrap_or(rest));
        match (verb, value) {
            ("SET", Some(value)) if value == "bad" => return fail("22023"),
            ("SET", Some(value)) if local.is_some() => {
                // Outside a transaction block it ends with its statement.
                self.settings.set_local(&name, &value);
            }
            ("SET", Some(value)) => self.settings.set(&name, &value),
            _ if name == "all" => self.settings.reset_all(),
            _ if name == "role" => {}
            _ => self.settings.reset(&name),
        }
        self.complete(verb);
        Ok(())
    }

    fn define(&mut self, verb: &str, rest: &str, simple: bool) -> Done {
        let (first, after) = rest.split_once(' ').unwrap_or((rest, ""));
        match (verb, first) {
            ("DISCARD", "ALL") => {
                if self.status != b'I' {
                    return fail("25001");
                }
                self.settings.reset_all();
                self.statements.clear();
                self.portals.clear();
                self.temporary.clear();
                self.complete("DISCARD ALL");
            }
            ("DISCARD", "TEMP") => {
                self.temporary.clear();
                self.complete("DISCARD TEMP");
            }
            ("DEALLOCATE", "ALL") => {
                self.statements.clear();
                self.complete("DEALLOCATE ALL");
            }
            ("DEALLOCATE", name) => {
                if self.statements.remove(name.as_bytes()).is_none() {
                    return no_statement(name.as_bytes());
                }
                self.complete("DEALLOCATE");
            }
            ("PREPARE", name) => {
                let statement = Statement {
                    text: after.trim_start_matches("AS ").to_owned(),
                    types: vec![0, 0],
                };
                self.store(name.as_bytes(), statement)?;
                self.complete("PREPARE");
            }
            ("EXECUTE", name) => {
                let Some(statement) = self.statements.get(name.as_bytes()).cloned() else {
                    return no_statement(name.as_bytes());
                };
                return self.select(&statement.text, &[], simple);
            }
            ("CREATE", _) => {
                let table = rest.trim_start_matches("TEMP TABLE ");
                let table = table.split(' ').next().unwrap_or_default();
                if !self.temporary.insert(table.to_owned()) {
                    return fail("42P07");
                }
                self.complete("CREATE TABLE");
            }
            ("DISCARD" | "CLOSE" | "UNLISTEN", _) => {
                let tag = format!("{verb} {first}");
                self.complete(&tag);
            }
            _ => return fail("42601"),
        }
        Ok(())
    }
}
