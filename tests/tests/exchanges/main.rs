//! A corpus of exchanges, byte for byte the same through the proxy as from the server itself,
//! however the client's bytes are chopped.
//!
//! Each exchange is the client's side of a session from its first ReadyForQuery to Terminate. The
//! server's answers depend on it alone: no clock; process ids of notifications and names of
//! temporary schemas are masked.

mod copy;
mod extended;
mod extended_message;
mod simple;

use std::sync::OnceLock;

use extended_message::{flush, run, sync};

use e2e::Stage;
use e2e::drivers::Endpoint;
use e2e::scripted::{Session, frames};
use testkit::peer::message::{self, frame, query};
use testkit::{ClientTls, Cluster, Frame, Peer};

fn direct() -> &'static Endpoint {
    static DIRECT: OnceLock<Endpoint> = OnceLock::new();
    DIRECT.get_or_init(|| Endpoint::direct(Cluster::shared(), "exchanges"))
}

fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(|| Stage::before(Cluster::shared()).user(direct()).start())
}

fn to_server() -> Peer {
    let cluster = Cluster::shared();
    let tls = ClientTls::verified(cluster.authority(), "localhost");
    Peer::tls(cluster.address(), &tls)
}

fn to_proxy() -> Peer {
    Peer::tls(stage().proxy.address(), &stage().client_tls())
}

type Exchange = (&'static str, Vec<Vec<u8>>);

const TABLE: &str = "CREATE TEMP TABLE t (id int PRIMARY KEY, name text)";
/// No column of the table itself, whose number would differ.
const ALL: &str = "SELECT id + 0, name || '' FROM t";
const COPY_IN: &str = "COPY t FROM STDIN";
const SERIES: &str = "SELECT g, repeat('x', g % 50) FROM generate_series(1, $1::int) g";

/// How the client's bytes leave it.
#[derive(Debug, Clone, Copy)]
enum Chopping {
    /// Everything at once.
    Whole,
    /// In pieces of this many bytes, each a record of its own.
    Pieces(usize),
    /// In pieces whose lengths come from this seed.
    Random(u64),
}

impl Chopping {
    fn send(self, peer: &mut Peer, bytes: &[u8]) {
        let mut state = 0;
        let mut next = || match self {
            Self::Whole => usize::MAX,
            Self::Pieces(size) => size,
            Self::Random(seed) => {
                // Steele, Lea and Flood's SplitMix64.
                state = (state ^ seed).wrapping_add(0x9e37_79b9_7f4a_7c15_u64);
                let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                1 + usize::try_from(mixed >> 33).unwrap_or(0) % 700
            }
        };
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at(next().min(rest.len()));
            // After a FATAL error the other side may be gone.
            if peer.try_send(piece).is_err() {
                return;
            }
            rest = tail;
        }
    }
}

/// What comes back until the other side ends.
#[track_caller]
fn answer(peer: Peer, endpoint: &Endpoint, exchange: &[u8], chopping: Chopping) -> Vec<Frame> {
    let mut session = Session::begin(peer, endpoint);
    chopping.send(&mut session.peer, exchange);
    let (bytes, _) = session.peer.drain();
    let mut seen = frames(&bytes);
    seen.iter_mut().for_each(mask);
    seen
}

/// Takes out what differs between two sessions of one server: process ids of notifications, and
/// the number in the name of a session's temporary schema.
fn mask(frame: &mut Frame) {
    match frame.tag {
        b'A' => frame.body[..4].fill(0),
        b'E' => {
            const SCHEMA: &[u8] = b"pg_temp_";
            let found = frame.body.windows(SCHEMA.len()).position(|at| at == SCHEMA);
            if let Some(at) = found {
                let digits = at + SCHEMA.len();
                let end = frame.body[digits..].iter().position(|&byte| byte == 0);
                frame
                    .body
                    .drain(digits..digits + end.expect("a string's end"));
            }
        }
        _ => {}
    }
}

#[track_caller]
fn compare(corpus: &[Exchange]) {
    let (directly, endpoint) = (direct(), stage().endpoint(direct()));
    for (number, (name, parts)) in corpus.iter().enumerate() {
        let exchange = [parts.concat(), message::TERMINATE.to_vec()].concat();
        let wanted = answer(to_server(), directly, &exchange, Chopping::Whole);
        let seed = number as u64 + 1;
        let mut choppings = vec![Chopping::Whole, Chopping::Random(seed)];
        // A record for each byte costs time: only where there are few.
        if exchange.len() < 400 {
            choppings.extend([1, 2, 5, 6].map(Chopping::Pieces));
        }
        for chopping in choppings {
            let seen = answer(to_proxy(), &endpoint, &exchange, chopping);
            let differs = seen.iter().zip(&wanted).position(|(one, two)| one != two);
            let at = differs.unwrap_or(seen.len().min(wanted.len()));
            assert!(
                seen == wanted,
                "{name}, {chopping:?}: frame {at} of {} (wanted {}): {:?}, wanted {:?}",
                seen.len(),
                wanted.len(),
                seen.get(at).map(shown),
                wanted.get(at).map(shown),
            );
        }
    }
    assert!(!stage().proxy.log().contains("panicked"));
}

fn shown(frame: &Frame) -> String {
    let text = frame.bytes().escape_ascii().to_string();
    text.chars().take(200).collect()
}

#[test]
fn the_simple_protocol() {
    compare(&simple::corpus());
}

#[test]
fn the_extended_protocol() {
    compare(&extended::corpus());
}

#[test]
fn copies() {
    compare(&copy::corpus());
}

/// Replies come while the client waits for them, without any Sync.
#[test]
fn flush_alone_brings_the_replies() {
    let endpoint = stage().endpoint(direct());
    for (peer, endpoint) in [(to_server(), direct()), (to_proxy(), &endpoint)] {
        let mut session = Session::begin(peer, endpoint);
        for round in 0..3 {
            let round = round.to_string();
            session
                .peer
                .send(&[run("SELECT $1::text", &[&round]), flush()].concat());
            let tags: Vec<u8> = session.peer.until_tag(b'C').iter().map(|f| f.tag).collect();
            assert_eq!(tags, b"12DC");
        }
        session.peer.send(&sync());
        assert_eq!(session.peer.until_ready().len(), 1);
    }
}

/// A notification reaches a client that sleeps.
#[test]
fn notifications_reach_an_idle_client() {
    let endpoint = stage().endpoint(direct());
    let mut listener = Session::begin(to_proxy(), &endpoint);
    listener.query("LISTEN idle_channel");
    Cluster::shared().sql_in(&endpoint.database, "NOTIFY idle_channel, 'wake up'");
    let heard = listener.peer.expect_frame(b'A');
    assert_eq!(&heard.body[4..], b"idle_channel\0wake up\0");
}

/// The comparison can fail: two exchanges that differ are told apart.
#[test]
fn different_answers_are_told_apart() {
    let ask = |sql: &str| {
        let exchange = [query(sql), message::TERMINATE.to_vec()].concat();
        answer(
            to_proxy(),
            &stage().endpoint(direct()),
            &exchange,
            Chopping::Pieces(3),
        )
    };
    assert_ne!(ask("SELECT 1"), ask("SELECT 2"));
    assert_eq!(ask("SELECT 1"), ask("SELECT 1"));
}
