//! Owns the registry of connections to servers. A connection says nothing when it ends: what it shares
//! with us ([`Traffic`]) is then ours alone, and it is taken off the list when somebody next looks, which
//! is once a second at the latest.

use super::{Client, Desk};
use crate::cancel::Target;
use crate::clusters::Via;
use crate::rest::ServerSide;
use crate::setup::Setup;
use session::Traffic;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is known of a connection when its login is complete.
pub(crate) struct ServerFacts {
    /// Its number.
    pub(crate) number: u64,
    /// What others may have in common with it.
    pub(crate) common: Arc<Common>,
    /// Our own address and port, over TCP.
    pub(crate) local: Option<std::net::SocketAddr>,
    /// For what in a cluster it was made, if for any.
    pub(crate) via: Option<Box<Via>>,
    /// Where cancel requests for it go; some servers have no key.
    pub(crate) target: Option<Arc<Target>>,
    /// The server process.
    pub(crate) pid: u32,
    /// When it was made, in seconds since 1970.
    pub(crate) since_s: u64,
    /// What goes on there.
    pub(crate) traffic: Arc<Traffic>,
}

/// What many connections have in common.
#[derive(Default, PartialEq, Eq, Hash)]
pub(crate) struct Common {
    /// Our role there.
    pub(crate) user: String,
    /// The database, as clients name it.
    pub(crate) database: String,
    /// `none`, `logical` or `physical`.
    pub(crate) replication: &'static str,
    /// The server's address and port.
    pub(crate) address: (String, u32),
    /// The host, as it is configured.
    pub(crate) host: String,
    /// Version and suite.
    pub(crate) tls: String,
}

/// For whom a connection is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whose<'a> {
    /// Our role there.
    pub(crate) role: &'a str,
    /// The database, as clients name it.
    pub(crate) database: &'a str,
    /// `none`, `logical` or `physical`.
    pub(crate) replication: &'static str,
}

impl Whose<'_> {
    /// For this client.
    pub(crate) fn of(client: &Client) -> Whose<'_> {
        Whose {
            role: &client.facts.pool_user,
            database: &client.facts.database,
            replication: client.facts.replication,
        }
    }
}

/// All connections to servers.
#[derive(Default)]
pub(crate) struct Servers(Mutex<Vec<Arc<ServerFacts>>>);

impl Servers {
    /// Takes a connection down.
    pub(crate) fn register(&self, server: ServerFacts) {
        self.lock().push(Arc::new(server));
    }

    /// Those that live, the oldest first; `ended` is told those that have ended since.
    pub(crate) fn all(&self, ended: impl FnMut(&ServerFacts)) -> Vec<Arc<ServerFacts>> {
        let mut servers = self.lock();
        sweep(&mut servers, ended);
        servers.clone()
    }

    /// Takes those off the list that have ended, and tells `ended` of each.
    pub(crate) fn sweep(&self, ended: impl FnMut(&ServerFacts)) {
        sweep(&mut self.lock(), ended);
    }

    /// Has connections of a database, or all, closed as soon as nobody has them.
    pub(crate) fn close_when_freed(&self, database: Option<&str>) {
        for server in self.lock().iter() {
            if database.is_none_or(|it| *it == *server.common.database) {
                server.traffic.close_when_freed();
            }
        }
    }

    /// How many live that were made in such a way.
    pub(crate) fn count(&self, is_such: impl Fn(&Via) -> bool) -> usize {
        let servers = self.lock();
        let lives = |it: &&Arc<ServerFacts>| Arc::strong_count(&it.traffic) > 1;
        let such = |it: &&Arc<ServerFacts>| it.via.as_deref().is_some_and(&is_such);
        servers.iter().filter(lives).filter(such).count()
    }

    /// Has nothing sent any more to those that were made in a way that is over; gives the numbers of the clients that
    /// have one, for whom this is news.
    pub(crate) fn cut(&self, is_over: impl Fn(&Via) -> bool) -> Vec<u64> {
        let servers = self.lock();
        let over = servers
            .iter()
            .filter(|it| it.via.as_deref().is_some_and(&is_over));
        let news = over.filter(|it| !it.traffic.is_cut());
        news.filter_map(|it| {
            it.traffic.cut();
            it.traffic.client()
        })
        .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<ServerFacts>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sweep(servers: &mut Vec<Arc<ServerFacts>>, mut ended: impl FnMut(&ServerFacts)) {
    servers.retain(|server| {
        let lives = Arc::strong_count(&server.traffic) > 1;
        if !lives {
            ended(server);
        }
        lives
    });
    // A burst leaves no long list behind.
    if servers.len() < servers.capacity() / 4 {
        servers.shrink_to(2 * servers.len());
    }
}

/// What a connection to a server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// A client has it.
    Active,
    /// It is being reset or tested.
    Tested,
    /// A cancel request is on its way to it: nobody gets it before that has arrived.
    BeingCancelled,
    /// It rests, and is tested before anybody gets it.
    Used,
    /// It rests.
    Idle,
}

impl ServerFacts {
    /// What it does at `now_s`, in seconds since 1970.
    pub(crate) fn state(&self, now_s: u64, setup: &Setup) -> State {
        if self.traffic.client().is_some() {
            return State::Active;
        }
        if self.traffic.is_tested() {
            return State::Tested;
        }
        if self.cancels() > 0 {
            return State::BeingCancelled;
        }
        let rests_s = now_s.saturating_sub(self.since_s + u64::from(self.traffic.freed_s()));
        let check_after = setup
            .database(&self.common.database)
            .map(|it| it.rest.check_after);
        match check_after {
            Some(limit) if rests_s >= limit.as_secs() => State::Used,
            _ => State::Idle,
        }
    }

    /// Cancel requests on their way to it.
    pub(crate) fn cancels(&self) -> usize {
        self.target.as_ref().map_or(0, |it| it.under_way())
    }
}

impl Desk {
    /// Takes a connection down that was made for this client.
    pub(crate) fn register_server(&self, whose: Whose<'_>, side: &ServerSide) {
        let number = self.number();
        side.server.traffic.numbered(number);
        let address = match side.port.socket.peer() {
            Some(peer) => (peer.ip().to_string(), u32::from(peer.port())),
            None => super::show::place(&side.host.address),
        };
        let common = Common {
            user: whose.role.to_owned(),
            database: whose.database.to_owned(),
            replication: whose.replication,
            address,
            host: super::show::place(&side.host.address).0,
            tls: side.leg.0.to_string(),
        };
        self.servers.register(ServerFacts {
            number,
            common: self.commons.of(common),
            local: side.port.socket.local(),
            via: side.via.clone(),
            target: side.target.clone(),
            pid: side.pid(),
            since_s: super::unix_s(),
            traffic: Arc::clone(&side.server.traffic),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(number: u64, database: &str, traffic: &Arc<Traffic>) -> ServerFacts {
        ServerFacts {
            number,
            common: Arc::new(Common {
                database: database.to_owned(),
                ..Common::default()
            }),
            local: None,
            via: None,
            target: None,
            pid: 0,
            since_s: 0,
            traffic: Arc::clone(traffic),
        }
    }

    #[test]
    fn a_connection_that_has_ended_is_told_once() {
        let servers = Servers::default();
        let (one, other) = (Arc::default(), Arc::default());
        servers.register(server(1, "a", &one));
        servers.register(server(2, "b", &other));
        let look = || {
            let mut ended = Vec::new();
            let all = servers.all(|it| ended.push(it.number));
            (all.iter().map(|it| it.number).collect::<Vec<_>>(), ended)
        };
        assert_eq!(look(), (vec![1, 2], vec![]));
        drop(one);
        assert_eq!(look(), (vec![2], vec![1]));
        assert_eq!(look(), (vec![2], vec![]));
    }

    #[test]
    fn connections_are_marked_by_database() {
        let servers = Servers::default();
        let (one, other) = (Arc::default(), Arc::default());
        servers.register(server(1, "a", &one));
        servers.register(server(2, "b", &other));
        servers.close_when_freed(Some("a"));
        assert_eq!((one.close_needed(), other.close_needed()), (true, false));
        servers.close_when_freed(None);
        assert!(other.close_needed());
    }
}
