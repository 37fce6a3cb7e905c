//! Owns what servers said to clients that wanted the same: so that the next such client is let in without
//! a server connection, which may be hard to get.
//!
//! An entry is good for half a minute and for one setup; afterwards a server is asked again.

use crate::dial::full;
use crate::lend;
use crate::ready::Way;
use crate::rest::Key;
use buf::{Plain, Secret};
use session::fault::Fault;
use session::login::Welcome;
use session::statements::Dialect;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How long an entry is good for.
const GOOD_FOR: Duration = Duration::from_secs(30);

/// Entries kept; with more, the old ones go.
const KEPT_MAX: usize = 4096;

/// What the clients have in common: the pool's key, and a digest of what they want.
pub type Wanted = (Key, [u8; 32]);

/// What a server said.
pub struct Known {
    /// ParameterStatus of all that it reports.
    pub welcome: Secret,
    /// How texts are read.
    pub dialect: Dialect,
    /// Where it is, for the log.
    pub server: ServerFacts,
    generation: u64,
    since: Instant,
    /// How the client before gets its connections, while it or one that shares this is there.
    way: Mutex<Weak<Way>>,
}

impl Known {
    /// Has a client that wanted the same share how it gets its connections with those before it, where that is the same:
    /// what proves them is then in memory once.
    pub(crate) fn share(&self, way: &mut Arc<Way>) {
        let mut kept = self.way.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.upgrade().filter(|it| it.same_as(way)) {
            Some(shared) => *way = shared,
            None => *kept = Arc::downgrade(way),
        }
    }

    /// What the client is to see, in a lent buffer.
    pub fn bytes(&self) -> Result<Welcome, Fault> {
        let mut welcome = Plain::none();
        lend::borrow_plain(&mut welcome);
        full(welcome.push(self.welcome.expose()))?;
        Ok(Welcome(welcome))
    }
}

/// Facts of a server connection, for the log.
#[derive(Clone)]
pub struct ServerFacts {
    /// Its address.
    pub address: String,
    /// Its TLS.
    pub tls: String,
    /// How Portcullis logged in.
    pub login: &'static str,
}

/// What is known.
#[derive(Default)]
pub struct Welcomes(Mutex<HashMap<Wanted, Arc<Known>>>);

impl Welcomes {
    /// What a server said to a client that wanted this, not long ago and under this setup.
    pub fn find(&self, wanted: &Wanted, generation: u64, now: Instant) -> Option<Arc<Known>> {
        let known = self.lock().get(wanted).map(Arc::clone)?;
        let good = known.generation == generation && now.duration_since(known.since) < GOOD_FOR;
        good.then_some(known)
    }

    /// Keeps what a server said.
    pub fn keep(
        &self,
        wanted: Wanted,
        (welcome, dialect, server): (Secret, Dialect, ServerFacts),
        (generation, now): (u64, Instant),
    ) {
        let mut kept = self.lock();
        if kept.len() >= KEPT_MAX {
            kept.retain(|_, it| now.duration_since(it.since) < GOOD_FOR);
        }
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        let before = kept.get(&wanted).map(|it| it.way.lock());
        let way = before.map(|it| it.unwrap_or_else(PoisonError::into_inner).clone());
        let known = Known {
            way: Mutex::new(way.unwrap_or_default()),
            welcome,
            dialect,
            server,
            generation,
            since: now,
        };
        kept.insert(wanted, Arc::new(known));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Wanted, Arc<Known>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::ProtocolVersion;
    use wire::startup::StartupMessage;

    /// What a server said.
    fn said() -> (Secret, Dialect, ServerFacts) {
        let facts = ServerFacts {
            address: String::new(),
            tls: String::new(),
            login: "",
        };
        (Secret::new(b"S"), Dialect::default(), facts)
    }

    fn way(password: &[u8]) -> Arc<Way> {
        let pairs = [(&b"user"[..], &b"u"[..])];
        Arc::new(Way {
            user: "u".to_owned(),
            database: "d".to_owned(),
            role: auth::ServerUser::configured("u"),
            credential: auth::Credential::Password(Secret::new(password)),
            startup: StartupMessage::new(ProtocolVersion::V3_0, pairs).unwrap(),
        })
    }

    /// Only with those whose way is the same, and not beyond the last of them.
    #[test]
    fn clients_share_how_they_get_connections() {
        let welcomes = Welcomes::default();
        let (now, wanted) = (Instant::now(), (Key::of_bytes([1; 32]), [2; 32]));
        let share = |password: &[u8]| {
            let mut way = way(password);
            welcomes.find(&wanted, 7, now).unwrap().share(&mut way);
            way
        };
        welcomes.keep(wanted, said(), (7, now));
        let first = share(b"one");
        assert!(Arc::ptr_eq(&first, &share(b"one")));
        welcomes.keep(wanted, said(), (7, now));
        assert!(Arc::ptr_eq(&first, &share(b"one")), "heard anew");
        let other = share(b"two");
        assert!(!Arc::ptr_eq(&first, &other));
        assert!(Arc::ptr_eq(&other, &share(b"two")));
        assert_eq!(Arc::strong_count(&other), 1);
    }

    #[test]
    fn what_is_known_is_good_for_a_while_and_for_one_setup() {
        let welcomes = Welcomes::default();
        let (now, wanted) = (Instant::now(), (Key::of_bytes([1; 32]), [2; 32]));
        welcomes.keep(wanted, said(), (7, now));
        let late = now + GOOD_FOR;
        assert!(welcomes.find(&wanted, 7, now).is_some());
        assert!(welcomes.find(&wanted, 8, now).is_none());
        assert!(welcomes.find(&wanted, 7, late).is_none());
        assert!(welcomes.find(&(wanted.0, [3; 32]), 7, now).is_none());
        for number in 0..KEPT_MAX + 1 {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&number.to_be_bytes());
            welcomes.keep((wanted.0, digest), said(), (7, now));
        }
        assert!(welcomes.lock().len() <= KEPT_MAX);
    }
}
