//! Owns the queue of one who takes events: bounded; the oldest make room.

use crate::event::Posted;
use crate::kind::Kinds;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Takes events of some kinds, at its own pace.
pub struct Taker {
    kinds: Kinds,
    queue_max: usize,
    queue: Mutex<Queue>,
    /// Called when an event has come. Must not block.
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Arc<Posted>>,
    lost: u64,
}

impl Taker {
    pub(crate) fn new(kinds: Kinds, queue_max: usize, wake: Box<dyn Fn() + Send + Sync>) -> Taker {
        Taker {
            kinds,
            queue_max: queue_max.max(1),
            queue: Mutex::default(),
            wake,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn offer(&self, posted: &Arc<Posted>) {
        if !self.kinds.has(posted.event.kind) {
            return;
        }
        {
            let mut queue = self.lock();
            if queue.waiting.len() >= self.queue_max {
                queue.waiting.pop_front();
                queue.lost += 1;
            }
            queue.waiting.push_back(Arc::clone(posted));
        }
        (self.wake)();
    }

    /// The oldest that waits.
    pub fn take(&self) -> Option<Arc<Posted>> {
        self.lock().waiting.pop_front()
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// How many had to make room so far.
    pub fn lost(&self) -> u64 {
        self.lock().lost
    }
}

impl fmt::Debug for Taker {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.lock();
        to.debug_struct("Taker")
            .field("waiting", &queue.waiting.len())
            .field("lost", &queue.lost)
            .finish_non_exhaustive()
    }
}
