//! Owns how well a host does: what it takes to be thought dead, and to be trusted again.

use crate::report::Sick;
use std::time::Duration;

/// How well a host does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It was never asked, or nothing is decided yet.
    Unknown,
    /// It answers.
    Up {
        /// Since when.
        since: Duration,
        /// It was thought dead before that, and gets its share little by little.
        returned: bool,
    },
    /// It answered, and has given no answer since, so many times; not yet enough to be thought dead.
    Doubtful {
        /// Since when it was up.
        since: Duration,
        /// Whether it had been thought dead before that.
        returned: bool,
        /// How often in a row.
        failures: u32,
        /// The last trouble.
        sick: Sick,
    },
    /// It is thought dead.
    Down {
        /// Since when.
        since: Duration,
        /// The last trouble.
        sick: Sick,
        /// Answers in a row since.
        answers: u32,
        /// Failures in a row.
        failures: u32,
    },
}

impl Health {
    /// True if it may be used.
    pub fn is_up(&self) -> bool {
        matches!(self, Health::Up { .. } | Health::Doubtful { .. })
    }

    /// One word for tables and labels.
    pub fn word(&self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Up { .. } => "up",
            Health::Doubtful { .. } => "doubtful",
            Health::Down { .. } => "down",
        }
    }

    /// What its trouble is, if it has any.
    pub fn sick(&self) -> Option<&Sick> {
        match self {
            Health::Doubtful { sick, .. } | Health::Down { sick, .. } => Some(sick),
            Health::Unknown | Health::Up { .. } => None,
        }
    }

    /// It answered; `rise` answers in a row bring a dead one back.
    pub(crate) fn answered(self, rise: u32, now: Duration) -> Health {
        match self {
            Health::Unknown => Health::Up {
                since: now,
                returned: false,
            },
            Health::Up { .. } => self,
            Health::Doubtful {
                since, returned, ..
            } => Health::Up { since, returned },
            Health::Down {
                since,
                sick,
                answers,
                ..
            } => match answers + 1 >= rise {
                true => Health::Up {
                    since: now,
                    returned: true,
                },
                false => Health::Down {
                    since,
                    sick,
                    answers: answers + 1,
                    failures: 0,
                },
            },
        }
    }

    /// It gave no answer; `fall` times in a row, and it is thought dead, unless it is certain at once.
    pub(crate) fn failed(self, sick: Sick, fall: u32, now: Duration) -> Health {
        let (since, returned, failures) = match self {
            Health::Unknown => {
                return Health::Down {
                    since: now,
                    sick,
                    answers: 0,
                    failures: 1,
                };
            }
            Health::Down {
                since, failures, ..
            } => {
                return Health::Down {
                    since,
                    sick,
                    answers: 0,
                    failures: failures.saturating_add(1),
                };
            }
            Health::Up { since, returned } => (since, returned, 1),
            Health::Doubtful {
                since,
                returned,
                failures,
                ..
            } => (since, returned, failures + 1),
        };
        let is_over = failures >= fall && !sick.why.is_silence();
        match sick.why.is_certain() || is_over {
            true => Health::Down {
                since: now,
                sick,
                answers: 0,
                failures,
            },
            false => Health::Doubtful {
                since,
                returned,
                failures,
                sick,
            },
        }
    }

    /// How soon to ask again: a dead one is asked less and less often, unless it is `wanted` badly.
    pub(crate) fn pause(&self, interval: Duration, most: Duration, wanted: bool) -> Duration {
        /// How often a host is asked on which everything waits.
        const URGENT: Duration = Duration::from_millis(100);
        match self {
            _ if wanted => interval.min(URGENT),
            Health::Unknown | Health::Up { .. } => interval,
            // What is still in doubt by then stays so.
            Health::Doubtful { failures, .. } if *failures > 10 => interval,
            // Whether it is dead is to be known soon.
            Health::Doubtful { .. } => interval.min(2 * URGENT),
            Health::Down { answers, .. } if *answers > 0 => interval.min(2 * URGENT),
            Health::Down { failures, .. } => {
                let doublings = failures.saturating_sub(3).min(10);
                interval
                    .saturating_mul(1 << doublings)
                    .min(most.max(interval))
            }
        }
    }
}
