//! Owns what all workers share: the setup in force, the pools, the cancel keys, the bounds. All of
//! it but the setup outlives a reload.

use crate::cancel::Cancels;
use crate::clusters::Clusters;
use crate::console;
use crate::crowd::Crowd;
use crate::derive::Deriver;
use crate::door::Door;
use crate::exchange::Exchange;
use crate::happenings;
use crate::inspection::Inspections;
use crate::live::Live;
use crate::mirror::Mirrors;
use crate::ready::Ready;
use crate::rest::ServerSide;
use crate::setup::Setup;
use crate::strangers::Strangers;
use crate::views::Catalogs;
use crate::welcomes::Welcomes;
use buf::Secret;
use events::Events;
use observe::{Counters, Gauges};
use pool::Group;
use session::govern::RulesInForce;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

/// Whether clients come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doors {
    /// Not yet: the sockets listen, and nobody is accepted.
    NotYet,
    /// They do.
    Open,
    /// No more.
    Closed,
}

/// Shared by all workers; nothing in it is locked across I/O.
pub struct Context {
    /// What the operator configured: each client takes a snapshot when it is accepted.
    pub live: Live,
    /// The pools.
    pub exchange: Exchange<Box<ServerSide>>,
    /// Makes the keys of resting connections: see [`Key`](crate::rest::Key).
    pub key_secret: [u8; 32],
    /// PBKDF2.
    pub deriver: Deriver,
    /// Who may come in.
    pub door: Door,
    /// What is logged of those who did not.
    pub strangers: Strangers,
    /// Cancel keys handed out.
    pub cancels: Cancels,
    /// How many clients databases and users have.
    pub crowd: Crowd,
    /// Whose connections are made ahead of need.
    pub(crate) ready: Ready,
    /// What servers said to clients that wanted the same.
    pub welcomes: Welcomes,
    /// What the console knows.
    pub(crate) console: console::Desk,
    /// What is known of clients' statements.
    pub(crate) inspections: Inspections,
    /// The clusters that databases follow.
    pub(crate) clusters: Clusters,
    /// The mirrors that databases have.
    pub(crate) mirrors: Mirrors,
    /// What is known of the views of governed databases.
    pub(crate) catalogs: Catalogs,
    /// What operators should hear of.
    pub events: Arc<Events>,
    /// What clients' statements are judged by.
    pub rules: Arc<RulesInForce>,
    /// When the proxy began: what its sessions count their time from.
    pub born: Instant,
    /// Clients connected now, from accept to close.
    pub clients: AtomicUsize,
    /// What happened so far.
    pub counters: Arc<Counters>,
    /// What stands now.
    pub gauges: Arc<Gauges>,
}

/// Those of the setup that a proxy begins with.
fn in_force(setup: &Setup) -> Arc<RulesInForce> {
    let rules = RulesInForce::default();
    rules.replace(setup.policy.as_ref().map(|it| Arc::clone(&it.rules)));
    Arc::new(rules)
}

impl Context {
    /// What the names of prepared statements on servers are made with.
    pub fn statements_key(&self) -> [u8; 32] {
        let mut hash = openssl::sha::Sha256::new();
        hash.update(&self.key_secret);
        hash.update(b"prepared statements");
        hash.finish()
    }

    /// What patterns of statements are found and counted with.
    pub fn patterns_key(&self) -> [u8; 32] {
        let mut hash = openssl::sha::Sha256::new();
        hash.update(&self.key_secret);
        hash.update(b"patterns of statements");
        hash.finish()
    }

    /// Where the connections of a role are counted together. A keyed hash: names are not kept.
    pub fn group_of(&self, role: &str) -> Group {
        let mut hash = openssl::sha::Sha256::new();
        hash.update(&self.key_secret);
        hash.update(role.as_bytes());
        let mut number = [0; 8];
        number.copy_from_slice(&hash.finish()[..8]);
        Group(u64::from_be_bytes(number))
    }

    /// The shared state of a proxy with this setup.
    /// `kept_under` is random and secret: derived keys are kept under hashes keyed with it;
    /// `key_secret` is another such.
    pub fn new(setup: Setup, kept_under: [u8; 32], key_secret: [u8; 32]) -> Context {
        let counters = Arc::<Counters>::default();
        Context {
            exchange: Exchange::default(),
            key_secret,
            deriver: Deriver::new(
                setup.limits.derivations_max,
                Secret::new(&kept_under),
                Arc::clone(&counters),
            ),
            door: Door::new(setup.listeners.len(), &setup.limits, Arc::clone(&counters)),
            strangers: Strangers::default(),
            cancels: Cancels::default(),
            crowd: Crowd::default(),
            ready: Ready::default(),
            welcomes: Welcomes::default(),
            console: console::Desk::default(),
            inspections: Inspections::default(),
            clusters: Clusters::default(),
            mirrors: Mirrors::default(),
            catalogs: Catalogs::default(),
            events: Arc::new(happenings::begin(setup.events_kept)),
            rules: in_force(&setup),
            born: Instant::now(),
            clients: AtomicUsize::new(0),
            counters,
            gauges: Arc::default(),
            live: Live::new(setup),
        }
    }
}
