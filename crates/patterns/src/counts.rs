//! Owns what is counted of a pattern: in all, and in spans of time that follow each other.

use crate::spread::Spread;
use std::ops::Range;

/// SQLSTATEs told apart for each pattern; further ones are counted together.
const STATES_MAX: usize = 8;

/// What a statement did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Run {
    /// From the wish for a server connection until it was lent; 0 if there was none.
    pub wait_us: u64,
    /// On the server connection.
    pub server_us: u64,
    /// Rows sent, changed or copied.
    pub rows: u64,
    /// Bytes of its request.
    pub bytes_in: u64,
    /// Bytes of its answer.
    pub bytes_out: u64,
    /// Its error, if it ended with one.
    pub sqlstate: Option<[u8; 5]>,
}

/// What is counted in every span of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Statements.
    pub calls: u64,
    /// Those of them that ended with an error.
    pub errors: u64,
    /// Rows sent, changed or copied.
    pub rows: u64,
    /// Bytes of requests.
    pub bytes_in: u64,
    /// Bytes of answers.
    pub bytes_out: u64,
    /// From the wish to the end.
    pub total: Spread,
}

impl Counts {
    /// Counts one; gives the bytes that this took.
    #[inline]
    pub(crate) fn note(&mut self, run: &Run) -> usize {
        self.calls += 1;
        self.errors += u64::from(run.sqlstate.is_some());
        self.rows = self.rows.saturating_add(run.rows);
        self.bytes_in = self.bytes_in.saturating_add(run.bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(run.bytes_out);
        self.total.note(run.wait_us.saturating_add(run.server_us))
    }

    pub(crate) fn add(&mut self, other: &Counts) -> usize {
        self.calls += other.calls;
        self.errors += other.errors;
        self.rows = self.rows.saturating_add(other.rows);
        self.bytes_in = self.bytes_in.saturating_add(other.bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(other.bytes_out);
        self.total.add(&other.total)
    }

    /// Nothing again. The room stays for what comes.
    pub(crate) fn clear(&mut self) {
        let total = std::mem::take(&mut self.total);
        *self = Counts {
            total: total.cleared(),
            ..Counts::default()
        };
    }
}

/// Errors by SQLSTATE, the most frequent ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct States(Vec<([u8; 5], u64)>);

impl States {
    /// What stands for states that aren't told apart.
    pub const OTHER: [u8; 5] = *b"other";

    fn note(&mut self, state: [u8; 5], count: u64) -> usize {
        let before = self.bytes();
        let find = |states: &[([u8; 5], u64)], state| states.iter().position(|it| it.0 == state);
        let at = match find(&self.0, state) {
            None if self.0.len() >= STATES_MAX && state != Self::OTHER => {
                return self.note(Self::OTHER, count);
            }
            at => at,
        };
        match at {
            Some(at) => self.0[at].1 += count,
            None => {
                self.0.reserve_exact(1);
                self.0.push((state, count));
            }
        }
        self.bytes() - before
    }

    fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<([u8; 5], u64)>()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0
            .iter()
            .map(|(state, count)| (std::str::from_utf8(state).unwrap_or("?????"), *count))
    }
}

/// How long windows are: seconds of a short span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowLength(u64);

impl WindowLength {
    /// Short spans in a long one.
    pub const LONG: u64 = 5;

    /// Short spans of so many seconds, at least one.
    pub fn of(short_s: u64) -> WindowLength {
        WindowLength(short_s.max(1))
    }

    /// Seconds of a short span.
    pub fn short_s(self) -> u64 {
        self.0
    }

    /// The number of the short span that this second is in.
    pub fn short(self, now_s: u64) -> u64 {
        now_s / self.0
    }

    /// The number of the long span that this second is in.
    pub(crate) fn long(self, now_s: u64) -> u64 {
        self.short(now_s) / Self::LONG
    }
}

impl Default for WindowLength {
    fn default() -> WindowLength {
        WindowLength(60)
    }
}

/// Long spans that make a quarter of an hour.
pub(crate) const LONG: usize = 3;

/// Spans of equal length: the present one, and those before it that are over.
#[derive(Debug, Clone)]
struct Spans<const N: usize> {
    /// Number of the span, and what was counted in it, by number modulo their number.
    spans: [(u64, Counts); N],
}

impl<const N: usize> Default for Spans<N> {
    fn default() -> Self {
        Spans {
            spans: std::array::from_fn(|_| (0, Counts::default())),
        }
    }
}

impl<const N: usize> Spans<N> {
    /// Adds what was counted in the span with this number.
    fn add(&mut self, number: u64, more: &Counts) -> usize {
        let (of, counts) = &mut self.spans[number as usize % N];
        if *of != number {
            *of = number;
            counts.clear();
        }
        counts.add(more)
    }

    /// All that lies in the spans before `number`.
    fn before(&self, number: u64) -> Counts {
        self.between(number.saturating_sub(N as u64 - 1), number)
    }

    /// All that lies in the spans from one number to before another.
    fn between(&self, from: u64, to: u64) -> Counts {
        let mut sum = Counts::default();
        for (of, counts) in &self.spans {
            if (from..to).contains(of) {
                sum.add(counts);
            }
        }
        sum
    }
}

/// What is counted of a pattern in all.
#[derive(Debug, Clone, Default)]
pub struct Sum {
    /// Since it was first seen, or since the last reset.
    pub all: Counts,
    /// Of all: until a connection was lent.
    pub wait: Spread,
    /// Of all: on the server connection.
    pub server: Spread,
    /// Of all: errors by SQLSTATE.
    pub states: States,
    /// First and last seen, in seconds since 1970.
    pub seen_s: (u64, u64),
    minute: Spans<2>,
    quarter: Spans<{ LONG + 1 }>,
}

/// A span of time that is over. Its name is what it is where windows have their usual length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// The last full short span: a minute.
    Minute,
    /// The last three full long spans: of five minutes each.
    Quarter,
}

impl Sum {
    /// Counts of one that ended at `now_s` what is not counted by spans; gives the bytes that this took.
    pub(crate) fn note_once(&mut self, run: &Run, now_s: u64) -> usize {
        if self.seen_s.0 == 0 {
            self.seen_s.0 = now_s;
        }
        self.seen_s.1 = self.seen_s.1.max(now_s);
        let bytes = self.wait.note(run.wait_us) + self.server.note(run.server_us);
        match run.sqlstate {
            Some(state) => bytes + self.states.note(state, 1),
            None => bytes,
        }
    }

    /// Adds what was counted in the short span with this number; gives the bytes that this took.
    pub(crate) fn add_span(&mut self, number: u64, counts: &Counts) -> usize {
        if counts.calls == 0 {
            return 0;
        }
        let bytes = self.all.add(counts) + self.minute.add(number, counts);
        bytes + self.quarter.add(number / WindowLength::LONG, counts)
    }

    /// What was counted in a window, looked at in `now_s`.
    pub fn window(&self, window: Window, now_s: u64, length: WindowLength) -> Counts {
        match window {
            Window::Minute => self.minute.before(length.short(now_s)),
            Window::Quarter => self.quarter.before(length.long(now_s)),
        }
    }

    /// What was counted in the long spans with these numbers, as far as they are kept.
    pub(crate) fn long_spans(&self, numbers: &Range<u64>) -> Counts {
        self.quarter.between(numbers.start, numbers.end)
    }

    /// Adds another's. Windows are added span by span.
    pub fn add(&mut self, other: &Sum) -> usize {
        let mut bytes = self.all.add(&other.all);
        bytes += self.wait.add(&other.wait);
        bytes += self.server.add(&other.server);
        for (state, count) in &other.states.0 {
            bytes += self.states.note(*state, *count);
        }
        self.seen_s.0 = match (self.seen_s.0, other.seen_s.0) {
            (0, first) | (first, 0) => first,
            (one, two) => one.min(two),
        };
        self.seen_s.1 = self.seen_s.1.max(other.seen_s.1);
        bytes += merge(&mut self.minute.spans, &other.minute.spans);
        bytes + merge(&mut self.quarter.spans, &other.quarter.spans)
    }
}

fn merge(into: &mut [(u64, Counts)], from: &[(u64, Counts)]) -> usize {
    let mut bytes = 0;
    for ((number, counts), (other, more)) in into.iter_mut().zip(from) {
        match (*number).cmp(other) {
            std::cmp::Ordering::Equal => bytes += counts.add(more),
            // The other's span is the later one: what is here is past.
            std::cmp::Ordering::Less => {
                *number = *other;
                counts.clear();
                bytes += counts.add(more);
            }
            std::cmp::Ordering::Greater => {}
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counter::Counter;

    const MINUTES: WindowLength = WindowLength(60);

    fn run(us: u64) -> Run {
        Run {
            server_us: us,
            rows: 2,
            ..Run::default()
        }
    }

    #[test]
    fn windows_are_spans_that_are_over() {
        let mut counter = Counter::default();
        for (at_s, us) in [(600, 10), (659, 20), (660, 30), (900, 40), (1500, 50)] {
            counter.note(&run(us), at_s, MINUTES);
        }
        let sum = counter.sum();
        let calls = |window, now_s| sum.window(window, now_s, MINUTES).calls;
        // (now, in the minute before, in the quarter of an hour before)
        for (now_s, minute, quarter) in [
            (1500, 0, 4),
            (1559, 0, 4),
            (1560, 1, 4),
            (1620, 0, 4),
            (1800, 0, 2),
            (2400, 0, 1),
            (2700, 0, 0),
        ] {
            let found = (calls(Window::Minute, now_s), calls(Window::Quarter, now_s));
            assert_eq!(found, (minute, quarter), "{now_s}");
        }
        assert_eq!(
            (sum.all.calls, sum.all.rows, sum.seen_s),
            (5, 10, (600, 1500))
        );
        assert_eq!(sum.window(Window::Minute, 1560, MINUTES).total.sum_us(), 50);
    }

    #[test]
    fn states_beyond_the_bound_are_counted_together() {
        let mut counter = Counter::default();
        for number in 0..20u8 {
            let sqlstate = Some([b'4', b'2', b'0', b'0' + number / 10, b'0' + number % 10]);
            counter.note(&Run { sqlstate, ..run(1) }, 60, MINUTES);
        }
        let sum = counter.sum();
        let states: Vec<_> = sum.states.iter().collect();
        assert_eq!(states.len(), STATES_MAX + 1);
        assert_eq!(states.last(), Some(&("other", 12)));
        assert_eq!(sum.all.errors, 20);
    }

    #[test]
    fn sums_of_workers_are_what_one_would_have() {
        let [mut one, mut other, mut both] = std::array::from_fn(|_| Counter::default());
        for at_s in (0..3000).step_by(7) {
            let worker = if at_s % 3 == 0 { &mut one } else { &mut other };
            worker.note(&run(at_s), at_s, MINUTES);
            both.note(&run(at_s), at_s, MINUTES);
        }
        one.add(&other.sum());
        let (one, both) = (one.sum(), both.sum());
        assert_eq!(
            (&one.all, &one.wait, &one.server, one.seen_s),
            (&both.all, &both.wait, &both.server, both.seen_s)
        );
        for window in [Window::Minute, Window::Quarter] {
            assert_eq!(
                one.window(window, 3000, MINUTES),
                both.window(window, 3000, MINUTES)
            );
        }
    }
}
