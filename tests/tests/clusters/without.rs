//! Clusters without a primary, or without a standby for those who want one: what is read, and what becomes of those who
//! wait.

use e2e::Stage;
use e2e::clustered::{await_leader, await_role, database, plan, role, session};
use e2e::drivers::Endpoint;
use e2e::governed::{bind, execute, parse, sync};
use e2e::scripted::{Session, offer_proof, startup};
use e2e::tables::{ADMIN, Row, console, number, of, refused, show, text};
use testkit::peer::message;
use testkit::{Flock, Member, Peer, wait};

use super::{port, ports, read_at, value};

/// While nobody is the primary, reads go on; and what a session has set and prepared goes with it to the next one.
#[test]
fn without_a_primary_sessions_read_and_go_on_at_the_next_one() {
    let flock = Flock::start(1);
    let direct = role(&flock, "bereft");
    let read_only = plan(&flock, &direct, "without_primary = 'read_only'").start();
    let waiting = plan(&flock, &direct, "").start();
    await_role(&read_only, flock[1].port(), "standby");
    let mut client = session(&read_only, &direct, "bereft");
    client.query("INSERT INTO register VALUES (0, 1)");
    assert_eq!(port(&mut client, "SHOW port"), flock[0].port());

    // Idle from here on, with a setting and a statement.
    let mut idle = session(&waiting, &direct, "bereft");
    idle.query("SET timezone TO 'Asia/Kolkata'");
    let sql = "SELECT to_timestamp($1::int)::text || ' at ' || current_setting('port')";
    idle.peer.send(&[parse("mine", sql), sync()].concat());
    idle.peer.until_ready();
    let run = |idle: &mut Session| {
        let request = [bind("", "mine", &["86400"]), execute(""), sync()].concat();
        idle.peer.send(&request);
        value(&idle.peer.until_ready())
    };
    let at = |member: &Member| format!("1970-01-02 05:30:00+05:30 at {}", member.port());
    assert_eq!(run(&mut idle), at(&flock[0]));
    flock[1].await_caught_up_with(&flock[0]);

    flock[0].kill();
    await_leader(&read_only, None);
    assert_eq!(read_at(&mut client), ports([&flock[1]]));
    assert_eq!(client.value("SELECT count(*) FROM register"), "1");
    let (sqlstate, text) = refused(&mut client, "INSERT INTO register VALUES (0, 2)");
    assert_eq!(sqlstate, "25006", "{text}");
    // A client that comes now is let in, too.
    let mut late = session(&read_only, &direct, "bereft");
    assert_eq!(read_at(&mut late), ports([&flock[1]]));
    // And one of a proxy that has never seen a primary.
    let newer = plan(&flock, &direct, "without_primary = 'read_only'").start();
    await_role(&newer, flock[1].port(), "standby");
    let mut latest = session(&newer, &direct, "bereft");
    assert_eq!(read_at(&mut latest), ports([&flock[1]]));

    flock[1].promote();
    await_leader(&read_only, Some(&flock[1]));
    await_leader(&newer, Some(&flock[1]));
    for client in [&mut client, &mut late, &mut latest] {
        client.query(
            "INSERT INTO counters VALUES (1000, 0) ON CONFLICT (client) DO UPDATE SET value = 1",
        );
    }
    let value = flock[1].sql_in("bereft", "SELECT value FROM counters WHERE client = 1000");
    assert_eq!(value, [[Some("1".to_owned())]]);
    assert_eq!(run(&mut idle), at(&flock[1]));
    assert_eq!(idle.value("SHOW timezone"), "Asia/Kolkata");
}

/// Nobody is there to be led to: who waits is told after what, and who leaves or gives up leaves nothing behind.
#[test]
fn those_who_wait_for_a_server_are_told_or_leave_nothing_behind() {
    const NO_PRIMARY: &str = "query_wait_timeout passed while waiting for a server of the cluster to connect to: it \
                              has no primary now";
    let flock = Flock::start(0);
    let direct = role(&flock, "alone");
    let hasty = plan(&flock, &direct, "")
        .set("limits", "query_wait_timeout", "1")
        .more(&database("reads", &direct, "standby"))
        .start();
    let stages = ["primary", "prefer-standby"].map(|target| {
        let target = format!("'{target}'");
        let stage = plan(&flock, &direct, "").set("database", "target", &target);
        stage.more(&database("reads", &direct, "standby")).start()
    });
    let mut told = session(&hasty, &direct, "alone");
    let mut reader = session(&hasty, &direct, "reads");
    let mut stays = session(&stages[0], &direct, "alone");
    let cases = [(0, "alone"), (1, "alone"), (0, "reads")];
    let sessions = cases.map(|(stage, database)| {
        let new = || session(&stages[stage], &direct, database);
        (new(), new())
    });
    told.query("SELECT 1");
    stays.query("SELECT 1");
    // There is a primary, which is not what is missing here.
    reader.peer.send(&message::query("SELECT 1"));
    let error = reader.peer.expect_error("57P03");
    let said = error.error_text();
    assert!(
        said.contains("query_wait_timeout") && !said.contains("primary"),
        "{said}"
    );

    // While a server is dialled that does not answer, it is the same.
    let waiting = |stage: &Stage| {
        let pools = show(&mut console(stage, ADMIN), "POOLS");
        let of_role = pools.iter().filter(|it| text(it, "user") == "alone");
        of_role.map(|it| number(it, "cl_waiting")).sum::<u64>()
    };
    let hung = plan(&flock, &direct, "check_timeout = '60s'").start();
    let mut has_one = session(&hung, &direct, "alone");
    let mut dials = session(&hung, &direct, "alone");
    has_one.query("BEGIN");
    flock[0].hang();
    dials.peer.send(&message::query("SELECT 1"));
    wait::until("it to wait", wait::LONG, || waiting(&hung) == 1);
    cancel(&hung, &dials);
    dials.peer.expect_error("57014");
    dials.peer.until_ready();
    wait::until("nobody to wait", wait::LONG, || waiting(&hung) == 0);
    flock[0].wake();
    has_one.query("COMMIT");
    dials.query("SELECT 1");

    flock[0].kill();
    for stage in stages.iter().chain([&hasty]) {
        await_leader(stage, None);
    }
    told.peer.send(&message::query("SELECT 1"));
    let error = told.peer.expect_error("57P03");
    assert_eq!(error.field(b'M').as_deref(), Some(NO_PRIMARY));

    for ((stage, _), (mut leaves, mut cancels)) in cases.into_iter().zip(sessions) {
        let stage = &stages[stage];
        leaves.peer.send(&message::query("SELECT 1"));
        cancels.peer.send(&message::query("SELECT 1"));
        wait::until("both to wait", wait::LONG, || waiting(stage) == 2);
        leaves.peer.cut();
        wait::until("the one that left to be gone", wait::LONG, || {
            waiting(stage) == 1
        });
        cancel(stage, &cancels);
        cancels.peer.expect_error("57014");
        cancels.peer.until_ready();
        wait::until("nobody to wait", wait::LONG, || waiting(stage) == 0);
        let clusters = show(&mut console(stage, ADMIN), "CLUSTERS");
        assert_eq!(number(of(&clusters, "name", "main"), "waiting"), 0);
        assert!(!stage.proxy.log().contains("panicked"));
    }
    // Nobody is in the way of the one that waits to the end.
    stays.peer.send(&message::query("SELECT 1"));
    wait::until("it to wait", wait::LONG, || waiting(&stages[0]) == 1);
    flock[0].start_again();
    stays.peer.until_ready();
}

/// Cancels what this session waits for.
#[track_caller]
fn cancel(stage: &Stage, session: &Session) {
    let key = session.key.as_ref().expect("a key");
    let (pid, secret) = key.body.split_first_chunk().expect("a process id");
    let mut peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
    peer.send(&message::cancel(u32::from_be_bytes(*pid), secret));
    peer.drain();
}

/// There is no standby, and none of its own to wait for; and one whose pool has no place left. Whoever hangs up while it
/// logs in waits no more, and holds no place.
#[test]
fn who_hangs_up_while_it_logs_in_waits_no_more() {
    let flock = Flock::start(0);
    let direct = role(&flock, "gone");
    let of_session = |name: &str, target: &str| {
        let database = database(name, &direct, target).replace("'transaction'", "'session'");
        database + "max_db_connections = 1\n"
    };
    let stage = plan(&flock, &direct, "")
        .set("listen", "client_login_timeout", "'10min'")
        .set("limits", "query_wait_timeout", "'10min'")
        .more(&of_session("none", "standby"))
        .more(&of_session("full", "primary"))
        .start();
    let _holder = session(&stage, &direct, "full");
    let mut admin = console(&stage, ADMIN);
    let mut waiting = |database: &str| {
        let clients = show(&mut admin, "CLIENTS");
        let waits = |it: &&Row| (text(it, "database"), text(it, "state")) == (database, "waiting");
        clients.iter().filter(waits).count()
    };
    for database in ["none", "full"] {
        let endpoint = Endpoint {
            database: database.to_owned(),
            ..stage.endpoint(&direct)
        };
        let mut peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
        peer.send(&startup(&endpoint));
        offer_proof(&mut peer, &endpoint.password);
        wait::until("a client that waits", wait::LONG, || waiting(database) == 1);
        peer.cut();
        wait::until("its end", wait::LONG, || waiting(database) == 0);
    }
}
