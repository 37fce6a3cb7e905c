//! Server connections that serve one client after the other: the next one gets nothing of the one
//! before, and nobody gets a connection that was made for somebody else.

use std::time::Instant;

use e2e::drivers::{self, Endpoint};
use e2e::scripted::{Session, prove};
use e2e::{Stage, StagePlan};
use testkit::peer::message::{self, frame};
use testkit::{Cluster, Peer, wait};

fn direct(role: &str) -> Endpoint {
    Endpoint::direct(Cluster::shared(), role)
}

fn before(role: &Endpoint) -> StagePlan {
    Stage::before(Cluster::shared()).user(role)
}

/// A session with further startup parameters.
fn session(stage: &Stage, endpoint: &Endpoint, parameters: &[(&str, &str)]) -> Session {
    let mut peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
    let own = [("user", &*endpoint.user), ("database", &*endpoint.database)];
    peer.send(&message::startup(&[&own[..], parameters].concat()));
    prove(&mut peer, &endpoint.password);
    Session::settle(peer)
}

/// Says goodbye and waits until the connection rests.
#[track_caller]
fn leave(mut session: Session, pid: u32) {
    session.peer.send(&frame(b'X', b""));
    session.peer.close();
    let rests = format!(
        "SELECT 1 FROM pg_stat_activity WHERE pid = {pid} AND state = 'idle' AND query = \
         'DISCARD ALL'"
    );
    wait::until("the reset", wait::LONG, || {
        !Cluster::shared().sql(&rests).is_empty()
    });
}

#[track_caller]
fn ends(pid: u32) {
    let query = format!("SELECT 1 FROM pg_stat_activity WHERE pid = {pid}");
    wait::until("the server's end", wait::LONG, || {
        Cluster::shared().sql(&query).is_empty()
    });
}

#[test]
fn nothing_of_one_client_is_left_for_the_next() {
    let role = direct("reuse_clean");
    Cluster::shared().sql("CREATE ROLE reuse_other; GRANT reuse_other TO reuse_clean");
    let stage = before(&role).start();
    let parameters = [("options", "-c work_mem=7MB"), ("application_name", "both")];
    let mut first = session(&stage, &role, &parameters);
    let pid = first.process_id();
    for text in [
        "SET work_mem = '1MB'",
        "SET my.secret = 'of the first'",
        "SET application_name = 'other'",
        "SET client_encoding = 'LATIN1'",
        "CREATE TEMP TABLE of_the_first (a int)",
        "PREPARE of_the_first AS SELECT 1",
        "SELECT pg_advisory_lock(4711)",
        "LISTEN of_the_first",
        "BEGIN; DECLARE of_the_first CURSOR WITH HOLD FOR SELECT 1; COMMIT",
        "SET ROLE reuse_other",
        "BEGIN",
        "SET LOCAL work_mem = '2MB'",
    ] {
        first.query(text);
    }
    leave(first, pid);
    let mut next = session(&stage, &role, &parameters);
    assert_eq!(next.process_id(), pid, "a new connection was made");
    for (text, wanted) in [
        ("SHOW work_mem", "7MB"),
        ("SHOW application_name", "both"),
        ("SHOW client_encoding", "UTF8"),
        (
            "SELECT coalesce(current_setting('my.secret', true), '')",
            "",
        ),
        ("SELECT current_user", "reuse_clean"),
        ("SELECT count(*) FROM pg_prepared_statements", "0"),
        ("SELECT count(*) FROM pg_cursors", "0"),
        ("SELECT count(*) FROM pg_listening_channels()", "0"),
        (
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711",
            "0",
        ),
        (
            "SELECT count(*) FROM pg_class WHERE relname = 'of_the_first'",
            "0",
        ),
        ("SELECT now() = statement_timestamp()", "t"),
    ] {
        assert_eq!(next.value(text), wanted, "{text}");
    }
    // RESET goes back to this client's own startup values, as on a connection of its own.
    next.query("SET work_mem = '1MB'");
    next.query("RESET work_mem");
    assert_eq!(next.value("SHOW work_mem"), "7MB");
    stage.proxy.await_log("session ended");
}

#[test]
fn the_next_client_is_told_what_the_server_reports() {
    let role = direct("reuse_reports");
    let stage = before(&role).start();
    let parameters = [("TimeZone", "Asia/Tokyo"), ("DateStyle", "German")];
    let told = |session: &Session| {
        let reports = session.welcome.iter().filter(|frame| frame.tag == b'S');
        let mut told: Vec<String> = reports
            .map(|frame| String::from_utf8_lossy(&frame.body).into_owned())
            .collect();
        told.sort();
        told
    };
    let mut first = session(&stage, &role, &parameters);
    let at_first = told(&first);
    first.query("SET TimeZone = 'UTC'");
    let pid = first.process_id();
    leave(first, pid);
    let mut next = session(&stage, &role, &parameters);
    assert_eq!(told(&next), at_first);
    assert!(
        at_first.contains(&"TimeZone\0Asia/Tokyo\0".to_owned()),
        "{at_first:?}"
    );
    assert_eq!(next.process_id(), pid);
}

#[test]
fn who_differs_in_anything_gets_another_connection() {
    let (role, other) = (direct("reuse_differs"), direct("reuse_differs_too"));
    let stage = before(&role).user(&other).start();
    let mut first = session(&stage, &role, &[]);
    let pid = first.process_id();
    leave(first, pid);
    for (endpoint, parameters) in [
        (&role, &[("application_name", "x")][..]),
        (&role, &[("options", "-c work_mem=7MB")]),
        (&other, &[]),
    ] {
        let mut next = session(&stage, endpoint, parameters);
        assert_ne!(next.process_id(), pid);
    }
    assert_eq!(session(&stage, &role, &[]).process_id(), pid);
}

/// What PostgreSQL would undo when its client leaves is not made good by the reset.
#[test]
fn work_without_its_sync_is_undone() {
    let role = direct("reuse_unsynced");
    role.psql(&["CREATE TABLE reuse_unsynced (a int)"]).says();
    let stage = before(&role).start();
    let mut first = session(&stage, &role, &[]);
    let pid = first.process_id();
    let batch = [
        frame(b'P', b"\0INSERT INTO reuse_unsynced VALUES (1)\0\0\0"),
        frame(b'B', b"\0\0\0\0\0\0\0\0"),
        frame(b'E', b"\0\0\0\0\0"),
        frame(b'H', b""),
    ];
    first.peer.send(&batch.concat());
    first.peer.until_tag(b'C');
    first.peer.cut();
    ends(pid);
    let rows = role.psql(&["SELECT count(*) FROM reuse_unsynced"]).says();
    assert_eq!(rows, "0", "it was committed");
}

#[test]
fn a_transaction_that_a_client_left_open_is_rolled_back() {
    let role = direct("reuse_open");
    role.psql(&["CREATE TABLE reuse_open (a int)"]).says();
    let stage = before(&role).start();
    for last in ["SELECT 1", "SELECT 1/0"] {
        let mut first = session(&stage, &role, &[]);
        let pid = first.process_id();
        first.query("BEGIN");
        first.query("INSERT INTO reuse_open VALUES (1)");
        first.peer.send(&message::query(last));
        first.peer.until_tag(b'Z');
        leave(first, pid);
        let mut next = session(&stage, &role, &[]);
        assert_eq!(next.process_id(), pid);
        assert_eq!(next.value("SELECT count(*) FROM reuse_open"), "0");
        let pid = next.process_id();
        leave(next, pid);
    }
}

#[test]
fn a_connection_that_died_at_rest_is_replaced() {
    let role = direct("reuse_died");
    let stage = before(&role).start();
    let mut first = session(&stage, &role, &[]);
    let pid = first.process_id();
    leave(first, pid);
    Cluster::shared().sql(&format!("SELECT pg_terminate_backend({pid}, 30000)"));
    assert_ne!(session(&stage, &role, &[]).process_id(), pid);
}

#[test]
fn rest_and_life_end_by_setting() {
    let role = direct("reuse_ends");
    let stage = before(&role)
        .set("database", "server_idle_timeout", "1")
        .start();
    let mut first = session(&stage, &role, &[]);
    let pid = first.process_id();
    leave(first, pid);
    ends(pid);
    for (setting, value) in [("server_lifetime", "0"), ("server_idle_max", "0")] {
        let stage = before(&role).set("database", setting, value).start();
        let mut first = session(&stage, &role, &[]);
        let pid = first.process_id();
        first.peer.send(&frame(b'X', b""));
        first.peer.close();
        ends(pid);
    }
}

/// TLS 1.2 can't change its keys: a connection that has used them up serves nobody else.
#[test]
fn a_connection_with_worn_keys_is_not_reused() {
    let role = direct("reuse_worn");
    for (version, records, reused) in [
        ("TLSv1.2", "4", false),
        ("TLSv1.2", "1000000", true),
        ("TLSv1.3", "4", true),
    ] {
        let stage = before(&role)
            .set("database.tls", "max_version", &format!("'{version}'"))
            .set("tls", "rekey_records", records)
            .start();
        let mut first = session(&stage, &role, &[]);
        for _ in 0..8 {
            first.query("SELECT 1");
        }
        let pid = first.process_id();
        match reused {
            true => leave(first, pid),
            false => {
                first.peer.send(&frame(b'X', b""));
                first.peer.close();
                ends(pid);
            }
        }
        let next = session(&stage, &role, &[]).process_id();
        assert_eq!(next == pid, reused, "{version} {records}");
    }
}

/// The limit counts what rests, and what rests makes room for others.
#[test]
fn what_rests_is_within_the_limit() {
    let (role, other) = (direct("reuse_limit"), direct("reuse_limit_too"));
    let stage = before(&role)
        .user(&other)
        .set("database", "max_db_connections", "1")
        .start();
    for _ in 0..2 {
        for endpoint in [&role, &other] {
            let mut next = session(&stage, endpoint, &[]);
            let pid = next.process_id();
            leave(next, pid);
        }
    }
    wait::until("one connection", wait::LONG, || {
        let now = Cluster::shared()
            .sql("SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'reuse_limit%'");
        now[0][0].as_deref() == Some("1")
    });
}

/// Where the server has to judge a password, a connection of before lets nobody in.
#[test]
fn a_password_that_the_server_checks_is_checked_each_time() {
    let role = direct("reuse_password");
    let stage = Stage::before(Cluster::shared())
        .set("auth", "method", "'password'")
        .start();
    let endpoint = stage.endpoint(&role);
    let pid = "SELECT pg_backend_pid()";
    let first = endpoint.psql(&[pid]).says();
    leave_by_pid(&first);
    let (sqlstate, _) = drivers::refusal(&endpoint.with_password("wrong"));
    assert_eq!(sqlstate, "28P01");
    assert_ne!(endpoint.psql(&[pid]).says(), first);
}

#[track_caller]
fn leave_by_pid(pid: &str) {
    let rests =
        format!("SELECT 1 FROM pg_stat_activity WHERE pid = {pid} AND query = 'DISCARD ALL'");
    wait::until("the reset", wait::LONG, || {
        !Cluster::shared().sql(&rests).is_empty()
    });
}

/// A cancel request that is still on its way when its session ends hits nobody else.
#[test]
fn a_late_cancel_hits_nobody_else() {
    let rounds = match std::env::var_os("PORTCULLIS_SOAK") {
        Some(_) => 2000,
        None => 60,
    };
    let role = direct("reuse_cancel");
    let stage = before(&role)
        .set("limits", "cancel_rate", "100000")
        .set("log", "log_connections", "false")
        .start();
    let mut reused = 0;
    let mut before = 0;
    let mut done = 0;
    let start = Instant::now();
    // On a busy machine cancels keep overtaking resets, and each costs its connection.
    while done < rounds || (reused == 0 && start.elapsed() < wait::LONG) {
        done += 1;
        let mut session = session(&stage, &role, &[]);
        let key = session.key.take().expect("a key").body;
        let pid = u32::from_be_bytes(key[..4].try_into().expect("four bytes"));
        reused += u32::from(pid == before);
        before = pid;
        // Its own answer, and no error 57014 of a cancel that was meant for the one before.
        assert_eq!(session.value("SELECT pg_sleep(0.002)::text || 7"), "7");
        let mut cancel = Peer::tls(stage.proxy.address(), &stage.client_tls());
        cancel.send(&message::cancel(pid, &key[4..]));
        session.peer.send(&frame(b'X', b""));
        session.peer.close();
    }
    assert!(reused > 0, "nothing was reused, so nothing was tried");
}
