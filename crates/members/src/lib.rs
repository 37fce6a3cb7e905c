//! Where a cluster's members come from, behind one interface: a list, DNS, a file, Patroni, or its keys in etcd.
//!
//! Owns the asking, and when it is time for it. Takes a [`Plan`], and somebody's hurry when a host failed; gives what
//! was [`Found`], or a [`Fault`] for people, after which the members that were known before stay. Who is the primary
//! is not decided here: some sources name a leader, and the hosts themselves have the last word.

#![forbid(unsafe_code)]

mod dns;
mod due;
mod etcd;
mod fault;
mod file;
mod line;
mod located;
mod patroni;
mod web;

pub use dns::NameServers;
pub use etcd::{Etcd, parse_range};
pub use fault::{DnsFault, Fault, FileFault, ServiceFault, SwitchoverFault, Tried};
pub use line::{BadLine, PORT, WEIGHT_MAX, parse_line};
pub use located::{Found, Located, MEMBERS_MAX};
pub use patroni::{Node, Patroni, Role, parse_cluster};
pub use web::{Login, Servers};

use cluster::Member;
use dns::{ByAddress, ByService, Lasting};
use due::Due;
use etcd::Session;
use file::HostsFile;
use std::future::pending;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Where members come from.
#[derive(Debug, Clone)]
pub enum Plan {
    /// These, for good.
    Static(Vec<Member>),
    /// The addresses of a name, A and AAAA; each is a member, and its certificate has to be for the name. Asked again
    /// when the shortest TTL is over, at least a second and at most the interval later.
    Addresses {
        /// The name, or an address.
        name: String,
        /// The port of each.
        port: u16,
        /// Which name servers are asked.
        name_servers: NameServers,
        /// How often they are asked, if TTLs are longer.
        interval: Duration,
    },
    /// The targets of a service's SRV records, of whatever priority, with their weights. Asked again as addresses are.
    Srv {
        /// The whole name, as `_postgresql._tcp.db.example.com`.
        service: String,
        /// Which name servers are asked.
        name_servers: NameServers,
        /// How often they are asked, if TTLs are longer.
        interval: Duration,
    },
    /// The hosts of a file, a line each ([`parse_line`]). Read again within two seconds when it changes, however it
    /// does.
    File {
        /// The file.
        path: PathBuf,
        /// How often it is read if it doesn't.
        interval: Duration,
    },
    /// The nodes that Patroni names.
    Patroni(Patroni),
    /// The nodes that Patroni's keys in etcd name.
    Etcd(Etcd),
}

/// A cluster's members, again and again.
#[derive(Debug)]
pub struct Source {
    origin: Origin,
    interval: Duration,
    due: Due,
    /// What the times of `due` count from.
    start: Instant,
    /// When a file is looked at.
    look: Option<Instant>,
}

/// A plan, with what is kept from one question to the next.
#[derive(Debug)]
enum Origin {
    /// `None` once they were given.
    Static(Option<Vec<Member>>),
    Addresses(ByAddress),
    Srv(ByService),
    File(HostsFile),
    Patroni(Patroni, usize),
    Etcd(Etcd, Session),
}

/// What ended a wait.
enum Wake {
    /// It is time to ask.
    Due,
    /// It is time to look whether there is something new.
    Look,
}

impl Source {
    /// A source by this plan. Touches nothing yet.
    pub fn new(plan: Plan) -> Source {
        let (origin, interval) = match plan {
            Plan::Static(members) => (Origin::Static(Some(members)), Duration::MAX),
            Plan::Addresses {
                name,
                port,
                name_servers,
                interval,
            } => {
                let by = ByAddress::new(name, port, name_servers);
                (Origin::Addresses(by), interval)
            }
            Plan::Srv {
                service,
                name_servers,
                interval,
            } => {
                let by = ByService {
                    service,
                    servers: name_servers,
                };
                (Origin::Srv(by), interval)
            }
            Plan::File { path, interval } => (Origin::File(HostsFile::new(path)), interval),
            Plan::Patroni(patroni) => {
                let interval = patroni.interval;
                (Origin::Patroni(patroni, 0), interval)
            }
            Plan::Etcd(etcd) => {
                let interval = etcd.interval;
                (Origin::Etcd(etcd, Session::default()), interval)
            }
        };
        Source {
            origin,
            interval,
            due: Due::default(),
            start: Instant::now(),
            look: None,
        }
    }

    /// What is there: the first time at once, then when something has changed (in etcd this is heard of when it happens), what was known is too old, or
    /// somebody is in a `hurry` (at most once a second). A fault is tried again after a second, then after twice that
    /// and so on, up to the interval. A list answers once and never again.
    ///
    /// May be dropped at any time; the next call goes on. Inside a tokio runtime with I/O and time.
    pub async fn next(&mut self, hurry: &Notify) -> Result<Found, Fault> {
        while let Wake::Look = self.wait(hurry).await {
            if self.has_changed().await {
                break;
            }
        }
        self.due.begun(self.start.elapsed());
        let asked = self.ask().await;
        let now = self.start.elapsed();
        self.look = None;
        match asked {
            Ok((found, good_for)) => {
                self.due.answered(now, good_for.min(self.interval));
                Ok(found)
            }
            Err(fault) => {
                match &self.origin {
                    // It is wrong until somebody writes it anew, and that is seen.
                    Origin::File(_) => self.due.answered(now, self.interval),
                    _ => self.due.failed(now, self.interval),
                }
                Err(fault)
            }
        }
    }

    async fn wait(&mut self, hurry: &Notify) -> Wake {
        if let Origin::Static(None) = &self.origin {
            return pending().await;
        }
        // Heard once, it is time to ask, and for that there is a soonest moment.
        let mut is_heard = false;
        let changed = changed(&self.origin);
        tokio::pin!(changed);
        loop {
            let due = self.start.checked_add(self.due.at());
            let look = match &self.origin {
                Origin::File(_) => {
                    Some(*self.look.get_or_insert_with(|| Instant::now() + file::LOOK))
                }
                _ => None,
            };
            tokio::select! {
                biased;
                () = until(due) => return Wake::Due,
                () = until(look), if look.is_some() => return Wake::Look,
                () = hurry.notified() => self.due.hurried(),
                () = &mut changed, if !is_heard => {
                    is_heard = true;
                    self.due.hurried();
                }
            }
        }
    }

    async fn has_changed(&mut self) -> bool {
        let has_changed = match &self.origin {
            Origin::File(file) => file.has_changed().await,
            _ => false,
        };
        self.look = None;
        has_changed
    }

    async fn ask(&mut self) -> Result<Lasting, Fault> {
        let lasts = |found| (found, Duration::MAX);
        match &mut self.origin {
            Origin::Static(members) => {
                let members = members.take().unwrap_or_default();
                let members = members.into_iter().map(Located::of).collect();
                let members = located::distinct(members, "the list of hosts")?;
                let leader = None;
                Ok(lasts(Found { members, leader }))
            }
            Origin::Addresses(by) => by.ask().await,
            Origin::Srv(by) => by.ask().await,
            Origin::File(file) => file.ask().await.map(lasts),
            Origin::Patroni(patroni, first) => patroni.ask(first).await.map(lasts),
            Origin::Etcd(etcd, session) => etcd.ask(session).await.map(lasts),
        }
    }
}

/// Is over when a source says by itself that it has something new.
async fn changed(origin: &Origin) {
    match origin {
        // Who asks once a second anyway hears nothing sooner.
        Origin::Etcd(etcd, session)
            if etcd.interval > due::CLOSEST && etcd.has_changed(session).await => {}
        // The next question will tell.
        _ => pending().await,
    }
}

/// Without a time, never.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_may_move_between_threads_while_it_asks() {
        fn is_send<T: Send>(_: &T) {}
        let mut source = Source::new(Plan::Static(Vec::new()));
        let hurry = Notify::new();
        is_send(&source.next(&hurry));
    }
}
