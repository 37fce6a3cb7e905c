//! Listening sockets that a service manager has opened (sd_listen_fds(3)): found by their addresses, kept
//! by it, and kept from children.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;

use e2e::drivers::Endpoint;
use e2e::scripted::Session;
use e2e::{Stage, StagePlan};
use nix::fcntl::{FcntlArg, fcntl};
use testkit::{Cluster, Peer, Portcullis, Signal, ports, proxy, wait};

/// Where copies begin that are not close-on-exec: above those that the shell is to give away.
const COPIES_FROM: i32 = 50;

/// Starts a process with the configuration of one that has ended, and with these sockets.
#[track_caller]
fn started(before: &Portcullis, sockets: &[&dyn AsFd]) -> Portcullis {
    let above = || FcntlArg::F_DUPFD(COPIES_FROM);
    let copy = |socket: &&dyn AsFd| fcntl(socket.as_fd(), above()).expect("a copy");
    let copies: Vec<i32> = sockets.iter().map(copy).collect();
    let given: String = (3..)
        .zip(&copies)
        .map(|(number, copy)| format!("exec {number}<&{copy} {copy}<&-; "))
        .collect();
    let count = copies.len();
    let script =
        format!("{given} LISTEN_PID=$$ LISTEN_FDS={count} LISTEN_FDNAMES=a:b exec \"$0\" \"$@\"");
    // Not every shell has numbers of two digits.
    let mut shell = Command::new("bash");
    shell.args(["-c", &script]).arg(proxy::binary());
    let process = before.successor_by(shell);
    for copy in copies {
        nix::unistd::close(copy).expect("a copy of our own");
    }
    process
}

/// A configuration and what it needs, without a process.
#[track_caller]
fn ended(plan: StagePlan) -> Stage {
    let mut stage = plan.start();
    stage.proxy.await_log(" ready");
    stage.proxy.signal(Signal::SIGINT);
    assert!(stage.proxy.await_end(wait::LONG).success());
    stage
}

fn unix_file(stage: &Stage) -> PathBuf {
    let name = format!(".s.PGSQL.{}", stage.proxy.port());
    stage.proxy.directory().join(name)
}

#[test]
fn a_restart_keeps_those_who_come_waiting() {
    let direct = Endpoint::direct(Cluster::shared(), "kept_waiting");
    let reserved = ports::reserve();
    let stage = ended(
        Stage::before(Cluster::shared())
            .user(&direct)
            .set("listen", "unix_socket_dir", "'.'")
            .set("auth", "unix_socket_method", "'scram-sha-256'")
            .more(&format!("[metrics]\naddress = '{}'\n", reserved.address())),
    );
    let tcp = TcpListener::bind(stage.proxy.address()).expect("the address");
    let unix = UnixListener::bind(unix_file(&stage)).expect("the path");
    let metrics: SocketAddr = reserved.address().parse().expect("an address");
    let metrics = TcpListener::bind(metrics).expect("the address");
    let over_unix = Endpoint {
        host: stage.proxy.directory().display().to_string(),
        ..stage.endpoint(&direct)
    };
    for _ in 0..2 {
        // Nobody is there to accept, and nobody is refused.
        let early = Peer::tcp(stage.proxy.address());
        let mut process = started(&stage.proxy, &[&tcp, &unix, &metrics]);
        let early = early.request_tls(&stage.client_tls());
        let mut session = Session::begin(early, &stage.endpoint(&direct));
        assert_eq!(session.value("SELECT 7"), "7");
        assert_eq!(
            over_unix.login().with("PGSSLMODE", "prefer").says(),
            "kept_waiting"
        );
        let mut page = Peer::tcp(reserved.address());
        page.send(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        page.expect(b"HTTP/1.1 200 ");
        process.signal(Signal::SIGINT);
        session.peer.expect_error("57P01");
        assert!(process.await_end(wait::LONG).success());
        // The file is the manager's.
        assert!(unix_file(&stage).exists());
    }
}

#[test]
fn a_socket_that_nobody_would_accept_from_is_an_error() {
    let stage = ended(Stage::before(Cluster::shared()));
    let tcp = TcpListener::bind(stage.proxy.address()).expect("the address");
    let other = TcpListener::bind("127.0.0.1:0").expect("an address");
    let at = other.local_addr().expect("its address").to_string();
    let connection = std::net::TcpStream::connect(&at).expect("a connection");
    for (second, said) in [
        (
            &other as &dyn AsFd,
            format!("listens on {at}, and no address"),
        ),
        (
            &connection,
            "descriptor 4 (b) of the service manager cannot be used: it is no socket that listens"
                .to_owned(),
        ),
    ] {
        let mut process = started(&stage.proxy, &[&tcp, second]);
        let status = process.await_end(wait::LONG);
        assert_eq!(status.code(), Some(1), "{}", process.log());
        assert!(process.log().contains(&said), "{}", process.log());
    }
}

/// Neither the variables nor the descriptors.
#[test]
fn programs_that_the_proxy_runs_do_not_get_them() {
    // Moved into place whole: the program runs again, with other streams, when files are reread.
    let script = "env > v.$$; mv v.$$ variables; \
                  ls -l /proc/self/fd > d.$$; mv d.$$ descriptors; echo none";
    let command = format!("['/bin/sh', '-c', '{script}']");
    let stage = ended(Stage::before(Cluster::shared()).set(
        "listen.tls",
        "private_key_passphrase_command",
        &command,
    ));
    let tcp = TcpListener::bind(stage.proxy.address()).expect("the address");
    let process = started(&stage.proxy, &[&tcp]);
    process.await_log(" ready");
    let seen = |name: &str| {
        fs::read_to_string(stage.proxy.directory().join(name)).expect("what the program saw")
    };
    assert!(
        !seen("variables").contains("LISTEN_"),
        "{}",
        seen("variables")
    );
    let descriptors = seen("descriptors");
    // A test beside this one may have had copies open, for a process of its own, when this one began.
    let is_copy = |line: &str| {
        let number = line.split_once(" -> ").map(|(head, _)| head.rsplit(' '));
        let number = number.and_then(|mut words| words.next()?.parse::<i32>().ok());
        number.is_some_and(|number| number >= COPIES_FROM)
    };
    let own: Vec<&str> = descriptors.lines().filter(|it| !is_copy(it)).collect();
    let is_kept_back = !own.iter().any(|it| it.contains("socket:"));
    assert!(
        descriptors.contains("/proc/") && is_kept_back,
        "{descriptors}"
    );
}

/// What systemd keeps is handed on, and stays its own.
#[test]
fn they_are_handed_over_too() {
    let direct = Endpoint::direct(Cluster::shared(), "kept_and_handed");
    let stage = ended(
        Stage::before(Cluster::shared())
            .user(&direct)
            .set("listen", "unix_socket_dir", "'.'")
            .set("listen", "takeover_socket", "'takeover.sock'"),
    );
    let tcp = TcpListener::bind(stage.proxy.address()).expect("the address");
    let unix = UnixListener::bind(unix_file(&stage)).expect("the path");
    let mut first = started(&stage.proxy, &[&tcp, &unix]);
    first.await_log(" ready");
    let mut next = stage.proxy.successor();
    next.await_log("took over");
    assert!(first.await_end(wait::LONG).success());
    assert_eq!(stage.endpoint(&direct).login().says(), "kept_and_handed");
    next.signal(Signal::SIGINT);
    assert!(next.await_end(wait::LONG).success());
    assert!(unix_file(&stage).exists());
    assert!(!stage.proxy.directory().join("takeover.sock").exists());
}
