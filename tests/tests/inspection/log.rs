//! The query log: what stands in it, what never does, and what becomes of sessions when it can't be written.

use crate::scene::{MARKER, POOL_MODES, Scene, answered, plan, role, run, send};
use e2e::Stage;
use e2e::drivers::Endpoint;
use e2e::scripted::Session;
use e2e::twins::Message;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use testkit::{Signal, wait};

/// A directory for a log, which goes with it.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn new() -> Place {
        Place(tempfile::tempdir().expect("a directory"))
    }

    /// A file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The log.
    pub fn log(&self) -> PathBuf {
        self.0.path().join("queries.json")
    }

    /// In TOML.
    fn quoted(&self) -> String {
        format!("'{}'", self.log().display())
    }
}

pub fn records(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let record = |line| serde_json::from_str(line).expect("a JSON object");
    whole.lines().map(record).collect()
}

/// The records once there are so many.
#[track_caller]
pub fn await_records(path: &Path, count: usize) -> Vec<Value> {
    let found = wait::within(wait::LONG, || {
        let records = records(path);
        (records.len() >= count).then_some(records)
    });
    found.unwrap_or_else(|| panic!("{count} records: {:#?}", records(path)))
}

#[test]
fn records_tell_what_was_executed_and_no_literal() {
    for mode in POOL_MODES {
        let role = role(&format!("log_records_{mode}"));
        let place = Place::new();
        let stage = plan(&role, mode)
            .set("inspection", "statements", "false")
            .set("query_log", "file", &place.quoted())
            .set("query_log", "start_records", "true")
            .start();
        let mut session = Session::through(&stage, &stage.endpoint(&role));
        session.query(&format!(
            "SELECT '{MARKER}' /* {MARKER} */ FROM generate_series(1, 2)"
        ));
        let bound = Message::Bind(String::new(), String::new(), vec![MARKER.to_owned()]);
        let [parse, _, execute] = run("SELECT $1::text");
        send(&mut session, &[parse, bound, execute, Message::Sync]);
        answered(&mut session);
        send(
            &mut session,
            &[Message::query(&format!("SELECT '{MARKER}'::int"))],
        );
        answered(&mut session);
        send(
            &mut session,
            &[Message::query(&format!("SELECT '{MARKER}"))],
        );
        answered(&mut session);
        let all = await_records(&place.log(), 8);
        let ends: Vec<&Value> = all.iter().filter(|it| it["event"] == "end").collect();
        let starts = all.iter().filter(|it| it["event"] == "start").count();
        assert_eq!((all.len(), starts), (8, 4), "{all:#?}");
        let queries: Vec<_> = ends
            .iter()
            .map(|it| it["query"].as_str().unwrap_or_default())
            .collect();
        assert_eq!(
            queries[..3],
            [
                "select ? from generate_series(?, ...)",
                "select ?::text",
                "select ?::int"
            ]
        );
        assert!(queries[3].starts_with("(not read"), "{queries:?}");
        let first = ends[0];
        for (name, value) in [
            ("user", Value::from(role.user.as_str())),
            ("database", role.database.as_str().into()),
            ("protocol", "simple".into()),
            ("outcome", "done".into()),
            ("command", "SELECT".into()),
            ("rows", 2.into()),
        ] {
            assert_eq!(first[name], value, "{mode} {name}: {first:#}");
        }
        assert_eq!(
            (&ends[1]["protocol"], &ends[1]["rows"]),
            (&"extended".into(), &1.into())
        );
        assert_eq!(
            (&ends[2]["outcome"], &ends[2]["sqlstate"]),
            (&"failed".into(), &"22P02".into())
        );
        assert_eq!(ends[3]["sqlstate"], "42601");
        for name in [
            "wait_us",
            "server_us",
            "total_us",
            "first_row_us",
            "server_pid",
            "bytes_in",
            "bytes_out",
        ] {
            assert!(first[name].is_u64(), "{name}: {first:#}");
        }
        assert!(
            first["total_us"].as_u64() >= first["first_row_us"].as_u64(),
            "{first:#}"
        );
        let time = first["time"].as_str().expect("a time");
        assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");
        let text = fs::read_to_string(place.log()).expect("the log");
        assert!(!text.contains(MARKER) && !stage.proxy.log().contains(MARKER));
        let mode = fs::metadata(place.log())
            .expect("the log")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn full_texts_are_written_where_that_is_allowed_but_never_passwords() {
    let role = role("log_full");
    let place = Place::new();
    let stage = plan(&role, "transaction")
        .set("query_log", "file", &place.quoted())
        .set("query_log", "text", "\"full\"")
        .set("query_log", "plaintext_log", "true")
        .start();
    assert!(
        stage
            .proxy
            .log()
            .contains("literals and values of statements are written unencrypted")
    );
    let mut session = Session::through(&stage, &stage.endpoint(&role));
    session.query("SELECT 'shown \"so\"'");
    let [parse, bind, execute] = run("SELECT 'shown too'");
    send(&mut session, &[parse, bind, execute, Message::Sync]);
    answered(&mut session);
    for text in [
        format!("ALTER ROLE nobody_of_that_name PASSWORD '{MARKER}'"),
        format!("DO $$ BEGIN RAISE 'x'; /* password {MARKER} */ END $$"),
    ] {
        send(&mut session, &[Message::query(&text)]);
        answered(&mut session);
    }
    let all = await_records(&place.log(), 4);
    assert_eq!(all[0]["text"], "SELECT 'shown \"so\"'");
    assert_eq!(all[1]["text"], "SELECT 'shown too'");
    assert_eq!(all[2]["query"], "alter role nobody_of_that_name password ?");
    let text = fs::read_to_string(place.log()).expect("the log");
    assert!(!text.contains(MARKER), "{text}");
}

#[test]
fn a_sample_of_nothing_still_has_what_is_slow_and_what_fails() {
    let role = role("log_sample");
    let place = Place::new();
    let stage = plan(&role, "transaction")
        .set("query_log", "file", &place.quoted())
        .set("query_log", "sample_per_million", "0")
        .set("query_log", "slow_query", "\"200ms\"")
        .start();
    let mut session = Session::through(&stage, &stage.endpoint(&role));
    for _ in 0..20 {
        session.query("SELECT 1 -- quick, unless the machine is not");
    }
    session.query("SELECT pg_sleep(0.3)");
    send(&mut session, &[Message::query("SELECT 1 / 0")]);
    answered(&mut session);
    let failed = wait::within(wait::LONG, || {
        records(&place.log())
            .into_iter()
            .find(|it| it["outcome"] == "failed")
    });
    assert_eq!(failed.expect("the error")["sqlstate"], "22012");
    let all = records(&place.log());
    let slow = all
        .iter()
        .find(|it| it["query"] == "select pg_sleep(?)")
        .expect("the slow one");
    assert_eq!(slow["slow"], true);
    for record in all {
        assert!(
            record["slow"] == true || record["outcome"] == "failed",
            "{record:#}"
        );
    }
}

#[test]
fn a_log_that_was_moved_away_is_begun_anew() {
    let role = role("log_moved");
    let place = Place::new();
    let mut stage = plan(&role, "transaction")
        .set("query_log", "file", &place.quoted())
        .set("query_log", "format", "\"human\"")
        .start();
    let mut session = Session::through(&stage, &stage.endpoint(&role));
    let lines = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    session.query("SELECT 1");
    wait::until("the first record", wait::LONG, || {
        lines(&place.log()).contains("query=\"select ?\"")
    });
    let moved = place.log().with_extension("old");
    fs::rename(place.log(), &moved).expect("a new name");
    stage.proxy.signal(Signal::SIGHUP);
    wait::until("a new file", wait::LONG, || place.log().exists());
    session.query("SELECT 2, 3");
    wait::until("the second record", wait::LONG, || {
        lines(&place.log()).contains("query=\"select ?, ...\"")
    });
    assert_eq!(lines(&moved).lines().count(), 1);
}

/// Fills the queue of a log whose directory is gone; gives the stage and what holds it.
fn without_sink(name: &str, on_full: &str) -> (Stage, Session, Place) {
    let role = role(name);
    let place = Place::new();
    let directory = place.0.path().join("logs");
    fs::create_dir(&directory).expect("a directory");
    let file = directory.join("queries.json");
    let stage = plan(&role, "transaction")
        .set("query_log", "file", &format!("'{}'", file.display()))
        .set("query_log", "on_full", &format!("\"{on_full}\""))
        .set("query_log", "queue_kib", "64")
        .start();
    let session = Session::through(&stage, &stage.endpoint(&role));
    fs::rename(&directory, place.0.path().join("away")).expect("a new name");
    (stage, session, place)
}

#[test]
fn records_without_room_are_dropped_and_counted() {
    let (stage, mut session, _place) = without_sink("log_dropped", "drop-and-count");
    for _ in 0..500 {
        session.query("SELECT 1");
    }
    let metrics = crate::scene::text(&stage, "/metrics");
    let count = |name: &str| -> f64 {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.expect(name).trim().parse().expect("a number")
    };
    assert!(
        count("portcullis_query_log_dropped_total") > 0.0,
        "{metrics}"
    );
    assert!(count("portcullis_query_log_failures_total") > 0.0);
    assert!(stage.proxy.log().contains("a log cannot be written"));
}

#[test]
fn sessions_without_room_for_their_records_end_where_that_is_wanted() {
    let (stage, mut session, place) = without_sink("log_refused", "refuse");
    let state = (0..2000).find_map(|_| {
        send(&mut session, &[Message::query("SELECT 1")]);
        loop {
            let frame = session.peer.frame();
            match frame.tag {
                b'Z' => return None,
                b'E' => {
                    let fields: Vec<_> = frame
                        .body
                        .split(|byte| *byte == 0)
                        .map(<[u8]>::to_vec)
                        .collect();
                    return fields.into_iter().find(|it| it.first() == Some(&b'C'));
                }
                _ => {}
            }
        }
    });
    assert_eq!(state.as_deref(), Some(&b"C53000"[..]));
    // The console logs nothing, and shows what is going on.
    let mut console = Scene::console(&stage);
    assert!(!console.shown("PATTERNS").is_empty());
    // When the sink is back, so is the service.
    fs::rename(place.0.path().join("away"), place.0.path().join("logs")).expect("the old name");
    let endpoint = Endpoint {
        host: "localhost".to_owned(),
        port: stage.proxy.port(),
        ca_file: stage.ca_file.clone(),
        user: "log_refused".to_owned(),
        password: "password of log_refused".to_owned(),
        database: "log_refused".to_owned(),
    };
    let back = wait::within(wait::LONG, || {
        let mut session = Session::through(&stage, &endpoint);
        send(&mut session, &[Message::query("SELECT 1")]);
        let (bytes, _) = {
            session.peer.send(&testkit::peer::message::frame(b'X', b""));
            session.peer.drain()
        };
        (!bytes.windows(6).any(|it| it == b"C53000")).then_some(())
    });
    assert!(back.is_some());
}

#[test]
fn sessions_wait_for_room_where_that_is_wanted() {
    let (_stage, mut session, place) = without_sink("log_blocked", "block");
    // More than the queue holds, without reading an answer.
    let many: Vec<Message> = (0..500).map(|_| Message::query("SELECT 1")).collect();
    send(&mut session, &many);
    fs::rename(place.0.path().join("away"), place.0.path().join("logs")).expect("the old name");
    for _ in 0..500 {
        answered(&mut session);
    }
    let file = place.0.path().join("logs/queries.json");
    assert_eq!(await_records(&file, 500).len(), 500);
}
