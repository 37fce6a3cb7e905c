//! Owns what the shell has to be told of clusters: who belongs to each, how its hosts are reached and asked, and
//! what a database wants of it.

use super::{Host, HostAddress, ServerTls, TcpOptions};
use auth::ServerUser;
use buf::Secret;
use cluster::{Key, Member, Reads, Rules, Wish};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tls::{BadServerName, ServerName};
use tokio::sync::{Notify, watch};

/// Where the servers of a database are.
#[derive(Clone)]
pub enum Servers {
    /// These, tried in order.
    Listed(Vec<Arc<Host>>),
    /// Those of a cluster.
    Of(Followed),
}

impl Servers {
    /// Those that are listed; none if a cluster has them.
    pub fn listed(&self) -> &[Arc<Host>] {
        match self {
            Servers::Listed(hosts) => hosts,
            Servers::Of(_) => &[],
        }
    }
}

/// What a database wants of its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// The cluster's name in [`Setup::clusters`](super::Setup::clusters).
    pub cluster: String,
    /// Which of its hosts.
    pub wish: Wish,
    /// Whether statements that only read may go to standbys although the wish is the primary.
    pub reads: StatementRouting,
    /// Whether clients may choose other hosts for themselves.
    pub by_client: bool,
}

/// Whether statements are looked at to send them somewhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StatementRouting {
    /// They go where their session goes.
    #[default]
    Off,
    /// Those that only read go to standbys.
    Replicas,
    /// Those of them that a rule or a hint leads there.
    Asked,
}

/// A cluster: hosts with the same data, one of which is written to.
#[derive(Clone)]
pub struct Cluster {
    /// What databases and people call it.
    pub name: String,
    /// Where its members are found.
    pub members: MembersPlan,
    /// How each of them is reached.
    pub templates: HostTemplates,
    /// How they are asked what they are.
    pub check: Check,
    /// When they are asked, and when one is thought dead.
    pub rules: Rules,
    /// What those must be like that are read from.
    pub reads: Reads,
    /// What becomes of those who want to write while there is no primary.
    pub without_primary: WithoutPrimary,
    /// How a planned switchover is done.
    pub switchover: Switchover,
}

/// Where a cluster's members are found.
#[derive(Debug, Clone)]
pub enum MembersPlan {
    /// In the configuration.
    Listed(Vec<Located>),
    /// Somewhere else: whoever runs the proxy says who they are.
    Fed(Feed),
}

/// Where whoever runs the proxy says who a cluster's members are.
#[derive(Debug, Clone)]
pub struct Feed {
    /// What was found last; `None` before anything was.
    pub found: watch::Receiver<Option<Found>>,
    /// Rings when a host failed, so that it is looked again soon.
    pub hurry: Arc<Notify>,
}

/// Who a cluster's members are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The members, each once.
    pub members: Vec<Located>,
    /// The one that is written to, where that is kept, too.
    pub leader: Option<Key>,
}

/// A member, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// What the cluster knows of it.
    pub member: Member,
    /// Its name or address, which TLS verifies.
    pub name: String,
    /// Where it is, if that is known beyond its name.
    pub address: Option<IpAddr>,
    /// Its port.
    pub port: u16,
    /// What it is called where it was found; empty if it has no other name.
    pub title: String,
}

/// How the hosts of a cluster are reached.
#[derive(Clone)]
pub struct HostTemplates {
    /// All but those that differ.
    pub general: HostTemplate,
    /// Those that differ: which ones, and how.
    pub own: Vec<(Vec<HostName>, HostTemplate)>,
}

/// What hosts are called that are reached in another way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName {
    /// Name or address.
    pub name: String,
    /// Port; `None`: whichever.
    pub port: Option<u16>,
}

impl HostName {
    fn is(&self, located: &Located) -> bool {
        let is_address = |it: IpAddr| self.name.parse() == Ok(it);
        let is_name = self.name == located.name || located.address.is_some_and(is_address);
        is_name && self.port.is_none_or(|it| it == located.port)
    }
}

impl HostTemplates {
    /// The host at this place.
    pub fn at(&self, located: &Located) -> Result<Host, BadServerName> {
        let own = self.own_of(located).and_then(|it| self.own.get(it));
        own.map_or(&self.general, |(_, it)| it).at(located)
    }

    /// Which of those that differ is meant for the host at this place. Names with a port go before those without.
    pub fn own_of(&self, located: &Located) -> Option<usize> {
        let named = |with_port: bool| {
            let is = |it: &HostName| it.port.is_some() == with_port && it.is(located);
            self.own.iter().position(|(names, _)| names.iter().any(is))
        };
        named(true).or_else(|| named(false))
    }
}

/// How hosts are reached that only a name is known of.
#[derive(Clone)]
pub struct HostTemplate {
    /// A host like them.
    pub like: Host,
    /// Which name TLS verifies.
    pub verifies: Verifies,
}

/// Which name TLS verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verifies {
    /// That of each host.
    HostsName,
    /// The one of the template (`server_name`).
    TemplatesName,
}

impl HostTemplate {
    /// The host at this place.
    fn at(&self, located: &Located) -> Result<Host, BadServerName> {
        let mut host = self.like.clone();
        let place = match located.address {
            Some(address) => address.to_string(),
            None => located.name.clone(),
        };
        host.address = HostAddress::Tcp(place, located.port);
        if self.verifies == Verifies::HostsName {
            let own = match located.name.parse() {
                Ok(address) => ServerName::Ip(address),
                Err(_) => ServerName::parse(&located.name)?,
            };
            match &mut host.tls {
                ServerTls::Required { name, .. } | ServerTls::Preferred { name, .. } => *name = own,
                ServerTls::UnencryptedByConfiguration => {}
            }
        }
        Ok(host)
    }
}

/// How hosts are asked what they are.
#[derive(Clone)]
pub struct Check {
    /// Who asks.
    pub user: ServerUser,
    /// What proves it.
    pub password: Option<Secret>,
    /// The database that every host has.
    pub database: String,
    /// How long an answer may take, and how long a connection with its login.
    pub timeout: Duration,
    /// Options of the sockets.
    pub tcp: TcpOptions,
}

/// What becomes of those who want to write while there is no primary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WithoutPrimary {
    /// They wait.
    #[default]
    Wait,
    /// They are led to a standby, which takes no writes.
    ReadOnly,
}

/// How a planned switchover is done.
#[derive(Clone)]
pub struct Switchover {
    /// Who promotes the host.
    pub by: Promotion,
    /// How long draining, promoting and finding the new primary may take together.
    pub timeout: Duration,
}

/// Who promotes a host.
#[derive(Clone, Default)]
pub enum Promotion {
    /// Somebody else does, meanwhile.
    #[default]
    Operator,
    /// Whoever runs the proxy knows how.
    By(Arc<dyn Promoter>),
}

/// Somebody who can make one host of a cluster the primary in place of another.
pub trait Promoter: Send + Sync {
    /// Begins with it; ready when it is done, or with why it could not be.
    fn promote(&self, from: &Located, to: &Located) -> Promoted;
}

/// See [`Promoter::promote`].
pub type Promoted = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;
