//! What comes where TLS should, and TLS that is too old, broken or of another protocol.

use super::*;

/// CVE-2021-23214: what comes behind SSLRequest is TLS or nothing.
#[test]
fn bytes_behind_ssl_request_are_never_parsed() {
    beside_a_bystander(stage(), |endpoint| {
        let injected = [
            startup(endpoint),
            message::SSL_REQUEST.to_vec(),
            message::cancel(1, b"aaaa"),
            vec![0],
        ];
        for bytes in injected {
            let mut peer = proxy_tcp();
            peer.send(&[&message::SSL_REQUEST[..], &bytes].concat());
            assert_eq!(peer.bytes(1), b"S");
            // The handshake begins in the injected bytes, so it can't succeed.
            let outcome = peer.try_handshake(&stage().client_tls());
            assert!(outcome.is_err(), "{}", bytes.escape_ascii());
        }
        let log = stage().proxy.log();
        assert!(!log.contains("cancel request"), "{log}");
    });
}

/// A ClientHello in the same packet as SSLRequest is what a hurried client may send.
#[test]
fn ssl_request_twice_is_no_startup() {
    beside_a_bystander(stage(), |_| {
        let mut peer = proxy_tcp();
        peer.send(&message::SSL_REQUEST);
        assert_eq!(peer.bytes(1), b"S");
        peer.send(&message::SSL_REQUEST);
        let (alert, _) = peer.drain();
        assert_ne!(alert.first(), Some(&b'S'));
        assert_ne!(alert.first(), Some(&b'E'));
        stage().proxy.await_log("does not speak TLS here");
    });
}

#[test]
fn bytes_that_are_no_tls_records_inside_tls() {
    beside_a_bystander(stage(), |endpoint| {
        let mut session = Session::begin(proxy_tls(), endpoint);
        let pid = session.process_id();
        session.peer.send_raw(b"this is no TLS record at all");
        assert_eq!(session.peer.end(), End::Alert);
        gone(pid);
    });
}

#[test]
fn a_tls_record_that_breaks_off() {
    beside_a_bystander(stage(), |endpoint| {
        let mut session = Session::begin(proxy_tls(), endpoint);
        let pid = session.process_id();
        // Application data of 256 bytes, of which 3 come.
        session.peer.send_raw(b"\x17\x03\x03\x01\x00abc");
        session.peer.cut();
        // Nothing was asked of the server, so its connection may serve the next client.
        let ended = format!("server_pid={pid} reason=\"client vanished\"");
        stage().proxy.await_log(&ended);
        // In the handshake.
        let mut peer = proxy_tcp();
        peer.send(&message::SSL_REQUEST);
        peer.send(b"\x16\x03\x01\x02\x00\x01\x00");
        peer.cut();
    });
}

/// ClientHello of TLS 1.1 with one cipher suite (RFC 4346 section 7.4.1.2).
fn client_hello_1_1() -> Vec<u8> {
    let mut hello = vec![3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x13, 1, 0]);
    let mut handshake = vec![1, 0, 0, u8::try_from(hello.len()).expect("short")];
    handshake.extend(hello);
    let mut record = vec![0x16, 3, 1, 0, u8::try_from(handshake.len()).expect("short")];
    record.extend(handshake);
    record
}

#[test]
fn tls_1_1_is_too_old() {
    beside_a_bystander(stage(), |_| {
        for direct in [false, true] {
            let mut peer = proxy_tcp();
            if !direct {
                peer.send(&message::SSL_REQUEST);
                peer.expect(b"S");
            }
            peer.send(&client_hello_1_1());
            let (alert, _) = peer.drain();
            // Fatal protocol_version (RFC 8446 section 6.2).
            assert_eq!(alert.len(), 7, "{}", alert.escape_ascii());
            assert_eq!((alert[0], &alert[5..]), (0x15, &[2, 70][..]));
        }
        stage()
            .proxy
            .await_log("no TLS version or cipher suite in common");
    });
}

#[test]
fn tls_1_2_will_do() {
    beside_a_bystander(stage(), |endpoint| {
        let tls = stage().client_tls();
        let tls = tls.versions(SslVersion::TLS1_2, SslVersion::TLS1_2);
        let peer = Peer::tls(stage().proxy.address(), &tls);
        Session::begin(peer, endpoint).query("SELECT 1");
    });
}

#[test]
fn direct_tls_needs_alpn() {
    beside_a_bystander(stage(), |endpoint| {
        let (address, tls) = (stage().proxy.address(), stage().client_tls());
        // Right.
        let mut peer = Peer::direct_tls(address, &tls);
        let selected = peer.ssl().and_then(|ssl| ssl.selected_alpn_protocol());
        assert_eq!(selected, Some(&b"postgresql"[..]));
        // An SSLRequest inside it is declined, once.
        peer.send(&message::SSL_REQUEST);
        peer.expect(b"N");
        Session::begin(peer, endpoint).query("SELECT 1");
        // None: closed after the handshake, without a word.
        if let Ok(mut peer) = Peer::tcp(address).try_handshake(&tls) {
            let _ = peer.try_send(&startup(endpoint));
            assert!(peer.drain().0.is_empty());
        }
        stage()
            .proxy
            .await_log("without the ALPN protocol postgresql");
        // Another: alert, also after SSLRequest.
        let other = tls.alpn(&["http/1.1"]);
        assert!(Peer::tcp(address).try_handshake(&other).is_err());
        let mut peer = Peer::tcp(address);
        peer.send(&message::SSL_REQUEST);
        peer.expect(b"S");
        assert!(peer.try_handshake(&other).is_err());
    });
}

/// What libssl itself lets pass in a row, with a byte of data in between, for as long as it is allowed to.
#[test]
fn floods_of_empty_records_and_warning_alerts_are_cut_off() {
    use openssl::ssl::{Ssl, SslContext, SslMethod};
    use testkit::peer::records::{ALERT, APPLICATION_DATA, ClientSecret, USER_CANCELED};
    let kinds: [(u8, &[u8], usize); 4] = [
        (APPLICATION_DATA, &[], 30),
        (APPLICATION_DATA, &[], 100),
        (ALERT, &USER_CANCELED, 4),
        (ALERT, &USER_CANCELED, 100),
    ];
    beside_a_bystander(stage(), |_| {
        for (content_type, content, count) in kinds {
            let mut context = SslContext::builder(SslMethod::tls_client()).expect("a context");
            let secret = ClientSecret::of(&mut context).expect("a key log");
            let mut stream = TcpStream::connect(stage().proxy.address()).expect("a connection");
            let limit = Some(testkit::wait::LONG);
            stream.set_read_timeout(limit).expect("a limit");
            stream.set_write_timeout(limit).expect("a limit");
            stream.write_all(&message::SSL_REQUEST).expect("a request");
            stream.read_exact(&mut [0]).expect("an answer");
            let ssl = Ssl::new(&context.build()).expect("a session");
            let mut stream = ssl.connect(stream).expect("a handshake");
            let mut protection = secret.after(0).expect("the secret");
            let mut record =
                |content_type, content| protection.record(content_type, content).expect("a record");
            // The beginning of a startup packet that is long, but not too long.
            let mut flood = record(APPLICATION_DATA, &[0, 0, 0x20, 0, 0, 3, 0, 0]);
            for _ in 0..1_000 {
                for _ in 0..count {
                    flood.extend(record(content_type, content));
                }
                flood.extend(record(APPLICATION_DATA, b"x"));
            }
            let written = stream.get_mut().write_all(&flood);
            let read = stream.get_mut().read_to_end(&mut Vec::new());
            // Neither is it the client whose patience ended.
            let patient = |error: std::io::Error| error.kind() != ErrorKind::WouldBlock;
            let cut = written.err().is_none_or(patient) && read.err().is_none_or(patient);
            assert!(cut, "{count} records of type {content_type}");
        }
    });
    let log = stage().proxy.log();
    for reason in [
        "empty TLS records",
        "too many warn alerts",
        "record too small",
    ] {
        assert!(log.contains(reason), "{reason}: {log}");
    }
}
