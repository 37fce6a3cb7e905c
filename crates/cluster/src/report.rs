//! Owns what a host says of itself when it is asked, and why one says nothing.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A position in the write-ahead log (`pg_lsn`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

impl FromStr for Lsn {
    type Err = std::num::ParseIntError;

    /// Two hexadecimal numbers with a slash between (manual, "pg_lsn Type").
    fn from_str(text: &str) -> Result<Lsn, Self::Err> {
        let (high, low) = text.split_once('/').unwrap_or((text, ""));
        let half = |it: &str| u32::from_str_radix(it, 16);
        Ok(Lsn(u64::from(half(high)?) << 32 | u64::from(half(low)?)))
    }
}

/// What a host answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// It replays another one's log (`pg_is_in_recovery`).
    pub in_recovery: bool,
    /// It takes no writes by setting (`default_transaction_read_only`).
    pub read_only: bool,
    /// Which database cluster its data is of (`pg_control_system`).
    pub system: u64,
    /// The timeline that it writes, or replays as far as its last checkpoint says.
    pub timeline: u32,
    /// Where it is: what it has written, or replayed.
    pub lsn: Lsn,
    /// How old the last transaction is that it replayed, unless it has replayed all that it has.
    pub behind: Option<Duration>,
}

/// Why a host gave no report, in words: what happened, and the operating system's or TLS's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sick {
    /// What kind of trouble it is.
    pub why: Why,
    /// What was said of it.
    pub text: String,
}

/// The kinds of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Why {
    /// Nobody listens.
    Refused,
    /// No answer in time.
    TimedOut,
    /// The connection broke off.
    Lost,
    /// Its name is not known.
    Name,
    /// TLS failed: the certificate, or what both offer.
    Tls,
    /// It doesn't let us in.
    Authentication,
    /// It starts, stops or recovers (57P03, 57P01 and the like).
    Unavailable,
    /// Anything else.
    Other,
}

impl Why {
    /// One word for tables and labels.
    pub fn word(self) -> &'static str {
        match self {
            Why::Refused => "refused",
            Why::TimedOut => "timeout",
            Why::Lost => "lost",
            Why::Name => "name",
            Why::Tls => "tls",
            Why::Authentication => "authentication",
            Why::Unavailable => "unavailable",
            Why::Other => "other",
        }
    }

    /// True if the host answers, and only tells nothing of what it is: that doesn't make one dead that was well.
    pub fn is_silence(self) -> bool {
        matches!(self, Why::Authentication | Why::Other)
    }

    /// True if one such answer is enough: the host itself said that it serves nobody, or its kernel did.
    pub fn is_certain(self) -> bool {
        matches!(self, Why::Refused | Why::Unavailable)
    }
}
