//! Owns the extended protocol of the model: Parse, Bind, Describe, Execute, Close.

use super::{Done, Failure, Model, Portal, Statement, fail, run};
use crate::frames::cut;
use std::collections::btree_map::Entry;

pub(super) fn no_statement<T>(name: &[u8]) -> Result<T, Failure> {
    let name = String::from_utf8_lossy(name);
    let text = format!("prepared statement \"{name}\" does not exist");
    Err(Failure("26000", text))
}

/// Values of a Bind without format codes.
fn values(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut values = vec![];
    let count = bytes.get(2..4).map_or(0, |it| it[1]);
    bytes = bytes.get(4..).unwrap_or_default();
    for _ in 0..count {
        let Some((len, rest)) = bytes.split_first_chunk::<4>() else {
            break;
        };
        let len = (u32::from_be_bytes(*len) as usize).min(rest.len());
        values.push(rest[..len].to_vec());
        bytes = &rest[len..];
    }
    values
}

impl Model {
    pub(super) fn parse(&mut self, body: &[u8]) -> Done {
        let (name, rest) = cut(body);
        let (text, types) = cut(rest);
        if name.is_empty() {
            self.unnamed = None;
        }
        let text = String::from_utf8_lossy(text).into_owned();
        run::check_syntax(&text)?;
        self.check_status(&text)?;
        let types = types.to_vec();
        let statement = Statement { text, types };
        if name.is_empty() {
            self.unnamed = Some(statement);
        } else {
            self.store(name, statement)?;
        }
        self.put(b'1', b"");
        Ok(())
    }

    pub(super) fn store(&mut self, name: &[u8], statement: Statement) -> Done {
        match self.statements.entry(name.to_vec()) {
            Entry::Occupied(_) => fail("42P05"),
            Entry::Vacant(place) => {
                place.insert(statement);
                Ok(())
            }
        }
    }

    fn find(&self, name: &[u8]) -> Result<Statement, Failure> {
        let found = match name.is_empty() {
            true => self.unnamed.as_ref(),
            false => self.statements.get(name),
        };
        match found {
            Some(statement) => Ok(statement.clone()),
            None => no_statement(name),
        }
    }

    pub(super) fn bind(&mut self, body: &[u8]) -> Done {
        let (portal, rest) = cut(body);
        let (name, rest) = cut(rest);
        let statement = self.find(name)?;
        self.check_status(&statement.text)?;
        let values = values(rest);
        if values.len() != statement.text.matches('$').count() {
            return fail("08P01");
        }
        if !portal.is_empty() && self.portals.contains_key(portal) {
            return fail("42P03");
        }
        let made = Portal {
            statement,
            values,
            done: false,
        };
        self.portals.insert(portal.to_vec(), made);
        self.put(b'2', b"");
        Ok(())
    }

    pub(super) fn put_columns(&mut self, text: &str) {
        match run::has_rows(text) {
            true => self.put(b'T', text.as_bytes()),
            false => self.put(b'n', b""),
        }
    }

    pub(super) fn describe(&mut self, body: &[u8]) -> Done {
        let (name, _) = cut(&body[1..]);
        let text = if body[0] == b'S' {
            let statement = self.find(name)?;
            self.check_status(&statement.text)?;
            self.put(b't', &statement.types);
            statement.text
        } else {
            let Some(portal) = self.portals.get(name) else {
                return fail("34000");
            };
            let text = portal.statement.text.clone();
            self.check_status(&text)?;
            text
        };
        self.put_columns(&text);
        Ok(())
    }

    pub(super) fn execute(&mut self, body: &[u8]) -> Done {
        let (name, _) = cut(body);
        let Some(portal) = self.portals.get_mut(name) else {
            return fail("34000");
        };
        let was_done = std::mem::replace(&mut portal.done, true);
        let (text, values) = (portal.statement.text.clone(), portal.values.clone());
        self.check_status(&text)?;
        match (was_done, run::has_rows(&text)) {
            (true, true) => {
                self.complete("SELECT 0");
                Ok(())
            }
            (true, false) => fail("55000"),
            (false, _) => self.run(&text, &values, false),
        }
    }

    pub(super) fn close(&mut self, body: &[u8]) -> Done {
        let (name, _) = cut(&body[1..]);
        if body[0] == b'P' {
            self.portals.remove(name);
        } else if name.is_empty() {
            self.unnamed = None;
        } else {
            self.statements.remove(name);
        }
        self.put(b'3', b"");
        Ok(())
    }
}
