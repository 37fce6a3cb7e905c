//! What many clients were promised holds through failovers: primaries that are killed, hang, or are cut off from the
//! proxy, one after the other, and planned switchovers.
//!
//! Small here; `PORTCULLIS_SOAK=1` makes it large. Times are printed, not judged: how long a failover may take on a
//! loaded machine is nobody's promise.

mod apart;
mod blows;
mod parted;
mod planned;
mod repeated;
mod single;

use testkit::{FlockPlan, Member};

/// Small, or large with `PORTCULLIS_SOAK`.
fn scaled(small: usize, large: usize) -> usize {
    match std::env::var_os("PORTCULLIS_SOAK") {
        Some(_) => large,
        None => small,
    }
}

/// A primary and two standbys. A commit is on two hosts before it is acknowledged, whoever is the primary.
fn synchronous() -> FlockPlan {
    FlockPlan::new(2)
        .set(
            "synchronous_standby_names",
            "ANY 1 (member0, member1, member2)",
        )
        .set("log_statement", "mod")
}

/// How far this standby has the log, replayed or not.
#[track_caller]
fn received(standby: &Member) -> u64 {
    let rows = standby.sql(
        "SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0'::pg_lsn",
    );
    let text = rows.first().and_then(|row| row.first()?.as_deref());
    let lsn = text.and_then(|text| text.parse().ok());
    lsn.expect("a place in the log")
}
