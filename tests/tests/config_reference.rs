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

#[test]
fn every_listener_is_tried_and_its_policy_printed() {
    let direct = Endpoint::direct(Cluster::shared(), "checked_twice");
    let reserved = testkit::ports::reserve();
    let mut stage = Stage::before(Cluster::shared())
        .user(&direct)
        .set("listen.tls", "session_tickets", "true")
        .more(&format!(
            "[[listener]]\naddress = '{}'\n[listener.tls]\nprofile = 'modern'\n\
             certificate = 'proxy.crt'\nprivate_key = 'proxy.key'\n",
            reserved.address()
        ))
        .start();
    stage.proxy.signal(testkit::Signal::SIGTERM);
    stage.proxy.await_end(testkit::wait::LONG);
    let output = check(&stage.proxy);
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    let further = format!("TLS of {}: TLSv1.3 to TLSv1.3", reserved.address());
    let tried = format!("client leg: the listener of {} on", reserved.address());
    for line in [
        "client leg: this configuration on",
        &tried,
        &further,
        ": TLSv1.2 to TLSv1.3",
        "session tickets on, keys change every 3600 s, renegotiation refused",
        "session tickets off",
        "expires in ",
    ] {
        assert!(said.contains(line), "{line} is not in\n{said}");
    }
}

#[test]
fn an_openssl_older_than_wanted_is_refused() {
    let plan = Stage::before(Cluster::shared()).more("[tls]\nmin_openssl = '99.0'\n");
    let mut proxy = plan.launch();
    assert!(!proxy.await_end(testkit::wait::LONG).success());
    let log = proxy.log();
    assert!(log.contains("99.0.0 is the oldest to start with"), "{log}");
}
