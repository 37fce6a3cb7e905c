//! Both ends of a login as tables: what clients may send first, what servers may answer, and what
//! becomes of those that do neither.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use buf::Plain;
use session::arrival::{self, Arrived, Awaited, Reached};
use session::fault::{Fault, FaultKind, Side};
use session::login::{Dialogue, LoginEvent};
use session::lookup::Lookup;
use wire::ProtocolVersion;
use wire::startup::StartupMessage;

fn plain(bytes: &[u8]) -> Plain {
    let mut plain = Plain::with_capacity(64 * 1024);
    plain.push(bytes).unwrap();
    plain
}

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u32 + 4).to_be_bytes();
    [&[tag][..], &len, body].concat()
}

fn startup(code: u32, parameters: &[u8]) -> Vec<u8> {
    let len = (8 + parameters.len() as u32).to_be_bytes();
    [&len[..], &code.to_be_bytes(), parameters].concat()
}

const V3_0: u32 = 196_608;
const V3_2: u32 = 196_610;
const GREASE: u32 = 206_607;

/// What the first packet of a leg leads to, and what is answered at once.
fn first(reached: Reached, bytes: &[u8]) -> (String, Vec<u8>) {
    let (mut reached, mut output) = (reached, plain(b""));
    let found = arrival::first_packet(&mut reached, &mut plain(bytes), &mut output);
    let text = match found {
        Ok(None) => "more".to_owned(),
        Ok(Some(Arrived::Cancel(request))) => format!("cancel {}", request.pid),
        Ok(Some(Arrived::Newcomer(who))) => {
            format!("{} to {} by {}", who.user, who.database, who.version)
        }
        Err(fault) => fault.kind.to_string(),
    };
    (text, output.bytes().to_vec())
}

#[test]
fn first_packets() {
    let ssl: &[u8] = &wire::startup::SSL_REQUEST_BYTES;
    let then = |packet: Vec<u8>| [ssl, &packet].concat();
    let alice = b"user\0alice\0database\0shop\0\0";
    let long = [&b"user\0"[..], &[b'u'; 70], b"\0\0"].concat();
    let (asked, direct) = (Reached::Asked, Reached::DirectTls);
    let table: &[(Reached, Vec<u8>, &str, &[u8])] = &[
        (asked, startup(V3_0, alice), "alice to shop by 3.0", b""),
        (asked, startup(V3_2, alice), "alice to shop by 3.2", b""),
        (
            asked,
            startup(V3_0 + 1, alice),
            "alice to shop by 3.0",
            b"v\0\0\0\x0c\0\x03\0\0\0\0\0\0",
        ),
        (
            asked,
            startup(GREASE, alice),
            "alice to shop by 3.2",
            b"v\0\0\0\x0c\0\x03\0\x02\0\0\0\0",
        ),
        (
            asked,
            startup(GREASE, b"user\0a\0_pq_.x\0\0\0"),
            "a to a by 3.2",
            b"v\0\0\0\x13\0\x03\0\x02\0\0\0\x01_pq_.x\0",
        ),
        (
            asked,
            startup(V3_0, &long),
            &format!("{0} to {0} by 3.0", "u".repeat(63)),
            b"",
        ),
        (
            asked,
            startup(131_072, b""),
            "protocol 2.0 is not supported",
            b"",
        ),
        (
            asked,
            startup(262_144, b""),
            "protocol 4.0 is not supported",
            b"",
        ),
        (
            asked,
            startup(V3_0, b"database\0shop\0\0"),
            "the startup packet names no user",
            b"",
        ),
        (
            asked,
            startup(V3_0, b"user\0\0\0"),
            "the startup packet names no user",
            b"",
        ),
        (
            asked,
            ssl.to_vec(),
            "protocol 1234.5679 is not supported",
            b"",
        ),
        (
            direct,
            then(startup(V3_0, alice)),
            "alice to shop by 3.0",
            b"N",
        ),
        (
            direct,
            then(ssl.to_vec()),
            "protocol 1234.5679 is not supported",
            b"N",
        ),
        (
            asked,
            b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x07abcd".to_vec(),
            "cancel 7",
            b"",
        ),
        (asked, b"\0\0".to_vec(), "more", b""),
    ];
    for (reached, bytes, expected, answered) in table {
        let (found, answer) = first(*reached, bytes);
        assert_eq!(
            (found.as_str(), &answer[..]),
            (*expected, *answered),
            "{bytes:?}"
        );
    }
    for bad in [
        startup(V3_0, b"user\0alice\0"),
        startup(V3_0, b"user\0a\0\0x"),
        vec![0, 0, 0, 3],
    ] {
        let (found, _) = first(Reached::Asked, &bad);
        assert!(found.starts_with("message '\0'"), "{bad:?}: {found}");
    }
}

#[test]
fn the_server_gets_the_clients_parameters_under_its_own_names() {
    let sent = startup(
        V3_2,
        b"user\0alice\0database\0shop\0options\0-c a=b\0_pq_.x\x001\0my.x\0y\0\0",
    );
    let (mut reached, mut output) = (Reached::Asked, plain(b""));
    let found = arrival::first_packet(&mut reached, &mut plain(&sent), &mut output);
    let Ok(Some(Arrived::Newcomer(newcomer))) = found else {
        panic!("no newcomer");
    };
    let startup = arrival::startup_for_server(&newcomer, "app", "shop_production").unwrap();
    let mut bytes = vec![];
    startup.encode(&mut bytes).unwrap();
    let expected = b"user\0app\0database\0shop_production\0options\0-c a=b\0my.x\0y\0\0";
    assert_eq!(&bytes[8..], expected);
    assert_eq!(startup.version(), ProtocolVersion::V3_2);
}

#[test]
fn proofs_are_bounded_and_nothing_else_is_taken_for_one() {
    let proof = |bytes: &[u8]| arrival::proof(Awaited::Password, &mut plain(bytes));
    assert!(proof(b"p\0\0\0\x06x").unwrap().is_none());
    assert!(proof(b"p\0\0\0\x06x\0").unwrap().unwrap().same_as(b"x\0"));
    let query = proof(b"Q\0\0\0\x06x\0").unwrap_err();
    assert!(matches!(query.kind, FaultKind::NoProof { tag: b'Q', .. }));
    let huge = proof(b"p\0\x01\0\0").unwrap_err();
    assert_eq!(
        huge.kind,
        FaultKind::BadLength {
            tag: b'p',
            len: 65_536
        }
    );
}

fn dialogue(version: ProtocolVersion) -> Dialogue {
    let user: [(&[u8], &[u8]); 1] = [(b"user", b"alice")];
    let sent = StartupMessage::new(version, user).unwrap();
    Dialogue::new(sent, Plain::with_capacity(64 * 1024))
}

const OK: &[u8] = b"R\0\0\0\x08\0\0\0\0";
const KEY: &[u8] = b"K\0\0\0\x0c\0\0\0\x09abcd";
const READY: &[u8] = b"Z\0\0\0\x05I";

/// Plays a server's whole login, whose every request is taken for accepted.
fn log_in(version: ProtocolVersion, bytes: &[u8], piece: usize) -> Result<String, Fault> {
    let mut dialogue = dialogue(version);
    let mut input = Plain::with_capacity(64 * 1024);
    let mut seen = String::new();
    for piece in bytes.chunks(piece) {
        input.push(piece).unwrap();
        while let Some(event) = dialogue.step(&mut input)? {
            match event {
                LoginEvent::Request(body) => {
                    seen += &format!("request {} ", body.len());
                    dialogue.accepted();
                }
                LoginEvent::Ready(server, welcome) => {
                    let pid = server.key.as_ref().map_or(0, |key| key.pid);
                    seen += &format!("ready {} pid {pid} {}", server.version, welcome.0.len());
                    return Ok(seen);
                }
            }
        }
    }
    Ok(seen + "more")
}

#[test]
fn logins_of_servers() {
    let version = frame(b'S', b"server_version\x0015.1\0");
    let notice = frame(b'N', b"SNOTICE\0\0");
    let old = frame(b'v', b"\0\x03\0\0\0\0\0\0");
    let long_key = frame(b'K', &[1; 36]);
    let join = |parts: &[&[u8]]| parts.concat();
    let (v0, v2) = (ProtocolVersion::V3_0, ProtocolVersion::V3_2);
    let table = [
        (
            v0,
            join(&[OK, &version, KEY, READY]),
            "request 4 ready 3.0 pid 9 25",
        ),
        (
            v0,
            join(&[OK, &version, &notice, KEY, READY]),
            "request 4 ready 3.0 pid 9 39",
        ),
        (v0, join(&[OK, READY]), "request 4 ready 3.0 pid 0 0"),
        (
            v2,
            join(&[&old, OK, KEY, READY]),
            "request 4 ready 3.0 pid 9 0",
        ),
        (
            v2,
            join(&[OK, &long_key, READY]),
            "request 4 ready 3.2 pid 16843009 0",
        ),
        (v0, join(&[OK, KEY]), "request 4 more"),
    ];
    for (version, bytes, expected) in &table {
        for piece in [1, 7, 1000] {
            assert_eq!(log_in(*version, bytes, piece).unwrap(), *expected);
        }
    }
}

#[test]
fn logins_of_hostile_servers() {
    let v0 = ProtocolVersion::V3_0;
    let long = frame(b'K', &[1; 36]);
    let newer = frame(b'v', b"\0\x03\0\x02\0\0\0\0");
    let many = [OK, &frame(b'S', b"a\0b\0").repeat(1001)].concat();
    let names: Vec<u8> = (0..70)
        .flat_map(|i| frame(b'S', format!("n{i}\0x\0").as_bytes()))
        .collect();
    let table: &[(&str, Vec<u8>)] = &[
        ("no place in the server's authentication", READY.to_vec()),
        ("no place in the server's authentication", KEY.to_vec()),
        (
            "no place in the server's authentication",
            frame(b'N', b"\0"),
        ),
        (
            "no place in the server's authentication",
            frame(b'D', b"\0\0"),
        ),
        ("out of bounds", b"R\0\0\x07\xd1".to_vec()),
        ("out of bounds", b"R\0\0\0\x03".to_vec()),
        ("out of bounds", b"E\0\0\x75\x31".to_vec()),
        ("no place in the server's start", [OK, OK].concat()),
        (
            "no place in the server's start",
            [OK, &frame(b'D', b"\0\0")].concat(),
        ),
        (
            "no place in the server's start",
            [OK, &frame(b'Z', b"T")].concat(),
        ),
        ("cancel key", [OK, &long].concat()),
        ("cancel key", [OK, KEY, KEY].concat()),
        ("cancel key", [OK, &frame(b'K', b"\0\0\0\x01abc")].concat()),
        ("a version that was not asked for", newer),
        ("too many messages", many),
        ("number of parameters", [OK, &names].concat()),
        ("two strings", [OK, &frame(b'S', b"a\0b")].concat()),
        ("out of bounds", [OK, b"S\0\0\x75\x31"].concat()),
        ("SQLSTATE 28P01", frame(b'E', b"SFATAL\0C28P01\0Mno\0\0")),
        ("no SQLSTATE", frame(b'E', b"")),
        ("no SQLSTATE", frame(b'E', b"C\n\x1b[2J\0\0")),
    ];
    for (expected, bytes) in table {
        let fault = log_in(v0, bytes, 5000).expect_err(expected);
        assert_eq!(fault.side, Side::Server);
        assert!(fault.to_string().contains(expected), "{expected}: {fault}");
    }
}

#[test]
fn a_question_is_bound_and_its_answer_is_bounded() {
    let mut output = plain(b"");
    let mut lookup = Lookup::ask("SELECT $1", &["o'b; --"], &mut output).unwrap();
    let expected = [
        frame(b'P', b"\0SELECT $1\0\0\0"),
        frame(b'B', b"\0\0\0\0\0\x01\0\0\0\x07o'b; --\0\0"),
        frame(b'D', b"P\0"),
        frame(b'E', b"\0\0\0\0\0"),
        frame(b'S', b""),
    ]
    .concat();
    assert_eq!(output.bytes(), expected);

    let row = frame(b'D', b"\0\x02\0\0\0\x01a\xff\xff\xff\xff");
    let column = b"c\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0";
    let answer = [
        frame(b'1', b""),
        frame(b'2', b""),
        frame(b'T', &[&b"\0\x02"[..], column, column].concat()),
        row,
        frame(b'C', b"SELECT 1\0"),
    ]
    .concat();
    let mut input = plain(&answer);
    assert_eq!(lookup.columns(), None);
    assert!(lookup.step(&mut input).unwrap().is_none());
    assert_eq!(lookup.columns(), Some(2));
    input.push(READY).unwrap();
    let rows = lookup.step(&mut input).unwrap().unwrap();
    assert_eq!(rows.len(), 1);
    assert!(rows[0][0].as_ref().unwrap().same_as(b"a") && rows[0][1].is_none());

    let mut lookup = Lookup::ask("x", &[], &mut plain(b"")).unwrap();
    let nothing = [frame(b'n', b""), READY.to_vec()].concat();
    assert_eq!(
        lookup
            .step(&mut plain(&nothing))
            .unwrap()
            .map(|it| it.len()),
        Some(0)
    );
    assert_eq!(lookup.columns(), Some(0));

    for (bytes, expected) in [
        (frame(b'T', b"\0\x02c\0"), "columns"),
        (
            [frame(b'E', b"C42501\0\0"), READY.to_vec()].concat(),
            "SQLSTATE 42501",
        ),
        (frame(b'D', b"\0\x02\0\0\0\x01a"), "columns"),
        (
            frame(b'D', b"\0\0").repeat(1001),
            "more rows than asked for",
        ),
        (frame(b'G', b"\0\0\0"), "no place in the answer"),
        (b"D\0\0\x75\x31".to_vec(), "out of bounds"),
    ] {
        let mut lookup = Lookup::ask("x", &[], &mut plain(b"")).unwrap();
        let fault = lookup.step(&mut plain(&bytes)).expect_err(expected);
        assert!(fault.to_string().contains(expected), "{expected}: {fault}");
    }
}

#[test]
fn a_version_is_negotiated_once_and_first() {
    let older = frame(b'v', b"\0\x03\0\0\0\0\0\0");
    let request = frame(b'R', b"\0\0\0\x03");
    for bytes in [
        [older.clone(), older.clone()].concat(),
        [request, older].concat(),
    ] {
        let mut dialogue = dialogue(ProtocolVersion::V3_2);
        let mut input = plain(&bytes);
        let fault = loop {
            match dialogue.step(&mut input) {
                Ok(Some(_)) => {}
                Ok(None) => panic!("taken: {bytes:?}"),
                Err(fault) => break fault,
            }
        };
        assert!(
            matches!(fault.kind, FaultKind::OutOfPhase { tag: b'v', .. }),
            "{fault}"
        );
    }
}
