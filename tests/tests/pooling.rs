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
fn backends(role: &Endpoint) -> BTreeSet<u32> {
    let query = format!(
        "SELECT pid FROM pg_stat_activity WHERE usename = '{}'",
        role.user
    );
    let rows = Cluster::shared().sql(&query);
    let pids = rows.into_iter().flatten().flatten();
    pids.map(|pid| pid.parse().expect("a pid")).collect()
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
