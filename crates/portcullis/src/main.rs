//! The binary: reads the command line, runs one command, and reports what went wrong.
//!
//! Exit codes: 0 all is well, 1 a command failed, 2 the command line was not understood.

mod activation;
mod alarms;
mod audit;
mod check;
mod cli;
mod confine;
mod conninfo;
mod demo;
mod directory;
mod draft;
mod ending;
mod expiry;
mod fault;
mod feeds;
mod fingerprint;
mod import;
mod init;
mod interrupt;
mod learner;
mod leg;
mod load;
mod logging;
mod material;
mod metrics;
mod mint;
mod notify;
mod output;
mod pages;
mod process;
mod querylog;
mod quickstart;
mod reload;
mod route;
mod rules;
mod run;
mod settings;
mod setup;
mod stats;
mod switchover;
mod takeover;
mod telemetry;
mod test_rules;
mod top;
mod witness;

use cli::Command;
use fault::Fault;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: OpenSSL takes these choices only before its first allocation.
    let keys = match tls::guard_keys() {
        Ok(keys) => keys,
        Err(fault) => return report(&[Fault::KeyHeap(fault)]),
    };
    let done = match cli::parse() {
        Command::Demo(options) => demo::run(&options),
        Command::Quickstart(options) => quickstart::run(&options),
        Command::Run(options) => run::run(&options, keys),
        Command::Attend => material::attend().map_err(|error| vec![Fault::System(error)]),
        Command::Confine(path) => check::confine(&path),
        Command::Check(options) => check::run(&options, keys),
        Command::Init(options) => init::run(&options),
        Command::Import(options) => import::run(&options),
        Command::TestRules(options) => test_rules::run(&options),
        Command::Audit(command) => audit::run(&command),
        Command::Route(command) => route::run(&command),
        Command::Top(options) => top::run(&options),
        Command::Switchover(options) => switchover::run(&options),
        Command::Settings(options) => settings::run(&options),
        Command::Pages(options) => pages::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(faults) => report(&faults),
    }
}

/// Every fault in a line of its own, and how many there were.
fn report(faults: &[Fault]) -> ExitCode {
    for fault in faults {
        output::complain(&format!("error: {fault}"));
    }
    if faults.len() > 1 {
        output::complain(&format!("{} errors", faults.len()));
    }
    ExitCode::FAILURE
}
