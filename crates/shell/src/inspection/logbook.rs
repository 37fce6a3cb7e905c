//! Owns the query log: which statements get a record, and the record itself. Where it goes is [`journal`]'s.
//!
//! A record has a statement's pattern, which holds no literal; its text only where the operator said so, and never
//! that of a statement which may hold a password.

use super::clock::Clock;
use crate::console::Client;
use admin::escape;
pub use journal::Form;
use journal::{Journal, Pushed, Ticket, Unwritten};
use patterns::{Run, may_hold_secret};
use session::inspect::{End, Known, Protocol, Record, Shown};
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use zeroize::Zeroize;

/// What is logged of statements.
#[derive(Debug, Clone)]
pub struct LogRules {
    /// Where records go.
    pub journal: Arc<Journal>,
    /// For whom they are written.
    pub form: Form,
    /// A record when a statement goes to the server, too.
    pub starts: bool,
    /// Statements wait until theirs is written.
    pub before: Option<Before>,
    /// The text itself in place of the pattern's.
    pub full_text: bool,
    /// A rule wants texts and values of what it matches.
    pub full_by_rule: bool,
    /// The values that are bound to statements.
    pub parameters: Option<Shown>,
    /// Statements that took as long are logged, sampled or not; zero: none for that.
    pub slow: Duration,
    /// Of a million others that ended well, so many.
    pub sample_ppm: u32,
}

/// How statements wait for their start records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// So long at most; `None`: for as long as it takes.
    pub patience: Option<Duration>,
}

/// Bytes of a text that are logged.
pub(super) const TEXT_MAX: usize = 64 * 1024;

/// Bytes of a Bind whose values are logged, and of each of them.
const VALUES_MAX: usize = 64 * 1024;
const VALUE_MAX: usize = 1024;

/// Bytes of a record beside its text, at most about; bytes that one byte of a text can become; bytes of room that a
/// client keeps for its next record.
const LINE_MAX: usize = 4096;
const ESCAPED_MAX: usize = 6;
const LINE_KEPT_MAX: usize = 16 * 1024;

/// The log of one client.
pub(super) struct Logbook {
    rules: LogRules,
    /// Changes with each statement; see [`sampled`](Self::sampled).
    chance: u64,
    /// The client's part of each record.
    client: String,
    line: String,
    /// The line found no room, and is to be pushed again before anything else.
    is_pending: bool,
    /// Under which number it waits.
    number: u64,
}

/// When something was, and what it is about.
pub(super) struct Moment<'a> {
    pub(super) at: Instant,
    /// Knows the time of day.
    pub(super) clock: &'a Clock,
    pub(super) known: &'a Known,
    /// How it was sent, and its number; nothing of one that went nowhere.
    pub(super) protocol: Option<Protocol>,
    pub(super) number: Option<u64>,
    /// Its text and values are wanted, whatever else is.
    pub(super) is_full: bool,
    /// The server's process id; 0 if unknown.
    pub(super) server_pid: u32,
    /// Where it is.
    pub(super) server: &'a dyn fmt::Display,
}

/// How long a statement took.
pub(super) struct Times {
    pub(super) wait_us: u64,
    /// On the server connection.
    pub(super) server_us: u64,
    /// When it went there, and when its first row came.
    pub(super) begun: Instant,
    pub(super) first_row: Option<Instant>,
}

impl Logbook {
    /// For a client; `seed` decides which statements are sampled.
    pub(super) fn new(rules: LogRules, client: &Client, seed: u64) -> Logbook {
        let mut book = Logbook {
            rules,
            chance: seed,
            client: String::new(),
            line: String::new(),
            is_pending: false,
            number: client.number,
        };
        let facts = &client.facts;
        let peer = client
            .at
            .peer
            .map_or("unix".to_owned(), |it| it.to_string());
        book.number("client", client.number);
        book.text("client_addr", &peer);
        book.text("user", &facts.user);
        book.text("database", &facts.database);
        book.text("application_name", &facts.application_name);
        book.text("pool_user", &facts.pool_user);
        std::mem::swap(&mut book.client, &mut book.line);
        book
    }

    /// Bytes of each text, and of all values of a statement, that it needs.
    pub(super) fn keeps(rules: &LogRules) -> (usize, usize) {
        let has_values = rules.parameters == Some(Shown::Values) || rules.full_by_rule;
        let text = if rules.full_text || has_values {
            TEXT_MAX
        } else {
            0
        };
        let values = if rules.parameters.is_some() || has_values {
            VALUES_MAX
        } else {
            0
        };
        (text, values)
    }

    /// Whether the next statement is one of the sample.
    pub(super) fn sampled(&mut self) -> bool {
        const PPM: u64 = 1_000_000;
        let sample = u64::from(self.rules.sample_ppm);
        if sample == 0 {
            return false;
        }
        // SplitMix64: enough to choose by, and nothing hangs on its being guessed.
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.chance;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % PPM < sample
    }

    /// A statement of the sample goes to the server.
    pub(super) fn started(&mut self, moment: &Moment<'_>) -> Option<Pushed> {
        if !self.rules.starts && self.rules.before.is_none() {
            return None;
        }
        self.begin("start", moment);
        self.end()
    }

    /// How statements wait for their start records, if they do.
    pub(super) fn before(&self) -> Option<Before> {
        self.rules.before
    }

    /// True if no statement is to begin at present.
    pub(super) fn refuses(&self) -> bool {
        self.rules.before.is_some() && self.rules.journal.refuses()
    }

    /// True if the last record found no room yet. Until it has, there is no other.
    pub(super) fn is_pending(&self) -> bool {
        self.is_pending
    }

    /// Ready once the record that found no room has found some, or is lost.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Pushed> {
        loop {
            match self.push() {
                Pushed::Full => {}
                pushed => return Poll::Ready(pushed),
            }
            let (journal, bytes) = (&self.rules.journal, self.line.len());
            std::task::ready!(journal.poll_room(bytes, self.number, cx.waker()));
        }
    }

    /// Ready once a record is in the file, or nobody is to wait for that.
    pub(super) fn poll_written(
        &mut self,
        ticket: Ticket,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Unwritten>> {
        let journal = &self.rules.journal;
        journal.poll_written(ticket, self.number, cx.waker())
    }

    /// A rule, or the want of one, refused a statement.
    pub(super) fn denied(&mut self, moment: &Moment<'_>, rule: Option<&str>) -> Pushed {
        self.begin("refused", moment);
        if let Some(rule) = rule {
            self.text("rule", rule);
        }
        self.end_line();
        self.push()
    }

    /// Whether a statement that is over gets a record.
    #[inline]
    pub(super) fn wants(&self, completed: &Record, run: &Run) -> bool {
        completed.notes.sampled
            || matches!(completed.end, End::Failed | End::Lost)
            || self.is_slow(run.wait_us.saturating_add(run.server_us))
    }

    #[inline]
    fn is_slow(&self, total_us: u64) -> bool {
        let slow = self.rules.slow;
        !slow.is_zero() && Duration::from_micros(total_us) >= slow
    }

    /// A statement is over that [gets a record](Self::wants). `is_withheld`: it never went to the server.
    pub(super) fn completed(
        &mut self,
        moment: &Moment<'_>,
        completed: &Record,
        times: &Times,
        is_withheld: bool,
    ) -> Pushed {
        let total_us = times.wait_us.saturating_add(times.server_us);
        let is_slow = self.is_slow(total_us);
        self.begin("end", moment);
        self.text(
            "outcome",
            match is_withheld {
                true => "withheld",
                false => completed.end.word(),
            },
        );
        if let Some(state) = &completed.sqlstate {
            self.text("sqlstate", std::str::from_utf8(state).unwrap_or_default());
        }
        self.text("command", completed.command.as_str());
        self.number("rows", completed.rows());
        self.number("bytes_in", completed.bytes_in);
        self.number("bytes_out", completed.bytes_out);
        self.number("wait_us", times.wait_us);
        if let Some(first_row) = times.first_row {
            let first_row = micros(first_row.saturating_duration_since(times.begun));
            self.number("first_row_us", times.wait_us.saturating_add(first_row));
        }
        self.number("server_us", times.server_us);
        self.number("total_us", total_us);
        if is_slow {
            match self.rules.form {
                Form::Json => self.line.push_str(",\"slow\":true"),
                Form::Human => self.line.push_str(" slow=true"),
            }
        }
        self.end_line();
        self.push()
    }

    fn begin(&mut self, event: &str, moment: &Moment<'_>) {
        self.line.clear();
        let time = journal::time::text(moment.clock.since_1970(moment.at));
        match self.rules.form {
            Form::Json => {
                let _ = write!(self.line, "{{\"time\":\"{time}\"");
            }
            Form::Human => self.line.push_str(&time),
        }
        self.text("event", event);
        self.line.push_str(&self.client);
        if let Some(number) = moment.number {
            self.number("statement", number);
        }
        self.text("server", &moment.server.to_string());
        self.number("server_pid", u64::from(moment.server_pid));
        if let Some(protocol) = moment.protocol {
            self.text("protocol", protocol.word());
        }
        self.text("pattern", &moment.known.pattern.id.to_string());
        let is_full = moment.is_full && self.rules.full_by_rule;
        match &moment.known.text {
            Some(text) if (self.rules.full_text || is_full) && !may_hold_secret(text.expose()) => {
                // Room for all of it at once: what is outgrown would be freed with its content.
                self.line.reserve(ESCAPED_MAX * text.len() + LINE_MAX);
                self.bytes("text", text.expose());
            }
            _ => self.text("query", &moment.known.pattern.text),
        }
        let wanted = is_full.then_some(Shown::Values);
        if let Some(shown) = wanted.or(self.rules.parameters) {
            self.parameters(moment.known, shown);
        }
    }

    /// Bound values; of a statement that may be about a password, or whose text isn't known to its end, no more than
    /// their types.
    fn parameters(&mut self, known: &Known, shown: Shown) {
        let text = known.text.as_ref().map(|it| it.expose());
        let is_harmless = text.is_some_and(|it| it.len() < TEXT_MAX && !may_hold_secret(it));
        let shown = if is_harmless { shown } else { Shown::Types };
        let before = self.line.len();
        // A value of two bytes may take as many as `{"type":"timestamptz","value":"…"},` has.
        const BESIDE: usize = 64;
        self.line
            .reserve((ESCAPED_MAX + BESIDE / 4) * known.bound.kept() + LINE_MAX);
        self.line.push_str(match self.rules.form {
            Form::Json => ",\"parameters\":",
            Form::Human => " parameters=",
        });
        let types = known.types.as_deref();
        if !known.bound.write(types, (shown, VALUE_MAX), &mut self.line) {
            self.line.truncate(before);
        }
    }

    fn end(&mut self) -> Option<Pushed> {
        self.end_line();
        Some(self.push())
    }

    fn end_line(&mut self) {
        self.line.push_str(match self.rules.form {
            Form::Json => "}\n",
            Form::Human => "\n",
        });
    }

    fn push(&mut self) -> Pushed {
        let pushed = self.rules.journal.push(self.line.as_bytes());
        self.is_pending = pushed == Pushed::Full;
        if self.is_pending {
            return pushed;
        }
        if Self::keeps(&self.rules) != (0, 0) {
            // It may have held literals.
            self.line.zeroize();
        }
        if self.line.capacity() > LINE_KEPT_MAX {
            self.line = String::new();
        }
        pushed
    }

    fn number(&mut self, name: &str, number: u64) {
        let _ = match self.rules.form {
            Form::Json => write!(self.line, ",\"{name}\":{number}"),
            Form::Human => write!(self.line, " {name}={number}"),
        };
    }

    fn text(&mut self, name: &str, text: &str) {
        self.bytes(name, text.as_bytes());
    }

    /// A text in whatever encoding; what is not UTF-8 in it is shown as such.
    fn bytes(&mut self, name: &str, bytes: &[u8]) {
        let _ = match self.rules.form {
            Form::Json => write!(self.line, ",\"{name}\":"),
            Form::Human => write!(self.line, " {name}="),
        };
        self.line.push('"');
        for chunk in bytes.utf8_chunks() {
            chunk
                .valid()
                .chars()
                .for_each(|it| escape(it, &mut self.line));
            if !chunk.invalid().is_empty() {
                self.line.push(char::REPLACEMENT_CHARACTER);
            }
        }
        self.line.push('"');
    }
}

impl Drop for Logbook {
    fn drop(&mut self) {
        if self.rules.before.is_some() || self.is_pending {
            self.rules.journal.forget(self.number);
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
