//! A man in the middle who changes what passes: nobody gets in, or nothing is lost.

use crate::pair::*;
use auth::*;

/// SCRAM with keys at hand, so that thousands of exchanges cost no PBKDF2.
fn quick(leg: &LegFacts) -> Pair {
    let keys = scram::derive(&Derivation {
        password: buf::Secret::new(PASSWORD.as_bytes()),
        salt: b"0123456789abcdef".to_vec(),
        iterations: ITERATIONS,
    });
    let mut pair = scram();
    (pair.gate_leg, pair.answer_leg) = (leg.clone(), leg.clone());
    pair.credential = Credential::ScramKeys(keys.unwrap());
    pair
}

#[test]
fn every_changed_byte_of_every_message_is_noticed() {
    for (leg, best) in [
        (tls(None), Acceptance::ScramSha256),
        (tls(Some(7)), Acceptance::ScramSha256Plus),
    ] {
        let mut lens = Vec::new();
        let untouched = quick(&leg).run_with(|_, body| lens.push(body.len()));
        assert_eq!(untouched.agreed().unwrap().1, best);
        assert_eq!(lens.len(), 6);
        for (message, len) in lens.iter().enumerate() {
            for at in 0..*len {
                for mask in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
                    let outcome = quick(&leg).run_with(|number, body| {
                        if number == message {
                            body[at] ^= mask;
                        }
                    });
                    // Spoiling the lesser mechanism in the offer of both changes nothing.
                    let is_harmless = message == 0 && best == Acceptance::ScramSha256Plus;
                    match outcome.agreed() {
                        None => {}
                        Some((_, how)) if is_harmless => assert_eq!(how, best),
                        Some(_) => panic!("message {message}, byte {at} ^ {mask} went through"),
                    }
                }
            }
        }
    }
}

#[test]
fn every_shortened_and_lengthened_message_is_noticed() {
    let leg = tls(Some(7));
    let mut lens = Vec::new();
    quick(&leg).run_with(|_, body| lens.push(body.len()));
    for (message, len) in lens.iter().enumerate() {
        for cut in 0..*len {
            let outcome = quick(&leg).run_with(|number, body| {
                if number == message {
                    body.truncate(cut);
                }
            });
            assert!(outcome.agreed().is_none(), "message {message} cut at {cut}");
        }
        for tail in [&b"\0"[..], b",", b"x", b",x=y", b"\n"] {
            let outcome = quick(&leg).run_with(|number, body| {
                if number == message {
                    body.extend_from_slice(tail);
                }
            });
            assert!(outcome.agreed().is_none(), "message {message} + {tail:?}");
        }
    }
}

#[test]
fn an_offer_without_plus_is_a_downgrade() {
    let outcome = quick(&tls(Some(7))).run_with(|number, body| {
        if number == 0 {
            *body = b"\0\0\0\x0aSCRAM-SHA-256\0\0".to_vec();
        }
    });
    assert_eq!(outcome.reason(), Some(Reason::BindingDowngrade));
    let refusal = outcome.client.unwrap_err().unwrap();
    assert_eq!(refusal.sqlstate(), "28000");
    assert_eq!(refusal.message(), "SCRAM channel binding negotiation error");
}
