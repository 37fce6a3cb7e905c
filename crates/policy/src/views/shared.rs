//! Owns what all sessions of a database share about its views: the latest look at the catalogs, and the names that
//! may mean something else by now, since somebody has changed definitions.
//!
//! Whoever changes definitions takes a [`Change`] before that goes to the server, and drops it when the transaction has
//! ended. Its names are in doubt until a look has succeeded that began after that. Statements that use such names wait;
//! they leave a waker. Never looks at the catalogs itself: somebody does, whom a waker calls.

use super::{Dependencies, Sight, Through};
use crate::rule::Rules;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// Names of one change that are told apart; with more of them every name is in doubt.
pub const NAMES_MAX: usize = 256;
/// Changes that are told apart; beyond, every name is in doubt.
const CHANGES_MAX: usize = 256;

/// See the module's text.
#[derive(Debug)]
pub struct Views {
    held: Mutex<Held>,
    generation: AtomicU64,
    in_doubt: AtomicBool,
    is_required: AtomicBool,
}

#[derive(Debug, Default)]
struct Held {
    state: State,
    /// What of it matters to the rules of this generation.
    through: Option<(u64, Arc<Through>)>,
    /// Looks that were begun.
    looks: u64,
    /// Someone wants another one.
    is_wanted: bool,
    changes: Vec<Doubt>,
    next: u64,
    waiting: Vec<Waker>,
    looker: Option<Waker>,
    seen: Seen,
}

#[derive(Debug, Default)]
enum State {
    /// Nobody has looked yet.
    #[default]
    Unread,
    Known(Arc<Dependencies>),
    /// The first look failed.
    Unknown,
}

/// What is known, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Views, if a look has succeeded.
    pub views: Option<usize>,
    /// Dependencies of all relations.
    pub dependencies: usize,
    /// When the last look that succeeded began, in seconds since 1970.
    pub at_s: Option<u64>,
    /// When something was last found that was not so before, likewise.
    pub changed_s: Option<u64>,
    /// Why the latest look failed; empty if it succeeded.
    pub trouble: String,
    /// Names in doubt.
    pub in_doubt: usize,
}

/// The names of one change.
#[derive(Debug)]
struct Doubt {
    number: u64,
    names: Names,
    /// Looks that had begun when its transaction ended; `None`: it has not.
    ended: Option<u64>,
}

#[derive(Debug)]
enum Names {
    Some(Vec<Box<[u8]>>),
    All,
}

impl Names {
    fn has(&self, name: &[u8]) -> bool {
        match self {
            Names::Some(names) => names.iter().any(|it| **it == *name),
            Names::All => true,
        }
    }
}

/// What puts a name in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubted {
    /// Nobody has looked at the catalogs yet.
    FirstLook,
    /// The change of this number.
    Change(u64),
}

/// Somebody changes definitions, until it is dropped.
#[derive(Debug)]
pub struct Change {
    views: Arc<Views>,
    number: u64,
}

impl Drop for Change {
    fn drop(&mut self) {
        self.views.ended(self.number);
    }
}

impl Views {
    /// Nothing is known yet. `is_required`: where nothing can be known, any relation may lead to any other.
    pub fn new(is_required: bool) -> Views {
        Views {
            held: Mutex::default(),
            generation: AtomicU64::new(1),
            in_doubt: AtomicBool::new(true),
            is_required: AtomicBool::new(is_required),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing may pass that isn't known.
    pub fn is_required(&self) -> bool {
        self.is_required.load(Ordering::Relaxed)
    }

    /// Whether nothing may pass from now on that isn't known.
    pub fn require(&self, is_required: bool) {
        if self.is_required.swap(is_required, Ordering::Relaxed) != is_required {
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Changes whenever something else is known.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// True if some name may be in doubt.
    #[inline]
    pub fn may_doubt(&self) -> bool {
        self.in_doubt.load(Ordering::Acquire)
    }

    /// Adds the changes that put this name in doubt.
    pub fn doubt(&self, name: &[u8], by: &mut Vec<Doubted>) {
        if !self.may_doubt() {
            return;
        }
        let held = self.lock();
        if matches!(held.state, State::Unread) {
            by.push(Doubted::FirstLook);
        }
        let changes = held.changes.iter().filter(|it| it.names.has(name));
        by.extend(changes.map(|it| Doubted::Change(it.number)));
    }

    /// True if none of these is in the way any more; else the waker is called after the next look.
    pub fn wait(&self, by: &[Doubted], waker: &Waker) -> bool {
        let mut held = self.lock();
        let is_there = |it: &Doubted| match it {
            Doubted::FirstLook => matches!(held.state, State::Unread),
            Doubted::Change(number) => held.changes.iter().any(|it| it.number == *number),
        };
        let waits = by.iter().any(is_there);
        if waits && !held.waiting.iter().any(|it| it.will_wake(waker)) {
            held.waiting.push(waker.clone());
        }
        !waits
    }

    /// What rules of a generation see, and the generation of what is known.
    pub fn sight(&self, rules: &Rules, generation: u64) -> (Sight, u64) {
        let mut held = self.lock();
        let now = self.generation();
        let graph = match &held.state {
            State::Known(graph) => Arc::clone(graph),
            State::Unread | State::Unknown if self.is_required() => return (Sight::Blind, now),
            State::Unread | State::Unknown => return (Sight::Names, now),
        };
        let through = match &held.through {
            Some((made_for, through)) if *made_for == generation => Arc::clone(through),
            _ => {
                let through = Arc::new(Through::new(rules, &graph));
                held.through = Some((generation, Arc::clone(&through)));
                through
            }
        };
        match through.is_empty() {
            true => (Sight::Names, now),
            false => (Sight::Through(through), now),
        }
    }

    /// Definitions are to change, and with them what these names mean.
    pub fn change(self: &Arc<Views>, names: Vec<Box<[u8]>>) -> Change {
        let mut held = self.lock();
        held.next += 1;
        let number = held.next;
        let is_much = names.len() > NAMES_MAX || held.changes.len() >= CHANGES_MAX;
        let names = match is_much {
            true => Names::All,
            false => Names::Some(names),
        };
        held.changes.push(Doubt {
            number,
            names,
            ended: None,
        });
        self.in_doubt.store(true, Ordering::Release);
        drop(held);
        Change {
            views: Arc::clone(self),
            number,
        }
    }

    fn ended(&self, number: u64) {
        let mut held = self.lock();
        let looks = held.looks;
        if let Some(change) = held.changes.iter_mut().find(|it| it.number == number) {
            change.ended = Some(looks);
        }
        held.is_wanted = true;
        if let Some(looker) = held.looker.take() {
            looker.wake();
        }
    }

    /// Someone wants a look, whatever has changed.
    pub fn want(&self) {
        let mut held = self.lock();
        held.is_wanted = true;
        if let Some(looker) = held.looker.take() {
            looker.wake();
        }
    }

    /// Whether a look is wanted; else the waker is called when it is.
    pub fn poll_wanted(&self, waker: &Waker) -> bool {
        let mut held = self.lock();
        if !held.is_wanted {
            held.looker = Some(waker.clone());
        }
        held.is_wanted
    }

    /// Whether statements may wait for a look.
    pub fn is_awaited(&self) -> bool {
        let held = self.lock();
        let has_names = |it: &Doubt| match &it.names {
            Names::Some(names) => !names.is_empty(),
            Names::All => true,
        };
        let ended = |it: &Doubt| it.ended.is_some();
        matches!(held.state, State::Unread)
            || held.changes.iter().any(|it| ended(it) && has_names(it))
    }

    /// A look begins.
    pub fn begin(&self) -> u64 {
        let mut held = self.lock();
        held.looks += 1;
        held.is_wanted = false;
        held.looks
    }

    /// What came of it; `at_s`: when it began, in seconds since 1970. True if something else is known than before.
    pub fn looked(&self, look: u64, found: Result<Dependencies, String>, at_s: u64) -> bool {
        let mut held = self.lock();
        let is_news = match found {
            Ok(graph) => {
                held.seen.at_s = Some(at_s);
                held.seen.trouble.clear();
                held.changes
                    .retain(|it| it.ended.is_none_or(|looks| looks >= look));
                let is_news = !matches!(&held.state, State::Known(known) if **known == graph);
                if is_news {
                    held.seen.views = Some(graph.views());
                    held.seen.dependencies = graph.len();
                    held.seen.changed_s = Some(at_s);
                    held.state = State::Known(Arc::new(graph));
                    held.through = None;
                }
                is_news
            }
            Err(trouble) => {
                held.seen.trouble = trouble;
                let is_first = matches!(held.state, State::Unread);
                if is_first {
                    held.state = State::Unknown;
                }
                is_first
            }
        };
        let in_doubt = matches!(held.state, State::Unread) || !held.changes.is_empty();
        self.in_doubt.store(in_doubt, Ordering::Release);
        if is_news {
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
        for waker in held.waiting.drain(..) {
            waker.wake();
        }
        is_news
    }

    /// Nobody looks any more: names are what counts. Says whether the last look had failed.
    pub fn give_up(&self) -> bool {
        let mut held = self.lock();
        let trouble = std::mem::take(&mut held.seen.trouble);
        held.state = State::Unknown;
        held.changes.clear();
        held.is_wanted = false;
        self.is_required.store(false, Ordering::Relaxed);
        self.in_doubt.store(false, Ordering::Release);
        self.generation.fetch_add(1, Ordering::AcqRel);
        for waker in held.waiting.drain(..) {
            waker.wake();
        }
        !trouble.is_empty()
    }

    /// What is known, for people.
    pub fn seen(&self) -> Seen {
        let held = self.lock();
        let names = |it: &Doubt| match &it.names {
            Names::Some(names) => names.len(),
            Names::All => NAMES_MAX,
        };
        Seen {
            in_doubt: held.changes.iter().map(names).sum(),
            ..held.seen.clone()
        }
    }
}
