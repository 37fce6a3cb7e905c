//! Owns the names that a client has given to its statements, bounded in number and bytes.

use super::Statement;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::Arc;

/// A client's name for a statement: its first 63 bytes, which are what PostgreSQL tells names apart
/// by (`prepared_queries` in prepare.c has keys of NAMEDATALEN).
#[derive(Clone, Copy)]
pub struct Name {
    len: u8,
    bytes: [u8; Name::MAX],
}

impl Name {
    /// NAMEDATALEN - 1.
    pub const MAX: usize = 63;

    /// The name that the server would know.
    #[inline]
    pub fn new(name: &[u8]) -> Name {
        let len = name.len().min(Self::MAX);
        let mut bytes = [0; Self::MAX];
        bytes[..len].copy_from_slice(&name[..len]);
        Name {
            len: len as u8,
            bytes,
        }
    }

    /// Its bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The part of a name that counts.
    #[inline]
    pub(crate) fn cut(name: &[u8]) -> &[u8] {
        &name[..name.len().min(Self::MAX)]
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}
impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes().hash(state);
    }
}

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        self.bytes()
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({:?})", String::from_utf8_lossy(self.bytes()))
    }
}

/// What a client's name stands for.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    /// This statement.
    Here(Arc<Statement>),
    /// None.
    Nothing,
    /// That depends on an answer that is still to come.
    Unsure,
}

/// A client's names and their statements.
#[derive(Debug, Default)]
pub(crate) struct Names {
    statements: HashMap<Name, Arc<Statement>, Seed>,
    bytes: usize,
}

/// What a client's names are hashed with. Names are looked up for each Bind, so the hash is a short
/// one: words folded by multiplication under a secret seed, whose collisions a client can't make.
#[derive(Debug, Clone, Copy)]
struct Seed(u64, u64);

#[derive(Debug)]
struct Folded {
    state: u64,
    key: u64,
}

impl Default for Seed {
    fn default() -> Seed {
        let random = RandomState::new();
        Seed(random.hash_one(0u8), random.hash_one(1u8))
    }
}

impl BuildHasher for Seed {
    type Hasher = Folded;

    #[inline]
    fn build_hasher(&self) -> Folded {
        Folded {
            state: self.0,
            key: self.1 | 1,
        }
    }
}

impl Folded {
    #[inline]
    fn fold(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(self.key);
        self.state = (product as u64 ^ (product >> 64) as u64).wrapping_add(self.key);
    }
}

impl Hasher for Folded {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.fold(u64::from_be_bytes(*word));
        }
        self.fold(rest.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)));
    }

    /// The length of a name.
    #[inline]
    fn write_usize(&mut self, len: usize) {
        self.fold(len as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.state
    }
}

impl Names {
    /// What each name costs beside its statement's text.
    const NAME_BYTES: usize = size_of::<Name>() + size_of::<usize>();

    pub fn len(&self) -> usize {
        self.statements.len()
    }

    /// Bytes of all names and texts, as if none were shared.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<&Arc<Statement>> {
        self.statements.get(Name::cut(name))
    }

    pub fn insert(&mut self, name: Name, statement: Arc<Statement>) {
        self.bytes += Self::cost(&statement);
        if let Some(old) = self.statements.insert(name, statement) {
            self.bytes -= Self::cost(&old);
        }
    }

    pub fn remove(&mut self, name: &Name) {
        if let Some(old) = self.statements.remove(name.bytes()) {
            self.bytes -= Self::cost(&old);
        }
    }

    pub fn clear(&mut self) {
        *self = Names::default();
    }

    /// What a statement under a name adds to [`bytes`](Self::bytes).
    pub fn cost(statement: &Statement) -> usize {
        Self::NAME_BYTES + statement.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statements::Dialect;

    #[test]
    fn names_count_up_to_63_bytes() {
        let long = [b'a'; 70];
        assert_eq!(Name::new(&long), Name::new(&long[..63]));
        assert_ne!(Name::new(&long[..62]), Name::new(&long[..63]));
        assert_ne!(Name::new(b"a"), Name::new(b"A"));
    }

    #[test]
    fn names_hash_apart() {
        let seed = Seed::default();
        let hashes: std::collections::HashSet<_> = (0..10_000)
            .map(|index| seed.hash_one(Name::new(format!("S_{index}").as_bytes())))
            .collect();
        assert_eq!(hashes.len(), 10_000);
        let of = |name: &[u8]| seed.hash_one(Name::new(name));
        assert_ne!(of(b""), of(b"\0"));
        assert_eq!(of(b"a"), seed.hash_one(&b"a"[..]));
        assert_ne!(of(b"a"), Seed::default().hash_one(Name::new(b"a")));
    }

    #[test]
    fn bytes_are_given_back() {
        let mut names = Names::default();
        let statement = |body: &[u8]| Arc::new(Statement::unshared(Dialect::default(), body));
        names.insert(Name::new(b"a"), statement(b"select 1\0\0\0"));
        let one = names.bytes();
        names.insert(Name::new(b"a"), statement(b"select 2\0\0\0"));
        assert_eq!((names.len(), names.bytes()), (1, one));
        names.insert(Name::new(b"b"), statement(b"select 3\0\0\0"));
        names.remove(&Name::new(b"a"));
        names.remove(&Name::new(b"a"));
        assert_eq!((names.len(), names.bytes()), (1, one));
        assert!(names.find(b"b").is_some() && names.find(b"a").is_none());
        names.clear();
        assert_eq!((names.len(), names.bytes()), (0, 0));
    }
}
