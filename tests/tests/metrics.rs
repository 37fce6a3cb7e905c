//! The HTTP listener: what it tells, whom it tells, and when it says that clients should go elsewhere.

use std::process::{Command, Stdio};

use e2e::drivers::Endpoint;
use e2e::observed::address;
use e2e::scripted::Session;
use e2e::{Stage, StagePlan};
use testkit::{Authority, ClientTls, Cluster, Identity, Peer, Signal, wait};

/// A proxy with these settings in `[metrics]`.
fn plan(metrics: &str) -> StagePlan {
    let more = format!("[metrics]\naddress = '127.0.0.1:0'\n{metrics}\n");
    StagePlan::new("localhost", 1, "ca.crt".as_ref()).more(&more)
}

/// Sends one request and reads the whole answer.
fn ask(mut peer: Peer, line: &str, headers: &[&str]) -> String {
    let headers: String = headers.iter().map(|it| format!("{it}\r\n")).collect();
    peer.send(format!("{line} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n").as_bytes());
    String::from_utf8(peer.drain().0).expect("text")
}

fn fetch(stage: &Stage, path: &str, headers: &[&str]) -> String {
    let headers = [&["Host: 127.0.0.1"], headers].concat();
    ask(Peer::tcp(address(stage)), &format!("GET {path}"), &headers)
}

#[track_caller]
fn is(answer: &str, status: u16) {
    let wanted = format!("HTTP/1.1 {status} ");
    assert!(answer.starts_with(&wanted), "{answer}");
}

#[test]
fn numbers_of_a_running_proxy() {
    let cluster = Cluster::shared();
    let direct = Endpoint::direct(cluster, "metrics");
    let stage = Stage::before(cluster)
        .user(&direct)
        .more("[metrics]\naddress = '127.0.0.1:0'\n")
        .start();
    let mut session = Session::begin(
        Peer::tls(stage.proxy.address(), &stage.client_tls()),
        &stage.endpoint(&direct),
    );
    session.query("SELECT 1");
    let answer = fetch(&stage, "/metrics", &[]);
    is(&answer, 200);
    for line in [
        "content-type: text/plain; version=0.0.4; charset=utf-8",
        "# TYPE portcullis_clients gauge",
        "portcullis_clients 1",
        "portcullis_build_info{version=\"",
        "# TYPE portcullis_tls_key_updates_sent_total counter",
        "portcullis_tls_key_updates_sent_total 0",
    ] {
        assert!(
            answer.lines().any(|it| it.starts_with(line)),
            "{line}: {answer}"
        );
    }
    // Nothing that a client sent is among them but the names under which a server let it in.
    assert!(!answer.contains("SELECT"));
}

/// By leg, version and outcome: full ones, one that takes up a session, one that comes to nothing.
#[test]
fn handshakes_are_counted_by_leg_version_and_outcome() {
    let cluster = Cluster::shared();
    let direct = Endpoint::direct(cluster, "handshakes");
    let stage = Stage::before(cluster)
        .user(&direct)
        .set("listen.tls", "session_tickets", "true")
        .more("[metrics]\naddress = '127.0.0.1:0'\n")
        .start();
    let counted = |leg: &str, version: &str, outcome: &str| -> u64 {
        let labels = format!("leg=\"{leg}\",version=\"{version}\",outcome=\"{outcome}\"");
        let line = format!("portcullis_tls_handshakes_total{{{labels}}} ");
        let answer = fetch(&stage, "/metrics", &[]);
        let found = answer.lines().find_map(|it| it.strip_prefix(&line));
        let number = found.unwrap_or_else(|| panic!("{line}: {answer}"));
        number.parse().expect("a number")
    };
    let servers = || counted("server", "TLSv1.3", "new");
    let before = (counted("client", "TLSv1.3", "new"), servers());
    let mut session = Session::through(&stage, &stage.endpoint(&direct));
    session.query("SELECT 1");
    assert_eq!(counted("client", "TLSv1.3", "new"), before.0 + 1);
    assert_eq!(servers(), before.1 + 1);
    // A second client finds its server connection made: one handshake less.
    drop(session);
    wait::until("the connection to rest", wait::LONG, || {
        fetch(&stage, "/metrics", &[]).contains("\nportcullis_server_resting 1\n")
    });
    let mut session = Session::through(&stage, &stage.endpoint(&direct));
    session.query("SELECT 1");
    assert_eq!(counted("client", "TLSv1.3", "new"), before.0 + 2);
    assert_eq!(servers(), before.1 + 1);

    let place = tempfile::tempdir().expect("a directory");
    let keep = place.path().join("session");
    for (how, new, resumed) in [("-sess_out", 1, 0), ("-sess_in", 1, 1)] {
        let ended = Command::new("openssl")
            .args(["s_client", "-starttls", "postgres", "-tls1_2", "-connect"])
            .arg(stage.proxy.address().to_string())
            .arg(how)
            .arg(&keep)
            .stdin(Stdio::null())
            .output()
            .expect("openssl to run");
        assert!(ended.status.success(), "{ended:?}");
        assert_eq!(counted("client", "TLSv1.2", "new"), new, "{how}");
        assert_eq!(counted("client", "TLSv1.2", "resumed"), resumed, "{how}");
    }

    assert_eq!(counted("client", "none", "failed"), 0);
    let mut stranger = Peer::tcp(stage.proxy.address());
    stranger.send(&[0, 0, 0, 8, 4, 210, 22, 47]);
    stranger.expect(b"S");
    stranger.send(b"GET / HTTP/1.1\r\n\r\n");
    stranger.drain();
    wait::until("a handshake that has failed", wait::LONG, || {
        counted("client", "none", "failed") == 1
    });
    assert_eq!(counted("server", "none", "failed"), 0);
}

#[test]
fn requests_that_get_nothing() {
    let stage = plan("hosts = ['proxy.example']").start();
    is(&fetch(&stage, "/metrics", &[]), 200);
    is(&fetch(&stage, "/nothing", &[]), 404);
    // The page is there for everybody, and what it shows for nobody without a proof.
    is(&fetch(&stage, "/", &[]), 200);
    for path in ["/overview", "/times", "/tables/clients", "/activity"] {
        is(&fetch(&stage, path, &[]), 403);
    }
    is(
        &fetch(&stage, "/metrics", &["Origin: http://127.0.0.1"]),
        403,
    );
    let asked = |line: &str, host: &str| ask(Peer::tcp(address(&stage)), line, &[host]);
    is(&asked("GET /metrics", "Host: evil.example"), 421);
    is(&asked("GET /metrics", "Host: PROXY.example:9127"), 200);
    is(&asked("POST /metrics", "Host: localhost"), 405);
    is(&asked("GET /livez", "X-None: 1"), 421);
    // What is no HTTP, and a head without end, cost their own connections.
    let mut peer = Peer::tcp(address(&stage));
    peer.send(&[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3, 13, 10, 13, 10]);
    assert!(!String::from_utf8_lossy(&peer.drain().0).contains("200"));
    let mut peer = Peer::tcp(address(&stage));
    let _ = peer.try_send(format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(64 << 10)).as_bytes());
    let head = peer.drain().0;
    assert!(head.is_empty() || head.starts_with(b"HTTP/1.1 431"));
    is(&fetch(&stage, "/livez", &[]), 200);
}

#[test]
fn a_token_opens_metrics_and_stays_out_of_the_log() {
    let stage = plan("token_file = 'token'")
        .file("token", "s3cr3t-token\n")
        .start();
    let answer = fetch(&stage, "/metrics", &[]);
    is(&answer, 401);
    assert!(answer.contains("www-authenticate: Bearer"), "{answer}");
    is(
        &fetch(&stage, "/metrics", &["Authorization: Bearer wrong"]),
        401,
    );
    let right = "Authorization: Bearer s3cr3t-token";
    is(&fetch(&stage, "/metrics", &[right]), 200);
    is(&fetch(&stage, "/livez", &[]), 200);
    assert!(!stage.proxy.log().contains("s3cr3t"));
}

#[test]
fn over_tls_with_certificates_on_both_ends() {
    let authority = Authority::new("monitoring");
    let server = authority.issue(&Identity::localhost());
    let client = authority.issue(&Identity::client("prometheus"));
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path();
    let files = server.write(at, "metrics");
    let ca = authority.write(at, "ca");
    let stage = plan(&format!(
        "certificate = '{}'\nprivate_key = '{}'\nclient_ca = '{}'",
        files.certificate.display(),
        files.private_key.display(),
        ca.display()
    ))
    .start();
    let get = |peer| ask(peer, "GET /metrics", &["Host: localhost"]);
    let tls = ClientTls::verified(&authority, "localhost");
    let known = Peer::tcp(address(&stage)).handshake(&tls.clone().certificate(&client));
    is(&get(known), 200);
    // In TLS 1.3 a refused client reads its alert after its own handshake.
    if let Ok(mut unknown) = Peer::tcp(address(&stage)).try_handshake(&tls) {
        let _ = unknown.try_send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert!(unknown.drain().0.is_empty());
    }
    let mut plain = Peer::tcp(address(&stage));
    let _ = plain.try_send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(!String::from_utf8_lossy(&plain.drain().0).contains("portcullis_"));
}

#[test]
fn other_machines_get_nothing_in_the_clear() {
    let mut proxy = StagePlan::new("localhost", 1, "ca.crt".as_ref())
        .more("[metrics]\naddress = '0.0.0.0:0'\n")
        .launch();
    assert!(!proxy.await_end(wait::LONG).success());
    let log = proxy.log();
    assert!(
        log.contains("metrics.address") && log.contains("needs TLS"),
        "{log}"
    );
}

#[test]
fn readiness_ends_before_the_sessions_do() {
    let cluster = Cluster::shared();
    let direct = Endpoint::direct(cluster, "metrics_ready");
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut stage = Stage::before(cluster)
            .user(&direct)
            .more("[metrics]\naddress = '127.0.0.1:0'\n")
            .start();
        let mut session = Session::begin(
            Peer::tls(stage.proxy.address(), &stage.client_tls()),
            &stage.endpoint(&direct),
        );
        session.query("BEGIN");
        is(&fetch(&stage, "/readyz", &[]), 200);
        stage.proxy.signal(signal);
        wait::until("/readyz to fail", wait::LONG, || {
            fetch(&stage, "/readyz", &[]).starts_with("HTTP/1.1 503 ")
        });
        is(&fetch(&stage, "/livez", &[]), 200);
        session.query("COMMIT");
        drop(session);
        stage.proxy.await_end(wait::LONG);
    }
}
