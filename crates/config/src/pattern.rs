//! Owns the patterns of `[[auth.map]]`: how names in certificates, and the roles made from them, are
//! read. What matches is decided by whoever uses them.
//!
//! `*` stands for a part of a name and `{name}` for one that the role may use. A part has no
//! `/`, `.`, `@` or `:`, and between two of these there is one hole at most: a name matches in one
//! way or not at all.

use crate::checked::{CertificateName, Pattern, Piece};
use crate::error::Malformed;
use crate::read::{Bad, Read, Value};
use crate::setting::{Bounds, Kind, Unit};
use crate::values::{kind, malformed, text};

/// A role, perhaps with captured parts.
#[derive(Clone)]
pub(crate) struct Role(pub(crate) Pattern);

/// What no hole stands for.
const SEPARATORS: [char; 4] = ['/', '.', '@', ':'];

/// A kind of name, made of a pattern.
type Of = fn(Pattern) -> CertificateName;

impl Read for CertificateName {
    const KIND: Kind = kind("a name with its kind, for example \"CN=app\"", Unit::Length);
    const BOUNDS: Bounds = Bounds::new(1, 1024);

    fn read(value: &Value<'_>, bounds: Bounds) -> Result<Self, Bad> {
        let text = text(value, bounds, Self::KIND.name)?;
        let kinds: [(&str, Of); 4] = [
            ("CN=", Self::CommonName),
            ("DNS:", Self::Dns),
            ("email:", Self::Email),
            ("URI:", Self::Uri),
        ];
        let after = |(prefix, of): (&str, Of)| Some((text.strip_prefix(prefix)?, of));
        let found = kinds.into_iter().find_map(after);
        let (name, of) = found
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| malformed(value, Malformed::CertificateName))?;
        let pattern = pieces(name, true).filter(|pieces| is_clear(pieces));
        pattern
            .map(|pieces| of(Pattern(pieces)))
            .ok_or_else(|| malformed(value, Malformed::Pattern))
    }
}

impl Read for Role {
    const KIND: Kind = kind("a text", Unit::Length);
    const BOUNDS: Bounds = String::BOUNDS;

    fn read(value: &Value<'_>, bounds: Bounds) -> Result<Self, Bad> {
        let text = text(value, bounds, Self::KIND.name)?;
        pieces(text, false)
            .map(|pieces| Self(Pattern(pieces)))
            .ok_or_else(|| malformed(value, Malformed::Pattern))
    }
}

/// Takes a text apart; `None` if braces don't fit or a name in them is none.
fn pieces(text: &str, stars: bool) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let special = |letter: char| "{}".contains(letter) || (stars && letter == '*');
        let end = rest.find(special).unwrap_or(rest.len());
        if end > 0 {
            pieces.push(Piece::Text(rest[..end].to_owned()));
        }
        rest = &rest[end..];
        if let Some(behind) = rest.strip_prefix('*').filter(|_| stars) {
            pieces.push(Piece::Any);
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix('{') {
            let (name, behind) = behind.split_once('}')?;
            let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            if name.is_empty() || !name.chars().all(fits) {
                return None;
            }
            pieces.push(Piece::Capture(name.to_owned()));
            rest = behind;
        } else if !rest.is_empty() {
            return None;
        }
    }
    Some(pieces)
}

/// One hole at most between two separators, and no name twice.
fn is_clear(pieces: &[Piece]) -> bool {
    let mut holes = 0;
    let mut names = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) if text.contains(SEPARATORS) => holes = 0,
            Piece::Text(_) => {}
            Piece::Any => holes += 1,
            Piece::Capture(name) => {
                holes += 1;
                if names.contains(&name) {
                    return false;
                }
                names.push(name);
            }
        }
        if holes > 1 {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_clear_or_refused() {
        for (text, right) in [
            ("spiffe://corp/ns/*/sa/{role}", true),
            ("svc-{role}-prod.example", true),
            ("plain", true),
            ("*", true),
            ("{a}.{b}", true),
            ("{a}{b}", false),
            ("{a}-{b}", false),
            ("**", false),
            ("*-*", false),
            ("{a}.{a}", false),
            ("{", false),
            ("}", false),
            ("{}", false),
            ("{a b}", false),
            ("{{a}}", false),
            ("a}b", false),
        ] {
            let read = pieces(text, true).filter(|pieces| is_clear(pieces));
            assert_eq!(read.is_some(), right, "{text}");
        }
        // In a role a star is a star.
        let star = Some(vec![Piece::Text("a*".into())]);
        assert_eq!(pieces("a*", false), star);
    }
}
