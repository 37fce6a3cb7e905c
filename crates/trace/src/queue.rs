//! Owns the way of spans from sessions to who exports them: bounded; what finds no room is counted and gone.

use crate::Span;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;

/// Where sessions put spans.
#[derive(Debug, Clone)]
pub struct Sender {
    to: SyncSender<Option<Span>>,
    dropped: Arc<AtomicU64>,
}

/// Where they are taken.
#[derive(Debug)]
pub struct Receiver {
    from: mpsc::Receiver<Option<Span>>,
}

/// A way with room for so many.
pub fn queue(most: usize) -> (Sender, Receiver) {
    let (to, from) = mpsc::sync_channel(most.max(1));
    let dropped = Arc::default();
    (Sender { to, dropped }, Receiver { from })
}

impl Sender {
    /// Hands a span over, if there is room. Never waits.
    #[inline]
    pub fn push(&self, span: Span) {
        if self.to.try_send(Some(span)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Wakes whoever takes them, who then gets none. One that is busy needs no waking.
    pub fn wake(&self) {
        let _ = self.to.try_send(None);
    }

    /// How many found no room so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Receiver {
    /// The next one; `None` if there is none within this time, or somebody wakes.
    pub fn next(&self, within: Duration) -> Option<Span> {
        self.from.recv_timeout(within).ok().flatten()
    }
}
