//! What clients that don't get in cost the operator's log.

use e2e::Stage;
use e2e::drivers::Endpoint;
use testkit::peer::message;
use testkit::{Cluster, Peer, wait};

const CROWD: usize = 300;

/// A storm of one kind leaves few lines, which say how many were left out, and hides no other kind.
#[test]
fn a_storm_of_refusals_costs_a_line_a_second() {
    let direct = Endpoint::direct(Cluster::shared(), "stormed");
    let stage = Stage::before(Cluster::shared())
        .user(&direct)
        .set("limits", "login_rate", "0")
        .start();
    let refused = |reason: &str| -> Vec<String> {
        let log = stage.proxy.log();
        let ours = |line: &&str| line.contains("client refused") && line.contains(reason);
        log.lines().filter(ours).map(str::to_owned).collect()
    };
    for _ in 0..CROWD {
        let mut peer = Peer::tcp(stage.proxy.address());
        peer.send(&message::startup(&[("user", "stormed")]));
        peer.drain();
    }
    stage
        .endpoint(&direct.with_password("wrong"))
        .login()
        .complains("password authentication failed");
    let tls = "did not ask for TLS";
    let told = || -> usize {
        let left_out = |line: &String| -> usize {
            let (_, rest) = line.split_once("left_out=").unwrap_or(("", "0"));
            let digits = rest.split_whitespace().next().unwrap_or_default();
            digits.parse().expect("a number")
        };
        refused(tls).iter().map(|line| 1 + left_out(line)).sum()
    };
    // None is lost without being counted.
    wait::until("all of them", wait::LONG, || told() == CROWD);
    let lines = refused(tls).len();
    assert!((11..CROWD / 3).contains(&lines), "{lines} lines");
    assert_eq!(refused("the password does not match").len(), 1);
}
