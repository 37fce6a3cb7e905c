//! Owns the users file: PgBouncer's `userlist.txt`, one `"user" "secret"` per line. Takes its text,
//! gives verifiers by user. Errors name the line, never what stands there.
//!
//! Passwords that the file holds as such cost a derivation at each login. Deriving a verifier for
//! each of them when the file is read, with the salt of [`MockSecret::salt`](crate::MockSecret::salt),
//! spares that, and makes users look alike that exist and that don't
//! ([`Doomed::Scram`](crate::Doomed::Scram)).

use crate::verifier::{Stored, Verifier, VerifierFault};
use buf::Secret;
use std::collections::BTreeMap;
use std::fmt;

/// The verifiers of a users file.
#[derive(Default)]
pub struct Users(BTreeMap<String, Entry>);

struct Entry {
    line: usize,
    /// `None` for the empty secret: the user is known, but no password ever matches.
    verifier: Option<Verifier>,
}

/// A line that is not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct UsersFault {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub kind: UsersFaultKind,
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UsersFaultKind {
    /// A field does not begin with a double quote.
    #[error("expected \"user\" \"secret\", both in double quotes")]
    NotQuoted,
    /// A field does not end.
    #[error("a closing double quote is missing (a double quote inside is written twice)")]
    NotClosed,
    /// Something else than a comment behind the secret.
    #[error("only a comment may follow the secret")]
    Trailing,
    /// An empty user name, or one with a zero byte.
    #[error("the user name is empty or holds a zero byte")]
    Name,
    /// The same user on an earlier line.
    #[error("the user was defined already in line {earlier}")]
    Duplicate {
        /// The earlier line.
        earlier: usize,
    },
    /// The secret is not what it looks like.
    #[error("{0}")]
    Secret(VerifierFault),
}

impl Users {
    /// Reads the whole text; gives all faults, not just the first.
    ///
    /// Lines are empty, comments (`;` or `#`), or `"user" "secret"` with `""` for a double quote.
    /// The secret is a SCRAM verifier, `md5` and 32 digits, or a password.
    pub fn parse(text: &str) -> Result<Self, Vec<UsersFault>> {
        let mut users = Self::default();
        let mut faults = Vec::new();
        for (line, content) in (1..).zip(text.lines()) {
            if let Err(kind) = users.read_line(line, content.trim()) {
                faults.push(UsersFault { line, kind });
            }
        }
        if faults.is_empty() {
            Ok(users)
        } else {
            Err(faults)
        }
    }

    fn read_line(&mut self, line: usize, content: &str) -> Result<(), UsersFaultKind> {
        if content.is_empty() || content.starts_with([';', '#']) {
            return Ok(());
        }
        let (name, rest) = field(content)?;
        let (secret, rest) = field(rest.trim_start())?;
        if !(rest.trim_start().is_empty() || rest.trim_start().starts_with([';', '#'])) {
            return Err(UsersFaultKind::Trailing);
        }
        let (name, secret) = (as_text(&name), as_text(&secret));
        if name.is_empty() || name.contains('\0') {
            return Err(UsersFaultKind::Name);
        }
        if let Some(earlier) = self.0.get(name) {
            let earlier = earlier.line;
            return Err(UsersFaultKind::Duplicate { earlier });
        }
        let verifier = match Verifier::parse(secret) {
            Ok(verifier) => Some(verifier),
            Err(VerifierFault::Empty) => None,
            Err(fault) => return Err(UsersFaultKind::Secret(fault)),
        };
        self.0.insert(name.to_owned(), Entry { line, verifier });
        Ok(())
    }

    /// What is stored about a user.
    pub fn stored(&self, user: &str) -> Stored {
        match self.verifier(user) {
            Some(verifier) => Stored::Known(verifier.clone()),
            None => Stored::Unknown,
        }
    }

    /// The usable verifier of a user.
    pub fn verifier(&self, user: &str) -> Option<&Verifier> {
        self.0.get(user)?.verifier.as_ref()
    }

    /// All users with usable verifiers, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Verifier)> {
        self.0
            .iter()
            .filter_map(|(name, entry)| Some((name.as_str(), entry.verifier.as_ref()?)))
    }

    /// Number of users, usable or not.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True without users.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Users({})", self.0.len())
    }
}

/// One line for a users file.
pub fn line(user: &str, secret: &Secret) -> Secret {
    let mut text = Vec::with_capacity(2 * (user.len() + secret.len()) + 6);
    for (field, end) in [(user.as_bytes(), b' '), (secret.expose(), b'\n')] {
        text.push(b'"');
        for &byte in field {
            text.extend_from_slice(if byte == b'"' {
                b"\"\""
            } else {
                std::slice::from_ref(&byte)
            });
        }
        text.extend_from_slice(&[b'"', end]);
    }
    Secret::from_vec(text)
}

/// The quoted field at the start of `text`, and what follows it.
fn field(text: &str) -> Result<(Secret, &str), UsersFaultKind> {
    let quoted = text.strip_prefix('"').ok_or(UsersFaultKind::NotQuoted)?;
    let mut value = Vec::with_capacity(quoted.len());
    let mut rest = quoted;
    loop {
        let (part, after) = rest.split_once('"').ok_or(UsersFaultKind::NotClosed)?;
        value.extend_from_slice(part.as_bytes());
        match after.strip_prefix('"') {
            Some(after) => {
                value.push(b'"');
                rest = after;
            }
            None => return Ok((Secret::from_vec(value), after)),
        }
    }
}

/// A field is made of pieces of a text, cut at double quotes, so it is text.
fn as_text(field: &Secret) -> &str {
    std::str::from_utf8(field.expose()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_pgbouncer_writes() {
        let text = "; comment\n# comment\n\n\
            \"alice\" \"hunter2\"\n\
            \t \"bob\"\"by\"\t\"with\"\"quote; # no comment\"\r\n\
            \"carol\" \"\" ; no password\n\
            \"dave\" \"md50123456789abcdef0123456789abcdef\" # md5";
        let users = Users::parse(text).unwrap();
        assert_eq!(users.len(), 4);
        let kinds: Vec<_> = users
            .iter()
            .map(|(name, verifier)| format!("{name} {verifier:?}"))
            .collect();
        assert_eq!(kinds, ["alice Password", "bob\"by Password", "dave Md5"]);
        let Stored::Known(Verifier::Password(secret)) = users.stored("bob\"by") else {
            panic!("bob has a password");
        };
        assert!(secret.same_as(b"with\"quote; # no comment"));
        assert!(matches!(users.stored("carol"), Stored::Unknown));
        assert!(matches!(users.stored("nobody"), Stored::Unknown));
    }

    #[test]
    fn faults_name_the_line_and_never_the_secret() {
        use UsersFaultKind::{Duplicate, Name, NotClosed, NotQuoted, Trailing};
        let table = [
            ("alice hunter2", NotQuoted),
            ("\"alice\" hunter2", NotQuoted),
            ("\"alice\"", NotQuoted),
            ("\"alice", NotClosed),
            ("\"alice\" \"hunter2", NotClosed),
            ("\"alice\" \"hunter2\"\"", NotClosed),
            ("\"alice\" \"hunter2\" \"hunter2\"", Trailing),
            ("\"\" \"hunter2\"", Name),
            ("\"a\0b\" \"hunter2\"", Name),
            ("\"first\" \"hunter2\"", Duplicate { earlier: 1 }),
            (
                "\"alice\" \"hunter2\0\"",
                UsersFaultKind::Secret(VerifierFault::Nul),
            ),
        ];
        for (content, kind) in table {
            let text = format!("\"first\" \"x\"\n\n{content}\n\"last\" \"x\"");
            let faults = Users::parse(&text).unwrap_err();
            assert_eq!(faults, [UsersFault { line: 3, kind }], "{content}");
            let printed = format!("{} {:?}", faults[0], faults[0]);
            assert!(!printed.contains("hunter2"), "{printed}");
        }
        let faults = Users::parse("a\nb\n\"c\" \"SCRAM-SHA-256$hunter2\"").unwrap_err();
        assert_eq!(
            faults.iter().map(|fault| fault.line).collect::<Vec<_>>(),
            [1, 2, 3]
        );
        assert!(!format!("{faults:?} {}", faults[2]).contains("hunter2"));
    }

    #[test]
    fn lines_read_back_as_they_were_written() {
        let secret = b"a\"b\"\"c";
        let text = line("x\"y", &Secret::new(secret));
        let users = Users::parse(std::str::from_utf8(text.expose()).unwrap()).unwrap();
        let Some(Verifier::Password(read)) = users.verifier("x\"y") else {
            panic!("the user is there");
        };
        assert!(read.same_as(secret));
    }
}
