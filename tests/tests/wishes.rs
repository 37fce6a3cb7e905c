//! Settings of many clients on few server connections of PostgreSQL itself: what the texts of
//! `session::wishes` do there, whatever a client has set, and what they prevent when they fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use buf::Plain;
use session::Reported;
use session::wishes::prefix::{BYTES_MAX, Change, Way, bring};
use session::wishes::{Answer, Cleanup, Question, Touched, Unanswered, Wishes, lexing_of, startup};
use sql::Lexing;
use testkit::peer::message;
use testkit::{Binaries, Cluster, ClusterPlan, Frame, Peer, wait};
use wire::from_server::DataRow;
use wire::startup::StartupMessage;
use wire::{Message, ProtocolVersion};

/// Clusters whose Unix-domain sockets let every role in.
fn both() -> [Cluster; 2] {
    [Binaries::installed(), Binaries::version_18()].map(|binaries| {
        ClusterPlan::new(binaries)
            .hba("local all all trust\n")
            .start()
    })
}

type Row = Vec<Option<Vec<u8>>>;

/// A session with a server, and what is known to stand there.
struct Session {
    peer: Peer,
    have: Arc<Wishes>,
    process_id: u32,
}

/// SQLSTATE of an error and whether it ended the session.
#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    state: String,
    is_fatal: bool,
}

impl Refusal {
    fn of(frame: &Frame) -> Self {
        let field = |code| frame.field(code).unwrap_or_default();
        Self {
            state: field(b'C'),
            is_fatal: field(b'V') == "FATAL",
        }
    }
}

impl Session {
    fn open(cluster: &Cluster, role: &str, database: &str, settings: &[(&str, &str)]) -> Self {
        let own = [("user", role), ("database", database)];
        let parameters = [&own[..], settings].concat();
        let mut peer = Peer::unix(&cluster.socket());
        peer.send(&message::startup(&parameters));
        let mut session = Self {
            peer,
            have: Wishes::none(),
            process_id: 0,
        };
        for frame in session.frames() {
            assert_ne!(frame.tag, b'E', "{}", frame.error_text());
            if let (b'K', Some(id)) = (frame.tag, frame.body.first_chunk()) {
                session.process_id = u32::from_be_bytes(*id);
            }
        }
        session
    }

    fn send(&mut self, sql: &[u8]) {
        let text = [sql, b"\0"].concat();
        self.peer.send(&message::frame(b'Q', &text));
    }

    /// Frames of one reply; an error that ends the session ends the reply.
    fn frames(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        loop {
            let frame = self.peer.frame();
            let ends = frame.tag == b'Z' || frame.tag == b'E' && Refusal::of(&frame).is_fatal;
            frames.push(frame);
            assert!(frames.len() < 10_000, "a reply without an end");
            if ends {
                return frames;
            }
        }
    }

    fn reply(&mut self) -> Result<Vec<Row>, Refusal> {
        let frames = self.frames();
        if let Some(error) = frames.iter().find(|frame| frame.tag == b'E') {
            return Err(Refusal::of(error));
        }
        let rows = frames.iter().filter(|frame| frame.tag == b'D');
        let row = |frame: &Frame| {
            let row = DataRow::decode(&frame.body).expect("a row");
            row.values.iter().map(|v| v.map(<[u8]>::to_vec)).collect()
        };
        Ok(rows.map(row).collect())
    }

    fn query(&mut self, sql: &str) -> Result<Vec<Row>, Refusal> {
        self.send(sql.as_bytes());
        self.reply()
    }

    #[track_caller]
    fn value(&mut self, sql: &str) -> String {
        let rows = self.query(sql).expect("no error");
        let value = rows.first().and_then(|row| row.first().cloned().flatten());
        String::from_utf8_lossy(&value.unwrap_or_default()).into_owned()
    }

    /// Brings the session to what a client wants.
    #[track_caller]
    fn bring(&mut self, want: &Arc<Wishes>, cleanup: Cleanup, way: Way) {
        let (bytes, count) = prefix(&self.have, want, cleanup, way);
        self.peer.send(&bytes);
        for _ in 0..count {
            self.reply().expect("a change without an error");
        }
        self.have = Arc::clone(want);
    }

    fn lexing(&self) -> Lexing {
        lexing_of(&self.have, &Reported::default(), 1 << 20)
    }

    /// What a client of this session runs, and what may have been touched by it.
    fn run(&mut self, text: &str) -> (Result<Vec<Row>, Refusal>, Touched) {
        let mut touched = Touched::new();
        match sql::effects(text.as_bytes(), self.lexing()) {
            Ok(effects) => touched.note(text.as_bytes(), self.lexing(), effects),
            Err(_) => touched.unknown(),
        }
        (self.query(text), touched)
    }

    #[track_caller]
    fn ask(&mut self, touched: Touched, base: &Arc<Wishes>) -> Arc<Wishes> {
        match self.try_ask(touched, base).expect("an answer") {
            Some(answer) => {
                self.have = answer.have;
                answer.want
            }
            None => Arc::clone(&self.have),
        }
    }

    fn try_ask(
        &mut self,
        touched: Touched,
        base: &Arc<Wishes>,
    ) -> Result<Option<Answer>, Unanswered> {
        let mut output = Plain::with_capacity(BYTES_MAX);
        let asked = Question::ask(touched, &self.have, base, &mut output).expect("room");
        let Some(mut question) = asked else {
            return Ok(None);
        };
        self.peer.send(output.bytes());
        for frame in self.frames() {
            question.take(frame.tag, &frame.body)?;
        }
        question.finish().map(Some)
    }

    /// All that a client can see of its settings. An empty custom parameter is as good as none: one that
    /// was set once can't be made unknown again.
    fn facts(&mut self) -> Vec<(String, String)> {
        let text = "SELECT name, encode(convert_to(setting, getdatabaseencoding()), 'hex') FROM \
             (SELECT name, setting FROM pg_catalog.pg_settings \
              UNION ALL SELECT n, coalesce(current_setting(n, true), '') FROM unnest(ARRAY[\
              'app.owner', 'app.level', 'app.other', 'my.long_name_$1']) n \
              UNION ALL SELECT 'who', current_user || ' ' || session_user) s ORDER BY name";
        let rows = self.query(text).expect("the settings");
        let text = |bytes: &Option<Vec<u8>>| {
            String::from_utf8(bytes.clone().unwrap_or_default()).expect("hexadecimal")
        };
        rows.iter()
            .map(|row| (text(&row[0]), text(&row[1])))
            .collect()
    }
}

fn prefix(have: &Wishes, want: &Wishes, cleanup: Cleanup, way: Way) -> (Vec<u8>, usize) {
    let mut output = Plain::with_capacity(BYTES_MAX);
    let change = Change {
        have,
        want,
        cleanup,
    };
    let count = bring(change, way, &mut output).expect("room");
    (output.bytes().to_vec(), count)
}

fn wishes(settings: &[(&str, &str)]) -> Arc<Wishes> {
    let bytes = settings.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes()));
    let packet = StartupMessage::new(ProtocolVersion::V3_0, bytes).expect("a packet");
    let divided = startup::split(&packet, &["log_statement".to_owned()]);
    assert!(divided.rest.is_empty());
    divided.wishes
}

/// What differs, for a message that can be read.
fn difference(one: &[(String, String)], other: &[(String, String)]) -> Vec<String> {
    let pairs = one.iter().zip(other);
    let differing = pairs.filter(|(one, other)| one != other);
    differing
        .map(|(one, other)| format!("{one:?} {other:?}"))
        .collect()
}

/// Numbers that look random and are the same in each run (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ mixed >> 31) % bound as u64).expect("a small number")
    }

    fn one_of<'t>(&mut self, list: &[&'t str]) -> &'t str {
        list[self.below(list.len())]
    }
}

/// What clients do to their settings. None sets a custom parameter of its base to the value that RESET gives it:
/// the server tells nobody the one from the other.
///
/// Strings hold no backslash where it might be an escape or not. The search
/// path holds only what all the client encodings have: PostgreSQL 18 reports it, and a backend that can't
/// convert a report fails without end.
const STATEMENTS: [&str; 64] = [
    "SET work_mem = '3MB'",
    "SET work_mem = 4097",
    "SET work_mem TO DEFAULT",
    "RESET work_mem",
    "SET maintenance_work_mem = '1234kB'",
    "SET app.owner = 'plain'",
    "SET \"App\".\"Owner\" = 'it''s; DROP TABLE x; --'",
    "SET app.owner = E'back\\\\slash \\' quote \\n line \\t \"x\" $$ $1'",
    "SET app.other = ''",
    "RESET app.owner",
    "SET app.owner TO DEFAULT",
    "SET app.level = 'high'",
    "RESET app.level",
    "SET my.long_name_$1 = 'ü'",
    "SELECT length(set_config('app.owner', 'x' || chr(233) || chr(92) || chr(39), false))",
    "SELECT length(set_config('app.other', repeat(chr(233), 300), false))",
    "SELECT set_config('app.owner', 'gone soon', true)",
    "SELECT set_config(n, '7MB', false) FROM (VALUES ('work_mem')) v(n)",
    "SELECT set_config('search_path', 'a, \"b c\", \"d\"\"e\", \"f,g\"', false)",
    "SELECT set_config('search_path', '', false)",
    "SET search_path = \"$user\", \"x,y\", Public",
    "SET search_path = 'one, not two'",
    "SET SCHEMA 'Mixed'",
    "RESET search_path",
    "SELECT length(set_config('search_path', '\"' || chr(167) || '\", pg_catalog', false))",
    "SET temp_tablespaces = ''",
    "SET NAMES 'SJIS'",
    "SET NAMES 'LATIN1'",
    "SET client_encoding = UTF8",
    "SET client_encoding TO 'SQL_ASCII'",
    "RESET client_encoding",
    "SET standard_conforming_strings = off",
    "SET standard_conforming_strings = on",
    "SET DateStyle = DMY",
    "SET DateStyle = 'SQL'",
    "SET DateStyle TO German, YMD",
    "RESET DateStyle",
    "SET IntervalStyle = iso_8601",
    "SET TIME ZONE INTERVAL '+02:30' HOUR TO MINUTE",
    "SET TIME ZONE 'Europe/Berlin'",
    "SET TIME ZONE -3.5",
    "SET TIME ZONE LOCAL",
    "SET TimeZone = 'PST8PDT,M3.2.0,M11.1.0'",
    "SET TimeZone = '<x>-5'",
    "RESET TIME ZONE",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY, ISOLATION LEVEL SERIALIZABLE, DEFERRABLE",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    "SET XML OPTION DOCUMENT",
    "SET application_name = 'naïve'",
    "SET application_name = 'it''s \"me\"'",
    "SET extra_float_digits = -3",
    "SET statement_timeout = '90s'",
    "SET statement_timeout = '61min'",
    "SET lock_timeout = 0",
    "SET idle_in_transaction_session_timeout = '1d'",
    "SET seq_page_cost = 1.5",
    "SET random_page_cost TO 1e300",
    "SET vacuum_cost_delay = '1500us'",
    "SET bytea_output = escape",
    "SET LOCAL work_mem = '9MB'",
    "SET plan_cache_mode = force_custom_plan",
    "SET no_such_thing = 1",
    "SET work_mem = 'nonsense'",
    "RESET ALL",
];

/// A client's transaction of some of these.
fn transaction(random: &mut Random) -> String {
    let one = |random: &mut Random| random.one_of(&STATEMENTS);
    match random.below(9) {
        0..=2 => one(random).to_owned(),
        3 => format!("{}; {}", one(random), one(random)),
        4 => format!("BEGIN; {}; {}; ROLLBACK", one(random), one(random)),
        5 => format!("BEGIN; {}; {}; COMMIT", one(random), one(random)),
        6 => {
            let (a, b, c) = (one(random), one(random), one(random));
            format!("BEGIN; {a}; SAVEPOINT s; {b}; ROLLBACK TO s; {c}; COMMIT")
        }
        7 => format!("{}; SELECT 1/0", one(random)),
        _ => "DISCARD ALL".to_owned(),
    }
}

const BASES: [&[(&str, &str)]; 4] = [
    &[],
    &[
        ("application_name", "it's \\ me"),
        ("client_encoding", "'utf-8'"),
        ("DateStyle", "SQL, DMY"),
        (
            "options",
            "-c work_mem=1MB -c app.level=mine --search-path=\"a\\ b\",\\ c",
        ),
    ],
    &[
        ("client_encoding", "LATIN1"),
        ("app.owner", "base"),
        ("TimeZone", "America/New_York"),
        ("standard_conforming_strings", "off"),
    ],
    &[
        ("extra_float_digits", "3"),
        ("statement_timeout", "100000"),
        ("app.owner", "grün"),
        ("search_path", "gr§n, public"),
    ],
];

/// Every client has a server connection of its own, as a reference, and shares others: there it must find
/// before each transaction what its own one has.
fn transparent(cluster: &Cluster, role: &str, database: &str, seed: u64, steps: usize) {
    let mut random = Random(seed);
    let mut references: Vec<Session> = BASES
        .iter()
        .map(|base| Session::open(cluster, role, database, base))
        .collect();
    let bases: Vec<_> = BASES.iter().map(|base| wishes(base)).collect();
    let mut wants = bases.clone();
    let mut servers: Vec<Session> = (0..3)
        .map(|_| Session::open(cluster, role, database, &[]))
        .collect();
    let mut last = vec![String::new(); bases.len()];
    for step in 0..steps {
        let (client, at) = (random.below(bases.len()), random.below(servers.len()));
        let server = &mut servers[at];
        let way = [Way::Pipelined, Way::Awaited][random.below(2)];
        let cleanup = match random.below(4) {
            0 => Cleanup::SETTINGS | Cleanup::ROLE,
            1 if random.below(4) == 0 => Cleanup::ALL,
            _ => Cleanup::NONE,
        };
        server.bring(&wants[client], cleanup, way);
        let (one, other) = (references[client].facts(), server.facts());
        let place = format!("seed {seed}, step {step}, client {client}, server {at}");
        let text = &last[client];
        assert_eq!(difference(&one, &other), [""; 0], "{place}: {text}");
        let text = transaction(&mut random);
        let wanted = references[client].query(&text);
        let (got, touched) = server.run(&text);
        assert_eq!(got.is_ok(), wanted.is_ok(), "{place}: {text}");
        for (is_pooled, refusal) in [(false, wanted.err()), (true, got.err())] {
            let session = if is_pooled {
                &mut *server
            } else {
                &mut references[client]
            };
            if refusal.is_some() {
                // An error inside BEGIN leaves a transaction behind.
                session.query("ROLLBACK").expect("a rollback");
            }
        }
        wants[client] = server.ask(touched, &bases[client]);
        last[client] = text;
    }
}

fn prepare(cluster: &Cluster) {
    cluster.make_role("pooled", "x");
    for sql in [
        "CREATE ROLE plain",
        "GRANT plain TO pooled",
        "ALTER ROLE pooled SET work_mem = '5MB'",
        "ALTER ROLE pooled SET search_path = own, public",
        "ALTER ROLE pooled SET app.level = 'the role''s'",
        "CREATE DATABASE utf OWNER pooled",
        "CREATE DATABASE latin OWNER pooled TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'",
        "CREATE DATABASE ascii OWNER pooled TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'",
        "ALTER DATABASE utf SET timezone = 'Asia/Tokyo'",
        "ALTER DATABASE utf SET statement_timeout = '1h'",
    ] {
        cluster.sql(sql);
    }
}

#[test]
fn clients_find_their_own_settings_on_any_server_connection() {
    for cluster in both() {
        prepare(&cluster);
        for seed in 1..=4 {
            transparent(&cluster, "pooled", "utf", seed, 120);
        }
    }
}

/// Sends a change and a client's message in one piece. Gives the client's reply, or how the session ended
/// before it.
fn pipelined(
    session: &mut Session,
    want: &Arc<Wishes>,
    cleanup: Cleanup,
    text: &str,
) -> Result<Result<Vec<Row>, Refusal>, Refusal> {
    let (mut bytes, count) = prefix(&session.have, want, cleanup, Way::Pipelined);
    bytes.extend(message::query(text));
    session.peer.send(&bytes);
    for _ in 0..count {
        if let Err(refusal) = session.reply()
            && refusal.is_fatal
        {
            return Err(refusal);
        }
    }
    session.have = Arc::clone(want);
    match session.reply() {
        Err(refusal) if refusal.is_fatal => Err(refusal),
        reply => Ok(reply),
    }
}

#[test]
fn a_wish_that_is_refused_keeps_the_client_from_running() {
    for cluster in both() {
        prepare(&cluster);
        let have = wishes(&[("app.owner", "before"), ("work_mem", "3MB")]);
        let table: [(&str, &str, &str); 5] = [
            ("work_mem", "nonsense", "22023"),
            ("timezone", "Nowhere", "22023"),
            ("log_statement", "all", "42501"),
            ("app.owner", "\u{fffd}\u{10ffff}", ""),
            ("transaction_timeout", "-5", "22023"),
        ];
        for (name, value, state) in table {
            let database = if state.is_empty() { "latin" } else { "utf" };
            let want = wishes(&[(name, value), ("geqo", "off")]);
            for cleanup in [
                Cleanup::NONE,
                Cleanup::SETTINGS | Cleanup::ROLE,
                Cleanup::ALL,
            ] {
                let mut session = Session::open(&cluster, "pooled", database, &[]);
                session.bring(&have, Cleanup::NONE, Way::Awaited);
                session
                    .query("CREATE TABLE IF NOT EXISTS ran ()")
                    .expect("a table");
                // Bytes that are text in no encoding but their own, in one with a letter for each.
                let insert = "INSERT INTO ran DEFAULT VALUES";
                let reply = pipelined(&mut session, &want, cleanup, insert);
                if state.is_empty() {
                    reply.expect("a session").expect("a row");
                    session.query("TRUNCATE ran").expect("no rows");
                    continue;
                }
                let refusal = reply.expect_err("the end of the session");
                assert!(refusal.is_fatal, "{name}");
                let mut other = Session::open(&cluster, "pooled", database, &[]);
                assert_eq!(other.value("SELECT count(*) FROM ran"), "0");
                // Tried first, it is an error, and the session stands where it stood.
                other.bring(&have, Cleanup::NONE, Way::Awaited);
                let (bytes, count) = prefix(&other.have, &want, cleanup, Way::Awaited);
                assert_eq!(count, 1);
                other.peer.send(&bytes);
                let refusal = other.reply().expect_err("a refusal");
                assert!(!refusal.is_fatal, "{name}");
                if cluster.binaries().major > 15 || name != "transaction_timeout" {
                    assert_eq!(refusal.state, state, "{name}");
                }
                assert_eq!(other.value("SHOW app.owner"), "before");
                assert_eq!(other.value("SHOW geqo"), "on");
            }
        }
    }
}

/// Ends the canceller, also when the test fails.
struct Ending<'a>(&'a AtomicU32);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::SeqCst);
    }
}

/// Cancels at any moment: the client's message runs in its own session, or not at all.
#[test]
fn no_cancel_lets_a_client_run_in_another_ones_session() {
    let cluster = ClusterPlan::new(Binaries::installed())
        .hba("local all all trust\n")
        .start();
    prepare(&cluster);
    let one = wishes(&[("app.owner", "one"), ("statement_timeout", "1s")]);
    let other = wishes(&[
        ("app.owner", "other"),
        ("work_mem", "8MB"),
        ("exit_on_error", "on"),
    ]);
    let mut random = Random(7);
    let mut ended = 0;
    // 0: the end.
    let victim = AtomicU32::new(1);
    let steps = AtomicU32::new(u32::MAX);
    let cancelled = AtomicU32::new(u32::MAX);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut canceller = Session::open(&cluster, "postgres", "postgres", &[]);
            let mut last = u32::MAX;
            loop {
                let id = victim.load(Ordering::SeqCst);
                if id == 0 {
                    return;
                }
                // One for each step: a client's are held back until its connection is made ready.
                let now = steps.load(Ordering::SeqCst);
                if now == last {
                    std::thread::yield_now();
                    continue;
                }
                last = now;
                let text = format!("SELECT pg_cancel_backend({id})");
                canceller.query(&text).expect("a cancel");
                cancelled.store(now, Ordering::SeqCst);
            }
        });
        let _ending = Ending(&victim);
        let fresh = || Session::open(&cluster, "pooled", "utf", &[]);
        let mut session = fresh();
        for step in 0..20_000 {
            if ended == 20 {
                break;
            }
            victim.store(session.process_id, Ordering::SeqCst);
            steps.store(step, Ordering::SeqCst);
            let want = [&one, &other, &Wishes::none()][random.below(3)].clone();
            let cleanup = [Cleanup::NONE, Cleanup::SETTINGS | Cleanup::ROLE][random.below(2)];
            let text = "SELECT current_setting('app.owner', true), current_setting('work_mem'), \
                 current_setting('exit_on_error')";
            let done = pipelined(&mut session, &want, cleanup, text);
            wait::until("the cancel", wait::LONG, || {
                cancelled.load(Ordering::SeqCst) == step
            });
            match done {
                Ok(Ok(rows)) => {
                    let value = |name, default: &str| {
                        let value = want.value(name).unwrap_or(default.as_bytes());
                        Some(value.to_vec()).filter(|value| !value.is_empty())
                    };
                    let wanted = vec![
                        value("app.owner", ""),
                        value("work_mem", "5MB"),
                        value("exit_on_error", "off"),
                    ];
                    let mut got = rows[0].clone();
                    got[0] = got[0].take().filter(|value| !value.is_empty());
                    assert_eq!(got, wanted, "step {step}");
                }
                Ok(Err(refusal)) => assert_eq!(refusal.state, "57014"),
                Err(refusal) => {
                    assert!(
                        ["57014", "22012"].contains(&&refusal.state[..]),
                        "{refusal:?}"
                    );
                    ended += 1;
                    session = fresh();
                }
            }
        }
    });
    assert!(ended == 20, "{ended} cancels have hit");
}

#[test]
fn everything_is_taken_back_as_by_discard_all() {
    for cluster in both() {
        prepare(&cluster);
        let seen = "SELECT json_build_array(current_user, session_user, \
             (SELECT count(*) FROM pg_listening_channels()), (SELECT count(*) FROM pg_cursors), \
             (SELECT count(*) FROM pg_prepared_statements), to_regclass('pg_temp.t') IS NULL, \
             (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), \
             current_setting('work_mem'), current_setting('app.level'))";
        let leavings = [
            "LISTEN c",
            "BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT 1; COMMIT",
            "PREPARE p AS SELECT 1",
            "CREATE TEMP TABLE t (id serial)",
            "INSERT INTO t DEFAULT VALUES",
            "SELECT pg_advisory_lock(1), pg_advisory_lock(1)",
            "SET work_mem = '9MB'",
            "SET app.level = 'left'",
            "SET default_transaction_read_only = on",
            "SET default_transaction_isolation = serializable",
            "SET default_transaction_deferrable = on",
            "SET statement_timeout = '30s'",
            "SET ROLE plain",
        ];
        let mut session = Session::open(&cluster, "pooled", "utf", &[]);
        let clean = session.value(seen);
        for way in [Way::Pipelined, Way::Awaited] {
            for text in leavings {
                session.query(text).expect(text);
            }
            assert_ne!(session.value(seen), clean);
            session.bring(&Wishes::none(), Cleanup::ALL, way);
            assert_eq!(session.value(seen), clean, "{way:?}");
            let lost = session.query("SELECT lastval()").expect_err("no sequence");
            assert_eq!(lost.state, "55000");
        }
        // A session begun as another one goes back to that, not to what it is authorized for now.
        let mut session = Session::open(&cluster, "postgres", "utf", &[]);
        session
            .query("SET SESSION AUTHORIZATION pooled")
            .expect("a change");
        session.query("SET ROLE plain").expect("a change");
        session.bring(&Wishes::none(), Cleanup::ROLE, Way::Pipelined);
        assert_eq!(
            session.value("SELECT current_user || session_user"),
            "postgrespostgres"
        );
    }
}

/// Nothing that a client can put into its search path changes what is asked or set.
#[test]
fn texts_mean_the_same_under_any_search_path() {
    for cluster in both() {
        prepare(&cluster);
        let mut session = Session::open(&cluster, "pooled", "utf", &[]);
        for text in [
            "CREATE SCHEMA evil",
            "CREATE FUNCTION evil.yes(text, text) RETURNS bool LANGUAGE sql AS 'SELECT true'",
            "CREATE FUNCTION evil.less(int, int) RETURNS int LANGUAGE sql AS 'SELECT 7'",
            "CREATE OPERATOR evil.= (FUNCTION = evil.yes, LEFTARG = text, RIGHTARG = text)",
            "CREATE OPERATOR evil.- (FUNCTION = evil.less, LEFTARG = int, RIGHTARG = int)",
            "CREATE OPERATOR evil./ (FUNCTION = evil.less, LEFTARG = int, RIGHTARG = int)",
            "CREATE FUNCTION evil.lower(text) RETURNS text LANGUAGE sql AS $$SELECT 'x'::text$$",
            "CREATE FUNCTION evil.current_setting(text, bool) RETURNS text LANGUAGE sql AS $$SELECT 'x'::text$$",
            "CREATE VIEW evil.pg_settings AS SELECT 'work_mem' AS name, '1' AS setting",
            "CREATE DOMAIN evil.text AS int",
        ] {
            session.query(text).expect(text);
        }
        let (result, touched) = session.run(
            "SET app.owner = 'mine'; SET work_mem = '4MB'; \
             SELECT set_config(n, 'evil, pg_catalog', false) FROM (VALUES ('search_path')) v(n)",
        );
        result.expect("no error");
        assert!(touched.is_blind());
        let want = session.ask(touched, &Wishes::none());
        let path = ("search_path", "evil, pg_catalog");
        assert!(Wishes::same(
            &want,
            &wishes(&[("app.owner", "mine"), ("work_mem", "4MB"), path])
        ));
        // The gate alone, its operators shadowed: nothing was done before it.
        let (bytes, count) = prefix(&Wishes::none(), &want, Cleanup::NONE, Way::Pipelined);
        assert_eq!(count, 2);
        let len = bytes[1..].first_chunk().map(|len| u32::from_be_bytes(*len));
        let gate = 1 + len.expect("a length") as usize;
        session.peer.send(&bytes[gate..]);
        let refusal = session.reply().expect_err("the end of the session");
        assert_eq!((refusal.state.as_str(), refusal.is_fatal), ("22012", true));
    }
}

#[test]
fn values_survive_in_databases_of_other_encodings() {
    for cluster in both() {
        prepare(&cluster);
        for (database, encoding) in [
            ("latin", "UTF8"),
            ("latin", "LATIN1"),
            ("ascii", "UTF8"),
            ("ascii", "SQL_ASCII"),
        ] {
            let mut session = Session::open(
                &cluster,
                "pooled",
                database,
                &[("client_encoding", encoding)],
            );
            for code in [1, 39, 92, 127, 167, 233, 255] {
                let text = format!(
                    "SELECT length(set_config('app.owner', convert_from('\\x41{code:02x}5c27', getdatabaseencoding()), false))"
                );
                let (result, touched) = session.run(&text);
                result.expect("no error");
                let want = session.ask(touched, &Wishes::none());
                let value = [0x41, code, 0x5c, 0x27];
                assert_eq!(want.value("app.owner"), Some(&value[..]), "{database}");
                let mut other = Session::open(
                    &cluster,
                    "pooled",
                    database,
                    &[("client_encoding", encoding)],
                );
                other.bring(&want, Cleanup::NONE, Way::Pipelined);
                let told = other.value("SELECT encode(convert_to(current_setting('app.owner'), getdatabaseencoding()), 'hex')");
                assert_eq!(told, format!("41{code:02x}5c27"), "{database}");
            }
        }
    }
}

#[test]
fn a_question_that_is_refused_says_so() {
    let cluster = ClusterPlan::new(Binaries::installed())
        .hba("local all all trust\n")
        .start();
    let mut session = Session::open(&cluster, "postgres", "postgres", &[]);
    session
        .query("BEGIN; SET app.owner = 'x'")
        .expect("no error");
    session.query("SELECT 1/0").expect_err("an error");
    let mut touched = Touched::new();
    touched.name(b"app.owner");
    let refused = session.try_ask(touched, &Wishes::none());
    let state = Some(*b"25P02");
    assert_eq!(refused.unwrap_err(), Unanswered::Refused { state });
}
