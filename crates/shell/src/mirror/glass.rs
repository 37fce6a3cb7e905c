//! Owns one mirror as everybody sees it: what is copied to it now, the copies that wait, and what came of them.

use super::queue::{Copied, Queue};
use super::told::Told;
use crate::setup;
use observe::{Histogram, Spread};
use session::mirror::{Answer, Verdict};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// A database that has another one's statements copied to it.
pub(crate) struct Mirror {
    /// The database whose statements are copied.
    pub(crate) of: String,
    /// The one that they go to.
    pub(crate) to: String,
    /// So many of 100; 0 once nothing is copied any more.
    share: AtomicU32,
    bytes_max: AtomicUsize,
    pub(super) queue: Queue,
    /// Connections to it now.
    connections: AtomicUsize,
    /// What became of copies.
    pub(crate) counts: observe::Mirror,
    /// How long the client's server took, and the mirror: noted by one thread.
    client: Histogram,
    mirror: Histogram,
    /// Why the last copy failed.
    trouble: Mutex<String>,
    pub(super) told: Told,
}

impl Mirror {
    /// One to which nothing is copied yet.
    pub(super) fn new(of: &str, to: &str) -> Mirror {
        Mirror {
            of: of.to_owned(),
            to: to.to_owned(),
            share: AtomicU32::new(0),
            bytes_max: AtomicUsize::new(0),
            queue: Queue::default(),
            connections: AtomicUsize::new(0),
            counts: observe::Mirror::default(),
            client: Histogram::default(),
            mirror: Histogram::default(),
            trouble: Mutex::default(),
            told: Told::default(),
        }
    }

    /// Copies by these rules from now on, also of clients that are there already.
    pub(super) fn set(&self, rules: &setup::Mirrored) {
        self.bytes_max.store(rules.bytes_max, Ordering::Relaxed);
        self.queue.bound(rules.queue_max);
        self.share.store(rules.share, Ordering::Relaxed);
    }

    /// Copies nothing any more.
    pub(super) fn end(&self) {
        self.share.store(0, Ordering::Relaxed);
        self.queue.bound(0);
    }

    /// So many of 100 requests are copied now.
    #[inline]
    pub(crate) fn share(&self) -> u32 {
        self.share.load(Ordering::Relaxed)
    }

    /// Bytes of the longest one.
    pub(super) fn bytes_max(&self) -> usize {
        self.bytes_max.load(Ordering::Relaxed)
    }

    /// Hands a copy over. Never waits.
    pub(super) fn offer(&self, copy: Copied) {
        if !self.queue.put(copy) {
            self.counts.dropped.add(1);
        }
    }

    /// Copies that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Connections to it.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// A connection was made, which counts until the guard is dropped.
    pub(super) fn connected(&self) -> Connected<'_> {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Connected(self)
    }

    /// The mirror's answer has come; to be called from the mirrors' thread alone.
    pub(super) fn answered(&self, copy: &Copied, answer: &Answer, took_us: u64) -> Verdict {
        self.counts.compared.add(1);
        self.client.note(copy.took_us);
        self.mirror.note(took_us);
        let verdict = Verdict::of(&copy.answer, answer);
        match verdict {
            Verdict::Same => {}
            Verdict::RowsDiffer => self.counts.rows_differ.add(1),
            Verdict::ErrorsDiffer => self.counts.errors_differ.add(1),
        }
        verdict
    }

    /// A copy got no answer.
    pub(super) fn failed(&self, why: String) {
        self.counts.failed.add(1);
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// Why the last one that failed did.
    pub(crate) fn trouble(&self) -> String {
        let trouble = self.trouble.lock();
        trouble.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How long the clients' servers took for what was compared, and the mirror for the same.
    pub(crate) fn times(&self) -> (Spread, Spread) {
        (self.client.spread(), self.mirror.spread())
    }
}

/// A connection to a mirror.
pub(super) struct Connected<'a>(&'a Mirror);

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
