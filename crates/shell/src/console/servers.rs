//! Owns the registry of connections to servers. A connection says nothing when it ends: what it shares
//! with us ([`Traffic`]) is then ours alone, and it is taken off the list when somebody next looks.

use super::{Client, Desk};
use crate::rest::ServerSide;
use session::Traffic;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is known of a connection when its login is complete.
#[derive(Debug, Clone)]
pub(crate) struct ServerFacts {
    /// Its number.
    pub(crate) number: u64,
    /// Our role there.
    pub(crate) user: String,
    /// The database, as clients name it.
    pub(crate) database: String,
    /// `none`, `logical` or `physical`.
    pub(crate) replication: &'static str,
    /// The server's address and port.
    pub(crate) address: (String, u32),
    /// Our own address and port, over TCP.
    pub(crate) local: Option<std::net::SocketAddr>,
    /// The server process.
    pub(crate) pid: u32,
    /// Version and suite.
    pub(crate) tls: String,
    /// When it was made, in seconds since 1970.
    pub(crate) since_s: u64,
    /// What goes on there.
    pub(crate) traffic: Arc<Traffic>,
}

/// All connections to servers.
#[derive(Default)]
pub(crate) struct Servers(Mutex<Vec<ServerFacts>>);

impl Servers {
    /// Takes a connection down.
    pub(crate) fn register(&self, server: ServerFacts) {
        self.lock().push(server);
    }

    /// Those that live, the oldest first; `ended` is told those that have ended since.
    pub(crate) fn all(&self, mut ended: impl FnMut(&ServerFacts)) -> Vec<ServerFacts> {
        let mut servers = self.lock();
        servers.retain(|server| {
            let lives = Arc::strong_count(&server.traffic) > 1;
            if !lives {
                ended(server);
            }
            lives
        });
        servers.clone()
    }

    /// Has connections of a database, or all, closed as soon as nobody has them.
    pub(crate) fn close_when_freed(&self, database: Option<&str>) {
        for server in self.lock().iter() {
            if database.is_none_or(|it| it == server.database) {
                server.traffic.close_when_freed();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<ServerFacts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    /// Takes a connection down that was made for this client.
    pub(crate) fn register_server(&self, client: &Client, side: &ServerSide) {
        let number = self.number();
        side.server.traffic.numbered(number);
        self.servers.register(ServerFacts {
            number,
            user: client.facts.pool_user.clone(),
            database: client.facts.database.clone(),
            replication: client.facts.replication,
            address: match side.port.socket.peer() {
                Some(peer) => (peer.ip().to_string(), u32::from(peer.port())),
                None => super::show::place(&side.host.address),
            },
            local: side.port.socket.local(),
            pid: side.server.key.as_ref().map_or(0, |key| key.pid),
            tls: super::tls(&side.leg),
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
            user: String::new(),
            database: database.to_owned(),
            replication: "none",
            address: (String::new(), 0),
            local: None,
            pid: 0,
            tls: String::new(),
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
