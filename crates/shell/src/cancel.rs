//! Owns carrying a cancel request to the server it is meant for: over a connection of its own, with
//! the same TLS as the session's (manual, "Canceling Requests in Progress").
//!
//! Neither a hit nor a miss is answered. A miss holds its connection for as long as the last hit
//! took, so that guessing keys shows no difference in time. Where a miss is [passed on](crate::peers)
//! to other instances, or [back](crate::elder) to the process of before, a hit holds its connection for
//! as long as that took.

use crate::control::Sleeper;
use crate::dial::reach;
use crate::elder::Elder;
use crate::peers::{PeerFault, Round};
use crate::port::{Arrived, Port};
use crate::setup::{Host, Peers, TcpOptions};
use observe::Handshakes;
use session::cancel::Keys;
use session::fault::{Fault, FaultKind, Side};
use session::{Traffic, hop};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use wire::from_server::BackendKeyData;
use wire::startup::CancelRequest;

/// What a first miss waits, before any hit has been measured.
const FIRST_MISS: Duration = Duration::from_millis(2);

/// How often a cancel looks whether the server connection has been made ready for its client.
const LOOK: Duration = Duration::from_millis(1);

/// A server connection, where a cancel of what it does is to be sent.
pub struct Target {
    host: Arc<Host>,
    tcp: Arc<TcpOptions>,
    key: BackendKeyData,
    /// Weak: the connection is known to live by who else holds this.
    traffic: Weak<Traffic>,
    /// Cancels on their way to it.
    under_way: AtomicUsize,
    arrived: Notify,
}

impl Target {
    /// A server with its own key, and what is known of its connection.
    pub fn new(
        host: Arc<Host>,
        tcp: Arc<TcpOptions>,
        (key, traffic): (BackendKeyData, &Arc<Traffic>),
    ) -> Target {
        Target {
            host,
            tcp,
            key,
            traffic: Arc::downgrade(traffic),
            under_way: AtomicUsize::new(0),
            arrived: Notify::new(),
        }
    }

    /// The server process.
    pub fn pid(&self) -> u32 {
        self.key.pid
    }

    /// True if a cancel is on its way to it: whoever has it next could be hit.
    pub fn is_aimed_at(&self) -> bool {
        self.under_way.load(Ordering::Acquire) > 0
    }

    /// Waits until it works for its client itself, and no longer on being made ready for it: a cancel
    /// of that could leave the client with what another one has left.
    async fn made_ready(&self) {
        while self.traffic.upgrade().is_some_and(|it| it.is_made_ready()) {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Cancels on their way to it.
    pub fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
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
    /// It waits for a server connection, or for its turn.
    Wait(Arc<Sleeper>),
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

    /// The client waits from now on: a cancel [wakes](Sleeper::cancel) its session.
    #[inline]
    pub fn wait(&self, sleeper: &Arc<Sleeper>) {
        // One that came at the end of another wait.
        sleeper.take_cancel();
        *self.lock() = Aimed::Wait(Arc::clone(sleeper));
    }

    /// Cancels; true if who waits was told.
    #[cfg(test)]
    pub(crate) fn rings(&self) -> bool {
        matches!(self.begin(), Begun::Told)
    }

    /// Counts a cancel on its way to whatever works for the client.
    fn begin(&self) -> Begun {
        let aimed = self.lock();
        match &*aimed {
            Aimed::Nothing => Begun::Unknown,
            Aimed::Wait(sleeper) => {
                sleeper.cancel();
                Begun::Told
            }
            Aimed::At(target) => {
                target.under_way.fetch_add(1, Ordering::AcqRel);
                Begun::Send(OnItsWay(Arc::clone(target)))
            }
        }
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
    round: Round,
    /// Who knows the keys of sessions from before this process took over.
    pub(crate) elder: Elder,
}

/// A key in a client's hands, of which nothing is kept here; it is forgotten when this is dropped.
pub struct Issued<'a> {
    cancels: &'a Cancels,
    pid: u32,
    aim: Arc<Aim>,
}

/// A request, and whom it may be passed on to.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The request.
    pub request: &'a CancelRequest,
    /// The client's address.
    pub from: &'a str,
    /// Other instances.
    pub peers: &'a Peers,
    /// Options of the sockets towards them.
    pub tcp: &'a TcpOptions,
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
            round: Round::default(),
            elder: Elder::default(),
        }
    }
}

impl Cancels {
    /// Requests that are being passed on to an instance.
    pub fn asking(&self, peer: u16) -> u32 {
        self.round.asking(peer)
    }

    /// Hands a key out.
    pub fn issue(&self, issued: &BackendKeyData, aim: Arc<Aim>) -> Issued<'_> {
        self.lock().insert(issued, Arc::clone(&aim));
        Issued {
            cancels: self,
            pid: issued.pid,
            aim,
        }
    }

    /// Carries a request out; if it is for no session of ours, has other instances do so that may
    /// have issued its key; if there are none, waits as long as carrying out would have taken.
    pub async fn carry_out(&self, asked: &Asked<'_>, bounds: Bounds) -> Result<Carried, Fault> {
        let now = Instant::now();
        if !self.rate().admit(asked.from, now, bounds.per_second) {
            return Ok(Carried::Dropped);
        }
        let Some(under_way) = UnderWay::begin(&self.under_way, bounds.at_once) else {
            return Ok(Carried::Dropped);
        };
        // What another instance passed on ends here.
        let received = hop::received(asked.request);
        let others = match &received {
            Some(_) => Vec::new(),
            None => self.round.to_ask(asked.request, asked.peers, now),
        };
        let begun = self.begin(received.as_ref().unwrap_or(asked.request));
        let target = match begun {
            Begun::Send(target) => target,
            Begun::Told => return Ok(Carried::Out),
            Begun::Unknown => {
                let wait = tokio::time::sleep(self.miss(bounds));
                // Peers that are slow to answer take no place from sessions of ours.
                drop(under_way);
                let asking = self.round.ask(asked, others, bounds);
                let own = received.as_ref().unwrap_or(asked.request);
                let before = self.elder.ask(own, bounds);
                let ((), faults, ()) = tokio::join!(wait, asking, before);
                return Ok(faults.map_or(Carried::Unknown, Carried::PassedOn));
            }
        };
        let done = within(bounds.deadline, &target.0).await;
        self.note_hit(now);
        drop((target, under_way));
        let elsewhere = match others.is_empty() {
            true => self.elder.took(),
            false => self.elder.took().max(self.round.took()),
        };
        if !elsewhere.is_zero() {
            let until = now + elsewhere.min(bounds.deadline);
            tokio::time::sleep_until(until.into()).await;
        }
        done.map(|()| Carried::Out)
    }

    /// Carries out a request that came back from the process that has taken over: that process has
    /// judged how many there may be, and asked whom else there is to ask.
    pub async fn carry_out_for_heir(
        &self,
        request: &CancelRequest,
        bounds: Bounds,
    ) -> Result<Carried, Fault> {
        let now = Instant::now();
        let target = match self.begin(request) {
            Begun::Send(target) => target,
            Begun::Told => return Ok(Carried::Out),
            Begun::Unknown => {
                let asking = self.elder.ask(request, bounds);
                tokio::join!(tokio::time::sleep(self.miss(bounds)), asking);
                return Ok(Carried::Unknown);
            }
        };
        let done = within(bounds.deadline, &target.0).await;
        self.note_hit(now);
        done.map(|()| Carried::Out)
    }

    /// How long a miss takes, to look like the last hit.
    fn miss(&self, bounds: Bounds) -> Duration {
        let wait = Duration::from_micros(self.last_hit_us.load(Ordering::Relaxed));
        wait.min(bounds.deadline)
    }

    fn note_hit(&self, since: Instant) {
        let took = since.elapsed().as_micros().min(1_000_000) as u64;
        self.last_hit_us.store(took, Ordering::Relaxed);
    }

    /// Cancels what the session that was issued this key is doing: for deadlines of our own.
    pub async fn stop(&self, issued: &Issued<'_>, deadline: Duration) -> Result<(), Fault> {
        match issued.aim.begin() {
            Begun::Send(target) => within(deadline, &target.0).await,
            Begun::Told | Begun::Unknown => Ok(()),
        }
    }

    /// Cancels what somebody else's session is doing, by order of an administrator. It takes the way of
    /// the client's own request, so that whoever has the server connection next can't be hit.
    pub(crate) async fn order(&self, aim: &Aim, bounds: Bounds) -> Result<Carried, Fault> {
        let Some(_under_way) = UnderWay::begin(&self.under_way, bounds.at_once) else {
            return Ok(Carried::Dropped);
        };
        match aim.begin() {
            Begun::Send(target) => within(bounds.deadline, &target.0).await?,
            Begun::Told => {}
            Begun::Unknown => return Ok(Carried::Unknown),
        }
        Ok(Carried::Out)
    }

    /// Finds what a request is meant for and counts the cancel in one step with it, so that whoever
    /// takes a server connection away from its client knows of every cancel on its way to it.
    fn begin(&self, request: &CancelRequest) -> Begun {
        let aim = self.lock().find(request);
        aim.map_or(Begun::Unknown, |aim| aim.begin())
    }

    fn rate(&self) -> MutexGuard<'_, Rate> {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Keys<Arc<Aim>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has a server stop what it does for the client that has it.
pub(crate) async fn stop(target: Arc<Target>, deadline: Duration) -> Result<(), Fault> {
    target.under_way.fetch_add(1, Ordering::AcqRel);
    let target = OnItsWay(target);
    within(deadline, &target.0).await
}

/// One cancel under way.
pub(crate) struct UnderWay<'a>(&'a AtomicUsize);

impl UnderWay<'_> {
    pub(crate) fn begin(count: &AtomicUsize, most: usize) -> Option<UnderWay<'_>> {
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
#[derive(Debug, PartialEq, Eq)]
pub enum Carried {
    /// The server has it.
    Out,
    /// No session has this key.
    Unknown,
    /// No session of ours has; other instances were asked, and these could not be.
    PassedOn(Vec<PeerFault>),
    /// Too many at once.
    Dropped,
}

/// Carries a cancel request to its server. Such connections are counted among no handshakes: they are no sessions.
async fn within(deadline: Duration, target: &Target) -> Result<(), Fault> {
    let request = CancelRequest {
        pid: target.key.pid,
        key: target.key.key.clone(),
    };
    let done = tokio::time::timeout(deadline, async {
        let port = reach(&target.host, &target.tcp, &Handshakes::default()).await?;
        target.made_ready().await;
        deliver(port, &request).await
    });
    done.await
        .unwrap_or_else(|_| Err(out_of_time("the server acted on a cancel request")))
}

/// Took longer than the deadline.
pub(crate) fn out_of_time(phase: &'static str) -> Fault {
    let setting = "cancel_wait_timeout";
    Fault::new(Side::Server, FaultKind::Timeout { setting, phase })
}

/// Sends the request and waits for the other side to close: only then has the signal been sent.
pub(crate) async fn send(
    host: &Host,
    tcp: &TcpOptions,
    request: &CancelRequest,
) -> Result<(), Fault> {
    let port = reach(host, tcp, &Handshakes::default()).await?;
    deliver(port, request).await
}

async fn deliver(mut port: Port, request: &CancelRequest) -> Result<(), Fault> {
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
}

impl Drop for Issued<'_> {
    fn drop(&mut self) {
        let is_ours = |aim: &Arc<Aim>| Arc::ptr_eq(aim, &self.aim);
        self.cancels.lock().remove(self.pid, is_ours);
        // The console may know the aim without its key.
        self.aim.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancel_ends_the_wait_that_it_is_for() {
        let (aim, sleeper) = (Aim::default(), Arc::default());
        assert!(!aim.rings());
        aim.wait(&sleeper);
        assert!(aim.rings() && sleeper.take_cancel());
        assert!(aim.rings());
        aim.wait(&sleeper);
        assert!(!sleeper.take_cancel(), "of another wait");
        aim.leave();
        assert!(!aim.rings() && !sleeper.take_cancel());
    }

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
