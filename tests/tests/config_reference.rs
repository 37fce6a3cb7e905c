//! `portcullis check` agrees with `portcullis run`: the configurations of these tests pass it,
//! and what it refuses it names.

use std::process::{Command, Output};

use e2e::Stage;
use e2e::drivers::Endpoint;
use testkit::{Cluster, Portcullis, proxy};

fn check(proxy: &Portcullis) -> Output {
    let mut command = Command::new(proxy::binary());
    let file = proxy.directory().join("portcullis.toml");
    command.arg("check").arg("--config").arg(file);
    command
        .env_remove("RUST_LOG")
        .output()
        .expect("portcullis check")
}

fn said(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn a_running_configuration_passes() {
    for cluster in [Cluster::shared(), Cluster::shared_18()] {
        let direct = Endpoint::direct(cluster, "checked");
        let mut stage = Stage::before(cluster).user(&direct).start();
        stage.endpoint(&direct).login().says();
        stage.proxy.await_log("ready");
        stage.proxy.signal(testkit::Signal::SIGTERM);
        stage.proxy.await_end(testkit::wait::LONG);
        let output = check(&stage.proxy);
        assert!(output.status.success(), "{}", said(&output));
    }
}

#[test]
fn a_server_that_cannot_be_verified_fails_the_check() {
    let cluster = Cluster::shared();
    let stage = Stage::before(cluster)
        .set("database.tls", "ca", "'system'")
        .start();
    let output = check(&stage.proxy);
    assert!(!output.status.success(), "{}", said(&output));
}
