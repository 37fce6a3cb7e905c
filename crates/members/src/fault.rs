//! Owns why a source has nothing to say: what happened, where, and what to do about it. The old members stay.

use crate::{BadLine, MEMBERS_MAX};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Why a source has nothing to say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// DNS does not tell.
    #[error("DNS, {records} of {name}: {why}")]
    Dns {
        /// What was asked for.
        name: String,
        /// Which records.
        records: &'static str,
        /// What is wrong.
        why: DnsFault,
    },
    /// The file can't be used.
    #[error("{}: {why}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: FileFault,
    },
    /// No server of a service gave a good answer.
    #[error("{service}: {}", listed(tried))]
    Service {
        /// Patroni or etcd.
        service: &'static str,
        /// What each of its servers did, in the order in which they were asked.
        tried: Vec<Tried>,
    },
    /// It answers, and names nobody.
    #[error("{from} names no member; add one, or check that the right place is asked")]
    Empty {
        /// What was asked.
        from: String,
    },
    /// It names more than a cluster may have.
    #[error(
        "{from} names {found} members, and a cluster has at most {MEMBERS_MAX}; check that the right place is asked"
    )]
    TooMany {
        /// What was asked.
        from: String,
        /// How many.
        found: usize,
    },
    /// Patroni did not do a switchover, or it isn't known whether it did.
    #[error("switchover from {from} to {to}: {why}")]
    Switchover {
        /// The leader's name.
        from: String,
        /// The candidate's name.
        to: String,
        /// What is wrong.
        why: SwitchoverFault,
    },
}

/// What DNS did instead of telling.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DnsFault {
    /// It can't be asked for.
    #[error("this is no name of DNS; write it as db.example.com")]
    BadName,
    /// NXDOMAIN.
    #[error(
        "the name does not exist (NXDOMAIN); check how it is written, and the search list of /etc/resolv.conf"
    )]
    NoName,
    /// NOERROR without an answer.
    #[error("the name exists, but has no such records; add them, or check how it is written")]
    NoRecords,
    /// An SRV record whose target is the root (RFC 2782).
    #[error("the SRV record says that the service is not available there (its target is \".\")")]
    NotOffered,
    /// SERVFAIL, REFUSED or the like.
    #[error("name server {server} answered {code}; look at what it logs")]
    Refused {
        /// Which one, the last of those that were asked.
        server: SocketAddr,
        /// The code's name.
        code: String,
    },
    /// Nobody answered in time.
    #[error("no answer within {} ms of {}; check that they are reachable by UDP and TCP", each.as_millis(), joined(servers))]
    TimedOut {
        /// All that were asked.
        servers: Vec<SocketAddr>,
        /// What each could take, each time.
        each: Duration,
    },
    /// A name server can't be reached, or breaks off.
    #[error("cannot ask name server {server}: {cause}; check that it runs and is reachable")]
    Unreachable {
        /// Which one, the last of those that were asked.
        server: SocketAddr,
        /// Why.
        cause: String,
    },
    /// What came back is no answer.
    #[error("name server {server} answered something that is no answer; look at what it logs")]
    Garbled {
        /// Which one.
        server: SocketAddr,
    },
    /// There were addresses of both families, and only one could be asked for now.
    #[error("no {missing} records now, though there were some before: {why}")]
    Half {
        /// Which ones are missing.
        missing: &'static str,
        /// Why.
        why: Box<DnsFault>,
    },
}

/// What is wrong with a file of hosts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    /// It can't be read.
    #[error("cannot read it: {0}; check that it exists and who may read it")]
    Unreadable(String),
    /// It is a directory, a pipe or the like.
    #[error("it is no regular file")]
    NotAFile,
    /// It is too long.
    #[error("it is longer than {most} bytes; check that it is the right file")]
    TooLong {
        /// How long it may be.
        most: usize,
    },
    /// It is no text.
    #[error("it is no UTF-8 text; check that it is the right file")]
    NotText,
    /// A line is none.
    #[error("line {line}: {why}")]
    Line {
        /// Which one, from 1.
        line: usize,
        /// What is wrong with it.
        why: BadLine,
    },
    /// A host stands there twice.
    #[error("line {line}: {host} stands in line {before} already; remove one of them")]
    Twice {
        /// The second one, from 1.
        line: usize,
        /// The first one.
        before: usize,
        /// The host.
        host: String,
    },
}

/// What a server of a service did instead of answering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// Which one: scheme, host and port.
    pub url: String,
    /// What is wrong.
    pub why: ServiceFault,
}

/// What is wrong with a server of a service, or its answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServiceFault {
    /// No answer came, or none that HTTP knows.
    #[error("{0}")]
    Unanswered(String),
    /// It does not let us in, by its own words.
    #[error("it does not let us in (HTTP {status}): {words}; check user and password")]
    Denied {
        /// As HTTP has it.
        status: u16,
        /// What it said.
        words: String,
    },
    /// It answered with an error, by its own words.
    #[error("HTTP {status}: {words}")]
    Refused {
        /// As HTTP has it.
        status: u16,
        /// What it said.
        words: String,
    },
    /// Its answer is not what it should be.
    #[error("its answer can't be used: {0}; check that the URL is the right one")]
    Unfit(String),
    /// What is sent as user or password can't be sent.
    #[error("user and password can't be sent: {0}")]
    BadLogin(&'static str),
}

/// Why there was no switchover.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SwitchoverFault {
    /// No Patroni could be asked: nothing has changed.
    #[error("no Patroni could be asked: {}", listed(.0))]
    Unasked(Vec<Tried>),
    /// Patroni said no, in its own words.
    #[error("{url} refused it (HTTP {status}): {words}")]
    Refused {
        /// Which one: scheme, host and port.
        url: String,
        /// As HTTP has it.
        status: u16,
        /// What it said.
        words: String,
    },
    /// Patroni was asked, and what came of it isn't known.
    #[error(
        "{url} was asked and gave no answer: {cause}; look which one the leader is before you ask again"
    )]
    Unknown {
        /// Which one: scheme, host and port.
        url: String,
        /// Why.
        cause: String,
    },
}

impl Tried {
    pub(crate) fn new(url: &fetch::Url, why: ServiceFault) -> Tried {
        let url = url.to_string();
        Tried { url, why }
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}: {}", self.url, self.why)
    }
}

fn listed(tried: &[Tried]) -> String {
    match tried {
        [] => "no URL is given; give at least one".to_owned(),
        tried => joined(tried),
    }
}

fn joined(items: &[impl fmt::Display]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    items.join("; ")
}
