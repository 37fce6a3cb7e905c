//! Clients that write and read all the time, each its counter, whatever becomes of the servers, and keep a history of
//! what they asked and were answered; the history is judged at the end.
//!
//! Real drivers with real TLS, all on one thread beside the test's. Two clients share a counter, so that one sees what
//! the other was promised.

mod client;
mod history;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use testkit::{Member, wait};
use tokio::sync::watch;

use crate::Stage;
use crate::drivers::Endpoint;

pub use history::{Act, Deed, Fault, Figures, Holding, Id, Outcome, judge};

/// How long anything may take that happens to the clients, on a loaded machine and while servers are replaced.
const PATIENCE: Duration = Duration::from_secs(90);

/// So many clients share a counter of those in [`crate::clustered::TABLES`].
const SHARED_BY: usize = 2;

/// How many there are.
#[derive(Debug, Clone, Copy)]
pub struct Crowd {
    /// Clients that work.
    pub clients: usize,
    /// Clients that log in, ask once, and wait.
    pub idle: usize,
}

/// The clients, at work.
pub struct Register {
    began: Instant,
    book: Arc<Mutex<Book>>,
    over: watch::Sender<bool>,
    thread: Option<JoinHandle<usize>>,
    clients: usize,
}

/// What happened so far.
#[derive(Default)]
struct Book {
    deeds: Vec<Deed>,
    /// How many writes of each client were acknowledged.
    written: BTreeMap<usize, usize>,
    errors: Vec<Complaint>,
    /// Idle clients that are there.
    idle: usize,
}

/// An error that a client was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Who.
    pub client: usize,
    /// SQLSTATE; empty if the connection broke without one.
    pub sqlstate: String,
    /// The driver's words.
    pub text: String,
}

/// All that happened.
pub struct Story {
    /// What was done, in no order.
    pub deeds: Vec<Deed>,
    /// What clients were told beside answers.
    pub errors: Vec<Complaint>,
    /// Idle clients whose connection did not serve them at the end.
    pub idle_lost: usize,
}

impl Register {
    /// Starts so many; all have been served by now.
    #[track_caller]
    pub fn start(stage: &Stage, role: &Endpoint, crowd: Crowd) -> Self {
        let (over, is_over) = watch::channel(false);
        let began = Instant::now();
        let book = Arc::new(Mutex::default());
        let endpoint = stage.endpoint(role);
        let shared = Arc::clone(&book);
        let work = move || client::run(&endpoint, crowd, began, &shared, &is_over);
        let thread = Some(std::thread::spawn(work));
        let register = Self {
            began,
            book,
            over,
            thread,
            clients: crowd.clients,
        };
        register.await_progress();
        wait::until("idle clients", PATIENCE, || {
            lock(&register.book).idle == crowd.idle
        });
        register
    }

    /// Waits until each client has a write acknowledged that it had not yet.
    #[track_caller]
    pub fn await_progress(&self) {
        let counts = |book: &Book| -> Vec<usize> {
            let count = |it| book.written.get(&it).copied().unwrap_or(0);
            (0..self.clients).map(count).collect()
        };
        let before = counts(&lock(&self.book));
        let moved = wait::within(PATIENCE, || {
            let now = counts(&lock(&self.book));
            let mut pairs = now.iter().zip(&before);
            pairs.all(|(now, before)| now > before).then_some(())
        });
        let book = lock(&self.book);
        let last = book.errors.iter().rev().take(5);
        let last: Vec<_> = last.collect();
        let now = counts(&book);
        assert!(
            moved.is_some(),
            "from {before:?} only to {now:?}; last {last:?}"
        );
    }

    /// Waits until a write is acknowledged by the server at this port; gives how long after `since` the first was.
    #[track_caller]
    pub fn first_write_at(&self, port: u16, since: Instant) -> Duration {
        let since = since.duration_since(self.began);
        let is_it = |deed: &&Deed| {
            let Outcome::Answered { port: at, .. } = deed.outcome else {
                return false;
            };
            at == port && deed.act != Act::Read && deed.ended >= since
        };
        let first = wait::within(PATIENCE, || {
            let book = lock(&self.book);
            let ends = book.deeds.iter().filter(is_it).map(|it| it.ended);
            ends.min()
        });
        let first = first.unwrap_or_else(|| panic!("no write at {port} in {PATIENCE:?}"));
        first - since
    }

    /// Ends them.
    #[track_caller]
    pub fn stop(mut self) -> Story {
        let idle_lost = self.end().expect("the clients' thread");
        let mut book = lock(&self.book);
        Story {
            deeds: std::mem::take(&mut book.deeds),
            errors: std::mem::take(&mut book.errors),
            idle_lost,
        }
    }

    fn end(&mut self) -> std::thread::Result<usize> {
        self.over.send_replace(true);
        self.thread.take().map_or(Ok(0), JoinHandle::join)
    }
}

impl Drop for Register {
    fn drop(&mut self) {
        self.over.send_replace(true);
        // While the test fails, clients may wait for their servers: don't wait for them.
        if !std::thread::panicking() {
            let _ = self.end();
        }
    }
}

impl Story {
    /// Judges it by what this server holds.
    #[track_caller]
    pub fn judge(&self, primary: &Member, database: &str) -> Figures {
        let holding = holding(primary, database);
        match judge(&self.deeds, &holding) {
            Ok(figures) => figures,
            Err(fault) => panic!("{fault:?}; errors {:?}", self.errors),
        }
    }

    /// Panics unless clients were told nothing but that a connection under way was lost.
    #[track_caller]
    pub fn only_lost_connections(&self) {
        // Empty: it was told when nothing was asked, within a transaction, and the driver keeps no words.
        let known = ["08006", "57P01", "57P02", ""];
        let strange = |it: &&Complaint| !known.contains(&&*it.sqlstate);
        assert_eq!(self.errors.iter().find(strange), None);
    }

    /// The longest time that anything took which was answered.
    pub fn longest(&self) -> Duration {
        let answered = self
            .deeds
            .iter()
            .filter(|it| it.outcome != Outcome::Unknown);
        answered
            .map(|it| it.ended - it.began)
            .max()
            .unwrap_or_default()
    }
}

/// What is in the tables.
#[track_caller]
fn holding(primary: &Member, database: &str) -> Holding {
    let pairs = |query: &str| -> Vec<(usize, u64)> {
        let rows = primary.sql_in(database, query);
        let pair = |row: Vec<Option<String>>| {
            let mut numbers = row.into_iter().flatten();
            let mut next = || numbers.next().and_then(|it| it.parse::<u64>().ok());
            let (first, second) = next().zip(next()).expect("two numbers");
            (usize::try_from(first).expect("a small one"), second)
        };
        rows.into_iter().map(pair).collect()
    };
    let rows = pairs("SELECT client, number FROM register");
    let distinct: HashSet<Id> = rows.iter().copied().collect();
    assert_eq!(distinct.len(), rows.len(), "rows that are there twice");
    Holding {
        rows: distinct,
        counters: pairs("SELECT client, value FROM counters")
            .into_iter()
            .collect(),
    }
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}
