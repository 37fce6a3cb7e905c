//! Proves the test kit's flock against PostgreSQL alone: what fails here isn't the proxy's fault.

use std::fs;
use std::net::TcpStream;
use std::sync::OnceLock;
use std::time::Duration;

use testkit::peer::message;
use testkit::{Authority, ClientTls, Flock, FlockPlan, Identity, Member, Peer, wait};

/// Long enough for any answer that is on its way.
const A_WHILE: Duration = Duration::from_millis(300);

/// One primary with two standbys, for all that leaves it as it was.
fn plain() -> &'static Flock {
    static PLAIN: OnceLock<Flock> = OnceLock::new();
    PLAIN.get_or_init(|| Flock::start(2))
}

/// Commits wait for member 1; member 2 lags by an hour and has a stranger's certificate.
fn peculiar() -> &'static Flock {
    static PECULIAR: OnceLock<Flock> = OnceLock::new();
    PECULIAR.get_or_init(|| {
        let stranger = Authority::new("a stranger");
        FlockPlan::new(2)
            .set("synchronous_standby_names", "ANY 1 (member1)")
            .lagging(2, Duration::from_secs(3600))
            .certificate(2, &stranger, &stranger.issue(&Identity::localhost()))
            .start()
    })
}

fn session(member: &Member) -> Peer {
    let mut peer = Peer::unix(&member.socket());
    peer.send(&message::startup(&[
        ("user", "postgres"),
        ("database", "postgres"),
    ]));
    peer.until_ready();
    peer
}

/// The rows of a table with one column, in order.
#[track_caller]
fn rows(member: &Member, table: &str) -> Vec<String> {
    let rows = member.sql(&format!("SELECT * FROM {table} ORDER BY 1"));
    rows.into_iter().flatten().flatten().collect()
}

fn exists(member: &Member, table: &str) -> bool {
    member.sql(&format!("SELECT to_regclass('{table}')")) != [[None]]
}

/// Waits until the log up to there has arrived, replayed or not.
#[track_caller]
fn await_received(standby: &Member, lsn: u64) {
    let query = format!("SELECT 1 WHERE pg_last_wal_receive_lsn() - '0/0' >= {lsn}");
    wait::until("the log", wait::LONG, || !standby.sql(&query).is_empty());
}

/// The server's processes that have a place in its statistics, and the postmaster.
fn processes(member: &Member) -> Vec<String> {
    let rows = member.sql("SELECT pid FROM pg_stat_activity");
    let mut pids: Vec<String> = rows.into_iter().flatten().flatten().collect();
    pids.push(member.pid().to_string());
    pids
}

/// A zombie has no command line.
fn is_gone(pid: &String) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.is_empty())
        || fs::metadata(format!("/proc/{pid}")).is_err()
}

#[test]
fn what_the_primary_commits_reaches_its_standbys() {
    let flock = plain();
    flock[0].sql("CREATE TABLE reaches AS SELECT 'all' AS text");
    for standby in &flock.members()[1..] {
        standby.await_caught_up_with(&flock[0]);
        assert_eq!(rows(standby, "reaches"), ["all"]);
        assert!(standby.is_in_recovery());
    }
    assert!(!flock[0].is_in_recovery());
    let streams = flock[0].sql(
        "SELECT application_name, usename, ssl FROM pg_stat_replication \
         JOIN pg_stat_ssl USING (pid) ORDER BY 1",
    );
    let stream = |name: &str| [name, "replicator", "t"].map(|text| Some(text.to_owned()));
    assert_eq!(streams, [stream("member1"), stream("member2")]);
}

#[test]
fn every_member_proves_itself_by_the_same_authority_with_a_key_of_its_own() {
    let flock = plain();
    let mut keys: Vec<_> = Vec::new();
    for member in flock.members() {
        let tls = ClientTls::verified(flock.authority(), "localhost");
        let peer = Peer::tls(member.address(), &tls);
        let shown = peer.ssl().and_then(|ssl| ssl.peer_certificate());
        let key = shown.and_then(|shown| shown.public_key().ok()?.public_key_to_der().ok());
        keys.push(key.expect("a certificate with a key"));
    }
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 3);
    let file = fs::read(flock.ca_file()).expect("the authority's file");
    assert_eq!(file, flock.authority().pem());
}

#[test]
fn a_paused_standby_replays_when_it_is_resumed() {
    let flock = plain();
    let standby = &flock[1];
    standby.pause_replay();
    let before = standby.lsn();
    flock[0].sql("CREATE TABLE paused ()");
    await_received(standby, flock[0].lsn());
    assert!(!exists(standby, "paused"));
    assert_eq!(standby.lsn(), before);
    standby.resume_replay();
    standby.await_caught_up_with(&flock[0]);
    assert!(exists(standby, "paused"));
}

#[test]
fn a_synchronous_commit_waits_for_a_standby_that_hangs() {
    let flock = peculiar();
    let mut session = session(&flock[0]);
    flock[1].hang();
    session.send(&message::query("CREATE TABLE in_step ()"));
    assert!(session.silent_for(A_WHILE), "a commit without its standby");
    flock[1].wake();
    session.until_ready();
    flock[1].await_caught_up_with(&flock[0]);
    assert!(exists(&flock[1], "in_step"));
}

#[test]
fn a_lagging_standby_has_received_what_it_doesnt_show() {
    let flock = peculiar();
    flock[0].sql("CREATE TABLE late ()");
    let written = flock[0].lsn();
    let lagging = &flock[2];
    await_received(lagging, written);
    assert!(lagging.lsn() < written);
    assert!(!exists(lagging, "late"));
    flock[1].await_caught_up_with(&flock[0]);
    assert!(exists(&flock[1], "late"));
}

#[test]
fn one_member_may_have_a_strangers_certificate() {
    let flock = peculiar();
    let verified = |member: &Member| {
        let mut peer = Peer::tcp(member.address());
        peer.send(&message::SSL_REQUEST);
        peer.expect(b"S");
        let tls = ClientTls::verified(flock.authority(), "localhost");
        peer.try_handshake(&tls).is_ok()
    };
    assert_eq!(
        [0, 1, 2].map(|number| verified(&flock[number])),
        [true, true, false]
    );
}

#[test]
fn a_killed_primary_is_succeeded_and_comes_back_behind_its_successor() {
    let flock = Flock::start(2);
    flock[0].sql("CREATE TABLE kept AS SELECT 'before' AS text");
    let (mut open, left) = (session(&flock[0]), processes(&flock[0]));
    flock[0].kill();
    assert!(!flock[0].is_running());
    assert!(left.len() > 4 && left.iter().all(is_gone), "of {left:?}");
    open.drain();
    assert!(TcpStream::connect(flock[0].address()).is_err());

    // A walsender that was killed may have kept the commit to itself.
    flock[0].start_again();
    assert_eq!(rows(&flock[0], "kept"), ["before"]);
    flock[1].await_caught_up_with(&flock[0]);
    flock[0].kill();

    flock[1].promote();
    flock[2].follow(&flock[1]);
    flock[1].sql("INSERT INTO kept VALUES ('since')");
    flock[2].await_caught_up_with(&flock[1]);
    assert_eq!(rows(&flock[2], "kept"), ["before", "since"]);

    // It knows nothing of its successor, and takes what will be lost.
    flock[0].start_again();
    assert!(!flock[0].is_in_recovery());
    flock[0].sql("INSERT INTO kept VALUES ('strayed')");
    flock[0].rejoin(&flock[1]);
    flock[0].await_caught_up_with(&flock[1]);
    assert!(flock[0].is_in_recovery());
    assert_eq!(rows(&flock[0], "kept"), ["before", "since"]);
}

#[test]
fn a_planned_switch_loses_nothing_and_a_primary_that_hangs_is_succeeded() {
    let flock = Flock::start(2);
    flock[0].sql("CREATE TABLE switched AS SELECT 1 AS number");
    for (turn, old, new) in [(2, 0, 1), (3, 1, 0)] {
        let (old, new) = (&flock[old], &flock[new]);
        old.sql(&format!("INSERT INTO switched VALUES ({turn})"));
        old.demote_to_standby_of(new);
        new.promote();
        flock[2].follow(new);
        assert_eq!(rows(new, "switched").len(), turn);
        assert!(old.is_in_recovery());
    }
    flock[0].sql("INSERT INTO switched VALUES (4)");
    for standby in &flock.members()[1..] {
        standby.await_caught_up_with(&flock[0]);
        assert_eq!(rows(standby, "switched"), ["1", "2", "3", "4"]);
    }

    flock[0].hang();
    flock[1].promote();
    flock[2].follow(&flock[1]);
    flock[0].rejoin(&flock[1]);
    flock[1].sql("INSERT INTO switched VALUES (5)");
    for standby in [&flock[0], &flock[2]] {
        standby.await_caught_up_with(&flock[1]);
        assert_eq!(rows(standby, "switched").len(), 5);
    }
}

#[test]
fn a_server_that_hangs_answers_nobody_before_it_wakes() {
    let flock = Flock::start(0);
    let mut old = session(&flock[0]);
    flock[0].hang();
    old.send(&message::query("SELECT 1"));
    let mut new = Peer::tcp(flock[0].address());
    new.send(&message::SSL_REQUEST);
    assert!(new.silent_for(A_WHILE) && old.silent_for(A_WHILE));
    flock[0].wake();
    new.expect(b"S");
    old.until_ready();

    // Whether it is killed or dropped as it hangs, nothing of it stays.
    let left = processes(&flock[0]);
    flock[0].hang();
    flock[0].kill();
    assert!(left.iter().all(is_gone), "of {left:?}");
    flock[0].start_again();
    let left = processes(&flock[0]);
    let socket = flock[0].socket();
    flock[0].hang();
    drop(flock);
    wait::until("the processes' end", wait::LONG, || {
        left.iter().all(is_gone)
    });
    assert!(!socket.parent().expect("a directory").exists());
}
