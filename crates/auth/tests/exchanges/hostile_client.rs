//! Clients that send what they should not: each gets PostgreSQL's answer.

use crate::pair::{tls, verifier};
use auth::*;

fn start(method: Method, end_point: Option<u8>) -> Gate {
    let step = Gate::start(Attempt {
        method,
        user: "alice",
        leg: &tls(end_point),
        stored: verifier("x"),
        chance: Chance {
            nonce: [0; 18],
            md5_salt: [0; 4],
        },
        mock: &MockSecret::new(&[0; 32]),
        rules: &GateRules::default(),
    });
    match step {
        GateStep::Send(_, gate) => gate,
        step => panic!("something is asked for, not {step:?}"),
    }
}

fn initial(mechanism: &str, data: &[u8]) -> Vec<u8> {
    let mut body = [mechanism.as_bytes(), &[0]].concat();
    body.extend_from_slice(&(data.len() as i32).to_be_bytes());
    body.extend_from_slice(data);
    body
}

fn refusal(step: GateStep) -> (&'static str, Reason) {
    match step {
        GateStep::Refused(refusal) => (refusal.sqlstate(), refusal.reason()),
        step => panic!("should be refused, not {step:?}"),
    }
}

const PLAIN: &str = "SCRAM-SHA-256";
const PLUS: &str = "SCRAM-SHA-256-PLUS";

#[test]
fn sasl_initial_response_is_exact() {
    let malformed = ("08P01", Reason::Malformed(Malformed::SaslInitialResponse));
    let mechanism = ("08P01", Reason::MechanismNotOffered);
    let table: [(&[u8], _); 11] = [
        (b"", malformed),
        (b"SCRAM-SHA-256", malformed),
        (b"SCRAM-SHA-256\0", malformed),
        (b"SCRAM-SHA-256\0\0\0\0", malformed),
        (b"SCRAM-SHA-256\0\0\0\0\x05n,,n", malformed),
        (b"SCRAM-SHA-256\0\0\0\0\x02n,,n", malformed),
        (b"SCRAM-SHA-256\0\xff\xff\xff\xffn", malformed),
        (b"SCRAM-SHA-256\0\xff\xff\xff\xfe", malformed),
        (b"SCRAM-SHA-256\0\x7f\xff\xff\xff", malformed),
        (b"SCRAM-SHA-1\0\0\0\0\x00", mechanism),
        (b"\0\0\0\0\x00", mechanism),
    ];
    for (body, expected) in table {
        let step = start(Method::ScramSha256, Some(1)).on_message(body);
        assert_eq!(refusal(step), expected, "{body:?}");
    }
    let step = start(Method::ScramSha256, None).on_message(&initial(PLUS, b"n,,n=,r=x"));
    assert_eq!(refusal(step), mechanism);
    let step = start(Method::ScramSha256, None).on_message(&[b'x'; 1025]);
    let oversize = Reason::Oversize {
        len: 1025,
        limit: 1024,
    };
    assert_eq!(refusal(step), ("08P01", oversize));
}

#[test]
fn client_first_message_is_exact() {
    use Malformed::*;
    let bad = |what| ("08P01", Reason::Malformed(what));
    let table: [(Option<u8>, &str, &[u8], _); 22] = [
        (None, PLAIN, b"", bad(Empty)),
        (None, PLAIN, b"\xff", bad(NotText)),
        (None, PLAIN, b"n,,n=,r=x\0", bad(NotText)),
        (None, PLAIN, b"n", bad(Gs2Header)),
        (None, PLAIN, b"x,,n=,r=x", bad(Gs2Header)),
        (None, PLAIN, b"n,x,n=,r=x", bad(Gs2Header)),
        (
            None,
            PLAIN,
            b"n,a=bob,n=,r=x",
            ("0A000", Reason::AuthorizationIdentity),
        ),
        (
            None,
            PLAIN,
            b"n,,m=x,n=,r=x",
            ("0A000", Reason::ScramExtension),
        ),
        (None, PLAIN, b"n,,r=x", bad(Attribute)),
        (None, PLAIN, b"n,,n=", bad(Attribute)),
        (None, PLAIN, b"n,,n=,n=", bad(Attribute)),
        (None, PLAIN, b"n,,n=,r=", bad(Nonce)),
        (None, PLAIN, b"n,,n=,r=a b", bad(Nonce)),
        (None, PLAIN, b"n,,n=,r=a\x7f", bad(Nonce)),
        (None, PLAIN, "n,,n=,r=é".as_bytes(), bad(Nonce)),
        (None, PLAIN, b"n,,n=,r=a,", bad(Attribute)),
        (None, PLAIN, b"n,,n=,r=a,1=x", bad(Attribute)),
        (
            None,
            PLAIN,
            b"p=tls-server-end-point,,n=,r=x",
            bad(BindingFlag),
        ),
        (Some(1), PLUS, b"n,,n=,r=x", bad(BindingFlag)),
        (Some(1), PLUS, b"y,,n=,r=x", bad(BindingFlag)),
        (Some(1), PLUS, b"p=tls-unique,,n=,r=x", bad(BindingType)),
        (
            Some(1),
            PLAIN,
            b"y,,n=,r=x",
            ("28000", Reason::BindingDowngrade),
        ),
    ];
    for (end_point, mechanism, data, expected) in table {
        let gate = start(Method::ScramSha256, end_point);
        let step = gate.on_message(&initial(mechanism, data));
        assert_eq!(refusal(step), expected, "{}", data.escape_ascii());
    }
}

#[test]
fn the_first_message_may_follow_an_empty_challenge() {
    let gate = start(Method::ScramSha256, None);
    let GateStep::Send(AuthRequest::SaslContinue(data), gate) =
        gate.on_message(b"SCRAM-SHA-256\0\xff\xff\xff\xff")
    else {
        panic!("the message is asked for");
    };
    assert!(data.is_empty());
    let step = gate.on_message(b"n,,n=ignored,r=abc,x=optional");
    let GateStep::Send(AuthRequest::SaslContinue(data), _) = step else {
        panic!("the exchange goes on");
    };
    assert!(data.starts_with(b"r=abcAAAAAAAAAAAAAAAAAAAAAAAA,s="));
}

#[test]
fn client_final_message_is_exact() {
    use Malformed::*;
    let bad = |what| ("08P01", Reason::Malformed(what));
    let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let nonce = "abcAAAAAAAAAAAAAAAAAAAAAAAA";
    let table = [
        (String::new(), bad(Empty)),
        (format!("c=biws,r={nonce}"), bad(Attribute)),
        (format!("r={nonce},c=biws,p={key}"), bad(Attribute)),
        (format!("c=biws,p={key}"), bad(Attribute)),
        (format!("c=eSws,r={nonce},p={key}"), bad(BindingEcho)),
        (format!("c=biws=,r={nonce},p={key}"), bad(BindingEcho)),
        (
            format!("c=biws,r={nonce}x,p={key}"),
            ("08P01", Reason::NonceMismatch),
        ),
        (
            format!("c=biws,r=abc,p={key}"),
            ("08P01", Reason::NonceMismatch),
        ),
        (format!("c=biws,r={nonce},p={key},x=y"), bad(Trailing)),
        (format!("c=biws,r={nonce},p={}", &key[..40]), bad(Proof)),
        (format!("c=biws,r={nonce},p={key}="), bad(Proof)),
        (format!("c=biws,r={nonce},p="), bad(Proof)),
        (format!("c=biws,r={nonce},,p={key}"), bad(Attribute)),
        (
            format!("c=biws,r={nonce},p={key}"),
            ("28P01", Reason::WrongPassword),
        ),
        (
            format!("c=biws,r={nonce},x=y,p={key}"),
            ("28P01", Reason::WrongPassword),
        ),
    ];
    for (data, expected) in table {
        let gate = start(Method::ScramSha256, None);
        let GateStep::Send(_, gate) = gate.on_message(&initial(PLAIN, b"n,,n=,r=abc")) else {
            panic!("the exchange goes on");
        };
        let step = gate.on_message(data.as_bytes());
        assert_eq!(refusal(step), expected, "{data}");
    }
}

#[test]
fn password_messages_are_exact() {
    let malformed = ("08P01", Reason::Malformed(Malformed::PasswordPacket));
    let oversize = Reason::Oversize {
        len: 65536,
        limit: 65535,
    };
    let big = [b'x'; 65536];
    let table: [(&[u8], _); 6] = [
        (b"", malformed),
        (b"secret", malformed),
        (b"sec\0ret\0", malformed),
        (b"secret\0\0", malformed),
        (b"\0", ("28P01", Reason::EmptyPassword)),
        (&big, ("08P01", oversize)),
    ];
    for (body, expected) in table {
        let step = start(Method::Password, None).on_message(body);
        assert_eq!(refusal(step), expected, "{}", body.len());
    }
}

#[test]
fn answers_and_messages_out_of_turn_are_refused() {
    let keys = || {
        scram::derive(&Derivation {
            password: buf::Secret::new(b"x"),
            salt: b"x".to_vec(),
            iterations: 1,
        })
    };
    let step = start(Method::ScramSha256, None).on_derived(keys());
    assert_eq!(refusal(step), ("XX000", Reason::OutOfTurn));
    let GateStep::Derive(_, gate) = start(Method::Password, None).on_message(b"x\0") else {
        panic!("keys are asked for");
    };
    assert_eq!(
        refusal(gate.on_message(b"x\0")),
        ("08P01", Reason::OutOfTurn)
    );
    let GateStep::Derive(_, gate) = start(Method::Password, None).on_message(b"x\0") else {
        panic!("keys are asked for");
    };
    let (sqlstate, reason) = refusal(gate.on_derived(Err(CryptoFault::ScramUnavailable)));
    assert_eq!(sqlstate, "XX000");
    assert_eq!(reason, Reason::Crypto(CryptoFault::ScramUnavailable));
}

#[test]
fn a_startup_packet_without_a_user_is_refused() {
    for user in ["", "a\0b"] {
        let step = Gate::start(Attempt {
            method: Method::Trust,
            user,
            leg: &tls(None),
            stored: Stored::Unknown,
            chance: Chance {
                nonce: [0; 18],
                md5_salt: [0; 4],
            },
            mock: &MockSecret::new(&[0; 32]),
            rules: &GateRules {
                trust: Trust::NamedForListener,
                ..GateRules::default()
            },
        });
        assert_eq!(refusal(step), ("28000", Reason::NoUserName));
    }
}
