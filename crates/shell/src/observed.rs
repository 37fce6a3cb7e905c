//! Owns what may be watched of a running proxy from other threads: numbers, and whether it takes
//! clients. Steers nothing, and keeps no thread or socket of the proxy alive.

use crate::context::Context;
use crate::control::{Control, Phase};
use observe::{Family, Kind, Sample};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A proxy, seen from outside.
pub struct Observed {
    context: Arc<Context>,
    controls: Vec<Arc<Control>>,
}

impl Observed {
    pub(crate) fn new(context: Arc<Context>, controls: Vec<Arc<Control>>) -> Observed {
        Observed { context, controls }
    }

    /// True until draining or the end begins.
    pub fn takes_clients(&self) -> bool {
        self.controls
            .iter()
            .all(|control| control.phase() == Phase::Running)
    }

    /// All numbers as they stand at `now_unix_s`, gauges first.
    pub fn families(&self, now_unix_s: i64) -> Vec<Family> {
        let clients = self.context.clients.load(Ordering::Relaxed);
        let max = self.context.live.snapshot().limits.max_client_conn;
        let (under_way, waiting) = self.context.door.crowd();
        let (resting, lent) = self.context.exchange.counts();
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
        ];
        families.extend(self.context.gauges.families(now_unix_s));
        families.extend(self.context.counters.families());
        families
    }

    fn sessions(&self) -> Family {
        let sample = |(number, control): (usize, &Arc<Control>)| Sample {
            labels: vec![("worker", number.to_string())],
            value: control.sessions.load(Ordering::Relaxed) as f64,
        };
        Family {
            name: "worker_sessions",
            help: "Clients of each worker thread, from accept to close.",
            kind: Kind::Gauge,
            samples: self.controls.iter().enumerate().map(sample).collect(),
        }
    }
}

fn gauge(name: &'static str, help: &'static str, value: usize) -> Family {
    Family::single(name, help, Kind::Gauge, value as f64)
}
