//! Owns the rows of `SHOW CLUSTERS` and `SHOW HOSTS`.

use super::define::row;
use crate::datum::Moment;

row! {
    /// A cluster that databases follow.
    Cluster {
        /// Its name.
        name: String,
        /// The host that is written to, as `host:port`; empty if there is none.
        leader: String,
        /// Why there is none; empty if there is one.
        state: String,
        /// Since when this one is known to be written to.
        leader_since: Option<Moment>,
        /// Hosts that belong to it.
        hosts: u32,
        /// Those of them that answer.
        hosts_up: u32,
        /// The timeline that the leader writes.
        timeline: Option<u32>,
        /// The databases that follow it, with commas.
        databases: String,
        /// Clients that wait for a server connection in the pools that follow its leader.
        waiting: u64,
        /// What becomes of those who want to write while there is no leader: `wait`, or `read_only`: they are led to a standby.
        without_primary: &'static str,
        /// Counts changes of what can be used.
        version: u64,
    }
}

row! {
    /// A host of a cluster.
    Host {
        /// Its cluster.
        cluster: String,
        /// Its name or address, as its cluster has it.
        host: String,
        /// Its port.
        port: u32,
        /// What it last said that it is: `primary`, `read-only` (a primary by a setting that takes no writes), `standby`, or `unknown`; or why it is not used: `refused: other system`, `refused: old timeline`, `refused: split brain`.
        role: &'static str,
        /// `up`, `doubtful` (it gave no answer, not often enough to be thought dead), `down`, or `unknown`: it was never asked.
        health: &'static str,
        /// What kind of trouble the last one is, of a host that is doubtful or down: `refused`, `timeout`, `lost`, `name`, `tls`, `authentication`, `unavailable` (it starts, stops or recovers) or `other`.
        trouble: &'static str,
        /// What was said of it.
        trouble_text: String,
        /// Seconds since it is up or down.
        since_s: Option<u64>,
        /// The timeline that it writes, or replays as far as its last checkpoint says.
        timeline: Option<u32>,
        /// What it has written or replayed of the log, by its last answer.
        lsn: Option<String>,
        /// Bytes of the leader's log that it has yet to replay.
        lag_bytes: Option<u64>,
        /// Milliseconds since the last transaction that it replayed; 0 if it has replayed all that it has.
        lag_ms: Option<u64>,
        /// How much it is to do beside others.
        weight: u32,
        /// Where it stands; empty if nobody said so.
        zone: String,
        /// 1 after DRAIN.
        drained: bool,
        /// Leases in the pools of connections that were made to read from it.
        busy: u64,
        /// Server connections to it that are lent.
        sv_active: u32,
        /// Server connections to it.
        sv_total: u32,
        /// Milliseconds since it last answered when it was asked what it is.
        last_answer_ms: Option<u64>,
    }
}
