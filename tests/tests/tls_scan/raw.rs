//! Bare bytes: versions, compression, downgrade, SNI, and attacks by name.

use crate::hello::{Answer, GOOD_SUITES, Hello, counted_16, next_record, record};
use crate::{Begin, connected, is_well};

/// Alerts of RFC 8446 section 6.
const UNEXPECTED_MESSAGE: u8 = 10;
const HANDSHAKE_FAILURE: u8 = 40;
const PROTOCOL_VERSION: u8 = 70;
const INAPPROPRIATE_FALLBACK: u8 = 86;

/// Extension types (IANA, "TLS ExtensionType Values").
const SERVER_NAME: u16 = 0;
const HEARTBEAT: u16 = 15;
const EXTENDED_MASTER_SECRET: u16 = 23;
const SESSION_TICKET: u16 = 35;
const RENEGOTIATION_INFO: u16 = 0xff01;

fn answer(begin: Begin, bytes: &[u8]) -> Answer {
    let mut peer = connected(begin);
    peer.send(bytes);
    Answer::read(&mut peer)
}

#[test]
fn nothing_below_tls_1_2() {
    for begin in [Begin::Asked, Begin::Direct] {
        for minor in [0, 1, 2] {
            let hello = Hello {
                version: [3, minor],
                suites: vec![0xc013, 0xc014, 0x002f, 0x0035, 0x000a, 0x0005],
                ..Hello::tls_1_2()
            };
            let refused = match answer(begin, &hello.record()) {
                // To SSL 3, which OpenSSL has been built without, it says no more than this.
                Answer::Alert(HANDSHAKE_FAILURE) => minor == 0,
                Answer::Alert(code) => code == PROTOCOL_VERSION,
                Answer::Hello { .. } | Answer::Closed => false,
            };
            assert!(refused, "3.{minor}");
        }
    }
    // A ClientHello of SSL 2: its first byte is a length, not a record's type.
    let ssl_2 = b"\x80\x2b\x01\0\x02\0\x12\0\0\0\x10\x01\0\x80\x03\0\x80\x07\0\xc0\x06\0\x40\
        \x02\0\x80\x04\0\x80\0\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f";
    match answer(Begin::Asked, ssl_2) {
        Answer::Alert(_) | Answer::Closed => {}
        hello => panic!("{hello:?}"),
    }
    is_well();
}

/// CRIME: compressed plaintext shows its content in its length.
#[test]
fn no_compression() {
    let hello = Hello {
        compression: vec![1, 0],
        ..Hello::tls_1_2()
    };
    let Answer::Hello { compression, .. } = answer(Begin::Asked, &hello.record()) else {
        panic!("no ServerHello");
    };
    assert_eq!(compression, 0);
    let only = Hello {
        compression: vec![1],
        ..Hello::tls_1_2()
    };
    assert!(matches!(
        answer(Begin::Asked, &only.record()),
        Answer::Alert(_)
    ));
    is_well();
}

/// RFC 7507: a client that was pushed down to TLS 1.2 says so, and the listener speaks 1.3.
#[test]
fn a_downgraded_client_is_told() {
    let hello = Hello {
        suites: [&GOOD_SUITES[..], &[0x5600]].concat(),
        ..Hello::tls_1_2()
    };
    let answer = answer(Begin::Asked, &hello.record());
    assert_eq!(answer, Answer::Alert(INAPPROPRIATE_FALLBACK));
}

/// RFC 5746 and RFC 7627 are answered; Heartbleed's extension and tickets are not; no session is
/// kept to resume.
#[test]
fn extensions_that_protect_and_none_that_leak() {
    let hello = Hello::tls_1_2()
        .with(HEARTBEAT, &[1])
        .with(EXTENDED_MASTER_SECRET, &[])
        .with(SESSION_TICKET, &[])
        .with(RENEGOTIATION_INFO, &[0]);
    let Answer::Hello {
        version,
        session_id,
        extensions,
        ..
    } = answer(Begin::Asked, &hello.record())
    else {
        panic!("no ServerHello");
    };
    assert_eq!(version, [3, 3]);
    assert_eq!(session_id, 0);
    let has = |kind| extensions.contains(&kind);
    assert!(has(RENEGOTIATION_INFO) && has(EXTENDED_MASTER_SECRET));
    assert!(!has(HEARTBEAT) && !has(SESSION_TICKET), "{extensions:?}");
}

/// Heartbleed: a heartbeat that asks for more than it sends gets an end, not memory.
#[test]
fn heartbeats_are_no_messages_here() {
    let mut peer = connected(Begin::Asked);
    peer.send(&Hello::tls_1_2().with(HEARTBEAT, &[1]).record());
    until_hello_done(&mut peer);
    peer.send(&record(24, b"\x01\x40\0"));
    let (kind, body) = next_record(&mut peer).expect("an alert");
    assert_eq!((kind, body[1]), (21, UNEXPECTED_MESSAGE));
    is_well();
}

/// CVE-2014-0224: ChangeCipherSpec before there are keys.
#[test]
fn an_early_change_of_keys_is_refused() {
    let mut peer = connected(Begin::Asked);
    peer.send(&Hello::tls_1_2().record());
    until_hello_done(&mut peer);
    peer.send(&record(20, &[1]));
    let (kind, body) = next_record(&mut peer).expect("an alert");
    assert_eq!((kind, body[1]), (21, UNEXPECTED_MESSAGE));
    is_well();
}

/// Reads the server's flight up to ServerHelloDone (RFC 5246 section 7.4.5).
#[track_caller]
fn until_hello_done(peer: &mut testkit::Peer) {
    let mut flight = Vec::new();
    while !flight.ends_with(&[14, 0, 0, 0]) {
        let (kind, body) = next_record(peer).expect("the server's flight");
        assert_eq!(kind, 22);
        flight.extend(body);
    }
}

/// SNI is written by whoever connects (RFC 6066 section 3): wrong names get an alert or the default
/// certificate, and hurt nobody.
#[test]
fn server_names_that_are_none() {
    let named = |kind: u8, name: &[u8]| {
        let entry = [&[kind][..], &counted_16(name)].concat();
        counted_16(&entry)
    };
    let long = vec![b'a'; 300];
    let contents = [
        named(0, b"nobody.example"),
        named(0, b""),
        named(0, b"local\0host"),
        named(0, b"localhost."),
        named(0, b"*.localhost"),
        named(0, b"../../etc/passwd"),
        named(0, b"\xff\xfe\r\n%n%s"),
        named(0, &long),
        named(9, b"localhost"),
        vec![],
        vec![0, 0],
        vec![0xff, 0xff, 0],
    ];
    for content in &contents {
        let hello = Hello::tls_1_2().with(SERVER_NAME, content);
        let answer = answer(Begin::Asked, &hello.record());
        assert_ne!(answer, Answer::Closed, "{}", content.escape_ascii());
    }
    let twice = Hello::tls_1_2()
        .with(SERVER_NAME, &contents[0])
        .with(SERVER_NAME, &contents[0]);
    assert!(matches!(
        answer(Begin::Asked, &twice.record()),
        Answer::Alert(_)
    ));
    is_well();
}

/// A ClientHello that announces 16 MiB is not waited for, nor given memory.
#[test]
fn a_client_hello_of_sixteen_megabytes() {
    let mut peer = connected(Begin::Asked);
    peer.send(&record(22, &[1, 0xff, 0xff, 0xff, 3, 3]));
    assert!(matches!(Answer::read(&mut peer), Answer::Alert(_)));
    is_well();
}

/// Cut into many packets, a ClientHello is the same.
#[test]
fn a_client_hello_byte_by_byte() {
    let mut peer = connected(Begin::Asked);
    peer.send_chopped(&Hello::tls_1_2().record());
    assert!(matches!(Answer::read(&mut peer), Answer::Hello { .. }));
    // Cut into records of TLS, likewise (RFC 5246 section 6.2.1).
    let mut peer = connected(Begin::Asked);
    for part in Hello::tls_1_2().message().chunks(16) {
        peer.send(&record(22, part));
    }
    assert!(matches!(Answer::read(&mut peer), Answer::Hello { .. }));
}
