//! The console's side of the world: who is connected, what is held up, what was counted, and the
//! conversation with those who ask. The language and the tables are crate `admin`'s.
//!
//! Owns a `Desk`, one for each proxy: registries of clients and servers, `Holds`, sums. The data path
//! meets it at the start and the end of a session and of a server connection; in between only atomics
//! are stored. Orders that the shell can't carry out (RELOAD, SHUTDOWN) go to whoever takes
//! [`Orders`].

mod alike;
mod around;
pub(crate) mod carry;
mod clients;
mod clusters;
mod crew;
pub(crate) mod families;
mod faults;
mod fleets;
mod holds;
mod mirrors;
mod orders;
pub(crate) mod overview;
mod routes;
pub(crate) mod rules;
mod servers;
mod show;
mod sums;
mod talk;
mod times;
mod views;

pub use admin::Shutdown;
pub(crate) use clients::{Client, ClientFacts, Doing, Registered, Whereabouts};
use holds::Holds;
pub use orders::{Order, Orders, Wish};
pub(crate) use servers::{ServerFacts, State, Whose};
pub(crate) use show::{end as places, show};
pub(crate) use talk::Guest;
pub use times::Times;

use crate::setup::Setup;
use alike::Alike;
use clients::Clients;
use crew::Crew;
use faults::Faults;
use servers::Servers;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use sums::Sums;
use times::AllTimes;

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

/// A setting as `SHOW CONFIG` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// What it is called.
    pub key: String,
    /// Its value; `None` if there is none, or if it must not be shown.
    pub value: Option<String>,
    /// The value if nobody sets it.
    pub default: Option<String>,
    /// True if it can be changed in a running process.
    pub is_changeable: bool,
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
    /// Who moves bytes.
    pub(crate) workers: Crew,
    /// What is held up.
    pub(crate) holds: Holds,
    /// What clients have in common.
    pub(crate) facts: Alike<ClientFacts>,
    /// The same of connections to servers.
    commons: Alike<servers::Common>,
    /// What was counted.
    pub(crate) sums: Sums,
    /// How long things took.
    pub(crate) times: AllTimes,
    /// What sessions ended with.
    pub(crate) faults: Faults,
    /// Which routes they took.
    pub(crate) routes: routes::Taken,
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
            workers: Crew::default(),
            holds: Holds::default(),
            facts: Alike::default(),
            commons: Alike::default(),
            sums: Sums::default(),
            times: AllTimes::default(),
            faults: Faults::default(),
            routes: routes::Taken::default(),
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
        micros(self.since.elapsed())
    }
}

/// Microseconds; never 0.
fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).map_or(u64::MAX, |us| us.max(1))
}

/// A leg's version, suite and group; nothing without TLS.
pub(crate) fn tls(leg: &auth::LegFacts) -> String {
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
