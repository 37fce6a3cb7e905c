//! Owns the question under which rules a client's SQL is lexed.

use super::Wishes;
use crate::Reported;
use sql::{Encoding, Lexing};

/// The lexing state of a session with these wishes, on a server that reported these defaults. Texts of more
/// than `len_max` bytes aren't judged; none is, if the state is no known one.
pub fn lexing_of(wishes: &Wishes, reported: &Reported, len_max: usize) -> Lexing {
    let value = |folded, name| wishes.value(folded).or_else(|| reported.value(name));
    let encoding = value("client_encoding", "client_encoding").map(|name| {
        let name = std::str::from_utf8(name).ok();
        name.and_then(Encoding::named)
    });
    let strings = "standard_conforming_strings";
    let strings = value(strings, strings).map(boolean);
    // What a server doesn't report is as it is by default.
    let (encoding, strings) = (
        encoding.unwrap_or(Some(Encoding::Utf8)),
        strings.unwrap_or(Some(true)),
    );
    match (encoding, strings) {
        (Some(encoding), Some(standard_conforming_strings)) => Lexing {
            encoding,
            standard_conforming_strings,
            len_max,
        },
        _ => Lexing {
            len_max: 0,
            ..Lexing::default()
        },
    }
}

/// `parse_bool` of the server: any unambiguous beginning, whatever its case.
fn boolean(value: &[u8]) -> Option<bool> {
    let value = value.to_ascii_lowercase();
    let begins = |word: &[u8], least| value.len() >= least && word.starts_with(&value);
    if begins(b"on", 2) || begins(b"true", 1) || begins(b"yes", 1) || value == b"1" {
        Some(true)
    } else if begins(b"off", 2) || begins(b"false", 1) || begins(b"no", 1) || value == b"0" {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wishes::wishes;

    #[test]
    fn wishes_come_before_what_the_server_reported() {
        let mut reported = Reported::default();
        reported.note(b"client_encoding\0SJIS\0").unwrap();
        reported
            .note(b"standard_conforming_strings\0off\0")
            .unwrap();
        let of = |pairs: &[(&str, &str)]| {
            let lexing = lexing_of(&wishes(pairs), &reported, 100);
            let facts = (lexing.encoding, lexing.standard_conforming_strings);
            (lexing.len_max == 100).then_some(facts)
        };
        assert_eq!(of(&[]), Some((Encoding::Sjis, false)));
        let utf8 = ("client_encoding", "'utf-8'");
        assert_eq!(of(&[utf8]), Some((Encoding::Utf8, false)));
        for (word, meaning) in [("TR", true), ("0", false), ("of", false), ("Yes", true)] {
            let wished = of(&[utf8, ("standard_conforming_strings", word)]);
            assert_eq!(wished, Some((Encoding::Utf8, meaning)), "{word}");
        }
        assert_eq!(of(&[("client_encoding", "no such thing")]), None);
        assert_eq!(of(&[("standard_conforming_strings", "o")]), None);
        let default = lexing_of(&Wishes::default(), &Reported::default(), 1 << 20);
        assert_eq!(default, Lexing::default());
    }
}
