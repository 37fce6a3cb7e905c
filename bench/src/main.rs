//! `make bench`: Portcullis beside PgBouncer on this machine, in one run.
//!
//! Makes a throw-away cluster and certificates, starts each proxy before it with TLS on both
//! legs, and measures in interleaved rounds. Prints tables of medians and ratios, and writes the
//! samples as JSON. On a busy machine judge by instructions and system calls, which are exact,
//! and by ratios; times are what the machine had left.

mod contender;
mod counts;
mod load;
mod measure;
mod options;
mod process;
mod report;
mod scene;
mod stats;
mod train;

use clap::Parser;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use options::Options;
use report::Report;
use scene::Scene;
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = Options::parse();
    let files = raise_open_files();
    let mut scene = Scene::set(&options);
    if let Some(directory) = &options.train {
        train::run(&mut scene, directory);
        return ExitCode::SUCCESS;
    }
    let mut report = Report::new(&options);
    for measure in measure::ALL {
        if options.wants(measure.name) {
            eprintln!("bench: {} ({})", measure.name, measure.what);
            (measure.run)(&scene, &options, &mut report);
        }
    }
    report.write(files);
    match counts::settle(&options, report.counts()) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Every child inherits the limit: proxies and pgbench need 2,000 sockets and more.
fn raise_open_files() -> u64 {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit of open files");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("the soft limit of open files to rise");
    hard
}
