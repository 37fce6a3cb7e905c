//! Owns the types of a statement's parameters: those that the client says in its Parse, and those that the server told
//! the client when that asked (Describe).
//!
//! Where it has said none, or 0, the server decides, by the tables of its database. So what was told is kept with the
//! client, not with the text, which clients of other databases share.

use crate::statements::Statement;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use wire::Message;
use wire::from_server::ParameterDescription;

/// Statements of a client whose types are kept; with more of them all are forgotten.
const STATEMENTS_MAX: usize = 1000;

/// The types of one statement. Whoever has it sees what comes later.
#[derive(Debug, Default)]
pub struct Types {
    said: Box<[u32]>,
    told: OnceLock<Box<[u32]>>,
}

impl Types {
    /// Those that the client says.
    pub(crate) fn said(types: impl Iterator<Item = u32>) -> Types {
        Types {
            said: types.collect(),
            told: OnceLock::new(),
        }
    }

    /// The server's answer to Describe.
    pub(crate) fn told(&self, body: &[u8]) {
        if let Ok(description) = ParameterDescription::decode(body) {
            // A statement that is described again has the types that it had.
            let _ = self.told.set(description.types.iter().collect());
        }
    }

    /// That of a parameter, the first being 0; 0: nobody knows.
    pub fn of(&self, index: usize) -> u32 {
        let said = self.said.get(index).filter(|it| **it != 0);
        let told = || self.told.get().and_then(|it| it.get(index));
        said.or_else(told).copied().unwrap_or(0)
    }
}

/// The types of statements that a client shares with others.
#[derive(Debug, Default)]
pub(crate) struct TypesByStatement(HashMap<usize, (Arc<Statement>, Arc<Types>)>);

impl TypesByStatement {
    /// Those of this one.
    pub(crate) fn of(&mut self, statement: &Arc<Statement>) -> Arc<Types> {
        // As long as it is kept here no other has its place.
        let place = Arc::as_ptr(statement) as usize;
        if self.0.len() >= STATEMENTS_MAX && !self.0.contains_key(&place) {
            self.0.clear();
        }
        let (_, types) = self.0.entry(place).or_insert_with(|| {
            let types = Arc::new(Types::said(statement.types()));
            (Arc::clone(statement), types)
        });
        Arc::clone(types)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(types: &[u32]) -> Vec<u8> {
        let count = (types.len() as u16).to_be_bytes();
        let types = types.iter().flat_map(|it| it.to_be_bytes());
        count.into_iter().chain(types).collect()
    }

    #[test]
    fn what_the_client_says_goes_before_what_the_server_tells() {
        let types = Types::said([23, 0].into_iter());
        let all = |types: &Types| [0, 1, 2, 3].map(|it| types.of(it));
        assert_eq!(all(&types), [23, 0, 0, 0]);
        types.told(b"\0\x03");
        assert_eq!(all(&types), [23, 0, 0, 0], "no description");
        types.told(&description(&[20, 25, 1700]));
        assert_eq!(all(&types), [23, 25, 1700, 0]);
    }
}
