//! Owns what a statement's comments say of who caused it: `/*traceparent='00-…-…-01'*/`.
//!
//! Sources: SQLCommenter's specification (pairs, quotes, URL encoding), W3C Trace Context section 3.2. Comments are those
//! that the server's lexer sees, never what looks like one within a literal. What isn't exactly as those say is ignored:
//! whoever writes the SQL can write anything, and a wrong parent is worse than none.

use sql::{Kind, Lexer, Lexing};

/// A longer comment is none of a library's.
const COMMENT_MAX: usize = 4096;

/// The span that a statement is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// The trace.
    pub trace_id: [u8; 16],
    /// The span.
    pub span_id: [u8; 8],
    /// Whether the caller records it.
    pub is_sampled: bool,
}

/// The parent that the comments of a text name. `None` also where two comments name one: nobody knows which is right.
pub fn parent(text: &[u8], lexing: Lexing) -> Option<Parent> {
    // Most texts have no comment, and needn't be lexed.
    if !text.windows(2).any(|it| it == b"/*") {
        return None;
    }
    let mut lexer = Lexer::new(text, lexing).ok()?;
    let mut found = None;
    while let Ok(Some(token)) = lexer.token() {
        if token.kind != Kind::Comment {
            continue;
        }
        let comment = token.span.of(text);
        let inside = comment
            .strip_prefix(b"/*")
            .and_then(|it| it.strip_suffix(b"*/"));
        let Some(inside) = inside.filter(|it| it.len() <= COMMENT_MAX) else {
            continue;
        };
        if let Some(value) = traceparent(inside) {
            if found.is_some() {
                return None;
            }
            found = Some(value);
        }
    }
    context(&found?)
}

/// The value of that key among a comment's pairs, all of which have to be right.
fn traceparent(comment: &[u8]) -> Option<Vec<u8>> {
    let mut rest = comment.trim_ascii();
    let mut found = None;
    loop {
        let equals = rest.iter().position(|byte| *byte == b'=')?;
        let key = decoded(rest[..equals].trim_ascii())?;
        rest = rest[equals + 1..].strip_prefix(b"'")?;
        let mut value = Vec::new();
        loop {
            let (byte, tail) = rest.split_first()?;
            rest = tail;
            match byte {
                b'\'' => break,
                b'\\' => {
                    let (escaped, tail) = rest.split_first()?;
                    rest = tail;
                    value.push(*escaped);
                }
                byte => value.push(*byte),
            }
        }
        if key == b"traceparent" {
            if found.is_some() {
                return None;
            }
            found = Some(decoded(&value)?);
        }
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return found;
        }
        rest = rest.strip_prefix(b",")?;
    }
}

/// RFC 3986 section 2.1.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'%' => {
                let (digits, tail) = rest.split_first_chunk::<2>()?;
                rest = tail;
                let digit = |byte: u8| char::from(byte).to_digit(16);
                plain.push((digit(digits[0])? * 16 + digit(digits[1])?) as u8);
            }
            byte => plain.push(*byte),
        }
    }
    Some(plain)
}

/// `version-traceid-parentid-flags`.
fn context(value: &[u8]) -> Option<Parent> {
    let [version] = hex(value.get(..2)?)?;
    let is_right = match version {
        0 => value.len() == 55,
        // Later versions may go on behind what this one has.
        1..=254 => value.len() == 55 || value.get(55) == Some(&b'-'),
        255 => false,
    };
    let has_dashes = [2, 35, 52].iter().all(|at| value.get(*at) == Some(&b'-'));
    if !is_right || !has_dashes {
        return None;
    }
    let trace_id: [u8; 16] = hex(&value[3..35])?;
    let span_id: [u8; 8] = hex(&value[36..52])?;
    let [flags] = hex(&value[53..55])?;
    let is_named = trace_id != [0; 16] && span_id != [0; 8];
    is_named.then_some(Parent {
        trace_id,
        span_id,
        is_sampled: flags & 1 != 0,
    })
}

/// Lower case only, as the recommendation has it.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn of(text: &str) -> Option<Parent> {
        parent(text.as_bytes(), Lexing::default())
    }

    #[test]
    fn comments_name_the_parent_or_nobody() {
        let trace_id = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes();
        let good = |is_sampled| {
            let span_id = 0xb7ad_6b71_6920_3331_u64.to_be_bytes();
            Some(Parent {
                trace_id,
                span_id,
                is_sampled,
            })
        };
        let encoded = GOOD.replace('-', "%2D");
        let off = GOOD.replace("-01", "-00");
        for (text, wanted) in [
            (format!("SELECT 1 /*traceparent='{GOOD}'*/"), good(true)),
            (format!("/*traceparent='{GOOD}'*/ SELECT 1"), good(true)),
            (
                format!("SELECT /* a remark */ 1 /*traceparent='{GOOD}'*/;"),
                good(true),
            ),
            (
                format!("SELECT 1 /*db_driver='a%3Ab',traceparent='{GOOD}',tracestate='x%3D1'*/"),
                good(true),
            ),
            (
                format!("SELECT 1 /* a='it\\'s' , traceparent='{GOOD}' */"),
                good(true),
            ),
            (format!("SELECT 1 /*traceparent='{encoded}'*/"), good(true)),
            (format!("SELECT 1 /*trace%70arent='{GOOD}'*/"), good(true)),
            (format!("SELECT 1 /*traceparent='{off}'*/"), good(false)),
            (
                format!("SELECT 1 /*traceparent='{}'*/", GOOD.replace("-01", "-03")),
                good(true),
            ),
            (
                format!(
                    "SELECT 1 /*traceparent='{}-more'*/",
                    GOOD.replacen("00", "01", 1)
                ),
                good(true),
            ),
            // Not a comment.
            (format!("SELECT '/*traceparent=''{GOOD}''*/'"), None),
            (format!("SELECT $$/*traceparent='{GOOD}'*/$$"), None),
            (format!("SELECT \"/*traceparent='{GOOD}'*/\""), None),
            (format!("SELECT 1 -- /*traceparent='{GOOD}'*/"), None),
            // Within another one, and two of them.
            (format!("SELECT 1 /* x /*traceparent='{GOOD}'*/ */"), None),
            (
                format!("/*traceparent='{GOOD}'*/ SELECT 1 /*traceparent='{GOOD}'*/"),
                None,
            ),
            (
                format!("SELECT 1 /*traceparent='{GOOD}',traceparent='{GOOD}'*/"),
                None,
            ),
            // Not as it should be.
            (format!("SELECT 1 /*traceparent={GOOD}*/"), None),
            (format!("SELECT 1 /*traceparent=\"{GOOD}\"*/"), None),
            (format!("SELECT 1 /*traceparent='{GOOD}*/"), None),
            (format!("SELECT 1 /*traceparent='{GOOD}' x*/"), None),
            (format!("SELECT 1 /*traceparent='{GOOD}',*/"), None),
            (
                format!("SELECT 1 /*traceparent='{GOOD}',a='%zz'*/"),
                good(true),
            ),
            (format!("SELECT 1 /*TRACEPARENT='{GOOD}'*/"), None),
            (
                format!("SELECT 1 /*traceparent='{}'*/", GOOD.to_uppercase()),
                None,
            ),
            (format!("SELECT 1 /*traceparent='{GOOD}0'*/"), None),
            (format!("SELECT 1 /*traceparent='{}'*/", &GOOD[..54]), None),
            (
                format!(
                    "SELECT 1 /*traceparent='{}'*/",
                    GOOD.replacen("00", "ff", 1)
                ),
                None,
            ),
            (
                format!(
                    "SELECT 1 /*traceparent='{}'*/",
                    GOOD.replace("b7ad6b7169203331", "0000000000000000")
                ),
                None,
            ),
            (
                format!(
                    "SELECT 1 /*traceparent='{}'*/",
                    GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32))
                ),
                None,
            ),
            (
                format!("SELECT 1 /*traceparent='{}'*/", GOOD.replace('-', "_")),
                None,
            ),
            (
                format!(
                    "SELECT 1 /*a='{}',traceparent='{GOOD}'*/",
                    "x".repeat(COMMENT_MAX)
                ),
                None,
            ),
            ("SELECT 1 /*traceparent='%'*/".to_owned(), None),
            ("SELECT 1 /**/ /*=*/ /*'*/ /*a='\\*/".to_owned(), None),
            ("SELECT 1".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(of(&text), wanted, "{text}");
        }
    }

    proptest! {
        #[test]
        fn hostile_comments_are_no_trouble(inside: Vec<u8>, before: Vec<u8>) {
            let text = [&before[..], b"/*", &inside[..], b"*/"].concat();
            let _ = parent(&text, Lexing::default());
            let text = [b"/*traceparent='", &inside[..], b"'*/"].concat();
            let _ = parent(&text, Lexing::default());
        }

        /// Whatever is changed in a good one, it is read as itself or not at all.
        #[test]
        fn what_is_changed_is_another_or_none(at in 0..55_usize, byte in 0x20..0x7f_u8) {
            let mut changed = GOOD.as_bytes().to_vec();
            changed[at] = byte;
            let context = context(&changed);
            if let Some(found) = context {
                let is_hex = byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte) || byte == GOOD.as_bytes()[at];
                prop_assert!(is_hex, "{found:?}");
            }
        }
    }
}
