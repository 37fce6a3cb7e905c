//! Owns asking other instances behind the same address about a cancel request that is for no session
//! of ours: each once, all at the same time, over a connection of its own with the TLS that is
//! configured for it. What they are asked carries a mark and goes no further ([`hop`]).
//!
//! An instance that ran out of time is not asked for a while, so that a dead one does not cost every
//! request its deadline.

use crate::cancel::{Asked, Bounds, UnderWay, out_of_time, send};
use crate::setup::{Peer, Peers};
use session::fault::Fault;
use session::hop::{self, Issuer};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use wire::startup::CancelRequest;

/// How long an instance that ran out of time is left alone.
const REST: Duration = Duration::from_secs(10);

/// An instance that could not be asked.
#[derive(Debug, PartialEq, Eq)]
pub struct PeerFault {
    /// Its number and address.
    pub peer: String,
    /// Why.
    pub fault: Fault,
}

/// What is known of asking around.
#[derive(Default)]
pub(crate) struct Round {
    under_way: AtomicUsize,
    took_us: AtomicU64,
    /// Requests that are being passed on to which instance.
    asking: Arc<Mutex<HashMap<u16, u32>>>,
    /// When which instance ran out of time.
    silent: Mutex<HashMap<u16, Instant>>,
}

impl Round {
    /// Who may have issued the key of a client's request, and can be asked.
    pub(crate) fn to_ask(&self, request: &CancelRequest, peers: &Peers, now: Instant) -> Vec<Peer> {
        let issuer = hop::issuer(request.pid);
        let silent = self.silent();
        let others = peers.others.iter().filter(|peer| {
            let may_be = matches!(issuer, Issuer::Any) || issuer == Issuer::Instance(peer.number);
            let rests = silent.get(&peer.number);
            may_be && rests.is_none_or(|since| now.duration_since(*since) >= REST)
        });
        others.cloned().collect()
    }

    /// How long it took the last time that all answered.
    pub(crate) fn took(&self) -> Duration {
        Duration::from_micros(self.took_us.load(Ordering::Relaxed))
    }

    /// Asks all of them and waits until each has closed its connection: then it has done what there
    /// was to do. `None`: nobody was asked.
    pub(crate) async fn ask(
        &self,
        asked: &Asked<'_>,
        others: Vec<Peer>,
        bounds: Bounds,
    ) -> Option<Vec<PeerFault>> {
        let request = Arc::new(hop::passed_on(asked.request)?);
        if others.is_empty() {
            return None;
        }
        let _under_way = UnderWay::begin(&self.under_way, bounds.at_once)?;
        let start = Instant::now();
        let mut asking = JoinSet::new();
        for peer in others {
            let (request, tcp) = (Arc::clone(&request), asked.tcp.clone());
            let passing = Passing::begin(&self.asking, peer.number);
            asking.spawn(async move {
                let _passing = passing;
                let sent = send(&peer.host, &tcp, &request);
                (
                    peer.clone(),
                    tokio::time::timeout(bounds.deadline, sent).await,
                )
            });
        }
        let mut faults = Vec::new();
        while let Some(done) = asking.join_next().await {
            let Ok((peer, done)) = done else { continue };
            let done = done.unwrap_or_else(|_| {
                self.silent().insert(peer.number, Instant::now());
                Err(out_of_time("a peer acted on a cancel request"))
            });
            if let Err(fault) = done {
                let peer = format!("{} ({})", peer.number, peer.host.address);
                faults.push(PeerFault { peer, fault });
            }
        }
        if faults.is_empty() {
            let took = start.elapsed().as_micros() as u64;
            self.took_us.store(took, Ordering::Relaxed);
        }
        Some(faults)
    }

    /// Requests that are being passed on to an instance.
    pub(crate) fn asking(&self, peer: u16) -> u32 {
        lock(&self.asking).get(&peer).copied().unwrap_or(0)
    }

    fn silent(&self) -> MutexGuard<'_, HashMap<u16, Instant>> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request on its way to an instance.
struct Passing {
    asking: Arc<Mutex<HashMap<u16, u32>>>,
    peer: u16,
}

impl Passing {
    fn begin(asking: &Arc<Mutex<HashMap<u16, u32>>>, peer: u16) -> Passing {
        *lock(asking).entry(peer).or_default() += 1;
        let asking = Arc::clone(asking);
        Passing { asking, peer }
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if let Some(count) = lock(&self.asking).get_mut(&self.peer) {
            *count -= 1;
        }
    }
}

fn lock(asking: &Mutex<HashMap<u16, u32>>) -> MutexGuard<'_, HashMap<u16, u32>> {
    asking.lock().unwrap_or_else(PoisonError::into_inner)
}
