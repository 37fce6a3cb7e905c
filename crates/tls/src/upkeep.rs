//! Owns what an operator says about the life of a connection after its handshake, and the account
//! of what happened in it.

use crate::flood::FloodKind;
use crate::rekey::KeyLimits;

/// How a connection is kept up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Upkeep {
    /// When its keys are worn.
    pub limits: KeyLimits,
    /// Whether the peer may renegotiate (TLS 1.2).
    pub renegotiation: Renegotiation,
}

/// Whether a peer may renegotiate. TLS 1.3 has no renegotiation, and nobody needs it: PostgreSQL
/// refuses it, and no driver asks for it. For foreign peers that rekey TLS 1.2 this way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Renegotiation {
    /// It is told that it may not (alert no_renegotiation).
    #[default]
    Refused,
    /// With the extension of RFC 5746, at a bounded rate, and with the certificate that it had.
    Allowed,
}

/// What happened since it was last asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// KeyUpdates that we sent of our own accord.
    pub updates_sent: u32,
    /// Those among them that asked the peer to follow.
    pub updates_requested: u32,
    /// KeyUpdates of the peer that asked for our answer, and got it.
    pub updates_answered: u32,
    /// Renegotiations that the peer began and that were carried through.
    pub renegotiations: u32,
    /// A key passed its limit, and TLS 1.2 has no way to change it.
    pub worn: u32,
    /// What ended the connection, if it was a flood.
    pub flood: Option<FloodKind>,
}
