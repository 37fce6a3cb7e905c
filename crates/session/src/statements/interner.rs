//! Owns the statements that clients of one worker share, and which texts have been seen before.

use super::statement::fast;
use super::{Dialect, Statement};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much an interner keeps of what nobody uses at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheLimits {
    /// Statements.
    pub statements_max: usize,
    /// Bytes of their texts.
    pub bytes_max: usize,
}

impl Default for CacheLimits {
    fn default() -> Self {
        CacheLimits {
            statements_max: 10_000,
            bytes_max: 16 << 20,
        }
    }
}

/// Statements by their texts. A worker has one; clones are the same one.
///
/// Beyond its limits a text gets a statement that isn't shared, with the same name on servers: the
/// statements that are in use are bounded by what each client may have.
#[derive(Clone)]
pub struct Interner(Arc<Inner>);

struct Inner {
    key: [u8; 32],
    fixture: Arc<Statement>,
    limits: CacheLimits,
    table: Mutex<Table>,
}

struct Table {
    /// By the fast hash. Of two texts with the same one only the first is shared.
    statements: HashMap<u64, Arc<Statement>>,
    /// Their hashes, in the order in which they are looked at for eviction.
    order: VecDeque<u64>,
    bytes: usize,
    seen: Box<[u64]>,
}

impl Interner {
    /// Hashes of unnamed texts that are remembered.
    const SEEN: usize = 4096;
    /// Statements looked at to make room for one.
    const LOOKED_AT: usize = 8;

    /// An empty one. All workers of a process (and no other) have the same `key`: 32 random bytes.
    pub fn new(key: [u8; 32], limits: CacheLimits) -> Interner {
        Interner(Arc::new(Inner {
            key,
            fixture: Arc::new(Statement::fixture()),
            limits,
            table: Mutex::new(Table {
                statements: HashMap::new(),
                order: VecDeque::new(),
                bytes: 0,
                seen: vec![0; Self::SEEN].into_boxed_slice(),
            }),
        }))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // A panic in here leaves a table whose entries are all still right.
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of statements, and bytes of their texts.
    pub fn held(&self) -> (usize, usize) {
        let table = self.table();
        (table.statements.len(), table.bytes)
    }

    pub(crate) fn fixture(&self) -> Arc<Statement> {
        self.0.fixture.clone()
    }

    /// The statement of a named Parse.
    pub(crate) fn intern(&self, dialect: Dialect, body: &[u8]) -> Arc<Statement> {
        let hash = fast(&self.0.key, dialect, body);
        self.find_or_add(hash, dialect, body)
    }

    /// The statement of an unnamed Parse, if it is worth keeping: a text that came before.
    pub(crate) fn promote(&self, dialect: Dialect, body: &[u8]) -> Option<Arc<Statement>> {
        let hash = fast(&self.0.key, dialect, body);
        let is_new = {
            let mut table = self.table();
            if let Some(known) = table.find(hash, dialect, body) {
                return Some(known);
            }
            let place = &mut table.seen[hash as usize % Self::SEEN];
            std::mem::replace(place, hash) != hash
        };
        if is_new {
            return None;
        }
        Some(self.find_or_add(hash, dialect, body))
    }

    fn find_or_add(&self, hash: u64, dialect: Dialect, body: &[u8]) -> Arc<Statement> {
        if let Some(known) = self.table().find(hash, dialect, body) {
            return known;
        }
        // Not under the lock: reading a text and hashing it takes its time.
        let statement = Arc::new(Statement::shared(&self.0.key, dialect, body));
        let mut dropped = Vec::new();
        let mut table = self.table();
        if !table.statements.contains_key(&hash)
            && table.make_room(self.0.limits, body.len(), &mut dropped)
        {
            table.bytes += body.len();
            table.order.push_back(hash);
            table.statements.insert(hash, statement.clone());
        }
        drop(table);
        // Wiping what was evicted isn't done under the lock either.
        drop(dropped);
        statement
    }
}

impl Table {
    fn find(&self, hash: u64, dialect: Dialect, body: &[u8]) -> Option<Arc<Statement>> {
        let known = self.statements.get(&hash)?;
        known.is(dialect, body).then(|| known.clone())
    }

    /// Evicts what nobody uses, oldest first; false if that isn't enough.
    fn make_room(
        &mut self,
        limits: CacheLimits,
        bytes: usize,
        dropped: &mut Vec<Arc<Statement>>,
    ) -> bool {
        let full = |table: &Table| {
            table.statements.len() >= limits.statements_max
                || table.bytes + bytes > limits.bytes_max
        };
        for _ in 0..Interner::LOOKED_AT {
            if !full(self) {
                return true;
            }
            let Some(hash) = self.order.pop_front() else {
                return false;
            };
            let used = |it: &Arc<Statement>| Arc::strong_count(it) > 1;
            if self.statements.get(&hash).is_some_and(used) {
                self.order.push_back(hash);
                continue;
            }
            if let Some(unused) = self.statements.remove(&hash) {
                self.bytes -= unused.len();
                dropped.push(unused);
            }
        }
        !full(self)
    }
}

impl fmt::Debug for Interner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (statements, bytes) = self.held();
        write!(f, "Interner({statements} statements, {bytes} bytes)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(index: usize) -> Vec<u8> {
        format!("select {index}\0\0\0").into_bytes()
    }

    fn interner(statements_max: usize, bytes_max: usize) -> Interner {
        let limits = CacheLimits {
            statements_max,
            bytes_max,
        };
        Interner::new([1; 32], limits)
    }

    #[test]
    fn the_same_text_is_the_same_statement() {
        let interner = interner(10, 1000);
        let first = interner.intern(Dialect::default(), &body(1));
        let same = interner.intern(Dialect::default(), &body(1));
        let other = interner.intern(Dialect::default(), &body(2));
        assert!(Arc::ptr_eq(&first, &same) && !Arc::ptr_eq(&first, &other));
        let settings = Dialect {
            settings: 1,
            ..Dialect::default()
        };
        assert_ne!(
            interner.intern(settings, &body(1)).id().unwrap().0,
            first.id().unwrap().0
        );
    }

    #[test]
    fn only_what_nobody_uses_is_evicted() {
        for interner in [interner(2, 1000), interner(10, body(1).len() * 2)] {
            let used: Vec<_> = (0..5)
                .map(|index| interner.intern(Dialect::default(), &body(index)))
                .collect();
            assert_eq!(interner.held().0, 2);
            let again = interner.intern(Dialect::default(), &body(1));
            assert!(Arc::ptr_eq(&again, &used[1]));
            // Not shared, but the same on servers.
            let again = interner.intern(Dialect::default(), &body(4));
            assert!(!Arc::ptr_eq(&again, &used[4]));
            assert_eq!(again.id().unwrap().0, used[4].id().unwrap().0);
            drop((used, again));
            let nine = interner.intern(Dialect::default(), &body(9));
            assert!(Arc::ptr_eq(
                &nine,
                &interner.intern(Dialect::default(), &body(9))
            ));
            assert!(interner.held().0 <= 2);
        }
    }

    #[test]
    fn an_unnamed_text_is_kept_from_the_second_time_on() {
        let interner = interner(10, 1000);
        let dialect = Dialect::default();
        assert!(interner.promote(dialect, &body(1)).is_none());
        assert!(interner.promote(dialect, &body(2)).is_none());
        let second = interner.promote(dialect, &body(1)).unwrap();
        let third = interner.promote(dialect, &body(1)).unwrap();
        assert!(Arc::ptr_eq(&second, &third));
        // A named one is known from the first time on.
        interner.intern(dialect, &body(3));
        assert!(interner.promote(dialect, &body(3)).is_some());
    }
}
