//! Owns where events are posted, and the last ones that were.

use crate::event::{Event, Posted};
use crate::kind::{Kind, Kinds};
use crate::taker::Taker;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Where a proxy's events are posted.
pub struct Events {
    origin_ms: u64,
    kept_max: usize,
    /// Told of each event: writes it to the log. Must not block.
    tell: Box<dyn Fn(&Posted) + Send + Sync>,
    board: Mutex<Board>,
}

#[derive(Default)]
struct Board {
    posted: u64,
    /// By kind, in the order of [`Kind::ALL`].
    counts: [u64; Kind::ALL.len()],
    last: VecDeque<Arc<Posted>>,
    takers: Vec<Weak<Taker>>,
}

impl Events {
    /// Keeps the last `kept_max`. `origin_ms`, in milliseconds since 1970, is when the proxy began; `tell` is called
    /// for each event and must not block.
    pub fn new(
        origin_ms: u64,
        kept_max: usize,
        tell: impl Fn(&Posted) + Send + Sync + 'static,
    ) -> Events {
        Events {
            origin_ms,
            kept_max,
            tell: Box::new(tell),
            board: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Posts an event: it is told, kept, and offered to those who take its kind. Never waits for any of them.
    pub fn post(&self, event: Event) {
        let (posted, takers) = {
            let mut board = self.lock();
            board.posted += 1;
            board.counts[event.kind as usize] += 1;
            let posted = Arc::new(Posted {
                origin_ms: self.origin_ms,
                number: board.posted,
                event,
            });
            board.last.push_back(Arc::clone(&posted));
            while board.last.len() > self.kept_max {
                board.last.pop_front();
            }
            board.takers.retain(|it| it.strong_count() > 0);
            let takers: Vec<_> = board.takers.iter().filter_map(Weak::upgrade).collect();
            // Under the lock, so that everybody takes them in the order of their numbers.
            for taker in &takers {
                taker.offer(&posted);
            }
            (posted, takers)
        };
        drop(takers);
        (self.tell)(&posted);
    }

    /// Takes events of these kinds from now on, for as long as the taker lives. At most `queue_max` wait for it; `wake`
    /// is called when one has come and must not block.
    pub fn subscribe(
        &self,
        kinds: Kinds,
        queue_max: usize,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Arc<Taker> {
        let taker = Arc::new(Taker::new(kinds, queue_max, Box::new(wake)));
        self.lock().takers.push(Arc::downgrade(&taker));
        taker
    }

    /// The last ones, oldest first.
    pub fn last(&self) -> Vec<Arc<Posted>> {
        self.lock().last.iter().cloned().collect()
    }

    /// How many were posted so far.
    pub fn posted(&self) -> u64 {
        self.lock().posted
    }

    /// How many were posted of each kind, in the order of [`Kind::ALL`].
    pub fn counts(&self) -> [u64; Kind::ALL.len()] {
        self.lock().counts
    }

    /// The last ones as a JSON list, oldest first.
    pub fn json(&self) -> String {
        let last = self.last();
        let all: Vec<String> = last.iter().map(|it| it.json()).collect();
        format!("[{}]", all.join(","))
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let posted = self.posted();
        to.debug_struct("Events")
            .field("posted", &posted)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Phase;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn event(at_ms: u64, kind: Kind) -> Event {
        Event::new(at_ms, kind, Phase::Happened, "x")
    }

    fn times(last: &[Arc<Posted>]) -> Vec<u64> {
        last.iter().map(|it| it.event.at_ms).collect()
    }

    #[test]
    fn the_last_ones_are_kept_and_all_are_told() {
        let told = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&told);
        let events = Events::new(9, 3, move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        for at_ms in 0..5 {
            events.post(event(at_ms, Kind::Slower));
        }
        assert_eq!(times(&events.last()), [2, 3, 4]);
        assert_eq!(events.counts()[Kind::Slower as usize], 5);
        assert_eq!((events.posted(), told.load(Ordering::Relaxed)), (5, 5));
        let json = events.json();
        assert!(
            json.starts_with("[{\"id\":\"9-3\",") && json.ends_with("}]"),
            "{json}"
        );
        let none = Events::new(9, 0, |_| {});
        none.post(event(1, Kind::Slower));
        assert_eq!((none.json().as_str(), none.posted()), ("[]", 1));
    }

    #[test]
    fn takers_get_their_kinds_and_lose_the_oldest() {
        let events = Events::new(9, 3, |_| {});
        events.post(event(0, Kind::Volume));
        let woken = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&woken);
        let wake = move || {
            count.fetch_add(1, Ordering::Relaxed);
        };
        let taker = events.subscribe([Kind::Volume].into_iter().collect(), 2, wake);
        for at_ms in 1..5 {
            events.post(event(at_ms, Kind::Slower));
            events.post(event(at_ms, Kind::Volume));
        }
        assert_eq!(woken.load(Ordering::Relaxed), 4);
        assert_eq!((taker.waiting(), taker.lost()), (2, 2));
        let taken: Vec<_> = std::iter::from_fn(|| taker.take()).collect();
        assert_eq!(times(&taken), [3, 4]);
        drop(taker);
        events.post(event(5, Kind::Volume));
        assert!(events.lock().takers.is_empty());
    }

    #[test]
    fn threads_that_post_at_once_lose_nothing() {
        let events = Arc::new(Events::new(9, 1000, |_| {}));
        let taker = events.subscribe(Kinds::ALL, 1000, || {});
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100).for_each(|at_ms| events.post(event(at_ms, Kind::Volume))));
            }
        });
        let numbers: Vec<_> = std::iter::from_fn(|| taker.take().map(|it| it.number)).collect();
        assert_eq!(numbers, (1..=400).collect::<Vec<_>>());
    }
}
