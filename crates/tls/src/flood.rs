//! Owns the bounds on what a peer may make a connection do without sending data.
//!
//! Takes counts of records; gives a fault that names what the peer did. Knows neither libssl nor a
//! clock.

use crate::fault::TlsFault;
use std::fmt;

/// Records without data in a row that a peer may send while neither side sends data: a peer that
/// only answers the KeyUpdates of a long transfer in the other direction is no flood. OpenSSL
/// knows no limit.
const DRY_IN_A_ROW_MAX: u32 = 32;

/// What a peer sent too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloodKind {
    /// KeyUpdates, or other records without data (TLS 1.3).
    KeyUpdates,
    /// Attempts to renegotiate, or other records without data (TLS 1.2).
    Renegotiations,
}

impl fmt::Display for FloodKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FloodKind::KeyUpdates => "KeyUpdates or empty TLS records",
            FloodKind::Renegotiations => "renegotiations or empty TLS records",
        })
    }
}

/// What a peer may still do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    in_a_row: u32,
}

impl Allowance {
    pub(crate) fn new() -> Allowance {
        Allowance { in_a_row: 0 }
    }

    /// Data went either way.
    #[inline]
    pub(crate) fn data(&mut self) {
        self.in_a_row = 0;
    }

    /// A record without data came.
    pub(crate) fn dry(&mut self, kind: FloodKind) -> Result<(), TlsFault> {
        self.in_a_row += 1;
        let records = self.in_a_row;
        match records <= DRY_IN_A_ROW_MAX {
            true => Ok(()),
            false => Err(TlsFault::Flood { kind, records }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_row() {
        let mut allowance = Allowance::new();
        for _ in 0..3 {
            for _ in 0..32 {
                assert_eq!(allowance.dry(FloodKind::KeyUpdates), Ok(()));
            }
            allowance.data();
        }
        for _ in 0..32 {
            assert_eq!(allowance.dry(FloodKind::KeyUpdates), Ok(()));
        }
        let (kind, records) = (FloodKind::Renegotiations, 33);
        assert_eq!(allowance.dry(kind), Err(TlsFault::Flood { kind, records }));
    }
}
