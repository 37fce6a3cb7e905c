//! What clients of a pool do in random order: all that leaves traces in a session, and the questions that
//! would show another's traces.

use std::collections::BTreeMap;

use super::{Chance, Message};

/// What the scripts need, as their role's own: to be run once, in the role's database.
pub const PREPARATION: &str = "\
    CREATE TABLE kept (owner text, number int);\
    CREATE FUNCTION tune(text) RETURNS text LANGUAGE sql \
        AS $$ SELECT set_config('work_mem', $1, false) $$;\
    CREATE FUNCTION tell(text) RETURNS text LANGUAGE plpgsql \
        AS $$ BEGIN RAISE NOTICE '%', $1; RETURN $1; END $$;";

/// Each parameter that a client may set, and its value; but those that depend on the kind of socket.
const FINGERPRINT: &str = "\
    SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings \
    WHERE context IN ('user', 'superuser') AND name NOT LIKE '%.%' AND name NOT LIKE 'tcp_%'";

/// What else of a session can be seen. Statements aside: those of others on the same server connection
/// are there, under names that can't be known.
const TRACES: &str = "\
    SELECT current_user, session_user, current_schema, \
        coalesce(current_setting('my.tenant', true), ''), \
        coalesce(current_setting('my.number', true), ''), \
        (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()), \
        (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), \
        (SELECT count(*) FROM pg_cursors), \
        (SELECT count(*) FROM pg_listening_channels())";

const SETTINGS: [(&str, &[&str]); 15] = [
    ("TimeZone", &["'Asia/Tokyo'", "'Europe/Rome'", "'UTC'"]),
    ("DateStyle", &["'German'", "'SQL, DMY'", "'ISO, MDY'"]),
    ("IntervalStyle", &["'iso_8601'", "'postgres'"]),
    ("work_mem", &["'7MB'", "'8MB'"]),
    ("search_path", &["{me}, public", "pg_catalog, public", "''"]),
    ("statement_timeout", &["'190s'", "'191s'"]),
    ("lock_timeout", &["'192s'", "'193s'"]),
    ("extra_float_digits", &["0", "-1", "3"]),
    ("bytea_output", &["'escape'", "'hex'"]),
    ("client_encoding", &["'LATIN1'", "'UTF8'", "'SQL_ASCII'"]),
    ("standard_conforming_strings", &["off", "on"]),
    ("application_name", &["'{me}'", "'app'"]),
    (
        "default_transaction_isolation",
        &["'repeatable read'", "'read committed'"],
    ),
    ("my.tenant", &["'{me}'", "'it''s {me}'"]),
    ("my.number", &["'1'", "'2'"]),
];

/// Texts with their parameters' values.
const TEXTS: [(&str, &[&str]); 9] = [
    ("SELECT 'of {me}', $1::text", &["{me}"]),
    ("SELECT $1::int + $2::int", &["40", "2"]),
    (
        "SELECT now() IS NOT NULL, '2024-01-02'::date, interval '1 day'",
        &[],
    ),
    ("SELECT $1::bytea, '1.5'::float8 / 3", &["\\x0001ff"]),
    ("INSERT INTO public.kept VALUES ('{me}', $1)", &["7"]),
    (
        "SELECT count(*), sum(number) FROM public.kept WHERE owner = $1",
        &["{me}"],
    ),
    ("SELECT number FROM generate_series(1, 5) AS number", &[]),
    ("SELECT 1 / $1::int", &["0"]),
    (
        "SELECT current_setting('work_mem'), current_setting('TimeZone')",
        &[],
    ),
];

/// What keeps a client on its server connection, and what shows that it does.
const PINS: [&[&str]; 6] = [
    &[
        "LISTEN \"channel_{me}\"",
        "NOTIFY \"channel_{me}\", 'for {me}'",
        "SELECT pg_listening_channels()",
        "UNLISTEN *",
    ],
    &[
        "CREATE TEMP TABLE scratch AS SELECT '{me}'::text AS whose",
        "SELECT * FROM scratch",
        "INSERT INTO scratch VALUES ('{me} again')",
        "TABLE scratch",
        "DROP TABLE scratch",
    ],
    &[
        "SELECT pg_advisory_lock(hashtext('{me}'))",
        "SELECT pg_advisory_unlock(hashtext('{me}'))",
    ],
    &[
        "SET ROLE isolation_other",
        "SELECT current_user",
        "RESET ROLE",
    ],
    &[
        "BEGIN",
        "DECLARE held CURSOR WITH HOLD FOR SELECT '{me}', number FROM generate_series(1, 9) AS number",
        "COMMIT",
        "FETCH 2 FROM held",
        "FETCH 3 FROM held",
        "CLOSE held",
    ],
    &[
        "PREPARE by_sql(int) AS SELECT '{me}', $1 * 2",
        "EXECUTE by_sql(21)",
        "EXECUTE by_sql(4)",
        "DEALLOCATE by_sql",
    ],
];

/// Kinds of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// All it does can be carried from one server connection to another.
    Plain,
    /// It makes what only one server connection has.
    Pins,
}

/// Writes one client's script as it goes on.
pub struct Author {
    chance: Chance,
    sort: Sort,
    /// Values of the parameters of the prepared statements that it believes to have.
    statements: BTreeMap<String, &'static [&'static str]>,
    /// What is left of a sequence of queries that belong together.
    planned: Vec<&'static str>,
    /// Whether the session began with parameters of its own: RESET leads back to them, but only once the
    /// transaction is over.
    based: bool,
}

impl Author {
    /// One that writes the same for the same chance.
    pub fn new(chance: Chance, sort: Sort) -> Author {
        Author {
            chance,
            sort,
            statements: BTreeMap::new(),
            planned: Vec::new(),
            based: false,
        }
    }

    /// Startup parameters for a new session.
    pub fn startup(&mut self) -> Vec<(String, String)> {
        self.statements.clear();
        self.planned.clear();
        let table = [
            ("TimeZone", "America/Lima"),
            ("application_name", "{me}"),
            ("DateStyle", "Postgres"),
            ("options", "-c work_mem=5MB -c my.tenant={me}"),
            (
                "options",
                "-c statement_timeout=199s -cIntervalStyle=sql_standard",
            ),
        ];
        let mut parameters = BTreeMap::new();
        for _ in 0..self.chance.below(4) {
            let (name, value) = *self.chance.pick(&table);
            parameters.insert(name.to_owned(), value.to_owned());
        }
        // A pinned session's RESET leads to what its server connection began with.
        if self.sort == Sort::Pins {
            parameters.clear();
        }
        self.based = !parameters.is_empty();
        parameters.into_iter().collect()
    }

    /// What the client sends next, in a session of this status.
    pub fn next(&mut self, status: u8) -> Vec<Message> {
        if let Some(text) = self.planned.pop() {
            return vec![Message::query(text)];
        }
        if self.sort == Sort::Pins && self.chance.one_in(4) {
            let texts = *self.chance.pick(&PINS);
            self.planned = texts.iter().rev().copied().collect();
            return self.next(status);
        }
        match self.chance.below(16) {
            0 if status == b'I' => vec![Message::query(self.reset())],
            0..=2 => vec![Message::Query(self.setting())],
            3..=4 => vec![Message::Query(self.transaction(status))],
            5 => self.copy(),
            6 => vec![Message::Query(self.many())],
            7..=8 => vec![Message::query(FINGERPRINT), Message::query(TRACES)],
            9 => vec![Message::Query(self.odd())],
            10..=12 => self.statement(),
            13 => self.unnamed(),
            _ => self.pipeline(),
        }
    }

    fn setting(&mut self) -> String {
        let (name, values) = *self.chance.pick(&SETTINGS);
        let value = *self.chance.pick(values);
        if !self.based && self.chance.one_in(5) {
            return match self.chance.below(3) {
                0 => "RESET ALL".to_owned(),
                1 => format!("SET {name} = DEFAULT"),
                _ => format!("RESET {name}"),
            };
        }
        match self.chance.below(8) {
            0 => format!("SET LOCAL {name} = {value}"),
            1 if value.starts_with('\'') => format!("SELECT set_config('{name}', {value}, false)"),
            2 if value.starts_with('\'') => format!("SELECT set_config('{name}', {value}, true)"),
            3 => format!("SET /* TO 'x' */ SESSION {name} TO {value} -- DEFAULT"),
            _ => format!("SET {name} = {value}"),
        }
    }

    /// Back to what the session began with, outside a transaction.
    fn reset(&mut self) -> &'static str {
        let table = [
            "RESET ALL",
            "DISCARD ALL",
            "RESET TimeZone",
            "SET work_mem = DEFAULT",
            "SET my.tenant TO DEFAULT",
            "RESET application_name",
        ];
        let text = *self.chance.pick(&table);
        if text == "DISCARD ALL" {
            self.statements.clear();
        }
        text
    }

    fn transaction(&mut self, status: u8) -> String {
        let table: &[&str] = match status {
            b'I' => &[
                "BEGIN",
                "BEGIN",
                "START TRANSACTION READ ONLY",
                "BEGIN ISOLATION LEVEL REPEATABLE READ",
            ],
            b'T' => &[
                "COMMIT",
                "COMMIT",
                "ROLLBACK",
                "SAVEPOINT a",
                "ROLLBACK TO a",
                "RELEASE a",
                "COMMIT AND CHAIN",
                "SELECT 1 / 0",
            ],
            _ => &[
                "ROLLBACK",
                "COMMIT",
                "ROLLBACK TO a",
                "ROLLBACK AND CHAIN",
                "SELECT 1",
            ],
        };
        (*self.chance.pick(table)).to_owned()
    }

    /// Several statements in one message.
    fn many(&mut self) -> String {
        let (first, second) = (self.setting(), self.setting());
        let table = [
            format!("{first}; SELECT 'between'; {second}"),
            format!("BEGIN; {first}; ROLLBACK"),
            format!("BEGIN; {first}; SAVEPOINT s; {second}; ROLLBACK TO s; COMMIT"),
            format!("{first}; SELECT 1 / 0; {second}"),
            format!("{first}; COMMIT; {second}; SELECT 1 / 0"),
        ];
        // A comment at the end would swallow what follows.
        self.chance.pick(&table).replace(" -- DEFAULT", "")
    }

    fn odd(&mut self) -> String {
        let table = [
            "DEALLOCATE ALL",
            "DISCARD PLANS",
            "DEALLOCATE \"s1\"",
            "SELEC",
            "",
            " -- nothing",
            "SELECT tune('6MB')",
            "SELECT tell('{me}')",
            "DO $$ BEGIN PERFORM set_config('my.number', '9', false); END $$",
            "SELECT 'it\\'s', 'a\\\\b', E'\\x41'",
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
            "SELECT pg_advisory_xact_lock(hashtext('{me}'))",
            "BEGIN; DECLARE c CURSOR FOR SELECT '{me}'; FETCH c; COMMIT",
            "BEGIN; CREATE TABLE \"made_{me}\" (a int); ROLLBACK",
        ];
        let text = *self.chance.pick(&table);
        if text.contains(" ALL") {
            self.statements.clear();
        }
        text.to_owned()
    }

    fn copy(&mut self) -> Vec<Message> {
        let number = self.chance.below(1000);
        let into = Message::query("COPY public.kept FROM STDIN");
        let data = Message::CopyData(format!("{{me}}\t{number}\n"));
        match self.chance.below(5) {
            0 => vec![into, data.clone(), data, Message::CopyDone],
            1 => vec![into, data, Message::CopyFail],
            2 => vec![
                into,
                Message::CopyData("{me}\tnone\n".to_owned()),
                Message::CopyDone,
            ],
            _ => vec![Message::query(
                "COPY (SELECT '{me}', number FROM generate_series(1, 30) AS number) TO STDOUT",
            )],
        }
    }

    fn name(&mut self) -> String {
        (*self.chance.pick(&["s0", "s1", "S 2", "pc_1"])).to_owned()
    }

    fn text(&mut self) -> (String, &'static [&'static str]) {
        let (text, values) = *self.chance.pick(&TEXTS);
        (text.to_owned(), values)
    }

    fn bind(&mut self, statement: &str) -> Message {
        let values = self.statements.get(statement).copied().unwrap_or(&[]);
        let values = values.iter().map(|it| (*it).to_owned()).collect();
        Message::Bind(String::new(), statement.to_owned(), values)
    }

    /// Named statements, in batches of their own and across them.
    fn statement(&mut self) -> Vec<Message> {
        let name = self.name();
        let mut messages = Vec::new();
        match self.chance.below(8) {
            0 => messages.push(Message::CloseStatement(name.clone())),
            1 => messages.push(Message::DescribeStatement(name.clone())),
            2 => {
                // Whatever has the name is in the way, or replaced.
                messages.push(Message::CloseStatement(name.clone()));
                messages.extend(self.parse(&name));
            }
            3..=4 => messages.extend(self.parse(&name)),
            _ => {}
        }
        if self.chance.one_in(4) {
            messages.push(Message::Sync);
        }
        messages.extend(self.run(&name));
        messages.push(Message::Sync);
        messages
    }

    fn parse(&mut self, name: &str) -> Vec<Message> {
        let (text, values) = self.text();
        self.statements.insert(name.to_owned(), values);
        vec![Message::Parse(name.to_owned(), text)]
    }

    fn run(&mut self, name: &str) -> Vec<Message> {
        let bind = self.bind(name);
        let rows = *self.chance.pick(&[0, 0, 0, 2]);
        let mut messages = vec![bind];
        if self.chance.one_in(2) {
            messages.push(Message::DescribePortal(String::new()));
        }
        messages.push(Message::Execute(String::new(), rows));
        if self.chance.one_in(6) {
            messages.push(Message::Execute(String::new(), 0));
        }
        if self.chance.one_in(6) {
            messages.push(Message::ClosePortal(String::new()));
        }
        messages
    }

    fn unnamed(&mut self) -> Vec<Message> {
        let mut messages = match self.chance.below(3) {
            0 => Vec::new(),
            _ => self.parse(""),
        };
        if self.chance.one_in(2) {
            messages.push(Message::DescribeStatement(String::new()));
            messages.push(Message::Sync);
        }
        messages.extend(self.run(""));
        messages.push(Message::Sync);
        messages
    }

    /// Several batches at once, some with transactions, settings and errors in them.
    fn pipeline(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        for _ in 0..=self.chance.below(4) {
            match self.chance.below(6) {
                0 => {
                    for text in [
                        "BEGIN",
                        &self.setting(),
                        *self.chance.pick(&["COMMIT", "ROLLBACK"]),
                    ] {
                        messages.extend(self.once(text));
                    }
                    messages.push(Message::Sync);
                }
                1 => {
                    let setting = self.setting();
                    messages.extend(self.once(&setting));
                    messages.push(Message::Flush);
                    messages.push(Message::Sync);
                }
                2 => messages.push(Message::Query(self.setting())),
                3 => messages.extend(self.unnamed()),
                _ => messages.extend(self.statement()),
            }
        }
        messages
    }

    /// A text by the extended protocol, without Sync.
    fn once(&mut self, text: &str) -> Vec<Message> {
        self.statements.insert(String::new(), &[]);
        let (unnamed, portal) = (String::new(), String::new());
        vec![
            Message::Parse(unnamed.clone(), text.to_owned()),
            Message::Bind(portal.clone(), unnamed, Vec::new()),
            Message::Execute(portal, 0),
        ]
    }
}
