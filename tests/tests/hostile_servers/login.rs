//! Lies from the startup packet to ReadyForQuery.

use super::*;

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
