//! Restarts without a refused connection: a new process takes the listening sockets of the running one.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use e2e::drivers::{Endpoint, log_in_until};
use e2e::scripted::Session;
use e2e::{Stage, StagePlan};
use testkit::account::Account;
use testkit::guard::{Guarded, Workplace};
use testkit::peer::message;
use testkit::{ClientTls, Cluster, Frame, Peer, Portcullis, Signal, ports, proxy, wait};

/// A restart may take its 5 seconds for a silent stranger, and more on a loaded machine.
const PATIENT: Duration = Duration::from_secs(90);

fn plan(direct: &Endpoint) -> StagePlan {
    Stage::before(Cluster::shared())
        .user(direct)
        .set("listen", "takeover_socket", "'takeover.sock'")
        .set("limits", "cancel_rate", "1000")
}

fn socket(stage: &Stage) -> PathBuf {
    stage.proxy.directory().join("takeover.sock")
}

/// A process that has taken over.
#[track_caller]
fn successor(before: &Portcullis) -> Portcullis {
    let next = before.successor();
    next.await_log("took over");
    next.await_log(" ready");
    before.await_log("taken over");
    next
}

#[track_caller]
fn ends(proxy: &mut Portcullis) {
    let status = proxy.await_end(PATIENT);
    assert!(status.success(), "{status}\n{}", proxy.log());
}

/// Says as the beginning of a take-over does.
fn hello(version: u8) -> Vec<u8> {
    [b"\0\x15Hportcullis takeover", &[version][..]].concat()
}

/// Has clients come in a loop for as long as it lives.
struct Until<'a>(&'a AtomicBool);

impl Drop for Until<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn clients_that_come_in_a_loop_never_fail() {
    let direct = Endpoint::direct(Cluster::shared(), "in_a_loop");
    let metrics = ports::reserve();
    let mut stage = plan(&direct)
        .set("listen", "unix_socket_dir", "'.'")
        .set("auth", "unix_socket_method", "'scram-sha-256'")
        .more(&format!("[metrics]\naddress = '{}'\n", metrics.address()))
        .start();
    stage.proxy.await_log(" ready");
    let endpoint = stage.endpoint(&direct);
    let unix = Endpoint {
        host: stage.proxy.directory().display().to_string(),
        ..stage.endpoint(&direct)
    };
    let over_unix = || unix.login().with("PGSSLMODE", "prefer").says();
    let mut processes: Vec<Portcullis> = Vec::new();
    let mut sessions = vec![Session::through(&stage, &direct)];
    sessions[0].query("BEGIN");
    let over = AtomicBool::new(false);
    let logins: Vec<_> = thread::scope(|scope| {
        let running = Until(&over);
        let coming = || log_in_until(&endpoint, || over.load(Ordering::Relaxed));
        let clients = [scope.spawn(coming), scope.spawn(coming)];
        for _ in 0..3 {
            let next = successor(processes.last().unwrap_or(&stage.proxy));
            assert_eq!(over_unix(), "in_a_loop");
            let mut page = Peer::tcp(metrics.address());
            page.send(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            page.expect(b"HTTP/1.1 200 ");
            sessions.push(Session::through(&stage, &direct));
            processes.push(next);
        }
        drop(running);
        clients.map(|it| it.join().expect("the clients")).into()
    });
    for count in logins {
        assert!(count.expect("no login fails") > 0);
    }
    // Each session goes on where it began.
    for session in &mut sessions {
        assert_eq!(session.value("SELECT 7"), "7");
    }
    sessions[0].query("COMMIT");
    drop(sessions);
    let mut last = processes.pop().expect("the last one");
    ends(&mut stage.proxy);
    processes.iter_mut().for_each(ends);
    // The files were left to the last one, which takes them along.
    assert_eq!(over_unix(), "in_a_loop");
    assert!(socket(&stage).exists());
    last.signal(Signal::SIGINT);
    ends(&mut last);
    assert!(!socket(&stage).exists() && !unix_file(&stage).exists());
}

fn unix_file(stage: &Stage) -> PathBuf {
    let name = format!(".s.PGSQL.{}", stage.proxy.port());
    stage.proxy.directory().join(name)
}

/// Asks for a cancel and waits until it is done.
fn cancel(stage: &Stage, tls: &ClientTls, key: &Frame) {
    let mut peer = Peer::tls(stage.proxy.address(), tls);
    let (pid, key) = key.body.split_first_chunk::<4>().expect("a process id");
    peer.send(&message::cancel(u32::from_be_bytes(*pid), key));
    let (rest, _) = peer.drain();
    assert!(rest.is_empty(), "{}", rest.escape_ascii());
}

/// By way of the processes in between, where there are some.
#[test]
fn cancels_reach_the_sessions_of_before() {
    let cluster = Cluster::shared();
    for (mode, role) in [("session", "taken_1"), ("transaction", "taken_2")] {
        let direct = Endpoint::role(cluster, role);
        let mode = format!("'{mode}'");
        let mut stage = plan(&direct).set("pool", "pool_mode", &mode).start();
        stage.proxy.await_log(" ready");
        let mut session = Session::through(&stage, &direct);
        let key = session.key.take().expect("BackendKeyData");
        let mut others = Vec::new();
        for _ in 0..2 {
            others.push(successor(others.last().unwrap_or(&stage.proxy)));
            session.peer.send(&message::query("SELECT pg_sleep(120)"));
            let asleep = format!(
                "SELECT 1 FROM pg_stat_activity WHERE usename = '{role}' AND wait_event = 'PgSleep'"
            );
            let sleeps = || !cluster.sql(&asleep).is_empty();
            wait::until("the query", wait::LONG, sleeps);
            // A key that nobody has issued hits nobody.
            let mut wrong = key.clone();
            wrong.body[4] ^= 1;
            cancel(&stage, &stage.client_tls(), &wrong);
            assert!(sleeps());
            cancel(&stage, &stage.client_tls(), &key);
            session.peer.expect_frame(b'T');
            session.peer.expect_error("57014");
            session.peer.until_tag(b'Z');
        }
        stage
            .proxy
            .await_log("cancel request passed back and carried out");
        drop(session);
        ends(&mut stage.proxy);
        // The one in between has waited for that.
        ends(&mut others[0]);
        assert_eq!(stage.endpoint(&direct).login().says(), role);
    }
}

/// What somebody does at the socket who has the right to be there, and then?
#[test]
fn whoever_does_not_take_over_changes_nothing() {
    let direct = Endpoint::direct(Cluster::shared(), "not_taken");
    let mut stage = plan(&direct)
        .set("listen", "unix_socket_dir", "'.'")
        .start();
    stage.proxy.await_log(" ready");
    assert_eq!(mode(&stage), 0o600);
    let mut session = Session::through(&stage, &direct);
    let connect = || UnixStream::connect(socket(&stage)).expect("the socket");
    for (said, reason) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "not understood"),
        (&b"\0\x01R"[..], "not understood"),
        (&hello(77)[..], "speaks version 77"),
        (&b""[..], "it closed the connection"),
    ] {
        let mut garbage = connect();
        garbage.write_all(said).expect("room for it");
        let _ = garbage.shutdown(std::net::Shutdown::Write);
        let mut rest = Vec::new();
        let _ = garbage.read_to_end(&mut rest);
        stage.proxy.await_log(reason);
    }
    // One that gets the sockets, and is killed before it serves.
    let mut killed = connect();
    killed.write_all(&hello(1)).expect("room for it");
    let mut answer = [0; 3];
    killed.read_exact(&mut answer).expect("the sockets");
    assert_eq!(answer[2], b'S');
    drop(killed);
    let refusals = || stage.proxy.log().matches("has not taken over").count();
    wait::until("the last of them", wait::LONG, || refusals() == 5);
    assert_eq!(stage.endpoint(&direct).login().says(), "not_taken");
    assert!(unix_file(&stage).exists());
    // A silent one keeps others waiting for a moment, and no client.
    let silent = connect();
    let mut next = stage.proxy.successor();
    assert_eq!(stage.endpoint(&direct).login().says(), "not_taken");
    wait::until("the next process", PATIENT, || {
        next.log().contains("took over")
    });
    stage.proxy.await_log("it did not answer in time");
    drop(silent);
    assert_eq!(session.value("SELECT 7"), "7");
    drop(session);
    ends(&mut stage.proxy);
    assert_eq!(stage.endpoint(&direct).login().says(), "not_taken");
    // The files still were this one's to remove after all that.
    next.signal(Signal::SIGTERM);
    ends(&mut next);
    assert!(!unix_file(&stage).exists() && !socket(&stage).exists());
}

fn mode(stage: &Stage) -> u32 {
    let metadata = fs::metadata(socket(stage)).expect("the socket");
    metadata.permissions().mode() & 0o777
}

#[test]
fn two_at_once_take_turns() {
    let direct = Endpoint::direct(Cluster::shared(), "two_at_once");
    let mut stage = plan(&direct).start();
    stage.proxy.await_log(" ready");
    let mut both = [stage.proxy.successor(), stage.proxy.successor()];
    for process in &both {
        process.await_log("took over");
    }
    ends(&mut stage.proxy);
    // One has taken over from the other.
    let ended = wait::until_some("the end of one", PATIENT, || {
        let is_taken = |it: &Portcullis| it.log().contains("taken over");
        both.iter().position(is_taken)
    });
    ends(&mut both[ended]);
    let left = &both[1 - ended];
    assert!(!left.log().contains("taken over"), "{}", left.log());
    assert_eq!(stage.endpoint(&direct).login().says(), "two_at_once");
}

/// The mode keeps others out; whoever gets in all the same is judged by its user id.
#[test]
fn strangers_get_nothing() {
    let direct = Endpoint::direct(Cluster::shared(), "not_for_strangers");
    let stage = plan(&direct)
        .set("listen", "takeover_socket", "'.s.PGSQL.1'")
        .start();
    stage.proxy.await_log(" ready");
    let directory = stage.proxy.directory();
    let everybody = |path: PathBuf| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("a mode");
    };
    everybody(directory.to_owned());
    let account = Account::for_server();
    // What psql says first is no take-over; but for a stranger nothing is read.
    let knock = || {
        let psql = Cluster::client_program("psql");
        let mut psql = account.command(Path::new(psql.get_program()));
        psql.args(["--port", "1", "--host"]).arg(directory);
        psql.current_dir("/").stdin(Stdio::null());
        let output = psql.output().expect("psql");
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let is_stranger = matches!(account, Account::Other(_));
    if is_stranger {
        let said = knock();
        assert!(said.contains("Permission denied"), "{said}");
    }
    everybody(directory.join(".s.PGSQL.1"));
    knock();
    stage.proxy.await_log(match is_stranger {
        true => "it belongs to user id",
        false => "not understood",
    });
    assert_eq!(stage.endpoint(&direct).login().says(), "not_for_strangers");
}

#[test]
fn clients_that_stay_are_drained_in_time() {
    let direct = Endpoint::direct(Cluster::shared(), "stays_too_long");
    let mut stage = plan(&direct)
        .set("listen", "takeover_timeout", "1")
        .set("listen", "drain_timeout", "1")
        .start();
    stage.proxy.await_log(" ready");
    let (mut idle, mut busy) = (
        Session::through(&stage, &direct),
        Session::through(&stage, &direct),
    );
    busy.query("BEGIN");
    let _next = successor(&stage.proxy);
    idle.peer.expect_error("57P01");
    busy.peer.expect_error("57P01");
    ends(&mut stage.proxy);
    assert!(stage.proxy.log().contains("draining"));
}

/// What doesn't fit anew is an error of the new process, and the old one goes on.
#[test]
fn a_process_that_cannot_serve_leaves_all_as_it_was() {
    let direct = Endpoint::direct(Cluster::shared(), "cannot_serve");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let stage = plan(&direct).start();
    stage.proxy.await_log(" ready");
    let file = stage.proxy.directory().join("portcullis.toml");
    let text = fs::read_to_string(&file).expect("the configuration");
    let address = taken.local_addr().expect("its address");
    fs::write(&file, format!("{text}\n[metrics]\naddress = '{address}'\n")).expect("the file");
    let mut next = stage.proxy.successor();
    assert!(!next.await_end(wait::LONG).success());
    assert!(next.log().contains("cannot listen on"), "{}", next.log());
    stage
        .proxy
        .await_log("has not taken over; everything stays as it was");
    assert_eq!(stage.endpoint(&direct).login().says(), "cannot_serve");
    assert!(socket(&stage).exists());
}

/// The page's own commands, with the running process that they are for.
#[test]
fn the_page_restarts() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/restart.md");
    let page = fs::read_to_string(page).expect("the page");
    let block = page
        .split("```sh\n")
        .nth(1)
        .and_then(|it| it.split("```").next());
    let lines: Vec<_> = block.expect("commands").lines().collect();
    let [check, run] = lines[..] else {
        panic!("{lines:?}");
    };
    let direct = Endpoint::direct(Cluster::shared(), "by_the_page");
    let mut stage = plan(&direct).start();
    stage.proxy.await_log(" ready");
    let program = |line: &str| {
        let words: Vec<_> = line.trim_end_matches(" &").split(' ').collect();
        assert_eq!(words[0], "portcullis");
        let mut command = Command::new(proxy::binary());
        command.args(&words[1..]).env_remove("RUST_LOG");
        command.current_dir(stage.proxy.directory());
        command
    };
    let output = program(check).output().expect("the check");
    assert!(output.status.success(), "{output:?}");
    let place = Workplace::new("portcullis-page-");
    let log = place.path().join("log");
    let command = program(run);
    let _next = Guarded::start(command, place, &log, Signal::SIGINT);
    ends(&mut stage.proxy);
    assert_eq!(stage.endpoint(&direct).login().says(), "by_the_page");
    let said = fs::read_to_string(&log).expect("the log");
    // The line that the page shows, but for its numbers.
    assert!(
        said.contains("INFO portcullis::takeover: took over pid="),
        "{said}"
    );
    let taken = "INFO portcullis::takeover: taken over: clients stay until they leave; a signal ends \
        their sessions pid=";
    for line in ["INFO portcullis::takeover: took over pid=", taken] {
        assert!(page.contains(line), "{line}");
    }
    assert!(stage.proxy.log().contains(taken), "{}", stage.proxy.log());
}
