//! Owns derived keys worth keeping: a bounded memory of answers to [`Derivation`]s, so that a
//! password is derived once and not at each login.
//!
//! An answer is found only by the password, salt and iterations it belongs to, through a hash keyed
//! with a secret: a changed password or verifier finds nothing. Holds no password and no name.

use crate::digest::{CryptoFault, hmac};
use crate::scram::keys::{Derivation, ScramKeys};
use buf::Secret;
use std::collections::HashMap;

/// Answers kept, the one unused for longest making room.
pub struct Kept {
    secret: Secret,
    most: usize,
    clock: u64,
    answers: HashMap<[u8; 32], Answer>,
}

struct Answer {
    keys: ScramKeys,
    used: u64,
}

impl Kept {
    /// Nothing yet; at most `most`. The secret is the process's own and random.
    pub fn new(secret: Secret, most: usize) -> Kept {
        Kept {
            secret,
            most: most.max(1),
            clock: 0,
            answers: HashMap::new(),
        }
    }

    /// The answer to this question, if it is kept.
    pub fn find(&mut self, question: &Derivation) -> Result<Option<ScramKeys>, CryptoFault> {
        let place = self.place(question)?;
        self.clock += 1;
        Ok(self.answers.get_mut(&place).map(|answer| {
            answer.used = self.clock;
            answer.keys.clone()
        }))
    }

    /// Keeps an answer: one that let somebody in, so that strangers can't push others out.
    pub fn keep(&mut self, question: &Derivation, keys: &ScramKeys) -> Result<(), CryptoFault> {
        let place = self.place(question)?;
        if self.answers.len() >= self.most && !self.answers.contains_key(&place) {
            let oldest = self.answers.iter().min_by_key(|(_, answer)| answer.used);
            if let Some(oldest) = oldest.map(|(place, _)| *place) {
                self.answers.remove(&oldest);
            }
        }
        self.clock += 1;
        let (keys, used) = (keys.clone(), self.clock);
        self.answers.insert(place, Answer { keys, used });
        Ok(())
    }

    /// Forgets all: for a new users file.
    pub fn forget(&mut self) {
        self.answers.clear();
    }

    /// Answers kept now.
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// True without answers.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    fn place(&self, question: &Derivation) -> Result<[u8; 32], CryptoFault> {
        Ok(*hmac(self.secret.expose(), question.cache_key().expose())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scram::derive;

    fn question(password: &str, salt: &[u8], iterations: u32) -> Derivation {
        Derivation {
            password: Secret::new(password.as_bytes()),
            salt: salt.to_vec(),
            iterations,
        }
    }

    fn kept(most: usize) -> Kept {
        Kept::new(Secret::new(&[7; 32]), most)
    }

    #[test]
    fn an_answer_is_found_by_its_whole_question_only() {
        let mut kept = kept(9);
        let asked = question("one", b"salt", 3);
        let keys = derive(&asked).unwrap();
        kept.keep(&asked, &keys).unwrap();
        let found = kept.find(&asked).unwrap().unwrap();
        assert!(found.client_key.same_as(keys.client_key.expose()));
        for other in [
            question("other", b"salt", 3),
            question("one", b"salz", 3),
            question("one", b"salt", 4),
        ] {
            assert!(kept.find(&other).unwrap().is_none());
        }
        kept.forget();
        assert!(kept.find(&asked).unwrap().is_none());
    }

    #[test]
    fn the_one_unused_for_longest_makes_room() {
        let mut kept = kept(2);
        let ask = |number: u8| question("p", &[number], 1);
        for number in [1, 2] {
            kept.keep(&ask(number), &derive(&ask(number)).unwrap())
                .unwrap();
        }
        assert!(kept.find(&ask(1)).unwrap().is_some());
        kept.keep(&ask(3), &derive(&ask(3)).unwrap()).unwrap();
        let there = [1, 2, 3].map(|number| kept.find(&ask(number)).unwrap().is_some());
        assert_eq!(there, [true, false, true]);
        assert_eq!(kept.len(), 2);
    }
}
