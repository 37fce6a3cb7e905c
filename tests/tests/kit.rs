//! Proves the test kit against PostgreSQL alone: what fails here isn't the proxy's fault.

use std::thread;
use std::time::Duration;

use openssl::ssl::SslVersion;
use testkit::peer::message;
use testkit::{
    Authority, Binaries, ClientTls, Cluster, ClusterPlan, End, Fault, FaultPipe, Identity, KeyKind,
    Lifetime, Peer, ScriptedServer, ServerTls, wait,
};

/// Long enough for any answer that is on its way.
const A_WHILE: Duration = Duration::from_millis(300);

fn startup() -> Vec<u8> {
    message::startup(&[("user", "alice"), ("database", "postgres")])
}

/// AuthenticationSASL with SCRAM-SHA-256-PLUS first, as a server with TLS offers it.
fn expect_scram_plus(peer: &mut Peer) {
    let frame = peer.expect_frame(b'R');
    assert_eq!(frame.body[..4], [0, 0, 0, 10]);
    assert!(frame.body[4..].starts_with(b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0"));
}

fn verified(cluster: &Cluster) -> ClientTls {
    ClientTls::verified(cluster.authority(), "localhost")
}

#[test]
fn a_cluster_answers_its_superuser() {
    let cluster = Cluster::shared();
    let rows = cluster.sql("SELECT 'text', NULL, count(*) FROM pg_stat_ssl WHERE ssl");
    assert_eq!(
        rows,
        [[Some("text".to_owned()), None, Some("0".to_owned())]]
    );
    assert_eq!(
        cluster.sql("SHOW wal_level"),
        [[Some("logical".to_owned())]]
    );
}

#[test]
fn tls_by_ssl_request_reaches_the_authentication_request() {
    let cluster = Cluster::shared();
    let mut peer = Peer::tls(cluster.address(), &verified(cluster));
    peer.send(&startup());
    expect_scram_plus(&mut peer);
    let ssl = peer.ssl().expect("TLS");
    assert_eq!(ssl.version_str(), "TLSv1.3");
    peer.close();
}

#[test]
fn a_startup_in_clear_text_is_refused() {
    let mut peer = Peer::tcp(Cluster::shared().address());
    peer.send(&startup());
    peer.expect_error("28000");
    assert_eq!(peer.end(), End::Fin);
}

#[test]
fn postgresql_18_takes_direct_tls() {
    let cluster = Cluster::shared_18();
    assert_eq!(cluster.binaries().major, 18);
    let mut peer = Peer::direct_tls(cluster.address(), &verified(cluster));
    let ssl = peer.ssl().expect("TLS");
    assert_eq!(ssl.selected_alpn_protocol(), Some(&b"postgresql"[..]));
    peer.send(&startup());
    expect_scram_plus(&mut peer);
}

#[test]
fn postgresql_18_refuses_direct_tls_without_alpn() {
    let cluster = Cluster::shared_18();
    let peer = Peer::tcp(cluster.address()).try_handshake(&verified(cluster));
    if let Ok(mut peer) = peer {
        let (_, end) = peer.drain();
        assert_ne!(end, End::Fin);
    }
}

#[test]
fn every_kind_of_key_serves() {
    for kind in [KeyKind::EcdsaP256, KeyKind::Rsa2048, KeyKind::Ed25519] {
        let authority = Authority::new("kinds");
        let certificate = authority.issue_with(&Identity::localhost(), kind, Lifetime::Current);
        let server = ServerTls::new(&certificate);
        let server = ScriptedServer::start(move |peer| {
            peer.grant_tls(&server).send(b"hello");
        });
        let mut peer = Peer::tls(
            server.address(),
            &ClientTls::verified(&authority, "127.0.0.1"),
        );
        peer.expect(b"hello");
        server.finish();
    }
}

#[test]
fn a_verifier_refuses_the_broken_certificates() {
    let (ours, theirs) = (Authority::new("same name"), Authority::new("same name"));
    let here = Identity::localhost();
    let elsewhere = Identity::server(&["elsewhere.example"]);
    let table = [
        ("another authority", theirs.issue(&here)),
        ("another name", ours.issue(&elsewhere)),
        (
            "expired",
            ours.issue_with(&here, KeyKind::EcdsaP256, Lifetime::Expired),
        ),
        (
            "not yet valid",
            ours.issue_with(&here, KeyKind::EcdsaP256, Lifetime::Future),
        ),
    ];
    for (why, certificate) in table {
        let server = ServerTls::new(&certificate);
        let server = ScriptedServer::start(move |peer| {
            assert!(peer.try_accept(&server).is_err());
        });
        let tls = ClientTls::verified(&ours, "localhost")
            .versions(SslVersion::TLS1_2, SslVersion::TLS1_2);
        assert!(
            Peer::tcp(server.address()).try_handshake(&tls).is_err(),
            "{why}"
        );
        server.finish();
    }
}

#[test]
fn a_client_certificate_proves_a_role() {
    let clients = Authority::new("clients");
    let cluster = ClusterPlan::new(Binaries::installed())
        .client_authority(&clients)
        .hba("hostssl all all all cert\n")
        .start();
    cluster.sql("CREATE ROLE alice LOGIN");
    let certificate = clients.issue(&Identity::client("alice"));
    let mut peer = Peer::tls(
        cluster.address(),
        &verified(&cluster).certificate(&certificate),
    );
    peer.send(&startup());
    assert_eq!(peer.frame().bytes(), message::AUTHENTICATION_OK);
    peer.until_ready();
}

#[test]
fn a_scripted_peer_tells_how_a_connection_ended() {
    let authority = Authority::new("ends");
    let tls = ServerTls::new(&authority.issue(&Identity::localhost()));
    let table: [(fn(Peer), End); 3] = [
        (Peer::close, End::CloseNotify),
        (Peer::cut, End::Truncated),
        (Peer::reset, End::Reset),
    ];
    for (ending, wanted) in table {
        let tls = tls.clone();
        let server = ScriptedServer::start(move |peer| {
            let mut peer = peer.accept(&tls);
            peer.expect(b"bye");
            ending(peer);
        });
        let mut peer = Peer::tcp(server.address()).handshake(&ClientTls::blind());
        peer.send(b"bye");
        assert_eq!(peer.end(), wanted);
        server.finish();
    }
}

#[test]
fn a_chopped_connection_says_the_same() {
    let cluster = Cluster::shared();
    let address = ([127, 0, 0, 1], cluster.port()).into();
    let pipe = FaultPipe::start(address, Fault::Chop(1), Fault::Chop(1));
    let mut peer = Peer::tls(pipe.address(), &verified(cluster));
    peer.send_chopped(&startup());
    expect_scram_plus(&mut peer);
}

#[test]
fn a_fault_pipe_holds_cuts_and_resets() {
    let server = || {
        ScriptedServer::start(|mut peer: Peer| {
            peer.send(b"0123456789");
            peer.drain();
        })
    };
    let connect = |fault| {
        let server = server();
        let pipe = FaultPipe::start(server.address(), Fault::None, fault);
        let mut peer = Peer::tcp(pipe.address());
        peer.expect(b"0123");
        (server, pipe, peer)
    };
    let (_server, pipe, mut peer) = connect(Fault::HoldAfter(4));
    wait::until("the count", wait::LONG, || pipe.to_client() == 4);
    pipe.release();
    peer.expect(b"456789");
    drop(peer);
    let (_server, _pipe, mut peer) = connect(Fault::CutAfter(4));
    assert_eq!(peer.end(), End::Fin);
    let (_server, _pipe, mut peer) = connect(Fault::ResetAfter(4));
    assert_eq!(peer.end(), End::Reset);
}

/// Bytes, and the end behind them, wait for the way to be open again, as long as their sender has not given them up.
#[test]
fn a_fault_pipe_that_is_parted_tells_nobody() {
    let (heard, hears) = std::sync::mpsc::channel();
    let server = ScriptedServer::start(move |mut peer: Peer| {
        peer.send(b"one");
        heard.send(peer.bytes(3)).expect("the test");
        peer.send(b"two");
        heard.send(peer.drain().0).expect("the test");
    });
    let pipe = FaultPipe::start(server.address(), Fault::None, Fault::None);
    let connect = || {
        let mut peer = Peer::tcp(pipe.address());
        peer.expect(b"one");
        peer.send(b"ONE");
        assert_eq!(hears.recv_timeout(wait::LONG).as_deref(), Ok(&b"ONE"[..]));
        peer.expect(b"two");
        pipe.part();
        peer.send(b"TWO");
        assert!(peer.silent_for(A_WHILE));
        peer
    };
    let peer = connect();
    drop(peer);
    assert!(hears.recv_timeout(A_WHILE).is_err(), "bytes from nowhere");
    pipe.mend();
    assert_eq!(hears.recv_timeout(wait::LONG).as_deref(), Ok(&b"TWO"[..]));

    let peer = connect();
    peer.reset();
    pipe.mend();
    assert_eq!(hears.recv_timeout(wait::LONG).as_deref(), Ok(&b""[..]));
}

#[test]
fn a_script_that_fails_fails_the_test() {
    let server = ScriptedServer::start(|_| panic!("not as scripted"));
    Peer::tcp(server.address()).drain();
    let outcome = thread::spawn(move || server.finish()).join();
    assert!(outcome.is_err());
}

#[test]
fn a_dropped_cluster_leaves_nothing() {
    let cluster = Cluster::start();
    let (socket, address) = (cluster.socket(), cluster.address());
    drop(cluster);
    assert!(!socket.parent().expect("a directory").exists());
    wait::until("the port's end", wait::LONG, || {
        std::net::TcpStream::connect(&address).is_err()
    });
}
