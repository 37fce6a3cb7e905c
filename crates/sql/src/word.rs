//! Owns the comparing of words: folded as the server folds, packed into a number.

use crate::token::{Kind, Span, Token};

/// A word of at most 16 ASCII bytes in lower case, packed; 0 for any other. No key word that is
/// asked for here is longer.
pub(crate) type Packed = u128;

/// Packs a key word at compile time.
pub(crate) const fn w(word: &str) -> Packed {
    let bytes = word.as_bytes();
    assert!(bytes.len() <= 16);
    let mut packed = 0;
    let mut at = 0;
    while at < bytes.len() {
        packed = packed << 8 | bytes[at] as u128;
        at += 1;
    }
    packed
}

/// The same byte sixteen times.
const fn each(byte: u8) -> Packed {
    Packed::from_ne_bytes([byte; 16])
}

/// Packs an unquoted word; 0 for anything else.
pub(crate) fn pack(text: &[u8], token: Token) -> Packed {
    let Span { start, end } = token.span;
    if token.kind != Kind::Word || end - start > 16 {
        return 0;
    }
    let raw = match text
        .get(start..start + 16)
        .and_then(|bytes| bytes.try_into().ok())
    {
        Some(bytes) => Packed::from_be_bytes(bytes),
        None => {
            let mut bytes = [0; 16];
            let rest = text.get(start..end).unwrap_or_default();
            bytes[..rest.len()].copy_from_slice(rest);
            Packed::from_be_bytes(bytes)
        }
    };
    let word = raw >> (8 * (16 - (end - start)));
    if word & each(0x80) != 0 {
        return 0;
    }
    // All bytes at once: the high bit is set in `from_a` from A on, in `past_z` behind Z.
    let from_a = word + each(0x80 - b'A');
    let past_z = word + each(0x7f - b'Z');
    word | ((from_a & !past_z & each(0x80)) >> 2)
}

/// How many letters a word has that is packed.
pub(crate) fn packed_len(word: Packed) -> usize {
    (128 - word.leading_zeros() as usize).div_ceil(8)
}

/// Room for a folded name: NAMEDATALEN - 1 bytes.
pub const NAME_MAX: usize = 63;

/// The name that the server makes of an identifier: unquoted in lower case, quoted without its quotes.
/// `None` where only the server can tell: letters outside ASCII (their case depends on its locale, their
/// cut on its encoding), `U&""`, and names it would cut.
pub fn fold<'b>(text: &[u8], token: Token, room: &'b mut [u8; NAME_MAX]) -> Option<&'b [u8]> {
    let bytes = token.span.of(text);
    let (bytes, quoted) = match token.kind {
        Kind::Word => (bytes, false),
        Kind::Quoted => (bytes.get(1..bytes.len() - 1)?, true),
        _ => return None,
    };
    let mut len = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte >= 0x80 {
            return None;
        }
        *room.get_mut(len)? = if quoted {
            byte
        } else {
            byte.to_ascii_lowercase()
        };
        len += 1;
        at += if quoted && byte == b'"' { 2 } else { 1 };
    }
    Some(&room[..len])
}
