//! Owns a model of a PostgreSQL session: frames in, frames out, delivered when PostgreSQL would flush.
//!
//! What it knows: both protocols with prepared statements and portals, transactions, skipping to Sync,
//! copy in both directions, parameters and their reports, temporary tables, cancels at any statement, and
//! the statements that Portcullis itself sends between two clients. Source: postgres.c, prepare.c, guc.c.

mod extended;
mod run;
pub mod settings;
pub mod text;

use crate::frames::{cut, frame, frames};
use settings::Settings;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A prepared statement.
#[derive(Debug, Clone)]
struct Statement {
    text: String,
    types: Vec<u8>,
}

/// A portal.
#[derive(Debug, Clone)]
struct Portal {
    statement: Statement,
    values: Vec<Vec<u8>>,
    done: bool,
}

/// An error on its way to the client: SQLSTATE and text.
#[derive(Debug)]
pub struct Failure(&'static str, String);

type Done = Result<(), Failure>;

fn fail<T>(code: &'static str) -> Result<T, Failure> {
    Err(Failure(code, code.to_owned()))
}

/// One session.
#[derive(Debug, Clone)]
pub struct Model {
    statements: BTreeMap<Vec<u8>, Statement>,
    unnamed: Option<Statement>,
    portals: BTreeMap<Vec<u8>, Portal>,
    temporary: BTreeSet<String>,
    /// Those of before the transaction.
    before: Option<BTreeSet<String>>,
    /// Its parameters.
    pub settings: Settings,
    status: u8,
    skip: bool,
    copies_in: bool,
    input: Vec<u8>,
    queue: VecDeque<(u8, Vec<u8>)>,
    buffered: Vec<u8>,
    /// What has been flushed.
    pub output: Vec<u8>,
    /// Statements begun so far.
    pub begun: u64,
    /// The statement that is cancelled, counted like `begun`.
    pub cancel_at: Option<u64>,
    /// Stamps of rows that were inserted, ever.
    pub inserted: Vec<String>,
    pending: Vec<String>,
    /// Stamps of rows whose transaction was committed, until somebody takes them.
    pub committed: Vec<String>,
    /// The session is over.
    pub ended: bool,
}

impl Model {
    /// A session whose login set these parameters.
    pub fn new(base: BTreeMap<String, String>) -> Model {
        let mut model = Model {
            statements: BTreeMap::new(),
            unnamed: None,
            portals: BTreeMap::new(),
            temporary: BTreeSet::new(),
            before: None,
            settings: Settings::new(base),
            status: b'I',
            skip: false,
            copies_in: false,
            input: vec![],
            queue: VecDeque::new(),
            buffered: vec![],
            output: vec![],
            begun: 0,
            cancel_at: None,
            inserted: vec![],
            pending: vec![],
            committed: vec![],
            ended: false,
        };
        model.report();
        model.flush();
        model
    }

    /// Takes bytes in; nothing is done yet.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        self.queue.extend(frames(&mut self.input));
    }

    /// The message that is done next.
    pub fn next(&self) -> Option<(u8, &[u8])> {
        let first = self.queue.front().filter(|_| !self.ended);
        first.map(|(tag, body)| (*tag, &body[..]))
    }

    /// Does one message; false if there is none.
    pub fn step(&mut self) -> bool {
        if self.ended {
            return false;
        }
        let Some((tag, body)) = self.queue.pop_front() else {
            return false;
        };
        self.message(tag, &body);
        self.cancel_at = None;
        if self.queue.is_empty() && self.buffered.len() >= 8192 {
            self.flush();
        }
        true
    }

    /// Does all that is here, where one statement is cancelled.
    pub fn take(&mut self, bytes: &[u8], cancel_at: Option<u64>) {
        self.receive(bytes);
        loop {
            self.cancel_at = cancel_at;
            if !self.step() {
                break;
            }
        }
        self.cancel_at = None;
    }

    /// Bytes that wait to be sent.
    pub fn produced(&self) -> usize {
        self.output.len() + self.buffered.len()
    }

    /// The types of the messages behind so many bytes.
    pub fn told_since(&self, from: usize) -> String {
        let mut bytes = [&self.output[..], &self.buffered].concat().split_off(from);
        frames(&mut bytes)
            .iter()
            .map(|(tag, _)| *tag as char)
            .collect()
    }

    /// The administrator ends the session.
    pub fn terminate(&mut self) {
        self.buffered.clear();
        self.put(b'E', b"SFATAL\0VFATAL\0C57P01\0Mterminated\0\0");
        self.flush();
        self.ended = true;
    }

    /// A client is gone: nothing of its open transaction stays.
    pub fn hang_up(&mut self) {
        self.pending.clear();
        self.ended = true;
    }

    fn flush(&mut self) {
        self.output.append(&mut self.buffered);
    }

    fn put(&mut self, tag: u8, body: &[u8]) {
        self.buffered.extend(frame(tag, body));
    }

    fn complete(&mut self, tag: &str) {
        self.put(b'C', &[tag.as_bytes(), b"\0"].concat());
    }

    fn report(&mut self) {
        for (name, value) in self.settings.news() {
            let body = [name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat();
            self.put(b'S', &body);
        }
    }

    fn message(&mut self, tag: u8, body: &[u8]) {
        if self.copies_in {
            return self.copy_in(tag, body);
        }
        if self.skip && tag != b'S' && tag != b'X' {
            return;
        }
        let result = match tag {
            b'P' => self.parse(body),
            b'B' => self.bind(body),
            b'D' => self.describe(body),
            b'E' => self.execute(body),
            b'C' => self.close(body),
            b'Q' => self.query(body),
            b'H' => {
                self.flush();
                Ok(())
            }
            b'S' => {
                self.skip = false;
                self.ready();
                Ok(())
            }
            b'X' => {
                self.hang_up();
                Ok(())
            }
            // What is left of a copy that failed.
            _ => Ok(()),
        };
        self.settle(tag, result);
    }

    fn settle(&mut self, tag: u8, result: Done) {
        if let Err(failure) = result {
            self.failed(&failure);
            match tag {
                _ if self.ended => {}
                b'Q' => self.ready(),
                _ => self.skip = true,
            }
        }
    }

    /// A message while the client copies in, by the simple protocol.
    fn copy_in(&mut self, tag: u8, body: &[u8]) {
        match tag {
            b'd' => self.inserted_row(&String::from_utf8_lossy(body)),
            b'c' => {
                self.copies_in = false;
                self.complete("COPY 1");
                self.ready();
            }
            b'S' | b'H' => {}
            b'X' => self.hang_up(),
            _ => {
                self.copies_in = false;
                self.settle(b'Q', fail("57014"));
            }
        }
    }

    fn inserted_row(&mut self, stamp: &str) {
        self.inserted.push(stamp.to_owned());
        self.pending.push(stamp.to_owned());
    }

    fn failed(&mut self, failure: &Failure) {
        let Failure(code, text) = failure;
        let is_fatal = self.settings.value("exit_on_error") == "on";
        let severity = if is_fatal { "FATAL" } else { "ERROR" };
        let body = format!("S{severity}\0V{severity}\0C{code}\0M{text}\0Rsomewhere\0\0");
        self.put(b'E', body.as_bytes());
        self.abort();
        self.flush();
        if is_fatal {
            self.hang_up();
        }
        if self.status == b'T' {
            self.status = b'E';
        }
    }

    fn abort(&mut self) {
        self.settings.abort();
        self.pending.clear();
        if let Some(before) = self.before.take() {
            self.temporary = before;
        }
    }

    fn commit(&mut self) {
        self.settings.commit();
        self.before = None;
        self.committed.append(&mut self.pending);
    }

    fn ready(&mut self) {
        if self.status == b'I' {
            self.commit();
            self.portals.clear();
        }
        self.report();
        self.put(b'Z', &[self.status]);
        self.flush();
    }

    fn query(&mut self, body: &[u8]) -> Done {
        let (text, _) = cut(body);
        let text = String::from_utf8_lossy(text).into_owned();
        self.unnamed = None;
        self.portals.remove(&b""[..]);
        let parts = text::statements(&text);
        for part in &parts {
            run::check_syntax(part)?;
        }
        for part in &parts {
            self.run(part, &[], true)?;
        }
        if parts.is_empty() {
            self.put(b'I', b"");
        }
        if !self.copies_in && !self.ended {
            self.ready();
        }
        self.flush();
        Ok(())
    }
}
