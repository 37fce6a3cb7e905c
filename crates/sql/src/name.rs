//! Owns names: what the server makes of an identifier in a text.

use crate::facts::Unsure;
use crate::token::Span;
use crate::word::NAME_MAX;

/// What an identifier stands for: a schema, relation or function as [`crate::Relation`] and [`crate::Call`] give its
/// place. Unquoted in lower case, quoted without its quotes, `U&""` with its escapes resolved, cut to
/// [`NAME_MAX`] bytes at a character's end: `downcase_truncate_identifier` and `truncate_identifier` of
/// PostgreSQL.
///
/// Where the answer depends on what only the server knows (letters outside ASCII unless client and server both
/// use UTF8: `is_utf8`), or a `U&""` is malformed, it is [`Unsure::Name`].
pub fn name<'b>(
    text: &[u8],
    written: Span,
    is_utf8: bool,
    room: &'b mut [u8; NAME_MAX],
) -> Result<&'b [u8], Unsure> {
    let bytes = written.of(text);
    let mut into = Cut {
        room,
        len: 0,
        is_full: false,
    };
    match bytes {
        [b'"', inside @ .., b'"'] => quoted(inside, &mut into),
        [b'u' | b'U', b'&', b'"', rest @ ..] => unicode(rest, &mut into)?,
        _ => bytes
            .iter()
            .for_each(|byte| into.push(&[byte.to_ascii_lowercase()])),
    }
    let (len, is_full) = (into.len, into.is_full);
    let name = &room[..len];
    if !is_utf8 && !name.is_ascii() {
        return Err(Unsure::Name);
    }
    if is_full {
        // The cut may have gone through a character.
        return Ok(match std::str::from_utf8(name) {
            Ok(_) => name,
            Err(broken) => &name[..broken.valid_up_to()],
        });
    }
    Ok(name)
}

/// Whether an identifier stands for a name: whether [`name`] gives that. Faster where nothing is to be folded but case.
pub fn is_name(text: &[u8], written: Span, is_utf8: bool, wanted: &[u8]) -> Result<bool, Unsure> {
    let bytes = written.of(text);
    let is_quoted = matches!(bytes, [b'"', ..] | [b'u' | b'U', b'&', ..]);
    if is_quoted || bytes.len() > NAME_MAX || !bytes.is_ascii() {
        let found = name(text, written, is_utf8, &mut [0; NAME_MAX])? == wanted;
        return Ok(found);
    }
    let folds_to = |(written, wanted): (&u8, &u8)| written.to_ascii_lowercase() == *wanted;
    Ok(bytes.len() == wanted.len() && bytes.iter().zip(wanted).all(folds_to))
}

/// The first bytes of a name.
struct Cut<'b> {
    room: &'b mut [u8; NAME_MAX],
    len: usize,
    is_full: bool,
}

impl Cut<'_> {
    fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match self.room.get_mut(self.len) {
                Some(slot) => {
                    *slot = byte;
                    self.len += 1;
                }
                None => self.is_full = true,
            }
        }
    }
}

fn quoted(inside: &[u8], into: &mut Cut<'_>) {
    let mut at = 0;
    while let Some(&byte) = inside.get(at) {
        into.push(&[byte]);
        at += if byte == b'"' { 2 } else { 1 };
    }
}

/// `U&"…"` behind its opening quote, perhaps with UESCAPE and its string.
fn unicode(rest: &[u8], into: &mut Cut<'_>) -> Result<(), Unsure> {
    let end = closing(rest).ok_or(Unsure::Name)?;
    let escape = escape_of(&rest[end + 1..])?;
    let inside = &rest[..end];
    let mut at = 0;
    let mut high = None;
    while let Some(&byte) = inside.get(at) {
        if byte != escape {
            if high.is_some() {
                return Err(Unsure::Name);
            }
            into.push(&[byte]);
            at += if byte == b'"' { 2 } else { 1 };
            continue;
        }
        if inside.get(at + 1) == Some(&escape) {
            if high.is_some() {
                return Err(Unsure::Name);
            }
            into.push(&[escape]);
            at += 2;
            continue;
        }
        let (digits, start) = match inside.get(at + 1) {
            Some(b'+') => (6, at + 2),
            _ => (4, at + 1),
        };
        let code = hexadecimal(inside.get(start..start + digits)).ok_or(Unsure::Name)?;
        at = start + digits;
        let code = match (high.take(), code) {
            (None, 0xd800..=0xdbff) => {
                high = Some(code);
                continue;
            }
            (Some(high), 0xdc00..=0xdfff) => 0x10000 + ((high - 0xd800) << 10) + (code - 0xdc00),
            (None, code) => code,
            (Some(_), _) => return Err(Unsure::Name),
        };
        let letter = char::from_u32(code)
            .filter(|&letter| letter != '\0')
            .ok_or(Unsure::Name)?;
        into.push(letter.encode_utf8(&mut [0; 4]).as_bytes());
    }
    if high.is_some() {
        Err(Unsure::Name)
    } else {
        Ok(())
    }
}

/// The place of the closing quote.
fn closing(rest: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += rest.get(at..)?.iter().position(|&byte| byte == b'"')?;
        if rest.get(at + 1) != Some(&b'"') {
            return Some(at);
        }
        at += 2;
    }
}

/// The escape character: what a UESCAPE at the end says, else a backslash.
fn escape_of(behind: &[u8]) -> Result<u8, Unsure> {
    match behind {
        [] => Ok(b'\\'),
        [.., b'\'', escape, b'\'']
            if !matches!(escape, b'+' | b'\'' | b'"' | 0x80..)
                && !escape.is_ascii_hexdigit()
                && !escape.is_ascii_whitespace() =>
        {
            Ok(*escape)
        }
        _ => Err(Unsure::Name),
    }
}

fn hexadecimal(digits: Option<&[u8]>) -> Option<u32> {
    digits?.iter().try_fold(0u32, |code, &digit| {
        Some(code << 4 | char::from(digit).to_digit(16)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fast way says what the long one says, of each of these as each of these.
    #[test]
    fn an_identifier_is_the_name_that_it_stands_for() {
        let long = "n".repeat(NAME_MAX + 1);
        let written = [
            "orders",
            "Orders",
            "ORDERS",
            "order",
            "orders2",
            "\"orders\"",
            "\"Orders\"",
            "\"or\"\"ders\"",
            "U&\"orders\"",
            "u&\"\\006frders\"",
            "U&\"\\zzzz\"",
            "é",
            "\"é\"",
            "É",
            "",
            "u",
            &long,
            &long[..NAME_MAX],
        ];
        let wanted = [
            "orders",
            "Orders",
            "or\"ders",
            "é",
            "",
            "u",
            "u&",
            &long[..NAME_MAX],
            &long,
        ];
        for text in written {
            for is_utf8 in [true, false] {
                let text = text.as_bytes();
                let span = Span {
                    start: 0,
                    end: text.len(),
                };
                let mut room = [0; NAME_MAX];
                let folded = name(text, span, is_utf8, &mut room);
                for wanted in wanted {
                    let is = is_name(text, span, is_utf8, wanted.as_bytes());
                    assert_eq!(
                        is,
                        folded.map(|it| it == wanted.as_bytes()),
                        "{text:?} {wanted}"
                    );
                }
            }
        }
    }
}
