//! Owns the guards of the exchange: a lease that returns by itself, and a turn in the queue that is given
//! up by itself. Takes a connection back, or a poll; never closes a connection under the pool's mutex.

use super::place::{Pin, Place, too_long};
use super::sync::{Arc, AtomicUsize, Ordering, oneshot};
use crate::rest::Key;
use pool::{Home, Lease, Ticket};
use session::fault::Fault;
use std::future::Future;
use std::task::{Context, Poll};
use std::time::Instant;

/// What a client gets.
pub enum Lent<C> {
    /// A connection that rested.
    Rested(Leased<C>, C),
    /// The right to make one.
    Fresh(Leased<C>),
}

/// A lease that returns by itself, its connection closed, unless it is [kept](Leased::keep).
pub struct Leased<C> {
    pub(super) place: Arc<Place<C>>,
    pub(super) lease: Option<Lease>,
    pub(super) generation: u64,
    /// Where a connection that came with it from hand to hand may rest as it is.
    pub(super) back: Option<(Key, Home)>,
    pub(super) _busy: Option<Busy>,
}

/// A lease as it is counted.
pub(super) struct Busy(Arc<AtomicUsize>);

impl Busy {
    pub(super) fn new(count: &Arc<AtomicUsize>) -> Busy {
        count.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(count))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<C> Leased<C> {
    /// The pool's generation when it was given.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whose it is.
    pub fn place(&self) -> &Place<C> {
        &self.place
    }

    /// See [`Place::pin`].
    pub fn pin(&self, max: usize) -> Option<Pin<C>> {
        self.place.pin(max)
    }

    /// True if the pool's connections were to be replaced since it was given.
    #[inline]
    pub fn is_past(&self) -> bool {
        self.generation != self.place.generation()
    }

    /// It is for a connection of this generation from now on.
    pub fn renew(&mut self, generation: u64) {
        self.generation = generation;
    }

    /// Ends the lease at `now`; the connection may rest under `key`, or goes to somebody who waits for one.
    /// Gives the connections that are to be closed instead, this one if its setup is of the past.
    pub fn keep(mut self, key: (Key, Home), connection: C, now: Instant) -> Vec<C> {
        let current = self.place.generation();
        match self.lease.take() {
            Some(lease) if self.generation == current => {
                self.place.give_back(lease, Some((key, connection)), now)
            }
            lease => {
                self.lease = lease;
                vec![connection]
            }
        }
    }
}

impl<C> Drop for Leased<C> {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            drop(self.place.give_back(lease, None, Instant::now()));
        }
    }
}

/// A place in the queue, given up when the waiter leaves for whatever reason.
pub struct Turn<C> {
    pub(super) place: Arc<Place<C>>,
    pub(super) ticket: Option<Ticket>,
    pub(super) called: oneshot::Receiver<Lent<C>>,
}

impl<C> Turn<C> {
    /// Ends the wait by up to `reserve` connections beyond the limit of its group.
    pub fn reserve(&mut self, reserve: usize) -> Option<Leased<C>> {
        let ticket = self.ticket?;
        let lease = {
            let mut shared = self.place.lock();
            let lease = shared.pool.reserve(ticket, reserve)?;
            shared.waiters.remove(&ticket);
            lease
        };
        self.ticket = None;
        self.place.hall.settle();
        Some(self.place.guard(lease))
    }

    /// What the waiter is told that gives up now.
    pub fn too_long(&self) -> Fault {
        let hindrance = |ticket| self.place.lock().pool.hindrance(ticket);
        too_long(self.ticket.and_then(hindrance))
    }

    /// Ready when the turn has come; not to be asked again then.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Lent<C>> {
        match std::pin::Pin::new(&mut self.called).poll(cx) {
            Poll::Ready(Ok(lent)) => {
                self.ticket = None;
                Poll::Ready(lent)
            }
            // Nobody drops the other end while the ticket is in the queue.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

impl<C> Drop for Turn<C> {
    fn drop(&mut self) {
        // A lease that was sent in this moment returns by its guard.
        if let Some(ticket) = self.ticket {
            let mut shared = self.place.lock();
            shared.pool.cancel(ticket);
            shared.waiters.remove(&ticket);
            drop(shared);
            self.called.close();
            if let Ok(Lent::Rested(leased, connection)) = self.called.try_recv()
                && let Some(back) = leased.back
            {
                // It came in the very moment in which nobody wanted it any more: nothing was sent to it.
                drop(leased.keep(back, connection, Instant::now()));
            }
            self.place.hall.look_again();
        }
    }
}
