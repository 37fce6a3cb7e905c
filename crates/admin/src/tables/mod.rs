//! Owns what `SHOW` can show: for each table one struct of a row, which is also the one definition of
//! its columns (name, type, meaning). A new table is a struct in a file here and a line in [`tables!`].

mod clusters;
mod define;
mod events;
mod host;
mod insight;
mod inspection;
mod key_value;
mod mirrors;
mod pool;
mod routes;
mod rules;
mod socket;
mod statistics;
mod views;

pub use clusters::{Cluster, Host};
pub use define::Column;
pub(crate) use define::Row;
use define::tables;

pub use events::Event;
pub use host::{DnsHost, DnsZone, Memory, Peer, PeerPool};
pub use insight::{Certificate, Counter};
pub use inspection::{Activity, Pattern};
pub use key_value::{Config, List, Lists, Pauses, State, Version};
pub use mirrors::Mirror;
pub use pool::{Database, Pool, User};
pub use routes::Route;
pub use rules::{Rule, Throttle};
pub use socket::{Socket, Wire};
pub use statistics::{Counts, Statistics, Stats, StatsAverages, StatsTotals, Total};
pub use views::View;

tables! {
    /// Sockets of which bytes wait in a buffer.
    ActiveSockets "ACTIVE_SOCKETS" Wire,
    /// What clients are doing now: those that do something or keep something. Statements are shown where they are looked at (`inspection.statements`). Not in PgBouncer.
    Activity "ACTIVITY" Activity,
    /// Certificates in force, the listeners' and those towards servers. Not in PgBouncer.
    Certificates "CERTIFICATES" Certificate,
    /// Clients that are logged in.
    Clients "CLIENTS" Socket,
    /// Clusters that databases follow. Not in PgBouncer.
    Clusters "CLUSTERS" Cluster,
    /// Settings in force.
    Config "CONFIG" Config,
    /// What has happened since the start, as in `/metrics`. Not in PgBouncer.
    Counters "COUNTERS" Counter,
    /// Databases that clients can ask for.
    Databases "DATABASES" Database,
    /// Host names that were looked up.
    DnsHosts "DNS_HOSTS" DnsHost,
    /// Zones of the host names.
    DnsZones "DNS_ZONES" DnsZone,
    /// The last events, oldest first (`events.kept_max`). Not in PgBouncer.
    Events "EVENTS" Event,
    /// Hosts of the clusters. Not in PgBouncer.
    Hosts "HOSTS" Host,
    /// How many there are of what.
    Lists "LISTS" List,
    /// Memory for what is kept many times.
    Mem "MEM" Memory,
    /// Databases that have a share of their statements copied to another one, and what came of the copies. Not in PgBouncer.
    Mirrors "MIRRORS" Mirror,
    /// Statements by pattern, database, role and application since the start or RESET PATTERNS, those that took the most time in front; what has no row of its own is the last one (`inspection.statements`). Not in PgBouncer.
    Patterns "PATTERNS" Pattern,
    /// Other instances to which cancel requests are passed on.
    Peers "PEERS" Peer,
    /// Connections to them.
    PeerPools "PEER_POOLS" PeerPool,
    /// Server connections by database and user.
    Pools "POOLS" Pool,
    /// Routes of sessions, in the order in which they are asked. Not in PgBouncer.
    Routes "ROUTES" Route,
    /// Rules about statements, in the order in which they are asked. Not in PgBouncer.
    Rules "RULES" Rule,
    /// Connections to servers.
    Servers "SERVERS" Socket,
    /// Clients and servers with their buffers.
    Sockets "SOCKETS" Wire,
    /// Whether work goes on.
    State "STATE" State,
    /// Sums since the start, and averages of the last period, by database.
    Stats "STATS" Stats,
    /// The averages alone.
    StatsAverages "STATS_AVERAGES" StatsAverages,
    /// The sums alone.
    StatsTotals "STATS_TOTALS" StatsTotals,
    /// Rules that throttle. Not in PgBouncer.
    Throttles "THROTTLES" Throttle,
    /// Sums and averages over all databases.
    Totals "TOTALS" Total,
    /// Users that are known.
    Users "USERS" User,
    /// What this program is.
    Version "VERSION" Version,
    /// What is known of views that rules on relations see through, by database. Not in PgBouncer.
    Views "VIEWS" View,
}

impl Snapshot {
    /// `STATS`, `STATS_TOTALS`, `STATS_AVERAGES` or `TOTALS`, made of all databases' counts.
    pub fn of_statistics(table: Table, all: &[Statistics]) -> Snapshot {
        statistics::table(table, all)
    }
}
