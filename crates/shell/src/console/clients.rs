//! Owns the registry of clients that have proved who they are: facts that stay, and what each is doing,
//! as atomics that its session stores.

use super::Desk;
use crate::cancel::Aim;
use crate::control::Control;
use crate::inspection::Activity;
use admin::Counts;
use session::Traffic;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Instant;
use tokio::sync::Notify;

/// Locks of the registry: logins of several workers rarely meet at one.
const SHARDS: usize = 16;

/// What a client is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    /// It has no server connection and wants none now.
    Idle,
    /// It waits for one.
    Waiting,
    /// One is being made for it.
    Linking,
    /// It has one.
    Active,
}

/// What is known of a client when it comes in, as far as others may have it in common with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct ClientFacts {
    /// Who it is.
    pub(crate) user: String,
    /// Where it goes: the database that it asked for, or the one that a route leads to.
    pub(crate) database: String,
    /// What it asked for, by its own name for it.
    pub(crate) asked_for: String,
    /// Whose server connections it gets: the role that is configured, else its own.
    pub(crate) pool_user: String,
    /// `none`, `logical` or `physical`.
    pub(crate) replication: &'static str,
    /// Our own address and port; none over a Unix-domain socket.
    pub(crate) local: Option<std::net::SocketAddr>,
    /// Version and suite.
    pub(crate) tls: String,
    /// It showed a certificate that was verified.
    pub(crate) has_certificate: bool,
    /// What it calls itself.
    pub(crate) application_name: String,
    /// True for a client of the console.
    pub(crate) is_console: bool,
}

/// Where a client is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Whereabouts {
    /// Its address and port; none over a Unix-domain socket.
    pub(crate) peer: Option<std::net::SocketAddr>,
    /// Process id, over a Unix-domain socket.
    pub(crate) pid: u32,
}

/// A client in the registry.
pub(crate) struct Client {
    /// What `SHOW CLIENTS` calls `id`.
    pub(crate) number: u64,
    /// What stays.
    pub(crate) facts: Arc<ClientFacts>,
    /// Where it is.
    pub(crate) at: Whereabouts,
    /// When it came in, in seconds since 1970.
    pub(crate) since_s: u64,
    /// Its worker, and its number there.
    pub(crate) session: (Arc<Control>, u64),
    /// Bytes on its connection.
    pub(crate) meter: Meter,
    /// What it executes, if that is looked at.
    pub(crate) activity: OnceLock<Arc<Activity>>,
    epoch: Instant,
    statements: AtomicU32,
    doing: AtomicU8,
    waits_since_us: AtomicU64,
    waited_us: AtomicU64,
    assignments: AtomicU64,
    server: AtomicU64,
    killed: AtomicBool,
    end: Notify,
    /// What its cancel requests are meant for; none if it has no key.
    aim: OnceLock<Weak<Aim>>,
}

/// Bytes on the wire, stored by the port that moves them.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    received: AtomicU64,
    sent: AtomicU64,
}

impl Meter {
    /// Bytes that have come so far.
    #[inline]
    pub(crate) fn received(&self, total: u64) {
        self.received.store(total, Ordering::Relaxed);
    }

    /// Bytes that have left so far.
    #[inline]
    pub(crate) fn sent(&self, total: u64) {
        self.sent.store(total, Ordering::Relaxed);
    }

    /// Received and sent.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (of(&self.received), of(&self.sent))
    }
}

impl Client {
    /// It wants a server connection, since this moment.
    pub(crate) fn waits(&self, now_us: u64) {
        self.waits_since_us.store(now_us, Ordering::Relaxed);
        self.set(Doing::Waiting);
    }

    /// It has its turn; its wait goes on until it has a connection.
    pub(crate) fn called(&self) {
        self.set(Doing::Linking);
    }

    /// One is being made for it.
    pub(crate) fn dials(&self) {
        if self.waits_since_us.load(Ordering::Relaxed) == 0 {
            self.waits_since_us.store(self.now_us(), Ordering::Relaxed);
        }
        self.set(Doing::Linking);
    }

    /// It has this server connection.
    pub(crate) fn linked(&self, traffic: &Traffic) {
        traffic.lent(self.number);
        self.server.store(traffic.number(), Ordering::Relaxed);
        add(&self.assignments, 1);
        self.end_wait();
        self.set(Doing::Active);
    }

    /// It has none any more.
    pub(crate) fn unlinked(&self) {
        self.server.store(0, Ordering::Relaxed);
        self.end_wait();
        self.set(Doing::Idle);
    }

    /// It has so many prepared statements.
    pub(crate) fn holds(&self, statements: usize) {
        let count = u32::try_from(statements).unwrap_or(u32::MAX);
        self.statements.store(count, Ordering::Relaxed);
    }

    /// Its prepared statements at the end of its last transaction.
    pub(crate) fn statements(&self) -> u32 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Server connections it was lent, and microseconds that it waited for them.
    pub(crate) fn lent(&self) -> (u64, u64) {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (of(&self.assignments), of(&self.waited_us))
    }

    /// Looks at the clock only if it has waited.
    fn end_wait(&self) {
        if self.waits_since_us.load(Ordering::Relaxed) != 0 {
            add(&self.waited_us, self.waits_us(self.now_us()));
            self.waits_since_us.store(0, Ordering::Relaxed);
        }
    }

    /// A moment on the desk's clock.
    pub(crate) fn at_us(&self, moment: Instant) -> u64 {
        super::micros(moment.saturating_duration_since(self.epoch))
    }

    fn now_us(&self) -> u64 {
        super::micros(self.epoch.elapsed())
    }

    /// What it is doing.
    pub(crate) fn doing(&self) -> Doing {
        match self.doing.load(Ordering::Relaxed) {
            0 => Doing::Idle,
            1 => Doing::Waiting,
            2 => Doing::Linking,
            _ => Doing::Active,
        }
    }

    /// How long it has waited by now, if it waits.
    pub(crate) fn waits_us(&self, now_us: u64) -> u64 {
        match self.waits_since_us.load(Ordering::Relaxed) {
            0 => 0,
            since => now_us.saturating_sub(since),
        }
    }

    /// Adds what it counted by now.
    pub(crate) fn counted(&self, now_us: u64, counts: &mut Counts) {
        let (received, sent) = self.meter.totals();
        counts.bytes_received += received;
        counts.bytes_sent += sent;
        counts.server_assignment_count += self.assignments.load(Ordering::Relaxed);
        counts.wait_time += self.waited_us.load(Ordering::Relaxed) + self.waits_us(now_us);
        counts.client_login_count += 1;
    }

    /// The number of its server connection, if it has one.
    pub(crate) fn server(&self) -> Option<u64> {
        Some(self.server.load(Ordering::Relaxed)).filter(|it| *it != 0)
    }

    /// Its cancel requests go there.
    pub(crate) fn aims(&self, aim: &Arc<Aim>) {
        // Its key is issued once.
        let _ = self.aim.set(Arc::downgrade(aim));
    }

    /// What a cancel request of it would be meant for.
    pub(crate) fn aim(&self) -> Option<Arc<Aim>> {
        self.aim.get()?.upgrade()
    }

    /// Ends its session, whatever it is doing.
    pub(crate) fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        self.end.notify_waiters();
        let (control, number) = &self.session;
        control.end(*number);
    }

    /// Has its session look again at what it has.
    pub(crate) fn wake(&self) {
        let (control, number) = &self.session;
        control.wake(*number);
    }

    /// True once the session has to end. Its task is [woken](Control::end) then, if that has slept.
    #[inline]
    pub(crate) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    /// Ready when the session has to end: for what waits before it has slept.
    pub(crate) async fn killed(&self) {
        loop {
            let told = self.end.notified();
            if self.is_killed() {
                return;
            }
            told.await;
        }
    }

    fn set(&self, doing: Doing) {
        self.doing.store(doing as u8, Ordering::Relaxed);
    }
}

/// Only the session itself adds.
fn add(count: &AtomicU64, more: u64) {
    count.store(count.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

/// All clients.
#[derive(Default)]
pub(crate) struct Clients {
    shards: [Mutex<HashMap<u64, Arc<Client>>>; SHARDS],
}

impl Clients {
    /// The client with this number.
    pub(crate) fn find(&self, number: u64) -> Option<Arc<Client>> {
        self.shard(number).get(&number).cloned()
    }

    /// All of them, the oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<Client>> {
        let mut all = Vec::new();
        for shard in &self.shards {
            all.extend(lock(shard).values().cloned());
        }
        all.sort_by_key(|client| client.number);
        all
    }

    fn shard(&self, number: u64) -> MutexGuard<'_, HashMap<u64, Arc<Client>>> {
        lock(&self.shards[number as usize % SHARDS])
    }
}

impl Desk {
    /// Takes a client down until the guard goes.
    pub(crate) fn register(
        &self,
        (facts, at): (ClientFacts, Whereabouts),
        session: (Arc<Control>, u64),
    ) -> Registered<'_> {
        let number = self.number();
        let client = Arc::new(Client {
            number,
            facts: self.facts.of(facts),
            at,
            since_s: super::unix_s(),
            session,
            meter: Meter::default(),
            activity: OnceLock::new(),
            epoch: self.since,
            statements: AtomicU32::new(0),
            doing: AtomicU8::new(Doing::Idle as u8),
            waits_since_us: AtomicU64::new(0),
            waited_us: AtomicU64::new(0),
            assignments: AtomicU64::new(0),
            server: AtomicU64::new(0),
            killed: AtomicBool::new(false),
            end: Notify::new(),
            aim: OnceLock::new(),
        });
        let shard = &mut self.clients.shard(number);
        shard.insert(number, Arc::clone(&client));
        Registered { desk: self, client }
    }
}

/// A client's place in the registry; when it goes, what it counted is kept.
pub(crate) struct Registered<'a> {
    desk: &'a Desk,
    /// The client.
    pub(crate) client: Arc<Client>,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        let number = self.client.number;
        self.desk.clients.shard(number).remove(&number);
        self.desk.client_ended(&self.client);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(desk: &Desk) -> Registered<'_> {
        let facts = (ClientFacts::default(), Whereabouts::default());
        desk.register(facts, (Arc::new(Control::of_test()), 0))
    }

    #[test]
    fn clients_are_there_while_they_are() {
        let desk = Desk::default();
        let (first, second) = (register(&desk), register(&desk));
        let numbers = || {
            let all = desk.clients.all();
            all.iter().map(|it| it.number).collect::<Vec<_>>()
        };
        assert_eq!(numbers(), [1, 2]);
        first.client.meter.sent(30);
        drop(first);
        assert_eq!(numbers(), [2]);
        assert!(desk.clients.find(1).is_none() && desk.clients.find(2).is_some());
        second.client.meter.sent(12);
        assert_eq!(desk.statistics()[0].total.bytes_sent, 42);
        drop(second);
        assert!(numbers().is_empty());
        assert_eq!(desk.statistics()[0].total.bytes_sent, 42);
    }

    #[test]
    fn waits_are_measured_from_the_first_moment() {
        let desk = Desk::default();
        let client = Arc::clone(&register(&desk).client);
        let since = desk.now_us();
        client.waits(since);
        assert_eq!(client.waits_us(since + 50), 50);
        assert_eq!(client.doing(), Doing::Waiting);
        client.called();
        // Until it has a connection, not until its turn.
        assert_eq!(client.waits_us(since + 70), 70);
        assert_eq!(client.doing(), Doing::Linking);
        let traffic = Traffic::default();
        traffic.numbered(5);
        while desk.now_us() < since + 100 {
            std::hint::spin_loop();
        }
        client.linked(&traffic);
        assert_eq!(traffic.client(), Some(client.number));
        let mut counts = Counts::default();
        client.counted(u64::MAX, &mut counts);
        assert!((100..5_000_000).contains(&counts.wait_time), "{counts:?}");
        assert_eq!(counts.server_assignment_count, 1);
        assert_eq!(client.lent(), (1, counts.wait_time));
        assert_eq!((client.doing(), client.server()), (Doing::Active, Some(5)));
        client.unlinked();
        assert_eq!((client.doing(), client.server()), (Doing::Idle, None));
    }

    #[tokio::test]
    async fn whoever_was_killed_before_it_waits_is_killed_too() {
        let desk = Desk::default();
        let registered = register(&desk);
        registered.client.kill();
        registered.client.killed().await;
    }
}
