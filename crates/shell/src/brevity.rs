//! Owns how many lines of the log strangers may cost: of each kind of line the first ones whole, then
//! one a second that says how many were left out. Pure: the clock is an argument.

use std::collections::HashMap;
use std::time::Duration;

/// Lines of one kind that may come at once.
const BURST: u32 = 10;

/// A line that was used up comes back after this long.
const EVERY: Duration = Duration::from_secs(1);

/// Kinds that are told apart. Whoever makes up more shares one kind with all others of the sort.
const KINDS_MAX: usize = 64;

/// What becomes of each line; `T` is a line that waits for its turn.
#[derive(Debug)]
pub struct Brevity<T> {
    kinds: HashMap<String, Kind<T>>,
}

#[derive(Debug)]
struct Kind<T> {
    /// When the bucket is full again.
    full_at: Duration,
    /// The first line since the last one that was written, and how many are alike.
    kept: Option<(T, u64)>,
    /// Lines were left out in this second or the one before.
    flooded: bool,
}

impl<T> Default for Brevity<T> {
    fn default() -> Self {
        Brevity {
            kinds: HashMap::new(),
        }
    }
}

impl<T> Brevity<T> {
    /// Takes a line of a kind; gives it back if it is to be written now.
    pub fn offer(&mut self, kind: &str, line: T, now: Duration) -> Option<T> {
        let kind = match self.kinds.contains_key(kind) || self.kinds.len() < KINDS_MAX {
            true => kind,
            false => "",
        };
        let fresh = || Kind {
            full_at: now,
            kept: None,
            flooded: false,
        };
        let kind = self.kinds.entry(kind.to_owned()).or_insert_with(fresh);
        let full_at = kind.full_at.max(now) + EVERY;
        if !kind.flooded && full_at.saturating_sub(now) <= EVERY * BURST {
            kind.full_at = full_at;
            return Some(line);
        }
        kind.flooded = true;
        match &mut kind.kept {
            Some((_, more)) => *more += 1,
            None => kind.kept = Some((line, 0)),
        }
        None
    }

    /// What is to be written once a second: a line of each kind that was left out, and how many more
    /// there were of it. Forgets kinds that have been quiet.
    pub fn due(&mut self, now: Duration) -> Vec<(T, u64)> {
        let mut due = Vec::new();
        self.kinds.retain(|_, kind| {
            let kept = kind.kept.take();
            kind.flooded = kept.is_some();
            due.extend(kept);
            kind.flooded || kind.full_at > now
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Offers lines numbered from `first`, and says how many were written.
    fn storm(brevity: &mut Brevity<u64>, kind: &str, lines: std::ops::Range<u64>, now: u64) -> u64 {
        let written = lines.filter(|&line| brevity.offer(kind, line, at(now)).is_some());
        written.count() as u64
    }

    #[test]
    fn the_first_ones_whole_and_then_one_a_second_with_a_count() {
        let mut brevity = Brevity::default();
        assert_eq!(storm(&mut brevity, "a", 0..1000, 0), 10);
        assert_eq!(brevity.due(at(500)), [(10, 989)]);
        // Another second of the same costs one line.
        assert_eq!(storm(&mut brevity, "a", 1000..1500, 1400), 0);
        assert_eq!(brevity.due(at(1500)), [(1000, 499)]);
        // A single one is a line as any other.
        assert_eq!(storm(&mut brevity, "a", 1500..1501, 2000), 0);
        assert_eq!(brevity.due(at(2500)), [(1500, 0)]);
        assert_eq!(brevity.due(at(3500)), []);
        // After quiet, lines are whole again, as many as time has brought back.
        assert_eq!(storm(&mut brevity, "a", 0..1000, 5000), 5);
        brevity.due(at(5500));
        brevity.due(at(6500));
        assert_eq!(storm(&mut brevity, "a", 0..1000, 60_000), 10);
    }

    #[test]
    fn what_comes_slowly_is_always_whole() {
        let mut brevity = Brevity::default();
        for second in 0..1000 {
            let written = storm(&mut brevity, "a", second..second + 1, second * 1000);
            assert_eq!(written, 1);
            assert_eq!(brevity.due(at(second * 1000 + 500)), []);
        }
    }

    #[test]
    fn no_line_is_lost_without_a_count() {
        let mut brevity = Brevity::default();
        let (mut whole, mut counted) = (0, 0);
        for tick in 0..200 {
            whole += storm(&mut brevity, "a", 0..tick % 7, tick * 100);
            if tick % 10 == 9 {
                counted += brevity
                    .due(at(tick * 100))
                    .iter()
                    .map(|it| it.1 + 1)
                    .sum::<u64>();
            }
        }
        counted += brevity
            .due(at(20_000))
            .iter()
            .map(|it| it.1 + 1)
            .sum::<u64>();
        let offered: u64 = (0..200).map(|tick| tick % 7).sum();
        assert!(counted > 0 && whole >= 10);
        assert_eq!(whole + counted, offered);
    }

    #[test]
    fn a_storm_of_one_kind_hides_no_other() {
        let mut brevity = Brevity::default();
        storm(&mut brevity, "a", 0..1000, 0);
        assert_eq!(storm(&mut brevity, "b", 0..1, 0), 1);
    }

    #[test]
    fn kinds_without_end_take_no_memory_and_few_lines() {
        let mut brevity = Brevity::default();
        let mut written = 0;
        for kind in 0..10_000 {
            written += storm(&mut brevity, &kind.to_string(), 0..1, 0);
        }
        assert_eq!(written, KINDS_MAX as u64 + u64::from(BURST));
        assert_eq!(brevity.kinds.len(), KINDS_MAX + 1);
        assert_eq!(brevity.due(at(500)).len(), 1);
        assert_eq!(brevity.due(at(60_000)), []);
        assert!(brevity.kinds.is_empty());
    }
}
