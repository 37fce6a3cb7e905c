//! Connections whose keys change all the time, by us and by our peers, while real clients work; and
//! what becomes of those that can't change theirs.

use std::io::Write as _;
use std::process::{Command, Stdio};

use e2e::drivers::{self, Endpoint};
use e2e::scripted::Session;
use e2e::{Stage, StagePlan};
use openssl::ssl::SslVersion;
use testkit::peer::message;
use testkit::{Cluster, Peer, wait};

/// A proxy that changes keys every few records, on both legs.
fn restless(plan: StagePlan) -> StagePlan {
    plan.set("tls", "rekey_records", "4")
        .set("log", "stats_period", "1")
}

/// A counter of the last statistics line that has it.
fn counted(stage: &Stage, name: &str) -> u64 {
    let wanted = format!("{name}=");
    let log = stage.proxy.log();
    let counts = log.lines().filter_map(|line| {
        let (_, rest) = line.split_once(&wanted)?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().ok()
    });
    counts.sum()
}

#[track_caller]
fn await_count(stage: &Stage, name: &str) {
    wait::until(name, wait::LONG, || counted(stage, name) > 0);
}

#[test]
fn every_driver_works_while_keys_change_all_the_time() {
    let cluster = Cluster::shared();
    let direct = Endpoint::direct(cluster, "restless_drivers");
    let stage = restless(Stage::before(cluster)).user(&direct).start();
    drivers::run_drivers(&stage.endpoint(&direct));
    await_count(&stage, "tls_key_updates_sent");
}

/// Two proxies in a row: what one does of its own accord, the other has to take, in both roles, in
/// the middle of copies, with both directions full.
#[test]
fn a_peer_may_change_keys_in_the_middle_of_copies() {
    let cluster = Cluster::shared();
    let direct = Endpoint::direct(cluster, "restless_peers");
    direct.psql(&["CREATE TABLE copied (a int, b text)"]).says();
    let inner = restless(Stage::before(cluster)).user(&direct).start();
    let outer = restless(StagePlan::new(
        "localhost",
        inner.proxy.port(),
        &inner.ca_file,
    ))
    .user(&direct)
    .start();
    let endpoint = outer.endpoint(&direct);
    let script = "import psycopg\n\
        with psycopg.connect() as conn, conn.cursor() as cur:\n\
        \x20   with cur.copy('COPY copied FROM STDIN') as copy:\n\
        \x20       for i in range(60000): copy.write_row((i, 'x' * (i % 300)))\n\
        \x20   with cur.copy('COPY (SELECT * FROM copied ORDER BY a) TO STDOUT') as copy:\n\
        \x20       rows = [row.decode().rstrip('\\n').split('\\t') for row in map(bytes, copy)]\n\
        \x20   assert all(len(r[1]) == i % 300 and int(r[0]) == i for i, r in enumerate(rows))\n\
        \x20   print(len(rows))";
    assert_eq!(endpoint.python(script).says(), "60000");
    drivers::pgbench(&endpoint);
    for stage in [&inner, &outer] {
        await_count(stage, "tls_key_updates_sent");
    }
    // The inner one is asked by the outer one's server leg and answers.
    let asked = ["tls_key_updates_requested", "tls_key_updates_answered"];
    wait::until("requests and answers", wait::LONG, || {
        asked
            .iter()
            .any(|it| counted(&inner, it) + counted(&outer, it) > 0)
    });
}

/// The case in which a proxy that reads while its write is stuck loses its client: KeyUpdates come
/// in the middle of a large result that nobody reads.
#[test]
fn key_updates_while_a_large_result_is_stuck() {
    let cluster = Cluster::shared();
    let direct = Endpoint::direct(cluster, "restless_result");
    let inner = restless(Stage::before(cluster)).user(&direct).start();
    let outer = restless(StagePlan::new(
        "localhost",
        inner.proxy.port(),
        &inner.ca_file,
    ))
    .user(&direct)
    .start();
    let mut session = Session::through(&outer, &outer.endpoint(&direct));
    let rows = "SELECT repeat('x', 1000) FROM generate_series(1, 50000)";
    // Requests go on while the result is not read: each turn brings more KeyUpdates.
    session.peer.send(&message::query(rows));
    for _ in 0..200 {
        session.peer.send(&message::query("SELECT 1"));
    }
    let mut count = 0;
    for _ in 0..201 {
        let frames = session.peer.until_ready();
        count += frames.iter().filter(|frame| frame.tag == b'D').count();
    }
    assert_eq!(count, 50_200);
    assert!(!outer.proxy.log().contains("session ended"));
}

/// `openssl s_client` with these lines typed into it; what it said.
fn s_client(stage: &Stage, version: &str, typed: &str) -> (bool, String) {
    let address = stage.proxy.address().to_string();
    let mut client = Command::new("openssl")
        .args([
            "s_client",
            "-starttls",
            "postgres",
            version,
            "-connect",
            &address,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the openssl program");
    let mut stdin = client.stdin.take().expect("its input");
    // What is typed before the handshake is over would be data.
    let mut said = std::io::BufReader::new(client.stdout.take().expect("its output"));
    let mut text = String::new();
    while !text.contains("Verify return code") {
        let line = std::io::BufRead::read_line(&mut said, &mut text).expect("its output");
        assert!(line > 0, "the handshake failed");
    }
    for line in typed.lines() {
        writeln!(stdin, "{line}").expect("typing");
        stdin.flush().expect("typing");
    }
    drop(stdin);
    let output = client.wait_with_output().expect("its end");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), errors)
}

#[test]
fn openssl_changes_keys_and_may_not_renegotiate() {
    let cluster = Cluster::shared();
    let direct = Endpoint::direct(cluster, "restless_openssl");
    let stage = Stage::before(cluster).user(&direct).start();
    let (well, said) = s_client(&stage, "-tls1_3", "k\nK\nk\nK\nQ\n");
    assert!(well && said.contains("KEYUPDATE"), "{said}");
    // It gives up when it is told that it may not; the listener doesn't care.
    let (_, said) = s_client(&stage, "-tls1_2", "R\n");
    assert!(said.contains("RENEGOTIATING"), "{said}");
    Session::through(&stage, &stage.endpoint(&direct)).query("SELECT 1");
    let stage = Stage::before(cluster)
        .user(&direct)
        .set("listen.tls", "renegotiation", "'allow'")
        .start();
    let (well, said) = s_client(&stage, "-tls1_2", "R\nQ\n");
    assert!(well && said.contains("RENEGOTIATING"), "{said}");
    assert!(!said.contains("SSL routines"), "{said}");
    Session::through(&stage, &stage.endpoint(&direct)).query("SELECT 1");
    assert!(!stage.proxy.log().contains("panicked"));
}

#[test]
fn tls_1_2_that_passed_its_limit_is_told_and_closed_only_by_setting() {
    let cluster = Cluster::shared();
    let direct = Endpoint::direct(cluster, "restless_tls_1_2");
    for closes in [false, true] {
        let limit = match closes {
            true => "'close'",
            false => "'warn'",
        };
        let stage = Stage::before(cluster)
            .user(&direct)
            .set("tls", "rekey_records", "16")
            .set("tls", "tls12_limit", limit)
            .start();
        let tls = stage.client_tls();
        let tls = tls.versions(SslVersion::TLS1_2, SslVersion::TLS1_2);
        let peer = Peer::tls(stage.proxy.address(), &tls);
        let mut session = Session::begin(peer, &stage.endpoint(&direct));
        session.query("BEGIN");
        let said = "a TLS 1.2 connection has passed its limit";
        wait::until("the limit", wait::LONG, || {
            session.query("SELECT 1");
            stage.proxy.log().contains(said)
        });
        // Not in the middle of a transaction, and never twice.
        for _ in 0..20 {
            session.query("SELECT 1");
        }
        let log = stage.proxy.log();
        assert_eq!(log.matches(said).count(), 1, "{log}");
        match closes {
            false => drop(session.query("COMMIT")),
            true => {
                session.peer.send(&message::query("COMMIT"));
                session.peer.until_ready();
                session.peer.expect_error("57P01");
            }
        }
    }
}
