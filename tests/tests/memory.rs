//! No literal, parameter, row or password stays in the proxy's memory or reaches its log.
//!
//! Random markers travel through a session in every kind of message. Once it is idle, and again
//! after its end, the memory of the process is searched for them, byte for byte.

use std::fs;
use std::time::Duration;

use e2e::drivers::Endpoint;
use e2e::planted::{Planted, marker};
use e2e::scripted::{Session, startup};
use e2e::search::{self, Part};
use e2e::{Stage, StagePlan};
use openssl::ssl::SslVersion;
use testkit::peer::message::{self, frame, query};
use testkit::{Authority, Certificate, Cluster, Identity, Peer, Portcullis, wait};

/// How long an idle session may take to hand back what it doesn't need.
const PATIENCE: Duration = Duration::from_secs(10);

/// The markers, out of these, that lie in the memory of the process.
#[track_caller]
fn found<'a, M: AsRef<[u8]> + PartialEq + ?Sized>(
    proxy: &Portcullis,
    markers: &[&'a M],
) -> Vec<&'a M> {
    search::memory(proxy.pid(), Part::All, markers)
}

/// Nothing of this is left, in memory or in the log.
#[track_caller]
fn nothing_left(what: &str, stage: &Stage, markers: &[&str]) {
    let mut left = Vec::new();
    let clean = wait::within(PATIENCE, || {
        left = found(&stage.proxy, markers);
        left.is_empty().then_some(())
    });
    let kinds: Vec<_> = left
        .iter()
        .filter_map(|left| markers.iter().position(|marker| marker == left))
        .collect();
    assert!(
        clean.is_some(),
        "{what}: markers {kinds:?} are left in memory"
    );
    let log = stage.proxy.log();
    for marker in markers {
        assert!(!log.contains(marker), "{what}: a marker in the log:\n{log}");
    }
}

/// Its memory may be read by whoever runs the tests, and its log says all it can.
fn plan() -> StagePlan {
    Stage::before(Cluster::shared())
        .set("process", "core_dumps", "true")
        .set("log", "level", "'trace'")
}

#[test]
fn what_passes_leaves_no_trace() {
    let direct = Endpoint::direct(Cluster::shared(), "memory");
    let stage = plan().user(&direct).start();
    let endpoint = stage.endpoint(&direct);
    for version in [SslVersion::TLS1_3, SslVersion::TLS1_2] {
        let tls = stage.client_tls().versions(version, version);
        let planted = Planted::new();
        let peer = Peer::tls(stage.proxy.address(), &tls);
        let mut session = Session::begin(peer, &endpoint);
        planted.travel(&mut session);
        nothing_left("idle", &stage, &planted.all());
        session.peer.send(&message::TERMINATE);
        session.peer.end();
        nothing_left("ended", &stage, &planted.all());
        // A session that breaks off with everything on its way.
        let planted = Planted::new();
        let peer = Peer::tls(stage.proxy.address(), &tls);
        let mut session = Session::begin(peer, &endpoint);
        planted.travel(&mut session);
        let literal = query(&format!("SELECT '{}'", planted.literal));
        session.peer.send(&literal[..literal.len() - 4]);
        session.peer.cut();
        nothing_left("cut", &stage, &planted.all());
        // One that ends by a fault: a message of a type that PostgreSQL does not have.
        let planted = Planted::new();
        let peer = Peer::tls(stage.proxy.address(), &tls);
        let mut session = Session::begin(peer, &endpoint);
        planted.travel(&mut session);
        let body = planted.literal.as_bytes();
        session.peer.send(&frame(b'?', body));
        session.peer.expect_error("08P01");
        session.peer.end();
        nothing_left("faulted", &stage, &planted.all());
    }
}

/// What is known to be there is found: a user's name and password from the configuration, and
/// the name of a client that is logged in.
#[test]
fn the_search_finds_what_is_there() {
    let (role, other, secret) = (marker(), marker(), marker());
    let direct = Endpoint::direct(Cluster::shared(), &format!("r{role}"));
    let stage = plan().user(&direct).user_with(&other, &secret).start();
    let _session = Session::through(&stage, &stage.endpoint(&direct));
    let (absent, all) = (marker(), [&role, &other, &secret]);
    let mut looked_for: Vec<&str> = all.map(String::as_str).to_vec();
    looked_for.push(&absent);
    let seen = found(&stage.proxy, &looked_for);
    assert_eq!(seen.len(), 3, "{} of 3 were found", seen.len());
    assert!(!seen.contains(&absent.as_str()));
}

/// With method `password` the proxy learns a password that it wasn't configured with.
#[test]
fn passwords_are_forgotten_once_they_served() {
    let mut direct = Endpoint::direct(Cluster::shared(), "forgotten");
    direct.password = marker();
    let change = format!("ALTER ROLE forgotten PASSWORD '{}'", direct.password);
    Cluster::shared().sql(&change);
    let stage = plan().set("auth", "method", "\"password\"").start();
    let log_in = |password: &str| {
        let mut peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
        peer.send(&startup(&direct));
        assert_eq!(peer.expect_frame(b'R').body, [0, 0, 0, 3]);
        peer.send(&message::password(password));
        peer
    };
    let mut session = Session::settle(log_in(&direct.password));
    session.query("SELECT 1");
    nothing_left("logged in", &stage, &[&direct.password]);
    let wrong = marker();
    log_in(&wrong).expect_error("28P01");
    nothing_left("refused", &stage, &[&direct.password, &wrong]);
}

/// The private key of a P-256 certificate as libcrypto computes with it, and as files hold it.
fn scalars(certificate: &Certificate) -> [Vec<u8>; 2] {
    let key = certificate.key.ec_key().expect("a P-256 key");
    let in_file = key.private_key().to_vec_padded(32).expect("32 bytes");
    [in_file.iter().rev().copied().collect(), in_file]
}

/// What a reload replaces lives as long as the sessions that began with it, and not longer.
#[test]
fn a_reload_forgets_what_was_before_once_its_sessions_have_ended() {
    let cluster = Cluster::shared();
    let role = "forgotten_by_reload";
    let passwords = [marker(), marker()];
    cluster.make_role(role, &passwords[0]);
    let authority = Authority::new("Authority of forgotten keys");
    let [old, new] = [0, 1].map(|_| authority.issue(&Identity::localhost()));
    let plan = Stage::before(cluster).user_with(role, &passwords[0]);
    let plan = plan.set("process", "core_dumps", "true");
    let mut stage = plan.certificate(&authority, &old).start();
    let direct = Endpoint::existing(cluster, role, &passwords[0]);
    assert_eq!(stage.endpoint(&direct).login().says(), role);
    let old_key = scalars(&old);
    let new_key = scalars(&new);
    assert_eq!(
        found(&stage.proxy, &[&old_key[0]]).len(),
        1,
        "the search works"
    );

    let session = Peer::tls(stage.proxy.address(), &stage.client_tls());
    let directory = stage.proxy.directory();
    new.write(directory, "proxy");
    let users = format!("\"{role}\" \"{}\"\n", passwords[1]);
    fs::write(directory.join("users.txt"), users).expect("the users file");
    stage.proxy.signal(testkit::Signal::SIGHUP);
    stage.proxy.await_log("portcullis::reload: reloaded");
    wait::until("the new certificate", wait::LONG, || {
        let peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
        let shown = peer.ssl().and_then(|ssl| ssl.peer_certificate());
        peer.close();
        shown.is_some_and(|shown| shown == new.certificate)
    });
    assert_eq!(found(&stage.proxy, &[&old_key[0], &new_key[0]]).len(), 2);
    assert_eq!(found(&stage.proxy, &[&passwords[1]]).len(), 1);

    session.close();
    let before: [&[u8]; 3] = [&old_key[0], &old_key[1], passwords[0].as_bytes()];
    let gone = wait::within(PATIENCE, || {
        found(&stage.proxy, &before).is_empty().then_some(())
    });
    assert!(gone.is_some(), "{:?}", found(&stage.proxy, &before).len());
}
