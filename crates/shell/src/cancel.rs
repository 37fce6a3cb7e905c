//! Owns carrying a cancel request to the server it is meant for: over a connection of its own, with
//! the same TLS as the session's (manual, "Canceling Requests in Progress").
//!
//! Neither a hit nor a miss is answered. A miss holds its connection for as long as the last hit
//! took, so that guessing keys shows no difference in time.

use crate::dial::reach;
use crate::port::Arrived;
use crate::setup::{Host, TcpOptions};
use session::cancel::Keys;
use session::fault::{Fault, FaultKind, Side};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use wire::from_server::BackendKeyData;
use wire::startup::CancelRequest;

/// What a first miss waits, before any hit has been measured.
const FIRST_MISS: Duration = Duration::from_millis(2);

/// A server connection, where a cancel of what it does is to be sent.
pub struct Target {
    host: Arc<Host>,
    tcp: TcpOptions,
    key: BackendKeyData,
    /// Cancels on their way to it.
    under_way: AtomicUsize,
    arrived: Notify,
}

impl Target {
    /// A server with its own key.
    pub fn new(host: Arc<Host>, tcp: TcpOptions, key: BackendKeyData) -> Target {
        Target {
            host,
            tcp,
            key,
            under_way: AtomicUsize::new(0),
            arrived: Notify::new(),
        }
    }

    /// True if a cancel is on its way to it: whoever has it next could be hit.
    pub fn is_aimed_at(&self) -> bool {
        self.under_way.load(Ordering::Acquire) > 0
    }

    /// Waits until no cancel is on its way any more.
    pub async fn settled(&self) {
        loop {
            let arrived = self.arrived.notified();
            if !self.is_aimed_at() {
                return;
            }
            arrived.await;
        }
    }
}

/// What a cancel request of one client is meant for at this moment.
#[derive(Default)]
pub struct Aim(Mutex<Aimed>);

#[derive(Default)]
enum Aimed {
    /// It does nothing that could be cancelled.
    #[default]
    Nothing,
    /// It waits for a server connection.
    Wait(Arc<Notify>),
    /// This one works for it.
    At(Arc<Target>),
}

impl Aim {
    /// A server connection works for the client from now on.
    #[inline]
    pub fn take(&self, target: &Arc<Target>) {
        *self.lock() = Aimed::At(Arc::clone(target));
    }

    /// It does so no more.
    #[inline]
    pub fn leave(&self) {
        *self.lock() = Aimed::Nothing;
    }

    /// The client waits for one; a cancel rings this.
    pub fn wait(&self, cancelled: &Arc<Notify>) {
        *self.lock() = Aimed::Wait(Arc::clone(cancelled));
    }

    fn lock(&self) -> MutexGuard<'_, Aimed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keys handed out, and the cancels under way.
pub struct Cancels {
    keys: Mutex<Keys<Arc<Aim>>>,
    under_way: AtomicUsize,
    rate: Mutex<Rate>,
    last_hit_us: AtomicU64,
}

/// A key in a client's hands; it is forgotten when this is dropped.
pub struct Issued<'a> {
    cancels: &'a Cancels,
    key: BackendKeyData,
    aim: Arc<Aim>,
}

/// What is carried out; more is dropped.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Cancels at once, of all clients.
    pub at_once: usize,
    /// Cancels a second of one client address.
    pub per_second: u32,
    /// How long one may take.
    pub deadline: Duration,
}

impl Default for Cancels {
    fn default() -> Cancels {
        Cancels {
            keys: Mutex::default(),
            under_way: AtomicUsize::new(0),
            rate: Mutex::new(Rate::new()),
            last_hit_us: AtomicU64::new(FIRST_MISS.as_micros() as u64),
        }
    }
}

impl Cancels {
    /// Hands a key out.
    pub fn issue(&self, issued: BackendKeyData, aim: Arc<Aim>) -> Issued<'_> {
        self.lock().insert(&issued, Arc::clone(&aim));
        Issued {
            cancels: self,
            key: issued,
            aim,
        }
    }

    /// Carries a request out, or waits as long as that would have taken.
    pub async fn carry_out(
        &self,
        request: &CancelRequest,
        from: &str,
        bounds: Bounds,
    ) -> Result<Carried, Fault> {
        if !self.rate().admit(from, Instant::now(), bounds.per_second) {
            return Ok(Carried::Dropped);
        }
        let Some(_under_way) = UnderWay::begin(&self.under_way, bounds.at_once) else {
            return Ok(Carried::Dropped);
        };
        let target = match self.begin(request) {
            Begun::Send(target) => Some(target),
            Begun::Told => return Ok(Carried::Out),
            Begun::Unknown => None,
        };
        let Some(target) = target else {
            let wait = Duration::from_micros(self.last_hit_us.load(Ordering::Relaxed));
            tokio::time::sleep(wait.min(bounds.deadline)).await;
            return Ok(Carried::Unknown);
        };
        let start = Instant::now();
        let done = within(bounds.deadline, &target.0).await;
        let took = start.elapsed().as_micros().min(1_000_000) as u64;
        self.last_hit_us.store(took, Ordering::Relaxed);
        done.map(|()| Carried::Out)
    }

    /// Cancels what the session that was issued this key is doing: for deadlines of our own.
    pub async fn stop(&self, issued: &Issued<'_>, deadline: Duration) -> Result<(), Fault> {
        let BackendKeyData { pid, key } = issued.key.clone();
        match self.begin(&CancelRequest { pid, key }) {
            Begun::Send(target) => within(deadline, &target.0).await,
            Begun::Told | Begun::Unknown => Ok(()),
        }
    }

    /// Finds what a request is meant for and counts the cancel in one step with it, so that whoever
    /// takes a server connection away from its client knows of every cancel on its way to it.
    fn begin(&self, request: &CancelRequest) -> Begun {
        let Some(aim) = self.lock().find(request) else {
            return Begun::Unknown;
        };
        let aimed = aim.lock();
        match &*aimed {
            Aimed::Nothing => Begun::Unknown,
            Aimed::Wait(cancelled) => {
                cancelled.notify_one();
                Begun::Told
            }
            Aimed::At(target) => {
                target.under_way.fetch_add(1, Ordering::AcqRel);
                Begun::Send(OnItsWay(Arc::clone(target)))
            }
        }
    }

    fn rate(&self) -> MutexGuard<'_, Rate> {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Keys<Arc<Aim>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One cancel under way.
struct UnderWay<'a>(&'a AtomicUsize);

impl UnderWay<'_> {
    fn begin(count: &AtomicUsize, most: usize) -> Option<UnderWay<'_>> {
        let guard = UnderWay(count);
        (count.fetch_add(1, Ordering::Relaxed) < most).then_some(guard)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What becomes of a request.
enum Begun {
    /// It goes to a server.
    Send(OnItsWay),
    /// The client waited for one, and knows.
    Told,
    /// No such key, or its client does nothing.
    Unknown,
}

/// A cancel on its way to its server.
struct OnItsWay(Arc<Target>);

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
        self.0.arrived.notify_waiters();
    }
}

/// Cancel requests of the present second by client address.
struct Rate {
    second: Instant,
    counts: HashMap<String, u32>,
}

impl Rate {
    /// Addresses counted; with more in one second, all are refused.
    const ADDRESSES_MAX: usize = 10_000;

    fn new() -> Rate {
        Rate {
            second: Instant::now(),
            counts: HashMap::new(),
        }
    }

    /// Counts one more of `from`; false if it is one too many.
    fn admit(&mut self, from: &str, now: Instant, per_second: u32) -> bool {
        if now.duration_since(self.second) >= Duration::from_secs(1) {
            self.second = now;
            self.counts.clear();
        }
        let address = from.rsplit_once(':').map_or(from, |(address, _)| address);
        if self.counts.len() >= Self::ADDRESSES_MAX && !self.counts.contains_key(address) {
            return false;
        }
        let count = self.counts.entry(address.to_owned()).or_default();
        *count += 1;
        *count <= per_second
    }
}

/// What became of a cancel request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// The server has it.
    Out,
    /// No session has this key.
    Unknown,
    /// Too many at once.
    Dropped,
}

async fn within(deadline: Duration, target: &Target) -> Result<(), Fault> {
    let done = tokio::time::timeout(deadline, send(target)).await;
    done.unwrap_or_else(|_| {
        Err(Fault::new(
            Side::Server,
            FaultKind::Timeout {
                setting: "cancel_wait_timeout",
                phase: "the server acted on a cancel request",
            },
        ))
    })
}

/// Sends the request and waits for the server to close: only then has the signal been sent.
async fn send(target: &Target) -> Result<(), Fault> {
    let mut port = reach(&target.host, &target.tcp).await?;
    let request = CancelRequest {
        pid: target.key.pid,
        key: target.key.key.clone(),
    };
    crate::dial::full(request.encode(port.room()))?;
    port.send().await?;
    while let Ok(Arrived::Bytes) = port.receive().await {
        port.plain_in.clear();
    }
    Ok(())
}

impl Issued<'_> {
    /// What a cancel with this key is meant for.
    pub fn aim(&self) -> &Arc<Aim> {
        &self.aim
    }

    /// What the client is told.
    pub fn key(&self) -> &BackendKeyData {
        &self.key
    }
}

impl Drop for Issued<'_> {
    fn drop(&mut self) {
        self.cancels.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancels_are_limited_per_address_and_second() {
        let mut rate = Rate::new();
        let now = rate.second;
        let later = now + Duration::from_millis(999);
        assert!(rate.admit("10.0.0.1:5000", now, 2));
        assert!(rate.admit("10.0.0.1:5001", now, 2));
        assert!(!rate.admit("10.0.0.1:5002", later, 2));
        assert!(rate.admit("10.0.0.2:5000", later, 2));
        assert!(rate.admit("10.0.0.1:5003", now + Duration::from_secs(1), 2));
    }

    #[test]
    fn cancels_at_once_are_bounded_and_a_refused_one_takes_no_place() {
        let count = AtomicUsize::new(0);
        let first = UnderWay::begin(&count, 1);
        assert!(first.is_some());
        assert!(UnderWay::begin(&count, 1).is_none());
        assert!(UnderWay::begin(&count, 2).is_some());
        drop(first);
        assert!(UnderWay::begin(&count, 1).is_some());
    }
}
