//! Owns the decision when a connection's keys are worn: how many records and bytes each of its two
//! keys has seen, and for how long it has been in use.
//!
//! Takes counts and seconds, gives what is to be done. Never talks to libssl, knows no clock, and
//! draws no random numbers: seconds and chance are arguments. A key that nothing was encrypted with
//! doesn't age, so an idle connection is rekeyed once and then left alone.
//!
//! OpenSSL never rekeys by itself, and enforces no limit of a cipher (RFC 8446 section 5.5: about
//! 2^24.5 full records for AES-GCM).

use std::num::NonZeroU32;

/// When a key is worn. A limit that is reached first counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyLimits {
    /// Records in one direction.
    pub records: u64,
    /// Plaintext and ciphertext bytes alike: the difference is a few percent.
    pub bytes: u64,
    /// Seconds since the key was first used; `None` without a limit.
    pub age_s: Option<u32>,
}

impl Default for KeyLimits {
    /// A third of what RFC 8446 section 5.5 grants AES-GCM, 64 GiB, an hour.
    fn default() -> Self {
        KeyLimits {
            records: 1 << 23,
            bytes: 64 << 30,
            age_s: Some(3600),
        }
    }
}

/// What can be done about a worn key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// KeyUpdate (RFC 8446 section 4.6.3).
    KeyUpdate,
    /// Nothing but another connection, or a renegotiation: TLS 1.2. Age is no limit of a cipher,
    /// and doesn't count here.
    None,
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Our key is worn.
    Update,
    /// The peer's is, and it gets a request to change it. Ours changes with it.
    UpdateAndRequest,
    /// One of them is, and nothing can be done about it. Said once.
    Worn,
}

/// One direction's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    /// Its limits, as in [`KeyLimits`].
    records: u64,
    bytes: u64,
    age_s: Option<NonZeroU32>,
    records_left: u64,
    bytes_left: u64,
    /// The last second in which it was unused.
    since_s: u32,
}

impl Key {
    fn new(limits: KeyLimits) -> Key {
        Key {
            records: limits.records,
            bytes: limits.bytes,
            age_s: limits.age_s.and_then(NonZeroU32::new),
            records_left: limits.records,
            bytes_left: limits.bytes,
            since_s: 0,
        }
    }

    fn renew(&mut self, now_s: u32) {
        self.records_left = self.records;
        self.bytes_left = self.bytes;
        self.since_s = now_s;
    }

    #[inline]
    fn used(&mut self, records: u64, bytes: u64) -> bool {
        self.records_left = self.records_left.saturating_sub(records);
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
        self.is_spent()
    }

    #[inline]
    fn is_spent(&self) -> bool {
        self.records_left == 0 || self.bytes_left == 0
    }

    fn is_unused(&self) -> bool {
        self.records_left == self.records
    }

    /// The second in which it becomes too old.
    fn too_old_s(&self) -> Option<u32> {
        let age = self.age_s.filter(|_| !self.is_unused())?;
        Some(self.since_s.saturating_add(age.get()))
    }

    fn is_too_old(&self, now_s: u32) -> bool {
        self.too_old_s().is_some_and(|at| at <= now_s)
    }
}

/// Both keys of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Keys {
    sending: Key,
    receiving: Key,
    now_s: u32,
    remedy: Remedy,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing is under way.
    Fresh,
    /// The peer has our request and hasn't answered yet: it gets no second one.
    Awaiting,
    /// It was said that the keys are worn.
    Told,
}

impl Keys {
    /// Fresh keys. `chance` spreads the limits of many connections, so that they don't rekey in
    /// step: ours are worn at three to four quarters of `limits`, the peer's at four to five. Two
    /// peers with the same limits then never both think that it is their turn.
    pub(crate) fn new(limits: KeyLimits, remedy: Remedy, chance: u64) -> Keys {
        let spread = |from: u64, chance: u64| {
            let of = |limit: u64| {
                let part = u128::from(limit) * u128::from(from * 256 + (chance & 0xff)) / 1024;
                u64::try_from(part).unwrap_or(u64::MAX).max(1)
            };
            let age = |age: u32| u32::try_from(of(age.into())).unwrap_or(u32::MAX);
            KeyLimits {
                records: of(limits.records),
                bytes: of(limits.bytes),
                age_s: limits.age_s.map(age).filter(|_| remedy != Remedy::None),
            }
        };
        Keys {
            sending: Key::new(spread(3, chance)),
            receiving: Key::new(spread(4, chance >> 8)),
            now_s: 0,
            remedy,
            state: State::Fresh,
        }
    }

    /// Says what can be done about worn keys, once the version is known. Without a remedy age is no
    /// limit.
    pub(crate) fn set_remedy(&mut self, remedy: Remedy) {
        self.remedy = remedy;
        if remedy == Remedy::None {
            self.sending.age_s = None;
            self.receiving.age_s = None;
        }
    }

    /// Notes what was sent; true if [`due`](Self::due) has to be asked.
    #[inline]
    pub(crate) fn sent(&mut self, records: u64, bytes: u64) -> bool {
        self.sending.used(records, bytes)
    }

    /// Notes what came; likewise.
    #[inline]
    pub(crate) fn received(&mut self, records: u64, bytes: u64) -> bool {
        self.receiving.used(records, bytes)
    }

    /// Notes the time, which never goes back; true if [`due`](Self::due) has to be asked.
    pub(crate) fn tick(&mut self, now_s: u32) -> bool {
        self.now_s = self.now_s.max(now_s);
        for key in [&mut self.sending, &mut self.receiving] {
            if key.is_unused() {
                key.since_s = self.now_s;
            }
        }
        self.sending.is_too_old(self.now_s) || self.receiving.is_too_old(self.now_s)
    }

    /// The second in which a connection without traffic has to be rekeyed.
    pub(crate) fn due_s(&self) -> Option<u32> {
        let receiving = match self.state {
            State::Fresh => self.receiving.too_old_s(),
            State::Awaiting | State::Told => None,
        };
        match (self.sending.too_old_s(), receiving) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// What is to be done now.
    pub(crate) fn due(&self) -> Option<Due> {
        let spent = |key: &Key| key.is_spent() || key.is_too_old(self.now_s);
        let (sending, receiving) = (spent(&self.sending), spent(&self.receiving));
        match (self.remedy, self.state) {
            (_, State::Told) => None,
            (Remedy::None, _) => (sending || receiving).then_some(Due::Worn),
            (Remedy::KeyUpdate, State::Fresh) if receiving => Some(Due::UpdateAndRequest),
            (Remedy::KeyUpdate, _) => sending.then_some(Due::Update),
        }
    }

    /// What was due has been done.
    pub(crate) fn did(&mut self, due: Due) {
        match due {
            Due::Update => self.sending.renew(self.now_s),
            Due::UpdateAndRequest => {
                self.sending.renew(self.now_s);
                self.state = State::Awaiting;
            }
            Due::Worn => self.state = State::Told,
        }
    }

    /// The peer changed its key; true if we had asked for it.
    pub(crate) fn peer_updated(&mut self) -> bool {
        self.receiving.renew(self.now_s);
        let asked = self.state == State::Awaiting;
        self.state = State::Fresh;
        asked
    }

    /// Both keys are new: a renegotiation was carried through.
    pub(crate) fn renegotiated(&mut self) {
        self.sending.renew(self.now_s);
        self.receiving.renew(self.now_s);
        self.state = State::Fresh;
    }

    /// True if a key is worn and nothing can be done about it.
    pub(crate) fn are_worn(&self) -> bool {
        self.state == State::Told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: KeyLimits = KeyLimits {
        records: 1024,
        bytes: 1 << 20,
        age_s: Some(100),
    };

    /// Keys whose own limit is three quarters, and the peer's the whole.
    fn keys(remedy: Remedy) -> Keys {
        Keys::new(LIMITS, remedy, 0)
    }

    #[test]
    fn limits_of_each_direction() {
        // Sent and received records and bytes, the second, what is due.
        let table = [
            ((767, 0), (1023, 0), 0, None),
            ((768, 0), (0, 0), 0, Some(Due::Update)),
            ((1, 3 << 18), (0, 0), 0, Some(Due::Update)),
            ((0, 0), (1024, 0), 0, Some(Due::UpdateAndRequest)),
            ((0, 0), (1, 1 << 20), 0, Some(Due::UpdateAndRequest)),
            ((768, 0), (1024, 0), 0, Some(Due::UpdateAndRequest)),
            ((u64::MAX, u64::MAX), (0, 0), 0, Some(Due::Update)),
            ((1, 1), (0, 0), 74, None),
            ((1, 1), (0, 0), 75, Some(Due::Update)),
            ((1, 1), (1, 1), 99, Some(Due::Update)),
            ((0, 0), (1, 1), 99, None),
            ((0, 0), (1, 1), 100, Some(Due::UpdateAndRequest)),
            ((0, 0), (0, 0), u32::MAX, None),
        ];
        for (sent, received, now_s, due) in table {
            let mut keys = keys(Remedy::KeyUpdate);
            let spent = keys.sent(sent.0, sent.1) | keys.received(received.0, received.1);
            let old = keys.tick(now_s);
            assert_eq!(keys.due(), due, "{sent:?} {received:?} {now_s}");
            assert_eq!(spent || old, due.is_some(), "{sent:?} {received:?} {now_s}");
        }
    }

    #[test]
    fn no_second_request_before_the_first_is_answered() {
        let mut keys = keys(Remedy::KeyUpdate);
        assert!(keys.received(1024, 0));
        keys.did(Due::UpdateAndRequest);
        assert_eq!(keys.due(), None);
        assert!(keys.received(u64::MAX, u64::MAX));
        keys.tick(1000);
        assert_eq!(keys.due(), None, "the request is still on its way");
        assert!(keys.sent(1000, 0), "our own key goes on wearing");
        assert_eq!(keys.due(), Some(Due::Update));
        keys.did(Due::Update);
        assert_eq!(keys.due(), None);
        assert!(keys.peer_updated(), "asked for");
        assert_eq!(keys.due(), None);
        assert!(keys.received(1024, 0));
        assert_eq!(keys.due(), Some(Due::UpdateAndRequest));
        keys.peer_updated();
        assert!(!keys.peer_updated(), "of its own accord");
    }

    #[test]
    fn an_idle_connection_is_rekeyed_once() {
        let mut keys = keys(Remedy::KeyUpdate);
        assert_eq!(keys.due_s(), None);
        keys.tick(1_000_000);
        keys.sent(1, 100);
        keys.received(1, 100);
        assert_eq!(keys.due_s(), Some(1_000_075), "ages from its first use");
        assert!(!keys.tick(1_000_074));
        assert!(keys.tick(1_000_100));
        assert_eq!(keys.due(), Some(Due::UpdateAndRequest));
        keys.did(Due::UpdateAndRequest);
        assert_eq!(keys.due_s(), None);
        keys.peer_updated();
        assert_eq!(keys.due_s(), None);
        assert!(!keys.tick(u32::MAX));
    }

    #[test]
    fn without_a_remedy_it_is_said_once() {
        let mut keys = keys(Remedy::None);
        keys.sent(1, 1);
        assert!(!keys.tick(u32::MAX), "age is no limit");
        assert_eq!(keys.due_s(), None);
        assert!(keys.sent(1000, 0));
        assert_eq!(keys.due(), Some(Due::Worn));
        keys.did(Due::Worn);
        assert!(keys.are_worn());
        keys.received(u64::MAX, 0);
        assert_eq!(keys.due(), None);
        keys.renegotiated();
        assert!(!keys.are_worn());
        assert_eq!(keys.due(), None);
    }

    proptest! {
        /// Whatever the chance, ours are worn before the limit, and the peer's not before it.
        #[test]
        fn chance_spreads_between_bounds(
            chance: u64,
            records in 4u64..1 << 40,
            bytes in 4u64..1 << 60,
            age in 4u32..1 << 30,
        ) {
            let limits = KeyLimits { records, bytes, age_s: Some(age) };
            let keys = Keys::new(limits, Remedy::KeyUpdate, chance);
            for (ours, theirs, limit) in [
                (keys.sending.records, keys.receiving.records, records),
                (keys.sending.bytes, keys.receiving.bytes, bytes),
            ] {
                prop_assert!(limit / 4 * 3 <= ours && ours <= limit);
                prop_assert!(limit <= theirs && theirs <= limit / 4 * 5 + 5);
            }
        }
    }
}
