//! Owns what others may know of a server connection while a session has it: how much went through, who
//! has it, and whether it is to be closed when it comes back.
//!
//! Shared with whoever watches. Only the session that has the connection counts, so counting is a load
//! and a store of its own memory, without a lock; everybody may ask that it be closed.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// The facts of one server connection.
#[derive(Debug, Default)]
pub struct Traffic {
    transactions: AtomicU64,
    queries: AtomicU64,
    number: AtomicU64,
    client: AtomicU64,
    freed_s: AtomicU32,
    close_needed: AtomicBool,
}

impl Traffic {
    /// Transactions that ended, and requests that were answered up to ReadyForQuery.
    pub fn counts(&self) -> (u64, u64) {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (of(&self.transactions), of(&self.queries))
    }

    /// A request of the client's was answered; `ended` with it, its transaction.
    #[inline]
    pub(crate) fn answered(&self, ended: bool) {
        let add = |count: &AtomicU64, more: u64| {
            count.store(count.load(Ordering::Relaxed) + more, Ordering::Relaxed);
        };
        add(&self.queries, 1);
        add(&self.transactions, u64::from(ended));
    }

    /// The number that this connection goes by; 0: none yet.
    #[inline]
    pub fn number(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }

    /// Gives it one.
    pub fn numbered(&self, number: u64) {
        self.number.store(number, Ordering::Relaxed);
    }

    /// The number of the client that has it, if one has.
    pub fn client(&self) -> Option<u64> {
        Some(self.client.load(Ordering::Relaxed)).filter(|client| *client != 0)
    }

    /// It was lent to the client with this number, which is not 0.
    #[inline]
    pub fn lent(&self, client: u64) {
        self.client.store(client, Ordering::Relaxed);
    }

    /// It came back, so many seconds after it was made.
    #[inline]
    pub fn freed(&self, age_s: u32) {
        self.client.store(0, Ordering::Relaxed);
        self.freed_s.store(age_s, Ordering::Relaxed);
    }

    /// How old it was in seconds when it last came back.
    pub fn freed_s(&self) -> u32 {
        self.freed_s.load(Ordering::Relaxed)
    }

    /// True if nobody may get it any more.
    #[inline]
    pub fn close_needed(&self) -> bool {
        self.close_needed.load(Ordering::Relaxed)
    }

    /// From now on nobody gets it any more; who has it keeps it.
    pub fn close_when_freed(&self) {
        self.close_needed.store(true, Ordering::Relaxed);
    }
}
