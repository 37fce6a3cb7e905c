//! Owns what is measured for each kind of change, from where on it begins, and how long it goes on.
//!
//! It takes more to begin than to go on: between the two lies what would else begin and end in turns.

use super::{Rules, Seen};
use crate::counts::WindowLength;
use events::Kind;

/// What can be under way of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum What {
    /// It fails.
    ErrorBurst,
    /// It takes longer.
    Slower,
    /// It comes often.
    Volume,
}

/// A measure in the window, and what it usually is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) now: u64,
    pub(super) usual: u64,
}

/// The 95th percentile.
const PERCENT: u64 = 95;
/// A share of errors that is so many times the usual one is a burst.
const SHARE: u64 = 2;

impl What {
    /// Those that matter most in front.
    pub(super) const ALL: [What; 3] = [What::ErrorBurst, What::Slower, What::Volume];

    pub(super) fn kind(self) -> Kind {
        match self {
            What::ErrorBurst => Kind::ErrorBurst,
            What::Slower => Kind::Slower,
            What::Volume => Kind::Volume,
        }
    }

    /// What is measured, if there is enough to measure.
    pub(super) fn read(self, seen: &Seen, rules: &Rules) -> Option<Reading> {
        let (short, long) = (&seen.short, &seen.long);
        Some(match self {
            What::ErrorBurst => (seen.is_new || long.calls > 0).then(|| Reading {
                now: share(short.errors, short.calls),
                usual: share(long.errors, long.calls),
            })?,
            What::Slower => {
                let enough = short.calls >= rules.calls_min && long.calls >= rules.calls_min;
                enough.then(|| Reading {
                    now: short.total.percentile_us(PERCENT),
                    usual: long.total.percentile_us(PERCENT),
                })?
            }
            What::Volume => {
                let windows = seen.spans * WindowLength::LONG;
                (windows > 0).then(|| Reading {
                    now: short.calls,
                    usual: long.calls.div_ceil(windows),
                })?
            }
        })
    }

    /// Whether that is a change.
    pub(super) fn begins(self, seen: &Seen, reading: &Reading, rules: &Rules) -> bool {
        let &Reading { now, usual } = reading;
        match self {
            What::ErrorBurst => {
                seen.short.errors >= rules.errors_min.max(1)
                    && now >= rules.errors_percent * 10
                    && now >= usual * SHARE
            }
            What::Slower => {
                now >= rules.slower_min_us && reaches(now, usual.max(1), rules.slower_percent)
            }
            What::Volume => {
                now >= rules.volume_min && reaches(now, usual.max(1), rules.volume_percent)
            }
        }
    }

    /// Whether a change that began when this was usual goes on: for what is half as far from the usual, too.
    pub(super) fn goes_on(self, seen: &Seen, usual: u64, rules: &Rules) -> bool {
        let short = &seen.short;
        let half = |percent: u64| 100 + percent.saturating_sub(100) / 2;
        match self {
            What::ErrorBurst => {
                let now = share(short.errors, short.calls);
                short.errors >= rules.errors_min.div_ceil(2).max(1)
                    && now >= rules.errors_percent * 5
                    // Half as far above the usual share as where it begins.
                    && now * 2 >= usual * (SHARE + 1)
            }
            What::Slower => {
                let now = short.total.percentile_us(PERCENT);
                short.calls >= rules.calls_min.div_ceil(2).max(1)
                    && now >= rules.slower_min_us
                    && reaches(now, usual.max(1), half(rules.slower_percent))
            }
            What::Volume => {
                short.calls >= rules.volume_min.div_ceil(2).max(1)
                    && reaches(short.calls, usual.max(1), half(rules.volume_percent))
            }
        }
    }
}

/// Of a thousand.
fn share(part: u64, all: u64) -> u64 {
    (part.saturating_mul(1000)).checked_div(all).unwrap_or(0)
}

/// Whether one is at least so many percent of the other.
fn reaches(now: u64, usual: u64, percent: u64) -> bool {
    now.saturating_mul(100) >= usual.saturating_mul(percent)
}
