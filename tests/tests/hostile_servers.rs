//! Servers that lie, break the protocol, stall or hang up: each costs only its own session. The
//! client reads a clear error or an end, never half a message with something else behind it; the
//! log names the side and the cause; a session with the real server notices nothing.

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

#[test]
fn lies_before_tls() {
    let no_tls: Script = |_, mut peer| {
        peer.expect(&message::SSL_REQUEST);
        peer.send(b"N");
        until_left(peer);
    };
    let refused = || Client::Refused("57P03", "the server refused TLS");
    let cases = [
        case(
            "no-tls",
            no_tls,
            refused(),
            "server: the server refused TLS",
        ),
        Case {
            mode: "require",
            ..case(
                "no-tls-require",
                no_tls,
                refused(),
                "server: the server refused TLS",
            )
        },
        case(
            "injected",
            |_, mut peer| {
                peer.expect(&message::SSL_REQUEST);
                peer.send(&[b"S", &message::error("FATAL", "28000", INJECTED)[..]].concat());
                until_left(peer);
            },
            Client::Refused("57P03", "unencrypted bytes"),
            "server: the server sent unencrypted bytes",
        ),
        case(
            "error-before-tls",
            |_, mut peer| {
                peer.expect(&message::SSL_REQUEST);
                peer.send(&message::error("FATAL", "28000", INJECTED));
                until_left(peer);
            },
            refused(),
            "server: the server refused TLS",
        ),
        case(
            "neither-s-nor-n",
            |_, mut peer| {
                peer.expect(&message::SSL_REQUEST);
                peer.send(b"G");
                until_left(peer);
            },
            refused(),
            "server: the server refused TLS",
        ),
        case(
            "closes-at-once",
            |_, peer| peer.cut(),
            Client::Refused("08006", "connection to the server"),
            "server: ",
        ),
        case(
            "no-tls-behind-s",
            |_, mut peer| {
                peer.expect(&message::SSL_REQUEST);
                peer.send(b"S");
                peer.bytes(1);
                peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n");
                until_left(peer);
            },
            Client::Refused("08006", "TLS"),
            "server: TLS: the peer does not speak TLS here",
        ),
    ];
    play(&cases);
}

#[test]
fn wrong_certificates() {
    fn present(certificate: &Certificate, peer: Peer) {
        let mut peer = peer;
        peer.expect(&message::SSL_REQUEST);
        peer.send(b"S");
        // TLS 1.3 ends for the server before the client has judged its certificate.
        if let Ok(peer) = peer.try_accept(&ServerTls::new(certificate)) {
            until_left(peer);
        }
    }
    let foreign: Script = |_, peer| {
        let authority = Authority::new("hostile servers");
        present(&authority.issue(&Identity::localhost()), peer);
    };
    let elsewhere: Script = |props, peer| {
        let identity = Identity::server(&["elsewhere.example"]);
        present(&props.authority.issue(&identity), peer);
    };
    let expired: Script = |props, peer| {
        let identity = Identity::localhost();
        let expired = Lifetime::Expired;
        present(
            &props
                .authority
                .issue_with(&identity, KeyKind::EcdsaP256, expired),
            peer,
        );
    };
    let refused = || Client::Refused("08006", "TLS");
    let log = "server: TLS: the peer's certificate was refused";
    let cases = [
        case("foreign", foreign, refused(), log),
        case(
            "elsewhere",
            elsewhere,
            refused(),
            "the certificate is for: elsewhere.example",
        ),
        case("expired", expired, refused(), log),
        Case {
            mode: "verify-ca",
            ..case("foreign-verify-ca", foreign, refused(), log)
        },
    ];
    play(&cases);
}

#[test]
fn servers_that_say_nothing() {
    let refused = || Client::Refused("57P03", "server_connect_timeout");
    let log = "server: server_connect_timeout passed";
    let cases = [
        case("silent", |_, peer| until_left(peer), refused(), log),
        case(
            "silent-behind-s",
            |_, mut peer| {
                peer.expect(&message::SSL_REQUEST);
                peer.send(b"S");
                until_left(peer);
            },
            refused(),
            log,
        ),
        case(
            "silent-inside-tls",
            |props, peer| until_left(props.secured(peer)),
            refused(),
            log,
        ),
        case(
            "silent-behind-ok",
            |props, peer| {
                let mut peer = props.secured(peer);
                peer.send(&message::AUTHENTICATION_OK);
                until_left(peer);
            },
            refused(),
            log,
        ),
        case(
            "half-a-message",
            |props, peer| {
                let mut peer = props.secured(peer);
                peer.send(b"R\0\0\0");
                until_left(peer);
            },
            refused(),
            log,
        ),
    ];
    play(&cases);
}

/// One scripted SCRAM exchange.
macro_rules! scram_by {
    ($server:expr) => {
        |props, peer| {
            let mut peer = props.secured(peer);
            if scram::serve(&mut peer, PASSWORD, $server).is_some() {
                peer.send(&welcome());
                until_left(peer);
            }
        }
    };
}

/// A server that asks like this, and then waits for the proxy to leave.
macro_rules! asks {
    ($request:expr) => {
        |props, peer| {
            let mut peer = props.secured(peer);
            peer.send(&$request);
            until_left(peer);
        }
    };
}

#[test]
fn lies_in_the_authentication() {
    let refused = |words| Client::Refused("57P03", words);
    let served = || Client::Served(|_| {});
    let clear: Script = |props, peer| {
        let mut peer = props.secured(peer);
        peer.send(&scram::request(3, b""));
        // The password, where it may be told; else nothing but the end.
        let (said, _) = peer.drain();
        assert!(said.is_empty(), "{}", said.escape_ascii());
    };
    let clear_answered: Script = |props, peer| {
        let mut peer = props.secured(peer);
        peer.send(&scram::request(3, b""));
        let answer = peer.expect_frame(b'p');
        assert_eq!(answer.bytes(), message::password(PASSWORD));
        peer.send(&[&message::AUTHENTICATION_OK[..], &welcome()].concat());
        until_left(peer);
    };
    let md5: Script = |props, peer| {
        let mut peer = props.secured(peer);
        peer.send(&scram::request(5, b"salt"));
        assert_eq!(peer.expect_frame(b'p').body.len(), "md5".len() + 32 + 1);
        peer.send(&[&message::AUTHENTICATION_OK[..], &welcome()].concat());
        until_left(peer);
    };
    let unverified = "server: login to the server: the server asked for the password in clear text";
    let cases = [
        case(
            "honest",
            scram_by!(scram::Server::Honest),
            served(),
            "session started",
        ),
        case(
            "foreign-nonce",
            scram_by!(scram::Server::ForeignNonce),
            refused("nonce"),
            "server: login to the server: the server's SCRAM nonce does not extend ours",
        ),
        case(
            "huge-iterations",
            scram_by!(scram::Server::Iterations(2_147_483_647)),
            refused("iterations"),
            "server: login to the server: the server asked for SCRAM iterations",
        ),
        case(
            "wrong-signature",
            scram_by!(scram::Server::WrongSignature),
            refused("signature"),
            "server: login to the server: the server's SCRAM signature is wrong",
        ),
        case(
            "ok-before-final",
            scram_by!(scram::Server::OkBeforeFinal),
            refused("before it proved"),
            "server: login to the server: the server claimed success before",
        ),
        Case {
            mode: "require",
            ..case(
                "clear-text-unverified",
                clear,
                refused("clear text"),
                unverified,
            )
        },
        case(
            "clear-text-verified",
            clear_answered,
            served(),
            "session started",
        ),
        case("md5", md5, served(), "session started"),
        case(
            "gss",
            asks!(scram::request(7, b"")),
            refused("method 7"),
            "server: login",
        ),
        case(
            "no-kind",
            asks!(frame(b'R', b"\0")),
            refused("malformed"),
            "server: login",
        ),
        case(
            "no-mechanism",
            asks!(scram::request(10, b"SCRAM-SHA-1\0\0")),
            refused("no SASL mechanism"),
            "server: login",
        ),
        case(
            "continue-first",
            asks!(scram::request(11, b"r=x,s=AAAA,i=4096")),
            refused("out of order"),
            "server: login",
        ),
        case(
            "too-long",
            asks!(frame(b'R', &[0; 3000])),
            Client::Refused("08P01", "broke the protocol"),
            "server: message 'R' says it is 3004 bytes long",
        ),
    ];
    play(&cases);
}

#[test]
fn lies_in_the_start() {
    let broken = || Client::Refused("08P01", "broke the protocol");
    /// AuthenticationOk, then this.
    macro_rules! behind_ok {
        ($bytes:expr) => {
            asks!([&message::AUTHENTICATION_OK[..], &$bytes].concat())
        };
    }
    let cases = [
        case(
            "ready-before-ok",
            asks!(message::READY),
            broken(),
            "server: message 'Z' has no place in the server's authentication",
        ),
        case(
            "row-in-the-start",
            behind_ok!(frame(b'D', b"\0\0")),
            broken(),
            "server: message 'D' has no place in the server's start",
        ),
        case(
            "ok-twice",
            behind_ok!(message::AUTHENTICATION_OK),
            broken(),
            "server: message 'R' has no place in the server's start",
        ),
        case(
            "ready-in-a-transaction",
            behind_ok!(frame(b'Z', b"T")),
            broken(),
            "server: message 'Z' has no place",
        ),
        case(
            "parameter-of-31-kb",
            behind_ok!(message::parameter_status("x", &"v".repeat(31_000))),
            broken(),
            "server: message 'S' says it is 31007 bytes long",
        ),
        case(
            "1000-parameters",
            behind_ok!(
                (0..1000)
                    .flat_map(|number| message::parameter_status(&format!("p{number}"), ""))
                    .collect::<Vec<_>>()
            ),
            broken(),
            "server: message 'S' is malformed: number of parameters",
        ),
        case(
            "parameter-without-name",
            behind_ok!(message::parameter_status("", "v")),
            broken(),
            "server: message 'S' is malformed",
        ),
        case(
            "parameter-without-value",
            behind_ok!(frame(b'S', b"name\0")),
            broken(),
            "server: message 'S' is malformed",
        ),
        case(
            "key-of-0",
            behind_ok!(message::backend_key_data(1, b"")),
            broken(),
            "server: message 'K' is malformed",
        ),
        case(
            "key-of-32-in-3.0",
            behind_ok!(message::backend_key_data(1, &[7; 32])),
            broken(),
            "server: message 'K' is malformed",
        ),
        case(
            "key-of-300",
            behind_ok!(message::backend_key_data(1, &[7; 300])),
            broken(),
            "server: message 'K' says it is 308 bytes long",
        ),
        case(
            "two-keys",
            behind_ok!(
                [
                    message::backend_key_data(1, b"keys"),
                    message::backend_key_data(2, b"keys")
                ]
                .concat()
            ),
            broken(),
            "server: message 'K' is malformed",
        ),
        case(
            "endless-start",
            |props, peer| {
                let mut peer = props.secured(peer);
                peer.send(&message::AUTHENTICATION_OK);
                let notice = frame(
                    b'N',
                    format!("SNOTICE\0M{}\0\0", "n".repeat(500)).as_bytes(),
                );
                while peer.try_send(&notice).is_ok() {}
            },
            broken(),
            "server: message 'N' is malformed",
        ),
        case(
            "newer-than-asked",
            asks!(frame(b'v', b"\0\x03\0\x02\0\0\0\0")),
            broken(),
            "server: message 'v' is malformed",
        ),
        case(
            "older-than-3",
            asks!(frame(b'v', b"\0\x02\0\0\0\0\0\0")),
            broken(),
            "server: message 'v' is malformed",
        ),
        case(
            "option-not-asked-for",
            asks!(frame(b'v', b"\0\x03\0\0\0\0\0\x01_pq_.x\0")),
            broken(),
            "server: message 'v' is malformed",
        ),
        case(
            "negotiates-rubbish",
            asks!(frame(b'v', b"\0\x03")),
            broken(),
            "server: message 'v' is malformed",
        ),
        case(
            "fields-missing",
            asks!(frame(b'E', b"\0")),
            broken(),
            "server: message 'E' is malformed",
        ),
        case(
            "its-own-refusal",
            asks!(message::error(
                "FATAL",
                "3D000",
                "database \"x\" does not exist"
            )),
            Client::Refused("3D000", "does not exist"),
            "the server refused the login with SQLSTATE 3D000",
        ),
        case(
            "no-key",
            behind_ok!(message::READY),
            Client::Served(|session| assert_eq!(session.key, None)),
            "session started",
        ),
    ];
    play(&cases);
}

/// The proxy speaks for the server that broke the protocol, and closes.
fn told(session: &mut Session) {
    session.peer.send(&message::query("SELECT 1"));
    broken(session);
}

fn broken(session: &mut Session) {
    let error = session.peer.expect_error("08P01");
    assert_eq!(error.field(b'V').as_deref(), Some("FATAL"));
    assert_eq!(session.peer.end(), End::CloseNotify);
}

/// A server that answers a query with this.
macro_rules! answers {
    ($bytes:expr) => {
        |props, peer| {
            let mut peer = props.asked(peer);
            // The proxy may leave before the last byte.
            let _ = peer.try_send(AsRef::<[u8]>::as_ref(&$bytes));
            until_left(peer);
        }
    };
}

/// A server that says this without having been asked.
macro_rules! blurts {
    ($bytes:expr) => {
        |props, peer| {
            let mut peer = props.welcomed(peer);
            let _ = peer.try_send(AsRef::<[u8]>::as_ref(&$bytes));
            until_left(peer);
        }
    };
}

/// RowDescription without columns.
fn no_columns() -> Vec<u8> {
    frame(b'T', b"\0\0")
}

fn complete() -> Vec<u8> {
    frame(b'C', b"SELECT 0\0")
}

#[test]
fn lies_in_a_session() {
    let cases = [
        case(
            "row-before-description",
            answers!(frame(b'D', b"\0\0")),
            Client::Served(told),
            "reason=\"server: ",
        ),
        case(
            "another-reply",
            answers!(frame(b'1', b"")),
            Client::Served(told),
            "reason=\"server: ",
        ),
        case(
            "unasked-reply",
            blurts!(complete()),
            Client::Served(broken),
            "reason=\"server: ",
        ),
        case(
            "unasked-ready",
            blurts!(message::READY),
            Client::Served(broken),
            "reason=\"server: ",
        ),
        case(
            "doubled-ready",
            answers!([complete(), message::READY.to_vec(), message::READY.to_vec()].concat()),
            Client::Served(|session| {
                session.query("SELECT 1");
                broken(session);
            }),
            "reason=\"server: ",
        ),
        case(
            "unknown-type",
            answers!(frame(b'!', b"")),
            Client::Served(told),
            "server: unknown message type 33",
        ),
        case(
            "length-3",
            answers!(b"C\0\0\0\x03"),
            Client::Served(told),
            "server: message 'C' says it is 3 bytes long",
        ),
        case(
            "long-tag",
            answers!([&b"C\0\xff\xff\xff"[..], &[b'x'; 100]].concat()),
            Client::Served(told),
            "server: message 'C' says it is 16777215 bytes long",
        ),
        case(
            "late-ok",
            answers!(message::AUTHENTICATION_OK),
            Client::Served(told),
            "server: message 'R' belongs to the login",
        ),
        case(
            "late-key",
            answers!(message::backend_key_data(1, b"keys")),
            Client::Served(told),
            "server: message 'K' belongs to the login",
        ),
        case(
            "late-negotiation",
            answers!(frame(b'v', b"\0\x03\0\0\0\0\0\0")),
            Client::Served(told),
            "server: message 'v' belongs to the login",
        ),
        case(
            "late-parameter-of-31-kb",
            answers!(message::parameter_status("x", &"v".repeat(31_000))),
            Client::Served(told),
            "server: message 'S' says it is 31007 bytes long",
        ),
        case(
            "late-parameter-without-name",
            answers!(message::parameter_status("", "v")),
            Client::Served(told),
            "server: message 'S' is malformed",
        ),
        case(
            "late-1000-parameters",
            answers!(
                (0..1000)
                    .flat_map(|number| message::parameter_status(&format!("p{number}"), ""))
                    .collect::<Vec<_>>()
            ),
            Client::Served(|session| {
                session.peer.send(&message::query("SELECT 1"));
                let frames = session.peer.until_tag(b'E');
                // As many as a server may have, and no more.
                assert!(frames.len() <= 64, "{}", frames.len());
                assert_eq!(session.peer.end(), End::CloseNotify);
            }),
            "server: message 'S' is malformed: number of parameters",
        ),
        case(
            "strange-status",
            answers!([complete(), frame(b'Z', b"?")].concat()),
            Client::Served(|session| {
                session.peer.send(&message::query("SELECT 1"));
                session.peer.expect_frame(b'C');
                broken(session);
            }),
            "server: message 'Z' is malformed",
        ),
        case(
            "error-without-fields",
            answers!([frame(b'E', b"\0"), message::READY.to_vec()].concat()),
            Client::Served(|session| {
                session.peer.send(&message::query("SELECT 1"));
                assert_eq!(session.peer.expect_frame(b'E').body, b"\0");
                session.peer.expect(&message::READY);
                session.peer.send(&message::TERMINATE);
                assert_eq!(session.peer.end(), End::CloseNotify);
            }),
            "client said goodbye",
        ),
    ];
    play(&cases);
}

/// A row of 1000 bytes, of which 100 come.
fn half_a_row() -> Vec<u8> {
    [no_columns(), b"D\0\0\x03\xe8".to_vec(), vec![b'x'; 95]].concat()
}

/// The client gets the half row and then the end: nothing may stand in for the rest of it.
fn nothing_injected(session: &mut Session) {
    session.peer.send(&message::query("SELECT 1"));
    session.peer.expect(&half_a_row());
    let (rest, _) = session.peer.drain();
    assert!(rest.is_empty(), "{}", rest.escape_ascii());
}

#[test]
fn servers_that_go_away() {
    let cases = [
        case(
            "cut-in-a-row",
            |props, peer| {
                let mut peer = props.asked(peer);
                peer.send(&half_a_row());
                peer.cut();
            },
            Client::Served(nothing_injected),
            "reason=\"server: the connection was closed without a TLS close_notify",
        ),
        case(
            "closed-in-a-row",
            |props, peer| {
                let mut peer = props.asked(peer);
                peer.send(&half_a_row());
                peer.close();
            },
            Client::Served(nothing_injected),
            "reason=\"server: the connection was closed",
        ),
        case(
            "rubbish-in-a-row",
            |props, peer| {
                let mut peer = props.asked(peer);
                peer.send(&half_a_row());
                // The client has the half row.
                peer.expect_frame(b'H');
                peer.send_raw(b"\x17\x03\x03\x00\x20 this record does not authenticate at all");
                until_left(peer);
            },
            Client::Served(|session| {
                session.peer.send(&message::query("SELECT 1"));
                session.peer.expect(&half_a_row());
                session.peer.send(&frame(b'H', b""));
                let (rest, _) = session.peer.drain();
                assert!(rest.is_empty(), "{}", rest.escape_ascii());
            }),
            "reason=\"server: TLS",
        ),
        case(
            "cut-between-messages",
            |props, peer| {
                let mut peer = props.asked(peer);
                peer.send(&no_columns());
                peer.cut();
            },
            Client::Served(|session| {
                session.peer.send(&message::query("SELECT 1"));
                session.peer.expect(&no_columns());
                session.peer.expect_error("08006");
                assert_eq!(session.peer.end(), End::CloseNotify);
            }),
            "reason=\"server: the connection was closed without a TLS close_notify",
        ),
        case(
            "gone-while-idle",
            |props, peer| props.welcomed(peer).close(),
            Client::Served(|session| {
                session.peer.expect_error("08006");
                assert_eq!(session.peer.end(), End::CloseNotify);
            }),
            "reason=\"server: the connection was closed",
        ),
        case(
            "fatal-while-idle",
            |props, peer| {
                let mut peer = props.welcomed(peer);
                peer.send(&message::error("FATAL", "57P01", "terminating connection"));
                peer.close();
            },
            Client::Served(|session| {
                let error = session.peer.expect_error("57P01");
                assert_eq!(error.field(b'M').as_deref(), Some("terminating connection"));
                assert_eq!(session.peer.end(), End::CloseNotify);
            }),
            "server ended the session",
        ),
    ];
    play(&cases);
}

const NOTICES: usize = 20_000;

/// Twenty megabytes of notices pass while the client reads, and take no room in the proxy.
#[test]
fn endless_notices_pass() {
    fn notice() -> Vec<u8> {
        let text = "n".repeat(1000);
        frame(
            b'N',
            format!("SNOTICE\0VNOTICE\0C00000\0M{text}\0\0").as_bytes(),
        )
    }
    fn seen(session: &mut Session) {
        let notice = notice();
        for _ in 0..NOTICES {
            session.peer.expect(&notice);
        }
    }
    fn flood(peer: &mut Peer) {
        let batch = notice().repeat(100);
        for _ in 0..NOTICES / 100 {
            peer.send(&batch);
        }
    }
    let cases = [
        case(
            "notices-while-idle",
            |props, peer| {
                let mut peer = props.welcomed(peer);
                flood(&mut peer);
                until_left(peer);
            },
            Client::Served(|session| {
                seen(session);
                session.peer.send(&message::TERMINATE);
                assert_eq!(session.peer.end(), End::CloseNotify);
            }),
            "client said goodbye",
        ),
        case(
            "notices-in-a-query",
            |props, peer| {
                let mut peer = props.asked(peer);
                flood(&mut peer);
                peer.send(&[complete(), message::READY.to_vec()].concat());
                until_left(peer);
            },
            Client::Served(|session| {
                session.peer.send(&message::query("SELECT 1"));
                seen(session);
                session.peer.until_ready();
                session.peer.send(&message::TERMINATE);
                assert_eq!(session.peer.end(), End::CloseNotify);
            }),
            "client said goodbye",
        ),
    ];
    play(&cases);
}
