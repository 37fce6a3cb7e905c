//! Owns what is known only from one poll to the next: statements a second, calls a second of each pattern, and the
//! curves of the last minute.

use crate::table::{Row, Table};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// What a curve shows.
const SPAN: Duration = Duration::from_secs(60);

/// Polls closer than this say too little to make a rate of.
const LEAST: Duration = Duration::from_millis(200);

/// One moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    at: Duration,
    /// Statements a second.
    pub(crate) statements: f64,
    /// Transactions a second.
    pub(crate) transactions: f64,
    /// Bytes a second, from clients and to them.
    pub(crate) bytes: (f64, f64),
    /// Clients that wait for a server.
    pub(crate) waiting: f64,
}

/// Sums at the last poll.
#[derive(Debug, Clone, Copy)]
struct Sums {
    at: Duration,
    statements: f64,
    transactions: f64,
    received: f64,
    sent: f64,
}

/// What was seen so far by one connection.
#[derive(Debug, Default)]
pub(crate) struct History {
    last: Option<Sums>,
    samples: VecDeque<Sample>,
    calls: Option<(Duration, HashMap<String, f64>)>,
    rates: HashMap<String, f64>,
}

impl History {
    /// Takes the sums of `SHOW STATS_TOTALS`, and how many clients wait.
    pub(crate) fn note(&mut self, totals: &Table, waiting: f64, at: Duration) {
        if self.last.is_some_and(|it| at.saturating_sub(it.at) < LEAST) {
            return;
        }
        let sum = |column| totals.rows().map(|row| row.number(column)).sum();
        let sums = Sums {
            at,
            statements: sum("query_count"),
            transactions: sum("xact_count"),
            received: sum("bytes_received"),
            sent: sum("bytes_sent"),
        };
        if let Some(last) = self.last
            && let Some(span) = span(last.at, at)
        {
            let rate = |now: f64, then: f64| (now - then).max(0.0) / span;
            self.samples.push_back(Sample {
                at,
                statements: rate(sums.statements, last.statements),
                transactions: rate(sums.transactions, last.transactions),
                bytes: (
                    rate(sums.received, last.received),
                    rate(sums.sent, last.sent),
                ),
                waiting,
            });
        }
        self.last = Some(sums);
        while self
            .samples
            .front()
            .is_some_and(|it| at.saturating_sub(it.at) > SPAN)
        {
            self.samples.pop_front();
        }
    }

    /// Takes the calls of `SHOW PATTERNS`.
    pub(crate) fn note_patterns(&mut self, patterns: &Table, at: Duration) {
        if self
            .calls
            .as_ref()
            .is_some_and(|(then, _)| at.saturating_sub(*then) < LEAST)
        {
            return;
        }
        let calls: HashMap<_, _> = patterns
            .rows()
            .map(|row| (key(row), row.number("calls")))
            .collect();
        if let Some((then, before)) = &self.calls
            && let Some(span) = span(*then, at)
        {
            let rate = |(key, now): (&String, &f64)| {
                let before = before.get(key).copied().unwrap_or(0.0);
                (key.clone(), (now - before).max(0.0) / span)
            };
            self.rates = calls.iter().map(rate).collect();
        }
        self.calls = Some((at, calls));
    }

    /// Calls a second of a row of `SHOW PATTERNS`; `None` before the second poll.
    pub(crate) fn rate(&self, row: Row<'_>) -> Option<f64> {
        self.rates.get(&key(row)).copied()
    }

    /// The last moment.
    pub(crate) fn last(&self) -> Option<Sample> {
        self.samples.back().copied()
    }

    /// A curve of the last minute in so many columns, the present at the right; `None` where nothing is known.
    pub(crate) fn curve(&self, columns: usize, of: impl Fn(&Sample) -> f64) -> Vec<Option<f64>> {
        let mut curve = vec![None; columns];
        let Some(end) = self.samples.back().map(|it| it.at) else {
            return curve;
        };
        let width = SPAN.as_secs_f64() / columns.max(1) as f64;
        for sample in &self.samples {
            let age = end.saturating_sub(sample.at).as_secs_f64();
            let back = (age / width) as usize;
            if let Some(column) = columns
                .checked_sub(back + 1)
                .and_then(|at| curve.get_mut(at))
            {
                let value = of(sample);
                *column = Some(column.map_or(value, |it: f64| it.max(value)));
            }
        }
        // Polls may be further apart than columns are: what was holds until the next is known.
        let mut known = None;
        for column in &mut curve {
            match column {
                Some(value) => known = Some(*value),
                None => *column = known,
            }
        }
        curve
    }
}

/// What tells rows of `SHOW PATTERNS` apart.
pub(crate) fn key(row: Row<'_>) -> String {
    let parts = ["pattern", "database", "role", "application_name"];
    parts.map(|it| row.text(it)).join("\0")
}

/// Seconds between two polls.
fn span(then: Duration, now: Duration) -> Option<f64> {
    Some(now.checked_sub(then)?.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[&str], row: &[&str]) -> Table {
        let columns: Vec<_> = columns.iter().map(|it| (*it).to_owned()).collect();
        let row = row.iter().map(|it| Some((*it).to_owned())).collect();
        Table::new(&columns, &[row], 0)
    }

    #[test]
    fn rates_are_of_what_was_between_two_polls() {
        let mut history = History::default();
        let sums = |count: &str| table(&["query_count"], &[count]);
        history.note(&sums("100"), 0.0, Duration::from_secs(1));
        assert_eq!(history.last(), None);
        history.note(&sums("300"), 3.0, Duration::from_secs(3));
        let last = history.last().expect("a sample");
        assert_eq!((last.statements, last.waiting), (100.0, 3.0));
        // Sums that go down are another process's.
        history.note(&sums("5"), 0.0, Duration::from_secs(4));
        assert_eq!(history.last().map(|it| it.statements), Some(0.0));
        assert_eq!(
            history.curve(4, |it| it.statements),
            [None, None, None, Some(100.0)]
        );
        let late = Duration::from_secs(200);
        history.note(&sums("5"), 0.0, late);
        assert_eq!(history.samples.len(), 1);
    }

    #[test]
    fn patterns_are_told_apart_by_all_that_they_are_counted_by() {
        let mut history = History::default();
        let columns = ["pattern", "database", "role", "application_name", "calls"];
        let calls = |role: &str, calls: &str| table(&columns, &["1", "d", role, "", calls]);
        history.note_patterns(&calls("a", "10"), Duration::from_secs(1));
        let now = calls("a", "30");
        let row = now.rows().next().expect("a row");
        assert_eq!(history.rate(row), None);
        history.note_patterns(&now, Duration::from_secs(3));
        assert_eq!(history.rate(row), Some(10.0));
        let other = calls("b", "30");
        assert_eq!(history.rate(other.rows().next().expect("a row")), None);
    }
}
