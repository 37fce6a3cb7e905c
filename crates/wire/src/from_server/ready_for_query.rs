//! Owns ReadyForQuery.

use super::tag;
use crate::reader::Reader;
use crate::sink::SinkExt;
use crate::{Message, MessageFault, Sink};
use buf::Full;

/// Where the server stands with respect to transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionStatus {
    /// `I`: not in a transaction block.
    Idle,
    /// `T`: in a transaction block.
    InTransaction,
    /// `E`: in a transaction block that failed.
    Failed,
}

impl TransactionStatus {
    /// The byte on the wire.
    pub fn byte(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::InTransaction => b'T',
            Self::Failed => b'E',
        }
    }
}

/// The server is done with everything up to a sync point (manual, "ReadyForQuery").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadyForQuery {
    /// Its state.
    pub status: TransactionStatus,
}

impl Message<'_> for ReadyForQuery {
    const TAG: u8 = tag::READY_FOR_QUERY;
    const NAME: &'static str = "ReadyForQuery";

    fn decode(body: &[u8]) -> Result<Self, MessageFault> {
        let mut reader = Reader::new(Self::NAME, body);
        let status = match reader.byte("transaction status")? {
            b'I' => TransactionStatus::Idle,
            b'T' => TransactionStatus::InTransaction,
            b'E' => TransactionStatus::Failed,
            other => return Err(reader.bad("transaction status", i64::from(other))),
        };
        reader.end()?;
        Ok(Self { status })
    }

    fn body<S: Sink>(&self, out: &mut S) -> Result<(), Full> {
        out.byte(self.status.byte())
    }
}
