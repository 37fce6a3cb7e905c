//! Owns the five-letter error codes that Portcullis itself emits (manual, appendix "PostgreSQL
//! Error Codes").

use crate::Text;
use std::fmt;

/// A five-letter error code.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sqlstate([u8; 5]);

impl Sqlstate {
    /// connection_failure
    pub const CONNECTION_FAILURE: Self = Self::new("08006");
    /// sqlclient_unable_to_establish_sqlconnection
    pub const UNABLE_TO_CONNECT: Self = Self::new("08001");
    /// transaction_resolution_unknown
    pub const TRANSACTION_UNKNOWN: Self = Self::new("08007");
    /// protocol_violation
    pub const PROTOCOL_VIOLATION: Self = Self::new("08P01");
    /// feature_not_supported
    pub const FEATURE_NOT_SUPPORTED: Self = Self::new("0A000");
    /// invalid_parameter_value
    pub const INVALID_PARAMETER_VALUE: Self = Self::new("22023");
    /// read_only_sql_transaction
    pub const READ_ONLY: Self = Self::new("25006");
    /// idle_in_transaction_session_timeout
    pub const IDLE_IN_TRANSACTION_TIMEOUT: Self = Self::new("25P03");
    /// transaction_timeout
    pub const TRANSACTION_TIMEOUT: Self = Self::new("25P04");
    /// invalid_sql_statement_name
    pub const INVALID_STATEMENT_NAME: Self = Self::new("26000");
    /// invalid_authorization_specification
    pub const INVALID_AUTHORIZATION: Self = Self::new("28000");
    /// invalid_password
    pub const INVALID_PASSWORD: Self = Self::new("28P01");
    /// invalid_cursor_name
    pub const INVALID_CURSOR_NAME: Self = Self::new("34000");
    /// invalid_catalog_name: an unknown database
    pub const INVALID_DATABASE: Self = Self::new("3D000");
    /// insufficient_privilege
    pub const INSUFFICIENT_PRIVILEGE: Self = Self::new("42501");
    /// syntax_error
    pub const SYNTAX_ERROR: Self = Self::new("42601");
    /// duplicate_prepared_statement
    pub const DUPLICATE_STATEMENT: Self = Self::new("42P05");
    /// out_of_memory
    pub const OUT_OF_MEMORY: Self = Self::new("53200");
    /// too_many_connections
    pub const TOO_MANY_CONNECTIONS: Self = Self::new("53300");
    /// program_limit_exceeded
    pub const LIMIT_EXCEEDED: Self = Self::new("54000");
    /// query_canceled
    pub const QUERY_CANCELED: Self = Self::new("57014");
    /// admin_shutdown
    pub const ADMIN_SHUTDOWN: Self = Self::new("57P01");
    /// cannot_connect_now: the one code on which libpq tries its next host
    pub const CANNOT_CONNECT_NOW: Self = Self::new("57P03");
    /// idle_session_timeout
    pub const IDLE_SESSION_TIMEOUT: Self = Self::new("57P05");
    /// internal_error
    pub const INTERNAL_ERROR: Self = Self::new("XX000");

    /// A code from its text.
    ///
    /// # Panics
    /// If it isn't five upper-case letters or digits; as a constant, at compile time.
    pub const fn new(code: &str) -> Self {
        let bytes = code.as_bytes();
        assert!(bytes.len() == 5, "an SQLSTATE has five characters");
        let mut out = [0; 5];
        let mut at = 0;
        while at < 5 {
            assert!(bytes[at].is_ascii_uppercase() || bytes[at].is_ascii_digit());
            out[at] = bytes[at];
            at += 1;
        }
        Self(out)
    }

    /// Its five letters.
    pub fn bytes(self) -> [u8; 5] {
        self.0
    }

    /// The five characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XX000")
    }

    pub(crate) fn text(&self) -> Text<'_> {
        Text::cut(&self.0)
    }
}

impl fmt::Display for Sqlstate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl fmt::Debug for Sqlstate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
