//! The authentication: broken messages, wrong methods, slow clients, and what a stranger may learn.

use super::*;

#[test]
fn wrong_messages_during_authentication() {
    let endpoint = direct();
    let first = scram::client_first();
    let sasl = |mechanism: &str, data: &[u8]| scram::initial_response(mechanism, data);
    let table: [(&str, Vec<u8>); 9] = [
        ("a query", message::query("SELECT 1")),
        ("an unknown type", frame(1, b"")),
        ("Terminate", message::TERMINATE.to_vec()),
        ("wrong mechanism", sasl("SCRAM-SHA-1", first.as_bytes())),
        ("no mechanism", sasl("", first.as_bytes())),
        ("garbage", sasl(scram::MECHANISM, b"\xff\xfe,,garbage")),
        ("no nonce", sasl(scram::MECHANISM, b"n,,n=")),
        (
            "another identity",
            sasl(scram::MECHANISM, b"n,a=x,n=,r=abc"),
        ),
        ("downgrade", sasl(scram::MECHANISM, b"y,,n=,r=abc")),
    ];
    beside_a_bystander(stage(), |_| {
        for (what, bytes) in &table {
            let [proxy, server] = [proxy_tls(), server_tls()].map(|mut peer| {
                peer.send(&startup(endpoint));
                peer.expect_frame(b'R');
                peer
            });
            compare(what, proxy, server, bytes);
        }
    });
}

/// PostgreSQL takes a length that can't be for a wrong password.
#[test]
fn lengths_that_can_not_be_during_authentication() {
    let endpoint = direct();
    let table: [(&str, Vec<u8>); 6] = [
        ("length 0", miscounted(b'p', 0, b"")),
        ("length 3", miscounted(b'p', 3, b"")),
        ("length -1", miscounted(b'p', u32::MAX, b"")),
        ("huge", miscounted(b'p', 0x7fff_ffff, b"")),
        ("70000", frame(b'p', &[b'n'; 70_000])),
        ("2000", frame(b'p', &[b'n'; 2000])),
    ];
    beside_a_bystander(stage(), |_| {
        for (what, bytes) in &table {
            let [proxy, server] = [proxy_tls(), server_tls()].map(|mut peer| {
                peer.send(&startup(endpoint));
                peer.expect_frame(b'R');
                peer
            });
            compare(what, proxy, server, bytes);
        }
    });
}

/// Strings without an end: PostgreSQL has other words, but the same SQLSTATE.
#[test]
fn broken_messages_during_authentication() {
    let table: [(&str, Vec<u8>); 2] = [
        ("nothing", frame(b'p', b"")),
        ("no terminator", frame(b'p', b"SCRAM-SHA-256")),
    ];
    beside_a_bystander(stage(), |endpoint| {
        for (what, bytes) in &table {
            let mut peer = proxy_tls();
            peer.send(&startup(endpoint));
            peer.expect_frame(b'R');
            peer.send(bytes);
            let (said, _) = peer.drain();
            let said = scripted::frames(&said);
            let codes: Vec<_> = said.iter().map(|frame| frame.field(b'C')).collect();
            assert_eq!(codes, [Some("08P01".to_owned())], "{what}");
        }
    });
}

#[test]
fn wrong_final_messages_of_scram() {
    let endpoint = direct();
    let table: [(&str, &[u8]); 6] = [
        ("empty", b""),
        ("garbage", b"\xff\xff\xff"),
        (
            "another nonce",
            b"c=biws,r=other,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ),
        (
            "another header",
            b"c=eSws,r=other,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ),
        ("short proof", b"c=biws,r=other,p=AAAA"),
        ("no proof", b"c=biws,r=other"),
    ];
    beside_a_bystander(stage(), |_| {
        for (what, body) in table {
            let [proxy, server] = [proxy_tls(), server_tls()].map(|mut peer| {
                peer.send(&startup(endpoint));
                peer.expect_frame(b'R');
                let first = scram::client_first();
                peer.send(&scram::initial_response(scram::MECHANISM, first.as_bytes()));
                peer.expect_frame(b'R');
                peer
            });
            compare(what, proxy, server, &frame(b'p', body));
        }
    });
}

/// Sends these bytes one by one, never the last, until the other side gives up.
fn trickle(mut peer: Peer, bytes: &[u8]) -> Peer {
    let (_, bytes) = bytes.split_last().expect("something to hold back");
    for byte in bytes.iter().cycle() {
        if peer.try_send(&[*byte]).is_err() || !peer.silent_for(Duration::from_millis(100)) {
            break;
        }
    }
    peer
}

#[test]
fn slow_clients_are_cut_in_every_phase() {
    const LIMIT: Duration = Duration::from_secs(1);
    let stage = plan().set("listen", "client_login_timeout", "1").start();
    let (address, tls) = (stage.proxy.address(), stage.client_tls());
    beside_a_bystander(&stage, |endpoint| {
        let granted = || {
            let mut peer = Peer::tcp(address);
            peer.send(&message::SSL_REQUEST);
            peer.expect(b"S");
            peer
        };
        let greeted = || Peer::tls(address, &tls);
        let challenged = || {
            let mut peer = greeted();
            peer.send(&startup(endpoint));
            peer.expect_frame(b'R');
            peer
        };
        // A packet that never ends.
        let startup = startup_of(9_000);
        let proof = frame(b'p', &[b'x'; 1000]);
        type Phase<'a> = (&'a str, &'a (dyn Fn() -> Peer + Sync), &'a [u8], bool);
        let phases: [Phase<'_>; 9] = [
            ("says nothing", &|| Peer::tcp(address), b"", false),
            ("half SSLRequest", &|| Peer::tcp(address), &startup, false),
            ("no ClientHello", &granted, b"", false),
            (
                "half ClientHello",
                &granted,
                b"\x16\x03\x01\x0f\xff\x01\0\x0f\xfb\x03\x03aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                false,
            ),
            ("no startup", &greeted, b"", true),
            ("half startup", &greeted, &startup, true),
            ("no proof", &challenged, b"", true),
            ("half proof", &challenged, &proof, true),
            ("half direct ClientHello", &|| Peer::tcp(address), b"\x16\x03\x01\x0f\xff\x01\0\x0f\xfb\x03\x03aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ];
        thread::scope(|scope| {
            for (what, reach, bytes, told) in phases {
                scope.spawn(move || {
                    let start = Instant::now();
                    let mut peer = reach();
                    if !bytes.is_empty() {
                        peer = trickle(peer, bytes);
                    }
                    let (words, _) = peer.drain();
                    let took = start.elapsed();
                    assert!(
                        took >= LIMIT - Duration::from_millis(50),
                        "{what}: {took:?}"
                    );
                    assert!(took < LIMIT * 10, "{what}: {took:?}");
                    let words = String::from_utf8_lossy(&words).into_owned();
                    // A byte may have been taken off the answer by looking for silence.
                    let heard = words.contains("canceling authentication due to timeout");
                    assert_eq!(heard, told, "{what}: {words:?}");
                });
            }
        });
        stage
            .proxy
            .await_log("client_login_timeout passed while logging in");
    });
}

/// Nobody learns from the proxy which users there are.
#[test]
fn unknown_users_and_wrong_passwords_look_the_same() {
    beside_a_bystander(stage(), |endpoint| {
        let exchange = |user: &str| {
            let mut peer = proxy_tls();
            peer.send(&message::startup(&[("user", user), ("database", "any")]));
            let offer = peer.expect_frame(b'R');
            let first = scram::client_first();
            peer.send(&scram::initial_response(scram::MECHANISM, first.as_bytes()));
            let challenge = peer.expect_frame(b'R');
            peer.send(&scram::client_final(&challenge.body[4..], "wrong"));
            let error = peer.expect_error("28P01");
            assert_eq!(peer.end(), End::CloseNotify);
            let text = String::from_utf8(challenge.body).expect("text");
            let (nonce, salt) = text.split_once(",s=").expect("a salt");
            let shape = (offer.body, nonce.len(), salt.len());
            let words = error.body.clone();
            let words = String::from_utf8(words).expect("text").replace(user, "?");
            (shape, words, salt.to_owned())
        };
        let (known, known_words, _) = exchange(&endpoint.user);
        let (unknown, unknown_words, salt) = exchange("nobody_here");
        assert_eq!(known, unknown);
        assert_eq!(known_words, unknown_words);
        assert!(known_words.contains("password authentication failed for user \"?\""));
        // The same salt each time, as a real user's, and another for another user.
        assert_eq!(exchange("nobody_here").2, salt);
        assert_ne!(exchange("nobody_there").2, salt);
    });
}

#[test]
fn method_password_asks_inside_tls() {
    let stage = plan().set("auth", "method", "\"password\"").start();
    let endpoint = stage.endpoint(direct());
    let connect = || {
        let mut peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
        peer.send(&startup(&endpoint));
        assert_eq!(peer.expect_frame(b'R').body, [0, 0, 0, 3]);
        peer
    };
    let mut peer = connect();
    peer.send(&message::password(&endpoint.password));
    Session::settle(peer).query("SELECT 1");
    for (wrong, sqlstate) in [
        (message::password("wrong"), "28P01"),
        (message::password(""), "28P01"),
        (frame(b'p', b"no terminator"), "08P01"),
        (frame(b'p', b"two\0strings\0"), "08P01"),
        (message::query("SELECT 1"), "08P01"),
    ] {
        let mut peer = connect();
        peer.send(&wrong);
        peer.expect_error(sqlstate);
        assert_eq!(peer.end(), End::CloseNotify);
    }
    // As PostgreSQL: a password beyond 65535 bytes ends the connection without a word.
    let mut peer = connect();
    let _ = peer.try_send(&message::password(&"x".repeat(70_000)));
    assert!(peer.drain().0.is_empty());
}

#[test]
fn method_md5_challenges_users_whose_password_is_known() {
    let stage = plan().set("auth", "method", "\"md5\"").start();
    let endpoint = stage.endpoint(direct());
    let hex = |bytes: &[u8]| {
        let digest = openssl::hash::hash(openssl::hash::MessageDigest::md5(), bytes);
        let digest = digest.expect("MD5");
        digest
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    for (password, right) in [(endpoint.password.as_str(), true), ("wrong", false)] {
        let mut peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
        peer.send(&startup(&endpoint));
        let request = peer.expect_frame(b'R');
        assert_eq!(
            (&request.body[..4], request.body.len()),
            (&[0, 0, 0, 5][..], 8)
        );
        let inner = hex(format!("{password}{}", endpoint.user).as_bytes());
        let outer = hex(&[inner.as_bytes(), &request.body[4..]].concat());
        peer.send(&message::password(&format!("md5{outer}")));
        match right {
            true => drop(Session::settle(peer).query("SELECT 1")),
            false => drop(peer.expect_error("28P01")),
        }
    }
}
