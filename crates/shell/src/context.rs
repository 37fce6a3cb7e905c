//! Owns what all workers share: the setup, the pools, the cancel keys, the bounds.

use crate::cancel::Cancels;
use crate::derive::Deriver;
use crate::door::Door;
use crate::exchange::Exchange;
use crate::setup::{Database, Setup};
use buf::Secret;
use observe::Counters;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// Shared by all workers; nothing in it is locked across I/O.
pub struct Context {
    /// What the operator configured.
    pub setup: Setup,
    /// The pools.
    pub exchange: Arc<Exchange>,
    /// PBKDF2.
    pub deriver: Deriver,
    /// Who may come in.
    pub door: Door,
    /// Cancel keys handed out.
    pub cancels: Cancels,
    /// Clients connected now, from accept to close.
    pub clients: AtomicUsize,
    /// What happened so far.
    pub counters: Arc<Counters>,
}

impl Context {
    /// The shared state of a proxy with this setup.
    /// `kept_under` is random and secret: derived keys are kept under hashes keyed with it.
    pub fn new(setup: Setup, kept_under: [u8; 32]) -> Context {
        let counters = Arc::<Counters>::default();
        let bounds = setup.databases.iter().map(|d| d.connections_max);
        Context {
            exchange: Arc::new(Exchange::new(bounds, setup.timeouts.query_wait)),
            deriver: Deriver::new(
                setup.limits.derivations_max,
                Secret::new(&kept_under),
                Arc::clone(&counters),
            ),
            door: Door::new(setup.listeners.len(), &setup.limits, Arc::clone(&counters)),
            cancels: Cancels::new(setup.limits.cancels_max, setup.limits.cancels_per_second),
            clients: AtomicUsize::new(0),
            counters,
            setup,
        }
    }

    /// The entry for a database name, with its number: its own, else the one for all names.
    pub fn database(&self, name: &str) -> Option<(usize, &Database)> {
        let entries = || self.setup.databases.iter().enumerate();
        entries()
            .find(|(_, entry)| entry.name.as_deref() == Some(name))
            .or_else(|| entries().find(|(_, entry)| entry.name.is_none()))
    }
}
