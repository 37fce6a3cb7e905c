//! Lies behind the first ReadyForQuery, and ends at the wrong place.

use super::*;
use std::sync::{Mutex, mpsc};

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

/// A server says why it ends the session, and is gone before what the client asks next can reach it: the client reads
/// the reason all the same.
#[test]
fn last_words_of_a_server_that_is_gone() {
    let directory = TempDir::new().expect("a directory");
    let props = Arc::new(Props::new());
    let ca = props.authority.write(directory.path(), "hostile-ca");
    let (go, may_go) = mpsc::channel::<()>();
    let (tells, told) = mpsc::channel();
    let ends = Mutex::new((may_go, tells));
    let server = ScriptedServer::start(move |peer| {
        let mut peer = props.asked(peer);
        let (may_go, tells) = &*ends.lock().expect("one session");
        tells.send("asked").expect("a test that waits");
        may_go.recv_timeout(wait::LONG).expect("the word to go");
        let reason = message::error("FATAL", "57P01", "the server is being shut down");
        peer.send(&[no_columns(), complete(), message::READY.to_vec(), reason].concat());
        peer.reset();
        tells.send("gone").expect("a test that waits");
    });
    let database = format!(
        "[[database]]\nname = 'gone'\nhost = 'localhost'\nport = {}\n[database.tls]\nca = '{}'\n",
        server.address().port(),
        ca.display()
    );
    let plan = Stage::before(Cluster::shared()).user_with(ROLE, PASSWORD);
    let stage = plan.more(&database).start();
    let mut peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
    peer.send(&message::startup(&[("user", ROLE), ("database", "gone")]));
    offer_proof(&mut peer, PASSWORD);
    peer.expect_frame(b'R');
    let mut session = Session::settle(peer);
    session.peer.send(&message::query("SELECT 1"));
    assert_eq!(told.recv_timeout(wait::LONG), Ok("asked"));
    // What the server says, that it is gone, and the next question are all there when the proxy looks.
    stage.proxy.hang();
    session.peer.send(&message::query("SELECT 2"));
    go.send(()).expect("a server that waits");
    assert_eq!(told.recv_timeout(wait::LONG), Ok("gone"));
    stage.proxy.wake();
    for tag in [b'T', b'C', b'Z'] {
        session.peer.expect_frame(tag);
    }
    session.peer.expect_error("57P01");
    assert_eq!(session.peer.end(), End::CloseNotify);
}
