//! Owns counting: the present short span of time by itself, so that most of what is counted of a statement is counted
//! once, and added to the sums when that span is over, or when somebody asks.

use crate::counts::{Counts, Run, Sum, WindowLength};

/// A sum that is being counted.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    /// What lies before the present span; waits, times on servers, errors and moments of all.
    before: Sum,
    /// The number of the present short span, and what was counted in it.
    present: (u64, Counts),
}

impl Counter {
    /// Counts one that ended at `now_s`; gives the bytes that this took.
    pub(crate) fn note(&mut self, run: &Run, now_s: u64, length: WindowLength) -> usize {
        let number = length.short(now_s);
        let mut bytes = 0;
        if number != self.present.0 {
            bytes += self.settle();
            self.present.0 = number;
        }
        bytes += self.before.note_once(run, now_s);
        bytes + self.present.1.note(run)
    }

    /// Adds another's sum; gives the bytes that this took.
    pub(crate) fn add(&mut self, other: &Sum) -> usize {
        self.before.add(other)
    }

    /// All of it.
    pub(crate) fn sum(&self) -> Sum {
        let mut sum = self.before.clone();
        sum.add_span(self.present.0, &self.present.1);
        sum
    }

    /// The same, of one that has ended counting.
    pub(crate) fn into_sum(mut self) -> Sum {
        self.settle();
        self.before
    }

    fn settle(&mut self) -> usize {
        let (number, counts) = &mut self.present;
        if counts.calls == 0 {
            return 0;
        }
        let bytes = self.before.add_span(*number, counts);
        counts.clear();
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::Window;

    #[test]
    fn what_is_counted_is_seen_at_once() {
        let length = WindowLength::of(60);
        let mut counter = Counter::default();
        for (calls, at_s) in (1..).zip((60..3000).step_by(7)) {
            let run = Run {
                wait_us: 3,
                server_us: at_s,
                rows: 2,
                sqlstate: (at_s % 2 == 0).then_some(*b"40001"),
                ..Run::default()
            };
            counter.note(&run, at_s, length);
            let sum = counter.sum();
            assert_eq!((sum.all.calls, sum.all.rows), (calls, 2 * calls));
            assert_eq!(sum.all.total.count(), calls);
            assert_eq!((sum.wait.count(), sum.server.count()), (calls, calls));
            assert_eq!(sum.seen_s, (60, at_s));
            let wanted = |span: u64| (60..3000).step_by(7).filter(|it| it / 60 == span).count();
            if let Some(span) = (at_s / 60).checked_sub(1) {
                let minute = sum.window(Window::Minute, at_s, length).calls;
                assert_eq!(minute, wanted(span) as u64, "{at_s}");
            }
        }
    }

    #[test]
    fn a_clock_that_goes_back_loses_no_call() {
        let length = WindowLength::of(60);
        let mut counter = Counter::default();
        for at_s in [600, 30, 601, 3600, 599] {
            counter.note(&Run::default(), at_s, length);
        }
        assert_eq!(counter.sum().all.calls, 5);
    }
}
