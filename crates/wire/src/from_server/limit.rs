//! Owns how long libpq lets server messages be (`pqParseInput3` in fe-protocol3.c,
//! `PQconnectPoll` in fe-connect.c): what is longer makes every client give up with "lost
//! synchronization with server", so a proxy must not pass it on.

use super::tag;

/// Messages that carry data (VALID_LONG_MESSAGE_TYPE): as long as libpq's signed integer goes.
pub const LONG: u32 = 0x7fff_ffff;

/// All other messages.
pub const SHORT: u32 = 30_000;

/// Authentication and NegotiateProtocolVersion.
pub const BEFORE_AUTH: u32 = 2_000;

/// BackendKeyData: process id and a key of 256 bytes.
pub const KEY: u32 = 4 + 4 + 256;

/// The greatest length of a message; nothing if libpq knows no such message.
#[inline]
pub fn limit(tag: u8) -> Option<u32> {
    match tag {
        tag::DATA_ROW
        | tag::COPY_DATA
        | tag::ERROR_RESPONSE
        | tag::FUNCTION_CALL_RESPONSE
        | tag::NOTICE_RESPONSE
        | tag::NOTIFICATION_RESPONSE
        | tag::ROW_DESCRIPTION
        | tag::PARAMETER_DESCRIPTION => Some(LONG),
        tag::AUTHENTICATION | tag::NEGOTIATE_PROTOCOL_VERSION => Some(BEFORE_AUTH),
        tag::BACKEND_KEY_DATA => Some(KEY),
        _ => tag::name(tag).map(|_| SHORT),
    }
}

/// The greatest length of a message until AuthenticationOk, when only these three may come.
pub fn limit_before_auth(tag: u8) -> Option<u32> {
    match tag {
        tag::AUTHENTICATION | tag::NEGOTIATE_PROTOCOL_VERSION => Some(BEFORE_AUTH),
        tag::ERROR_RESPONSE => Some(SHORT),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_those_of_libpq() {
        for tag in 0..=u8::MAX {
            let expected = match tag {
                b'd' | b'D' | b'E' | b'V' | b'N' | b'A' | b'T' | b't' => Some(0x7fff_ffff),
                b'R' | b'v' => Some(2000),
                b'K' => Some(264),
                b'S' | b'Z' | b'C' | b'I' | b'1' | b'2' | b'3' | b'n' | b's' => Some(30_000),
                b'G' | b'H' | b'W' | b'c' => Some(30_000),
                _ => None,
            };
            assert_eq!(limit(tag), expected, "{:?}", char::from(tag));
        }
        assert_eq!(limit_before_auth(b'E'), Some(30_000));
        assert_eq!(limit_before_auth(b'N'), None);
    }
}
