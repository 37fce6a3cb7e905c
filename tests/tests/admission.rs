//! The way in: many clients at once, clients that begin and stop, one address that hogs, and
//! guessed passwords. Addresses are those that a load balancer tells, so that there are many.

use std::net::SocketAddr;
use std::time::Duration;

use e2e::storm::{self, Bystander, PASSWORD, ROLE};
use e2e::{Stage, StagePlan};
use testkit::peer::message::SSL_REQUEST;
use testkit::{End, Frame, Peer, ScriptedServer, wait};

/// A proxy before a server that takes anybody, with one role whose verifier costs nothing.
fn plan(server: &ScriptedServer) -> StagePlan {
    let port = server.address().port();
    StagePlan::new("127.0.0.1", port, "none".as_ref())
        .unset("database.tls", "ca")
        .set("database.tls", "mode", "'disable'")
        .set("listen", "listen_backlog", "4096")
        .user_with(ROLE, &storm::verifier())
        .more("[metrics]\naddress = '127.0.0.1:0'\n")
}

/// The same behind a load balancer on this machine.
fn balanced(server: &ScriptedServer) -> StagePlan {
    plan(server)
        .set("listen", "proxy_protocol", "'require'")
        .set("listen", "proxy_trusted", "['127.0.0.0/8']")
}

/// A connection that the balancer says comes from 10.0.0.`from`.
#[track_caller]
fn from(stage: &Stage, from: u8) -> Peer {
    let mut peer = Peer::tcp(stage.proxy.address());
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend([10, 0, 0, from, 127, 0, 0, 1, 0x12, 0x34, 0x15, 0x38]);
    // Whoever isn't trusted may be gone before it is said.
    let _ = peer.try_send(&header);
    peer
}

/// Logs in from that address; the error in place of a session.
#[track_caller]
fn try_login(stage: &Stage, address: u8, role: &str, password: &str) -> Result<Peer, Frame> {
    let mut peer = from(stage, address).request_tls(&stage.client_tls());
    let startup = testkit::peer::message::startup(&[("user", role), ("database", ROLE)]);
    peer.send(&startup);
    let offer = peer.frame();
    if offer.tag == b'E' {
        return Err(offer);
    }
    e2e::scripted::answer_offer(&mut peer, &offer, password);
    let verdict = peer.frame();
    match verdict.tag {
        b'E' => Err(verdict),
        _ => {
            peer.until_ready();
            Ok(peer)
        }
    }
}

#[track_caller]
fn login(stage: &Stage, address: u8) -> Peer {
    let session = try_login(stage, address, ROLE, PASSWORD);
    session.unwrap_or_else(|error| panic!("{}", error.error_text()))
}

#[track_caller]
fn refused(stage: &Stage, address: u8, role: &str, password: &str) -> String {
    let error = try_login(stage, address, role, password).err();
    error.expect("an error").error_text()
}

/// One of the proxy's numbers.
#[track_caller]
fn number(stage: &Stage, name: &str) -> u64 {
    stage.proxy.await_log("metrics are served");
    let log = stage.proxy.log();
    let line = log.lines().find(|line| line.contains("metrics are served"));
    let address = line.and_then(|line| line.split_once("address="));
    let address = address.and_then(|(_, rest)| rest.split_whitespace().next());
    let address: SocketAddr = address.expect("an address").parse().expect("an address");
    let mut peer = Peer::tcp(address);
    peer.send(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    let text = String::from_utf8(peer.drain().0).expect("text");
    let start = format!("portcullis_{name} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&start));
    value.expect(name).trim().parse().expect("a number")
}

fn soak() -> bool {
    std::env::var_os("PORTCULLIS_SOAK").is_some()
}

#[test]
fn a_login_storm_is_served_and_a_bystander_goes_on() {
    let clients = if soak() { 500 } else { 60 };
    let server = storm::server();
    let stage = plan(&server)
        .set("limits", "max_concurrent_logins", "8")
        .start();
    let seen = storm::rage(
        stage.proxy.address(),
        &stage.client_tls(),
        clients,
        Bystander::Asks,
    );
    assert_eq!(seen.served.len(), clients);
    assert!(seen.bystander.len() > 1, "the bystander was not served");
    assert!(number(&stage, "admission_waited_total") > 0);
    assert_eq!(number(&stage, "logins_under_way"), 0);
    assert_eq!(number(&stage, "logins_waiting"), 0);
}

#[test]
fn an_address_that_hogs_leaves_others_in() {
    let hogs = if soak() { 2000 } else { 200 };
    let server = storm::server();
    let stage = balanced(&server)
        .set("listen", "max_client_conn", "8000")
        .set("limits", "max_concurrent_logins", "4")
        .set("limits", "max_concurrent_logins_per_address", "3")
        .set(
            "limits",
            "max_pending_logins_per_address",
            &hogs.to_string(),
        )
        .set("limits", "login_rate", "0")
        .start();
    let mut before = login(&stage, 1);
    // A third says nothing, a third asks for TLS and stops, a third stops within its ClientHello.
    let hogging: Vec<_> = (0..hogs)
        .map(|number| {
            let mut peer = from(&stage, 9);
            if number % 3 > 0 {
                peer.send(&SSL_REQUEST);
            }
            if number % 3 > 1 {
                peer.expect(b"S");
                peer.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
            }
            peer
        })
        .collect();
    wait::until("places taken by silence", wait::LONG, || {
        number(&stage, "logins_under_way") == 3
    });
    // Others get in at once, on the place that one address can't have.
    for address in [2, 3, 4] {
        drop(login(&stage, address));
    }
    before.send(&testkit::peer::message::query("SELECT 1"));
    before.until_ready();
    // Beyond its bound the address gets no more connections.
    wait::until("all of them counted", wait::LONG, || {
        let mut more = from(&stage, 9);
        let closed = more.try_send(&SSL_REQUEST).is_err() || more.bytes_or_end(1).is_none();
        closed && number(&stage, "admission_refused_pending_total") > 0
    });
    drop(login(&stage, 5));
    // Who keeps silent loses its place.
    wait::until("silent clients lose their places", wait::LONG, || {
        number(&stage, "admission_places_lost_total") > 2
    });
    drop(hogging);
    wait::until("the address's own clients", wait::LONG, || {
        let peer = from(&stage, 9);
        let mut peer = peer;
        peer.try_send(&SSL_REQUEST).is_ok() && peer.bytes_or_end(1).as_deref() == Some(b"S")
    });
    drop(login(&stage, 9));
}

#[test]
fn failed_logins_hold_up_their_address_and_their_user() {
    let server = storm::server();
    let stage = balanced(&server)
        .set("limits", "failed_login_rate", "3")
        .start();
    drop(login(&stage, 1));
    for role in ["nobody", ROLE, "nobody"] {
        let error = refused(&stage, 9, role, "guess");
        let wanted = format!("28P01 password authentication failed for user \"{role}\"");
        assert_eq!(error, wanted);
    }
    let held_up = "53300 too many failed logins, try again later (failed_login_rate = 3)";
    // Not even with the right password, and whoever is named.
    assert_eq!(refused(&stage, 9, ROLE, PASSWORD), held_up);
    assert_eq!(refused(&stage, 9, "nobody", "guess"), held_up);
    assert_eq!(number(&stage, "admission_refused_failing_address_total"), 2);
    for address in [10, 11] {
        assert!(refused(&stage, address, ROLE, "guess").starts_with("28P01"));
    }
    // The user was guessed at from many addresses: strangers wait, whoever got in before doesn't.
    assert_eq!(refused(&stage, 12, ROLE, PASSWORD), held_up);
    assert_eq!(number(&stage, "admission_refused_failing_user_total"), 1);
    drop(login(&stage, 1));
    assert!(refused(&stage, 12, "nobody", "guess").starts_with("28P01"));
    assert_eq!(number(&stage, "admission_logins_failed_total"), 6);
}

#[test]
fn too_many_connections_of_an_address_are_closed_without_a_word() {
    let server = storm::server();
    let stage = balanced(&server).set("limits", "login_rate", "1").start();
    for _ in 0..4 {
        drop(login(&stage, 9));
    }
    let mut peer = from(&stage, 9);
    let (said, end) = peer.drain();
    assert!(said.is_empty() && matches!(end, End::Fin | End::Reset));
    drop(login(&stage, 1));
    assert!(number(&stage, "admission_refused_login_rate_total") > 0);
}

#[test]
fn a_password_is_derived_once() {
    let server = storm::server();
    let stage = balanced(&server).user_with("plain", "its password").start();
    for _ in 0..3 {
        let session = try_login(&stage, 1, "plain", "its password");
        assert!(session.is_ok());
    }
    assert_eq!(number(&stage, "admission_derivations_total"), 1);
    assert_eq!(number(&stage, "admission_derivations_saved_total"), 2);
    // A wrong proof and a name that nobody has leave nothing behind.
    for (role, derivations) in [("nobody", 2), ("nobody", 3)] {
        assert!(refused(&stage, 1, role, "guess").starts_with("28P01"));
        assert_eq!(number(&stage, "admission_derivations_total"), derivations);
    }
}

#[test]
fn headers_of_load_balancers() {
    let header = |command: u8, family: u8, body: &[u8]| {
        let len = u16::try_from(body.len())
            .expect("a short header")
            .to_be_bytes();
        [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[command, family], &len, body].concat()
    };
    let v4 = [192, 0, 2, 7, 127, 0, 0, 1, 0x12, 0x34, 0x15, 0x38];
    let v6: [u8; 36] = std::array::from_fn(|at| match at {
        0..2 => [0x20, 0x01][at],
        15 => 7,
        32 => 0x12,
        33 => 0x34,
        _ => 0,
    });
    // A field that claims TLS with a verified client certificate proves nothing.
    let tls = [&v4[..], &[0x20, 0, 5, 7, 0, 0, 0, 0]].concat();
    let server = storm::server();
    let stage = balanced(&server).start();
    let taken = [
        ("IPv4", header(0x21, 0x11, &v4), "client=\"192.0.2.7:4660\""),
        (
            "fields",
            header(0x21, 0x11, &tls),
            "client=\"192.0.2.7:4660\"",
        ),
        ("IPv6", header(0x21, 0x21, &v6), "client=\"[2001::7]:4660\""),
        ("LOCAL", header(0x20, 0, &[]), "client=\"127.0.0.1:"),
        ("Unix", header(0x21, 0x31, &[0; 216]), "client=\"127.0.0.1:"),
    ];
    for (name, bytes, logged) in taken {
        let mut peer = Peer::tcp(stage.proxy.address());
        let before = stage.proxy.log().len();
        peer.send(&bytes);
        let mut peer = storm::log_in(peer.request_tls(&stage.client_tls()), ROLE, PASSWORD);
        peer.until_ready();
        let log = stage.proxy.log();
        let line = log[before..]
            .lines()
            .find(|line| line.contains("session started"));
        assert!(
            line.is_some_and(|line| line.contains(logged)),
            "{name}: {line:?}"
        );
    }
    // In one packet with what the client sends, and byte by byte.
    let whole = header(0x21, 0x11, &tls);
    let mut peer = Peer::tcp(stage.proxy.address());
    peer.send(&[&whole[..], &SSL_REQUEST].concat());
    peer.expect(b"S");
    let peer = peer.handshake(&stage.client_tls());
    storm::log_in(peer, ROLE, PASSWORD).until_ready();
    let mut peer = Peer::tcp(stage.proxy.address());
    peer.send_chopped(&whole);
    let peer = peer.request_tls(&stage.client_tls());
    storm::log_in(peer, ROLE, PASSWORD).until_ready();
    let wrong = [
        (
            b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n".to_vec(),
            "has version 1",
        ),
        (
            SSL_REQUEST.to_vec(),
            "does not start with a PROXY protocol header",
        ),
        (header(0x21, 0x12, &v4), "family"),
        (header(0x21, 0x11, &[0; 5000]), "more than 4096"),
    ];
    for (bytes, logged) in wrong {
        let mut peer = Peer::tcp(stage.proxy.address());
        peer.send(&bytes);
        let (said, _) = peer.drain();
        assert!(said.is_empty(), "{}", said.escape_ascii());
        stage.proxy.await_log(logged);
    }
    assert_eq!(number(&stage, "admission_refused_proxy_header_total"), 4);
}

#[test]
fn headers_of_strangers_and_endless_ones() {
    let server = storm::server();
    let stage = plan(&server)
        .set("listen", "proxy_protocol", "'require'")
        .set("listen", "proxy_trusted", "['192.0.2.0/24', '::1']")
        .start();
    let mut peer = from(&stage, 1);
    assert!(peer.drain().0.is_empty());
    stage.proxy.await_log("proxy_trusted does not have");
    assert!(number(&stage, "admission_refused_proxy_header_total") > 0);

    let stage = balanced(&server)
        .set("listen", "client_login_timeout", "1")
        .start();
    let mut slow = Peer::tcp(stage.proxy.address());
    slow.send(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a");
    assert!(
        slow.with_limit(Duration::from_secs(20))
            .drain()
            .0
            .is_empty()
    );
    stage
        .proxy
        .await_log("client_login_timeout passed while the load balancer");

    // Without the setting a header is what any garbage is.
    let stage = plan(&server).start();
    let mut peer = from(&stage, 1);
    assert!(peer.drain().0.is_empty());
}
