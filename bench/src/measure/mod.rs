//! The measurements, one file each.

mod connect;
mod copy;
mod counted;
mod crowd;
mod floods;
mod idle;
mod storm;
mod takeover;
mod transactions;

use crate::options::Options;
use crate::report::Report;
use crate::scene::Scene;

/// One of them.
pub struct Measure {
    /// Its name for `--only`.
    pub name: &'static str,
    /// What it finds out.
    pub what: &'static str,
    /// Measures, and adds its tables to the report.
    pub run: fn(&Scene, &Options, &mut Report),
}

/// What is exact comes first.
pub const ALL: [Measure; 11] = [
    Measure {
        name: "instructions",
        what: "user instructions under callgrind",
        run: counted::instructions,
    },
    Measure {
        name: "calls",
        what: "system calls under strace",
        run: counted::calls,
    },
    Measure {
        name: "takeover",
        what: "system calls of taking a server connection over from another worker",
        run: takeover::run,
    },
    Measure {
        name: "transactions",
        what: "pgbench select-only: CPU, transactions, latency",
        run: transactions::run,
    },
    Measure {
        name: "pooled",
        what: "the same in transaction mode",
        run: transactions::pooled,
    },
    Measure {
        name: "copy",
        what: "CPU per GB of COPY",
        run: copy::run,
    },
    Measure {
        name: "connect",
        what: "CPU per connection",
        run: connect::run,
    },
    Measure {
        name: "storm",
        what: "500 clients that log in at once: CPU of each, a bystander's latency",
        run: storm::run,
    },
    Measure {
        name: "idle",
        what: "memory of idle clients, each with its server connection in TLS",
        run: idle::run,
    },
    Measure {
        name: "crowd",
        what: "memory of idle clients alone, in both modes, of repeated bursts, and after 4,000 have gone",
        run: crowd::run,
    },
    Measure {
        name: "floods",
        what: "what a bystander waits while clients flood its worker",
        run: floods::run,
    },
];

/// The order of contenders in a round: every second one backwards, so that neither is always first.
fn order(contenders: usize, round: usize) -> Vec<usize> {
    let forwards = 0..contenders;
    if round.is_multiple_of(2) {
        forwards.collect()
    } else {
        forwards.rev().collect()
    }
}
