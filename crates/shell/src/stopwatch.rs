//! Owns the times of one client's requests: since when its server owes an answer, since when its
//! transaction lasts. Looks at the clock when the first request of a row goes out and when the last answer
//! has come, never in between; where a connection was just lent, the look that this took serves.

use crate::console::Times;
use session::Server;
use session::ledger::Status;
use std::sync::Arc;
use std::time::Instant;

/// A client's stopwatch.
pub struct Stopwatch {
    /// Where its worker notes the times of its pool.
    pool: Arc<Times>,
    /// When the connection was lent that has not been used yet.
    lent: Option<Instant>,
    /// Since when the server owes an answer.
    query: Option<Instant>,
    /// Since when the transaction lasts.
    transaction: Option<Instant>,
    /// How long the client waited for the connection of this transaction.
    waited_us: u64,
    /// The row of requests that was answered last; before that, the moment in which this was made.
    row: Row,
}

/// A row of requests that was answered.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    began: Instant,
    ended: Instant,
    took_us: u64,
}

impl Row {
    /// Microseconds from one moment to another, which mostly are its own.
    #[inline]
    pub fn between(&self, from: Instant, to: Instant) -> u64 {
        match (from, to) == (self.began, self.ended) {
            true => self.took_us,
            false => micros(from, to),
        }
    }
}

impl Stopwatch {
    /// One that stands still.
    pub(crate) fn new(pool: Arc<Times>) -> Stopwatch {
        let now = Instant::now();
        Stopwatch {
            pool,
            lent: None,
            query: None,
            transaction: None,
            waited_us: 0,
            row: Row {
                began: now,
                ended: now,
                took_us: 0,
            },
        }
    }

    /// A connection was lent at `now`, after a wait since `asked`; gives that in microseconds.
    #[inline]
    pub fn lent(&mut self, asked: Instant, now: Instant) -> u64 {
        // Mostly nobody waits, and the moments are one.
        self.waited_us = match asked == now {
            true => 0,
            false => micros(asked, now),
        };
        self.pool.wait.note(self.waited_us);
        self.lent = Some(now);
        self.waited_us
    }

    /// When it last stopped; before that, when it was made.
    #[inline]
    pub fn last(&self) -> Instant {
        self.row.ended
    }

    /// The row of requests that the server answered last.
    #[inline]
    pub fn row(&self) -> &Row {
        &self.row
    }

    /// How long the server took for the row of requests that it answered last, in microseconds.
    #[inline]
    pub fn took_us(&self) -> u64 {
        self.row.took_us
    }

    /// Since when the server owes an answer, if it does.
    #[inline]
    pub fn since(&self) -> Option<Instant> {
        self.query
    }

    /// Requests may have gone to the server.
    #[inline]
    pub fn sent(&mut self, server: &Server) {
        if self.query.is_none() && !server.ledger.is_settled() {
            let now = self.lent.take().unwrap_or_else(Instant::now);
            self.query = Some(now);
            self.transaction.get_or_insert(now);
        }
    }

    /// Answers have come from the server.
    #[inline]
    pub fn answered(&mut self, server: &Server) {
        if self.query.is_some() && server.ledger.is_settled() {
            self.stop(server, Instant::now());
        }
    }

    fn stop(&mut self, server: &Server, now: Instant) {
        let Some(began) = self.query.take() else {
            return;
        };
        let took_us = micros(began, now);
        self.row = Row {
            began,
            ended: now,
            took_us,
        };
        server.traffic.worked(took_us);
        // A batch without its Sync is not over, whatever the status before it was.
        if server.status != Status::Idle || !server.ledger.is_closed() {
            return;
        }
        if let Some(start) = self.transaction.take() {
            // Mostly it is one row of requests.
            let us = self.row.between(start, now);
            server.traffic.transacted(us);
            self.pool.server.note(us);
            self.pool.total.note(us.saturating_add(self.waited_us));
            self.waited_us = 0;
        }
    }
}

/// Microseconds from one moment to another.
#[inline]
fn micros(from: Instant, to: Instant) -> u64 {
    let since = to.saturating_duration_since(from);
    since.as_secs() * 1_000_000 + u64::from(since.subsec_micros())
}

#[cfg(test)]
mod tests {
    use super::*;
    use session::ledger::Request;
    use std::time::Duration;
    use wire::ProtocolVersion;

    fn server() -> Server {
        Server::new(ProtocolVersion::V3_0, None, session::Reported::default())
    }

    const MS: Duration = Duration::from_millis(1);

    /// Waits of 2 ms, then a transaction of two queries of 3 ms each with 4 ms between them.
    #[test]
    fn a_transaction_is_its_queries_and_what_lies_between_them() {
        let pool = Arc::<Times>::default();
        let mut watch = Stopwatch::new(Arc::clone(&pool));
        let (mut server, start) = (server(), watch.last());
        watch.lent(start, start + 2 * MS);
        watch.sent(&server);
        assert_eq!((watch.query, watch.transaction), (None, None));
        server.ledger.request(Request::Query);
        watch.sent(&server);
        assert_eq!(watch.query, Some(start + 2 * MS));
        let settle = |server: &mut Server, status| {
            server.ledger.reply(b'C').unwrap();
            server.ledger.ready().unwrap();
            server.status = status;
        };
        settle(&mut server, Status::InTransaction);
        watch.stop(&server, start + 5 * MS);
        assert_eq!(server.traffic.passed().query_us, 3000);
        assert_eq!(pool.server.spread().count(), 0);
        server.ledger.request(Request::Query);
        watch.query = Some(start + 9 * MS);
        settle(&mut server, Status::Idle);
        watch.stop(&server, start + 12 * MS);
        assert_eq!(watch.last(), start + 12 * MS);
        let passed = server.traffic.passed();
        assert_eq!((passed.query_us, passed.transaction_us), (6000, 10_000));
        let sum = |it: &observe::Histogram| (it.spread().count(), it.spread().sum_us);
        assert_eq!(sum(&pool.wait), (1, 2000));
        assert_eq!(sum(&pool.server), (1, 10_000));
        assert_eq!(sum(&pool.total), (1, 12_000));
    }

    #[test]
    fn a_batch_without_its_sync_is_not_over() {
        let mut watch = Stopwatch::new(Arc::default());
        let (mut server, start) = (server(), watch.last());
        server.ledger.request(Request::Parse);
        watch.sent(&server);
        server.ledger.reply(b'1').unwrap();
        watch.stop(&server, start + 5 * MS);
        assert!(watch.query.is_none() && watch.transaction.is_some());
        assert_eq!(server.traffic.passed().transaction_us, 0);
    }
}
