//! Owns the statistics of one worker: by pattern, database, role and application, bounded in number and in bytes.
//!
//! What has no place is counted under `other`, so that sums over all rows are always those of all statements.
//! A row that wasn't used since the hand last passed makes room: what is frequent stays, whatever passes by.

use crate::counter::Counter;
use crate::counts::{Run, Sum, WindowLength};
use crate::keyed::Keyed;
use crate::pattern::Pattern;
use crate::spread::Spread;
use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

/// Whose statements they are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Who {
    /// The database, as clients name it.
    pub database: Box<str>,
    /// The role that the client proved to be.
    pub role: Box<str>,
    /// What the client calls itself.
    pub application: Box<str>,
}

impl Who {
    fn bytes(&self) -> usize {
        self.database.len() + self.role.len() + self.application.len()
    }
}

/// How much a table may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Rows.
    pub rows_max: usize,
    /// Bytes of all rows, with what hangs on them.
    pub bytes_max: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            rows_max: 5000,
            bytes_max: 32 << 20,
        }
    }
}

/// One row.
#[derive(Debug, Clone)]
pub struct Row {
    /// The pattern; `None`: all that have no row of their own.
    pub pattern: Option<Arc<Pattern>>,
    /// Whose.
    pub who: Arc<Who>,
    /// What was counted.
    pub sum: Sum,
}

#[derive(Debug)]
struct Entry {
    hash: u64,
    pattern: Arc<Pattern>,
    who: Arc<Who>,
    counter: Counter,
    /// Used since the hand last passed.
    is_used: bool,
    bytes: usize,
}

impl Entry {
    fn row(&self) -> Row {
        Row {
            pattern: Some(Arc::clone(&self.pattern)),
            who: Arc::clone(&self.who),
            sum: self.counter.sum(),
        }
    }
}

/// The statistics of one worker.
#[derive(Debug)]
pub struct Table {
    key: [u8; 32],
    bounds: Bounds,
    length: WindowLength,
    by_hash: HashMap<u64, usize, Keyed>,
    entries: Vec<Entry>,
    /// Where the search for a row that may go begins.
    hand: usize,
    bytes: usize,
    other: Counter,
    /// Rows that went into `other`.
    evicted: u64,
}

impl Table {
    /// Bytes of a row beside its names and spreads.
    const ROW_BYTES: usize = size_of::<Entry>() + 64;

    /// An empty one. `key`: 32 random bytes, so that nobody can choose names that meet in one row.
    pub fn new(key: [u8; 32], bounds: Bounds) -> Table {
        Table {
            key,
            bounds,
            length: WindowLength::default(),
            by_hash: HashMap::with_hasher(Keyed::new(&key)),
            entries: Vec::new(),
            hand: 0,
            bytes: 0,
            other: Counter::default(),
            evicted: 0,
        }
    }

    /// The same with windows of this length.
    #[must_use]
    pub fn with_windows(self, length: WindowLength) -> Table {
        Table { length, ..self }
    }

    /// What stands for these in the table; to be kept by a client.
    pub fn key_of(&self, who: &Who) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write(&self.key);
        for name in [&who.database, &who.role, &who.application] {
            hasher.write(name.as_bytes());
            hasher.write_u8(0xff);
        }
        hasher.finish()
    }

    /// Counts a statement that ended at `now_s`, in seconds since 1970. `who` with its key.
    pub fn note(
        &mut self,
        pattern: &Arc<Pattern>,
        (who, key): (&Arc<Who>, u64),
        run: &Run,
        now_s: u64,
    ) {
        let hash = pattern.id.0 ^ key.rotate_left(32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let at = match self.by_hash.get(&hash) {
            Some(at) => {
                self.entries[*at].is_used = true;
                *at
            }
            None => match self.add(hash, pattern, who) {
                Some(at) => at,
                None => {
                    self.other.note(run, now_s, self.length);
                    return;
                }
            },
        };
        let entry = &mut self.entries[at];
        let grown = entry.counter.note(run, now_s, self.length);
        entry.bytes += grown;
        self.bytes += grown;
        if grown > 0 && self.bytes > self.bounds.bytes_max {
            self.make_room(0, Some(at));
        }
    }

    fn add(&mut self, hash: u64, pattern: &Arc<Pattern>, who: &Arc<Who>) -> Option<usize> {
        let bytes = Self::ROW_BYTES + pattern.text.len() + who.bytes();
        if self.entries.len() >= self.bounds.rows_max || self.bytes + bytes > self.bounds.bytes_max
        {
            self.make_room(bytes, None);
        }
        let fits = self.entries.len() < self.bounds.rows_max
            && self.bytes + bytes <= self.bounds.bytes_max;
        if !fits {
            return None;
        }
        let at = self.entries.len();
        self.entries.push(Entry {
            hash,
            pattern: Arc::clone(pattern),
            who: Arc::clone(who),
            counter: Counter::default(),
            // Only who comes again has a claim to stay.
            is_used: false,
            bytes,
        });
        self.by_hash.insert(hash, at);
        self.bytes += bytes;
        Some(at)
    }

    /// Takes rows out until so many bytes and one row more fit; never the one that is `kept`.
    fn make_room(&mut self, bytes: usize, kept: Option<usize>) {
        let kept = kept.map(|at| self.entries[at].hash);
        // Twice around: the first time everything may turn out to have been used.
        let mut steps = 2 * self.entries.len() + 1;
        while steps > 0
            && !self.entries.is_empty()
            && (self.bytes + bytes > self.bounds.bytes_max
                || (kept.is_none() && self.entries.len() >= self.bounds.rows_max))
        {
            steps -= 1;
            self.hand %= self.entries.len();
            let entry = &mut self.entries[self.hand];
            if kept == Some(entry.hash) || std::mem::take(&mut entry.is_used) {
                self.hand += 1;
                continue;
            }
            self.evict(self.hand);
        }
    }

    fn evict(&mut self, at: usize) {
        let gone = self.entries.swap_remove(at);
        self.by_hash.remove(&gone.hash);
        if let Some(moved) = self.entries.get(at) {
            self.by_hash.insert(moved.hash, at);
        }
        self.bytes -= gone.bytes;
        self.evicted += 1;
        self.other.add(&gone.counter.into_sum());
    }

    /// Other bounds from now on.
    pub fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// Rows and bytes that are held.
    pub fn held(&self) -> (usize, usize) {
        (self.entries.len(), self.bytes)
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        *self = Table::new(self.key, self.bounds).with_windows(self.length);
    }

    /// Some of its rows, from the one with this number on. While [`evicted`](Self::evicted) stays the same, rows
    /// keep their numbers.
    pub fn some(&self, from: usize, count: usize) -> Vec<Row> {
        let some = self.entries.iter().skip(from).take(count);
        some.map(Entry::row).collect()
    }

    /// Rows that had to make room so far.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Adds all rows to those of other workers.
    pub fn add_to(&self, merged: &mut Merged) {
        for entry in &self.entries {
            merged.add(entry.row());
        }
        self.add_rest_to(merged);
    }

    /// Adds what is beside the rows.
    pub fn add_rest_to(&self, merged: &mut Merged) {
        merged.other.add(&self.other.sum());
        merged.evicted += self.evicted;
        merged.bytes += self.bytes;
    }
}

/// The rows of all workers.
#[derive(Debug, Default)]
pub struct Merged {
    rows: HashMap<(Option<u64>, Arc<Who>), Row>,
    other: Sum,
    /// Rows that had to make room so far.
    pub evicted: u64,
    /// Bytes that all workers hold.
    pub bytes: usize,
}

impl Merged {
    /// Adds a row of a worker.
    pub fn add(&mut self, row: Row) {
        let pattern = row.pattern.as_ref().map(|it| it.id.0);
        match self.rows.entry((pattern, Arc::clone(&row.who))) {
            Place::Occupied(mut known) => {
                known.get_mut().sum.add(&row.sum);
            }
            Place::Vacant(place) => {
                place.insert(row);
            }
        }
    }

    /// All of them, those that took the most time in front; what has no row of its own is the last one.
    pub fn rows(self) -> Vec<Row> {
        let mut rows: Vec<Row> = self.rows.into_values().collect();
        let order = |row: &Row| {
            let pattern = row.pattern.as_ref().map(|it| it.id.0);
            (std::cmp::Reverse(row.sum.all.total.sum_us()), pattern)
        };
        rows.sort_by(|one, two| {
            order(one)
                .cmp(&order(two))
                .then_with(|| one.who.cmp(&two.who))
        });
        if self.other.all.calls > 0 {
            rows.push(Row {
                pattern: None,
                who: Arc::default(),
                sum: self.other,
            });
        }
        rows
    }
}

/// Bytes that a table can take beyond its bound: one row's spreads.
pub const SLACK: usize = 11 * Spread::BYTES_MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Recogniser;
    use sql::Lexing;

    fn who(name: &str) -> Arc<Who> {
        Arc::new(Who {
            database: "d".into(),
            role: "r".into(),
            application: name.into(),
        })
    }

    const RUN: Run = Run {
        wait_us: 5,
        server_us: 100,
        rows: 1,
        bytes_in: 10,
        bytes_out: 20,
        sqlstate: None,
    };

    /// So many distinct statements between calls of a frequent one: what is held stays within its bounds, nothing
    /// is lost from the sums, and the frequent one keeps its row.
    fn flood(distinct: u64, bounds: Bounds) {
        let mut table = Table::new([3; 32], bounds);
        let recogniser = Recogniser::new([1; 32]);
        let of = |text: &str| recogniser.pattern(text.as_bytes(), Lexing::default());
        let (frequent, ours) = (of("select frequent"), who("app"));
        let key = table.key_of(&ours);
        for number in 0..distinct {
            let pattern = of(&format!("select column_{number} from t"));
            let run = Run {
                server_us: number % 100_000,
                ..RUN
            };
            table.note(&pattern, (&ours, key), &run, number / 1000);
            if number % 10 == 0 {
                table.note(&frequent, (&ours, key), &RUN, number / 1000);
            }
            let (rows, bytes) = table.held();
            assert!(rows <= bounds.rows_max && bytes <= bounds.bytes_max + SLACK);
        }
        let mut merged = Merged::default();
        table.add_to(&mut merged);
        assert!(merged.evicted > 0);
        let rows = merged.rows();
        let calls: u64 = rows.iter().map(|row| row.sum.all.calls).sum();
        assert_eq!(calls, distinct + distinct.div_ceil(10));
        let is_frequent = |row: &&Row| row.pattern.as_ref().is_some_and(|it| it.id == frequent.id);
        let kept = rows.iter().find(is_frequent).expect("the frequent one");
        assert_eq!(kept.sum.all.calls, distinct.div_ceil(10));
        assert!(rows.last().is_some_and(|row| row.pattern.is_none()));
    }

    #[test]
    fn memory_is_flat_however_many_distinct_statements_come() {
        let rows_max = 100;
        let few_rows = Bounds {
            rows_max,
            bytes_max: 1 << 30,
        };
        let few_bytes = Bounds {
            rows_max: 1 << 30,
            bytes_max: 400_000,
        };
        flood(30_000, few_rows);
        flood(30_000, few_bytes);
    }

    /// `make soak`.
    #[test]
    fn memory_is_flat_with_ten_million_distinct_statements() {
        if std::env::var_os("PORTCULLIS_SOAK").is_some() {
            flood(10_000_000, Bounds::default());
        }
    }

    #[test]
    fn a_table_without_room_counts_all_the_same() {
        let mut table = Table::new(
            [3; 32],
            Bounds {
                rows_max: 0,
                bytes_max: 0,
            },
        );
        let pattern = Arc::new(Pattern::untold("x"));
        let ours = who("a");
        let key = table.key_of(&ours);
        table.note(&pattern, (&ours, key), &RUN, 60);
        let mut merged = Merged::default();
        table.add_to(&mut merged);
        assert_eq!(merged.rows()[0].sum.all.calls, 1);
    }

    #[test]
    fn rows_are_told_apart_and_added_over_workers() {
        let mut tables = [1, 2].map(|key| Table::new([key; 32], Bounds::default()));
        let pattern = Arc::new(Pattern::untold("x"));
        for table in &mut tables {
            for name in ["a", "b", "a"] {
                let ours = who(name);
                let key = table.key_of(&ours);
                table.note(&pattern, (&ours, key), &RUN, 60);
            }
        }
        let mut merged = Merged::default();
        for table in &tables {
            table.add_to(&mut merged);
        }
        let rows = merged.rows();
        let found: Vec<_> = rows
            .iter()
            .map(|row| (&*row.who.application, row.sum.all.calls))
            .collect();
        assert_eq!(found, [("a", 4), ("b", 2)]);
        assert_eq!(rows[0].sum.all.total.sum_us(), 4 * 105);
        tables[0].reset();
        assert_eq!(tables[0].held(), (0, 0));
    }
}
