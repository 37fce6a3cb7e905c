//! Owns how long statements take, as `db.client.operation.duration`: by database, operation and error, of all statements
//! that were noted, whether their spans are sent or not.

use crate::spans::{error, operation};
use std::collections::HashMap;
use trace::Span;

/// The buckets that the conventions advise, in seconds.
pub(crate) const BOUNDS_S: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];
/// Sets of attributes; further ones are counted together.
const SETS_MAX: usize = 2000;

/// What statements have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Set {
    pub(crate) database: String,
    pub(crate) operation: String,
    pub(crate) error: Option<String>,
    pub(crate) is_overflow: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Durations(HashMap<Set, Histogram>);

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Histogram {
    pub(crate) counts: [u64; BOUNDS_S.len() + 1],
    pub(crate) sum_us: u64,
}

impl Durations {
    pub(crate) fn note(&mut self, span: &Span) {
        let mut set = Set {
            database: span.who.database.to_string(),
            operation: operation(span),
            error: error(span),
            is_overflow: false,
        };
        if self.0.len() >= SETS_MAX && !self.0.contains_key(&set) {
            set = Set {
                is_overflow: true,
                ..Set::default()
            };
        }
        let us = span.ended_us.saturating_sub(span.began_us);
        let histogram = self.0.entry(set).or_default();
        let at = BOUNDS_S.iter().position(|it| us as f64 <= it * 1e6);
        histogram.counts[at.unwrap_or(BOUNDS_S.len())] += 1;
        histogram.sum_us = histogram.sum_us.saturating_add(us);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Set, &Histogram)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use patterns::{Pattern, Who};
    use std::sync::Arc;
    use trace::{Ids, Place};

    fn span(database: &str, us: u64) -> Span {
        let mut ids = Ids::from_seed(1);
        let who = Who {
            database: database.into(),
            ..Who::default()
        };
        Span {
            parent: None,
            trace_id: ids.trace(),
            span_id: ids.span(),
            began_us: 1000,
            ended_us: 1000 + us,
            pattern: Arc::new(Pattern::untold("x")),
            who: Arc::new(who),
            place: Arc::new(Place {
                host: "h".into(),
                port: None,
            }),
            operation: "SELECT".into(),
            sqlstate: None,
            returned_rows: None,
            is_lost: false,
        }
    }

    #[test]
    fn edges_belong_to_the_bucket_below() {
        let mut durations = Durations::default();
        for us in [0, 1000, 1001, 10_000_000, 10_000_001] {
            durations.note(&span("d", us));
        }
        let (set, histogram) = durations.iter().next().unwrap();
        assert_eq!(
            (set.database.as_str(), set.operation.as_str()),
            ("d", "SELECT")
        );
        assert_eq!(histogram.counts, [2, 1, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(histogram.sum_us, 20_002_002);
    }

    #[test]
    fn however_many_databases_there_are_memory_is_bounded() {
        let mut durations = Durations::default();
        for number in 0..3 * SETS_MAX {
            durations.note(&span(&number.to_string(), 1));
        }
        assert_eq!(durations.iter().count(), SETS_MAX + 1);
        let rest = durations.iter().find(|it| it.0.is_overflow).unwrap();
        assert_eq!(rest.1.counts[0], 2 * SETS_MAX as u64);
    }
}
