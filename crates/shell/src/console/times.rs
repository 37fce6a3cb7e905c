//! Owns how long things take, by pool: each worker notes into its own histograms, and they are added up
//! when somebody looks.

use super::Desk;
use observe::{Histogram, Spread};
use pool::Home;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Pools that are told apart; the times of further ones are noted under `*`. A name is only noted once a
/// server has let its client in.
const POOLS_MAX: usize = 512;

/// What one worker notes of one pool.
#[derive(Debug, Default)]
pub struct Times {
    /// From the wish for a server connection until it was lent.
    pub wait: Histogram,
    /// Transactions, on the server connection.
    pub server: Histogram,
    /// Both together: what the client sees.
    pub total: Histogram,
}

/// The times of all pools.
#[derive(Default)]
pub(crate) struct AllTimes(Mutex<BTreeMap<(String, String), Workers>>);

type Workers = Vec<(Home, Arc<Times>)>;

/// The times of one pool.
pub(crate) struct PoolTimes {
    /// The database, as clients name it.
    pub(crate) database: String,
    /// The server user.
    pub(crate) user: String,
    /// Of all workers.
    pub(crate) wait: Spread,
    /// Of all workers.
    pub(crate) server: Spread,
    /// Of all workers.
    pub(crate) total: Spread,
}

impl AllTimes {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, String), Workers>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a worker notes the times of a pool.
    pub(crate) fn of(&self, (database, user): (&str, &str), home: Home) -> Arc<Times> {
        let mut pools = self.lock();
        let mut name = (database.to_owned(), user.to_owned());
        if pools.len() >= POOLS_MAX && !pools.contains_key(&name) {
            name = ("*".to_owned(), "*".to_owned());
        }
        let workers = pools.entry(name).or_default();
        match workers.iter().find(|(of, _)| *of == home) {
            Some((_, times)) => Arc::clone(times),
            None => {
                let times = Arc::<Times>::default();
                workers.push((home, Arc::clone(&times)));
                times
            }
        }
    }

    /// How many there are, for each worker.
    pub(crate) fn len(&self) -> usize {
        self.lock().values().map(Vec::len).sum()
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<PoolTimes> {
        let sum = |workers: &Workers, of: fn(&Times) -> &Histogram| {
            let mut sum = Spread::default();
            for (_, times) in workers {
                sum.add(&of(times).spread());
            }
            sum
        };
        let pools = self.lock();
        let each = pools.iter().map(|((database, user), workers)| PoolTimes {
            database: database.clone(),
            user: user.clone(),
            wait: sum(workers, |it| &it.wait),
            server: sum(workers, |it| &it.server),
            total: sum(workers, |it| &it.total),
        });
        each.collect()
    }
}

impl Desk {
    /// Where a worker notes the times of a client's pool.
    pub(crate) fn times(&self, client: &super::Client, home: Home) -> Arc<Times> {
        let facts = &client.facts;
        self.times.of((&facts.database, &facts.pool_user), home)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_of_a_pool_are_added_and_pools_have_a_bound() {
        let times = AllTimes::default();
        times.of(("a", "u"), Home(0)).wait.note(10);
        times.of(("a", "u"), Home(1)).wait.note(20);
        times.of(("a", "u"), Home(1)).wait.note(30);
        for number in 0..POOLS_MAX + 7 {
            let name = format!("d{number}");
            times.of((&name, "u"), Home(0)).server.note(1);
        }
        let all = times.all();
        assert_eq!(all.len(), POOLS_MAX + 1);
        let find = |name| all.iter().find(|it| it.database == name).unwrap();
        assert_eq!((find("a").wait.count(), find("a").wait.sum_us), (3, 60));
        assert_eq!(
            (find("*").server.count(), find("*").user.as_str()),
            (8, "*")
        );
    }
}
