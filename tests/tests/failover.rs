//! Primaries that die, hang, are demoted and promoted while clients write: what was acknowledged is there, who is idle
//! notices nothing, and who is led somewhere is led to the right host.

use std::time::Instant;

use e2e::clustered::{
    Writers, await_role, count_of_backends, database, host, plan, plan_of, role, session,
};
use e2e::scripted::Session;
use e2e::tables::{ADMIN, Row, console, refused, show, text};
use testkit::peer::message;
use testkit::{Flock, FlockPlan, wait};

/// Commits are on two hosts before they are acknowledged.
fn synchronous() -> Flock {
    FlockPlan::new(2)
        .set("synchronous_standby_names", "ANY 1 (member1, member2)")
        .start()
}

/// The standby that has more of the log.
fn most_advanced(flock: &Flock) -> (usize, usize) {
    match flock[1].lsn() >= flock[2].lsn() {
        true => (1, 2),
        false => (2, 1),
    }
}

#[test]
fn a_primary_is_killed_and_another_one_is_promoted() {
    let flock = synchronous();
    let direct = role(&flock, "killed");
    let stage = plan(&flock, &direct, "").start();
    let mut writers = Writers::start(&stage, &direct, 16);
    flock[0].kill();
    let (next, other) = most_advanced(&flock);
    flock[next].promote();
    // Before somebody follows it, its own rule keeps every commit waiting.
    flock[other].follow(&flock[next]);
    let waited = writers.until_next_write();
    let written = writers.stop();
    assert_eq!(written.idle(), "served");
    let count = written.check(&flock[next], "killed");
    println!(
        "{count} writes, the first {waited} s after the promotion, the slowest took {} s",
        written.slowest()
    );
    // Who was in the middle of something is told so, and nobody is told anything else.
    for (sqlstate, text) in written.errors() {
        let known = ["08006", "57P01", "57P02", ""].contains(&sqlstate.as_str());
        assert!(known, "{sqlstate}: {text}");
    }
    let log = stage.proxy.log();
    assert!(
        log.contains(&format!("{} is written to from now on", host(&flock[next]))),
        "{log}"
    );
    assert!(!log.contains("panicked"), "{log}");
}

/// It is not dead, and wakes up as the primary that it was: nobody is led there any more.
#[test]
fn a_primary_hangs_and_comes_back_too_late() {
    let flock = Flock::start(1);
    let direct = role(&flock, "hung");
    let stage = plan(&flock, &direct, "check_timeout = '300ms'").start();
    let mut writers = Writers::start(&stage, &direct, 4);
    flock[0].hang();
    flock[1].promote();
    writers.until_next_write();
    flock[0].wake();
    let refused = format!("{} is refused: old timeline now", host(&flock[0]));
    wait::until("the old primary to be refused", wait::LONG, || {
        stage.proxy.log().contains(&refused)
    });
    writers.until_next_write();
    let written = writers.stop();
    assert_eq!(written.idle(), "served");
    // What the old one acknowledged before it hung may not have reached the other: this flock is asynchronous. What
    // was acknowledged since is there.
    wait::until("connections to the old primary to end", wait::LONG, || {
        count_of_backends(&flock[0], "hung") == 0
    });
    assert!(count_of_backends(&flock[1], "hung") > 0);
}

#[test]
fn a_planned_switchover_fails_no_statement() {
    let flock = Flock::start(1);
    let direct = role(&flock, "switched");
    // What promotes a host is told which, and by whom it is waited for; it is done outside of it here.
    let told = tempfile::tempdir().expect("a directory");
    let told = told.path().join("told");
    let script = format!(
        "switchover_command = ['/bin/sh', '-c', 'echo $PORTCULLIS_CLUSTER $PORTCULLIS_FROM $PORTCULLIS_TO > {}']",
        told.display()
    );
    let stage = plan(&flock, &direct, &script).start();
    let mut writers = Writers::start(&stage, &direct, 16);
    let mut admin = console(&stage, ADMIN);
    for (from, to) in [(0, 1), (1, 0)] {
        await_role(&stage, flock[to].port(), "standby");
        let order = format!("SWITCHOVER main TO {}", host(&flock[to]));
        admin.peer.send(&message::query(&order));
        let wanted = format!("main {} {}\n", host(&flock[from]), host(&flock[to]));
        wait::until("the command", wait::LONG, || {
            std::fs::read_to_string(&told).is_ok_and(|it| it == wanted)
        });
        assert_eq!(count_of_backends(&flock[from], "switched"), 0);
        flock[from].demote_to_standby_of(&flock[to]);
        flock[to].promote();
        let answer = admin.peer.until_ready();
        assert!(answer.iter().all(|it| it.tag != b'E'), "{answer:?}");
        writers.until_next_write();
    }
    let written = writers.stop();
    assert_eq!(written.errors(), [], "{}", stage.proxy.log());
    assert_eq!(written.idle(), "served");
    let count = written.check(&flock[0], "switched");
    println!("{count} writes, the slowest took {} s", written.slowest());
}

/// Nobody promotes the other one: the primary goes on, and nobody has noticed more than a pause.
#[test]
fn a_switchover_that_comes_to_nothing_is_taken_back() {
    let flock = Flock::start(1);
    let direct = role(&flock, "taken_back");
    let stage = plan(&flock, &direct, "switchover_timeout = '1s'").start();
    let mut admin = console(&stage, ADMIN);
    for (order, sentence) in [
        (
            format!("SWITCHOVER main TO {}", host(&flock[0])),
            "is the primary already",
        ),
        (
            "SWITCHOVER other".to_owned(),
            "there is no cluster \"other\"",
        ),
        (
            "SWITCHOVER main TO nowhere".to_owned(),
            "has no host \"nowhere\"",
        ),
        ("SWITCHOVER main".to_owned(), "did not become the primary"),
    ] {
        let mut writers = Writers::start(&stage, &direct, 2);
        let (_, text) = refused(&mut admin, &order);
        assert!(text.contains(sentence), "{text}");
        writers.until_next_write();
        assert_eq!(writers.stop().errors(), []);
        flock[0].sql_in("taken_back", "DELETE FROM register");
        flock[0].sql_in("taken_back", "UPDATE counters SET value = 0");
    }
    // A client in a transaction holds it up, and is not cut off for it.
    let mut session = Session::through(&stage, &stage.endpoint(&direct));
    session.query("BEGIN");
    let (_, text) = refused(&mut admin, "SWITCHOVER main");
    assert!(
        text.contains("1 server connections were still in use"),
        "{text}"
    );
    session.query("COMMIT");
}

/// Databases of another wish are served by standbys, in the proportion of their weights.
#[test]
fn wishes_lead_to_standbys_by_weight() {
    let flock = Flock::start(2);
    let direct = role(&flock, "wishes");
    let hosts = [
        host(&flock[0]),
        host(&flock[1]) + " weight=100",
        host(&flock[2]) + " weight=300",
    ];
    let stage = plan_of(&flock, &direct, &hosts, "balance = 'round_robin'")
        .set("database", "target", "'standby'")
        .set("database", "pool_size", "1")
        .start();
    let mut session = Session::through(&stage, &stage.endpoint(&direct));
    let mut counts = [0_u32; 3];
    for _ in 0..80 {
        let port = session.value("SHOW port");
        let member = flock
            .members()
            .iter()
            .position(|it| it.port().to_string() == port);
        counts[member.expect("a member")] += 1;
    }
    assert_eq!(counts, [0, 20, 60]);
    // A dead one is left out, and nobody notices.
    flock[2].kill();
    for _ in 0..10 {
        session.query("SELECT 1");
    }
    let hosts = show(&mut console(&stage, ADMIN), "HOSTS");
    assert_eq!(hosts.len(), 3);
}

/// A standby that hangs takes connections, and nothing comes back. Whoever was sent there goes on at another one once it
/// is known to be down, however long a connection may take: nothing of theirs was sent yet.
#[test]
fn nobody_waits_for_a_standby_that_hangs() {
    let flock = Flock::start(2);
    let direct = role(&flock, "hidden");
    let kept = database("kept", &direct, "standby").replace("'transaction'", "'session'");
    let stage = plan(
        &flock,
        &direct,
        "check_timeout = '300ms'\nbalance = 'round_robin'",
    )
    .set("database", "target", "'standby'")
    .set("database", "server_connect_timeout", "'10min'")
    .set("listen", "client_login_timeout", "'10min'")
    .set("limits", "query_wait_timeout", "'10min'")
    .more(&kept)
    .more("server_connect_timeout = '10min'\nserver_check_delay = 0\n")
    .start();
    for member in &flock.members()[1..] {
        await_role(&stage, member.port(), "standby");
    }
    // One connection to each standby rests for those who keep theirs, and none for the others.
    let resting: Vec<_> = (0..2).map(|_| session(&stage, &direct, "kept")).collect();
    for mut session in resting {
        session.query("SELECT 1");
        session.peer.send(&message::frame(b'X', b""));
    }
    wait::until("two connections at rest", wait::LONG, || {
        let servers = show(&mut console(&stage, ADMIN), "SERVERS");
        let resting = |it: &&Row| {
            text(it, "database") == "kept" && ["idle", "used"].contains(&text(it, "state"))
        };
        servers.iter().filter(resting).count() == 2
    });
    let mut all: Vec<_> = (0..8).map(|_| session(&stage, &direct, "hidden")).collect();
    let (holders, readers) = all.split_at_mut(4);
    holders.iter_mut().for_each(|it| drop(it.query("BEGIN")));
    flock[1].hang();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut session = session(&stage, &direct, "kept");
                assert_eq!(session.value("SHOW port"), flock[2].port().to_string());
            });
        }
        for reader in readers {
            scope.spawn(|| {
                assert_eq!(reader.value("SHOW port"), flock[2].port().to_string());
            });
        }
    });
    println!("all read elsewhere after {:?}", began.elapsed());
    flock[1].wake();
}
