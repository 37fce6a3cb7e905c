//! Owns where events go in a proxy beside those who take them: a line in the log, a count, and rows of the console.

use events::{Events, Kind, Posted};
use observe::{Family, Kind as Moves, Sample};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where a proxy that begins now posts its events.
pub(crate) fn begin(kept_max: usize) -> Events {
    Events::new(now_ms(), kept_max, log)
}

/// The system's clock, in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX))
}

/// One line for each.
fn log(posted: &Posted) {
    let event = &posted.event;
    let (kind, phase) = (event.kind.word(), event.phase.word());
    let (id, subject, facts) = (posted.id(), &event.subject, event.facts_in_words());
    match event.kind.is_warning(event.phase) {
        true => {
            tracing::warn!(target: "portcullis::events", id, phase, %subject, facts, "{kind}");
        }
        false => tracing::info!(target: "portcullis::events", id, phase, %subject, facts, "{kind}"),
    }
}

/// How many there were, by kind.
pub(crate) fn family(events: &Events) -> Family {
    let sample = |(kind, count): (&Kind, u64)| Sample {
        labels: vec![("kind", kind.word().to_owned())],
        value: (count as f64).into(),
    };
    Family {
        name: "events".into(),
        help: "Events that operators should hear of, by kind.",
        kind: Moves::Counter,
        samples: Kind::ALL.iter().zip(events.counts()).map(sample).collect(),
    }
}

/// `SHOW EVENTS`.
pub(crate) fn rows(events: &Events) -> Vec<admin::Event> {
    let row = |posted: &std::sync::Arc<Posted>| admin::Event {
        id: posted.id(),
        time: events::stamp(posted.event.at_ms),
        kind: posted.event.kind.word(),
        phase: posted.event.phase.word(),
        subject: posted.event.subject.to_string(),
        facts: posted.event.facts_in_words(),
    };
    events.last().iter().map(row).collect()
}
