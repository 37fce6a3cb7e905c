//! Bounds and deadlines: connections, memory, time, descriptors; the end by signal; and a start
//! that can't be.

use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use e2e::drivers::{Endpoint, succeed};
use e2e::scripted::{Bystander, Session, answer_offer, prove, startup};
use e2e::{Stage, StagePlan};
use nix::sys::signal::Signal;
use testkit::peer::message::{self, frame, query};
use testkit::wait::{self, LONG};
use testkit::{Authority, Cluster, End, Frame, Identity, Peer, Portcullis};

const MB: usize = 1024 * 1024;

fn direct() -> &'static Endpoint {
    static DIRECT: OnceLock<Endpoint> = OnceLock::new();
    DIRECT.get_or_init(|| Endpoint::direct(Cluster::shared(), "limits"))
}

fn plan() -> StagePlan {
    Stage::before(Cluster::shared()).user(direct())
}

fn session(stage: &Stage) -> Session {
    Session::through(stage, &stage.endpoint(direct()))
}

/// A session, or the error that came in its place.
#[track_caller]
fn try_session(stage: &Stage) -> Result<Session, Frame> {
    let mut peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
    peer.send(&startup(direct()));
    let offer = peer.frame();
    let answer = match offer.tag {
        b'E' => offer,
        // Some limits show only behind the proof.
        _ => {
            answer_offer(&mut peer, &offer, &direct().password);
            peer.frame()
        }
    };
    match answer.tag {
        b'E' => {
            assert_eq!(answer.field(b'V').as_deref(), Some("FATAL"));
            assert_eq!(peer.end(), End::CloseNotify);
            Err(answer)
        }
        _ => Ok(Session::settle(peer)),
    }
}

/// A login that gets this SQLSTATE in place of a session; the message.
#[track_caller]
fn refused(stage: &Stage, sqlstate: &str) -> String {
    let error = try_session(stage).err().expect("an error");
    assert_eq!(error.field(b'C').as_deref(), Some(sqlstate));
    error.field(b'M').unwrap_or_default()
}

/// A line of /proc/<pid>/status, in bytes.
#[track_caller]
fn status_bytes(proxy: &Portcullis, name: &str) -> usize {
    let text = fs::read_to_string(format!("/proc/{}/status", proxy.pid())).expect("its status");
    let line = text.lines().find(|line| line.starts_with(name));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.expect("a number").parse::<usize>().expect("kB") * 1024
}

#[test]
fn too_many_clients() {
    let stage = plan().set("listen", "max_client_conn", "2").start();
    // The kit's look whether the proxy listens was a client, too: wait until it is forgotten.
    let enter = || wait::until_some("a free place", LONG, || try_session(&stage).ok());
    let (mut first, second) = (enter(), enter());
    let told = refused(&stage, "53300");
    assert!(told.contains("max_client_conn = 2"), "{told}");
    first.query("SELECT 1");
    drop(second);
    enter().query("SELECT 1");
    first.query("SELECT 1");
}

#[test]
fn too_many_server_connections() {
    let stage = plan()
        .set("database", "max_db_connections", "1")
        .set("limits", "query_wait_timeout", "1")
        .start();
    let mut first = session(&stage);
    let start = Instant::now();
    let told = refused(&stage, "57P03");
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert!(
        told.contains("query_wait_timeout") && told.contains("max_db_connections"),
        "{told}"
    );
    first.query("SELECT 1");
    // A place becomes free: the next login gets it, also if the old client is slow to leave.
    first.peer.send(&message::TERMINATE);
    session(&stage).query("SELECT 1");
}

/// A row and a parameter far larger than any buffer take no memory: 64 MB here, nearly as much as
/// PostgreSQL can hold in `make soak`.
#[test]
fn big_messages_pass_in_pieces() {
    const ROOM: usize = 8 * MB;
    let len = match std::env::var_os("PORTCULLIS_SOAK") {
        Some(_) => 900 * MB,
        None => 64 * MB,
    };
    let stage = plan().start();
    let mut session = session(&stage);
    session.query("SELECT 1");
    let before = status_bytes(&stage.proxy, "VmHWM:");
    let sent = query(&format!("SELECT repeat('x', {len})"));
    session.peer.send(&sent);
    let frames = session.peer.until_ready();
    let row = frames.iter().find(|frame| frame.tag == b'D');
    assert_eq!(row.expect("a row").body.len(), 2 + 4 + len);
    // Bind: no names, one text parameter.
    let length = u32::try_from(len).expect("32 bits").to_be_bytes();
    let body = [
        &b"\0\0\0\0\0\x01"[..],
        &length,
        "y".repeat(len).as_bytes(),
        b"\0\0",
    ]
    .concat();
    let batch = [
        frame(b'P', b"\0SELECT length($1::text)\0\0\0"),
        frame(b'B', &body),
        frame(b'E', b"\0\0\0\0\0"),
        message::SYNC.to_vec(),
    ];
    session.peer.send(&batch.concat());
    let frames = session.peer.until_ready();
    let row = frames.iter().find(|frame| frame.tag == b'D');
    let answer = len.to_string();
    assert_eq!(&row.expect("a row").body[6..], answer.as_bytes());
    let after = status_bytes(&stage.proxy, "VmHWM:");
    assert!(after < before + ROOM, "{before} bytes grew to {after}");
}

/// The server process of a session whose client doesn't read, once it is held back.
#[track_caller]
fn flood(session: &mut Session) -> u32 {
    let pid = session.process_id();
    let series = "SELECT repeat('x', 10000) FROM generate_series(1, 10000)";
    session.peer.send(&query(series));
    let held =
        format!("SELECT 1 FROM pg_stat_activity WHERE pid = {pid} AND wait_event = 'ClientWrite'");
    wait::until("a server that is held back", LONG, || {
        !Cluster::shared().sql(&held).is_empty()
    });
    pid
}

#[test]
fn a_slow_reader_holds_its_server_back() {
    const ROOM: usize = 8 * MB;
    let stage = plan().start();
    let mut bystander = Bystander::new(&stage, &stage.endpoint(direct()));
    let mut slow = session(&stage);
    let before = status_bytes(&stage.proxy, "VmHWM:");
    flood(&mut slow);
    bystander.is_well();
    let after = status_bytes(&stage.proxy, "VmHWM:");
    assert!(after < before + ROOM, "{before} bytes grew to {after}");
    // Nothing was lost.
    let rows = slow.peer.until_ready();
    assert_eq!(
        rows.iter().filter(|frame| frame.tag == b'D').count(),
        10_000
    );
    slow.query("SELECT 1");
}

/// Waits until the server works for nobody any more: it is gone, or rests for the next client.
#[track_caller]
fn stopped(pid: u32) {
    let works = format!(
        "SELECT 1 FROM pg_stat_activity WHERE pid = {pid} AND NOT \
         (state = 'idle' AND query = 'DISCARD ALL')"
    );
    wait::until("the server's rest or end", LONG, || {
        Cluster::shared().sql(&works).is_empty()
    });
}

#[test]
fn a_client_that_hangs_up_unread_is_noticed() {
    let stage = plan().start();
    let mut bystander = Bystander::new(&stage, &stage.endpoint(direct()));
    for leave in [Peer::close, Peer::cut, Peer::reset] {
        let mut slow = session(&stage);
        let pid = flood(&mut slow);
        leave(slow.peer);
        stopped(pid);
        bystander.is_well();
    }
}

#[test]
fn idle_clients_are_told_why_they_must_go() {
    const LIMIT: Duration = Duration::from_millis(500);
    // Setting, what brings the session into its state, SQLSTATE.
    let table: [(&str, &[u8], &str); 4] = [
        ("client_idle_timeout", &[], "57P05"),
        // Half a message makes nobody busy.
        ("client_idle_timeout", b"Q\0\0", "57P05"),
        ("idle_transaction_timeout", &query("BEGIN"), "25P03"),
        ("query_timeout", &query("SELECT pg_sleep(3)"), "08006"),
    ];
    std::thread::scope(|scope| {
        for (setting, bytes, sqlstate) in table {
            scope.spawn(move || {
                let stage = plan().set("listen", setting, "'500ms'").start();
                let mut session = session(&stage);
                // Activity begins the time anew.
                session.query("SELECT 1");
                let start = Instant::now();
                session.peer.send(bytes);
                let frames = session.peer.until_tag(b'E');
                let error = frames.last().expect("an error");
                assert!(
                    start.elapsed() >= LIMIT - Duration::from_millis(20),
                    "{setting}"
                );
                assert_eq!(error.field(b'C').as_deref(), Some(sqlstate), "{setting}");
                assert_eq!(error.field(b'V').as_deref(), Some("FATAL"));
                let text = error.field(b'M').unwrap_or_default();
                assert!(text.contains(setting), "{text}");
                assert_eq!(session.peer.end(), End::CloseNotify);
                stage.proxy.await_log(&format!("{setting} passed"));
            });
        }
    });
}

/// A server that works on a statement doesn't notice that its connection is gone.
#[test]
fn an_overdue_query_is_cancelled_at_the_server() {
    let stage = plan().set("listen", "query_timeout", "'300ms'").start();
    let mut session = session(&stage);
    session.peer.send(&query("SELECT pg_sleep(300), 'overdue'"));
    session.peer.until_tag(b'E');
    let running = "SELECT count(*) FROM pg_stat_activity \
        WHERE state = 'active' AND query LIKE '%''overdue''%' AND pid <> pg_backend_pid()";
    wait::until("the end of the statement", LONG, || {
        Cluster::shared().sql(running)[0][0].as_deref() == Some("0")
    });
    stage.proxy.await_log("cancel request carried out");
}

/// Limits of one kind leave sessions of another alone.
#[test]
fn a_session_in_a_transaction_is_not_idle() {
    let stage = plan()
        .set("listen", "client_idle_timeout", "'300ms'")
        .start();
    let mut session = session(&stage);
    session.query("BEGIN");
    assert!(session.peer.silent_for(Duration::from_millis(900)));
    session.query("COMMIT");
    session.peer.expect_error("57P05");
}

#[test]
fn running_out_of_descriptors_is_survived() {
    let stage = plan().start();
    let mut bystander = Bystander::new(&stage, &stage.endpoint(direct()));
    let pid = stage.proxy.pid();
    let open = fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors");
    let limit = open.count() + 4;
    succeed(
        Command::new("prlimit")
            .arg("--pid")
            .arg(pid.to_string())
            .arg(format!("--nofile={limit}:{limit}")),
    );
    let start = Instant::now();
    let crowd: Vec<Peer> = (0..20).map(|_| Peer::tcp(stage.proxy.address())).collect();
    let complaint = "cannot accept clients; raise the limit of open files";
    wait::until("a second complaint", LONG, || {
        stage.proxy.log().matches(complaint).count() >= 2
    });
    // Once a second, however often it tries.
    assert!(start.elapsed() >= Duration::from_secs(1));
    bystander.is_well();
    drop(crowd);
    session(&stage).query("SELECT 1");
    bystander.is_well();
}

#[test]
fn the_first_signal_drains_and_the_second_cuts() {
    let mut stage = plan().start();
    let mut idle = session(&stage);
    let (mut finishing, mut stubborn) = (session(&stage), session(&stage));
    for busy in [&mut finishing, &mut stubborn] {
        busy.query("BEGIN");
    }
    stage.proxy.signal(Signal::SIGINT);
    idle.peer.expect_error("57P01");
    assert_eq!(idle.peer.end(), End::CloseNotify);
    // Whoever is in a transaction may end it.
    finishing.query("SELECT 1");
    finishing.query("COMMIT");
    finishing.peer.expect_error("57P01");
    assert_eq!(finishing.peer.end(), End::CloseNotify);
    stubborn.query("SELECT 1");
    stage.proxy.signal(Signal::SIGINT);
    stubborn.peer.expect_error("57P01");
    assert_eq!(stubborn.peer.end(), End::CloseNotify);
    let status = stage.proxy.await_end(LONG);
    assert!(status.success(), "{status}\n{}", stage.proxy.log());
}

#[test]
fn sigterm_waits_for_clients_and_the_second_cuts() {
    let mut stage = plan().start();
    let (mut leaving, mut staying) = (session(&stage), session(&stage));
    stage.proxy.signal(Signal::SIGTERM);
    stage.proxy.await_log("waiting for clients to leave");
    // No new ones, and whoever is there goes on, idle or not.
    wait::until("the doors to close", LONG, || {
        std::net::TcpStream::connect(stage.proxy.address()).is_err()
    });
    for client in [&mut leaving, &mut staying] {
        client.query("BEGIN");
        client.query("COMMIT");
        client.query("SELECT 1");
    }
    drop(leaving);
    staying.query("SELECT 1");
    stage.proxy.signal(Signal::SIGTERM);
    staying.peer.expect_error("57P01");
    assert!(stage.proxy.await_end(LONG).success());

    let mut stage = plan().start();
    let mut last = session(&stage);
    stage.proxy.signal(Signal::SIGTERM);
    stage.proxy.await_log("waiting for clients to leave");
    last.query("SELECT 1");
    drop(last);
    assert!(stage.proxy.await_end(LONG).success());
}

#[test]
fn drain_timeout_cuts_too() {
    let mut stage = plan().set("listen", "drain_timeout", "1").start();
    let mut stubborn = session(&stage);
    stubborn.query("BEGIN");
    let start = Instant::now();
    stage.proxy.signal(Signal::SIGINT);
    stubborn.peer.expect_error("57P01");
    assert!(start.elapsed() >= Duration::from_millis(900));
    assert!(stage.proxy.await_end(LONG).success());
}

/// A client in its login when the proxy is told to end isn't left hanging.
#[test]
fn a_login_under_way_does_not_outlive_the_drain() {
    let mut stage = plan().set("listen", "drain_timeout", "1").start();
    let mut peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
    stage.proxy.signal(Signal::SIGINT);
    stage.proxy.await_log("draining");
    assert!(stage.proxy.await_end(LONG).success());
    peer.drain();
}

#[test]
fn the_shortest_login_timeout_lets_an_honest_client_in() {
    let stage = plan().set("listen", "client_login_timeout", "1").start();
    let mut peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
    peer.send(&startup(direct()));
    prove(&mut peer, &direct().password);
    let mut session = Session::settle(peer);
    // The deadline of the login is over once it is.
    assert!(session.peer.silent_for(Duration::from_millis(1200)));
    session.query("SELECT 1");
}

/// It ends with a code, in one sentence that names what is wrong.
#[track_caller]
fn does_not_start(plan: StagePlan, words: &[&str]) {
    let mut proxy = plan.launch();
    let status = proxy.await_end(LONG);
    let log = proxy.log();
    assert_eq!(status.code(), Some(1), "{log}");
    let errors: Vec<_> = log.lines().filter(|line| line.contains("error")).collect();
    assert_eq!(errors.len(), 1, "{log}");
    for word in words {
        assert!(errors[0].contains(word), "no {word:?} in:\n{log}");
    }
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let plan = plan().set("listen", "address", &format!("'{address}'"));
    does_not_start(plan, &[&address, "in use"]);
}

#[test]
fn files_that_cannot_be_used() {
    let missing = "'/nowhere/proxy.crt'";
    does_not_start(
        plan().set("listen.tls", "certificate", missing),
        &["/nowhere/proxy.crt", "no such file"],
    );
    does_not_start(
        plan().set("listen.tls", "private_key", "'/nowhere/proxy.key'"),
        &["/nowhere/proxy.key", "no such file"],
    );
    // Root reads every file, but no directory.
    does_not_start(
        plan().set("listen.tls", "certificate", "'/'"),
        &["certificate"],
    );
    does_not_start(
        plan().set("auth", "auth_file", "'/nowhere/users.txt'"),
        &["/nowhere/users.txt", "no such file"],
    );
    does_not_start(
        plan().set("database.tls", "ca", "'/nowhere/ca.crt'"),
        &["/nowhere/ca.crt", "no such file"],
    );
}

#[test]
fn a_key_of_another_certificate() {
    let authority = Authority::new("another");
    let (one, two) = (
        authority.issue(&Identity::localhost()),
        authority.issue(&Identity::localhost()),
    );
    let mixed = testkit::Certificate {
        certificate: one.certificate,
        key: two.key,
    };
    does_not_start(plan().certificate(&authority, &mixed), &["private_key"]);
}

#[test]
fn files_that_are_no_certificates() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("rubbish.pem");
    fs::write(&file, "this is no PEM\n").expect("a file");
    let file = format!("'{}'", file.display());
    does_not_start(
        plan().set("listen.tls", "certificate", &file),
        &["rubbish.pem"],
    );
    does_not_start(plan().set("database.tls", "ca", &file), &["rubbish.pem"]);
}
