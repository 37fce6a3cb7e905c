//! Owns patterns: names in certificates with holes, and roles made from what the holes held.
//!
//! A hole stands for 1 to 63 characters, none of them a separator (`/ . @ :`) or a control
//! character: whoever issues a certificate for one segment cannot reach into the next. A hole ends
//! where its segment does, so a name matches in one way or not at all.

/// The longest part of a name that a hole stands for, in characters: a label of a host name, or a
/// role of PostgreSQL.
const PART_MAX: usize = 63;
const SEPARATORS: [char; 4] = ['/', '.', '@', ':'];

/// A text with holes, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Piece>);

/// A piece of a [`Pattern`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// This text.
    Text(String),
    /// Any part.
    Any,
    /// Any part, kept under this name.
    Capture(String),
}

impl Pattern {
    /// A pattern of these pieces. Between two separators there should be one hole at most; of
    /// several, the first takes all.
    pub fn new(pieces: Vec<Piece>) -> Pattern {
        Pattern(pieces)
    }

    /// What the holes hold if the whole of `name` matches.
    pub(crate) fn captures<'a>(&'a self, name: &'a str) -> Option<Captures<'a>> {
        let mut captured = Vec::new();
        let mut rest = name;
        for (at, piece) in self.0.iter().enumerate() {
            let part = match piece {
                Piece::Text(text) => {
                    rest = rest.strip_prefix(text.as_str())?;
                    continue;
                }
                Piece::Any | Piece::Capture(_) => part(rest, self.0.get(at + 1))?,
            };
            if let Piece::Capture(name) = piece {
                captured.push((name.as_str(), part));
            }
            rest = &rest[part.len()..];
        }
        rest.is_empty().then_some(Captures(captured))
    }
}

impl From<&str> for Pattern {
    /// Exactly this text.
    fn from(text: &str) -> Pattern {
        Pattern(vec![Piece::Text(text.to_owned())])
    }
}

/// What a hole holds at the start of `rest`: its segment without the text that follows the hole in
/// it.
fn part<'a>(rest: &'a str, next: Option<&Piece>) -> Option<&'a str> {
    let segment = rest.split(SEPARATORS).next().unwrap_or(rest);
    let follows = match next {
        Some(Piece::Text(text)) => text.split(SEPARATORS).next().unwrap_or(text),
        _ => "",
    };
    let part = segment.strip_suffix(follows)?;
    let length = part.chars().count();
    let fits = (1..=PART_MAX).contains(&length) && !part.chars().any(char::is_control);
    fits.then_some(part)
}

/// What the holes of a pattern held, by name.
pub(crate) struct Captures<'a>(Vec<(&'a str, &'a str)>);

impl Captures<'_> {
    /// Whether a role's pattern, filled with these, is `user`. A hole without a name, or with one
    /// that nothing was captured under, is no role.
    pub(crate) fn make(&self, role: &Pattern, user: &str) -> bool {
        let mut rest = user;
        for piece in &role.0 {
            let text = match piece {
                Piece::Text(text) => Some(text.as_str()),
                Piece::Any => None,
                Piece::Capture(name) => {
                    let found = self.0.iter().find(|(captured, _)| captured == name);
                    found.map(|(_, part)| *part)
                }
            };
            match text.and_then(|text| rest.strip_prefix(text)) {
                Some(behind) => rest = behind,
                None => return false,
            }
        }
        rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    fn capture(name: &str) -> Piece {
        Piece::Capture(name.to_owned())
    }

    /// `spiffe://corp/ns/*/sa/{role}`
    fn spiffe() -> Pattern {
        Pattern::new(vec![
            text("spiffe://corp/ns/"),
            Piece::Any,
            text("/sa/"),
            capture("role"),
        ])
    }

    #[test]
    fn a_hole_stays_in_its_segment() {
        let long = format!("spiffe://corp/ns/a/sa/{}", "r".repeat(64));
        let longest = format!("spiffe://corp/ns/a/sa/{}", "r".repeat(63));
        for (name, role) in [
            ("spiffe://corp/ns/prod/sa/app", Some("app")),
            ("spiffe://corp/ns/prod/sa/äpp", Some("äpp")),
            (longest.as_str(), Some(&longest[22..])),
            (long.as_str(), None),
            ("spiffe://corp/ns//sa/app", None),
            ("spiffe://corp/ns/prod/sa/", None),
            ("spiffe://corp/ns/prod/sa/app/", None),
            ("spiffe://corp/ns/prod/x/sa/app", None),
            ("spiffe://corp/ns/prod/sa/app/sa/postgres", None),
            ("spiffe://corp/ns/prod/sa/app.x", None),
            ("spiffe://corp/ns/prod/sa/app@x", None),
            ("spiffe://corp/ns/prod/sa/app\0", None),
            ("spiffe://corp/ns/prod/sa/app\n", None),
            ("xspiffe://corp/ns/prod/sa/app", None),
            ("spiffe://corp.evil/ns/prod/sa/app", None),
            ("SPIFFE://corp/ns/prod/sa/app", None),
            ("", None),
        ] {
            let pattern = spiffe();
            let captures = pattern.captures(name);
            assert_eq!(captures.is_some(), role.is_some(), "{name:?}");
            if let (Some(captures), Some(role)) = (captures, role) {
                let wanted = Pattern::new(vec![capture("role")]);
                assert!(captures.make(&wanted, role), "{name:?}");
                assert!(!captures.make(&wanted, "postgres"), "{name:?}");
            }
        }
    }

    #[test]
    fn text_around_a_hole_belongs_to_the_segment() {
        let pattern = Pattern::new(vec![
            text("svc-"),
            capture("a"),
            text("-prod.x."),
            capture("b"),
        ]);
        let role = Pattern::new(vec![capture("b"), text("_"), capture("a")]);
        for (name, made) in [
            ("svc-app-prod.x.y", Some("y_app")),
            ("svc-a-prod-prod.x.y", Some("y_a-prod")),
            ("svc--prod.x.y", None),
            ("svc-prod.x.y", None),
            ("svc-app-prod.x.", None),
            ("svc-app-prod.x.y.z", None),
        ] {
            let captures = pattern.captures(name);
            let makes = |user: &str| captures.as_ref().is_some_and(|it| it.make(&role, user));
            match made {
                Some(user) => assert!(makes(user), "{name}"),
                None => assert!(captures.is_none(), "{name}"),
            }
            assert!(!makes("") && !makes("y") && !makes("y_app_"), "{name}");
        }
    }

    #[test]
    fn what_was_not_captured_is_no_role() {
        let pattern = spiffe();
        let captures = pattern.captures("spiffe://corp/ns/a/sa/b").unwrap();
        for role in [capture("other"), Piece::Any] {
            let role = Pattern::new(vec![role]);
            assert!(!captures.make(&role, "") && !captures.make(&role, "b"));
        }
    }
}
