//! Owns the settings of events: what counts as one, and who is told.

use super::{DAY, HOUR, SECOND};
use crate::event_values::EventKinds;
use crate::setting::Fallback::{Unset, Value};
use crate::setting::{Bounds, section};
use crate::values::Timeout;
use std::path::PathBuf;
use std::time::Duration;

section! {
    /// Events that operators should hear of: a line in the log, SHOW EVENTS in the console, /events as JSON at the
    /// address of [metrics], where token_file or client_ca is set, and each [[webhook]].
    Events = "events", Once {
        /// How many of the last ones are kept.
        kept_max: u32 { fallback: Value("1000"), bounds: Bounds::new(0, 100_000) }
        /// Whether changes in the statistics by pattern are events. Needs inspection.statements.
        changes: bool { fallback: Value("false"), sample: "true" }
        /// Time after the start in which patterns are got to know without events about new ones; 0: none.
        warmup: Timeout { fallback: Value("\"15min\""), bounds: Bounds::new(SECOND, DAY) }
        /// Calls in the short window, and in the long one, without which nothing is said of how long they take.
        calls_min: u32 { fallback: Value("100"), bounds: Bounds::new(1, 1_000_000_000) }
        /// A pattern is slower when the 95th percentile of the short window is so many percent of the long one's, in two
        /// windows in a row.
        slower_percent: u32 { fallback: Value("200"), bounds: Bounds::new(110, 1_000_000) }
        /// That percentile has to be at least this.
        slower_min: Duration { fallback: Value("\"5ms\""), bounds: Bounds::new(1, HOUR) }
        /// Errors of a pattern in the short window without which there is no burst of them.
        errors_min: u32 { fallback: Value("20"), bounds: Bounds::new(1, 1_000_000_000) }
        /// Percent of calls that have to end with an error; it has to be twice the usual share, too.
        errors_percent: u32 { fallback: Value("10"), bounds: Bounds::new(1, 100) }
        /// Calls of a pattern in the short window without which they are not many.
        volume_min: u32 { fallback: Value("1000"), bounds: Bounds::new(1, 1_000_000_000) }
        /// They are many when they are so many percent of the usual number.
        volume_percent: u32 { fallback: Value("500"), bounds: Bounds::new(110, 1_000_000) }
        /// Such events in a minute; how many more there would have been is one event.
        per_minute_max: u32 { fallback: Value("20"), bounds: Bounds::new(1, 10_000) }
    }
}

section! {
    /// One who is told of events: a POST for each, with the event as JSON and a signature over it. What can't be
    /// delivered is tried again; what waits is bounded.
    Webhook = "webhook", AnyTimes {
        /// Its name, in the log and in counts. No two have the same.
        name: String { bounds: Bounds::new(1, 60), sample: "\"pager\"" }
        /// Where events go. Nothing but its host is shown anywhere: the path may be a secret.
        url: String { bounds: Bounds::new(1, 2048), sample: "\"https://hooks.example.com/portcullis\"" }
        /// File whose first line is the secret that events are signed with (HMAC-SHA-256); only its owner may read it.
        secret_file: PathBuf { sample: "\"webhook.secret\"" }
        /// PEM file with the authorities that sign the receiver's certificate.
        ca_file: Option<PathBuf> { fallback: Unset("the system's"), sample: "\"hooks-ca.crt\"" }
        /// Whether the url may begin with http://, so that everybody on the way reads and changes events.
        plain_http: bool { fallback: Value("false") }
        /// Which events.
        kinds: Option<EventKinds> { fallback: Unset("all"), sample: "[\"slower\", \"error_burst\"]" }
        /// How long one try may take.
        timeout: Duration { fallback: Value("\"10s\""), bounds: Bounds::new(100, 10 * 60 * SECOND) }
        /// Tries after the first one, before an event is given up.
        retries: u32 { fallback: Value("8"), bounds: Bounds::new(0, 100) }
        /// How long the second try waits at most; each further one twice as long.
        retry_wait: Duration { fallback: Value("\"1s\""), bounds: Bounds::new(10, HOUR) }
        /// No try waits longer.
        retry_wait_max: Duration { fallback: Value("\"5min\""), bounds: Bounds::new(10, DAY) }
        /// Events that may wait; the oldest make room.
        queue_max: u32 { fallback: Value("1000"), bounds: Bounds::new(1, 100_000) }
    }
}
