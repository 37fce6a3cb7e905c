//! Owns the record of a statement as a span, and the numbers that tell spans apart.

use crate::Parent;
use patterns::{Pattern, Who};
use std::sync::Arc;

/// A server that statements went to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its name, address, or the path of its socket.
    pub host: Box<str>,
    /// Its port, where it has one.
    pub port: Option<u16>,
}

/// A statement that is over.
#[derive(Debug, Clone)]
pub struct Span {
    /// Of the caller, if it said who it is.
    pub parent: Option<Parent>,
    /// Its own numbers; the first is the parent's where there is one.
    pub trace_id: [u8; 16],
    /// The second.
    pub span_id: [u8; 8],
    /// When it began and ended, in microseconds since 1970.
    pub began_us: u64,
    /// The end.
    pub ended_us: u64,
    /// What was executed, without its literals.
    pub pattern: Arc<Pattern>,
    /// Whose it was.
    pub who: Arc<Who>,
    /// Where.
    pub place: Arc<Place>,
    /// The first word of its command tag; empty without one.
    pub operation: Box<str>,
    /// The server's SQLSTATE, if it ended with an error.
    pub sqlstate: Option<[u8; 5]>,
    /// Rows that it returned.
    pub returned_rows: Option<u64>,
    /// The session ended before it did.
    pub is_lost: bool,
}

/// Makes numbers of spans from a random one (SplitMix64). They tell spans apart, and keep no secret.
#[derive(Debug, Clone)]
pub struct Ids(u64);

impl Ids {
    /// From this random number on.
    pub fn from_seed(seed: u64) -> Ids {
        Ids(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Of the next span: never all zeros, which would be none.
    pub fn span(&mut self) -> [u8; 8] {
        self.next().max(1).to_be_bytes()
    }

    /// Of the next trace.
    pub fn trace(&mut self) -> [u8; 16] {
        let (high, low) = (u128::from(self.next()), u128::from(self.next().max(1)));
        (high << 64 | low).to_be_bytes()
    }
}
