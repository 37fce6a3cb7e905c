//! No state, step or outcome prints what it holds.

use crate::pair::*;
use auth::scram::derive;
use auth::*;
use buf::Secret;

const MARKER: &str = "hunter2-marker";

/// The marker as text, as the list of numbers a derived `Debug` would print, and as hexadecimal.
fn assert_hidden(printed: &str) {
    let numbers: Vec<_> = MARKER.bytes().map(|byte| byte.to_string()).collect();
    let hex: String = MARKER.bytes().map(|byte| format!("{byte:02x}")).collect();
    for form in [MARKER.to_owned(), numbers.join(", "), hex] {
        assert!(!printed.contains(&form), "{printed}");
    }
}

fn attempt(method: Method, stored: Stored) -> GateStep {
    Gate::start(Attempt {
        method,
        user: "alice",
        leg: &tls(None),
        stored,
        chance: Chance {
            nonce: [0; 18],
            md5_salt: [0; 4],
        },
        mock: &MockSecret::new(b"hunter2-markerhunter2-marker1234"),
        rules: &GateRules::default(),
    })
}

#[test]
fn no_step_of_a_gate_prints_its_secrets() {
    let plain = || Stored::Known(Verifier::Password(Secret::new(MARKER.as_bytes())));
    let message = format!("{MARKER}\0");
    for stored in [
        plain(),
        Stored::Unknown,
        Stored::AskServer,
        verifier(MARKER),
    ] {
        assert_hidden(&format!("{stored:?}"));
        for method in [Method::ScramSha256, Method::Md5, Method::Password] {
            let mut step = attempt(method, stored.clone());
            loop {
                assert_hidden(&format!("{step:?} {step:#?}"));
                step = match step {
                    GateStep::Send(_, gate) => {
                        assert_hidden(&format!("{gate:?}"));
                        gate.on_message(message.as_bytes())
                    }
                    GateStep::Derive(question, gate) => gate.on_derived(derive(&question)),
                    _ => break,
                };
            }
        }
    }
}

#[test]
fn no_step_of_an_answer_prints_its_secrets() {
    let first: &[u8] = b"\0\0\0\x0br=AAAAAAAAAAAAAAAAAAAAAAAAx,s=c2FsdA==,i=1";
    let scripts: [&[&[u8]]; 3] = [
        &[b"\0\0\0\x0aSCRAM-SHA-256\0\0", first, b"\0\0\0\0"],
        &[b"\0\0\0\x05salt", b"\0\0\0\0"],
        &[b"\0\0\0\x03", b"\0\0\0\0"],
    ];
    for script in scripts {
        let login = ServerLogin {
            user: &ServerUser::configured("alice"),
            credential: password(MARKER),
            leg: &tls(None),
            rules: &scram().answer_rules,
            nonce: [0; 18],
        };
        assert_hidden(&format!("{login:?}"));
        let mut answer = Answer::start(login).unwrap();
        for body in script {
            assert_hidden(&format!("{answer:?}"));
            let mut step = answer.on_request(body);
            assert_hidden(&format!("{step:?} {step:#?}"));
            if let AnswerStep::Derive(question, next) = step {
                step = next.on_derived(derive(&question));
                assert_hidden(&format!("{step:?}"));
            }
            answer = match step {
                AnswerStep::Send(_, next) | AnswerStep::Expect(next) => next,
                _ => break,
            };
        }
    }
}

#[test]
fn no_proof_key_or_file_prints_its_secrets() {
    let keys = ScramKeys {
        salt: vec![0; 16],
        iterations: 1,
        client_key: Secret::new(MARKER.as_bytes()),
        server_key: Secret::new(MARKER.as_bytes()),
    };
    assert_hidden(&format!("{keys:?} {:?}", ScramVerifier::from_keys(&keys)));
    assert_hidden(&format!("{:?}", Proof::ScramKeys(keys)));
    assert_hidden(&format!("{:?}", Md5Hash::of("alice", b"x").unwrap()));
    let users = users::Users::parse(&format!("\"alice\" \"{MARKER}\""));
    assert_hidden(&format!("{users:?}"));
    let mut lookup = auth_query::Lookup::new("alice");
    lookup = lookup
        .on_row(&[Some(b"alice"), Some(MARKER.as_bytes())])
        .unwrap();
    assert_hidden(&format!("{lookup:?} {:?}", MockSecret::new(&[0; 32])));
}
