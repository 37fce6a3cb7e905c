//! Owns what Portcullis refuses a client whose session goes on: an ERROR in the place of the
//! server's, which fails in the same breath, so that both agree about the transaction.

use crate::govern::Denial;
use buf::{Full, Plain};
use std::sync::Arc;
use wire::{Report, Severity, Sqlstate};

/// Text that the server is given instead of what is refused: clear in its log, and of a table that nobody can make.
/// It fails when it is analysed, so that a transaction that failed before says so first.
pub(crate) const TEXT: &[u8] = b"select * from pg_catalog.portcullis_refused\0";

/// Bytes of the longest error.
pub(crate) const BYTES_MAX: usize = 1024;

/// Why something is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// By the rules about statements.
    Policy(Arc<Denial>),
    /// The client has as many named statements as it may.
    Statements {
        /// `prepared_count_max`.
        max: usize,
    },
    /// Their texts have as many bytes as they may.
    Bytes {
        /// `prepared_bytes_max`.
        max: usize,
    },
    /// One text is longer than any may be.
    Text {
        /// Bytes.
        max: usize,
    },
    /// A transaction where `pool_mode = "statement"`.
    Transaction,
    /// What only one server connection would have, where `pinning = "refuse"`.
    Pin,
}

impl Refusal {
    /// What the client reads: SQLSTATE and message.
    pub fn words(&self) -> (Sqlstate, String) {
        match self {
            Refusal::Policy(denial) => denial.words(),
            Refusal::Statements { max } => (
                Sqlstate::new("53400"),
                format!("too many prepared statements (prepared_count_max = {max})"),
            ),
            Refusal::Bytes { max } => (
                Sqlstate::new("53400"),
                format!("prepared statements take too many bytes (prepared_bytes_max = {max})"),
            ),
            Refusal::Text { max } => (
                Sqlstate::new("54000"),
                format!("a prepared statement may have {max} bytes, with its parameter types"),
            ),
            Refusal::Transaction => (
                Sqlstate::FEATURE_NOT_SUPPORTED,
                "transaction blocks are not possible with pool_mode = \"statement\"".to_owned(),
            ),
            Refusal::Pin => (
                Sqlstate::FEATURE_NOT_SUPPORTED,
                "what only one server connection has (LISTEN, temporary tables, PREPARE, SET ROLE, \
                 session advisory locks, cursors WITH HOLD, LOAD) is not possible with pinning = \
                 \"refuse\""
                    .to_owned(),
            ),
        }
    }

    /// Appends the ErrorResponse.
    pub(crate) fn put(&self, output: &mut Plain) -> Result<(), Full> {
        if let Refusal::Policy(denial) = self {
            return denial.report().encode_error(output);
        }
        let (sqlstate, message) = self.words();
        Report::new(Severity::Error, sqlstate, &message).encode_error(output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_fits_where_room_is_kept_for_it() {
        let max = usize::MAX;
        for refusal in [
            Refusal::Statements { max },
            Refusal::Bytes { max },
            Refusal::Text { max },
            Refusal::Transaction,
            Refusal::Pin,
        ] {
            let mut output = Plain::with_capacity(BYTES_MAX);
            assert_eq!(refusal.put(&mut output), Ok(()));
        }
    }
}
