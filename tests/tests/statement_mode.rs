//! `pool_mode = "statement"`: transactions of several statements are refused, and what is refused leaves
//! client and server connection as they were, free for the next client.

use e2e::drivers::Endpoint;
use e2e::scripted::Session;
use e2e::{Stage, StagePlan};
use testkit::Cluster;
use testkit::peer::message::{self, frame};

fn sharing(role: &Endpoint, mode: &str, reset: &str) -> StagePlan {
    Stage::before(Cluster::shared())
        .user(role)
        .set("pool", "pool_mode", &format!("'{mode}'"))
        .set("pool", "server_reset", &format!("'{reset}'"))
        .set("pool", "default_pool_size", "1")
}

/// Parse, Bind, Execute of this text.
fn extended(text: &str) -> Vec<u8> {
    let parse = [b"\0", text.as_bytes(), b"\0\0\0"].concat();
    [
        frame(b'P', &parse),
        frame(b'B', &[0; 8]),
        frame(b'E', &[0; 5]),
    ]
    .concat()
}

#[test]
fn a_transaction_of_several_statements_is_refused_and_the_session_goes_on() {
    let role = Endpoint::direct(Cluster::shared(), "statement_mode");
    let stage = Stage::before(Cluster::shared())
        .user(&role)
        .set("pool", "pool_mode", "\"statement\"")
        .set("pool", "default_pool_size", "1")
        .start();
    let mut one = Session::through(&stage, &role);
    let mut other = Session::through(&stage, &role);
    let before = one.process_id();
    for text in ["BEGIN", "START TRANSACTION READ ONLY", "SELECT 1; BEGIN"] {
        one.peer.send(&message::query(text));
        let told = one.peer.expect_frame(b'E').error_text();
        assert!(told.starts_with("0A000"), "{text}: {told}");
        assert!(told.contains("pool_mode"), "{text}: {told}");
        let frames = one.peer.until_ready();
        assert_eq!(frames.len(), 1, "{text}");
        assert_eq!(frames.last().map(|it| &it.body[..]), Some(&b"I"[..]));
        assert_eq!(other.value("SELECT 7"), "7");
        assert_eq!(one.value("SELECT 8"), "8");
    }
    assert_eq!(one.process_id(), before);
}

#[test]
fn the_rule_goes_for_prepared_statements_too() {
    let role = Endpoint::direct(Cluster::shared(), "statement_prepared");
    let stage = sharing(&role, "statement", "auto").start();
    let mut one = Session::through(&stage, &role);
    let mut other = Session::through(&stage, &role);
    for text in ["BEGIN", "START TRANSACTION", "begin read only"] {
        let sync = frame(b'S', b"");
        one.peer.send(&[extended(text), sync.clone()].concat());
        let told = one.peer.expect_error("0A000").error_text();
        assert!(told.contains("pool_mode"), "{text}: {told}");
        let last = one.peer.until_ready();
        assert_eq!(
            last.last().map(|it| &it.body[..]),
            Some(&b"I"[..]),
            "{text}"
        );
        assert_eq!(other.value("SELECT 7"), "7");
        one.peer.send(&[extended("SELECT 8"), sync].concat());
        let answers: String = one
            .peer
            .until_ready()
            .iter()
            .map(|it| it.tag as char)
            .collect();
        assert_eq!(answers, "12DCZ", "{text}");
    }
}

#[test]
fn several_statements_in_one_query_are_one_transaction_and_nothing_outlives_it() {
    let role = Endpoint::direct(Cluster::shared(), "statement_several");
    let stage = sharing(&role, "statement", "auto").start();
    let mut one = Session::through(&stage, &role);
    let mut other = Session::through(&stage, &role);
    one.query("CREATE TABLE statement_several (a int)");
    one.peer.send(&message::query(
        "INSERT INTO statement_several VALUES (1); SELECT 1 / 0",
    ));
    one.peer.expect_frame(b'C');
    one.peer.expect_error("22012");
    one.peer.expect_frame(b'Z');
    assert_eq!(other.value("SELECT count(*) FROM statement_several"), "0");
    // What a client asked for goes with it; what needs a transaction has none.
    one.query("SET work_mem = '7MB'");
    assert_eq!(other.value("SHOW work_mem"), "4MB");
    assert_eq!(one.value("SHOW work_mem"), "7MB");
    for (text, sqlstate) in [
        ("SAVEPOINT a", "0A000"),
        ("DECLARE a CURSOR FOR SELECT 1", "25P01"),
    ] {
        one.peer.send(&message::query(text));
        one.peer.expect_error(sqlstate);
        one.peer.expect_frame(b'Z');
    }
    // Whoever leaves in the middle leaves nothing.
    one.peer.send(&message::query(
        "INSERT INTO statement_several SELECT pg_sleep(60)",
    ));
    drop(one);
    assert_eq!(other.value("SELECT count(*) FROM statement_several"), "0");
}

/// `server_reset = "never"`: clients still get what they asked for; what nobody saw stays where it was left.
#[test]
fn without_a_reset_wishes_still_follow_and_nothing_else_does() {
    let hides = "DO $$ BEGIN PERFORM set_config('my.hidden', 'left', false); END $$";
    let finds = "SELECT coalesce(current_setting('my.hidden', true), '')";
    for (reset, found) in [("never", "left"), ("auto", ""), ("always", "")] {
        let role = Endpoint::direct(Cluster::shared(), &format!("reset_{reset}"));
        let stage = sharing(&role, "transaction", reset).start();
        let mut one = Session::through(&stage, &role);
        let mut other = Session::through(&stage, &role);
        let backend = one.process_id();
        one.query("SET work_mem = '7MB'");
        one.query(hides);
        assert_eq!(other.process_id(), backend, "{reset}");
        assert_eq!(other.value(finds), found, "{reset}");
        assert_eq!(other.value("SHOW work_mem"), "4MB", "{reset}");
        other.query("SET work_mem = '5MB'");
        assert_eq!(one.value("SHOW work_mem"), "7MB", "{reset}");
        assert_eq!(other.value("SHOW work_mem"), "5MB", "{reset}");
    }
}
