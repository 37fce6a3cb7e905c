//! Clients that share server connections: each transaction has one to itself, none keeps one, limits are
//! exact, and who waits is served in turn or told why not.

use e2e::drivers::Endpoint;
use e2e::scripted::Session;
use e2e::{Stage, StagePlan};
use std::collections::BTreeSet;
use testkit::peer::message::{self, frame};
use testkit::{Cluster, wait};

fn direct(role: &str) -> Endpoint {
    Endpoint::direct(Cluster::shared(), role)
}

/// A stage whose clients share `size` server connections.
fn sharing(role: &Endpoint, size: usize) -> StagePlan {
    Stage::before(Cluster::shared())
        .user(role)
        .set("pool", "pool_mode", "\"transaction\"")
        .set("pool", "default_pool_size", &size.to_string())
}

/// Server connections of this role.
#[track_caller]
fn backends(role: &Endpoint) -> BTreeSet<u32> {
    role.backends(Cluster::shared())
}

#[test]
fn many_clients_share_few_connections() {
    let role = direct("pooling_many");
    let stage = sharing(&role, 2).start();
    let mut clients: Vec<Session> = (0..20).map(|_| Session::through(&stage, &role)).collect();
    let mut seen = BTreeSet::new();
    for round in 0..5 {
        for (at, client) in clients.iter_mut().enumerate() {
            let wanted = (round * 100 + at).to_string();
            assert_eq!(client.value(&format!("SELECT {wanted}")), wanted);
            seen.insert(client.process_id());
        }
    }
    assert!(seen.len() <= 2, "{seen:?}");
    assert_eq!(backends(&role), seen);
}

#[test]
fn a_transaction_keeps_its_connection_and_the_limit_is_exact() {
    let role = direct("pooling_exact");
    let stage = sharing(&role, 2).start();
    let mut holders: Vec<Session> = (0..2).map(|_| Session::through(&stage, &role)).collect();
    let mut waiting: Vec<Session> = (0..4).map(|_| Session::through(&stage, &role)).collect();
    let pids: BTreeSet<u32> = holders
        .iter_mut()
        .map(|holder| {
            holder.query("BEGIN");
            holder.process_id()
        })
        .collect();
    assert_eq!(pids.len(), 2);
    // Both are taken: who asks now waits, and is served in its turn.
    for (number, session) in waiting.iter_mut().enumerate() {
        session
            .peer
            .send(&message::query(&format!("SELECT {number}")));
    }
    for holder in &mut holders {
        holder.query("SELECT 1");
    }
    assert_eq!(backends(&role), pids);
    holders[1].query("COMMIT");
    for (number, session) in waiting.iter_mut().enumerate() {
        let frames = session.peer.until_ready();
        let row = frames
            .iter()
            .find(|frame| frame.tag == b'D')
            .expect("a row");
        assert_eq!(row.body[6..], *number.to_string().as_bytes());
    }
    assert_eq!(backends(&role), pids);
}

#[test]
fn a_wait_ends_by_setting_and_says_so() {
    let role = direct("pooling_patience");
    let stage = sharing(&role, 1)
        .set("limits", "query_wait_timeout", "\"2s\"")
        .set("limits", "query_wait_notify", "\"1s\"")
        .start();
    let mut waits = Session::through(&stage, &role);
    let mut holder = Session::through(&stage, &role);
    holder.query("BEGIN");
    waits.peer.send(&message::query("SELECT 1"));
    let notice = waits.peer.expect_frame(b'N');
    assert!(notice.error_text().contains("query_wait_timeout"));
    let error = waits.peer.expect_frame(b'E');
    assert!(
        error.error_text().contains("query_wait_timeout"),
        "{}",
        error.error_text()
    );
    waits.peer.end();
    holder.query("COMMIT");
}

#[test]
fn a_cancel_reaches_the_transaction_and_the_wait() {
    let role = direct("pooling_cancel");
    let stage = sharing(&role, 1)
        .set("limits", "query_wait_notify", "\"1s\"")
        .start();
    let mut waits = Session::through(&stage, &role);
    let mut works = Session::through(&stage, &role);
    let cancel = |session: &Session| {
        let key = session.key.as_ref().expect("a key");
        let mut peer = testkit::Peer::tls(stage.proxy.address(), &stage.client_tls());
        let (pid, key) = (&key.body[..4], &key.body[4..]);
        let len = (12 + key.len() as u32).to_be_bytes();
        peer.send(&[&len[..], &80_877_102_u32.to_be_bytes(), pid, key].concat());
        peer.end();
    };
    works.peer.send(&message::query("SELECT pg_sleep(100)"));
    let sleeps = format!(
        "SELECT 1 FROM pg_stat_activity WHERE usename = '{}' AND wait_event = 'PgSleep'",
        role.user
    );
    wait::until("the sleep", wait::LONG, || {
        !Cluster::shared().sql(&sleeps).is_empty()
    });
    // Of a client that does nothing: nothing happens.
    cancel(&waits);
    assert!(!Cluster::shared().sql(&sleeps).is_empty());
    waits.peer.send(&message::query("SELECT 2"));
    waits.peer.expect_frame(b'N');
    cancel(&waits);
    waits.peer.expect_error("57014");
    waits.peer.expect_frame(b'Z');
    cancel(&works);
    works.peer.expect_frame(b'T');
    works.peer.expect_error("57014");
    works.peer.expect_frame(b'Z');
    assert_eq!(waits.value("SELECT 4"), "4");
    assert_eq!(works.value("SELECT 3"), "3");
}

#[test]
fn what_a_client_leaves_open_is_undone() {
    let role = direct("pooling_open");
    let stage = sharing(&role, 1).start();
    let mut first = Session::through(&stage, &role);
    first.query("CREATE TABLE pooling_open (a int)");
    first.query("BEGIN");
    first.query("INSERT INTO pooling_open VALUES (1)");
    first.peer.send(&frame(b'X', b""));
    first.peer.close();
    let mut next = Session::through(&stage, &role);
    assert_eq!(next.value("SELECT count(*) FROM pooling_open"), "0");
    // One that vanishes in the middle of a query, too.
    let mut vanishes = Session::through(&stage, &role);
    vanishes.peer.send(&message::query(
        "INSERT INTO pooling_open SELECT pg_sleep(60)",
    ));
    drop(vanishes);
    assert_eq!(next.value("SELECT count(*) FROM pooling_open"), "0");
}

#[test]
fn settings_follow_their_client() {
    let role = direct("pooling_settings");
    let stage = sharing(&role, 2).start();
    let with = |parameters: &[(&str, &str)]| {
        let mut peer = testkit::Peer::tls(stage.proxy.address(), &stage.client_tls());
        let own = [("user", &*role.user), ("database", &*role.database)];
        peer.send(&message::startup(&[&own[..], parameters].concat()));
        e2e::scripted::prove(&mut peer, &role.password);
        Session::settle(peer)
    };
    let mut tokyo = with(&[
        ("TimeZone", "Asia/Tokyo"),
        ("options", "-c my.tenant=tokyo"),
    ]);
    let mut rome = with(&[("TimeZone", "Europe/Rome"), ("application_name", "rome")]);
    let mut plain = with(&[]);
    plain.query("SET work_mem = '7MB'");
    plain.query("BEGIN; SET statement_timeout = '77s'; ROLLBACK");
    rome.query("BEGIN");
    rome.query("SET lock_timeout = '5s'");
    rome.query("SAVEPOINT a");
    rome.query("SET lock_timeout = '6s'");
    rome.query("ROLLBACK TO a");
    rome.query("COMMIT");
    tokyo.query("SELECT set_config('search_path', 'tokyo, public', false)");
    for _ in 0..3 {
        for (client, wanted) in [
            (
                &mut tokyo,
                ["Asia/Tokyo", "tokyo", "tokyo, public", "4MB", "0", "0", ""],
            ),
            (
                &mut rome,
                [
                    "Europe/Rome",
                    "",
                    "\"$user\", public",
                    "4MB",
                    "0",
                    "5s",
                    "rome",
                ],
            ),
            (
                &mut plain,
                ["Etc/UTC", "", "\"$user\", public", "7MB", "0", "0", ""],
            ),
        ] {
            for (name, wanted) in [
                "TimeZone",
                "my.tenant",
                "search_path",
                "work_mem",
                "statement_timeout",
                "lock_timeout",
                "application_name",
            ]
            .into_iter()
            .zip(wanted)
            {
                let query = format!("SELECT coalesce(current_setting('{name}', true), '')");
                let is = client.value(&query);
                if name != "TimeZone" || wanted != "Etc/UTC" {
                    assert_eq!(is, wanted, "{name}");
                }
            }
        }
    }
    // RESET leads back to what each client began with, wherever it is served.
    tokyo.query("SET TimeZone = 'UTC'");
    assert_eq!(tokyo.value("SHOW TimeZone"), "UTC");
    rome.query("SELECT 1");
    tokyo.query("RESET TimeZone");
    for _ in 0..3 {
        assert_eq!(tokyo.value("SHOW TimeZone"), "Asia/Tokyo");
        assert_eq!(rome.value("SHOW TimeZone"), "Europe/Rome");
    }
    assert!(backends(&role).len() <= 2);
}

#[test]
fn what_only_one_connection_has_stays_with_its_client() {
    let role = direct("pooling_pins");
    let stage = sharing(&role, 4).start();
    let mut other = Session::through(&stage, &role);
    for text in [
        "LISTEN pooling_pins",
        "CREATE TEMP TABLE pooling_pins (a int)",
        "PREPARE pooling_pins AS SELECT 1",
        "SELECT pg_advisory_lock(815)",
        "SET ROLE pooling_pins",
        "BEGIN; DECLARE pooling_pins CURSOR WITH HOLD FOR SELECT 1; COMMIT",
    ] {
        let mut client = Session::through(&stage, &role);
        client.peer.send(&message::query(text));
        client.peer.until_ready();
        let notice = client.peer.expect_frame(b'N').error_text();
        assert!(notice.contains("pinning"), "{notice}");
        let pid = client.process_id();
        for _ in 0..3 {
            assert_ne!(other.process_id(), pid, "{text}");
            assert_eq!(client.process_id(), pid, "{text}");
        }
        client.peer.send(&frame(b'X', b""));
        client.peer.close();
    }
    // Two clients may keep connections, half of the pool; the next one is told.
    let mut pinned: Vec<Session> = (0..2).map(|_| Session::through(&stage, &role)).collect();
    for client in &mut pinned {
        client.query("LISTEN pooling_pins");
        client.peer.expect_frame(b'N');
    }
    let mut third = Session::through(&stage, &role);
    third.query("LISTEN pooling_pins");
    let error = third.peer.expect_error("53300").error_text();
    assert!(error.contains("max_pinned"), "{error}");
}
