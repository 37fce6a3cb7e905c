//! What scanners ask beyond versions and suites: renegotiation, ALPN, names, and bytes smuggled in
//! front of TLS.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use testkit::peer::message::{self, SSL_REQUEST};
use testkit::{ClientTls, Peer};

use crate::{Begin, address, beginnings, connected, is_well, stage};

/// CVE-2009-3555, CVE-2011-1473: the client asks for a renegotiation, and is told that it may not.
#[test]
fn a_client_may_not_renegotiate() {
    let mut client = Command::new("openssl")
        .args(["s_client", "-starttls", "postgres", "-tls1_2", "-connect"])
        .arg(address().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the openssl program");
    let mut stdin = client.stdin.take().expect("its input");
    let mut said = BufReader::new(client.stdout.take().expect("its output"));
    let mut text = String::new();
    // What is typed before the handshake is over would be data.
    while !text.contains("Verify return code") {
        let count = said.read_line(&mut text).expect("its output");
        assert!(count > 0, "the handshake failed: {text}");
    }
    writeln!(stdin, "R").expect("typing");
    stdin.flush().expect("typing");
    let output = client.wait_with_output().expect("its end");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("RENEGOTIATING"), "{errors}");
    assert!(errors.contains("no renegotiation"), "{errors}");
    drop(stdin);
    is_well();
}

/// RFC 7301, and the manual on direct TLS: `postgresql`, or nothing where TLS was asked for.
#[test]
fn no_protocol_but_postgresql() {
    let blind = || ClientTls::blind().sni("localhost");
    let shake = |begin, tls: &ClientTls| connected(begin).try_handshake(tls);
    for begin in [Begin::Asked, Begin::Direct] {
        let ours = shake(begin, &blind().alpn(&["http/1.1", "postgresql"]));
        let ours = ours.expect("a handshake");
        let selected = ours.ssl().and_then(|ssl| ssl.selected_alpn_protocol());
        assert_eq!(selected, Some(&b"postgresql"[..]), "{begin:?}");
        for foreign in [
            &["http/1.1"][..],
            &["h2", "http/1.1"],
            &["POSTGRESQL"],
            &["postgresq"],
        ] {
            let refused = shake(begin, &blind().alpn(foreign)).err();
            let refused = refused.expect("an alert");
            assert!(refused.contains("no application protocol"), "{refused}");
        }
    }
    // Without any, direct TLS ends before a byte is said.
    if let Ok(mut peer) = shake(Begin::Direct, &blind()) {
        let _ = peer.try_send(&message::startup(&[("user", "scanner")]));
        assert!(peer.drain().0.is_empty());
    }
    assert!(shake(Begin::Asked, &blind()).is_ok());
    is_well();
}

/// A name that the listener does not have gets the default certificate, whatever it looks like.
#[test]
fn an_unknown_name_sees_the_default_certificate() {
    let seen = |begin, tls: ClientTls| {
        let tls = match begin {
            Begin::Asked => tls,
            Begin::Direct => tls.alpn(&["postgresql"]),
        };
        let peer = connected(begin).try_handshake(&tls).expect("a handshake");
        let shown = peer.ssl().and_then(|ssl| ssl.peer_certificate());
        shown.expect("a certificate").to_der().expect("DER")
    };
    for begin in beginnings() {
        let default = seen(*begin, ClientTls::blind());
        for name in ["localhost", "other.example", "xn--nxasmq6b", "a.b.c.d.e.f"] {
            assert_eq!(
                seen(*begin, ClientTls::blind().sni(name)),
                default,
                "{name}"
            );
        }
    }
    // A client that verifies does not go on.
    let other = ClientTls::verified(&stage().authority, "other.example");
    let refused = connected(Begin::Asked).try_handshake(&other).err();
    assert!(
        refused
            .expect("a refusal")
            .contains("certificate verify failed")
    );
    is_well();
}

/// CVE-2021-23214: nothing that comes before the handshake is ever read as PostgreSQL's protocol.
#[test]
fn nothing_is_injected_in_front_of_tls() {
    for smuggled in [
        message::startup(&[("user", "smuggler")]),
        message::frame(b'Q', b"SELECT 1\0"),
        SSL_REQUEST.to_vec(),
        message::cancel(1, b"aaaa"),
        vec![0],
    ] {
        let mut peer = Peer::tcp(address());
        peer.send(&[&SSL_REQUEST[..], &smuggled].concat());
        peer.expect(b"S");
        let outcome = peer.try_handshake(&ClientTls::blind());
        assert!(outcome.is_err(), "{}", smuggled.escape_ascii());
    }
    let log = stage().proxy.log();
    assert!(
        !log.contains("smuggler") && !log.contains("cancel request"),
        "{log}"
    );
    is_well();
}
