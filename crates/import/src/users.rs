//! Owns `[users]`: what differs for single users.

use crate::Translation;
use crate::document::{Block, Value};
use crate::fault::Problem;
use crate::note::Kind;
use crate::pairs::{pairs, printable};
use crate::value::{Form, Same, is_plain};

/// What may stand there; it has the same names here.
const SAME: &[(&str, Form)] = &[
    ("pool_mode", Form::PoolMode),
    ("pool_size", Form::Number),
    ("reserve_pool_size", Form::Number),
    ("max_user_connections", Form::Number),
    ("max_user_client_connections", Form::Number),
    ("client_idle_timeout", Form::Seconds),
    ("idle_transaction_timeout", Form::Seconds),
    ("transaction_timeout", Form::Seconds),
    ("query_timeout", Form::Seconds),
];

impl Translation<'_> {
    /// All users that are there.
    pub(crate) fn users(&mut self) -> Vec<Block> {
        let mut blocks = Vec::new();
        for entry in &self.ini.users {
            if !is_plain(&entry.key, 128) {
                self.bad((&entry.key, &entry.at), Problem::Text);
            }
            let pairs = match pairs(entry) {
                Ok(pairs) => pairs,
                Err(fault) => {
                    self.faults.push(fault);
                    continue;
                }
            };
            let mut user = Block::many("user");
            user.set("name", Value::Text(entry.key.clone()), Some(&entry.at));
            for pair in &pairs {
                let key = format!("{}: {}", printable(&entry.key), pair.shown());
                let (at, value) = (&entry.at, pair.value());
                if let Some((name, form)) = SAME.iter().find(|it| it.0 == pair.key) {
                    let (key, form) = (key.as_str(), *form);
                    let same = Same {
                        key,
                        form,
                        name,
                        at,
                        value,
                    };
                    self.same(&mut user, "user", &same);
                } else if pair.key == "query_wait_timeout" {
                    let text = "there is one for all users, query_wait_timeout in [limits]";
                    self.note(Kind::Differs, (&key, Some(at)), text);
                } else {
                    self.faults.push(pair.fault(Problem::Parameter));
                }
            }
            blocks.push(user);
        }
        blocks
    }
}
