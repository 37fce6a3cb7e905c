//! Runs the fuzzing functions over arbitrary input and over seeded mutations of real exchanges.

use crate::pair::*;
use auth::fuzzing::{scram_client, scram_server};
use auth::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn arbitrary_input_is_harmless(data in prop::collection::vec(any::<u8>(), 0..400)) {
        scram_client(&data);
        scram_server(&data);
    }

    #[test]
    fn arbitrary_texts_parse_or_fail(text in "\\PC{0,80}", tail in "[A-Za-z0-9+/=:$]{0,120}") {
        let _ = Verifier::parse(&text);
        let _ = Verifier::parse(&format!("SCRAM-SHA-256${tail}"));
        let _ = users::Users::parse(&text);
        let _ = users::Users::parse(&format!("\"{tail}\" {text}"));
        let _ = saslprep(text.as_bytes());
    }

    #[test]
    fn users_read_back(user in "[^\0\r\n]{1,20}", secret in "[^\0\r\n]{1,40}") {
        let line = users::line(&user, &buf::Secret::new(secret.as_bytes()));
        let text = std::str::from_utf8(line.expose()).unwrap();
        // A secret that looks like a verifier is none in all likelihood.
        prop_assume!(!secret.starts_with("SCRAM-SHA-256$"));
        let users = users::Users::parse(text).unwrap();
        prop_assert!(users.verifier(&user).is_some());
    }
}

/// Marsaglia's xorshift: enough to spread mutations, and the same on each run.
struct Chaos(u64);

impl Chaos {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }

    fn mutate(&mut self, data: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(data.len());
            match self.below(5) {
                0 => data[at] ^= 1 << self.below(8),
                1 => data[at] = self.below(256) as u8,
                2 => drop(data.remove(at)),
                3 => data.insert(at, b",=rnpcvsai\0\xff"[self.below(12)]),
                _ => data.truncate(at.max(1)),
            }
            if data.is_empty() {
                data.push(0);
            }
        }
    }
}

/// The messages of a real exchange, as input for the side that did not send them.
fn recorded(from_server: bool) -> Vec<u8> {
    let mut data = vec![0];
    let mut wrong = scram();
    wrong.credential = password("wrong");
    wrong.run_with(|number, body| {
        if (number % 2 == 0) == from_server {
            data.extend_from_slice(&(body.len() as u16).to_be_bytes());
            data.extend_from_slice(body);
        }
    });
    data
}

#[test]
fn mutated_exchanges_are_harmless() {
    let mut chaos = Chaos(0x9e37_79b9_7f4a_7c15);
    for (from_server, target) in [
        (true, scram_client as fn(&[u8])),
        (false, scram_server as fn(&[u8])),
    ] {
        let seed = recorded(from_server);
        assert!(seed.len() > 50);
        for setting in 0..=255 {
            for _ in 0..100 {
                let mut data = seed.clone();
                data[0] = setting;
                chaos.mutate(&mut data);
                target(&data);
            }
        }
    }
}
