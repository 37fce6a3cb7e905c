//! What the operator of the benchmarks may choose.

use clap::Parser;
use std::path::PathBuf;

/// What Portcullis can do besides.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// Look at statements, and keep a query log whose sample is nothing
    Inspection,
    /// Judge statements by fifty rules, none of which matches
    Rules,
    /// Follow a cluster, which the server is alone
    Cluster,
    /// The same, and decide for each request whether it may go to a standby; in transaction mode only
    Routing,
}

/// Compares Portcullis with PgBouncer: TLS on both legs, session mode, interleaved rounds.
#[derive(Parser, Debug)]
#[command(name = "bench")]
pub struct Options {
    /// Short rounds: a first impression within a few minutes
    #[arg(long)]
    pub quick: bool,

    /// Measure only this; may be repeated
    #[arg(long, value_name = "NAME", value_parser = ["instructions", "calls", "takeover", "transactions", "pooled", "copy", "connect", "storm", "idle", "crowd", "floods"])]
    pub only: Vec<String>,

    /// Of what counts instructions only this scenario of instructions.txt; may be repeated
    #[arg(long, value_name = "NAME", conflicts_with_all = ["compare", "keep_counts"])]
    pub scenario: Vec<String>,

    /// Interleaved rounds of what is timed
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,

    /// Worker threads of Portcullis; 0 is one per core, its default. PgBouncer has one
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub workers: u32,

    /// Keep callgrind's profiles in this directory
    #[arg(long, value_name = "DIR")]
    pub profiles: Option<PathBuf>,

    /// Compare nothing: put Portcullis, built to count, under its loads once, and
    /// keep in this directory what it counted of itself (scripts/pgo)
    #[arg(long, value_name = "DIR")]
    pub train: Option<PathBuf>,

    /// What Portcullis does besides; may be repeated
    #[arg(long, value_name = "WHAT", value_enum)]
    pub with: Vec<Feature>,

    /// Program of PgBouncer
    #[arg(
        long,
        value_name = "FILE",
        env = "PGBOUNCER",
        default_value = "/usr/sbin/pgbouncer"
    )]
    pub pgbouncer: PathBuf,

    /// Program of Portcullis; by default the one beside this program
    #[arg(long, value_name = "FILE", env = "PORTCULLIS_BINARY")]
    pub portcullis: Option<PathBuf>,

    /// Compare the instructions with those in bench/instructions.txt; fail if a scenario grew by
    /// more than 2 %
    #[arg(long)]
    pub compare: bool,

    /// Write bench/instructions.txt anew
    #[arg(long, conflicts_with = "compare")]
    pub keep_counts: bool,

    /// Directory for results-DATE.json
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR")))]
    pub results: PathBuf,
}

impl Options {
    /// True if this measurement is to run.
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    /// True if the instructions of this scenario are to be counted.
    pub fn counts(&self, scenario: &str) -> bool {
        self.scenario.is_empty() || self.scenario.iter().any(|only| only == scenario)
    }

    /// Rounds of what is timed.
    pub fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 3 } else { 7 }).max(1)
    }

    /// One of two sizes, by the length of rounds.
    pub fn size<T>(&self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }
}
