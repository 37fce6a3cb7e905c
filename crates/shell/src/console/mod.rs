//! The console's side of the world: who is connected, what is held up, what was counted, and the
//! conversation with those who ask. The language and the tables are crate `admin`'s.
//!
//! Owns a [`Desk`], one for each proxy: registries of clients and servers, [`Holds`], sums. The data path
//! meets it at the start and the end of a session and of a server connection; in between only atomics
//! are stored. Orders that the shell can't carry out (RELOAD, SHUTDOWN) go to whoever takes
//! [`Orders`].

pub(crate) mod carry;
mod clients;
mod holds;
mod orders;
mod servers;
mod show;
mod sums;
mod talk;

pub use admin::Shutdown;
pub use clients::Meter;
pub(crate) use clients::{Client, ClientFacts, Doing, Registered};
use holds::Holds;
pub use orders::{Order, Orders, Wish};
pub(crate) use servers::ServerFacts;
pub(crate) use talk::Guest;

use crate::setup::Setup;
use clients::Clients;
use servers::Servers;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use sums::Sums;

/// The databases of the console, unless the configuration has others of these names.
pub(crate) const NAMES: [&str; 2] = ["portcullis", "pgbouncer"];

/// Who may use the console.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Users {
    /// Who may do all there.
    pub admins: Vec<String>,
    /// Who may look.
    pub watchers: Vec<String>,
}

impl Setup {
    /// True if this name is the console's: there is one, and no database was configured under it.
    pub(crate) fn is_console(&self, database: &str) -> bool {
        let configured = |entry: &crate::setup::Database| entry.name.as_deref() == Some(database);
        self.console.is_some()
            && NAMES.contains(&database)
            && !self.databases.iter().any(configured)
    }
}

/// What the console knows of a proxy.
pub(crate) struct Desk {
    /// Clients that have proved who they are.
    pub(crate) clients: Clients,
    /// Connections to servers.
    pub(crate) servers: Servers,
    /// What is held up.
    pub(crate) holds: Holds,
    /// What was counted.
    pub(crate) sums: Sums,
    /// Where orders go.
    pub(crate) orders: orders::Desk,
    numbers: AtomicU64,
    since: Instant,
}

impl Default for Desk {
    fn default() -> Desk {
        Desk {
            clients: Clients::default(),
            servers: Servers::default(),
            holds: Holds::default(),
            sums: Sums::default(),
            orders: orders::Desk::default(),
            numbers: AtomicU64::new(1),
            since: Instant::now(),
        }
    }
}

impl Desk {
    /// A number that no other client or server of this proxy has; never 0.
    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Microseconds since the proxy began; never 0.
    pub(crate) fn now_us(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_micros()).map_or(u64::MAX, |us| us.max(1))
    }
}

/// A leg's version, suite and group; nothing without TLS.
fn tls(leg: &auth::LegFacts) -> String {
    let parts = [&leg.version, &leg.cipher, &leg.group];
    let parts: Vec<String> = parts
        .iter()
        .filter_map(|it| Some(it.as_ref()?.to_string()))
        .collect();
    parts.join("/")
}

/// Seconds since 1970.
pub(crate) fn unix_s() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs())
}
