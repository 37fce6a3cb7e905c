//! Owns the protocol version: major and minor in one number.

use std::fmt;

/// A protocol version, ordered by major, then minor.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProtocolVersion {
    /// 3 for everything since PostgreSQL 7.4.
    pub major: u16,
    /// 0, 2, or what a client tries.
    pub minor: u16,
}

impl ProtocolVersion {
    /// Every server since PostgreSQL 7.4.
    pub const V3_0: Self = Self::new(3, 0);
    /// Never existed: taken by a pooler's mistake and skipped by PostgreSQL 18.
    pub const V3_1: Self = Self::new(3, 1);
    /// PostgreSQL 18: cancel keys of up to 256 bytes.
    pub const V3_2: Self = Self::new(3, 2);

    /// A version.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// From the number on the wire.
    pub const fn from_code(code: u32) -> Self {
        Self::new((code >> 16) as u16, code as u16)
    }

    /// The number on the wire.
    pub const fn code(self) -> u32 {
        (self.major as u32) << 16 | self.minor as u32
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
impl fmt::Debug for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
