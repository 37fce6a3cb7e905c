//! Owns whose turn it is: places for logins under way on one listener, shared fairly.
//!
//! A client is *pending* from accept until it is in. When it has sent something to work on it asks
//! for a place, gets one or waits; whoever has one gives it back when it is in, gone, or keeps us
//! waiting. Sources that wait take turns, so that a thousand clients of one source cost another
//! source one place's time.

use crate::source::Source;
use std::collections::{HashMap, VecDeque};

/// How many of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Places.
    pub places: usize,
    /// Places of one source.
    pub places_per_source: usize,
    /// Pending clients of one source.
    pub pending_per_source: usize,
}

/// Names a client that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(u64);

/// The answer to a client that asks for a place.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked<T> {
    /// It has one; what it left is given back.
    Granted(T),
    /// It waits.
    Waits(Ticket),
}

/// The source has too many pending clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;

/// The places of a listener. `T` is what a waiting client leaves behind to be called by.
pub struct Turns<T> {
    bounds: Bounds,
    busy: usize,
    waiting: usize,
    next: u64,
    sources: HashMap<Source, Of<T>>,
    /// Sources with clients that wait, each once; the first is next.
    ring: VecDeque<Source>,
}

struct Of<T> {
    pending: usize,
    busy: usize,
    queue: VecDeque<(Ticket, T)>,
}

impl<T> Turns<T> {
    /// All places free.
    pub fn new(bounds: Bounds) -> Turns<T> {
        Turns {
            bounds,
            busy: 0,
            waiting: 0,
            next: 0,
            sources: HashMap::new(),
            ring: VecDeque::new(),
        }
    }

    /// A client was accepted. This machine's own sockets are bounded by places alone.
    pub fn arrive(&mut self, source: Source) -> Result<(), Refused> {
        let most = self.bounds.pending_per_source;
        let of = self.sources.entry(source).or_insert_with(|| Of {
            pending: 0,
            busy: 0,
            queue: VecDeque::new(),
        });
        if of.pending >= most && source != Source::Local {
            return Err(Refused);
        }
        of.pending += 1;
        Ok(())
    }

    /// A pending client is in, or gone; it has neither a place nor a ticket any more.
    pub fn depart(&mut self, source: Source) {
        if let Some(of) = self.sources.get_mut(&source) {
            of.pending = of.pending.saturating_sub(1);
            if of.pending == 0 {
                self.sources.remove(&source);
            }
        }
    }

    /// A pending client has sent something to work on. It must have [arrived](Self::arrive).
    pub fn ask(&mut self, source: Source, call: T) -> Asked<T> {
        let has_room = self.has_room(source);
        let Some(of) = self.sources.get_mut(&source) else {
            return Asked::Granted(call);
        };
        if self.busy < self.bounds.places && has_room && of.queue.is_empty() {
            of.busy += 1;
            self.busy += 1;
            return Asked::Granted(call);
        }
        let ticket = Ticket(self.next);
        self.next += 1;
        self.waiting += 1;
        if of.queue.is_empty() {
            self.ring.push_back(source);
        }
        of.queue.push_back((ticket, call));
        Asked::Waits(ticket)
    }

    /// A waiting client goes; false if it was called already, and so has a place to give back.
    pub fn leave(&mut self, source: Source, ticket: Ticket) -> bool {
        let Some(of) = self.sources.get_mut(&source) else {
            return false;
        };
        let before = of.queue.len();
        of.queue.retain(|(held, _)| *held != ticket);
        if of.queue.len() == before {
            return false;
        }
        self.waiting -= 1;
        if of.queue.is_empty() {
            self.ring.retain(|waiting| *waiting != source);
        }
        true
    }

    /// A place is given back. Whoever is given now has one: call it.
    #[must_use]
    pub fn give_back(&mut self, source: Source) -> Option<T> {
        self.busy = self.busy.saturating_sub(1);
        if let Some(of) = self.sources.get_mut(&source) {
            of.busy = of.busy.saturating_sub(1);
        }
        self.call_next()
    }

    fn call_next(&mut self) -> Option<T> {
        if self.busy >= self.bounds.places {
            return None;
        }
        // Sources at their own bound are passed over; there are few, since each fills places.
        for _ in 0..self.ring.len() {
            let source = self.ring.pop_front()?;
            let has_room = self.has_room(source);
            let of = self.sources.get_mut(&source)?;
            let called = match has_room {
                true => of.queue.pop_front(),
                false => None,
            };
            if !of.queue.is_empty() {
                self.ring.push_back(source);
            }
            if let Some((_, call)) = called {
                of.busy += 1;
                self.busy += 1;
                self.waiting -= 1;
                return Some(call);
            }
        }
        None
    }

    fn has_room(&self, source: Source) -> bool {
        let busy = self.sources.get(&source).map_or(0, |of| of.busy);
        source == Source::Local || busy < self.bounds.places_per_source
    }

    /// Clients that wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Places taken.
    pub fn busy(&self) -> usize {
        self.busy
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn source(last: u8) -> Source {
        Source::V4([10, 0, 0, last])
    }

    fn turns(places: usize, places_per_source: usize) -> Turns<&'static str> {
        Turns::new(Bounds {
            places,
            places_per_source,
            pending_per_source: 100,
        })
    }

    fn waits<T>(asked: Asked<T>) -> Ticket {
        match asked {
            Asked::Waits(ticket) => ticket,
            Asked::Granted(_) => panic!("granted"),
        }
    }

    #[test]
    fn sources_that_wait_take_turns() {
        let mut turns = turns(2, 2);
        for _ in 0..6 {
            turns.arrive(source(1)).unwrap();
        }
        turns.arrive(source(2)).unwrap();
        assert_eq!(turns.ask(source(1), "a"), Asked::Granted("a"));
        assert_eq!(turns.ask(source(1), "b"), Asked::Granted("b"));
        for name in ["c", "d", "e"] {
            waits(turns.ask(source(1), name));
        }
        waits(turns.ask(source(2), "other"));
        assert_eq!(turns.give_back(source(1)), Some("c"));
        assert_eq!(turns.give_back(source(1)), Some("other"));
        assert_eq!(turns.give_back(source(1)), Some("d"));
        assert_eq!(turns.give_back(source(2)), Some("e"));
        assert_eq!((turns.busy(), turns.waiting()), (2, 0));
    }

    #[test]
    fn a_source_at_its_bound_is_passed_over() {
        let mut turns = turns(3, 2);
        for last in [1, 1, 1, 2] {
            turns.arrive(source(last)).unwrap();
        }
        assert_eq!(turns.ask(source(1), "a"), Asked::Granted("a"));
        assert_eq!(turns.ask(source(1), "b"), Asked::Granted("b"));
        waits(turns.ask(source(1), "c"));
        assert_eq!(turns.ask(source(2), "other"), Asked::Granted("other"));
        assert_eq!(turns.give_back(source(2)), None);
        assert_eq!(turns.give_back(source(1)), Some("c"));
    }

    #[test]
    fn who_leaves_is_not_called() {
        let mut turns = turns(1, 1);
        for last in [1, 2, 3] {
            turns.arrive(source(last)).unwrap();
        }
        assert_eq!(turns.ask(source(1), "a"), Asked::Granted("a"));
        let ticket = waits(turns.ask(source(2), "b"));
        waits(turns.ask(source(3), "c"));
        assert!(turns.leave(source(2), ticket));
        assert!(!turns.leave(source(2), ticket));
        assert_eq!(turns.give_back(source(1)), Some("c"));
    }

    #[test]
    fn pending_clients_of_a_source_are_bounded() {
        let mut turns = turns(1, 1);
        for _ in 0..100 {
            assert_eq!(turns.arrive(source(1)), Ok(()));
        }
        assert_eq!(turns.arrive(source(1)), Err(Refused));
        assert_eq!(turns.arrive(source(2)), Ok(()));
        turns.depart(source(1));
        assert_eq!(turns.arrive(source(1)), Ok(()));
    }

    proptest! {
        /// Whatever clients do, bounds hold, nobody who waits is forgotten while places are free
        /// for them, and nothing is left behind.
        #[test]
        fn places_are_never_lost(steps in prop::collection::vec((0u8..4, 0u8..3, any::<u16>()), 0..200)) {
            let mut turns = Turns::new(Bounds { places: 3, places_per_source: 2, pending_per_source: 5 });
            let mut idle: Vec<(u8, u32)> = Vec::new();
            let mut waiting: Vec<(u8, u32, Ticket)> = Vec::new();
            let mut seated: Vec<(u8, u32)> = Vec::new();
            let mut name = 0;
            for (what, last, pick) in steps {
                let pick = usize::from(pick);
                match what {
                    0 => {
                        let all = idle.iter().map(|c| c.0).chain(waiting.iter().map(|c| c.0));
                        let pending = all.chain(seated.iter().map(|c| c.0)).filter(|s| *s == last);
                        let room = pending.count() < 5;
                        prop_assert_eq!(turns.arrive(source(last)).is_ok(), room);
                        if room {
                            name += 1;
                            idle.push((last, name));
                        }
                    }
                    1 if !idle.is_empty() => {
                        let (from, name) = idle.swap_remove(pick % idle.len());
                        match turns.ask(source(from), name) {
                            Asked::Granted(_) => seated.push((from, name)),
                            Asked::Waits(ticket) => waiting.push((from, name, ticket)),
                        }
                    }
                    2 if !waiting.is_empty() => {
                        let (from, _, ticket) = waiting.swap_remove(pick % waiting.len());
                        prop_assert!(turns.leave(source(from), ticket));
                        turns.depart(source(from));
                    }
                    3 if !seated.is_empty() => {
                        let (from, _) = seated.swap_remove(pick % seated.len());
                        if let Some(called) = turns.give_back(source(from)) {
                            let at = waiting.iter().position(|(_, name, _)| *name == called);
                            let (from, name, _) = waiting.swap_remove(at.expect("a client that waits"));
                            seated.push((from, name));
                        }
                        turns.depart(source(from));
                    }
                    _ => {}
                }
                prop_assert_eq!((turns.busy(), turns.waiting()), (seated.len(), waiting.len()));
                prop_assert!(seated.len() <= 3);
                let of = |source: u8| seated.iter().filter(|(from, _)| *from == source).count();
                prop_assert!((0..3).all(|source| of(source) <= 2));
                let idle_place = |(from, _, _): &(u8, u32, Ticket)| seated.len() < 3 && of(*from) < 2;
                prop_assert!(!waiting.iter().any(idle_place));
            }
            for (from, _, ticket) in waiting {
                turns.leave(source(from), ticket);
                turns.depart(source(from));
            }
            for (from, _) in seated {
                let _ = turns.give_back(source(from));
                turns.depart(source(from));
            }
            for (from, _) in idle {
                turns.depart(source(from));
            }
            prop_assert!(turns.sources.is_empty() && turns.ring.is_empty());
        }
    }
}
