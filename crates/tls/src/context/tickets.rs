//! Owns the keys of session tickets (RFC 5077, RFC 8446 section 4.6.1): made at random, kept in
//! memory alone, changed every period, forgotten after two.
//!
//! Tickets are stateless: whoever has the keys can open them, so all threads share one set, and a
//! context that replaces another one goes on with its keys ([`Tickets::go_on_from`]). Time and
//! chance are arguments, given once.

use buf::Secret;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The clock of what changes while a context lives: keys of tickets, staples that go stale.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Clock {
    /// A clock that gives seconds since 1970.
    pub fn new(now_unix_s: impl Fn() -> i64 + Send + Sync + 'static) -> Clock {
        Clock(Arc::new(now_unix_s))
    }

    pub(crate) fn now_unix_s(&self) -> i64 {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Fills a buffer with random bytes; false if there are none.
pub type Chance = fn(&mut [u8]) -> bool;

/// Bytes of a key: its name, the cipher's key, the authentication's key.
const NAME: usize = 16;
const CIPHER: usize = 32;
const MAC: usize = 32;

/// One key.
#[derive(Clone)]
pub(crate) struct TicketKey {
    born_unix_s: i64,
    /// Name, cipher key, authentication key.
    bytes: Secret,
}

impl TicketKey {
    /// What stands in the ticket in clear, to find the key by.
    pub(crate) fn name(&self) -> &[u8] {
        &self.bytes.expose()[..NAME]
    }

    /// AES-256.
    pub(crate) fn cipher(&self) -> &[u8] {
        &self.bytes.expose()[NAME..NAME + CIPHER]
    }

    /// HMAC-SHA256.
    pub(crate) fn mac(&self) -> &[u8] {
        &self.bytes.expose()[NAME + CIPHER..]
    }
}

/// A key that opens a ticket.
pub(crate) enum Found {
    /// The one in use.
    Current(TicketKey),
    /// The one before: the client should get a new ticket.
    Previous(TicketKey),
}

#[derive(Default, Clone)]
struct Ring {
    current: Option<TicketKey>,
    previous: Option<TicketKey>,
}

/// The keys of one listener's tickets.
#[derive(Clone)]
pub struct Tickets(Arc<Shared>);

struct Shared {
    period_s: i64,
    clock: Clock,
    chance: Chance,
    ring: Mutex<Ring>,
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tickets(keys change every {} s)", self.0.period_s)
    }
}

impl Tickets {
    /// Keys that seal tickets for `period`, and open them for as long again.
    pub fn new(period: Duration, clock: Clock, chance: Chance) -> Tickets {
        Tickets(Arc::new(Shared {
            period_s: i64::try_from(period.as_secs()).unwrap_or(i64::MAX).max(1),
            clock,
            chance,
            ring: Mutex::default(),
        }))
    }

    /// Takes over the keys of a context that this one replaces, so that its tickets stay good.
    pub fn go_on_from(&self, before: &Tickets) {
        let ring = before.lock().clone();
        *self.lock() = ring;
    }

    /// How long a key seals.
    pub(crate) fn period(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.0.period_s).unwrap_or(0))
    }

    /// The key for a new ticket.
    pub(crate) fn to_seal(&self) -> Option<TicketKey> {
        self.turned().current.clone()
    }

    /// The key of a ticket, if it is not too old.
    pub(crate) fn to_open(&self, name: &[u8]) -> Option<Found> {
        let ring = self.turned();
        let named = |key: &Option<TicketKey>| key.clone().filter(|key| key.name() == name);
        let current = named(&ring.current).map(Found::Current);
        current.or_else(|| named(&ring.previous).map(Found::Previous))
    }

    /// New random bytes for one thing of a ticket.
    pub(crate) fn random(&self, bytes: &mut [u8]) -> bool {
        (self.0.chance)(bytes)
    }

    /// The keys after whatever the time asks for.
    fn turned(&self) -> std::sync::MutexGuard<'_, Ring> {
        let now = self.0.clock.now_unix_s();
        let period = self.0.period_s;
        let mut ring = self.lock();
        let age = |key: &Option<TicketKey>| key.as_ref().map(|key| now - key.born_unix_s);
        if age(&ring.current).is_none_or(|age| age >= period)
            && let Some(fresh) = self.fresh(now)
        {
            ring.previous = ring.current.replace(fresh);
        }
        let lifetime = period.saturating_mul(2);
        if age(&ring.previous).is_some_and(|age| age >= lifetime) {
            ring.previous = None;
        }
        if age(&ring.current).is_some_and(|age| age >= lifetime) {
            ring.current = None;
        }
        ring
    }

    fn fresh(&self, now: i64) -> Option<TicketKey> {
        let mut bytes = vec![0; NAME + CIPHER + MAC];
        let made = self.random(&mut bytes);
        // Taken up in any case, so that it is wiped.
        let bytes = Secret::from_vec(bytes);
        made.then_some(TicketKey {
            born_unix_s: now,
            bytes,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Ring> {
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI64, Ordering};

    fn chance(bytes: &mut [u8]) -> bool {
        openssl::rand::rand_bytes(bytes).is_ok()
    }

    fn tickets(time: &Arc<AtomicI64>) -> Tickets {
        let time = Arc::clone(time);
        let clock = Clock::new(move || time.load(Ordering::Relaxed));
        Tickets::new(Duration::from_secs(3600), clock, chance)
    }

    fn opens(tickets: &Tickets, key: &TicketKey) -> &'static str {
        match tickets.to_open(key.name()) {
            Some(Found::Current(_)) => "current",
            Some(Found::Previous(_)) => "previous",
            None => "none",
        }
    }

    #[test]
    fn keys_turn_every_period_and_are_forgotten_after_two() {
        let time = Arc::new(AtomicI64::new(1_000_000));
        let tickets = tickets(&time);
        let first = tickets.to_seal().unwrap();
        for (after_s, expected) in [
            (0, "current"),
            (3599, "current"),
            (3600, "previous"),
            (7199, "previous"),
            (7200, "none"),
        ] {
            time.store(1_000_000 + after_s, Ordering::Relaxed);
            assert_eq!(opens(&tickets, &first), expected, "{after_s}");
        }
        let second = tickets.to_seal().unwrap();
        assert_ne!(first.name(), second.name());
        assert_ne!(first.cipher(), second.cipher());
        assert_ne!(first.mac(), second.mac());
        // A long silence leaves nothing of what was before it.
        time.store(9_000_000, Ordering::Relaxed);
        assert_eq!(opens(&tickets, &second), "none");
    }

    #[test]
    fn a_context_that_replaces_another_goes_on_with_its_keys() {
        let time = Arc::new(AtomicI64::new(0));
        let (before, after) = (tickets(&time), tickets(&time));
        let key = before.to_seal().unwrap();
        assert_eq!(opens(&after, &key), "none");
        after.go_on_from(&before);
        assert_eq!(opens(&after, &key), "current");
    }

    #[test]
    fn without_chance_there_is_no_key() {
        let clock = Clock::new(|| 0);
        let tickets = Tickets::new(Duration::from_secs(60), clock, |_| false);
        assert!(tickets.to_seal().is_none());
    }
}
