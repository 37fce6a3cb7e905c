//! What has changed in the statistics: a pattern that is new, slower, or comes or fails much more often than it did.
//!
//! Owns what is known of patterns from one look to the next. Takes rows and the time, gives events. One change gives
//! one event when it begins and one when it is over; there are so many in a minute at most, and how many more there
//! would have been is told, too. What has no row of its own (`other`) is a mixture that says nothing, and is left out.

mod measure;
#[cfg(test)]
mod tests;

use crate::counts::{Counts, LONG, Window, WindowLength};
use crate::pattern::Pattern;
use crate::table::Row;
use events::{Event, Kind, Phase};
use measure::{Reading, What};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// What counts as a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Seconds in which patterns are got to know without a word.
    pub warmup_s: u64,
    /// Calls in the window, and before, without which times say nothing.
    pub calls_min: u64,
    /// A 95th percentile of so many percent of the usual one is slower.
    pub slower_percent: u64,
    /// Microseconds that it has to have at least.
    pub slower_min_us: u64,
    /// Errors in the window without which there is no burst.
    pub errors_min: u64,
    /// Percent of calls that have to end with one.
    pub errors_percent: u64,
    /// Calls in the window without which they are not many.
    pub volume_min: u64,
    /// So many percent of the usual number are many.
    pub volume_percent: u64,
    /// Events in a minute.
    pub told_max: u64,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            warmup_s: 900,
            calls_min: 100,
            slower_percent: 200,
            slower_min_us: 5000,
            errors_min: 20,
            errors_percent: 10,
            volume_min: 1000,
            volume_percent: 500,
            told_max: 20,
        }
    }
}

/// Patterns that are known at most. Of more, those not seen for longest are forgotten.
const KNOWN_MAX: usize = 50_000;
/// Changes under way at most.
const UNDER_WAY_MAX: usize = 5000;
/// Windows without it after which a change is over: one alone may be chance.
const CALM: u32 = 2;
/// Windows after which what is different may have become what is usual.
const USUAL_AFTER: u64 = LONG as u64 * WindowLength::LONG;
/// Windows that are judged together: what is usual is what was before them.
const JUDGED: u64 = 2;

/// A pattern in a database.
type Key = (u64, Box<str>);

/// What is seen of it in one look, whoever called it.
struct Seen {
    pattern: Arc<Pattern>,
    calls: u64,
    /// In the window.
    short: Counts,
    /// Before it.
    long: Counts,
    /// Full long spans in which it was known by then.
    spans: u64,
    /// It came after the warm-up, so that it has no past that is unknown.
    is_new: bool,
}

/// One look.
struct Look {
    now_s: u64,
    /// The window that has begun.
    window: u64,
    /// The long spans that were over before what is judged began.
    before: Range<u64>,
    /// What was not seen so far is new.
    is_warm: bool,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    /// The windows in which it was seen first and last.
    since: u64,
    seen: u64,
    /// The last one in which it was slower.
    was_slower: Option<u64>,
    is_new: bool,
}

/// A change under way.
#[derive(Debug, Clone)]
struct UnderWay {
    pattern: Arc<Pattern>,
    /// What was usual when it began.
    usual: u64,
    since_s: u64,
    since: u64,
    calm: u32,
    /// Its beginning was told; else its end isn't either.
    is_told: bool,
}

/// Finds changes from one look at the statistics to the next.
#[derive(Debug, Default)]
pub struct Detector {
    rules: Rules,
    length: WindowLength,
    began_s: Option<u64>,
    /// The window in which the last look was.
    looked: Option<u64>,
    known: HashMap<Key, Known>,
    under_way: HashMap<(What, Key), UnderWay>,
    /// A minute, and what was told in it.
    told: (u64, u64),
    /// Changes that weren't told, and the minute in which that was last said.
    suppressed: u64,
    said: Option<u64>,
}

impl Detector {
    /// One that knows nothing yet.
    pub fn new(rules: Rules) -> Detector {
        Detector {
            rules,
            ..Detector::default()
        }
    }

    /// Looks at the rows of all workers at `now_s`, in seconds since 1970: once in each window, whose end is the
    /// best moment. Gives what has changed, in order.
    pub fn look(&mut self, rows: &[Row], now_s: u64, length: WindowLength) -> Vec<Event> {
        if self.length != length {
            *self = Detector::new(self.rules);
            self.length = length;
        }
        let window = length.short(now_s);
        if self.looked.is_some_and(|it| it >= window) {
            return Vec::new();
        }
        self.looked = Some(window);
        let began_s = *self.began_s.get_or_insert(now_s);
        let judged_from_s = now_s.saturating_sub(JUDGED * length.short_s());
        let look = Look {
            now_s,
            window,
            before: length.long(now_s).saturating_sub(LONG as u64)..length.long(judged_from_s),
            is_warm: now_s >= began_s + self.rules.warmup_s,
        };
        let mut seen: Vec<(Key, Seen)> = self.gather(rows, &look).into_iter().collect();
        // Where not all can be told, those that matter most.
        seen.sort_by(|(one, a), (other, b)| {
            (Reverse(a.short.calls), one).cmp(&(Reverse(b.short.calls), other))
        });
        let mut told = Vec::new();
        self.end(&seen, &look, &mut told);
        for what in What::ALL {
            for (key, seen) in &seen {
                self.begin(what, key, seen, &look, &mut told);
            }
        }
        for (key, seen) in &seen {
            self.meet(key, seen, &look, &mut told);
        }
        self.forget();
        self.say_suppressed(now_s, &mut told);
        told
    }

    /// Rows by pattern and database.
    fn gather(&self, rows: &[Row], look: &Look) -> HashMap<Key, Seen> {
        let mut all: HashMap<Key, Seen> = HashMap::new();
        for row in rows {
            let Some(pattern) = &row.pattern else {
                continue;
            };
            let short = row.sum.window(Window::Minute, look.now_s, self.length);
            let long = row.sum.long_spans(&look.before);
            let key = (pattern.id.0, row.who.database.clone());
            match all.get_mut(&key) {
                Some(seen) => {
                    seen.calls += row.sum.all.calls;
                    seen.short.add(&short);
                    seen.long.add(&long);
                }
                None => {
                    let (pattern, calls) = (Arc::clone(pattern), row.sum.all.calls);
                    let known = self.known.get(&key);
                    let seen = Seen {
                        pattern,
                        calls,
                        short,
                        long,
                        spans: known.map_or(0, |it| spans(it.since, &look.before)),
                        is_new: known.map_or(look.is_warm, |it| it.is_new),
                    };
                    all.insert(key, seen);
                }
            }
        }
        all
    }

    /// What one event more would be; true if there is room for it.
    fn may_tell(&mut self, now_s: u64) -> bool {
        let minute = now_s / 60;
        if self.told.0 != minute {
            self.told = (minute, 0);
        }
        let fits = self.told.1 < self.rules.told_max;
        self.told.1 += u64::from(fits);
        fits
    }

    /// Ends what is over.
    fn end(&mut self, seen: &[(Key, Seen)], look: &Look, told: &mut Vec<Event>) {
        let now_s = look.now_s;
        let by_key: HashMap<&Key, &Seen> = seen.iter().map(|(key, seen)| (key, seen)).collect();
        let mut over = Vec::new();
        for ((what, key), change) in &mut self.under_way {
            let seen = by_key.get(key);
            let goes_on = seen.is_some_and(|it| what.goes_on(it, change.usual, &self.rules));
            change.calm = if goes_on { 0 } else { change.calm + 1 };
            let usual = seen.and_then(|it| what.read(it, &self.rules));
            let is_usual = look.window >= change.since + USUAL_AFTER
                && seen
                    .zip(usual)
                    .is_none_or(|(seen, reading)| !what.goes_on(seen, reading.usual, &self.rules));
            match (change.calm >= CALM, is_usual) {
                (true, _) => over.push((*what, key.clone(), "over")),
                (false, true) => over.push((*what, key.clone(), "usual by now")),
                (false, false) => {}
            }
        }
        over.sort();
        for (what, key, because) in over {
            let Some(change) = self.under_way.get(&(what, key.clone())).cloned() else {
                continue;
            };
            // An end that finds no room waits for the next minute: who was told of the beginning is told of it.
            if change.is_told {
                if !self.may_tell(now_s) {
                    continue;
                }
                let event = event(what.kind(), Phase::Ended, &key, &change.pattern, now_s)
                    .with("because", because)
                    .with("lasted_s", now_s.saturating_sub(change.since_s));
                told.push(event);
            }
            self.under_way.remove(&(what, key));
        }
    }

    /// Begins what is different in this window.
    fn begin(&mut self, what: What, key: &Key, seen: &Seen, look: &Look, told: &mut Vec<Event>) {
        let (now_s, window) = (look.now_s, look.window);
        let reading = what.read(seen, &self.rules);
        let Some(reading) = reading.filter(|it| what.begins(seen, it, &self.rules)) else {
            return;
        };
        let place = (what, key.clone());
        if self.under_way.contains_key(&place) {
            return;
        }
        if what == What::Slower && !self.is_slower_again(key, window) {
            return;
        }
        if self.under_way.len() >= UNDER_WAY_MAX {
            self.suppressed += 1;
            return;
        }
        let is_told = self.may_tell(now_s);
        match is_told {
            true => {
                let event = event(what.kind(), Phase::Began, key, &seen.pattern, now_s);
                told.push(facts(what, event, seen, &reading, self.length));
            }
            false => self.suppressed += 1,
        }
        let change = UnderWay {
            pattern: Arc::clone(&seen.pattern),
            usual: reading.usual,
            since_s: now_s,
            since: window,
            calm: 0,
            is_told,
        };
        self.under_way.insert(place, change);
    }

    /// A few slow calls of a hundred may be chance; two windows in a row are not.
    fn is_slower_again(&mut self, key: &Key, window: u64) -> bool {
        let Some(known) = self.known.get_mut(key) else {
            return false;
        };
        let before = known.was_slower.replace(window);
        before.is_some_and(|it| it + 1 == window)
    }

    /// Gets to know a pattern, or sees it again.
    fn meet(&mut self, key: &Key, seen: &Seen, look: &Look, told: &mut Vec<Event>) {
        let (now_s, window) = (look.now_s, look.window);
        if let Some(known) = self.known.get_mut(key) {
            known.seen = window;
            return;
        }
        let known = Known {
            since: window,
            seen: window,
            was_slower: None,
            is_new: look.is_warm,
        };
        self.known.insert(key.clone(), known);
        if !look.is_warm {
            return;
        }
        match self.may_tell(now_s) {
            true => {
                let event = event(Kind::NewPattern, Phase::Happened, key, &seen.pattern, now_s);
                told.push(event.with("calls", seen.calls));
            }
            false => self.suppressed += 1,
        }
    }

    /// Forgets what has not been seen for longest, an eighth at a time.
    fn forget(&mut self) {
        if self.known.len() <= KNOWN_MAX {
            return;
        }
        let mut seen: Vec<u64> = self.known.values().map(|it| it.seen).collect();
        let (_, edge, _) = seen.select_nth_unstable(KNOWN_MAX / 8);
        let (edge, mut room) = (*edge, self.known.len() - KNOWN_MAX / 8 * 7);
        self.known.retain(|_, it| {
            let goes = it.seen <= edge && room > 0;
            room -= usize::from(goes);
            !goes
        });
    }

    /// Says how many changes weren't told, once in a minute.
    fn say_suppressed(&mut self, now_s: u64, told: &mut Vec<Event>) {
        let minute = now_s / 60;
        if self.suppressed == 0 || self.said == Some(minute) {
            return;
        }
        self.said = Some(minute);
        let count = std::mem::take(&mut self.suppressed);
        let subject = "changes of patterns";
        let event = Event::new(now_s * 1000, Kind::Suppressed, Phase::Happened, subject);
        told.push(
            event
                .with("changes", count)
                .with("told_max", self.rules.told_max),
        );
    }
}

/// How many of these long spans came after the window in which a pattern was seen first.
fn spans(since: u64, before: &Range<u64>) -> u64 {
    let first = since / WindowLength::LONG + 1;
    before.end.saturating_sub(first.max(before.start))
}

/// An event about a pattern.
fn event(kind: Kind, phase: Phase, key: &Key, pattern: &Pattern, now_s: u64) -> Event {
    let (id, database) = (pattern.id.to_string(), &*key.1);
    let subject = format!("pattern {id} in {database}");
    Event::new(now_s * 1000, kind, phase, &subject)
        .with("pattern", id.as_str())
        .with("database", database)
        .with("query", &*pattern.text)
}

/// What shows that it is so.
fn facts(what: What, event: Event, seen: &Seen, reading: &Reading, length: WindowLength) -> Event {
    let event = event
        .with("window_s", length.short_s())
        .with("calls", seen.short.calls);
    let (now, usual) = (reading.now, reading.usual);
    match what {
        What::ErrorBurst => event
            .with("errors", seen.short.errors)
            .with("errors_per_thousand", now)
            .with("usual_errors_per_thousand", usual),
        What::Slower => event.with("p95_us", now).with("usual_p95_us", usual),
        What::Volume => event.with("usual_calls", usual),
    }
}
