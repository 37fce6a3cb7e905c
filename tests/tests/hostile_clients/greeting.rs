//! The first packets, before TLS and inside it.

use super::*;

#[test]
fn bad_packets_before_tls() {
    let table: [(&str, Vec<u8>); 9] = [
        ("length 0", counted(0, V3)),
        ("length 3", counted(3, V3)),
        ("length 7", counted(7, V3)),
        ("length -1", counted(u32::MAX, V3)),
        ("huge", counted(0x7fff_ffff, V3)),
        ("10001 bytes", startup_of(10_001)),
        (
            "HTTP",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        ),
        ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        ("a query", message::query("SELECT 1")),
    ];
    beside_a_bystander(stage(), |_| {
        for (what, bytes) in &table {
            compare(what, proxy_tcp(), server_tcp(), bytes);
        }
    });
}

#[test]
fn bad_packets_inside_tls() {
    let user = |tail: &[u8]| untagged(&[V3, b"user\0nobody\0", tail].concat());
    let table: [(&str, Vec<u8>); 14] = [
        ("length 0", counted(0, V3)),
        ("length 3", counted(3, V3)),
        ("length 7", counted(7, V3)),
        ("length -1", counted(u32::MAX, V3)),
        ("huge", counted(0x7fff_ffff, V3)),
        ("10001 bytes", startup_of(10_001)),
        (
            "HTTP",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        ),
        ("a query", message::query("SELECT 1")),
        ("no terminator", user(b"")),
        ("a name without value", user(b"database\0")),
        ("bytes behind the terminator", user(b"\0x")),
        ("no user", untagged(&[V3, b"database\0x\0\0"].concat())),
        ("empty user", untagged(&[V3, b"user\0\0\0"].concat())),
        ("nothing at all", untagged(&[V3, b"\0"].concat())),
    ];
    beside_a_bystander(stage(), |_| {
        for (what, bytes) in &table {
            compare(what, proxy_tls(), server_tls(), bytes);
        }
    });
}

#[test]
fn the_longest_startup_packet_is_still_read() {
    let mut peer = proxy_tls();
    peer.send(&startup_of(10_000));
    // The role exists nowhere, which is told only at the end of the exchange.
    assert_eq!(peer.expect_frame(b'R').body[..4], [0, 0, 0, 10]);
}

/// In PostgreSQL's words, with our own versions; it answers those below 3 in a format of theirs.
#[test]
fn unsupported_versions() {
    let table: [(&str, Vec<u8>, &str); 5] = [
        ("2.0", untagged(b"\0\x02\0\0"), "2.0"),
        ("4.0", untagged(b"\0\x04\0\0user\0x\0\0"), "4.0"),
        ("0.0", untagged(b"\0\0\0\0"), "0.0"),
        (
            "SSLRequest inside TLS",
            message::SSL_REQUEST.to_vec(),
            "1234.5679",
        ),
        (
            "GSSENCRequest inside TLS",
            message::GSSENC_REQUEST.to_vec(),
            "1234.5680",
        ),
    ];
    beside_a_bystander(stage(), |_| {
        for (what, bytes, version) in table {
            let wanted = format!("unsupported frontend protocol {version}: server supports ");
            let mut peer = proxy_tls();
            peer.send(&bytes);
            let error = peer.expect_error("0A000");
            let text = error.field(b'M').expect("a message");
            assert!(text.starts_with(&wanted), "{what}: {text}");
            assert_eq!(error.field(b'V').as_deref(), Some("FATAL"));
            assert_eq!(peer.end(), End::CloseNotify);
        }
    });
}

#[test]
fn gss_is_declined_and_tls_follows() {
    beside_a_bystander(stage(), |endpoint| {
        let mut peer = proxy_tcp();
        peer.send(&message::GSSENC_REQUEST);
        assert_eq!(peer.bytes(1), b"N");
        let peer = peer.request_tls(&stage().client_tls());
        Session::begin(peer, endpoint).query("SELECT 1");
        // Once each: a second request is a version nobody knows, and unencrypted at that.
        let mut peer = proxy_tcp();
        peer.send(&message::GSSENC_REQUEST);
        assert_eq!(peer.bytes(1), b"N");
        peer.send(&message::GSSENC_REQUEST);
        peer.expect_error("28000");
        assert_eq!(peer.end(), End::Fin);
    });
}

#[test]
fn a_startup_in_clear_text_is_told_to_use_tls() {
    beside_a_bystander(stage(), |endpoint| {
        let mut peer = proxy_tcp();
        peer.send(&startup(endpoint));
        let error = peer.expect_error("28000");
        let text = error.field(b'M').expect("a message");
        assert!(
            text.contains("TLS") && text.contains("sslmode=verify-full"),
            "{text}"
        );
        assert_eq!(peer.end(), End::Fin);
        stage().proxy.await_log("the client did not ask for TLS");
    });
}

#[test]
fn a_cancel_in_clear_text_is_refused_and_logged() {
    let stage = plan().start();
    beside_a_bystander(&stage, |endpoint| {
        let mut session = Session::through(&stage, endpoint);
        let key = session.key.clone().expect("BackendKeyData").body;
        session.peer.send(&message::query("SELECT pg_sleep(0.3)"));
        let pid = u32::from_be_bytes([key[0], key[1], key[2], key[3]]);
        let mut peer = Peer::tcp(stage.proxy.address());
        peer.send(&message::cancel(pid, &key[4..]));
        assert_eq!(peer.end(), End::Fin);
        stage.proxy.await_log("plaintext_cancel");
        // It wasn't carried out.
        session.peer.until_ready();
    });
}

#[test]
fn newer_minor_versions_and_unknown_options_are_negotiated() {
    let option = "_pq_.test_protocol_negotiation";
    // Version asked for, option, version answered.
    let table = [
        (0x0003_270f, Some(option), 0x0003_0002_u32),
        (0x0003_270f, None, 0x0003_0002),
        (0x0003_0000, Some(option), 0x0003_0000),
        (0x0003_0001, None, 0x0003_0000),
    ];
    beside_a_bystander(stage(), |endpoint| {
        for (asked, option, answered) in table {
            let mut parameters = vec![
                ("user", endpoint.user.as_str()),
                ("database", endpoint.database.as_str()),
            ];
            parameters.extend(option.map(|name| (name, "1")));
            let mut peer = proxy_tls();
            peer.send(&message::startup_version(asked, &parameters));
            let mut wanted = answered.to_be_bytes().to_vec();
            wanted.extend(u32::from(option.is_some()).to_be_bytes());
            if let Some(name) = option {
                wanted.extend([name.as_bytes(), b"\0"].concat());
            }
            let answer = peer.expect_frame(b'v');
            assert_eq!(answer.body, wanted, "{asked:x}");
            prove(&mut peer, &endpoint.password);
            Session::settle(peer).query("SELECT 1");
        }
    });
}
