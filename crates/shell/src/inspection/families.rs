//! Owns the numbers of what clients execute, for `/metrics`: how many clients are in which state, how much is kept,
//! and the patterns that take the most time.
//!
//! Labels hold a pattern's number and no text: the text is in `SHOW PATTERNS` under that number.

use super::shown;
use crate::context::Context;
use observe::{Family, Kind, Sample, Value};
use patterns::{Row, Sum};
use std::sync::Arc;

/// A number of all statements and of the patterns that take the most time: names, meaning, value.
type Column = ([&'static str; 2], &'static str, fn(&Row) -> f64);

/// All families; none if nothing is looked at.
pub(crate) fn families(context: &Context) -> Vec<Family> {
    let setup = context.live.snapshot();
    let Some(rules) = &setup.inspection else {
        return Vec::new();
    };
    let merged = context.inspections.merged();
    let (evicted, bytes) = (merged.evicted, merged.bytes);
    let mut rows = merged.rows();
    let held = rows.iter().filter(|row| row.pattern.is_some()).count();
    let top = held.min(rules.exported_max);
    let all = Row {
        pattern: None,
        who: Arc::default(),
        sum: sum(&rows),
    };
    rows.truncate(top);
    let mut families = vec![
        states(context),
        Family::single(
            "patterns",
            "Rows of statistics by pattern, database, role and application.",
            Kind::Gauge,
            held as f64,
        ),
        Family::single(
            "patterns_bytes",
            "Bytes that these take.",
            Kind::Gauge,
            bytes as f64,
        ),
        Family::single(
            "patterns_evicted",
            "Rows that had to make room and are counted under `other` since.",
            Kind::Counter,
            evicted as f64,
        ),
    ];
    let columns: [Column; 5] = [
        (
            ["statements", "pattern_calls"],
            "Statements that ended.",
            |row| row.sum.all.calls as f64,
        ),
        (
            ["statement_errors", "pattern_errors"],
            "Those of them that ended with an error.",
            |row| row.sum.all.errors as f64,
        ),
        (
            ["statement_rows", "pattern_rows"],
            "Rows that they sent, changed or copied.",
            |row| row.sum.all.rows as f64,
        ),
        (
            ["statement_seconds", "pattern_seconds"],
            "Time from the wish for a server connection to the end.",
            |row| row.sum.all.total.sum_us() as f64 / 1e6,
        ),
        (
            ["statement_wait_seconds", "pattern_wait_seconds"],
            "Of that, until a server connection was lent.",
            |row| row.sum.wait.sum_us() as f64 / 1e6,
        ),
    ];
    if let Some(log) = &rules.log {
        families.extend(logged(log.journal.counts()));
    }
    for ([all_name, name], help, value) in columns {
        families.push(Family::single(all_name, help, Kind::Counter, value(&all)));
        let samples = rows.iter().map(|row| Sample {
            labels: labels(row),
            value: Value::Number(value(row)),
        });
        families.push(Family {
            name: name.into(),
            help,
            kind: Kind::Counter,
            samples: samples.collect(),
        });
    }
    families
}

/// What became of records.
fn logged(counts: journal::Counts) -> [Family; 4] {
    [
        Family::single(
            "query_log_bytes",
            "Bytes of the query log that were written.",
            Kind::Counter,
            counts.written_bytes as f64,
        ),
        Family::single(
            "query_log_dropped",
            "Records of the query log that found no room (on_full).",
            Kind::Counter,
            counts.dropped as f64,
        ),
        Family::single(
            "query_log_failures",
            "Times that the query log could not be written.",
            Kind::Counter,
            counts.failures as f64,
        ),
        Family::single(
            "query_log_rotations",
            "Files of the query log that were begun after the first.",
            Kind::Counter,
            counts.rotations as f64,
        ),
    ]
}

/// Of all rows together.
fn sum(rows: &[Row]) -> Sum {
    let mut sum = Sum::default();
    for row in rows {
        sum.add(&row.sum);
    }
    sum
}

fn labels(row: &Row) -> Vec<(&'static str, String)> {
    let pattern = row.pattern.as_ref();
    vec![
        (
            "pattern",
            pattern.map(|it| it.id.to_string()).unwrap_or_default(),
        ),
        ("database", row.who.database.to_string()),
        ("role", row.who.role.to_string()),
        ("application", row.who.application.to_string()),
    ]
}

fn states(context: &Context) -> Family {
    let samples = shown::states(context)
        .into_iter()
        .map(|(state, count)| Sample {
            labels: vec![("state", state.to_owned())],
            value: Value::Number(count as f64),
        });
    Family {
        name: "client_activity".into(),
        help: "Clients that do something or keep something, by state.",
        kind: Kind::Gauge,
        samples: samples.collect(),
    }
}
