//! Owns the tables whose rows are a name and a value: `SHOW CONFIG`, `LISTS`, `STATE`, `VERSION`.

use super::define::row;

row! {
    /// A setting.
    Config {
        /// Its name.
        key: String,
        /// Its value; NULL if it has none or must not be shown.
        value: Option<String>,
        /// The value if nobody sets it.
        default: Option<String>,
        /// `yes` if RELOAD is enough to change it, `no` if that takes a restart.
        changeable: &'static str,
    }
}

row! {
    /// How many there are of one thing.
    List {
        /// The thing.
        list: &'static str,
        /// How many.
        items: u32,
    }
}

row! {
    /// One fact about whether work goes on.
    State {
        /// `active`, `paused` or `suspended`.
        key: &'static str,
        /// `yes` or `no`.
        value: &'static str,
    }
}

row! {
    /// What this program is.
    Version {
        /// Its name and version.
        version: String,
    }
}

/// What `SHOW LISTS` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lists {
    /// Databases that are configured.
    pub databases: u32,
    /// Users that are known.
    pub users: u32,
    /// Other instances.
    pub peers: u32,
    /// Pools that exist.
    pub pools: u32,
    /// Pools of connections to other instances.
    pub peer_pools: u32,
    /// Clients that memory is kept for.
    pub free_clients: u32,
    /// Clients that are connected.
    pub used_clients: u32,
    /// Clients that are logging in.
    pub login_clients: u32,
    /// Server connections that memory is kept for.
    pub free_servers: u32,
    /// Server connections.
    pub used_servers: u32,
    /// Host names that are kept.
    pub dns_names: u32,
    /// Zones that are kept.
    pub dns_zones: u32,
    /// Look-ups under way.
    pub dns_queries: u32,
    /// Look-ups that wait.
    pub dns_pending: u32,
}

impl Lists {
    /// The rows in PgBouncer's order.
    pub fn rows(&self) -> Vec<List> {
        let list = |list, items| List { list, items };
        vec![
            list("databases", self.databases),
            list("users", self.users),
            list("peers", self.peers),
            list("pools", self.pools),
            list("peer_pools", self.peer_pools),
            list("free_clients", self.free_clients),
            list("used_clients", self.used_clients),
            list("login_clients", self.login_clients),
            list("free_servers", self.free_servers),
            list("used_servers", self.used_servers),
            list("dns_names", self.dns_names),
            list("dns_zones", self.dns_zones),
            list("dns_queries", self.dns_queries),
            list("dns_pending", self.dns_pending),
        ]
    }
}

/// Whether all databases are held up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pauses {
    /// Work goes on.
    #[default]
    Active,
    /// `PAUSE` is in force.
    Paused,
    /// `SUSPEND` is in force.
    Suspended,
}

impl Pauses {
    /// The rows of `SHOW STATE`.
    pub fn rows(self) -> Vec<State> {
        let is = |key, state| State {
            key,
            value: if self == state { "yes" } else { "no" },
        };
        vec![
            is("active", Pauses::Active),
            is("paused", Pauses::Paused),
            is("suspended", Pauses::Suspended),
        ]
    }
}
