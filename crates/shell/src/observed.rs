//! Owns what may be watched of a running proxy from other threads: numbers, and whether it takes
//! clients. Steers nothing, and keeps no thread or socket of the proxy alive.

use crate::console;
use crate::context::{Context, Doors};
use crate::control::{Control, Phase};
use crate::happenings;
use crate::inspection::{families, shown};
use crate::pulse::Beat;
use admin::Table;
use events::Events;
use observe::{Family, Kind, Sample};
use patterns::change::Detector;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::watch;

/// Rows of a table that are shown at a time.
const ROWS_MAX: usize = 1000;

/// A proxy, seen from outside.
pub struct Observed {
    context: Arc<Context>,
    controls: Vec<Arc<Control>>,
    doors: watch::Receiver<Doors>,
    beats: watch::Receiver<Beat>,
}

impl Observed {
    pub(crate) fn new(
        context: Arc<Context>,
        controls: Vec<Arc<Control>>,
        doors: watch::Receiver<Doors>,
        beats: watch::Receiver<Beat>,
    ) -> Observed {
        Observed {
            context,
            controls,
            doors,
            beats,
        }
    }

    /// True while the doors are open, until draining or the end begins.
    pub fn takes_clients(&self) -> bool {
        let running = |control: &Arc<Control>| control.phase() == Phase::Running;
        *self.doors.borrow() == Doors::Open && self.controls.iter().all(running)
    }

    /// Whether its threads answered at the last look.
    pub fn beat(&self) -> Beat {
        self.beats.borrow().clone()
    }

    /// What clients are doing, as a JSON list of the rows of `SHOW ACTIVITY`.
    pub fn activity(&self) -> String {
        shown::activity(&self.context).json()
    }

    /// Statements by pattern, as a JSON list of the rows of `SHOW PATTERNS`.
    pub fn patterns(&self) -> String {
        shown::patterns(&self.context).json()
    }

    /// What operators should hear of.
    pub fn events(&self) -> &Arc<Events> {
        &self.context.events
    }

    /// Looks for changes in the statistics by pattern, and posts them.
    pub fn look_for_changes(&self, detector: &mut Detector, now_unix_s: u64) {
        let rows = self.context.inspections.merged().rows();
        let length = self.context.inspections.length();
        for event in detector.look(&rows, now_unix_s, length) {
            self.context.events.post(event);
        }
    }

    /// Numbers of the whole proxy, as JSON.
    pub fn overview(&self) -> String {
        console::overview::overview(&self.context, self.takes_clients())
    }

    /// How long things took in each pool, as a JSON list.
    pub fn pool_times(&self) -> String {
        console::overview::pool_times(&self.context)
    }

    /// How long the statements of a pattern took, as JSON; `None` if none has this number.
    pub fn pattern_times(&self, pattern: u64) -> Option<String> {
        console::overview::pattern_times(&self.context, pattern)
    }

    /// The table that `SHOW` has under this name: how many rows there are, in how many of them something
    /// contains `wanted`, and the first thousand of those.
    pub fn table(&self, name: &str, wanted: &str) -> Option<String> {
        let snapshot = console::show(&self.context, find(name)?);
        Some(snapshot.json_excerpt(wanted, ROWS_MAX))
    }

    /// True if `SHOW` has a table under this name.
    pub fn has_table(name: &str) -> bool {
        find(name).is_some()
    }

    /// All numbers as they stand at `now_unix_s`, gauges first.
    pub fn families(&self, now_unix_s: i64) -> Vec<Family> {
        let clients = self.context.clients.load(Ordering::Relaxed);
        let max = self.context.live.snapshot().limits.max_client_conn;
        let (under_way, waiting) = self.context.door.crowd();
        let (resting, lent) = self.context.exchange.counts();
        let places = self.context.exchange.places();
        let pinned = places.iter().map(|(_, place)| place.pinned()).sum();
        let mut families = vec![
            gauge("clients", "Clients connected now.", clients),
            gauge(
                "clients_max",
                "Most clients at a time (max_client_conn).",
                max,
            ),
            gauge(
                "logins_under_way",
                "Clients that have a place to log in (max_concurrent_logins).",
                under_way,
            ),
            gauge(
                "logins_waiting",
                "Clients that wait for a place to log in.",
                waiting,
            ),
            self.sessions(),
            gauge(
                "server_resting",
                "Server connections that nobody uses now.",
                resting,
            ),
            gauge("server_lent", "Server connections in use.", lent),
            gauge(
                "server_pinned_now",
                "Server connections that clients keep for what only those have (pinning).",
                pinned,
            ),
        ];
        families.extend(console::families::families(&self.context));
        families.extend(families::families(&self.context));
        families.extend(console::rules::families(&self.context));
        families.push(happenings::family(&self.context.events));
        families.extend(self.context.gauges.families(now_unix_s));
        families.extend(self.context.counters.families());
        families
    }

    fn sessions(&self) -> Family {
        let sample = |(number, control): (usize, &Arc<Control>)| Sample {
            labels: vec![("worker", number.to_string())],
            value: (control.sessions.load(Ordering::Relaxed) as f64).into(),
        };
        Family {
            name: "worker_sessions".into(),
            help: "Clients of each worker thread, from accept to close.",
            kind: Kind::Gauge,
            samples: self.controls.iter().enumerate().map(sample).collect(),
        }
    }
}

fn find(table: &str) -> Option<Table> {
    let is_it = |it: &&Table| it.name().eq_ignore_ascii_case(table);
    Table::ALL.iter().find(is_it).copied()
}

fn gauge(name: &'static str, help: &'static str, value: usize) -> Family {
    Family::single(name, help, Kind::Gauge, value as f64)
}
