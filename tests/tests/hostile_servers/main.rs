//! Servers that lie, break the protocol, stall or hang up: each costs only its own session. The
//! client reads a clear error or an end, never half a message with something else behind it; the
//! log names the side and the cause; a session with the real server notices nothing.

mod before_tls;
mod login;
mod session;

use std::sync::{Arc, OnceLock};

use e2e::Stage;
use e2e::drivers::Endpoint;
use e2e::scripted::{Bystander, Session, offer_proof, scram};
use tempfile::TempDir;
use testkit::peer::message::{self, frame};
use testkit::{
    Authority, Certificate, Cluster, End, Identity, KeyKind, Lifetime, Peer, ScriptedServer,
    ServerTls, wait,
};

const ROLE: &str = "victim";
const PASSWORD: &str = "the password of the victim";
/// What no client and no log may ever show.
const INJECTED: &str = "words-of-somebody-in-between";

/// What a scripted server has at hand.
struct Props {
    authority: Authority,
    certificate: Certificate,
}

impl Props {
    fn new() -> Self {
        let authority = Authority::new("hostile servers");
        let certificate = authority.issue(&Identity::localhost());
        Self {
            authority,
            certificate,
        }
    }

    /// TLS, and the startup packet taken.
    fn secured(&self, peer: Peer) -> Peer {
        let mut peer = peer.grant_tls(&ServerTls::new(&self.certificate));
        peer.startup();
        peer
    }

    /// Logged in, up to ReadyForQuery.
    fn welcomed(&self, peer: Peer) -> Peer {
        let mut peer = self.secured(peer);
        peer.send(&[&message::AUTHENTICATION_OK[..], &welcome()].concat());
        peer
    }

    /// Logged in, and a query taken.
    fn asked(&self, peer: Peer) -> Peer {
        let mut peer = self.welcomed(peer);
        peer.expect_frame(b'Q');
        peer
    }
}

/// What a server says behind AuthenticationOk.
fn welcome() -> Vec<u8> {
    [
        message::parameter_status("server_version", "15.0"),
        message::backend_key_data(77, b"keys"),
        message::READY.to_vec(),
    ]
    .concat()
}

type Script = fn(&Props, Peer);

/// What the client of a case sees.
enum Client {
    /// An ErrorResponse in place of the session.
    Refused(&'static str, &'static str),
    /// A session, in which this happens.
    Served(fn(&mut Session)),
}

/// One lie of a server.
struct Case {
    /// Name of the database that leads to it.
    name: &'static str,
    mode: &'static str,
    script: Script,
    client: Client,
    /// What the log says in a line about this database.
    log: &'static str,
}

fn case(name: &'static str, script: Script, client: Client, log: &'static str) -> Case {
    let mode = "verify-full";
    Case {
        name,
        mode,
        script,
        client,
        log,
    }
}

/// The real server's role.
fn real() -> &'static Endpoint {
    static REAL: OnceLock<Endpoint> = OnceLock::new();
    REAL.get_or_init(|| Endpoint::direct(Cluster::shared(), "real"))
}

/// One proxy in front of all these servers and the real one; plays the cases one by one.
#[track_caller]
fn play(cases: &[Case]) {
    let directory = TempDir::new().expect("a directory");
    let props = Arc::new(Props::new());
    let ca = props.authority.write(directory.path(), "hostile-ca");
    let mut plan = Stage::before(Cluster::shared())
        .user(real())
        .user_with(ROLE, PASSWORD);
    let mut servers = Vec::new();
    for case in cases {
        let (script, props) = (case.script, Arc::clone(&props));
        let server = ScriptedServer::start(move |peer| script(&props, peer));
        let port = server.address().port();
        servers.push(server);
        plan = plan.more(&format!(
            "[[database]]\nname = '{}'\nhost = 'localhost'\nport = {port}\n\
             server_connect_timeout = '2s'\n[database.tls]\nmode = '{}'\n",
            case.name, case.mode
        ));
        if case.mode.starts_with("verify") {
            plan = plan.more(&format!("ca = '{}'\n", ca.display()));
        }
    }
    let stage = plan.start();
    let mut bystander = Bystander::new(&stage, &stage.endpoint(real()));
    for case in cases {
        eprintln!("case: {}", case.name);
        case.play(&stage);
        bystander.is_well();
    }
    let log = stage.proxy.log();
    for forbidden in ["panicked", INJECTED, PASSWORD] {
        assert!(!log.contains(forbidden), "{forbidden:?} in the log:\n{log}");
    }
}

impl Case {
    #[track_caller]
    fn play(&self, stage: &Stage) {
        let mut peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
        peer.send(&message::startup(&[
            ("user", ROLE),
            ("database", self.name),
        ]));
        offer_proof(&mut peer, PASSWORD);
        match &self.client {
            Client::Refused(sqlstate, words) => {
                let error = peer.expect_error(sqlstate);
                let text = error.field(b'M').unwrap_or_default();
                assert!(text.contains(words), "{}: {text}", self.name);
                assert!(!text.contains(INJECTED), "{}: {text}", self.name);
                assert_eq!(peer.end(), End::CloseNotify, "{}", self.name);
            }
            Client::Served(scene) => {
                let last = peer.frame();
                assert_eq!(last.tag, b'R', "{}: {}", self.name, last.error_text());
                scene(&mut Session::settle(peer));
            }
        }
        let told = wait::within(wait::LONG, || {
            let log = stage.proxy.log();
            let mut lines = log.lines();
            lines
                .any(|line| line.contains(self.name) && line.contains(self.log))
                .then_some(())
        });
        assert!(
            told.is_some(),
            "{}: no {:?} in:\n{}",
            self.name,
            self.log,
            stage.proxy.log()
        );
    }
}

/// Waits for the proxy to leave.
fn until_left(mut peer: Peer) {
    peer.drain();
}
