//! Owns the first bytes of client messages (`src/include/libpq/protocol.h`).

/// Bind
pub const BIND: u8 = b'B';
/// Close
pub const CLOSE: u8 = b'C';
/// CopyData
pub const COPY_DATA: u8 = b'd';
/// CopyDone
pub const COPY_DONE: u8 = b'c';
/// CopyFail
pub const COPY_FAIL: u8 = b'f';
/// Describe
pub const DESCRIBE: u8 = b'D';
/// Execute
pub const EXECUTE: u8 = b'E';
/// Flush
pub const FLUSH: u8 = b'H';
/// FunctionCall
pub const FUNCTION_CALL: u8 = b'F';
/// Parse
pub const PARSE: u8 = b'P';
/// PasswordMessage, SASLInitialResponse, SASLResponse and GSSResponse: only the state tells which.
pub const PASSWORD: u8 = b'p';
/// Query
pub const QUERY: u8 = b'Q';
/// Sync
pub const SYNC: u8 = b'S';
/// Terminate
pub const TERMINATE: u8 = b'X';

/// PostgreSQL's name of the message with this tag; nothing if there is none.
pub fn name(tag: u8) -> Option<&'static str> {
    Some(match tag {
        BIND => "Bind",
        CLOSE => "Close",
        COPY_DATA => "CopyData",
        COPY_DONE => "CopyDone",
        COPY_FAIL => "CopyFail",
        DESCRIBE => "Describe",
        EXECUTE => "Execute",
        FLUSH => "Flush",
        FUNCTION_CALL => "FunctionCall",
        PARSE => "Parse",
        PASSWORD => "PasswordMessage",
        QUERY => "Query",
        SYNC => "Sync",
        TERMINATE => "Terminate",
        _ => return None,
    })
}
