//! Owns the copies that wait for a connection to a mirror: few, each for a short time. Who puts one in never waits.

use buf::Secret;
use session::mirror::Answer;
use session::wishes::Wishes;
use sql::Lexing;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;

/// A request that was answered, and is to be answered by the mirror, too.
pub(super) struct Copied {
    /// The copy.
    pub(super) bytes: Secret,
    /// The settings of its session.
    pub(super) wishes: Arc<Wishes>,
    /// How its texts are read.
    pub(super) lexing: Lexing,
    /// What the client got.
    pub(super) answer: Answer,
    /// How long that took.
    pub(super) took_us: u64,
    /// When it was put here.
    pub(super) since: Instant,
}

/// A bounded queue of them.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    bell: Notify,
}

#[derive(Default)]
struct Waiting {
    copies: VecDeque<Copied>,
    /// So many may wait; none once it is closed.
    most: usize,
}

impl Queue {
    /// So many may wait from now on. With 0 it is closed, and what waits is wiped.
    pub(super) fn bound(&self, most: usize) {
        let over = {
            let mut waiting = self.lock();
            waiting.most = most;
            let kept = waiting.copies.len().min(most);
            waiting.copies.split_off(kept)
        };
        drop(over);
    }

    /// Puts a copy in; false, and it is gone, if there is no room.
    pub(super) fn put(&self, copy: Copied) -> bool {
        let mut waiting = self.lock();
        if waiting.copies.len() >= waiting.most {
            return false;
        }
        waiting.copies.push_back(copy);
        drop(waiting);
        self.bell.notify_one();
        true
    }

    /// Takes the oldest one, and waits for it.
    pub(super) async fn take(&self) -> Copied {
        loop {
            let found = self.lock().copies.pop_front();
            match found {
                Some(copy) => return copy,
                None => self.bell.notified().await,
            }
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.lock().copies.len()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied(number: u64) -> Copied {
        Copied {
            bytes: Secret::new(b"x"),
            wishes: Wishes::none(),
            lexing: Lexing::default(),
            answer: Answer::default(),
            took_us: number,
            since: Instant::now(),
        }
    }

    #[tokio::test]
    async fn what_has_no_room_is_gone_and_the_rest_keeps_its_order() {
        let queue = Queue::default();
        assert!(!queue.put(copied(0)), "it is closed");
        queue.bound(3);
        let taken: Vec<_> = (1..=5).map(|it| queue.put(copied(it))).collect();
        assert_eq!(taken, [true, true, true, false, false]);
        assert_eq!(queue.take().await.took_us, 1);
        queue.bound(1);
        assert_eq!((queue.len(), queue.take().await.took_us), (1, 2));
        let (late, ()) = tokio::join!(queue.take(), async { assert!(queue.put(copied(6))) });
        assert_eq!(late.took_us, 6);
        assert!(queue.put(copied(7)));
        queue.bound(0);
        assert_eq!(queue.len(), 0);
        assert!(!queue.put(copied(8)));
    }
}
