//! Owns throttles: how much of something may happen in a time, counted for each key by itself, and what becomes of
//! more.
//!
//! Takes the time as an argument, in microseconds since any moment that all callers share, and the waker of whoever
//! has to wait. What is known beforehand (a statement, its bytes) is paid when it goes; what turns out later (rows,
//! bytes of a result) puts the account into debt, and the next one waits until that is paid.

mod bucket;
mod lane;
mod lanes;

use crate::context::Context;
use sql::ShapeId;
use std::net::IpAddr;

pub use bucket::Rate;
pub use lane::{Entered, Lane, Ticket, Turn};
pub use lanes::{Lanes, Looked, Pass, Tried, Waiting};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Statements.
    Statements,
    /// Rows of results.
    Rows,
    /// Bytes that clients send with statements.
    BytesIn,
    /// Bytes of results.
    BytesOut,
    /// Connections.
    Connections,
}

impl Measure {
    /// All of them.
    pub const ALL: [Measure; 5] = [
        Measure::Statements,
        Measure::Rows,
        Measure::BytesIn,
        Measure::BytesOut,
        Measure::Connections,
    ];

    /// Its setting.
    pub fn setting(self) -> &'static str {
        match self {
            Measure::Statements => "statements_per_s",
            Measure::Rows => "rows_per_s",
            Measure::BytesIn => "bytes_in_per_s",
            Measure::BytesOut => "bytes_out_per_s",
            Measure::Connections => "connections_per_s",
        }
    }
}

/// What may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rates {
    /// In the order of [`Measure::ALL`]; `None`: as much as comes.
    pub per_s: [Option<Rate>; 5],
    /// Statements at once; `None`: as many as come.
    pub at_once: Option<u32>,
}

impl Rates {
    /// The rate of a measure.
    #[inline]
    pub fn of(&self, measure: Measure) -> Option<Rate> {
        self.per_s.get(measure as usize).copied().flatten()
    }

    /// True if something is counted until a statement has ended.
    pub fn outlast_the_start(&self) -> bool {
        let later = [Measure::Rows, Measure::BytesIn, Measure::BytesOut];
        self.at_once.is_some() || later.iter().any(|it| self.of(*it).is_some())
    }

    /// True if it is about statements, and not about connections alone.
    pub fn are_of_statements(&self) -> bool {
        self.outlast_the_start() || self.of(Measure::Statements).is_some()
    }
}

/// What one has in common that is counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Per {
    /// The name that the client proved.
    pub user: bool,
    /// The role of its server connections.
    pub role: bool,
    /// The database.
    pub database: bool,
    /// `application_name`.
    pub application: bool,
    /// The client's address.
    pub address: bool,
    /// The statement's shape.
    pub shape: bool,
}

impl Per {
    /// What is counted together has the same key: each part with its length in front.
    pub fn key(self, context: &Context, shape: Option<ShapeId>) -> Vec<u8> {
        let mut key = Vec::new();
        let mut put = |part: &[u8]| {
            key.extend((part.len() as u32).to_be_bytes());
            key.extend(part);
        };
        for (counts, part) in [
            (self.user, &context.user),
            (self.role, &context.role),
            (self.database, &context.database),
            (self.application, &context.application),
        ] {
            if counts {
                put(part.as_bytes());
            }
        }
        if self.address {
            match context.address.map(|it| it.to_canonical()) {
                Some(IpAddr::V4(address)) => put(&address.octets()),
                Some(IpAddr::V6(address)) => put(&address.octets()),
                None => put(b""),
            }
        }
        if let Some(ShapeId(id)) = shape.filter(|_| self.shape) {
            put(&id);
        }
        key
    }
}

/// What becomes of more than may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// It is refused.
    Refuse,
    /// It waits for its turn, first come, first served.
    Wait {
        /// So many may wait for one key; more are refused.
        queue_max: usize,
        /// What has waited so many microseconds is refused.
        wait_max_us: u64,
    },
}

/// One throttle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttle {
    /// What may happen.
    pub rates: Rates,
    /// What is counted together.
    pub per: Per,
    /// What becomes of more.
    pub excess: Excess,
    /// Keys that are told apart; what comes with others counts as one.
    pub keys_max: usize,
}
