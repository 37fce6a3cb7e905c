//! Owns what clients ask: units of random requests, each answered up to one ReadyForQuery, each value in
//! them stamped with its owner.

use crate::chance::Chance;
use crate::frames::frame;

/// What is sent up to one ReadyForQuery.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Its frames.
    pub bytes: Vec<u8>,
    /// Nothing is sent behind it before it is answered.
    pub waits: bool,
    /// What it is, for the trace.
    pub label: String,
}

/// Parameters that clients set.
const NAMES: [&str; 6] = [
    "application_name",
    "work_mem",
    "my.x",
    "my.y",
    "search_path",
    "statement_timeout",
];

/// When a client may RESET. The startup packet's values are gone from the server connection then, until the
/// transaction is over and Portcullis has put them back: not before the next one, and not if it is pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resets {
    /// Its startup packet sets nothing.
    Anytime,
    /// It looks at nothing before its next transaction, cancels nothing, and makes nothing that pins.
    Alone,
    /// It does something of that.
    Never,
}

/// One client's stream of requests.
#[derive(Debug, Clone)]
pub struct Script {
    client: usize,
    sequence: usize,
    in_block: bool,
    /// When it may take back what it has set.
    resets: Resets,
    /// It may make what only one server connection has.
    pub may_pin: bool,
}

impl Script {
    /// The requests of a client.
    pub fn new(client: usize, may_pin: bool, resets: Resets) -> Script {
        Script {
            client,
            sequence: 0,
            in_block: false,
            resets,
            may_pin,
        }
    }

    /// A value that nobody else has.
    pub fn stamp(&mut self) -> String {
        self.sequence += 1;
        format!("c{}-{}", self.client, self.sequence)
    }

    /// The last unit: whatever is open ends.
    pub fn last(&mut self) -> Unit {
        self.in_block = false;
        simple("ROLLBACK")
    }

    /// The next unit.
    pub fn next(&mut self, chance: &mut Chance) -> Unit {
        if self.in_block && chance.one_in(4) {
            self.in_block = false;
            return simple(chance.pick::<&str>(&["COMMIT", "COMMIT", "ROLLBACK"]));
        }
        match chance.below(20) {
            0..8 => self.extended(chance),
            8 => self.copy(chance),
            9 if !self.in_block => {
                self.in_block = true;
                simple("BEGIN")
            }
            10 => {
                let texts = [self.text(chance, false), self.text(chance, false)];
                simple(&texts.join("; "))
            }
            11 if self.may_pin => simple(chance.pick::<&str>(&[
                "CREATE TEMP TABLE t1 (a int)",
                "PREPARE q AS SELECT 7",
                "SELECT * FROM t1",
                "EXECUTE q",
                "DEALLOCATE q",
            ])),
            _ => simple(&self.text(chance, true)),
        }
    }

    fn text(&mut self, chance: &mut Chance, alone: bool) -> String {
        let resets = match self.resets {
            Resets::Anytime => true,
            Resets::Alone => alone && !self.in_block,
            Resets::Never => false,
        };
        let name = *chance.pick(&NAMES);
        let stamp = self.stamp();
        let value = match name {
            "statement_timeout" => chance.pick(&["200ms", "5s", "0"]).to_string(),
            _ if chance.one_in(12) => "bad".to_owned(),
            _ => stamp.clone(),
        };
        match chance.below(20) {
            0..4 => format!("SELECT '{stamp}'"),
            4 => format!("SELECT repeat('{stamp};', {})", 1 + chance.below(2000)),
            5 => format!("SELECT pg_sleep(1), '{stamp}'"),
            6 => "SELECT 1/0".to_owned(),
            7 => format!("SELEC '{stamp}'"),
            8..10 => format!("INSERT INTO t VALUES ('{stamp}')"),
            10..12 => format!("SET {name} = '{value}'"),
            12 => format!("SET LOCAL {name} = '{value}'"),
            13 if value != "bad" => {
                format!("SELECT pg_catalog.set_config('{name}', '{value}', false)")
            }
            14 if resets => format!("RESET {name}"),
            15 if resets && chance.one_in(3) => "RESET ALL".to_owned(),
            15 if resets && !self.in_block && chance.one_in(2) => "DISCARD ALL".to_owned(),
            16 if chance.one_in(3) => "DEALLOCATE ALL".to_owned(),
            _ => format!("SHOW {name}"),
        }
    }

    fn copy(&mut self, chance: &mut Chance) -> Unit {
        let stamp = self.stamp();
        if chance.one_in(2) {
            return simple(&format!("COPY (SELECT '{stamp};') TO STDOUT"));
        }
        let ends = match chance.below(4) {
            0 => frame(b'f', b"no\0"),
            _ => frame(b'c', b""),
        };
        let query = simple("COPY t FROM STDIN");
        let data = frame(b'd', stamp.as_bytes());
        Unit {
            bytes: [query.bytes, data, ends].concat(),
            waits: false,
            label: format!("COPY t FROM STDIN {stamp}"),
        }
    }

    /// A batch of the extended protocol, with its Sync.
    fn extended(&mut self, chance: &mut Chance) -> Unit {
        let mut bytes = vec![];
        let mut label = String::new();
        for _ in 0..1 + chance.below(3) {
            let name = *chance.pick(&["", "", "a", "b", "c"]);
            let text = *chance.pick(&[
                "SELECT $1",
                "SELECT $1, 2",
                "INSERT INTO t VALUES ($1)",
                "SELECT 1/0",
                "SET work_mem = '9MB'",
                "SELECT 5",
                "SHOW work_mem",
                "DEALLOCATE ALL",
            ]);
            let parses = chance.one_in(2);
            if parses {
                if !name.is_empty() && chance.one_in(2) {
                    bytes.extend(target(b'C', b'S', name));
                }
                bytes.extend(frame(
                    b'P',
                    &[name, "\0", text, "\0\0\0"].concat().into_bytes(),
                ));
            }
            if chance.one_in(5) {
                bytes.extend(target(b'D', b'S', name));
            }
            // Of a statement of before it isn't known here how many values it takes.
            let takes = match parses {
                true => text.contains('$'),
                false => chance.one_in(2),
            };
            let stamp = self.stamp();
            bytes.extend(bind(name, takes.then_some(&stamp)));
            if chance.one_in(3) {
                bytes.extend(target(b'D', b'P', ""));
            }
            bytes.extend(frame(b'E', b"\0\0\0\0\0"));
            if chance.one_in(6) {
                bytes.extend(frame(b'H', b""));
            }
            label += &format!("[{name}:{} {stamp}] ", if parses { text } else { "known" });
        }
        bytes.extend(frame(b'S', b""));
        Unit {
            bytes,
            waits: false,
            label,
        }
    }
}

fn simple(text: &str) -> Unit {
    Unit {
        bytes: frame(b'Q', &[text.as_bytes(), b"\0"].concat()),
        waits: text.contains("RESET") || text.contains("DISCARD"),
        label: text.to_owned(),
    }
}

fn target(tag: u8, kind: u8, name: &str) -> Vec<u8> {
    frame(tag, &[&[kind], name.as_bytes(), b"\0"].concat())
}

fn bind(name: &str, value: Option<&String>) -> Vec<u8> {
    let mut body = [b"\0", name.as_bytes(), b"\0\0\0"].concat();
    match value {
        Some(value) => {
            body.extend([0, 1]);
            body.extend((value.len() as u32).to_be_bytes());
            body.extend(value.as_bytes());
        }
        None => body.extend([0, 0]),
    }
    body.extend([0, 0]);
    frame(b'B', &body)
}
