//! Owns the lines of the log about a mirror: where an answer differs from the client's, and where none came. However
//! many copies differ, a pattern costs a line a second at most.

use super::glass::Mirror;
use crate::brevity::Brevity;
use patterns::Pattern;
use session::mirror::Answer;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tracing::warn;

/// Lines that wait for their turn.
#[derive(Default)]
pub(super) struct Told(Mutex<Brevity<Line>>);

/// What there is to tell.
pub(super) enum Line {
    /// Two answers differ.
    Differ {
        /// Of the statement; the first one, where a request has several.
        pattern: Arc<Pattern>,
        client: Answer,
        mirror: Answer,
    },
    /// A copy failed.
    Failed(String),
}

impl Told {
    /// Writes a line now, or later.
    pub(super) fn tell(&self, mirror: &Mirror, line: Line, now: Duration) {
        let kind = match &line {
            Line::Differ { pattern, .. } => pattern.id.to_string(),
            Line::Failed(_) => String::new(),
        };
        let offered = self.lock().offer(&kind, line, now);
        if let Some(line) = offered {
            write(mirror, &line, 0);
        }
    }

    /// Writes what waited; to be called once a second.
    pub(super) fn write_due(&self, mirror: &Mirror, now: Duration) {
        let due = self.lock().due(now);
        for (line, more) in due {
            write(mirror, &line, more);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Brevity<Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer in words.
struct Words<'a>(&'a Answer);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.error {
            Some(state) => write!(f, "error {state}"),
            None => write!(f, "{} rows", self.0.rows),
        }
    }
}

fn write(mirror: &Mirror, line: &Line, more: u64) {
    let Mirror { of, to, .. } = mirror;
    match line {
        Line::Differ {
            pattern,
            client,
            mirror,
        } => warn!(
            target: "portcullis::mirror",
            database = of,
            mirror = to,
            pattern = %pattern.id,
            statement = &*pattern.text,
            client = %Words(client),
            answer = %Words(mirror),
            more,
            "a mirror answers something else than the client got"
        ),
        Line::Failed(why) => warn!(
            target: "portcullis::mirror",
            database = of,
            mirror = to,
            more,
            "a copy of a statement came to nothing: {why}"
        ),
    }
}
