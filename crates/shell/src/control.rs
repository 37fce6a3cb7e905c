//! Owns a worker's instructions to its sessions: go on, finish, stop now. A session looks at one
//! atomic each time it would sleep; a change wakes all of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Waker;

/// What sessions are to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Go on.
    Running,
    /// End at the next moment without a transaction.
    Draining,
    /// End now.
    Cut,
}

/// Shared by a worker's sessions and whoever steers them.
#[derive(Debug, Default)]
pub struct Control {
    phase: AtomicU8,
    /// Sessions of this worker.
    pub sessions: AtomicUsize,
    /// How often sessions have gone to rest or ended since free memory was last given back.
    pub freed: AtomicUsize,
    asleep: Mutex<HashMap<u64, Waker>>,
}

impl Control {
    /// The present instruction.
    #[inline]
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Running,
            1 => Phase::Draining,
            _ => Phase::Cut,
        }
    }

    /// Changes it and wakes everybody. It never goes back.
    pub fn advance(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
        let asleep = self.asleep.lock().unwrap_or_else(PoisonError::into_inner);
        for waker in asleep.values() {
            waker.wake_by_ref();
        }
    }

    /// Has session `number` woken by changes until it [leaves](Self::leave).
    pub fn enter(&self, number: u64, waker: &Waker) {
        let mut asleep = self.asleep.lock().unwrap_or_else(PoisonError::into_inner);
        asleep.insert(number, waker.clone());
    }

    /// Ends that.
    pub fn leave(&self, number: u64) {
        let mut asleep = self.asleep.lock().unwrap_or_else(PoisonError::into_inner);
        asleep.remove(&number);
    }
}
