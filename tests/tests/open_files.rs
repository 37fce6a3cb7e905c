//! How many clients there may be is fitted to the limit of open files.

use std::fs;

use e2e::observed::{METRICS, value};
use e2e::{Stage, StagePlan};
use testkit::Peer;

/// The soft limit is what a shell gives; the hard one is what an administrator allows.
fn plan() -> StagePlan {
    StagePlan::new("localhost", 1, "ca.crt".as_ref())
        .set("limits", "max_pending_logins_per_address", "1000")
        .more(METRICS)
        .open_files(256, 700)
}

const BEYOND: &str = "max_client_conn is more than the limit of open files allows (286 clients)";

#[track_caller]
fn soft_limit(stage: &Stage) -> u64 {
    let limits = fs::read_to_string(format!("/proc/{}/limits", stage.proxy.pid()));
    let limits = limits.expect("the limits of the proxy");
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().nth(3));
    soft.and_then(|it| it.parse().ok()).expect("a number")
}

#[test]
fn the_soft_limit_is_raised_and_clients_are_fitted_to_it() {
    let stage = plan().start();
    assert_eq!(soft_limit(&stage), 700);
    assert_eq!(value(&stage, "portcullis_clients_max"), 286.0);
    assert!(!stage.proxy.log().contains("max_client_conn is more"));
    // As many as the setting lets in have their descriptors.
    let crowd: Vec<Peer> = (0..286).map(|_| Peer::tcp(stage.proxy.address())).collect();
    testkit::wait::until("286 clients", testkit::wait::LONG, || {
        value(&stage, "portcullis_clients") == 286.0
    });
    drop(crowd);
    assert!(!stage.proxy.log().contains("cannot accept clients"));
}

#[test]
fn a_number_that_does_not_fit_is_kept_and_warned_of() {
    for (wanted, warned) in [(286, false), (287, true)] {
        let set = wanted.to_string();
        let stage = plan().set("listen", "max_client_conn", &set).start();
        assert_eq!(value(&stage, "portcullis_clients_max"), f64::from(wanted));
        let log = stage.proxy.log();
        assert_eq!(log.contains(BEYOND), warned, "{log}");
        assert_eq!(log.contains("LimitNOFILE="), warned, "{log}");
    }
}
