//! Owns a model of a PostgreSQL session, as far as prepared statements, portals, transaction status
//! and skipping to Sync go: frames in, frames out, delivered when PostgreSQL would flush.
//!
//! Source: `exec_parse_message`, `exec_bind_message`, `exec_describe_statement_message`,
//! `exec_execute_message`, `exec_simple_query` in postgres.c; prepare.c.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// A frame: tag, length, body.
pub fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u32 + 4).to_be_bytes();
    [&[tag][..], &len, body].concat()
}

/// Takes the whole frames off the front of `bytes`.
pub fn frames(bytes: &mut Vec<u8>) -> Vec<(u8, Vec<u8>)> {
    let mut frames = vec![];
    let mut at = 0;
    while bytes.len() >= at + 5 {
        let len =
            u32::from_be_bytes(bytes[at + 1..at + 5].try_into().expect("four bytes")) as usize;
        if bytes.len() < at + 1 + len {
            break;
        }
        frames.push((bytes[at], bytes[at + 5..at + 1 + len].to_vec()));
        at += 1 + len;
    }
    bytes.drain(..at);
    frames
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Statement {
    text: String,
    types: Vec<u8>,
    /// The columns' version when it was prepared.
    columns: u32,
}

#[derive(Debug, Clone)]
struct Portal {
    statement: Statement,
    values: Vec<u8>,
    done: bool,
}

/// One session.
#[derive(Debug)]
pub struct Model {
    statements: BTreeMap<Vec<u8>, Statement>,
    unnamed: Option<Statement>,
    portals: BTreeMap<Vec<u8>, Portal>,
    status: u8,
    skip: bool,
    input: Vec<u8>,
    buffered: Vec<u8>,
    /// What has been flushed.
    pub output: Vec<u8>,
    /// Rises when a table gets other columns.
    pub columns: u32,
    /// Frames taken, for tests that look at them.
    pub taken: Vec<(u8, Vec<u8>)>,
}

struct Failure(&'static str, String);

type Done = Result<(), Failure>;

fn fail<T>(code: &'static str) -> Result<T, Failure> {
    Err(Failure(code, code.to_owned()))
}

fn no_statement<T>(name: &[u8]) -> Result<T, Failure> {
    let name = String::from_utf8_lossy(name);
    let text = format!("prepared statement \"{name}\" does not exist");
    Err(Failure("26000", text))
}

fn cut(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0).expect("a NUL");
    (&bytes[..end], &bytes[end + 1..])
}

/// A name as the server's hash tables know it.
fn key(name: &[u8]) -> Vec<u8> {
    name[..name.len().min(63)].to_vec()
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

fn is_exit(text: &str) -> bool {
    matches!(text, "COMMIT" | "ROLLBACK")
}

impl Statement {
    fn has_rows(&self) -> bool {
        self.text.starts_with("SELECT")
    }

    fn parameters(&self) -> u16 {
        self.text.matches('$').count() as u16
    }
}

impl Default for Model {
    fn default() -> Model {
        Model {
            statements: BTreeMap::new(),
            unnamed: None,
            portals: BTreeMap::new(),
            status: b'I',
            skip: false,
            input: vec![],
            buffered: vec![],
            output: vec![],
            columns: 0,
            taken: vec![],
        }
    }
}

impl Model {
    /// Takes bytes from the client.
    pub fn take(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        let mut input = std::mem::take(&mut self.input);
        for (tag, body) in frames(&mut input) {
            self.message(tag, &body);
            self.taken.push((tag, body));
        }
        self.input = input;
        if self.buffered.len() >= 8192 {
            self.flush();
        }
    }

    /// Names of statements that are there.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.statements.keys().map(Vec::as_slice)
    }

    /// Forgets all statements behind everybody's back, as a function may.
    pub fn lose_all(&mut self) {
        self.statements.clear();
    }

    fn flush(&mut self) {
        self.output.append(&mut self.buffered);
    }

    fn put(&mut self, tag: u8, body: &[u8]) {
        self.buffered.extend(frame(tag, body));
    }

    fn message(&mut self, tag: u8, body: &[u8]) {
        if self.skip && tag != b'S' {
            return;
        }
        let result = match tag {
            b'P' => self.parse(body),
            b'B' => self.bind(body),
            b'D' => self.describe(body),
            b'E' => self.execute(body),
            b'C' => self.close(body),
            b'H' => {
                self.flush();
                Ok(())
            }
            b'Q' => self.query(body),
            b'F' => {
                self.put(b'V', &[255; 4]);
                self.ready();
                Ok(())
            }
            b'S' => {
                self.skip = false;
                self.ready();
                Ok(())
            }
            other => panic!("no such message here: {}", other as char),
        };
        if let Err(failure) = result {
            self.failed(&failure);
            match tag {
                b'Q' => self.ready(),
                _ => self.skip = true,
            }
        }
    }

    fn failed(&mut self, failure: &Failure) {
        let Failure(code, text) = failure;
        let routine = match (*code, text.as_str()) {
            ("0A000", _) => "RevalidateCachedQuery",
            _ => "somewhere",
        };
        let body = format!("SERROR\0VERROR\0C{code}\0M{text}\0R{routine}\0\0");
        self.put(b'E', body.as_bytes());
        self.flush();
        if self.status == b'T' {
            self.status = b'E';
        }
    }

    fn ready(&mut self) {
        if self.status == b'I' {
            self.portals.clear();
        }
        self.put(b'Z', &[self.status]);
        self.flush();
    }

    fn check_status(&self, text: &str) -> Done {
        match self.status == b'E' && !is_exit(text) && !text.is_empty() {
            true => fail("25P02"),
            false => Ok(()),
        }
    }

    fn check_syntax(text: &str) -> Done {
        let first = words(text).first().copied().unwrap_or("");
        match first {
            "" | "SELECT" | "BEGIN" | "COMMIT" | "ROLLBACK" | "SET" | "DEALLOCATE" | "DISCARD"
            | "PREPARE" => Ok(()),
            _ => fail("42601"),
        }
    }

    fn parse(&mut self, body: &[u8]) -> Done {
        if body.iter().filter(|byte| **byte == 0).count() < 2 {
            return fail("08P01");
        }
        let (name, rest) = cut(body);
        let (text, types) = cut(rest);
        if types.len() < 2 || types.len() != 2 + 4 * usize::from(types[1]) {
            return fail("08P01");
        }
        if name.is_empty() {
            self.unnamed = None;
        }
        let text = String::from_utf8(text.to_vec()).expect("UTF-8");
        Self::check_syntax(&text)?;
        self.check_status(&text)?;
        let statement = Statement {
            text,
            types: types.to_vec(),
            columns: self.columns,
        };
        if name.is_empty() {
            self.unnamed = Some(statement);
        } else {
            self.store(name, statement)?;
        }
        self.put(b'1', b"");
        Ok(())
    }

    fn store(&mut self, name: &[u8], statement: Statement) -> Done {
        match self.statements.entry(key(name)) {
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
            false => self.statements.get(&key(name)),
        };
        match found {
            Some(statement) => Ok(statement.clone()),
            None => no_statement(name),
        }
    }

    fn check_columns(&self, statement: &Statement) -> Done {
        match statement.has_rows() && statement.columns != self.columns {
            true => fail("0A000"),
            false => Ok(()),
        }
    }

    fn bind(&mut self, body: &[u8]) -> Done {
        if body.iter().filter(|byte| **byte == 0).count() < 2 {
            return fail("08P01");
        }
        let (portal, rest) = cut(body);
        let (name, values) = cut(rest);
        let statement = self.find(name)?;
        // PostgreSQL counts values first. Which of two errors it is, in a transaction that has failed
        // already, is the one thing that isn't kept where a statement has to be prepared before.
        if self.status == b'E' && !is_exit(&statement.text) {
            return fail("25P02");
        }
        if values.len() < 4 || values[3] as u16 != statement.parameters() {
            return fail("08P01");
        }
        if !portal.is_empty() && self.portals.contains_key(&key(portal)) {
            return fail("42P03");
        }
        self.check_columns(&statement)?;
        let made = Portal {
            statement,
            values: values.to_vec(),
            done: false,
        };
        self.portals.insert(key(portal), made);
        self.put(b'2', b"");
        Ok(())
    }

    fn put_columns(&mut self, statement: &Statement) {
        match statement.has_rows() {
            true => {
                let body = format!("{}:{}", statement.text, statement.columns);
                self.put(b'T', body.as_bytes());
            }
            false => self.put(b'n', b""),
        }
    }

    fn describe(&mut self, body: &[u8]) -> Done {
        let (name, _) = cut(&body[1..]);
        if body[0] == b'S' {
            let statement = self.find(name)?;
            // PostgreSQL describes what gives no rows even then. Where such a statement has to be
            // prepared before, it isn't described.
            self.check_status(&statement.text)?;
            self.put(b't', &statement.types);
            self.check_columns(&statement)?;
            self.put_columns(&statement);
        } else {
            let Some(portal) = self.portals.get(&key(name)) else {
                return fail("34000");
            };
            let statement = portal.statement.clone();
            if statement.has_rows() {
                self.check_status(&statement.text)?;
            }
            self.put_columns(&statement);
        }
        Ok(())
    }

    fn execute(&mut self, body: &[u8]) -> Done {
        let (name, _) = cut(body);
        let Some(portal) = self.portals.get_mut(&key(name)) else {
            return fail("34000");
        };
        let was_done = std::mem::replace(&mut portal.done, true);
        let (statement, values) = (portal.statement.clone(), portal.values.clone());
        self.check_status(&statement.text)?;
        if statement.text.is_empty() {
            self.put(b'I', b"");
            return Ok(());
        }
        if was_done {
            return match statement.has_rows() {
                true => {
                    self.put(b'C', b"SELECT 0\0");
                    Ok(())
                }
                false => fail("55000"),
            };
        }
        self.run(&statement, &values)
    }

    /// Runs a statement and gives its tag.
    fn run(&mut self, statement: &Statement, values: &[u8]) -> Done {
        let text = statement.text.as_str();
        let tag = match words(text).as_slice() {
            ["SELECT", division] if division.starts_with("1/") => return fail("22012"),
            ["SELECT", ..] => {
                let row = [text.as_bytes(), b"|", &statement.types, b"|", values].concat();
                self.put(b'D', &row);
                "SELECT 1"
            }
            ["BEGIN"] => {
                self.status = b'T';
                "BEGIN"
            }
            ["COMMIT"] => {
                let tag = match self.status {
                    b'E' => "ROLLBACK",
                    _ => "COMMIT",
                };
                self.end();
                tag
            }
            ["ROLLBACK"] => {
                self.end();
                "ROLLBACK"
            }
            ["SET", ..] => "SET",
            ["DISCARD", "ALL"] => {
                if self.status != b'I' {
                    return fail("25001");
                }
                self.statements.clear();
                "DISCARD ALL"
            }
            ["DEALLOCATE", "ALL"] => {
                self.statements.clear();
                "DEALLOCATE ALL"
            }
            ["DEALLOCATE", name] => {
                if self.statements.remove(&key(name.as_bytes())).is_none() {
                    return no_statement(name.as_bytes());
                }
                "DEALLOCATE"
            }
            ["PREPARE", name, "AS", inner @ ..] => {
                let prepared = Statement {
                    text: inner.join(" "),
                    types: vec![0, 0],
                    columns: self.columns,
                };
                self.store(name.as_bytes(), prepared)?;
                "PREPARE"
            }
            other => panic!("no such statement here: {other:?}"),
        };
        self.put(b'C', &[tag.as_bytes(), b"\0"].concat());
        Ok(())
    }

    fn end(&mut self) {
        self.status = b'I';
        self.portals.clear();
    }

    fn close(&mut self, body: &[u8]) -> Done {
        let (name, _) = cut(&body[1..]);
        if body[0] == b'P' {
            self.portals.remove(&key(name));
        } else if name.is_empty() {
            self.unnamed = None;
        } else {
            self.statements.remove(&key(name));
        }
        self.put(b'3', b"");
        Ok(())
    }

    fn query(&mut self, body: &[u8]) -> Done {
        let (text, _) = cut(body);
        let text = String::from_utf8(text.to_vec()).expect("UTF-8");
        self.unnamed = None;
        self.portals.remove(&b""[..]);
        let parts: Vec<_> = text.split(';').map(|part| part.trim().to_owned()).collect();
        for part in &parts {
            Self::check_syntax(part)?;
        }
        for part in parts.iter().filter(|part| !part.is_empty()) {
            self.check_status(part)?;
            let statement = Statement {
                text: part.clone(),
                types: vec![0, 0],
                columns: self.columns,
            };
            if statement.has_rows() {
                self.put_columns(&statement);
            }
            self.run(&statement, b"")?;
        }
        if parts.iter().all(String::is_empty) {
            self.put(b'I', b"");
        }
        self.ready();
        Ok(())
    }
}
