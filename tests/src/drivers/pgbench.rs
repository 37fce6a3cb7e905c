//! pgbench: its own transactions in each protocol, and a script with pipelines.

use std::process::Command;

use testkit::Cluster;

use super::{Endpoint, file, succeed};

#[track_caller]
pub(super) fn run(endpoint: &Endpoint) {
    let pgbench = || -> Command { endpoint.command(Cluster::client_program("pgbench")) };
    succeed(pgbench().args(["--initialize", "--quiet", "--scale=1"]));
    let load = ["--no-vacuum", "--client=4", "--jobs=2", "--transactions=50"];
    for protocol in ["simple", "extended", "prepared"] {
        let output = succeed(pgbench().args(load).arg("--protocol").arg(protocol));
        completed(&output);
    }
    // Reconnecting for every transaction puts the start of sessions under load.
    completed(&succeed(
        pgbench().args(load).args(["--connect", "--select-only"]),
    ));
    let script = file("pipeline.pgbench");
    let mut command = pgbench();
    command
        .args(load)
        .args(["--protocol=extended", "--file"])
        .arg(script);
    completed(&succeed(&mut command));
}

#[track_caller]
fn completed(output: &str) {
    let all = "number of transactions actually processed: 200/200";
    assert!(output.contains(all), "pgbench lost transactions:\n{output}");
}
