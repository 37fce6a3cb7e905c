//! Malformed, oversized, out-of-order and slow clients: each gets what PostgreSQL would
//! give it, an ErrorResponse or silence, and costs only its own connection.
//!
//! Where PostgreSQL gets the same bytes over the same kind of connection, its verdict is the
//! measure: the tables run against both.

mod greeting;
mod login;
mod session;
mod tls;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use e2e::drivers::Endpoint;
use e2e::scripted::{self, Bystander, Session, prove, scram, startup};
use e2e::{Stage, StagePlan};
use openssl::ssl::SslVersion;
use testkit::peer::message::{self, frame, untagged};
use testkit::{ClientTls, Cluster, End, Peer};

/// The role that these tests log in with, at the server itself.
fn direct() -> &'static Endpoint {
    static DIRECT: OnceLock<Endpoint> = OnceLock::new();
    DIRECT.get_or_init(|| Endpoint::direct(Cluster::shared(), "hostile_clients"))
}

fn plan() -> StagePlan {
    Stage::before(Cluster::shared()).user(direct())
}

/// One proxy for all tests that need nothing special of it.
fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(|| plan().start())
}

/// Runs a test beside a session that must not notice it.
fn beside_a_bystander(stage: &Stage, test: impl FnOnce(&Endpoint)) {
    let endpoint = stage.endpoint(direct());
    let mut bystander = Bystander::new(stage, &endpoint);
    test(&endpoint);
    bystander.is_well();
    assert!(!stage.proxy.log().contains("panicked"));
}

fn proxy_tcp() -> Peer {
    Peer::tcp(stage().proxy.address())
}

fn server_tcp() -> Peer {
    Peer::tcp(Cluster::shared().address())
}

fn proxy_tls() -> Peer {
    Peer::tls(stage().proxy.address(), &stage().client_tls())
}

fn server_tls() -> Peer {
    let cluster = Cluster::shared();
    let tls = ClientTls::verified(cluster.authority(), "localhost");
    Peer::tls(cluster.address(), &tls)
}

/// What a client reads before its connection ends.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Silence,
    Error {
        severity: String,
        sqlstate: String,
        message: String,
    },
}

impl Verdict {
    fn of(peer: &mut Peer) -> Vec<Self> {
        let (bytes, _) = peer.drain();
        let errors = scripted::frames(&bytes);
        let errors = errors.iter().filter(|frame| frame.tag == b'E');
        let errors: Vec<_> = errors
            .map(|frame| {
                let field = |code| frame.field(code).unwrap_or_default();
                Self::Error {
                    severity: field(b'V'),
                    sqlstate: field(b'C'),
                    message: field(b'M'),
                }
            })
            .collect();
        match errors.is_empty() {
            true => vec![Self::Silence],
            false => errors,
        }
    }
}

/// Sends the same to both; both must say the same, and end.
#[track_caller]
fn compare(what: &str, mut proxy: Peer, mut server: Peer, bytes: &[u8]) {
    for peer in [&mut proxy, &mut server] {
        // The other side may close while this is under way: it has read enough.
        let _ = peer.try_send(bytes);
    }
    assert_eq!(Verdict::of(&mut proxy), Verdict::of(&mut server), "{what}");
}

/// A startup-like packet with this length field, whatever follows.
fn counted(len: u32, rest: &[u8]) -> Vec<u8> {
    [&len.to_be_bytes(), rest].concat()
}

/// A tagged message with this length field, whatever follows.
fn miscounted(tag: u8, len: u32, rest: &[u8]) -> Vec<u8> {
    [&[tag][..], &len.to_be_bytes(), rest].concat()
}

/// A startup packet whose parameters need `count` bytes behind the length field.
fn startup_of(count: usize) -> Vec<u8> {
    let fixed = 4 + "user\0x\0".len() + "options\0".len() + 2;
    let mut body = b"\0\x03\0\0user\0x\0options\0".to_vec();
    body.extend(vec![b' '; count - fixed]);
    body.extend(b"\0\0");
    untagged(&body)
}

const V3: &[u8] = b"\0\x03\0\0";

/// Waits until the server process has ended.
#[track_caller]
fn gone(pid: u32) {
    let query = format!("SELECT 1 FROM pg_stat_activity WHERE pid = {pid}");
    testkit::wait::until("the server's end", testkit::wait::LONG, || {
        Cluster::shared().sql(&query).is_empty()
    });
}
