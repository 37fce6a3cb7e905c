//! Owns how long the server lets client messages be: the bounds of the length field in
//! `src/include/libpq/libpq.h`, used in `SocketBackend` (postgres.c), `CopyGetData`
//! (copyfromparse.c) and `recv_password_packet` (auth.c).

use super::tag;

/// PQ_SMALL_MESSAGE_LIMIT: messages without data.
pub const SMALL: u32 = 10_000;

/// PQ_LARGE_MESSAGE_LIMIT: 1 GiB less two.
pub const LARGE: u32 = 0x3fff_fffe;

/// PG_MAX_AUTH_TOKEN_LENGTH: PasswordMessage, GSSResponse, OAUTHBEARER.
pub const PASSWORD: u32 = 65_535;

/// PG_MAX_SASL_MESSAGE_LENGTH: SASL messages of SCRAM.
pub const SASL: u32 = 1_024;

/// The greatest length of a message once the session is authenticated; nothing if the server
/// knows no such message, which then includes `p`.
#[inline]
pub fn limit(tag: u8) -> Option<u32> {
    match tag {
        tag::QUERY | tag::PARSE | tag::BIND | tag::FUNCTION_CALL | tag::COPY_DATA => Some(LARGE),
        tag::DESCRIBE
        | tag::EXECUTE
        | tag::CLOSE
        | tag::SYNC
        | tag::FLUSH
        | tag::COPY_DONE
        | tag::COPY_FAIL
        | tag::TERMINATE => Some(SMALL),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_those_of_the_server() {
        for tag in 0..=u8::MAX {
            let expected = match tag {
                b'Q' | b'P' | b'B' | b'F' | b'd' => Some(0x3fff_fffe),
                b'D' | b'E' | b'C' | b'S' | b'H' | b'c' | b'f' | b'X' => Some(10_000),
                _ => None,
            };
            assert_eq!(limit(tag), expected, "{:?}", char::from(tag));
            assert_eq!(tag::name(tag).is_some(), expected.is_some() || tag == b'p');
        }
    }
}
