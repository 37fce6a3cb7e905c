//! A user that does not exist looks like one with a wrong password: same messages, same lengths,
//! same derivations, same refusal, and the same salt each time.

use crate::pair::*;
use auth::*;
use buf::Secret;

fn outcome(method: Method, doomed: Doomed, stored: Stored) -> (Outcome, Vec<Vec<u8>>) {
    let mut pair = scram();
    (pair.method, pair.stored) = (method, stored);
    pair.gate_rules.doomed = doomed;
    pair.credential = password("wrong");
    let mut bodies = Vec::new();
    let outcome = pair.run_with(|_, body| bodies.push(body.clone()));
    (outcome, bodies)
}

#[test]
fn unknown_users_look_like_wrong_passwords() {
    let plain = || Stored::Known(Verifier::Password(Secret::new(PASSWORD.as_bytes())));
    let md5 = || {
        Stored::Known(Verifier::Md5(
            Md5Hash::of("alice", b"correct horse").unwrap(),
        ))
    };
    let table = [
        (Method::ScramSha256, Doomed::Scram, verifier(PASSWORD)),
        (Method::ScramSha256, Doomed::ScramDerived, plain()),
        (Method::Md5, Doomed::Scram, verifier(PASSWORD)),
        (Method::Md5, Doomed::Md5, md5()),
        (Method::Md5, Doomed::Md5, plain()),
        (Method::Password, Doomed::Scram, verifier(PASSWORD)),
        (Method::Password, Doomed::Scram, plain()),
        (Method::Password, Doomed::Scram, md5()),
    ];
    for (method, doomed, stored) in table {
        let row = format!("{method:?} {doomed:?} {stored:?}");
        let (known, _) = outcome(method, doomed, stored);
        let (unknown, _) = outcome(method, doomed, Stored::Unknown);
        assert_eq!(known.trace, unknown.trace, "{row}");
        assert_eq!(known.reason(), Some(Reason::WrongPassword), "{row}");
        assert_eq!(unknown.reason(), Some(Reason::UnknownUser), "{row}");
        let (known, unknown) = (known.client.unwrap_err(), unknown.client.unwrap_err());
        let shown = |refusal: Option<Refusal>| {
            let refusal = refusal.unwrap();
            (refusal.sqlstate(), refusal.message().to_owned())
        };
        assert_eq!(shown(known), shown(unknown), "{row}");
    }
}

#[test]
fn the_right_password_of_a_doomed_login_does_not_help() {
    // The mock secret is what the doomed exchange is computed with; even it does not open.
    let mut pair = scram();
    pair.stored = Stored::Unknown;
    pair.gate_rules.doomed = Doomed::ScramDerived;
    pair.credential = Credential::Password(Secret::new(&[9; 32]));
    assert_eq!(pair.run().reason(), Some(Reason::UnknownUser));
    let mut pair = scram();
    (pair.method, pair.stored) = (Method::Md5, Stored::Unknown);
    pair.gate_rules.doomed = Doomed::Md5;
    pair.credential = Credential::Password(Secret::new(&[9; 32]));
    assert_eq!(pair.run().reason(), Some(Reason::UnknownUser));
}

#[test]
fn an_md5_verifier_is_as_good_as_none_under_scram() {
    let hash = Md5Hash::of("alice", b"wrong").unwrap();
    let stored = Stored::Known(Verifier::Md5(hash));
    let (with_md5, bodies) = outcome(Method::ScramSha256, Doomed::Scram, stored);
    let (unknown, same) = outcome(Method::ScramSha256, Doomed::Scram, Stored::Unknown);
    assert_eq!(with_md5.reason(), Some(Reason::UnusableVerifier));
    assert_eq!(with_md5.trace, unknown.trace);
    assert_eq!(bodies, same);
}

#[test]
fn what_a_look_up_cannot_use_looks_like_an_unknown_user() {
    let fault = auth_query::AuthQueryFault::NullUser;
    for (method, doomed) in [
        (Method::ScramSha256, Doomed::Scram),
        (Method::ScramSha256, Doomed::ScramDerived),
        (Method::Md5, Doomed::Md5),
        (Method::Password, Doomed::Scram),
    ] {
        let (unusable, bodies) = outcome(method, doomed, Stored::Unusable(fault));
        let (unknown, same) = outcome(method, doomed, Stored::Unknown);
        assert_eq!(unusable.reason(), Some(Reason::AuthQuery(fault)));
        assert_eq!(unusable.trace, unknown.trace, "{method:?} {doomed:?}");
        assert_eq!(bodies, same, "{method:?} {doomed:?}");
    }
}

#[test]
fn the_salt_of_an_unknown_user_is_stable_and_its_own() {
    let mock = MockSecret::new(&[9; 32]);
    assert_eq!(mock.salt("alice"), mock.salt("alice"));
    assert_ne!(mock.salt("alice"), mock.salt("bob"));
    assert_ne!(mock.salt("alice"), MockSecret::new(&[8; 32]).salt("alice"));
    assert_eq!(mock.salt("alice").len(), 16);
}
