//! Owns what was counted for each database since the start, and what it stood at a period ago, of which
//! averages are made.
//!
//! What still runs counts for itself: sums are those of what has ended, and of all together when
//! somebody looks.

use super::Desk;
use admin::{Counts, Statistics};
use session::Passed;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How often averages begin anew: PgBouncer's `stats_period`.
const PERIOD_US: u64 = 60_000_000;

/// Databases that are told apart; what clients of further ones do is counted under `*`.
const DATABASES_MAX: usize = 4096;

/// What was counted.
#[derive(Default)]
pub(crate) struct Sums(Mutex<Shared>);

#[derive(Default)]
struct Shared {
    ended: BTreeMap<String, Counts>,
    newer: Stand,
    older: Stand,
}

/// All sums at a moment.
#[derive(Default, Clone)]
struct Stand {
    at_us: u64,
    counts: BTreeMap<String, Counts>,
}

impl Sums {
    /// Adds to a database's sums.
    pub(crate) fn add(&self, database: &str, add: impl FnOnce(&mut Counts)) {
        let mut shared = self.lock();
        let room = shared.ended.len() < DATABASES_MAX || shared.ended.contains_key(database);
        let name = if room { database } else { "*" };
        match shared.ended.get_mut(name) {
            Some(counts) => add(counts),
            None => add(shared.ended.entry(name.to_owned()).or_default()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    /// Everything counted so far, by database.
    fn counted(&self) -> BTreeMap<String, Counts> {
        let servers = self.living();
        let clients = self.clients.all();
        let mut counted = self.sums.lock().ended.clone();
        for server in servers {
            let passed = server.traffic.passed();
            add(
                counted.entry(server.common.database.clone()).or_default(),
                &passed,
            );
        }
        let now_us = self.now_us();
        for client in clients {
            let counts = counted.entry(client.facts.database.clone()).or_default();
            client.counted(now_us, counts);
        }
        counted
    }

    /// Called once a second.
    pub(crate) fn tick(&self) {
        self.servers.sweep(|ended| self.server_ended(ended));
        let now_us = self.now_us();
        if now_us.saturating_sub(self.sums.lock().newer.at_us) < PERIOD_US {
            return;
        }
        let counts = self.counted();
        let mut shared = self.sums.lock();
        let stand = Stand {
            at_us: now_us,
            counts,
        };
        shared.older = std::mem::replace(&mut shared.newer, stand);
    }

    /// Sums, and the averages since the period before the present one began.
    pub(crate) fn statistics(&self) -> Vec<Statistics> {
        let (counted, now_us) = (self.counted(), self.now_us());
        let older = self.sums.lock().older.clone();
        let micros = now_us.saturating_sub(older.at_us);
        let statistics = |(database, total): (String, Counts)| {
            let before = older.counts.get(&database).copied().unwrap_or_default();
            Statistics {
                average: total.average(&before, micros),
                total,
                database,
            }
        };
        counted.into_iter().map(statistics).collect()
    }

    /// A connection to a server is gone: what it counted stays.
    pub(super) fn server_ended(&self, server: &super::ServerFacts) {
        let passed = server.traffic.passed();
        self.sums
            .add(&server.common.database, |counts| add(counts, &passed));
    }

    /// A client is gone: what it counted stays.
    pub(super) fn client_ended(&self, client: &super::Client) {
        let now_us = self.now_us();
        let database = &client.facts.database;
        self.sums
            .add(database, |counts| client.counted(now_us, counts));
    }
}

/// Adds what went through a connection to a server.
fn add(counts: &mut Counts, passed: &Passed) {
    counts.xact_count += passed.transactions;
    counts.query_count += passed.queries;
    counts.xact_time += passed.transaction_us;
    counts.query_time += passed.query_us;
    counts.client_parse_count += passed.client_parses;
    counts.server_parse_count += passed.server_parses;
    counts.bind_count += passed.binds;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_databases_have_a_bound() {
        let sums = Sums::default();
        for number in 0..=DATABASES_MAX {
            sums.add(&format!("d{number}"), |counts| counts.xact_count += 1);
        }
        sums.add("d0", |counts| counts.xact_count += 1);
        let shared = sums.lock();
        assert_eq!(shared.ended.len(), DATABASES_MAX + 1);
        assert_eq!(shared.ended["d0"].xact_count, 2);
        assert_eq!(shared.ended["*"].xact_count, 1);
    }
}
