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
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use wire::from_server::BackendKeyData;
use wire::startup::CancelRequest;

/// What a first miss waits, before any hit has been measured.
const FIRST_MISS: Duration = Duration::from_millis(2);

/// Where a session's server is and how to cancel what it does.
#[derive(Clone)]
pub struct Target {
    host: Arc<Host>,
    tcp: TcpOptions,
    key: BackendKeyData,
}

impl Target {
    /// A server with its own key.
    pub fn new(host: Host, tcp: TcpOptions, key: BackendKeyData) -> Target {
        let host = Arc::new(host);
        Target { host, tcp, key }
    }
}

/// The keys handed out, and the bound of cancels at once.
pub struct Cancels {
    keys: Mutex<Keys<Target>>,
    permits: Semaphore,
    rate: Mutex<Rate>,
    last_hit_us: AtomicU64,
}

/// A key in a client's hands; it is forgotten when this is dropped.
pub struct Issued<'a> {
    cancels: &'a Cancels,
    key: BackendKeyData,
}

impl Cancels {
    /// At most `max` cancels are carried out at once, and `per_second` of each client address;
    /// more are dropped.
    pub fn new(max: usize, per_second: u32) -> Cancels {
        Cancels {
            keys: Mutex::default(),
            permits: Semaphore::new(max),
            rate: Mutex::new(Rate::new(per_second)),
            last_hit_us: AtomicU64::new(FIRST_MISS.as_micros() as u64),
        }
    }

    /// Hands a key out for the server at `host` whose own key is `server`.
    pub fn issue(&self, issued: BackendKeyData, target: Target) -> Issued<'_> {
        self.lock().insert(&issued, target);
        Issued {
            cancels: self,
            key: issued,
        }
    }

    /// Carries a request out, or waits as long as that would have taken.
    pub async fn carry_out(
        &self,
        request: &CancelRequest,
        from: &str,
        deadline: Duration,
    ) -> Result<Carried, Fault> {
        if !self.rate().admit(from, Instant::now()) {
            return Ok(Carried::Dropped);
        }
        let Ok(_permit) = self.permits.try_acquire() else {
            return Ok(Carried::Dropped);
        };
        let target = self.lock().find(request);
        let Some(target) = target else {
            let wait = Duration::from_micros(self.last_hit_us.load(Ordering::Relaxed));
            tokio::time::sleep(wait.min(deadline)).await;
            return Ok(Carried::Unknown);
        };
        let start = Instant::now();
        let done = within(deadline, &target).await;
        let took = start.elapsed().as_micros().min(1_000_000) as u64;
        self.last_hit_us.store(took, Ordering::Relaxed);
        done.map(|()| Carried::Out)
    }

    /// Cancels what the session that was issued this key is doing: for deadlines of our own.
    pub async fn stop(&self, issued: &Issued<'_>, deadline: Duration) -> Result<(), Fault> {
        let BackendKeyData { pid, key } = issued.key.clone();
        let target = self.lock().find(&CancelRequest { pid, key });
        match target {
            Some(target) => within(deadline, &target).await,
            None => Ok(()),
        }
    }

    fn rate(&self) -> MutexGuard<'_, Rate> {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Keys<Target>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Cancel requests of the present second by client address.
struct Rate {
    per_second: u32,
    second: Instant,
    counts: HashMap<String, u32>,
}

impl Rate {
    /// Addresses counted; with more in one second, all are refused.
    const ADDRESSES_MAX: usize = 10_000;

    fn new(per_second: u32) -> Rate {
        Rate {
            per_second,
            second: Instant::now(),
            counts: HashMap::new(),
        }
    }

    /// Counts one more of `from`; false if it is one too many.
    fn admit(&mut self, from: &str, now: Instant) -> bool {
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
        *count <= self.per_second
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
        let mut rate = Rate::new(2);
        let now = rate.second;
        let later = now + Duration::from_millis(999);
        assert!(rate.admit("10.0.0.1:5000", now));
        assert!(rate.admit("10.0.0.1:5001", now));
        assert!(!rate.admit("10.0.0.1:5002", later));
        assert!(rate.admit("10.0.0.2:5000", later));
        assert!(rate.admit("10.0.0.1:5003", now + Duration::from_secs(1)));
    }
}
