//! Owns the settings of looking at what clients execute.

use super::{DAY, HOUR, SECOND};
use crate::rule_values::NameList;
use crate::setting::Fallback::{Unset, Value};
use crate::setting::{Bounds, section};
use crate::values::Timeout;
use crate::words::{Audit, LogParameters, LogText, OnFull, QueryLogFormat};
use std::path::PathBuf;
use std::time::Duration;

section! {
    /// Looking at each statement that clients execute: SHOW ACTIVITY and SHOW PATTERNS in the console, /activity,
    /// /patterns and more numbers at the address of [metrics].
    Inspection = "inspection", Once {
        /// Whether statements are looked at.
        statements: bool { fallback: Value("false"), sample: "true" }
        /// Rows of statistics (by pattern, database, role and application) that each worker keeps; those
        /// that are used least are counted together.
        patterns_max: u32 { fallback: Value("5000"), bounds: Bounds::new(1, 1_000_000) }
        /// MiB that these rows may take, for each worker.
        patterns_mib_max: u32 { fallback: Value("32"), bounds: Bounds::new(1, 65_536) }
        /// How long the short window of statistics is, the columns _1min; the long one, the columns _15min, has three
        /// spans of five of them. Seconds, whole ones.
        window: Duration { fallback: Value("\"1min\""), bounds: Bounds::new(SECOND, HOUR) }
        /// Patterns, of those that take the most time, that have numbers of their own at /metrics.
        patterns_exported: u32 { fallback: Value("20"), bounds: Bounds::new(0, 1000) }
    }
}

section! {
    /// A log of what clients execute: one record for each statement that is over, in a file of its own. Where it is
    /// on, statements are looked at as with inspection.statements.
    QueryLog = "query_log", Once {
        /// The file, which only its owner may read. Its directory has to be there. Others may move it away: it is
        /// begun anew then, and at each reload.
        file: Option<PathBuf> {
            fallback: Unset("no query log"),
            sample: "\"/var/log/portcullis/queries.json\"",
        }
        /// Who reads it.
        format: QueryLogFormat { fallback: Value("\"json\"") }
        /// Whether there is a record when a statement goes to the server, too.
        start_records: bool { fallback: Value("false") }
        /// What stands there of a statement. Of one that may hold a password always the pattern.
        text: LogText { fallback: Value("\"pattern\"") }
        /// What stands there of the values that are bound to it.
        parameters: LogParameters { fallback: Value("\"none\"") }
        /// Public keys of age, "age1…" (`portcullis audit keygen`): every record is sealed to them, so that only who has
        /// one of the secret halves reads it. This machine can't.
        recipient: Option<NameList> {
            fallback: Unset("records are not sealed"),
            bounds: Bounds::new(1, 128),
            sample: "\"age1fp0z0eatyeaa3rvqw5u94w2h8wf0wqs04vx2egtar973sp9nz3ms0c4l5m\"",
        }
        /// Whether literals and values may be written into a file that is not sealed. Without recipient, text = "full",
        /// parameters = "values" and rules with log = "full" need it.
        plaintext_log: bool { fallback: Value("false") }
        /// Whether the log is one for audits: numbered, chained (`portcullis audit verify`), and how far statements wait
        /// for it. "before" needs start records of all statements, and an on_full that loses none.
        audit: Audit { fallback: Value("\"off\"") }
        /// With on_full = "refuse", how long a statement waits until its start record is written (audit = "before").
        audit_timeout: Duration { fallback: Value("\"5s\""), bounds: Bounds::new(1, HOUR) }
        /// Statements that take as long, with their wait for a server connection, have a record whether they are
        /// of the sample or not, which says "slow"; 0: none for that.
        slow_query: Timeout { fallback: Value("0"), bounds: Bounds::new(1, DAY), sample: "\"500ms\"" }
        /// Statements in a million, chosen by chance, that have a record though they are not slow and end
        /// without an error. Those that end with one always have.
        sample_per_million: u32 { fallback: Value("1000000"), bounds: Bounds::new(0, 1_000_000) }
        /// What becomes of a record when the queue in front of the file is full.
        on_full: OnFull { fallback: Value("\"drop-and-count\"") }
        /// KiB of that queue.
        queue_kib: u32 { fallback: Value("4096"), bounds: Bounds::new(64, 1_048_576) }
        /// MiB after which the file makes room for a new one; 0: never.
        rotate_mib: u32 { fallback: Value("100"), bounds: Bounds::new(0, 1_048_576) }
        /// Time after which it does; 0: never.
        rotate_interval: Timeout { fallback: Value("0"), bounds: Bounds::new(SECOND, 365 * DAY), sample: "\"1d\"" }
        /// Old files that are kept; 0: all.
        rotate_keep: u32 { fallback: Value("10"), bounds: Bounds::new(0, 100_000) }
    }
}
