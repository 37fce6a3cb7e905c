//! Owns the setup in force, and its replacement while clients come and go.
//!
//! A client takes a snapshot when it is accepted and lives with it to its end, so a reload never
//! changes anything under a session's feet. The snapshot is a pointer: the setup it points to has
//! served its time when the last session that began under it has ended. Then it is freed, and its
//! secrets wiped, but not by that session: with a million users this takes a while, in which no
//! other session of the worker would move.

use crate::setup::{Address, Listener, Setup};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The setup in force, and those before it that sessions still live with.
pub struct Live(Mutex<Setups>);

struct Setups {
    current: Arc<Setup>,
    former: Vec<Arc<Setup>>,
}

impl Live {
    /// Begins with this setup.
    pub fn new(setup: Setup) -> Live {
        Live(Mutex::new(Setups {
            current: Arc::new(setup),
            former: Vec::new(),
        }))
    }

    /// The setup in force now: a short lock, once for each connection.
    pub fn snapshot(&self) -> Arc<Setup> {
        Arc::clone(&self.lock().current)
    }

    /// Puts `next` in force for clients that are accepted from now on, and gives the setup as it
    /// is then. What takes a restart stays: see [`carry_over`].
    pub fn replace(&self, next: Setup) -> Arc<Setup> {
        let mut setups = self.lock();
        let next = Arc::new(carry_over(&setups.current, next));
        let before = std::mem::replace(&mut setups.current, Arc::clone(&next));
        setups.former.push(before);
        next
    }

    /// Former setups that no session lives with any more, for a thread that may take its time to
    /// drop them.
    pub fn served_their_time(&self) -> Vec<Arc<Setup>> {
        let mut setups = self.lock();
        // Nobody can take another snapshot of a former one.
        let (over, needed) = std::mem::take(&mut setups.former)
            .into_iter()
            .partition(|setup| Arc::strong_count(setup) == 1);
        setups.former = needed;
        over
    }

    fn lock(&self) -> MutexGuard<'_, Setups> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The next setup with what can't change while the proxy runs: its sockets and its threads.
///
/// An address that `next` doesn't have stays open with the rules that it had: those of `next` were
/// not written for it. One that only `next` has is not open yet, and left out.
fn carry_over(running: &Setup, mut next: Setup) -> Setup {
    for setting in next.settings.iter_mut().filter(|it| !it.is_changeable) {
        let before = running.settings.iter().find(|it| it.key == setting.key);
        setting.value = before.and_then(|it| it.value.clone());
    }
    let mut named = std::mem::take(&mut next.listeners);
    let keep = |open: &Listener| {
        let same = |listener: &Listener| listener.address.is_place_of(&open.address);
        match named.iter().position(same) {
            Some(index) => {
                let next = named.swap_remove(index);
                // Clients hold tickets that were sealed with the keys of before.
                if let (Some(next), Some(before)) = (next.tls.context(), open.tls.context()) {
                    next.go_on_from(before);
                }
                next
            }
            None => open.clone(),
        }
    };
    next.listeners = running.listeners.iter().map(keep).collect();
    next.workers = running.workers;
    next.limits.derivations_max = running.limits.derivations_max;
    next
}

impl Address {
    /// True if both are the same socket, whatever its mode.
    fn is_place_of(&self, other: &Address) -> bool {
        match (self, other) {
            (Address::Tcp(one), Address::Tcp(other)) => one == other,
            (Address::Unix { path: one, .. }, Address::Unix { path: other, .. }) => one == other,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::{
        Authentication, ClientCertificates, DirectTls, Limits, ListenerTls, LogLines,
        PlaintextCancel, SessionTimeouts, Sharing, TcpOptions, Timeouts,
    };
    use auth::users::Users;
    use auth::{GateRules, Method, MockSecret};
    use std::collections::HashMap;
    use std::time::Duration;

    fn listener(port: u16, method: Method) -> Listener {
        Listener {
            address: Address::Tcp(([127, 0, 0, 1], port).into()),
            tls: ListenerTls::UnencryptedByConfiguration,
            plaintext_cancel: PlaintextCancel::Refuse,
            upkeep: tls::Upkeep::default(),
            method,
            rules: GateRules::default(),
            client_certificates: ClientCertificates::NotAsked,
            direct_tls: DirectTls::Refused,
            proxy_protocol: crate::setup::ProxyProtocol::Off,
        }
    }

    #[test]
    fn settings_that_take_a_restart_are_shown_as_they_were() {
        let shown = |value: &str, is_changeable| crate::console::Shown {
            key: format!("{is_changeable}"),
            value: Some(value.to_owned()),
            default: None,
            is_changeable,
        };
        let with = |value| Setup {
            settings: vec![shown(value, true), shown(value, false)],
            ..setup(Vec::new(), 1)
        };
        let next = carry_over(&with("a"), with("b"));
        assert_eq!(next.settings, [shown("b", true), shown("a", false)]);
    }

    fn setup(listeners: Vec<Listener>, workers: usize) -> Setup {
        let second = Duration::from_secs(1);
        Setup {
            settings: Vec::new(),
            listeners,
            databases: Vec::new(),
            clusters: Vec::new(),
            routes: Vec::new(),
            peers: crate::setup::Peers::default(),
            auth: Authentication {
                users: Users::default(),
                hba: None,
                exceptions: HashMap::new(),
                query: None,
                mock: MockSecret::new(&[0; 32]),
            },
            tls12_limit: crate::setup::Tls12Limit::Warn,
            limits: Limits {
                max_client_conn: workers,
                cancels_max: 1,
                cancels_per_second: 1,
                pipeline_max: 1,
                derivations_max: workers,
                ..Limits::default()
            },
            timeouts: Timeouts {
                client_login: second,
                query_wait: second,
                query_wait_notify: second,
                session: SessionTimeouts::default(),
                of_users: HashMap::new(),
                drain: second,
                close: second,
                cancel: second,
                suspend: second,
            },
            tcp: TcpOptions::default(),
            sharing: Sharing::default(),
            log: LogLines {
                connections: true,
                disconnections: true,
            },
            inspection: None,
            events_kept: 0,
            policy: None,
            console: None,
            workers,
        }
    }

    #[test]
    fn sockets_and_threads_stay_and_everything_else_follows() {
        let before = [listener(1, Method::Md5), listener(2, Method::Md5)];
        let live = Live::new(setup(before.to_vec(), 1));
        let next = [listener(3, Method::Trust), listener(2, Method::ScramSha256)];
        let now = live.replace(setup(next.to_vec(), 5));
        let of = |listener: &Listener| (listener.address.clone(), listener.method);
        let listeners: Vec<_> = now.listeners.iter().map(of).collect();
        // The first address is gone from the configuration: its rules stay, and nobody who comes in
        // there meets a rule that was written for another address.
        let expected = [listener(1, Method::Md5), listener(2, Method::ScramSha256)];
        assert_eq!(listeners, expected.iter().map(of).collect::<Vec<_>>());
        assert_eq!((now.workers, now.limits.derivations_max), (1, 1));
        assert_eq!(now.limits.max_client_conn, 5);
    }

    #[test]
    fn a_setup_is_freed_once_its_last_session_has_ended() {
        let live = Live::new(setup(vec![listener(1, Method::Md5)], 1));
        let session = live.snapshot();
        let old = Arc::downgrade(&session);
        live.replace(setup(vec![listener(1, Method::Md5)], 1));
        assert_eq!(live.served_their_time().len(), 0);
        for _ in 0..100 {
            let unused = Arc::downgrade(&live.snapshot());
            live.replace(setup(vec![listener(1, Method::Md5)], 1));
            assert_eq!(live.served_their_time().len(), 1);
            assert_eq!(unused.strong_count(), 0);
        }
        // The session's own end frees nothing: that is for others to do.
        drop(session);
        assert_eq!(old.strong_count(), 1);
        drop(live.served_their_time());
        assert_eq!(old.strong_count(), 0);
    }
}
