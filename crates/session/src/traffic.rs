//! Owns what others may know of a server connection while a session has it: how much went through, who
//! has it, and whether it is to be closed when it comes back.
//!
//! Shared with whoever watches. Only the session that has the connection counts, so counting is a load
//! and a store of its own memory, without a lock; everybody may ask that it be closed.

use crate::ledger::Tally;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// The facts of one server connection.
#[derive(Debug, Default)]
pub struct Traffic {
    transactions: AtomicU64,
    queries: AtomicU64,
    transaction_us: AtomicU64,
    query_us: AtomicU64,
    client_parses: AtomicU64,
    server_parses: AtomicU64,
    binds: AtomicU64,
    statements: AtomicU32,
    number: AtomicU64,
    client: AtomicU64,
    freed_s: AtomicU32,
    close_needed: AtomicBool,
    cut: AtomicBool,
    made_ready: AtomicBool,
    tested: AtomicBool,
}

/// What went through so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Passed {
    /// Transactions that ended.
    pub transactions: u64,
    /// Requests that were answered up to ReadyForQuery.
    pub queries: u64,
    /// Microseconds in transactions.
    pub transaction_us: u64,
    /// Microseconds in which the server owed an answer.
    pub query_us: u64,
    /// Parse messages from clients.
    pub client_parses: u64,
    /// Parse messages that went to the server.
    pub server_parses: u64,
    /// Bind messages.
    pub binds: u64,
}

impl Traffic {
    /// What went through so far.
    pub fn passed(&self) -> Passed {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Passed {
            transactions: of(&self.transactions),
            queries: of(&self.queries),
            transaction_us: of(&self.transaction_us),
            query_us: of(&self.query_us),
            client_parses: of(&self.client_parses),
            server_parses: of(&self.server_parses),
            binds: of(&self.binds),
        }
    }

    /// A request of the client's was answered; `ended` with it, its transaction. `tally` is the ledger's.
    #[inline]
    pub(crate) fn answered(&self, ended: bool, tally: Tally) {
        add(&self.queries, 1);
        add(&self.transactions, u64::from(ended));
        self.client_parses
            .store(tally.client_parses, Ordering::Relaxed);
        self.server_parses
            .store(tally.server_parses, Ordering::Relaxed);
        self.binds.store(tally.binds, Ordering::Relaxed);
    }

    /// The server owed an answer for so many microseconds.
    #[inline]
    pub fn worked(&self, us: u64) {
        add(&self.query_us, us);
    }

    /// A transaction took so many microseconds.
    #[inline]
    pub fn transacted(&self, us: u64) {
        add(&self.transaction_us, us);
    }

    /// So many prepared statements are on it.
    #[inline]
    pub fn holds(&self, statements: usize) {
        let count = u32::try_from(statements).unwrap_or(u32::MAX);
        self.statements.store(count, Ordering::Relaxed);
    }

    /// Prepared statements on it when a client last let go of it.
    pub fn statements(&self) -> u32 {
        self.statements.load(Ordering::Relaxed)
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

    /// True while what was put in front of a client's messages is not answered.
    pub fn is_made_ready(&self) -> bool {
        self.made_ready.load(Ordering::Acquire)
    }

    /// It is being made ready for a client, or has been.
    pub(crate) fn set_made_ready(&self, now: bool) {
        self.made_ready.store(now, Ordering::Release);
    }

    /// It is being reset or asked whether it is well, or no longer.
    pub fn set_tested(&self, tested: bool) {
        self.tested.store(tested, Ordering::Relaxed);
    }

    /// True while it is being reset or tested.
    pub fn is_tested(&self) -> bool {
        self.tested.load(Ordering::Relaxed)
    }

    /// True if nobody may get it any more.
    #[inline]
    pub fn close_needed(&self) -> bool {
        self.close_needed.load(Ordering::Relaxed)
    }

    /// True if nothing may be sent to it any more.
    #[inline]
    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// From now on nothing is sent to it: who has it loses it. Wake that session afterwards.
    pub fn cut(&self) {
        self.close_when_freed();
        self.cut.store(true, Ordering::Relaxed);
    }

    /// From now on nobody gets it any more; who has it keeps it.
    pub fn close_when_freed(&self) {
        self.close_needed.store(true, Ordering::Relaxed);
    }
}

/// Only the session that has the connection adds.
#[inline]
fn add(count: &AtomicU64, more: u64) {
    count.store(count.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}
