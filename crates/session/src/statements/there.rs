//! Owns what one server connection holds of prepared statements, and the promises on their way
//! there.

use super::promise::{Holdings, Instead, Promise, Result, Unnamed, Way};
use super::{Found, Id, Refusal};
use crate::inspect::Types;
use crate::ledger::Outcome;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

type Set = HashMap<Id, Entry, BuildHasherDefault<First8>>;

/// Statements that a server connection holds.
#[derive(Debug)]
pub struct There {
    max: usize,
    /// Made for the first one: connections that serve whole sessions have none.
    set: Option<Box<Set>>,
    /// Rises with each use: what was used longest ago has the least.
    clock: u64,
    /// Entries of an earlier generation may be there or not, and be what they were or not.
    generation: u32,
    lease: u32,
    slot: Slot,
    promises: VecDeque<Sent>,
    batch: u32,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    used: u64,
    generation: u32,
    /// Set if the statement was parsed under settings that only this lease has.
    lease: Option<u32>,
}

/// A promise on its way, and the batch that it belongs to: what comes before it in the same batch
/// has succeeded when it is kept.
#[derive(Debug)]
struct Sent {
    promise: Promise,
    batch: u32,
    /// What is prepared is read under settings that only this lease has.
    private: bool,
}

/// The server's unnamed statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// There may be one, whosever.
    Unknown,
    /// There is none.
    Empty,
    /// It is the client's.
    Filled,
}

/// Whether a server has a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It has.
    There,
    /// It has not.
    Absent,
    /// It may have another one of that name: to be closed first.
    Doubtful,
    /// That depends on an answer that is still to come.
    Unsure,
}

/// Ids are hashes already.
#[derive(Debug, Default)]
struct First8(u64);

impl Hasher for First8 {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*first);
        }
    }

    /// The length of an array, which is the same for all.
    fn write_usize(&mut self, _: usize) {}
}

impl Default for There {
    fn default() -> Self {
        There {
            max: 0,
            set: None,
            clock: 0,
            generation: 0,
            lease: 0,
            slot: Slot::Empty,
            promises: VecDeque::new(),
            batch: 0,
        }
    }
}

impl There {
    /// Promises on their way; a client whose requests make more isn't read until answers have come.
    pub(crate) const PROMISES_MAX: usize = 256;

    /// Number of statements.
    pub fn len(&self) -> usize {
        self.set.as_ref().map_or(0, |it| it.len())
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if no promise is on its way.
    pub fn is_settled(&self) -> bool {
        self.promises.is_empty()
    }

    /// Begins with a client. `max` is `max_prepared_statements`.
    pub(crate) fn begin(&mut self, max: usize) {
        debug_assert!(self.is_settled());
        self.max = max;
        self.lease = self.lease.wrapping_add(1);
        self.slot = Slot::Unknown;
    }

    /// A Query of ours goes to the server while its client keeps it: PostgreSQL drops the unnamed statement.
    pub(crate) fn drop_unnamed(&mut self) {
        self.slot = Slot::Unknown;
    }

    /// All statements are gone: DEALLOCATE ALL, DISCARD ALL.
    pub(crate) fn clear(&mut self) {
        if let Some(set) = &mut self.set {
            set.clear();
        }
    }

    /// Nothing that is there is relied on any more: the next use of each prepares it anew.
    pub(crate) fn doubt_all(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }

    /// A batch ends: what follows is executed even if what came before has failed.
    #[inline]
    pub(crate) fn end_batch(&mut self) {
        self.batch = self.batch.wrapping_add(1);
    }

    /// True if no promise more may be made at present.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.promises.len() >= Self::PROMISES_MAX
    }

    /// The number of the present batch.
    #[inline]
    pub(crate) fn batch(&self) -> u32 {
        self.batch
    }

    /// Notes a promise. `private` if a statement that it prepares is read under settings that only this
    /// lease has.
    pub(crate) fn promise(&mut self, promise: Promise, private: bool) {
        self.promises.push_back(Sent {
            promise,
            batch: self.batch,
            private,
        });
    }

    /// The latest promise for which `about` says so, and whether it can be counted on now.
    fn latest(&self, about: impl Fn(&Promise) -> bool) -> Option<(&Promise, bool)> {
        let sent = self.promises.iter().rev().find(|it| about(&it.promise))?;
        let certain = sent.batch == self.batch && !sent.promise.forgets_all();
        Some((&sent.promise, certain))
    }

    /// What a name of the client's stands for.
    #[inline]
    pub(crate) fn name(&self, holdings: &Holdings, name: &[u8]) -> Found {
        match self.latest(|it| it.is_about_name(name)) {
            None => match holdings.names.find(name) {
                Some(statement) => Found::Here(statement.clone()),
                None => Found::Nothing,
            },
            Some((Promise::Named { statement, .. }, true)) => Found::Here(statement.clone()),
            Some((_, true)) => Found::Nothing,
            Some((_, false)) => Found::Unsure,
        }
    }

    /// The client's unnamed statement; `None` if that depends on an answer.
    #[inline]
    pub(crate) fn unnamed<'a>(&'a self, holdings: &'a Holdings) -> Option<&'a Unnamed> {
        match self.latest(Promise::is_about_unnamed) {
            None => Some(&holdings.unnamed),
            Some((Promise::Unnamed { unnamed, .. }, true)) => Some(unnamed),
            Some((Promise::UnlearnedUnnamed, true)) => Some(&Unnamed::None),
            Some(_) => None,
        }
    }

    /// The server's unnamed statement; `None` if that depends on an answer.
    pub(crate) fn slot(&self) -> Option<Slot> {
        let mut sent = self.promises.iter().rev();
        let found = sent.find(|it| slot_after(&it.promise, Result::Kept).is_some());
        match found {
            None => Some(self.slot),
            Some(sent) if sent.batch == self.batch => slot_after(&sent.promise, Result::Kept),
            Some(_) => None,
        }
    }

    /// Whether a statement is there, and if so, that it is used.
    #[inline]
    pub(crate) fn presence(&mut self, id: Id) -> Presence {
        if !self.promises.is_empty() {
            let about = |it: &Promise| it.forgets_all() || it.prepares(id).is_some();
            match self.latest(about) {
                None => {}
                Some((promise, true)) => {
                    return match promise.prepares(id) {
                        Some(true) => Presence::There,
                        _ => Presence::Absent,
                    };
                }
                Some((_, false)) => return Presence::Unsure,
            }
        }
        let Some(entry) = self.set.as_mut().and_then(|it| it.get_mut(&id)) else {
            return Presence::Absent;
        };
        self.clock += 1;
        entry.used = self.clock;
        let is_sure = entry.generation == self.generation
            && entry.lease.is_none_or(|lease| lease == self.lease);
        match is_sure {
            true => Presence::There,
            false => Presence::Doubtful,
        }
    }

    /// The statement to be closed before another one is prepared, if any.
    pub(crate) fn victim(&self) -> Option<Id> {
        let sent = self.promises.iter().map(|it| it.promise.adds());
        let count = self.len() as isize + sent.sum::<isize>();
        if count < self.max as isize {
            return None;
        }
        // What the promises on their way make of a statement, the latest first.
        let sent = self.promises.iter().rev().map(|it| &it.promise);
        let on_its_way = |id: Id| sent.clone().find_map(|it| it.prepares(id));
        let candidates = self.set.iter().flat_map(|it| it.iter());
        let candidates = candidates.filter(|(id, _)| on_its_way(**id).is_none());
        if let Some((id, _)) = candidates.min_by_key(|(_, entry)| entry.used) {
            return Some(*id);
        }
        let prepared = sent.clone().rev().filter_map(Promise::prepared);
        let mut prepared = prepared.filter(|id| on_its_way(*id) == Some(true));
        prepared.next()
    }

    /// True if names are kept and statements shared: not with `max_prepared_statements = 0`.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.max > 0
    }

    /// The types that a ParameterDescription tells now.
    pub(crate) fn described(&self) -> Option<&Arc<Types>> {
        match self.promises.front().map(|it| &it.promise) {
            Some(Promise::Described(types)) => Some(types),
            _ => None,
        }
    }

    /// True if the oldest promise is that a statement of the client's is forgotten.
    pub(crate) fn deallocates_next(&self) -> bool {
        let first = self.promises.front().map(|it| &it.promise);
        matches!(first, Some(Promise::Deallocated(_)))
    }

    /// Settles promises; gives why a request failed that was made to fail.
    pub(crate) fn settle(
        &mut self,
        outcome: Outcome,
        mut client: Option<&mut Holdings>,
    ) -> Option<Refusal> {
        let results = [
            (outcome.kept, Result::Kept),
            (outcome.failed, Result::Failed),
            (outcome.skipped, Result::Skipped),
        ];
        let mut refused = None;
        for (count, result) in results {
            for _ in 0..count {
                let Some(sent) = self.promises.pop_front() else {
                    debug_assert!(false, "a promise without its record");
                    return refused;
                };
                if let Promise::Refused { refusal, .. } = &sent.promise
                    && result == Result::Failed
                {
                    refused = Some(refusal.clone());
                }
                self.apply(&sent.promise, result, sent.private);
                if let Some(client) = client.as_deref_mut() {
                    client.apply(sent.promise, result);
                }
            }
        }
        if self.promises.is_empty() && self.promises.capacity() > 64 {
            self.promises.shrink_to(16);
        }
        refused
    }

    /// What the promise was about at the server.
    fn apply(&mut self, promise: &Promise, result: Result, private: bool) {
        if let Some(slot) = slot_after(promise, result) {
            self.slot = slot;
        }
        if result != Result::Kept {
            return;
        }
        if let Some(id) = promise.closed() {
            if let Some(set) = &mut self.set {
                set.remove(&id);
            }
        } else if let Some(id) = promise.prepared() {
            self.insert(id, private);
        }
    }

    fn insert(&mut self, id: Id, private: bool) {
        self.clock += 1;
        let entry = Entry {
            used: self.clock,
            generation: self.generation,
            lease: private.then_some(self.lease),
        };
        self.set.get_or_insert_default().insert(id, entry);
    }
}

/// What a promise makes of the server's unnamed statement, if it is about that.
fn slot_after(promise: &Promise, result: Result) -> Option<Slot> {
    match (promise, result) {
        (_, Result::Skipped) => None,
        // PostgreSQL drops the old one before it parses the new one.
        (Promise::SlotFilled, Result::Failed) => Some(Slot::Empty),
        (Promise::SlotFilled, Result::Kept) => Some(Slot::Filled),
        (Promise::SlotCleared, _) => Some(Slot::Empty),
        (
            Promise::Unnamed {
                way: Way::Plain, ..
            },
            Result::Kept,
        ) => Some(Slot::Filled),
        (
            Promise::Unnamed {
                way: Way::Plain, ..
            },
            Result::Failed,
        ) => Some(Slot::Empty),
        // It was the client's former one, or nobody's.
        (Promise::Unnamed { .. } | Promise::UnlearnedUnnamed, _) => Some(Slot::Unknown),
        (Promise::Queried { .. } | Promise::Deallocated(_), _) => Some(Slot::Empty),
        (Promise::Refused { instead, .. }, _) => match instead {
            Instead::Query => Some(Slot::Empty),
            Instead::UnnamedParse => Some(Slot::Unknown),
            Instead::NamedParse => None,
        },
        _ => None,
    }
}

impl Holdings {
    /// What the promise was about at the client.
    fn apply(&mut self, promise: Promise, result: Result) {
        match (promise, result) {
            (_, Result::Skipped) => {}
            (
                Promise::Named {
                    name, statement, ..
                },
                Result::Kept,
            ) => self.names.insert(name, statement),
            (Promise::Unlearned(name) | Promise::Dropped(name), Result::Kept) => {
                self.names.remove(&name);
            }
            (Promise::Unnamed { unnamed, .. }, Result::Kept) => self.unnamed = unnamed,
            (Promise::UnlearnedUnnamed | Promise::Unnamed { .. }, _) => {
                self.unnamed = Unnamed::None;
            }
            (
                Promise::Refused {
                    instead: Instead::NamedParse,
                    ..
                },
                _,
            ) => {}
            (Promise::Queried { .. } | Promise::Refused { .. }, _) => self.unnamed = Unnamed::None,
            (Promise::Deallocated(name), result) => {
                self.unnamed = Unnamed::None;
                if result == Result::Kept {
                    self.names.remove(&name);
                }
            }
            _ => {}
        }
    }
}
