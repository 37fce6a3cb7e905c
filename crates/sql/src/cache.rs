//! Owns the memory of what was made of texts before: a table of bounded size whose keys are keyed hashes of
//! the bytes and of everything else that the result depends on. It stores no text.
//!
//! The hash is HighwayHash of 256 bits under a key that the caller draws at random for each process: nobody who
//! doesn't know the key can write two texts that meet. Entries leave in the order of their coming, with a
//! second chance for those that were asked for since.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::hash::{BuildHasherDefault, Hasher};

use highway::{HighwayHash, HighwayHasher, Key};

use crate::encoding::Lexing;

/// What a text and its circumstances are known by in a [`Cache`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CacheKey([u64; 4]);

/// Bytes that an entry takes beside its value: key, flags, its places in the table and in the queue, and what both
/// keep free.
const ENTRY_BYTES: usize = 160;

/// Bounds of a [`Cache`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// No more entries.
    pub entries: usize,
    /// No more bytes, entries' overhead included.
    pub bytes: usize,
}

struct Entry<V> {
    value: V,
    bytes: usize,
    was_asked_for: bool,
}

/// See the module's text. For one thread.
pub struct Cache<V> {
    secret: Key,
    limits: CacheLimits,
    bytes: usize,
    entries: HashMap<CacheKey, Entry<V>, BuildHasherDefault<Taken>>,
    /// In the order of their coming.
    queue: VecDeque<CacheKey>,
}

impl<V> Cache<V> {
    /// Empty, with the process's random key.
    pub fn new(secret: [u64; 4], limits: CacheLimits) -> Self {
        Self {
            secret: Key(secret),
            limits,
            bytes: 0,
            entries: HashMap::default(),
            queue: VecDeque::new(),
        }
    }

    /// The key of a text under a lexing state. `circumstances` is what else the value depends on, in a form of the
    /// caller's (whether the server is in UTF8, a rule set's generation, the scope of a shape).
    pub fn key(&self, text: &[u8], lexing: Lexing, circumstances: u64) -> CacheKey {
        let mut hasher = HighwayHasher::new(self.secret);
        hasher.append(text);
        let mut state = [0; 25];
        state[0] = lexing.encoding as u8 | u8::from(lexing.standard_conforming_strings) << 7;
        state[1..9].copy_from_slice(&(lexing.len_max as u64).to_le_bytes());
        state[9..17].copy_from_slice(&circumstances.to_le_bytes());
        state[17..].copy_from_slice(&(text.len() as u64).to_le_bytes());
        hasher.append(&state);
        CacheKey(hasher.finalize256())
    }

    /// What is known under a key.
    pub fn find(&mut self, key: &CacheKey) -> Option<&V> {
        let entry = self.entries.get_mut(key)?;
        entry.was_asked_for = true;
        Some(&entry.value)
    }

    /// Keeps a value that takes so many bytes from the heap; what is larger than everything allowed isn't kept.
    pub fn insert(&mut self, key: CacheKey, value: V, heap_bytes: usize) {
        let bytes = ENTRY_BYTES + size_of::<V>() + heap_bytes;
        if bytes > self.limits.bytes || self.limits.entries == 0 {
            return;
        }
        if let Some(old) = self.entries.get_mut(&key) {
            self.bytes = self.bytes - old.bytes + bytes;
            old.value = value;
            old.bytes = bytes;
            while self.bytes > self.limits.bytes {
                self.evict();
            }
            return;
        }
        while self.entries.len() >= self.limits.entries || self.bytes + bytes > self.limits.bytes {
            self.evict();
        }
        let entry = Entry {
            value,
            bytes,
            was_asked_for: false,
        };
        self.entries.insert(key, entry);
        self.queue.push_back(key);
        self.bytes += bytes;
    }

    fn evict(&mut self) {
        let Some(oldest) = self.queue.pop_front() else {
            return;
        };
        let Some(entry) = self.entries.get_mut(&oldest) else {
            return;
        };
        if entry.was_asked_for {
            entry.was_asked_for = false;
            self.queue.push_back(oldest);
            return;
        }
        self.bytes -= entry.bytes;
        self.entries.remove(&oldest);
    }

    /// Entries at present.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes at present, as they are counted against the limit.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.queue.clear();
        self.bytes = 0;
    }
}

/// A key is a hash already: its first word is the table's.
#[derive(Default)]
struct Taken(u64);

impl Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 ^= u64::from_le_bytes(*first);
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 ^= word;
    }

    fn write_usize(&mut self, _: usize) {}
}
