//! Owns the texts of SCRAM messages (RFC 5802 section 7): exact parse and rebuild. Strict where
//! PostgreSQL is: attributes in order, printable nonces, canonical base64, nothing behind the end.

use crate::digest::Key;
use crate::refusal::Malformed;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Exactly 32 bytes of base64.
pub(crate) fn decode_key(text: &str) -> Option<Key> {
    let bytes = Zeroizing::new(decode(text)?);
    Some(Zeroizing::new(bytes.as_slice().try_into().ok()?))
}

/// A message body as text: SCRAM messages are UTF-8 without zero bytes.
pub(crate) fn utf8(body: &[u8]) -> Result<&str, Malformed> {
    match std::str::from_utf8(body) {
        Ok("") => Err(Malformed::Empty),
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(Malformed::NotText),
    }
}

/// The value of attribute `name` at the start of `text`, and what follows its comma. `None` for
/// the rest means that the text ended there.
pub(crate) fn attribute(text: &str, name: char) -> Result<(&str, Option<&str>), Malformed> {
    let value = text
        .strip_prefix(name)
        .and_then(|text| text.strip_prefix('='))
        .ok_or(Malformed::Attribute)?;
    Ok(match value.split_once(',') {
        Some((value, rest)) => (value, Some(rest)),
        None => (value, None),
    })
}

/// RFC 5802 `printable`: %x21-2B / %x2D-7E. A comma can't occur in a parsed value.
pub(crate) fn is_nonce(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b',')
}

/// Attributes nobody asked for: `x=value` separated by commas (RFC 5802 `extensions`).
pub(crate) fn are_extensions(text: &str) -> bool {
    text.split(',').all(|attribute| {
        let bytes = attribute.as_bytes();
        matches!(bytes, [name, b'=', ..] if name.is_ascii_alphabetic())
    })
}
