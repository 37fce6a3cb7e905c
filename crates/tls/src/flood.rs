//! Owns the bounds on what a peer may make a connection do without sending data worth it.
//!
//! Takes counts of records and seconds; gives a fault that names what the peer did. Knows neither
//! libssl nor a clock. OpenSSL itself bounds only empty records (32 in a row) and warning alerts
//! (5 in a row).

use crate::fault::TlsFault;
use std::fmt;

/// Records without data in a row, while neither side sends data, that need no excuse.
const DRY_IN_A_ROW_MAX: u32 = 32;
/// More of them after much data: each record of either side excuses one, because a peer may answer
/// each with a KeyUpdate, and what is on its way when it is held up comes all at once.
const CREDIT_MAX: u32 = 1024;
/// Records without data between two ticks, beyond one for each record with data.
const DRY_MAX: u32 = 512;
/// Records of a few bytes between two ticks. Each costs as much as a full one.
const TINY_MAX: u32 = 100_000;
/// Records with fewer bytes are tiny: the shortest message has five.
const TINY_BYTES: usize = 4;
/// Renegotiations at once; each is a whole handshake.
const RENEGOTIATIONS_MAX: u32 = 8;
/// Seconds after which one more is allowed.
const RENEGOTIATION_S: u32 = 10;
/// Bytes that a handshake may take. The longest chain that libssl takes has 100 kB.
const HANDSHAKE_BYTES_MAX: usize = 256 * 1024;

/// What a peer sent too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloodKind {
    /// KeyUpdates, or other records without data (TLS 1.3).
    KeyUpdates,
    /// Attempts to renegotiate that were refused, or other records without data (TLS 1.2).
    Refused,
    /// Renegotiations that were allowed.
    Renegotiations,
    /// Records with next to nothing in them.
    TinyRecords,
    /// A handshake without end.
    Handshake,
}

impl fmt::Display for FloodKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FloodKind::KeyUpdates => "KeyUpdates or empty TLS records",
            FloodKind::Refused => "attempts to renegotiate or empty TLS records",
            FloodKind::Renegotiations => "renegotiations",
            FloodKind::TinyRecords => "TLS records of a few bytes",
            FloodKind::Handshake => "kB of handshake",
        })
    }
}

/// What a peer may still do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    credit: u32,
    in_a_row: u32,
    /// Since the last tick.
    dry: u32,
    data: u32,
    tiny: u32,
    renegotiations_left: u32,
    now_s: u32,
    next_renegotiation_s: u32,
    handshake_bytes: usize,
}

impl Allowance {
    pub(crate) fn new() -> Allowance {
        Allowance {
            credit: 0,
            in_a_row: 0,
            dry: 0,
            data: 0,
            tiny: 0,
            renegotiations_left: RENEGOTIATIONS_MAX,
            now_s: 0,
            next_renegotiation_s: 0,
            handshake_bytes: 0,
        }
    }

    /// Notes the time: once a second or less often.
    pub(crate) fn tick(&mut self, now_s: u32) {
        if now_s <= self.now_s {
            return;
        }
        self.now_s = now_s;
        self.in_a_row = 0;
        (self.dry, self.data, self.tiny) = (0, 0, 0);
        while self.next_renegotiation_s <= now_s && self.renegotiations_left < RENEGOTIATIONS_MAX {
            self.renegotiations_left += 1;
            self.next_renegotiation_s += RENEGOTIATION_S;
        }
    }

    /// We sent data.
    #[inline]
    pub(crate) fn sent(&mut self) {
        self.earn();
    }

    #[inline]
    fn earn(&mut self) {
        self.in_a_row = 0;
        self.credit = CREDIT_MAX.min(self.credit + 1);
        self.data = self.data.saturating_add(1);
    }

    /// A record with data came.
    #[inline]
    pub(crate) fn data(&mut self, bytes: usize) -> Result<(), TlsFault> {
        self.earn();
        match bytes < TINY_BYTES {
            true => self.tiny(),
            false => Ok(()),
        }
    }

    #[cold]
    fn tiny(&mut self) -> Result<(), TlsFault> {
        self.tiny += 1;
        within(FloodKind::TinyRecords, self.tiny, TINY_MAX)
    }

    /// A record without data came.
    pub(crate) fn dry(&mut self, kind: FloodKind) -> Result<(), TlsFault> {
        self.in_a_row += 1;
        self.dry = self.dry.saturating_add(1);
        let records = self.in_a_row;
        if records > DRY_IN_A_ROW_MAX {
            match self.credit.checked_sub(1) {
                Some(credit) => self.credit = credit,
                None => return Err(TlsFault::Flood { kind, records }),
            }
        }
        within(kind, self.dry, DRY_MAX.saturating_add(self.data))
    }

    /// The peer began a renegotiation that it may.
    pub(crate) fn renegotiation(&mut self) -> Result<(), TlsFault> {
        self.in_a_row = 0;
        if self.renegotiations_left == RENEGOTIATIONS_MAX {
            self.next_renegotiation_s = self.now_s.saturating_add(RENEGOTIATION_S);
        }
        match self.renegotiations_left.checked_sub(1) {
            Some(left) => {
                self.renegotiations_left = left;
                Ok(())
            }
            None => Err(TlsFault::Flood {
                kind: FloodKind::Renegotiations,
                records: RENEGOTIATIONS_MAX + 1,
            }),
        }
    }

    /// So many bytes of a handshake were taken.
    pub(crate) fn handshake(&mut self, bytes: usize) -> Result<(), TlsFault> {
        self.handshake_bytes += bytes;
        match self.handshake_bytes <= HANDSHAKE_BYTES_MAX {
            true => Ok(()),
            false => Err(TlsFault::Flood {
                kind: FloodKind::Handshake,
                records: u32::try_from(self.handshake_bytes / 1024).unwrap_or(u32::MAX),
            }),
        }
    }
}

fn within(kind: FloodKind, records: u32, most: u32) -> Result<(), TlsFault> {
    match records <= most {
        true => Ok(()),
        false => Err(TlsFault::Flood { kind, records }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flood<T: fmt::Debug>(result: Result<T, TlsFault>) -> (FloodKind, u32) {
        match result {
            Err(TlsFault::Flood { kind, records }) => (kind, records),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn records_without_data_in_a_row() {
        let mut allowance = Allowance::new();
        // Data of either side earns as many more.
        for _ in 0..10 {
            allowance.sent();
        }
        for _ in 0..42 {
            assert_eq!(allowance.dry(FloodKind::KeyUpdates), Ok(()));
        }
        // Each second they begin anew.
        for second in 1..4 {
            allowance.tick(second);
            for _ in 0..32 {
                assert_eq!(allowance.dry(FloodKind::KeyUpdates), Ok(()));
            }
        }
        let refused = allowance.dry(FloodKind::Refused);
        assert_eq!(flood(refused), (FloodKind::Refused, 33));
    }

    #[test]
    fn records_without_data_in_a_second() {
        let mut allowance = Allowance::new();
        let dry = |allowance: &mut Allowance, count: u32| {
            for _ in 0..count {
                allowance.in_a_row = 0;
                allowance.dry(FloodKind::KeyUpdates)?;
            }
            Ok(())
        };
        dry(&mut allowance, 512).unwrap();
        assert_eq!(flood(dry(&mut allowance, 1)).0, FloodKind::KeyUpdates);
        // One for each record with data is no flood, and each second is a new one.
        allowance.tick(1);
        for _ in 0..10_000 {
            allowance.data(10).unwrap();
            dry(&mut allowance, 1).unwrap();
        }
        dry(&mut allowance, 512).unwrap();
        assert!(dry(&mut allowance, 1).is_err());
        allowance.tick(1);
        assert!(dry(&mut allowance, 1).is_err(), "it is the same second");
        allowance.tick(2);
        dry(&mut allowance, 512).unwrap();
    }

    #[test]
    fn tiny_records_in_a_second() {
        let mut allowance = Allowance::new();
        for second in 1..3 {
            allowance.tick(second);
            for _ in 0..TINY_MAX {
                allowance.data(3).unwrap();
                allowance.data(5).unwrap();
            }
        }
        assert_eq!(flood(allowance.data(1)).0, FloodKind::TinyRecords);
    }

    #[test]
    fn renegotiations_come_back_with_time() {
        let mut allowance = Allowance::new();
        for _ in 0..8 {
            allowance.renegotiation().unwrap();
        }
        assert_eq!(
            flood(allowance.renegotiation()).0,
            FloodKind::Renegotiations
        );
        allowance.tick(9);
        assert!(allowance.renegotiation().is_err());
        allowance.tick(10);
        allowance.renegotiation().unwrap();
        assert!(allowance.renegotiation().is_err());
        allowance.tick(1000);
        for _ in 0..8 {
            allowance.renegotiation().unwrap();
        }
        assert!(allowance.renegotiation().is_err());
    }

    #[test]
    fn a_handshake_without_end() {
        let mut allowance = Allowance::new();
        allowance.handshake(256 * 1024).unwrap();
        assert_eq!(flood(allowance.handshake(1)), (FloodKind::Handshake, 256));
    }
}
