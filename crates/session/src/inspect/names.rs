//! Owns which statement a portal runs, and what a client has prepared that has its server connection to itself.
//!
//! A definition counts when the server has confirmed it; within the batch that it came in, it is found before
//! that, as whatever uses it is skipped if it fails. Beyond the bounds a name isn't followed.

use super::event::Known;
use super::types::Types;
use crate::ledger::Outcome;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Named portals and named statements that are followed.
const PORTALS_MAX: usize = 256;
const STATEMENTS_MAX: usize = 10_000;
/// Definitions without an answer yet among which a name is looked for.
const LOOK_BACK_MAX: usize = 64;
/// Bytes of a name that is followed; PostgreSQL cuts none.
const NAME_MAX: usize = 256;

/// Portals of one connection.
#[derive(Debug, Default)]
pub(super) struct Portals {
    unnamed: Option<Bound>,
    named: HashMap<Box<[u8]>, Bound>,
}

/// What a portal runs, and the bytes of its Bind until an Execute has taken them for its own.
#[derive(Debug)]
struct Bound {
    known: Known,
    bytes: usize,
}

impl Portals {
    pub(super) fn bind(&mut self, name: &[u8], known: Known, bytes: usize) {
        let bound = Bound { known, bytes };
        if name.is_empty() {
            self.unnamed = Some(bound);
        } else if name.len() <= NAME_MAX
            && (self.named.len() < PORTALS_MAX || self.named.contains_key(name))
        {
            self.named.insert(name.into(), bound);
        }
    }

    /// The statement of a portal that is executed, and bytes that belong to that.
    pub(super) fn find(&mut self, name: &[u8]) -> Option<(Known, usize)> {
        let bound = match name.is_empty() {
            true => self.unnamed.as_mut(),
            false => self.named.get_mut(name),
        }?;
        Some((bound.known.clone(), std::mem::take(&mut bound.bytes)))
    }

    pub(super) fn close(&mut self, name: &[u8]) {
        match name.is_empty() {
            true => self.unnamed = None,
            false => drop(self.named.remove(name)),
        }
    }

    /// The transaction is over: none is left.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.unnamed = None;
        if !self.named.is_empty() {
            self.named = HashMap::new();
        }
    }
}

/// What becomes true with the server's answer.
#[derive(Debug)]
enum Change {
    /// A name stands for this; `None`: for nothing.
    Name(Box<[u8]>, Option<Known>),
    /// Nothing but that these types are known, if they are those of a statement that is followed.
    Described(Option<Arc<Types>>),
}

/// Statements of a client that has its server connection to itself.
#[derive(Debug, Default)]
pub(super) struct Statements {
    unnamed: Option<Known>,
    named: HashMap<Box<[u8]>, Known>,
    /// In the order in which they were sent.
    changes: VecDeque<Change>,
}

impl Statements {
    /// None is left.
    pub(super) fn clear(&mut self) {
        self.unnamed = None;
        if !self.named.is_empty() {
            self.named = HashMap::new();
        }
        self.changes.clear();
    }

    /// A Parse or Close is sent; each is a promise of the ledger.
    pub(super) fn change(&mut self, name: &[u8], known: Option<Known>) {
        let name = name[..name.len().min(NAME_MAX + 1)].into();
        self.changes.push_back(Change::Name(name, known));
    }

    /// A Describe of a statement with these types is sent, which is a promise as well.
    pub(super) fn describe(&mut self, types: Option<Arc<Types>>) {
        self.changes.push_back(Change::Described(types));
    }

    /// The types that a ParameterDescription tells now.
    pub(super) fn described(&self) -> Option<&Arc<Types>> {
        match self.changes.front() {
            Some(Change::Described(types)) => types.as_ref(),
            _ => None,
        }
    }

    /// The statement that a name will have when all that was sent before has succeeded.
    pub(super) fn find(&self, name: &[u8]) -> Option<Known> {
        if name.len() > NAME_MAX {
            return None;
        }
        let mut recent = self.changes.iter().rev().take(LOOK_BACK_MAX);
        let coming = recent.find_map(|it| match it {
            Change::Name(of, known) if **of == *name => Some(known),
            _ => None,
        });
        if coming.is_none() && self.changes.len() > LOOK_BACK_MAX {
            return None;
        }
        match (coming, name.is_empty()) {
            (Some(known), _) => known.clone(),
            (None, true) => self.unnamed.clone(),
            (None, false) => self.named.get(name).cloned(),
        }
    }

    /// What became of what was sent, oldest first.
    pub(super) fn settle(&mut self, outcome: Outcome) {
        for _ in 0..outcome.kept {
            if let Some(change) = self.changes.pop_front() {
                self.apply(change);
            }
        }
        for _ in 0..outcome.failed + outcome.skipped {
            self.changes.pop_front();
        }
    }

    fn apply(&mut self, change: Change) {
        let Change::Name(name, known) = change else {
            return;
        };
        match known {
            _ if name.len() > NAME_MAX => {}
            known if name.is_empty() => self.unnamed = known,
            None => drop(self.named.remove(&name)),
            Some(known) => {
                if self.named.len() < STATEMENTS_MAX || self.named.contains_key(&name) {
                    self.named.insert(name, known);
                }
            }
        }
    }
}
