//! What becomes of statements when the query log's sink is slow, full or gone.

use crate::audit::{audited, text, verified};
use crate::log::{Place, records};
use crate::scene::{POOL_MODES, Scene, answered, plan, role, run, send};
use e2e::drivers::Endpoint;
use e2e::scripted::Session;
use e2e::twins::Message;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use testkit::wait;

/// A pipe that takes nothing more until it is read.
struct Pipe {
    path: PathBuf,
    end: File,
}

impl Pipe {
    fn full(place: &Place) -> Pipe {
        let path = place.path("pipe");
        let made = Command::new("mkfifo").arg(&path).status().expect("mkfifo");
        assert!(made.success());
        let mut options = OpenOptions::new();
        const NONBLOCK: i32 = 0o4000;
        options.read(true).write(true).custom_flags(NONBLOCK);
        let mut end = options.open(&path).expect("a pipe");
        loop {
            match end.write(&[b'\n'; 4096]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        Pipe { path, end }
    }

    /// What is in it, as far as it has come.
    fn read(&mut self, to: &mut String) {
        let mut bytes = [0; 65536];
        match self.end.read(&mut bytes) {
            Ok(count) => to.push_str(&String::from_utf8_lossy(&bytes[..count])),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
}

/// How many rows a table has, past the proxy.
fn rows(role: &Endpoint, table: &str) -> String {
    let said = role
        .psql(&[&format!("SELECT count(*) FROM {table}")])
        .says();
    said.trim().to_owned()
}

/// While the sink takes nothing, no statement gets to the server, other sessions and the console go on; when it does,
/// everything goes on.
#[test]
fn a_statement_waits_until_its_record_is_written() {
    for mode in POOL_MODES {
        let role = role(&format!("audit_slow_{mode}"));
        role.psql(&["CREATE TABLE slow (a int)"]).says();
        let place = Place::new();
        let mut pipe = Pipe::full(&place);
        let stage = audited(&role, mode, &pipe.path)
            .set("query_log", "on_full", "\"block\"")
            .set("listen", "workers", "1")
            .start();
        let mut session = Session::through(&stage, &stage.endpoint(&role));
        send(
            &mut session,
            &[Message::query("INSERT INTO slow VALUES (1)")],
        );
        let mut console = Scene::console(&stage);
        wait::until("it waits for the log", wait::LONG, || {
            let rows = console.shown("ACTIVITY");
            rows.iter()
                .any(|it| it["wait_reason"] == "the query log is written")
        });
        assert_eq!(rows(&role, "slow"), "0", "nothing was sent");
        let mut seen = String::new();
        wait::until("the record", wait::LONG, || {
            pipe.read(&mut seen);
            seen.contains("\"event\":\"start\"")
        });
        answered(&mut session);
        assert_eq!(rows(&role, "slow"), "1");
    }
}

/// The SQLSTATE and severity of the error that comes next.
fn refused(session: &mut Session) -> (String, String, String) {
    loop {
        let found = session.peer.frame();
        if found.tag == b'E' {
            let fields = found.body.split(|it| *it == 0);
            let fields: Vec<_> = fields
                .map(|it| String::from_utf8_lossy(it).into_owned())
                .collect();
            let of = |code: &str| {
                fields
                    .iter()
                    .find_map(|it| it.strip_prefix(code))
                    .unwrap_or_default()
                    .to_owned()
            };
            return (of("V"), of("C"), of("M"));
        }
        assert_ne!(found.tag, b'Z', "no error");
    }
}

/// With a sink that is full for good, no statement is executed, and clients read why; those that share connections keep
/// their sessions.
#[test]
fn without_a_sink_no_statement_is_executed() {
    for mode in POOL_MODES {
        let role = role(&format!("audit_full_{mode}"));
        role.psql(&["CREATE TABLE untouched (a int)"]).says();
        let stage = audited(&role, mode, Path::new("/dev/full")).start();
        stage.proxy.await_log("a log cannot be written");
        let mut session = Session::through(&stage, &stage.endpoint(&role));
        for _ in 0..2 {
            send(
                &mut session,
                &[Message::query("INSERT INTO untouched VALUES (1)")],
            );
            let (severity, state, words) = refused(&mut session);
            assert_eq!(
                (state.as_str(), words.contains("query_log.audit")),
                ("53000", true),
                "{words}"
            );
            if mode == "session" {
                assert_eq!(severity, "FATAL");
                break;
            }
            assert_eq!(severity, "ERROR");
            answered(&mut session);
        }
        assert_eq!(rows(&role, "untouched"), "0");
    }
}

/// A sink that takes nothing for too long is as good as none.
#[test]
fn a_statement_does_not_wait_for_ever_where_it_is_to_be_refused() {
    let role = role("audit_patience");
    let place = Place::new();
    let pipe = Pipe::full(&place);
    let stage = audited(&role, "transaction", &pipe.path)
        .set("query_log", "audit_timeout", "\"300ms\"")
        .start();
    let mut session = Session::through(&stage, &stage.endpoint(&role));
    send(&mut session, &run("SELECT 1"));
    send(&mut session, &[Message::Sync]);
    assert_eq!(refused(&mut session).1, "53000");
}

/// With "async", statements go on whatever becomes of the log, and what was lost is told in it.
#[test]
fn what_an_audit_lost_stands_in_it() {
    let role = role("audit_lost");
    let place = Place::new();
    let mut pipe = Pipe::full(&place);
    let stage = plan(&role, "transaction")
        .set("query_log", "file", &format!("'{}'", pipe.path.display()))
        .set("query_log", "audit", "\"async\"")
        .set("query_log", "queue_kib", "64")
        .start();
    let mut session = Session::through(&stage, &stage.endpoint(&role));
    for _ in 0..600 {
        session.query("SELECT 1");
    }
    let mut seen = String::new();
    wait::until("the loss", wait::LONG, || {
        pipe.read(&mut seen);
        let is_told = seen.contains("\"event\":\"log-dropped\",\"records_lost\":");
        is_told && seen.trim_start().lines().count() > 20
    });
    let end = seen.rfind('\n').expect("a line") + 1;
    seen.truncate(end);
    let file = place.path("seen");
    fs::write(&file, seen.trim_start()).expect("a file");
    let proof = verified(&[&file]);
    let said = text(&proof);
    assert!(
        proof.status.success() && said.contains("had no room for"),
        "{said}"
    );
    assert!(records(&file).len() > 10);
}
