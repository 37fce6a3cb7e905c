//! Owns password preparation: SASLprep (RFC 4013) exactly as PostgreSQL applies it, because a key
//! derived from anything else does not match the server's verifier.

use stringprep::tables;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// The bytes that PBKDF2 is run over.
///
/// PostgreSQL (`pg_saslprep`) differs from RFC 4013 in that nothing fails: a password that is not
/// UTF-8, or that holds what the profile prohibits, is used as it is. It looks for prohibited and
/// unassigned characters *before* normalisation, so this does too.
pub fn saslprep(password: &[u8]) -> Zeroizing<Vec<u8>> {
    let raw = || Zeroizing::new(password.to_vec());
    if password.is_ascii() {
        return raw();
    }
    let Ok(text) = std::str::from_utf8(password) else {
        return raw();
    };
    let mapped = Zeroizing::new(map(text));
    if mapped.is_empty() || mapped.iter().any(|&c| is_prohibited(c)) || is_ambiguous(&mapped) {
        return raw();
    }
    // Room for the longest expansion of a character (U+FDFA, 33 bytes) and for a sequence that
    // never grows: a block that was outgrown would be freed with the password in it.
    let mut prepared = Zeroizing::new(String::with_capacity(mapped.len() * 36));
    prepared.extend(mapped.iter().copied().nfkc());
    Zeroizing::new(std::mem::take(&mut *prepared).into_bytes())
}

/// RFC 4013 section 2.1.
fn map(text: &str) -> Vec<char> {
    let mut mapped = Vec::with_capacity(text.len());
    for c in text.chars() {
        if tables::non_ascii_space_character(c) {
            mapped.push(' ');
        } else if !tables::commonly_mapped_to_nothing(c) {
            mapped.push(c);
        }
    }
    mapped
}

/// RFC 4013 sections 2.3 and 2.5.
fn is_prohibited(c: char) -> bool {
    tables::non_ascii_space_character(c)
        || tables::ascii_control_character(c)
        || tables::non_ascii_control_character(c)
        || tables::private_use(c)
        || tables::non_character_code_point(c)
        || tables::surrogate_code(c)
        || tables::inappropriate_for_plain_text(c)
        || tables::inappropriate_for_canonical_representation(c)
        || tables::change_display_properties_or_deprecated(c)
        || tables::tagging_character(c)
        || tables::unassigned_code_point(c)
}

/// RFC 3454 section 6: text that holds right-to-left characters must hold no left-to-right ones,
/// and begin and end with right-to-left ones.
fn is_ambiguous(text: &[char]) -> bool {
    let right_to_left = |c: &char| tables::bidi_r_or_al(*c);
    text.iter().any(right_to_left)
        && (text.iter().any(|&c| tables::bidi_l(c))
            || !text.first().is_some_and(right_to_left)
            || !text.last().is_some_and(right_to_left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prepares_as_postgresql_does() {
        let table: [(&[u8], &[u8]); 18] = [
            (b"", b""),
            (b"secret", b"secret"),
            (b"with\x07bell", b"with\x07bell"),
            ("I\u{ad}X".as_bytes(), b"IX"),
            ("\u{aa}".as_bytes(), b"a"),
            ("\u{2168}".as_bytes(), b"IX"),
            ("a\u{a0}b".as_bytes(), b"a b"),
            ("a\u{3000}b".as_bytes(), b"a b"),
            ("e\u{301}".as_bytes(), "\u{e9}".as_bytes()),
            ("\u{fb01}x".as_bytes(), b"fix"),
            // Only characters that map to nothing: an empty password is not made.
            ("\u{ad}".as_bytes(), "\u{ad}".as_bytes()),
            // Prohibited: private use, tagging, beyond what Unicode 3.2 assigned.
            ("x\u{e000}".as_bytes(), "x\u{e000}".as_bytes()),
            ("x\u{e0041}".as_bytes(), "x\u{e0041}".as_bytes()),
            ("\u{aa}\u{1f100}".as_bytes(), "\u{aa}\u{1f100}".as_bytes()),
            // Bidirectional rules.
            ("\u{627}1".as_bytes(), "\u{627}1".as_bytes()),
            (
                "\u{627}\u{aa}\u{627}".as_bytes(),
                "\u{627}\u{aa}\u{627}".as_bytes(),
            ),
            ("\u{fef5}".as_bytes(), "\u{644}\u{622}".as_bytes()),
            // Not UTF-8.
            (b"\xff\xc2\xaa", b"\xff\xc2\xaa"),
        ];
        for (password, prepared) in table {
            assert_eq!(saslprep(password).as_slice(), prepared, "{password:x?}");
        }
    }
}
