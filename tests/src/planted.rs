//! Markers that travel through a session in every kind of message, to be searched for afterwards.

use openssl::rand::rand_bytes;
use testkit::peer::message::{self, frame, query};

use crate::scripted::Session;
use crate::search::contains;

/// Text that occurs nowhere else: 24 hexadecimal digits.
pub fn marker() -> String {
    let mut bytes = [0; 12];
    rand_bytes(&mut bytes).expect("random bytes");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Backwards: the same to a server that is asked to reverse it, and another text to a search.
pub fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}

/// What a session is to leave no trace of.
pub struct Planted {
    /// In a query.
    pub literal: String,
    parameter: String,
    result: String,
    error: String,
    notice: String,
    copied_in: String,
    copied_out: String,
    wide: String,
}

impl Default for Planted {
    fn default() -> Self {
        Self::new()
    }
}

impl Planted {
    /// New ones.
    pub fn new() -> Self {
        Self {
            literal: marker(),
            parameter: marker(),
            result: marker(),
            error: marker(),
            notice: marker(),
            copied_in: marker(),
            copied_out: marker(),
            wide: marker(),
        }
    }

    /// All of them.
    pub fn all(&self) -> Vec<&str> {
        [
            &self.literal,
            &self.parameter,
            &self.result,
            &self.error,
            &self.notice,
            &self.copied_in,
            &self.copied_out,
            &self.wide,
        ]
        .map(String::as_str)
        .to_vec()
    }

    /// Sends each of them through the session. What is to be seen only in answers travels
    /// backwards in the questions.
    pub fn travel(&self, session: &mut Session) {
        session.query(&format!("SELECT 1 WHERE '{}' = ''", self.literal));
        let value = session.value(&format!("SELECT reverse('{}')", reversed(&self.result)));
        assert_eq!(value, self.result);
        self.bind(session);
        session.peer.send(&query(&format!(
            "SELECT 1/0 AS \"{}\" FROM nothing",
            self.error
        )));
        session.peer.until_tag(b'Z');
        session.query(&format!(
            "DO $$ BEGIN RAISE NOTICE '{}'; END $$",
            self.notice
        ));
        self.copy(session);
        // More than one record and one buffer, in both directions.
        let wide = reversed(&self.wide);
        session.query(&format!("SELECT repeat(reverse('{wide}'), 20000)"));
        session.query(&format!("SELECT length('{}')", self.wide.repeat(20_000)));
    }

    fn bind(&self, session: &mut Session) {
        let len = u32::try_from(self.parameter.len()).expect("short");
        let value = self.parameter.as_bytes();
        let bind = [&b"\0\0\0\0\0\x01"[..], &len.to_be_bytes(), value, b"\0\0"].concat();
        let batch = [
            frame(b'P', b"\0SELECT $1::text\0\0\0"),
            frame(b'B', &bind),
            frame(b'E', b"\0\0\0\0\0"),
            message::SYNC.to_vec(),
        ];
        session.peer.send(&batch.concat());
        session.peer.until_ready();
    }

    fn copy(&self, session: &mut Session) {
        session.query("CREATE TEMP TABLE copied (value text)");
        session.peer.send(&query("COPY copied FROM STDIN"));
        session.peer.expect_frame(b'G');
        for _ in 0..1000 {
            let line = format!("{}\n", self.copied_in);
            session.peer.send(&frame(b'd', line.as_bytes()));
        }
        session.peer.send(&frame(b'c', b""));
        session.peer.until_ready();
        let out = reversed(&self.copied_out);
        let copied = session.query(&format!(
            "COPY (SELECT reverse('{out}') FROM generate_series(1, 1000)) TO STDOUT"
        ));
        assert!(contains(&copied[1].body, self.copied_out.as_bytes()));
    }
}
