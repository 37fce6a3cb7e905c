//! Owns what sessions see of one cluster: its latest view, the way to each host, and how busy each is.
//!
//! Takes views from the task that keeps the cluster; gives a host for a wish, and passes on what sessions meet.

use crate::setup::{self, Host, Located, Switchover, WithoutPrimary};
use cluster::{Choice, Key, Leader, Lsn, Reads, Ready, View, Wish, choose};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// What the task of a cluster is told.
pub(crate) enum Errand {
    /// The cluster is to be kept so from now on.
    Setup(Box<setup::Cluster>),
    /// Real traffic met trouble at this host.
    Suspect(Key),
    /// Somebody waits for another leader, or does no more.
    Hurry(bool),
    /// The pools are to be led once more; the answer says that they are.
    Lead(oneshot::Sender<()>),
    /// Nothing new is to be asked of a host, or it is again; the answer says whether there is one of this key.
    Drain(Key, bool, oneshot::Sender<bool>),
    /// The cluster is followed no more.
    End,
}

/// A cluster as sessions see it.
pub(crate) struct Fleet {
    /// Its name.
    pub(crate) name: String,
    seen: watch::Sender<Arc<Seen>>,
    tell: mpsc::UnboundedSender<Errand>,
    turns: AtomicU64,
    /// Nobody is led anywhere: a switchover is under way.
    stands_still: AtomicBool,
    /// What draws begin with.
    seed: u64,
}

/// What was seen of it last.
pub(crate) struct Seen {
    /// What is known.
    pub(crate) view: View,
    /// The way to each host.
    pub(crate) hosts: HashMap<Key, Reached>,
    /// What those must be like that are read from.
    pub(crate) reads: Reads,
    /// How a planned switchover is done.
    pub(crate) switchover: Switchover,
    /// What becomes of those who want to write while there is no primary.
    pub(crate) without_primary: WithoutPrimary,
    /// When it was seen, by the clock of the view.
    pub(crate) at: Duration,
}

/// The way to a host.
#[derive(Clone)]
pub(crate) struct Reached {
    /// How it is reached.
    pub(crate) host: Arc<Host>,
    /// Where it was found.
    pub(crate) located: Located,
    /// Leases of its connections.
    pub(crate) busy: Arc<AtomicUsize>,
}

/// Where a wish leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pick {
    /// To the pool of the leader, where whoever finds none waits for one.
    Leader,
    /// To the pool of this standby.
    Standby(Key),
    /// To nobody at present.
    Nobody,
}

impl Seen {
    /// The leader, and the way to it.
    pub(crate) fn leader(&self) -> Option<(&Key, &Reached)> {
        let key = self.view.leader.key()?;
        Some((key, self.hosts.get(key)?))
    }

    /// The hosts that are up and not refused, the leader first.
    pub(crate) fn usable(&self) -> Vec<Arc<Host>> {
        let leader = self.view.leader.key();
        let usable = |it: &&cluster::Host| {
            it.health.is_up() && !matches!(it.role, cluster::Role::Refused(_))
        };
        let mut hosts: Vec<_> = self.view.hosts.iter().filter(usable).collect();
        hosts.sort_by_key(|it| Some(&it.key) != leader);
        let reached = hosts.into_iter().filter_map(|it| self.hosts.get(&it.key));
        reached.map(|it| Arc::clone(&it.host)).collect()
    }
}

impl Fleet {
    pub(super) fn new(
        plan: &setup::Cluster,
        tell: mpsc::UnboundedSender<Errand>,
        seed: u64,
    ) -> Fleet {
        let nothing = Seen {
            view: View::default(),
            hosts: HashMap::new(),
            reads: plan.reads.clone(),
            switchover: plan.switchover.clone(),
            without_primary: plan.without_primary,
            at: Duration::ZERO,
        };
        Fleet {
            name: plan.name.clone(),
            seen: watch::Sender::new(Arc::new(nothing)),
            tell,
            turns: AtomicU64::new(0),
            stands_still: AtomicBool::new(false),
            seed,
        }
    }

    /// What was seen of it last.
    pub(crate) fn seen(&self) -> Arc<Seen> {
        Arc::clone(&self.seen.borrow())
    }

    /// The leader that clients are led to, and the way to it.
    pub(crate) fn leader(&self, seen: &Seen) -> Option<(Key, Reached)> {
        if self.stands_still.load(Ordering::Acquire) {
            return None;
        }
        let (key, reached) = seen.leader()?;
        Some((key.clone(), reached.clone()))
    }

    /// Nobody is led anywhere from now on, or everybody again; false if that was so already.
    pub(super) fn stand_still(&self, stands: bool) -> bool {
        self.stands_still.swap(stands, Ordering::AcqRel) != stands
    }

    /// Tells of changes of what can be used.
    pub(crate) fn changes(&self) -> watch::Receiver<Arc<Seen>> {
        self.seen.subscribe()
    }

    /// Tells the task that keeps it.
    pub(crate) fn tell(&self, errand: Errand) {
        // Without a task the cluster is followed no more.
        let _ = self.tell.send(errand);
    }

    pub(super) fn show(&self, seen: Seen) {
        self.seen.send_if_modified(|shown| {
            let is_news = shown.view.version != seen.view.version;
            *shown = Arc::new(seen);
            is_news
        });
    }

    /// Where a wish leads by what was seen; `least` is what a standby must have replayed.
    pub(crate) fn pick(&self, seen: &Seen, wish: Wish, least: Option<Lsn>) -> Pick {
        let has_none = matches!(seen.view.leader, Leader::None);
        let wish = match (wish, seen.without_primary) {
            (Wish::Primary, WithoutPrimary::ReadOnly) if has_none => Wish::PreferStandby,
            (Wish::Primary, _) => return Pick::Leader,
            (wish, _) => wish,
        };
        let busy = |key: &Key| {
            let reached = seen.hosts.get(key);
            reached.map_or(0, |it| it.busy.load(Ordering::Relaxed))
        };
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        let ready = Ready {
            busy: &busy,
            turn,
            chance: scattered(turn ^ self.seed),
            now: seen.at,
            least,
        };
        match choose(&seen.view, wish, &seen.reads, &ready) {
            Choice::Leader => Pick::Leader,
            Choice::Standby(key) => Pick::Standby(key.clone()),
            // Who wanted to write waits for the primary.
            Choice::Nobody if has_none && wish == Wish::PreferStandby => Pick::Leader,
            Choice::Nobody => Pick::Nobody,
        }
    }
}

/// A number that looks random for each number (the finalizer of MurmurHash3): draws need no more.
fn scattered(number: u64) -> u64 {
    let mut mixed = number;
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53_u64] {
        mixed ^= mixed >> 33;
        mixed = mixed.wrapping_mul(factor);
    }
    mixed ^ (mixed >> 33)
}
