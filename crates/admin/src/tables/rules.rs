//! Owns the rows of `SHOW RULES` and `SHOW THROTTLES`.

use super::define::row;

row! {
    /// A rule about statements.
    Rule {
        /// Its place in the order in which rules are asked.
        position: u32,
        /// Its name.
        name: String,
        /// `observe`, `warn` or `enforce`.
        mode: &'static str,
        /// `allow`, `deny`, `delay`, `limit` or `throttle`.
        action: &'static str,
        /// Statements that it matched since the start; for the last three actions, those that came to be sent.
        hits: u64,
        /// Of a limit: results that were larger.
        exceeded: u64,
        /// What clients read; empty for a sentence of Portcullis.
        message: String,
    }
}

row! {
    /// A rule that throttles.
    Throttle {
        /// Its name.
        name: String,
        /// `observe`, `warn` or `enforce`.
        mode: &'static str,
        /// What it counts together.
        per: String,
        /// Its rates.
        rates: String,
        /// `wait` or `refuse`.
        excess: &'static str,
        /// How many are told apart now.
        keys: u64,
        /// Statements, or clients, that wait now.
        waiting: u64,
        /// Those that had to wait since the start.
        waits: u64,
        /// Those that were refused.
        refusals: u64,
        /// Those that passed and would have waited or been refused if the rule were enforced.
        excesses: u64,
    }
}
