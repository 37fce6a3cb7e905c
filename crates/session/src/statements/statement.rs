//! Owns one prepared statement: its text and parameter types, its name on servers, and what
//! executing it leaves behind.

use super::{Name, Reading};
use crate::govern::Known;
use crate::routing::Route;
use buf::Secret;
use openssl::sha::Sha256;
use patterns::{Pattern, Recogniser};
use sql::{Effects, Lexing};
use std::fmt;
use std::hash::{DefaultHasher, Hasher};
use std::sync::{Arc, OnceLock};
use wire::Text;

/// How a client's session understands SQL. Statements are shared only where it is the same: the
/// server reads literals when it parses, not when it executes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dialect {
    /// What decides where tokens end.
    pub lexing: Lexing,
    /// A hash of the other settings that a text's meaning hangs on: `client_encoding`, `DateStyle`,
    /// `IntervalStyle`, `TimeZone`, `search_path` and whatever else the client has set; the same
    /// number for the same values on every worker.
    pub settings: u64,
}

impl Dialect {
    /// The dialect in bytes, as part of what identifies a statement.
    fn bytes(self) -> [u8; 10] {
        let [a, b, c, d, e, f, g, h] = self.settings.to_be_bytes();
        let encoding = self.lexing.encoding.number();
        let conforming = u8::from(self.lexing.standard_conforming_strings);
        [a, b, c, d, e, f, g, h, encoding, conforming]
    }
}

/// What identifies a statement on servers: 128 bits of a keyed SHA-256 over dialect, text and types.
/// Clients don't know the key, so none can make two texts that have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Id(pub [u8; 16]);

impl Id {
    /// A statement that is there to exist: a Parse under its name fails as one that defines a name
    /// twice. Nobody executes it.
    pub const FIXTURE: Id = Id([0; 16]);

    fn of(key: &[u8; 32], dialect: Dialect, body: &[u8]) -> Id {
        let mut hasher = Sha256::new();
        hasher.update(key);
        hasher.update(&dialect.bytes());
        hasher.update(body);
        let mut id = [0; 16];
        id.copy_from_slice(&hasher.finish()[..16]);
        Id(id)
    }

    /// Its name on servers.
    pub fn name(self) -> ServerName {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut name = [0; ServerName::LEN];
        name[..3].copy_from_slice(ServerName::PREFIX);
        for (pair, byte) in name[3..].chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        ServerName(name)
    }
}

/// A statement's name on servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServerName([u8; ServerName::LEN]);

impl ServerName {
    /// What all begin with. No client's name that does reaches a server as it is.
    pub const PREFIX: &[u8; 3] = b"pc_";
    /// Bytes of a name.
    pub const LEN: usize = 35;

    /// Its bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A fast keyed hash, to find a text among those that are known.
pub(super) fn fast(key: &[u8; 32], dialect: Dialect, body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(key);
    hasher.write(&dialect.bytes());
    hasher.write(body);
    hasher.finish()
}

/// A prepared statement.
pub struct Statement {
    /// What stands behind the name in Parse: the text with its NUL, the count of types, the types.
    body: Secret,
    /// Bytes of the text, without its NUL.
    text: usize,
    /// `None` for one that is on servers only as the unnamed statement.
    id: Option<(Id, ServerName)>,
    dialect: Dialect,
    reading: Reading,
    /// The client's name that it forgets in the place of a text that would deallocate it.
    forgets: Option<Name>,
    /// Its pattern, once somebody has asked for it.
    pattern: OnceLock<Arc<Pattern>>,
    /// What is known of its text for rules, on a server in another encoding and on one in UTF8.
    judged: [OnceLock<Arc<Known>>; 2],
    /// Where its text may go by itself.
    route: OnceLock<Route>,
}

impl Statement {
    /// One that may be shared. `body` is what stands behind the name in a well-formed Parse.
    pub(super) fn shared(key: &[u8; 32], dialect: Dialect, body: &[u8]) -> Statement {
        let id = Id::of(key, dialect, body);
        Statement {
            id: Some((id, id.name())),
            ..Statement::unshared(dialect, body)
        }
    }

    /// One that only its client has.
    pub(crate) fn unshared(dialect: Dialect, body: &[u8]) -> Statement {
        let text = Text::cut(body).bytes();
        Statement {
            body: Secret::new(body),
            text: text.len(),
            id: None,
            dialect,
            reading: Reading::of(text, dialect.lexing),
            forgets: None,
            pattern: OnceLock::new(),
            judged: Default::default(),
            route: OnceLock::new(),
        }
    }

    /// What takes the place of an unnamed `DEALLOCATE name` where the client's names are not the
    /// server's: it deallocates the statement that is there to exist. `body` is the client's.
    pub(crate) fn deallocating(dialect: Dialect, body: &[u8], name: Name) -> Statement {
        let types = body.get(Text::cut(body).len()..).unwrap_or_default();
        let text = [b"DEALLOCATE ", Id::FIXTURE.name().bytes(), types].concat();
        Statement {
            text: Text::cut(&text).len(),
            body: Secret::from_vec(text),
            id: None,
            dialect,
            reading: Reading::NOTHING,
            forgets: Some(name),
            pattern: OnceLock::new(),
            judged: Default::default(),
            route: OnceLock::new(),
        }
    }

    /// The types that its first parameters were given.
    pub(crate) fn types(&self) -> impl Iterator<Item = u32> {
        let body = self.body.expose();
        let types = body.get(self.text + 3..).unwrap_or_default();
        let types = types.chunks_exact(4).filter_map(|it| it.try_into().ok());
        types.map(u32::from_be_bytes)
    }

    /// What is known of its text for rules.
    pub(crate) fn judged(&self, is_utf8: bool) -> Arc<Known> {
        let read = || Arc::new(Known::read(self.text(), self.dialect.lexing, is_utf8));
        Arc::clone(self.judged[usize::from(is_utf8)].get_or_init(read))
    }

    /// Where its text may go, without rules, hints of sessions and other wishes.
    pub(crate) fn route(&self, judge: impl FnOnce() -> Route) -> Route {
        *self.route.get_or_init(judge)
    }

    /// Its pattern.
    pub(crate) fn pattern(&self, recogniser: &Recogniser) -> Arc<Pattern> {
        let pattern = || recogniser.pattern(self.text(), self.dialect.lexing);
        Arc::clone(self.pattern.get_or_init(pattern))
    }

    /// The client's name that executing it forgets.
    #[inline]
    pub(crate) fn forgets(&self) -> Option<Name> {
        self.forgets
    }

    /// The one that is there to exist: an empty text, which the server takes even in a failed
    /// transaction.
    pub(super) fn fixture() -> Statement {
        Statement {
            body: Secret::new(&[0; 3]),
            text: 0,
            id: Some((Id::FIXTURE, Id::FIXTURE.name())),
            dialect: Dialect::default(),
            reading: Reading::NOTHING,
            forgets: None,
            pattern: OnceLock::new(),
            judged: Default::default(),
            route: OnceLock::new(),
        }
    }

    /// True if it is this text with these types, understood so.
    pub(crate) fn is(&self, dialect: Dialect, body: &[u8]) -> bool {
        self.dialect == dialect && self.body.expose() == body
    }

    pub(crate) fn id(&self) -> Option<(Id, ServerName)> {
        self.id
    }

    pub(crate) fn body(&self) -> &[u8] {
        self.body.expose()
    }

    /// The text without its NUL.
    pub(crate) fn text(&self) -> &[u8] {
        &self.body.expose()[..self.text]
    }

    /// How it was read.
    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// What its text shows.
    #[inline]
    pub(crate) fn reading(&self) -> &Reading {
        &self.reading
    }

    /// What executing it may leave behind, if that is known.
    pub fn effects(&self) -> Option<Effects> {
        self.reading.effects
    }

    /// Bytes of text and types.
    pub fn len(&self) -> usize {
        self.body.len()
    }

    /// Never: the shortest has a NUL and a count.
    pub fn is_empty(&self) -> bool {
        self.body.is_empty()
    }
}

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = self.len();
        write!(f, "Statement({len} bytes, {:?})", self.effects())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_on_servers_tell_texts_types_and_dialects_apart() {
        let key = [7; 32];
        let plain = Dialect::default();
        let conforming = Dialect {
            lexing: Lexing {
                standard_conforming_strings: false,
                ..Lexing::default()
            },
            ..plain
        };
        let settings = Dialect {
            settings: 1,
            ..plain
        };
        let name = |key, dialect, body| {
            let statement = Statement::shared(key, dialect, body);
            statement.id().unwrap().1.bytes().to_vec()
        };
        let first = name(&key, plain, b"select 1\0\0\0");
        assert_eq!(first.len(), 35);
        assert!(first.starts_with(b"pc_"));
        assert!(first[3..].iter().all(u8::is_ascii_hexdigit));
        assert_eq!(first, name(&key, plain, b"select 1\0\0\0"));
        for other in [
            name(&key, plain, b"select 2\0\0\0"),
            name(&key, plain, b"select 1\0\0\x01\0\0\0\x17"),
            name(&key, conforming, b"select 1\0\0\0"),
            name(&key, settings, b"select 1\0\0\0"),
            name(&[8; 32], plain, b"select 1\0\0\0"),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn debug_shows_no_text() {
        let statement = Statement::unshared(Dialect::default(), b"select 'hunter2'\0\0\0");
        assert!(!format!("{statement:?}").contains("hunter2"));
    }
}
