//! What both ends agree on, by setting: channel binding, methods, credentials.

use crate::pair::*;
use auth::*;
use buf::Secret;

#[test]
fn channel_binding_is_what_both_can_do() {
    use AuthFault::{BindingNotOffered, BindingUnavailable, NoMechanism};
    use BindingRule::{Disabled, Offered, Required};
    use ChannelBinding::{Disable, Prefer, Require};
    const PLUS: Result<Acceptance, AuthFault> = Ok(Acceptance::ScramSha256Plus);
    const PLAIN: Result<Acceptance, AuthFault> = Ok(Acceptance::ScramSha256);
    let table = [
        (Offered, Some(1), Prefer, Some(1), PLUS),
        (Offered, Some(1), Require, Some(1), PLUS),
        (Required, Some(1), Prefer, Some(1), PLUS),
        // `n`: the client does not want to, or cannot.
        (Offered, Some(1), Disable, Some(1), PLAIN),
        (Offered, Some(1), Prefer, None, PLAIN),
        (Offered, None, Prefer, None, PLAIN),
        // `y`: the client could, but it was not offered.
        (Offered, None, Prefer, Some(1), PLAIN),
        (Disabled, Some(1), Prefer, Some(1), PLAIN),
        (Required, Some(1), Disable, Some(1), Err(NoMechanism)),
        (Required, Some(1), Prefer, None, Err(NoMechanism)),
        (Disabled, Some(1), Require, Some(1), Err(BindingNotOffered)),
        (Offered, Some(1), Require, None, Err(BindingUnavailable)),
    ];
    for (rule, ours, binding, theirs, expected) in table {
        let mut pair = scram();
        pair.gate_rules.binding = rule;
        pair.gate_leg = tls(ours);
        pair.answer_rules.binding = binding;
        pair.answer_leg = tls(theirs);
        let outcome = pair.run();
        let row = format!("{rule:?} {ours:?} {binding:?} {theirs:?}");
        match expected {
            Ok(how) => assert_eq!(outcome.agreed().unwrap().1, how, "{row}"),
            Err(fault) => assert_eq!(outcome.fault(), Some(fault), "{row}"),
        }
    }
}

#[test]
fn a_man_in_the_middle_with_another_certificate_is_noticed() {
    let mut pair = scram();
    pair.answer_leg = tls(Some(8));
    let outcome = pair.run();
    assert_eq!(outcome.reason(), Some(Reason::BindingMismatch));
    assert_eq!(outcome.client.unwrap_err().unwrap().sqlstate(), "28000");
}

#[test]
fn required_binding_without_a_hash_is_refused_at_once() {
    for leg in [tls(None), LegFacts::default()] {
        let mut pair = scram();
        pair.gate_rules.binding = BindingRule::Required;
        pair.gate_leg = leg;
        let outcome = pair.run();
        assert_eq!(outcome.reason(), Some(Reason::BindingUnavailable));
        assert!(outcome.trace.is_empty());
    }
}

#[test]
fn outside_tls_nothing_is_bound() {
    let mut pair = scram();
    pair.gate_leg.encrypted = false;
    pair.answer_leg.encrypted = false;
    let agreed = pair.run().agreed();
    assert_eq!(
        agreed,
        Some((ProvedBy::ScramSha256, Acceptance::ScramSha256))
    );
}

#[test]
fn every_method_lets_the_right_password_in_and_no_other() {
    let known = |text: &str| Stored::Known(Verifier::parse(text).unwrap());
    let md5 = || known("md5a4a9c8a6e6b3ac0b8b3b3bbbd8a0e6a1");
    let plain = || known(PASSWORD);
    let scram_verifier = || verifier(PASSWORD);
    let hash = || {
        Stored::Known(Verifier::Md5(
            Md5Hash::of("alice", PASSWORD.as_bytes()).unwrap(),
        ))
    };
    let table: [(Method, Stored, Option<ProvedBy>); 12] = [
        (
            Method::ScramSha256,
            scram_verifier(),
            Some(ProvedBy::ScramSha256Plus),
        ),
        (
            Method::ScramSha256,
            plain(),
            Some(ProvedBy::ScramSha256Plus),
        ),
        (Method::ScramSha256, hash(), None),
        (Method::ScramSha256, Stored::Unknown, None),
        (Method::Md5, hash(), Some(ProvedBy::Md5)),
        (Method::Md5, plain(), Some(ProvedBy::Md5)),
        (
            Method::Md5,
            scram_verifier(),
            Some(ProvedBy::ScramSha256Plus),
        ),
        (Method::Md5, md5(), None),
        (Method::Password, scram_verifier(), Some(ProvedBy::Password)),
        (Method::Password, hash(), Some(ProvedBy::Password)),
        (Method::Password, plain(), Some(ProvedBy::Password)),
        (Method::Password, Stored::Unknown, None),
    ];
    for (method, stored, expected) in table {
        for (text, expected) in [(PASSWORD, expected), ("wrong", None)] {
            let mut pair = scram();
            (pair.method, pair.stored) = (method, stored.clone());
            pair.credential = password(text);
            let outcome = pair.run();
            let row = format!("{method:?} {stored:?} {text}");
            assert_eq!(outcome.agreed().map(|(by, _)| by), expected, "{row}");
            if expected.is_none() {
                let refusal = outcome.client.unwrap_err().unwrap();
                assert_eq!(refusal.sqlstate(), "28P01", "{row}");
                assert_eq!(
                    refusal.message(),
                    "password authentication failed for user \"alice\"",
                    "{row}"
                );
            }
        }
    }
}

#[test]
fn what_a_client_proved_opens_a_server_with_the_same_verifier() {
    for method in [Method::ScramSha256, Method::Md5, Method::Password] {
        let mut first = scram();
        first.method = method;
        let proof = first.run().client.unwrap().proof;
        let mut second = scram();
        second.credential = proof.into_credential();
        assert!(second.run().agreed().is_some(), "{method:?}");
    }
    let mut first = scram();
    let hash = Md5Hash::of("alice", PASSWORD.as_bytes()).unwrap();
    (first.method, first.stored) = (Method::Md5, Stored::Known(Verifier::Md5(hash)));
    let proof = first.run().client.unwrap().proof;
    let mut second = scram();
    second.method = Method::Md5;
    second.stored = Stored::Known(Verifier::parse(PASSWORD).unwrap());
    second.credential = proof.into_credential();
    assert!(second.run().agreed().is_some());
}

#[test]
fn keys_of_another_verifier_are_not_tried() {
    let keys = |salt: &[u8], iterations| {
        let password = Secret::new(PASSWORD.as_bytes());
        let salt = salt.to_vec();
        scram::derive(&Derivation {
            password,
            salt,
            iterations,
        })
        .unwrap()
    };
    for keys in [
        keys(b"another salt....", ITERATIONS),
        keys(b"0123456789abcdef", ITERATIONS + 1),
    ] {
        let mut pair = scram();
        pair.credential = Credential::ScramKeys(keys);
        assert_eq!(pair.run().fault(), Some(AuthFault::VerifierDiffers));
    }
}

fn at_once(method: Method, leg: &LegFacts, rules: &GateRules) -> Result<ProvedBy, Refusal> {
    let step = Gate::start(Attempt {
        method,
        user: "alice",
        leg,
        stored: Stored::Unknown,
        chance: Chance {
            nonce: [0; 18],
            md5_salt: [0; 4],
        },
        mock: &MockSecret::new(&[0; 32]),
        rules,
    });
    match step {
        GateStep::Proved(proved) => {
            assert_eq!(proved.user.name(), "alice");
            assert!(proved.last.is_none());
            Ok(proved.by)
        }
        GateStep::Refused(refusal) => Err(refusal),
        step => panic!("decided at once, not {step:?}"),
    }
}

#[test]
fn trust_certificate_and_peer_are_decided_at_once() {
    let mut rules = GateRules::default();
    let refused = at_once(Method::Trust, &tls(None), &rules).unwrap_err();
    assert_eq!(refused.reason(), Reason::TrustNotNamed);
    assert_eq!(refused.sqlstate(), "28000");
    rules.trust = Trust::NamedForListener;
    let trusted = at_once(Method::Trust, &LegFacts::default(), &rules);
    assert_eq!(trusted, Ok(ProvedBy::Trust));

    let mut leg = tls(None);
    let refused = at_once(Method::Certificate, &leg, &rules).unwrap_err();
    assert_eq!(
        refused.message(),
        "connection requires a valid client certificate"
    );
    leg.peer = Some(PeerNames {
        common_name: Some("bob".into()),
        ..PeerNames::default()
    });
    let refused = at_once(Method::Certificate, &leg, &rules).unwrap_err();
    assert_eq!(refused.sqlstate(), "28000");
    assert_eq!(refused.reason(), Reason::CertificateNotMapped);
    leg.peer.as_mut().unwrap().common_name = Some("alice".into());
    let proved = at_once(Method::Certificate, &leg, &rules);
    assert_eq!(proved, Ok(ProvedBy::Certificate));

    let refused = at_once(Method::Peer, &leg, &rules).unwrap_err();
    assert_eq!(refused.reason(), Reason::NotUnixSocket);
    leg.unix = Some(UnixPeer {
        os_user: Some("alice".into()),
    });
    assert_eq!(at_once(Method::Peer, &leg, &rules), Ok(ProvedBy::Peer));
}

#[test]
fn passwords_in_clear_text_are_asked_for_only_in_private() {
    let rules = GateRules::default();
    let refused = at_once(Method::Password, &LegFacts::default(), &rules).unwrap_err();
    assert_eq!(refused.reason(), Reason::ClearPasswordWithoutTls);
    let mut pair = scram();
    pair.method = Method::Password;
    pair.gate_leg = LegFacts {
        unix: Some(UnixPeer::default()),
        ..LegFacts::default()
    };
    assert!(pair.run().agreed().is_some());
}

#[test]
fn a_server_that_did_not_look_at_the_password_proves_nothing() {
    let claim = || {
        let step = Gate::start(Attempt {
            method: Method::Password,
            user: "alice",
            leg: &tls(None),
            stored: Stored::AskServer,
            chance: Chance {
                nonce: [0; 18],
                md5_salt: [0; 4],
            },
            mock: &MockSecret::new(&[0; 32]),
            rules: &GateRules::default(),
        });
        let GateStep::Send(AuthRequest::CleartextPassword, gate) = step else {
            panic!("the password is asked for");
        };
        let GateStep::AskServer(claim) = gate.on_message(b"correct horse\0") else {
            panic!("the server decides");
        };
        claim
    };
    let accepted = |bodies: &[&[u8]]| {
        let claim = claim();
        let mut answer = Answer::start(ServerLogin {
            user: &ServerUser::claimed(&claim),
            credential: claim.credential(),
            leg: &tls(None),
            rules: &scram().answer_rules,
            nonce: [0; 18],
        })
        .unwrap();
        for body in bodies {
            answer = match answer.on_request(body) {
                AnswerStep::Send(response, answer) => {
                    assert_eq!(response.kind, ResponseKind::PasswordMessage);
                    assert_eq!(response.body.expose(), b"correct horse\0");
                    answer
                }
                AnswerStep::Done(accepted) => return claim.accepted(&accepted),
                step => panic!("unexpected {step:?}"),
            };
        }
        panic!("the server never finished");
    };
    let proved = accepted(&[b"\0\0\0\x03", b"\0\0\0\0"]).unwrap();
    assert_eq!((proved.user.name(), proved.by), ("alice", ProvedBy::Server));
    let refused = accepted(&[b"\0\0\0\0"]).unwrap_err();
    assert_eq!(refused.reason(), Reason::ServerDidNotCheck);
    assert_eq!(refused.sqlstate(), "28P01");
    assert_eq!(claim().refused().sqlstate(), "28P01");
}
