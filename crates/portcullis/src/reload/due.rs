//! Owns the decision when files are read anew: events and the time in, "now" out. Touches nothing.
//!
//! Whoever renews a certificate writes several files, each in several steps. So a change is acted on
//! when it has been quiet for a moment, and what does not fit together then gets one more chance
//! before anybody is told. A wish of the operator is acted on at once.

use std::time::Duration;

/// How long it has to be quiet after a change.
const QUIET: Duration = Duration::from_millis(200);
/// How long a change waits for quiet at most.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long after a failure the second chance is.
const SECOND_CHANCE: Duration = Duration::from_secs(1);

/// When to read. Times are durations since any fixed moment.
#[derive(Debug, Default)]
pub(crate) struct Due {
    next: Option<Next>,
    /// Whether what is there has failed once already.
    failed_once: bool,
}

#[derive(Debug, Clone, Copy)]
enum Next {
    /// Something changed at these times, first and last.
    Noticed { first: Duration, last: Duration },
    /// Whether anything changed or not.
    At(Duration),
}

/// Why to read now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Something may have changed: worth a look whether it did.
    Noticed,
    /// Whatever the files look like.
    Asked,
}

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Wait for the second chance.
    TryAgain,
    /// Tell.
    Final,
}

impl Due {
    /// Something may have changed.
    pub(crate) fn noticed(&mut self, now: Duration) {
        self.next = Some(match self.next {
            Some(Next::Noticed { first, .. }) => Next::Noticed { first, last: now },
            // An operator's wish that is due anyway, or a second chance that has just come nearer.
            Some(Next::At(at)) if at <= now => Next::At(at),
            Some(Next::At(_)) | None => Next::Noticed {
                first: now,
                last: now,
            },
        });
    }

    /// Somebody asked for it.
    pub(crate) fn asked(&mut self, now: Duration) {
        self.next = Some(Next::At(now));
    }

    /// When to look again, if nothing happens before.
    pub(crate) fn at(&self) -> Option<Duration> {
        self.next.map(|next| match next {
            Next::Noticed { first, last } => (last + QUIET).min(first + PATIENCE),
            Next::At(at) => at,
        })
    }

    /// True once when it is time.
    pub(crate) fn take(&mut self, now: Duration) -> Option<Why> {
        let next = self
            .next
            .filter(|_| self.at().is_some_and(|at| at <= now))?;
        self.next = None;
        Some(match next {
            // A second chance that a change has brought nearer is one all the same.
            Next::Noticed { .. } if self.failed_once => Why::Asked,
            Next::Noticed { .. } => Why::Noticed,
            Next::At(_) => Why::Asked,
        })
    }

    /// What was read is in force.
    pub(crate) fn succeeded(&mut self) {
        self.failed_once = false;
    }

    /// What was read can't be used.
    pub(crate) fn failed(&mut self, now: Duration) -> Failure {
        if std::mem::replace(&mut self.failed_once, false) {
            return Failure::Final;
        }
        self.failed_once = true;
        self.next = Some(Next::At(now + SECOND_CHANCE));
        Failure::TryAgain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_change_waits_for_quiet() {
        let mut due = Due::default();
        assert_eq!(due.at(), None);
        for at in [0, 150, 300] {
            due.noticed(ms(at));
            assert_eq!(due.take(ms(at + 150)), None);
        }
        assert_eq!(due.at(), Some(ms(500)));
        assert_eq!(due.take(ms(499)), None);
        assert_eq!(due.take(ms(500)), Some(Why::Noticed));
        assert_eq!((due.take(ms(9000)), due.at()), (None, None));
    }

    #[test]
    fn changes_without_end_do_not_put_it_off_for_ever() {
        let mut due = Due::default();
        let first = (0..10_000).step_by(100).find(|at| {
            due.noticed(ms(*at));
            due.take(ms(*at)).is_some()
        });
        assert_eq!(first, Some(2000));
    }

    #[test]
    fn a_wish_is_acted_on_at_once() {
        let mut due = Due::default();
        due.noticed(ms(0));
        due.asked(ms(1));
        due.noticed(ms(1));
        assert_eq!(due.take(ms(1)), Some(Why::Asked));
        assert_eq!(due.at(), None);
    }

    #[test]
    fn a_failure_is_told_after_the_second_chance() {
        let mut due = Due::default();
        due.asked(ms(0));
        assert_eq!(due.take(ms(0)), Some(Why::Asked));
        assert_eq!(due.failed(ms(5)), Failure::TryAgain);
        assert_eq!(due.take(ms(1004)), None);
        assert_eq!(due.take(ms(1005)), Some(Why::Asked));
        assert_eq!(due.failed(ms(1010)), Failure::Final);
        assert_eq!(due.at(), None);
        // The next change has its own second chance.
        due.noticed(ms(5000));
        assert_eq!(due.take(ms(5200)), Some(Why::Noticed));
        assert_eq!(due.failed(ms(5200)), Failure::TryAgain);
    }

    #[test]
    fn the_other_half_of_a_pair_brings_the_second_chance_nearer_and_is_no_third() {
        let mut due = Due::default();
        due.asked(ms(0));
        assert_eq!(due.take(ms(0)), Some(Why::Asked));
        assert_eq!(due.failed(ms(0)), Failure::TryAgain);
        due.noticed(ms(100));
        assert_eq!(due.take(ms(300)), Some(Why::Asked));
        assert_eq!(due.failed(ms(300)), Failure::Final);
        due.asked(ms(400));
        assert_eq!(due.take(ms(400)), Some(Why::Asked));
        due.succeeded();
        assert_eq!(due.failed(ms(500)), Failure::TryAgain);
    }
}
