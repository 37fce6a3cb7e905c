//! Owns what one client shows of what it is doing: the statement under way behind a mutex that is touched at its
//! start and end alone, and numbers that its session stores as they grow. Each is read by itself: rows may be those
//! of a moment after the state's.

use patterns::Pattern;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What a session waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    /// Nothing: it is moving bytes.
    Nothing,
    /// The client, to ask for something or to send the rest of it.
    ClientSends,
    /// The client, to take what was answered.
    ClientReads,
    /// The server, to answer.
    ServerAnswers,
    /// The server, to take what was asked.
    ServerReads,
    /// The query log, to take a record.
    LogWrites,
}

impl Waits {
    const ALL: [Waits; 6] = [
        Waits::Nothing,
        Waits::ClientSends,
        Waits::ClientReads,
        Waits::ServerAnswers,
        Waits::ServerReads,
        Waits::LogWrites,
    ];

    /// In words, for people; empty for nothing.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Waits::Nothing => "",
            Waits::ClientSends => "the client sends",
            Waits::ClientReads => "the client reads",
            Waits::ServerAnswers => "the server answers",
            Waits::ServerReads => "the server reads",
            Waits::LogWrites => "the query log is written",
        }
    }
}

/// A statement under way.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    /// Its pattern.
    pub(crate) pattern: Arc<Pattern>,
    /// When it went to the server.
    pub(crate) since: Instant,
    /// Statements behind it.
    pub(crate) queued: usize,
}

/// What a client is doing.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// The statement that began last.
    running: Mutex<Option<Running>>,
    /// It is still under way.
    is_running: AtomicBool,
    /// When its transaction last stood still, in microseconds of the desk's clock; 0: it has none.
    stands_since_us: AtomicU64,
    rows: AtomicU64,
    bytes: AtomicU64,
    waits: AtomicU8,
}

impl Activity {
    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This is under way from now on.
    pub(crate) fn runs(&self, running: Running) {
        *self.lock() = Some(running);
        self.is_running.store(true, Ordering::Release);
    }

    /// Nothing is.
    #[inline]
    pub(crate) fn ends(&self) {
        self.is_running.store(false, Ordering::Release);
    }

    /// So much of it has passed.
    #[inline]
    pub(crate) fn passed(&self, (rows, bytes): (u64, u64)) {
        self.rows.store(rows, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// The session sleeps until this has happened.
    #[inline]
    pub(crate) fn waits(&self, waits: Waits) {
        self.waits.store(waits as u8, Ordering::Relaxed);
    }

    /// Its transaction is open and nothing is under way, since this moment of the desk's clock; 0: no longer.
    pub(crate) fn stands(&self, since_us: u64) {
        self.stands_since_us.store(since_us, Ordering::Relaxed);
    }

    /// The statement under way, with rows and bytes that have passed.
    pub(crate) fn running(&self) -> Option<(Running, u64, u64)> {
        if !self.is_running.load(Ordering::Acquire) {
            return None;
        }
        let running = self.lock().clone()?;
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Some((running, of(&self.rows), of(&self.bytes)))
    }

    /// Since when its open transaction has stood still, if it does.
    pub(crate) fn stands_since_us(&self) -> Option<u64> {
        Some(self.stands_since_us.load(Ordering::Relaxed)).filter(|it| *it != 0)
    }

    /// What its session waits for.
    pub(crate) fn waits_for(&self) -> Waits {
        let waits = usize::from(self.waits.load(Ordering::Relaxed));
        Waits::ALL.get(waits).copied().unwrap_or(Waits::Nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_shown() {
        let activity = Activity::default();
        assert!(activity.running().is_none() && activity.stands_since_us().is_none());
        activity.runs(Running {
            pattern: Arc::new(Pattern::untold("x")),
            since: Instant::now(),
            queued: 2,
        });
        activity.passed((3, 40));
        let (running, rows, bytes) = activity.running().unwrap();
        assert_eq!(
            (&*running.pattern.text, running.queued, rows, bytes),
            ("(x)", 2, 3, 40)
        );
        for waits in Waits::ALL {
            activity.waits(waits);
            assert_eq!(activity.waits_for(), waits);
        }
        activity.ends();
        assert!(activity.running().is_none());
    }
}
