//! Owns the entry points of fuzzing: plain functions over arbitrary bytes that must never panic,
//! and never end in success, since no input knows the password.
//!
//! The input is one byte that chooses the setting, then messages: two bytes of length, big end
//! first, and a body, which is as long as there is input.

use crate::answer::{
    Acceptance, Answer, AnswerRules, AnswerStep, ChannelBinding, ClearPassword, Credential, Md5Use,
    ServerLogin,
};
use crate::gate::{Attempt, Chance, Doomed, Gate, GateRules, GateStep, Method, MockSecret};
use crate::identity::ServerUser;
use crate::leg::LegFacts;
use crate::scram::{Derivation, ScramKeys, ScramVerifier};
use crate::verifier::{Stored, Verifier};
use buf::Secret;

/// Known, so that recorded exchanges get past the check of nonces and mutate what comes after it.
pub const SERVER_NONCE: &[u8; 18] = b"server's own nonce";
/// The same for our nonce towards servers.
pub const CLIENT_NONCE: &[u8; 18] = b"client's own nonce";

/// A hostile client against [`Gate`].
///
/// # Panics
/// If the client gets in.
pub fn scram_server(data: &[u8]) {
    let Some((&setting, mut rest)) = data.split_first() else {
        return;
    };
    let rules = GateRules {
        doomed: Doomed::ScramDerived,
        ..GateRules::default()
    };
    let mut step = Gate::start(Attempt {
        method: [Method::ScramSha256, Method::Md5, Method::Password][usize::from(setting >> 4) % 3],
        user: "alice",
        leg: &leg(setting),
        stored: stored(setting >> 2),
        chance: Chance {
            nonce: *SERVER_NONCE,
            md5_salt: *b"salt",
        },
        mock: &MockSecret::new(&[3; 32]),
        rules: &rules,
    });
    loop {
        step = match step {
            GateStep::Send(_, gate) => match next(&mut rest) {
                Some(body) => gate.on_message(body),
                None => return,
            },
            GateStep::Derive(question, gate) => gate.on_derived(Ok(keys(&question))),
            GateStep::AskServer(_) | GateStep::Refused(_) => return,
            GateStep::Proved(_) => unreachable!("a client got in without the password"),
        }
    }
}

/// A hostile server against [`Answer`].
///
/// # Panics
/// If the server passes for one that knows the verifier.
pub fn scram_client(data: &[u8]) {
    let Some((&setting, mut rest)) = data.split_first() else {
        return;
    };
    let login = ServerLogin {
        user: &ServerUser::configured("alice"),
        credential: Credential::Password(Secret::new(b"correct horse")),
        leg: &leg(setting),
        rules: &AnswerRules {
            binding: [
                ChannelBinding::Disable,
                ChannelBinding::Prefer,
                ChannelBinding::Require,
            ][usize::from(setting >> 2) % 3],
            clear_password: ClearPassword::InsideVerifiedTls,
            md5: Md5Use::InsideTls,
            ..AnswerRules::default()
        },
        nonce: *CLIENT_NONCE,
    };
    let Ok(mut answer) = Answer::start(login) else {
        return;
    };
    while let Some(body) = next(&mut rest) {
        let mut step = answer.on_request(body);
        if let AnswerStep::Derive(question, answer) = step {
            step = answer.on_derived(Ok(keys(&question)));
        }
        answer = match step {
            AnswerStep::Send(_, answer) | AnswerStep::Expect(answer) => answer,
            AnswerStep::Derive(..) => unreachable!("keys were given already"),
            AnswerStep::Fault(_) => return,
            AnswerStep::Done(accepted) => {
                let how = accepted.how();
                let is_proved =
                    matches!(how, Acceptance::ScramSha256 | Acceptance::ScramSha256Plus);
                assert!(
                    !is_proved,
                    "a server passed that does not know the verifier"
                );
                return;
            }
        }
    }
}

/// Takes the next message off the input.
fn next<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, data) = rest.split_first_chunk()?;
    let len = usize::from(u16::from_be_bytes(*len)).min(data.len());
    let (body, after) = data.split_at(len);
    *rest = after;
    Some(body)
}

fn leg(setting: u8) -> LegFacts {
    LegFacts {
        encrypted: setting & 1 == 0,
        verified: true,
        end_point: (setting & 2 == 0).then(|| vec![7; 32]),
        ..LegFacts::default()
    }
}

fn stored(setting: u8) -> Stored {
    let question = Derivation {
        password: Secret::new(b"correct horse"),
        salt: vec![5; 16],
        iterations: 16,
    };
    match setting & 3 {
        0 => Stored::Known(Verifier::Scram(ScramVerifier::from_keys(&keys(&question)))),
        1 => Stored::Known(Verifier::Password(question.password)),
        2 => Stored::Unknown,
        _ => Stored::AskServer,
    }
}

/// Stands in for PBKDF2, which would make each run cost a second. Keys depend on the password, so
/// that an input that guesses one does not get the other's.
fn keys(question: &Derivation) -> ScramKeys {
    let key = openssl::sha::sha256(question.password.expose());
    ScramKeys {
        salt: question.salt.clone(),
        iterations: question.iterations,
        client_key: Secret::new(&key),
        server_key: Secret::new(&openssl::sha::sha256(&key)),
    }
}
