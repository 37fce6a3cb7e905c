//! The page for people, as a browser shows it: over TLS, in front of a proxy that works.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use e2e::Stage;
use e2e::drivers::{Endpoint, file};
use e2e::scripted::{Session, prove};
use openssl::base64;
use openssl::sha::sha256;
use testkit::guard::{Guarded, Workplace};
use testkit::peer::message;
use testkit::{Authority, Cluster, Identity, Peer, Signal, ports, tools, wait};

const TOKEN: &str = "the token of the page";
/// What a client calls itself, to become markup.
const HOSTILE: &str = "<img src=x onerror=hit=1>";

/// A client that calls itself so.
#[track_caller]
fn session(stage: &Stage, role: &Endpoint, name: &str) -> Session {
    let mut peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
    peer.send(&message::startup(&[
        ("user", &role.user),
        ("database", &role.database),
        ("application_name", name),
    ]));
    prove(&mut peer, &role.password);
    Session::settle(peer)
}

/// Does a little until told to stop.
fn load(stage: &Stage, role: &Endpoint, stop: &AtomicBool) {
    let mut session = session(stage, role, "a busy shop");
    while !stop.load(Ordering::Relaxed) {
        session.query("SELECT 1 + 1");
    }
}

/// Stops what does a little, on a failed test, too.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn somebody_looks_at_a_working_proxy_with_a_browser() {
    let browser = tools::browser();
    let cluster = Cluster::shared();
    let role = Endpoint::direct(cluster, "page");
    cluster.make_role("page_check", "password of the checker");
    let leader = format!("localhost:{}", cluster.port());
    let authority = Authority::new("page");
    let certificate = authority.issue(&Identity::localhost());
    let place = Workplace::new("portcullis-page-");
    let files = certificate.write(place.path(), "page");
    let port = ports::reserve();
    let mut stage = Stage::before(cluster)
        .user(&role)
        .unset("database", "host")
        .unset("database", "port")
        .unset("database.tls", "ca")
        .set("database", "cluster", "\"main\"")
        .file("checker.password", "password of the checker")
        .set("pool", "pool_mode", "\"transaction\"")
        .set("inspection", "statements", "true")
        .file("page.token", TOKEN)
        .more(&format!(
            "[metrics]\naddress = '{}'\ncertificate = '{}'\nprivate_key = '{}'\n\
             token_file = 'page.token'\n\
             [policy]\ndefault = \"allow\"\n\
             [[rule]]\nname = 'sums'\naction = 'deny'\nmode = 'observe'\neffect = 'read'\n\
             [[rule]]\nname = 'calm'\naction = 'throttle'\nper = 'user'\nstatements_per_s = 100000\n\
             [[cluster]]\nname = 'main'\nhosts = '{leader}'\ncheck_user = 'page_check'\n\
             check_password_file = 'checker.password'\ncheck_timeout = '20s'\n[cluster.tls]\nca = '{}'\n",
            port.address(),
            files.certificate.display(),
            files.private_key.display(),
            cluster.ca_file().display(),
        ))
        .start();
    let key = certificate.certificate.public_key().expect("a key");
    let key = sha256(&key.public_key_to_der().expect("a key"));

    let mut hostile = session(&stage, &role, HOSTILE);
    hostile.query("BEGIN");
    let mut command = tools::node();
    command
        .arg(file("page.js"))
        .env("PAGE_URL", format!("https://localhost:{}/", port.number))
        .env("PAGE_TOKEN", TOKEN)
        .env("PAGE_KEY", base64::encode_block(&key))
        .env("PAGE_CHROMIUM", browser)
        .env("PAGE_DATABASE", &role.database)
        .env("PAGE_HOSTILE", HOSTILE)
        .env("PAGE_LEADER", &leader);
    let mut person = Person::start(command, place);

    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        for _ in 0..2 {
            scope.spawn(|| load(&stage, &role, &stop));
        }
        person.says("stop");
    });
    drop(hostile);
    stage.proxy.signal(Signal::SIGQUIT);
    stage.proxy.await_end(wait::LONG);
    person.says("start");
    let successor = stage.proxy.successor().listening();
    person.says("done");
    let log = stage.proxy.log() + &successor.log();
    assert!(log.contains("somebody logged in on the page"), "{log}");
    assert!(log.contains("a login on the page was refused"), "{log}");
    assert!(!log.contains(TOKEN), "{log}");
}

/// The program that looks at the page.
struct Person {
    process: Guarded,
    log: PathBuf,
}

impl Person {
    #[track_caller]
    fn start(command: Command, place: Workplace) -> Person {
        let log = place.path().join("log");
        let process = Guarded::start(command, place, &log, Signal::SIGTERM);
        Person { process, log }
    }

    /// Waits until it has said a line. It has many waits of its own to do until then.
    #[track_caller]
    fn says(&mut self, line: &str) {
        let mut log = String::new();
        let said = wait::within(4 * wait::LONG, || {
            let ended = self.process.ended();
            log = fs::read_to_string(&self.log).unwrap_or_default();
            let said = log.lines().any(|it| it == line);
            (said || ended.is_some()).then_some(said)
        });
        assert_eq!(said, Some(true), "{line:?} was not said:\n{log}");
    }
}
