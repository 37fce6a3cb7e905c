//! A corpus of exchanges, byte for byte the same through the proxy as from the server itself,
//! however the client's bytes are chopped.
//!
//! Each exchange is the client's side of a session from its first ReadyForQuery to Terminate. The
//! server's answers depend on it alone: no clock; process ids of notifications and names of
//! temporary schemas are masked.

use std::sync::OnceLock;

use e2e::Stage;
use e2e::drivers::Endpoint;
use e2e::scripted::{Session, frames};
use testkit::peer::message::{self, frame, query};
use testkit::{ClientTls, Cluster, Frame, Peer};

fn direct() -> &'static Endpoint {
    static DIRECT: OnceLock<Endpoint> = OnceLock::new();
    DIRECT.get_or_init(|| Endpoint::direct(Cluster::shared(), "exchanges"))
}

fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(|| Stage::before(Cluster::shared()).user(direct()).start())
}

fn to_server() -> Peer {
    let cluster = Cluster::shared();
    let tls = ClientTls::verified(cluster.authority(), "localhost");
    Peer::tls(cluster.address(), &tls)
}

fn to_proxy() -> Peer {
    Peer::tls(stage().proxy.address(), &stage().client_tls())
}

// Messages of the extended protocol, by the manual ("Message Formats").

fn parse(name: &str, sql: &str) -> Vec<u8> {
    frame(
        b'P',
        &[name.as_bytes(), b"\0", sql.as_bytes(), b"\0\0\0"].concat(),
    )
}

/// Text parameters, text results.
fn bind(portal: &str, statement: &str, parameters: &[&str]) -> Vec<u8> {
    let count = u16::try_from(parameters.len()).expect("few parameters");
    let mut body = [portal.as_bytes(), b"\0", statement.as_bytes(), b"\0\0\0"].concat();
    body.extend(count.to_be_bytes());
    for value in parameters {
        body.extend(u32::try_from(value.len()).expect("short").to_be_bytes());
        body.extend(value.as_bytes());
    }
    body.extend([0, 0]);
    frame(b'B', &body)
}

fn describe(kind: u8, name: &str) -> Vec<u8> {
    frame(b'D', &[&[kind], name.as_bytes(), b"\0"].concat())
}

fn execute(portal: &str, rows: u32) -> Vec<u8> {
    frame(
        b'E',
        &[portal.as_bytes(), b"\0", &rows.to_be_bytes()].concat(),
    )
}

fn close(kind: u8, name: &str) -> Vec<u8> {
    frame(b'C', &[&[kind], name.as_bytes(), b"\0"].concat())
}

/// Parse, Bind, Execute of the unnamed statement and portal.
fn run(sql: &str, parameters: &[&str]) -> Vec<u8> {
    [parse("", sql), bind("", "", parameters), execute("", 0)].concat()
}

fn sync() -> Vec<u8> {
    message::SYNC.to_vec()
}

fn flush() -> Vec<u8> {
    frame(b'H', b"")
}

fn copy_data(text: &str) -> Vec<u8> {
    frame(b'd', text.as_bytes())
}

fn copy_done() -> Vec<u8> {
    frame(b'c', b"")
}

fn copy_fail(reason: &str) -> Vec<u8> {
    frame(b'f', &[reason.as_bytes(), b"\0"].concat())
}

/// FunctionCall with one binary argument, for a binary result.
fn call(function: u32, argument: &[u8]) -> Vec<u8> {
    let mut body = function.to_be_bytes().to_vec();
    body.extend([0, 1, 0, 1, 0, 1]);
    body.extend(u32::try_from(argument.len()).expect("short").to_be_bytes());
    body.extend(argument);
    body.extend([0, 1]);
    frame(b'F', &body)
}

/// `int4abs` and `int4div` by their numbers in pg_proc.dat.
const INT4ABS: u32 = 1251;
const INT4DIV: u32 = 154;

type Exchange = (&'static str, Vec<Vec<u8>>);

const TABLE: &str = "CREATE TEMP TABLE t (id int PRIMARY KEY, name text)";
/// No column of the table itself, whose number would differ.
const ALL: &str = "SELECT id + 0, name || '' FROM t";
const COPY_IN: &str = "COPY t FROM STDIN";
const SERIES: &str = "SELECT g, repeat('x', g % 50) FROM generate_series(1, $1::int) g";

fn simple() -> Vec<Exchange> {
    vec![
        ("nothing", vec![]),
        (
            "a query",
            vec![query("SELECT 1, 'two', NULL, '{3,4}'::int[]")],
        ),
        (
            "an empty query",
            vec![query(""), query("  -- only a comment"), query(";;")],
        ),
        (
            "several statements",
            vec![query(
                "SELECT 1; SELECT 2 WHERE false; SET a.b = 'c'; SHOW a.b",
            )],
        ),
        (
            "several with an error",
            vec![query("SELECT 1; SELECT 1/0; SELECT 2"), query("SELECT 3")],
        ),
        (
            "a syntax error",
            vec![query("SELECT 1; SELEC"), query("SELECT 'still here'")],
        ),
        (
            "many rows",
            vec![query(
                "SELECT g, md5(g::text) FROM generate_series(1, 5000) g",
            )],
        ),
        (
            "wide rows",
            vec![query(
                "SELECT repeat('wide', 100000) FROM generate_series(1, 5)",
            )],
        ),
        (
            "no columns",
            vec![query("SELECT FROM generate_series(1, 3)")],
        ),
        (
            "a transaction that fails",
            vec![
                query("BEGIN"),
                query("SELECT 1/0"),
                query("SELECT 1"),
                query("COMMIT"),
                query("SELECT 2"),
            ],
        ),
        (
            "a deferred constraint",
            vec![
                query("CREATE TEMP TABLE d (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)"),
                query("BEGIN; INSERT INTO d VALUES (1), (1)"),
                query("COMMIT"),
            ],
        ),
        (
            "notices",
            vec![
                query("DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$"),
                query("DROP TABLE IF EXISTS missing"),
                query(
                    "DO $$ BEGIN FOR i IN 1..500 LOOP RAISE NOTICE '% %', i, repeat('n', 200); END LOOP; END $$",
                ),
            ],
        ),
        (
            "parameters",
            vec![
                query("SET application_name = 'one'; SET DateStyle = 'German'"),
                query("BEGIN; SET TimeZone = 'UTC'; SET client_encoding = 'LATIN1'; ROLLBACK"),
                query("SELECT 1"),
            ],
        ),
        (
            "cursors",
            vec![
                query("BEGIN; DECLARE c CURSOR FOR SELECT generate_series(1, 9)"),
                query("FETCH 4 c; FETCH 4 c; FETCH 4 c"),
                query("END"),
            ],
        ),
        (
            "notifications",
            vec![
                query("LISTEN channel; NOTIFY channel, 'one'"),
                query("BEGIN; NOTIFY channel, 'two'; NOTIFY channel, 'three'"),
                query("COMMIT"),
                query("UNLISTEN *"),
            ],
        ),
        (
            "FATAL",
            vec![
                query("SELECT 1"),
                query("SELECT pg_terminate_backend(pg_backend_pid())"),
                query("SELECT 2"),
            ],
        ),
        ("Terminate in a transaction", vec![query("BEGIN; SELECT 1")]),
        (
            "no string",
            vec![frame(b'Q', b"SELECT 1"), query("SELECT 2")],
        ),
        (
            "bytes behind the string",
            vec![frame(b'Q', b"SELECT 1\0SELECT 2\0"), query("SELECT 3")],
        ),
        (
            "functions",
            vec![
                call(INT4ABS, &(-5_i32).to_be_bytes()),
                call(INT4DIV, b"\0\0\0\x01"),
                call(1, b""),
                query("SELECT 1"),
            ],
        ),
    ]
}

fn extended() -> Vec<Exchange> {
    let failing = || run("SELECT 1/$1::int", &["0"]);
    vec![
        (
            "a statement",
            vec![run("SELECT $1::int + 1, $2::text", &["41", "text"]), sync()],
        ),
        (
            "describe",
            vec![
                parse("s", "SELECT $1::int AS a, $2::text AS b"),
                describe(b'S', "s"),
                bind("p", "s", &["1", "x"]),
                describe(b'P', "p"),
                execute("p", 0),
                close(b'P', "p"),
                close(b'S', "s"),
                close(b'S', "never existed"),
                sync(),
            ],
        ),
        (
            "without result",
            vec![
                parse("s", TABLE),
                describe(b'S', "s"),
                bind("", "s", &[]),
                describe(b'P', ""),
                execute("", 0),
                sync(),
            ],
        ),
        (
            "an empty statement",
            vec![run("", &[]), describe(b'P', ""), sync()],
        ),
        ("only Sync", vec![sync(), sync(), sync()]),
        ("without Sync", vec![run("SELECT 1", &[])]),
        (
            "a portal in pieces",
            vec![
                parse("", SERIES),
                bind("p", "", &["100"]),
                execute("p", 30),
                flush(),
                execute("p", 30),
                execute("p", 100),
                execute("p", 1),
                sync(),
                execute("p", 1),
                sync(),
            ],
        ),
        (
            "portals in a transaction",
            vec![
                query("BEGIN"),
                parse("s", SERIES),
                bind("one", "s", &["9"]),
                bind("two", "s", &["9"]),
                execute("one", 2),
                execute("two", 3),
                sync(),
                execute("one", 2),
                execute("two", 0),
                close(b'S', "s"),
                execute("one", 1),
                sync(),
                query("COMMIT"),
            ],
        ),
        (
            "an error and what it skips",
            vec![
                failing(),
                query("SELECT 'skipped'"),
                call(INT4ABS, b"abcd"),
                flush(),
                run("SELECT 'skipped'", &[]),
                sync(),
                run("SELECT 'back'", &[]),
                sync(),
            ],
        ),
        (
            "errors in a pipeline",
            vec![
                run("SELECT 1", &[]),
                sync(),
                failing(),
                sync(),
                run("SELECT 2", &[]),
                sync(),
                failing(),
                run("SELECT 3", &[]),
                sync(),
                sync(),
            ],
        ),
        (
            "an error in Parse",
            vec![
                parse("s", "SELEC"),
                describe(b'S', "s"),
                bind("", "s", &[]),
                sync(),
                bind("", "s", &[]),
                sync(),
            ],
        ),
        (
            "an error in Bind",
            vec![
                parse("s", "SELECT $1::int"),
                bind("", "s", &["not a number"]),
                execute("", 0),
                sync(),
            ],
        ),
        (
            "a name taken",
            vec![
                parse("s", "SELECT 1"),
                parse("s", "SELECT 2"),
                sync(),
                bind("", "s", &[]),
                execute("", 0),
                sync(),
            ],
        ),
        (
            "a transaction that fails",
            vec![
                run("BEGIN", &[]),
                sync(),
                failing(),
                sync(),
                run("SELECT 1", &[]),
                sync(),
                run("ROLLBACK", &[]),
                sync(),
                run("SELECT 2", &[]),
                sync(),
            ],
        ),
        (
            "a commit that fails at Sync",
            vec![
                query("CREATE TEMP TABLE d (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)"),
                run("INSERT INTO d VALUES (1), (1)", &[]),
                sync(),
                run("SELECT 1", &[]),
                sync(),
            ],
        ),
        (
            "many in a pipeline",
            vec![run(SERIES, &["20"]).repeat(200), sync()],
        ),
        (
            "many segments",
            vec![[run("SELECT $1::int", &["7"]), sync()].concat().repeat(500)],
        ),
        (
            "Query between",
            vec![
                parse("", "SELECT 'unnamed'"),
                query("SELECT 'simple'"),
                bind("", "", &[]),
                sync(),
            ],
        ),
        (
            "broken Bind",
            vec![
                parse("", "SELECT 1"),
                frame(b'B', b"\0\0\0\x01"),
                sync(),
                query("SELECT 1"),
            ],
        ),
        (
            "broken Describe",
            vec![
                frame(b'D', b"Xname\0"),
                sync(),
                frame(b'D', b""),
                sync(),
                query("SELECT 1"),
            ],
        ),
        (
            "a long parameter",
            vec![
                run("SELECT length($1), $1", &[&"long ".repeat(60_000)]),
                sync(),
            ],
        ),
    ]
}

fn copy() -> Vec<Exchange> {
    let rows = || {
        [
            copy_data("1\tone\n2\ttwo\n"),
            copy_data("3\tthr"),
            copy_data("ee\n"),
        ]
        .concat()
    };
    let both = |tail: Vec<Vec<u8>>| [vec![query(TABLE)], tail].concat();
    vec![
        (
            "in",
            both(vec![query(COPY_IN), rows(), copy_done(), query(ALL)]),
        ),
        (
            "in, nothing",
            both(vec![query(COPY_IN), copy_done(), query(ALL)]),
        ),
        (
            "in, an end in the data",
            both(vec![
                query(COPY_IN),
                rows(),
                copy_data("\\.\n"),
                copy_done(),
                query(ALL),
            ]),
        ),
        (
            "in, given up",
            both(vec![
                query(COPY_IN),
                rows(),
                copy_fail("enough"),
                query(ALL),
            ]),
        ),
        (
            "in, a bad row",
            both(vec![
                query(COPY_IN),
                copy_data("x\ty\n"),
                rows(),
                copy_done(),
                query(ALL),
            ]),
        ),
        (
            "in, a duplicate",
            both(vec![
                query(COPY_IN),
                rows(),
                copy_data("1\tagain\n"),
                copy_done(),
                query(ALL),
            ]),
        ),
        (
            "in, no such table",
            vec![query("COPY missing FROM STDIN"), query("SELECT 1")],
        ),
        (
            "in, no such table, with data",
            vec![
                query("COPY missing FROM STDIN"),
                rows(),
                copy_done(),
                query("SELECT 1"),
            ],
        ),
        (
            "in, twice in one query",
            both(vec![
                query("COPY t FROM STDIN; COPY t FROM STDIN; SELECT count(*) FROM t"),
                rows(),
                copy_done(),
                copy_data("9\tnine\n"),
                copy_done(),
            ]),
        ),
        (
            "in, Sync and Flush are swallowed",
            both(vec![
                query(COPY_IN),
                rows(),
                sync(),
                flush(),
                copy_done(),
                query(ALL),
            ]),
        ),
        (
            "in, another message",
            both(vec![
                query(COPY_IN),
                rows(),
                query("SELECT 1"),
                query("SELECT 2"),
            ]),
        ),
        ("in, Terminate", both(vec![query(COPY_IN), rows()])),
        (
            "in, much",
            both(vec![
                query(COPY_IN),
                (10..4000)
                    .flat_map(|id| copy_data(&format!("{id}\trow {id}\n")))
                    .collect(),
                copy_done(),
                query("SELECT count(*), sum(id) FROM t"),
            ]),
        ),
        (
            "out",
            vec![
                query("COPY (SELECT g, g * g FROM generate_series(1, 3000) g) TO STDOUT"),
                query("SELECT 1"),
            ],
        ),
        (
            "out, nothing",
            vec![query("COPY (SELECT 1 WHERE false) TO STDOUT")],
        ),
        (
            "out, binary",
            vec![query(
                "COPY (SELECT g, 'text' FROM generate_series(1, 10) g) TO STDOUT (FORMAT binary)",
            )],
        ),
        (
            "out, an error on the way",
            vec![
                query("COPY (SELECT 10 / (5 - g) FROM generate_series(1, 9) g) TO STDOUT"),
                query("SELECT 1"),
            ],
        ),
        (
            "out, extended",
            vec![
                run("COPY (SELECT generate_series(1, 9)) TO STDOUT", &[]),
                sync(),
                run("SELECT 1", &[]),
                sync(),
            ],
        ),
        (
            "data without a copy",
            vec![
                copy_data("lost"),
                copy_done(),
                copy_fail("lost"),
                query("SELECT 1"),
            ],
        ),
        (
            "extended in",
            both(vec![
                run(COPY_IN, &[]),
                rows(),
                copy_done(),
                sync(),
                query(ALL),
            ]),
        ),
        (
            "extended in, early Sync",
            both(vec![
                run(COPY_IN, &[]),
                sync(),
                rows(),
                copy_done(),
                sync(),
                query(ALL),
            ]),
        ),
        (
            "extended in, given up",
            both(vec![
                run(COPY_IN, &[]),
                rows(),
                copy_fail("enough"),
                sync(),
                query(ALL),
            ]),
        ),
        (
            "extended in, given up, early Sync",
            both(vec![
                run(COPY_IN, &[]),
                sync(),
                rows(),
                copy_fail("enough"),
                sync(),
                query(ALL),
            ]),
        ),
        (
            "extended in, a bad row",
            both(vec![
                run(COPY_IN, &[]),
                copy_data("x\ty\n"),
                rows(),
                copy_done(),
                sync(),
                query(ALL),
            ]),
        ),
        (
            "extended in, a bad row, early Sync",
            both(vec![
                run(COPY_IN, &[]),
                sync(),
                copy_data("x\ty\n"),
                rows(),
                copy_done(),
                sync(),
                query(ALL),
            ]),
        ),
        (
            "extended in, no such table, early Sync",
            vec![
                run("COPY missing FROM STDIN", &[]),
                sync(),
                rows(),
                copy_done(),
                sync(),
                query("SELECT 1"),
            ],
        ),
        (
            "extended in, a pipeline behind",
            both(vec![
                run(COPY_IN, &[]),
                rows(),
                copy_done(),
                run("SELECT count(*) FROM t", &[]),
                sync(),
                run("SELECT 1/0", &[]),
                sync(),
            ]),
        ),
    ]
}

/// How the client's bytes leave it.
#[derive(Debug, Clone, Copy)]
enum Chopping {
    /// Everything at once.
    Whole,
    /// In pieces of this many bytes, each a record of its own.
    Pieces(usize),
    /// In pieces whose lengths come from this seed.
    Random(u64),
}

impl Chopping {
    fn send(self, peer: &mut Peer, bytes: &[u8]) {
        let mut state = 0;
        let mut next = || match self {
            Self::Whole => usize::MAX,
            Self::Pieces(size) => size,
            Self::Random(seed) => {
                // Steele, Lea and Flood's SplitMix64.
                state = (state ^ seed).wrapping_add(0x9e37_79b9_7f4a_7c15_u64);
                let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                1 + usize::try_from(mixed >> 33).unwrap_or(0) % 700
            }
        };
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at(next().min(rest.len()));
            // After a FATAL error the other side may be gone.
            if peer.try_send(piece).is_err() {
                return;
            }
            rest = tail;
        }
    }
}

/// What comes back until the other side ends.
#[track_caller]
fn answer(peer: Peer, endpoint: &Endpoint, exchange: &[u8], chopping: Chopping) -> Vec<Frame> {
    let mut session = Session::begin(peer, endpoint);
    chopping.send(&mut session.peer, exchange);
    let (bytes, _) = session.peer.drain();
    let mut seen = frames(&bytes);
    seen.iter_mut().for_each(mask);
    seen
}

/// Takes out what differs between two sessions of one server: process ids of notifications, and
/// the number in the name of a session's temporary schema.
fn mask(frame: &mut Frame) {
    match frame.tag {
        b'A' => frame.body[..4].fill(0),
        b'E' => {
            const SCHEMA: &[u8] = b"pg_temp_";
            let found = frame.body.windows(SCHEMA.len()).position(|at| at == SCHEMA);
            if let Some(at) = found {
                let digits = at + SCHEMA.len();
                let end = frame.body[digits..].iter().position(|&byte| byte == 0);
                frame
                    .body
                    .drain(digits..digits + end.expect("a string's end"));
            }
        }
        _ => {}
    }
}

#[track_caller]
fn compare(corpus: &[Exchange]) {
    let (directly, endpoint) = (direct(), stage().endpoint(direct()));
    for (number, (name, parts)) in corpus.iter().enumerate() {
        let exchange = [parts.concat(), message::TERMINATE.to_vec()].concat();
        let wanted = answer(to_server(), directly, &exchange, Chopping::Whole);
        let seed = number as u64 + 1;
        let mut choppings = vec![Chopping::Whole, Chopping::Random(seed)];
        // A record for each byte costs time: only where there are few.
        if exchange.len() < 400 {
            choppings.extend([1, 2, 5, 6].map(Chopping::Pieces));
        }
        for chopping in choppings {
            let seen = answer(to_proxy(), &endpoint, &exchange, chopping);
            let differs = seen.iter().zip(&wanted).position(|(one, two)| one != two);
            let at = differs.unwrap_or(seen.len().min(wanted.len()));
            assert!(
                seen == wanted,
                "{name}, {chopping:?}: frame {at} of {} (wanted {}): {:?}, wanted {:?}",
                seen.len(),
                wanted.len(),
                seen.get(at).map(shown),
                wanted.get(at).map(shown),
            );
        }
    }
    assert!(!stage().proxy.log().contains("panicked"));
}

fn shown(frame: &Frame) -> String {
    let text = frame.bytes().escape_ascii().to_string();
    text.chars().take(200).collect()
}

#[test]
fn the_simple_protocol() {
    compare(&simple());
}

#[test]
fn the_extended_protocol() {
    compare(&extended());
}

#[test]
fn copies() {
    compare(&copy());
}

/// Replies come while the client waits for them, without any Sync.
#[test]
fn flush_alone_brings_the_replies() {
    let endpoint = stage().endpoint(direct());
    for (peer, endpoint) in [(to_server(), direct()), (to_proxy(), &endpoint)] {
        let mut session = Session::begin(peer, endpoint);
        for round in 0..3 {
            let round = round.to_string();
            session
                .peer
                .send(&[run("SELECT $1::text", &[&round]), flush()].concat());
            let tags: Vec<u8> = session.peer.until_tag(b'C').iter().map(|f| f.tag).collect();
            assert_eq!(tags, b"12DC");
        }
        session.peer.send(&sync());
        assert_eq!(session.peer.until_ready().len(), 1);
    }
}

/// A notification reaches a client that sleeps.
#[test]
fn notifications_reach_an_idle_client() {
    let endpoint = stage().endpoint(direct());
    let mut listener = Session::begin(to_proxy(), &endpoint);
    listener.query("LISTEN idle_channel");
    Cluster::shared().sql_in(&endpoint.database, "NOTIFY idle_channel, 'wake up'");
    let heard = listener.peer.expect_frame(b'A');
    assert_eq!(&heard.body[4..], b"idle_channel\0wake up\0");
}

/// The comparison can fail: two exchanges that differ are told apart.
#[test]
fn different_answers_are_told_apart() {
    let ask = |sql: &str| {
        let exchange = [query(sql), message::TERMINATE.to_vec()].concat();
        answer(
            to_proxy(),
            &stage().endpoint(direct()),
            &exchange,
            Chopping::Pieces(3),
        )
    };
    assert_ne!(ask("SELECT 1"), ask("SELECT 2"));
    assert_eq!(ask("SELECT 1"), ask("SELECT 1"));
}
