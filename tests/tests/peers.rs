//! Several instances before one cluster: a cancel request that reaches the wrong one goes on to the
//! one that it is meant for, over verified TLS, and no further.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use e2e::drivers::Endpoint;
use e2e::scripted::{self, Session};
use e2e::{Stage, StagePlan};
use testkit::peer::message;
use testkit::wait;
use testkit::{Authority, ClientTls, Cluster, Frame, Identity, Peer, ScriptedServer, ServerTls};

/// `[[peer]]` for an instance on this machine whose certificate that authority issued.
fn peer_at(number: u16, port: u16, ca_file: &std::path::Path) -> String {
    format!(
        "[[peer]]\nid = {number}\nhost = 'localhost'\nport = {port}\n[peer.tls]\nca = '{}'\n",
        ca_file.display()
    )
}

fn peer_of(number: u16, stage: &Stage) -> String {
    peer_at(number, stage.proxy.port(), &stage.ca_file)
}

fn instance(cluster: &Cluster, number: u16, direct: &Endpoint) -> StagePlan {
    Stage::before(cluster)
        .user(direct)
        .set("listen", "peer_id", &number.to_string())
        .set("limits", "cancel_rate", "1000")
}

/// A session in this version of the protocol.
fn session(stage: &Stage, endpoint: &Endpoint, version: u32) -> Session {
    let mut peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
    let (user, database) = (&endpoint.user, &endpoint.database);
    let parameters = [("user", user.as_str()), ("database", database.as_str())];
    peer.send(&message::startup_version(version, &parameters));
    scripted::prove(&mut peer, &endpoint.password);
    Session::settle(peer)
}

fn pid_and_key(session: &Session) -> (u32, Vec<u8>) {
    let Frame { body, .. } = session.key.as_ref().expect("BackendKeyData");
    let (pid, key) = body.split_first_chunk::<4>().expect("a process id");
    (u32::from_be_bytes(*pid), key.to_vec())
}

/// Asks for a cancel and waits until it is done.
fn cancel(address: SocketAddr, tls: &ClientTls, (pid, key): (u32, &[u8])) {
    let mut peer = Peer::tls(address, tls);
    peer.send(&message::cancel(pid, key));
    let (rest, _) = peer.drain();
    assert!(rest.is_empty(), "{}", rest.escape_ascii());
}

#[track_caller]
fn sleeps(cluster: &Cluster, role: &str) {
    wait::until("the query", wait::LONG, || {
        let query = format!(
            "SELECT 1 FROM pg_stat_activity WHERE usename = '{role}' AND wait_event = 'PgSleep'"
        );
        !cluster.sql(&query).is_empty()
    });
}

/// With the process ids of servers, which tell nobody's number, and with made-up ones.
#[test]
fn a_cancel_that_reaches_another_instance_hits() {
    let cluster = Cluster::shared();
    for (mode, role) in [("session", "of_another_1"), ("transaction", "of_another_2")] {
        let direct = Endpoint::role(cluster, role);
        let mode = format!("'{mode}'");
        let plan = |number| instance(cluster, number, &direct).set("pool", "pool_mode", &mode);
        let first = plan(1).start();
        let other = plan(2).more(&peer_of(1, &first)).start();
        for version in [0x0003_0000, 0x0003_0002] {
            let mut session = session(&first, &direct, version);
            let (pid, key) = pid_and_key(&session);
            assert_eq!(pid >> 30 == 1, mode == "'transaction'", "{pid}");
            session.peer.send(&message::query("SELECT pg_sleep(120)"));
            sleeps(cluster, role);
            // A right process id is not enough.
            let mut wrong = key.clone();
            wrong[0] ^= 1;
            let (address, tls) = (other.proxy.address(), other.client_tls());
            cancel(address, &tls, (pid, &wrong));
            sleeps(cluster, role);
            cancel(address, &tls, (pid, &key));
            session.peer.expect_frame(b'T');
            session.peer.expect_error("57014");
            session.peer.until_tag(b'Z');
            assert_eq!(session.value("SELECT 7"), "7");
        }
        other.proxy.await_log("passed on to peers");
        first.proxy.await_log("cancel request carried out");
    }
}

/// What a peer is sent: the key, and the mark behind it. A made-up process id is asked about only
/// where it was made up, and a key that no instance issues nowhere.
#[test]
fn a_request_is_marked_and_only_its_issuer_is_asked() {
    let cluster = Cluster::shared();
    let direct = Endpoint::role(cluster, "marked");
    let authority = Authority::new("Peers");
    let tls = ServerTls::new(&authority.issue(&Identity::localhost()));
    let directory = tempfile::tempdir().expect("a directory");
    let ca_file = authority.write(directory.path(), "peers");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (tell, told) = mpsc::channel();
    let server = |number: u16| {
        let (tls, heard, tell) = (tls.clone(), Arc::clone(&heard), tell.clone());
        ScriptedServer::start(move |peer: Peer| {
            let mut peer = peer.grant_tls(&tls);
            let packet = peer.startup();
            heard.lock().expect("the list").push((number, packet));
            tell.send(()).expect("the test");
            peer.close();
        })
    };
    let (seventh, eighth) = (server(7), server(8));
    let peers = peer_at(7, seventh.address().port(), &ca_file)
        + &peer_at(8, eighth.address().port(), &ca_file);
    let stage = instance(cluster, 1, &direct).more(&peers).start();
    let ask = |pid, key: &[u8]| cancel(stage.proxy.address(), &stage.client_tls(), (pid, key));
    let of_eighth = 1 << 30 | 8 << 16 | 5;
    let of_itself = 1 << 30 | 1 << 16 | 5;
    let of_nobody = 1 << 30 | 9 << 16 | 5;
    for pid in [of_itself, of_nobody] {
        ask(pid, &[3; 32]);
    }
    for key in [&[3; 8][..], b"aaaa>", &[b'>'; 33]] {
        ask(4711, key);
    }
    ask(of_eighth, &[3; 32]);
    told.recv_timeout(wait::LONG).expect("a request");
    let marked = message::cancel(of_eighth, &[&[3; 32][..], b">"].concat());
    let first = std::mem::take(&mut *heard.lock().expect("the list"));
    assert_eq!(first, [(8, marked[4..].to_vec())]);
    ask(4711, b"aaaa");
    for _ in 0..2 {
        told.recv_timeout(wait::LONG).expect("a request");
    }
    let marked = message::cancel(4711, b"aaaa>")[4..].to_vec();
    let mut both = std::mem::take(&mut *heard.lock().expect("the list"));
    both.sort();
    assert_eq!(both, [(7, marked.clone()), (8, marked)]);
}

/// Before a peer has proved who it is, it is sent no key.
#[test]
fn a_peer_with_a_wrong_certificate_is_refused_and_logged() {
    let cluster = Cluster::shared();
    let direct = Endpoint::role(cluster, "wrong_peer");
    let first = instance(cluster, 1, &direct).start();
    let stranger = Authority::new("Somebody else");
    let directory = tempfile::tempdir().expect("a directory");
    let ca_file = stranger.write(directory.path(), "stranger");
    let other = instance(cluster, 2, &direct)
        .more(&peer_at(1, first.proxy.port(), &ca_file))
        .start();
    let mut session = session(&first, &direct, 0x0003_0000);
    let (pid, key) = pid_and_key(&session);
    session.peer.send(&message::query("SELECT pg_sleep(120)"));
    sleeps(cluster, &direct.user);
    cancel(other.proxy.address(), &other.client_tls(), (pid, &key));
    other
        .proxy
        .await_log("a cancel request could not be passed on to a peer");
    let log = other.proxy.log();
    let line = log
        .lines()
        .find(|line| line.contains("could not be passed"));
    let line = line.expect("the line");
    assert!(line.contains("localhost"), "{line}");
    assert!(line.contains("certificate"), "{line}");
    sleeps(cluster, &direct.user);
    cancel(first.proxy.address(), &first.client_tls(), (pid, &key));
    session.peer.expect_frame(b'T');
    session.peer.expect_error("57014");
}

/// One that takes a connection and says nothing: requests for it end with the deadline, all others
/// are carried out meanwhile, and it is left alone for a while.
#[test]
fn a_dead_peer_costs_nobody_more_than_the_deadline() {
    let cluster = Cluster::shared();
    let direct = Endpoint::role(cluster, "dead_peer");
    let (tell, told) = mpsc::channel();
    let dead = ScriptedServer::start(move |mut peer: Peer| {
        tell.send(()).expect("the test");
        peer.drain();
    });
    let directory = tempfile::tempdir().expect("a directory");
    let ca_file = Authority::new("Nobody").write(directory.path(), "nobody");
    let stage = instance(cluster, 1, &direct)
        .set("limits", "cancel_wait_timeout", "3")
        .set("limits", "cancel_concurrency", "1")
        .more(&peer_at(7, dead.address().port(), &ca_file))
        .start();
    let (address, tls) = (stage.proxy.address(), stage.client_tls());
    let mut session = session(&stage, &direct, 0x0003_0000);
    let (pid, key) = pid_and_key(&session);
    session.peer.send(&message::query("SELECT pg_sleep(120)"));
    sleeps(cluster, &direct.user);
    let mut lost = Peer::tls(address, &tls);
    lost.send(&message::cancel(4711, b"aaaa"));
    told.recv_timeout(wait::LONG).expect("a request");
    cancel(address, &tls, (pid, &key));
    session.peer.expect_frame(b'T');
    session.peer.expect_error("57014");
    let waits = !stage.proxy.log().contains("cancel_wait_timeout");
    assert!(waits, "the other request went on: {}", stage.proxy.log());
    assert!(lost.drain().0.is_empty());
    stage.proxy.await_log("cancel_wait_timeout");
    cancel(address, &tls, (4711, b"aaaa"));
    assert!(told.try_recv().is_err(), "asked again at once");
}
