//! Many clients at once: a login storm before a proxy whose server costs next to nothing, and a
//! bystander that asks all the while. Client and server are scripts, so that what is seen is the
//! proxy's work.

use std::net::SocketAddr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use testkit::peer::message::{self, frame};
use testkit::{ClientTls, Peer, ScriptedServer};

use crate::scripted::scram;

/// Role, password and database of all clients.
pub const ROLE: &str = "storm";
/// Of a role that exists in scripts alone.
pub const PASSWORD: &str = "throw-away";

/// Pause between two questions of the bystander.
const PAUSE: Duration = Duration::from_millis(1);

/// A server that lets anybody in and answers each query with a bare CommandComplete.
#[track_caller]
pub fn server() -> ScriptedServer {
    server_with(&[])
}

/// The same, but each answer begins with these messages.
#[track_caller]
pub fn server_with(rows: &[u8]) -> ScriptedServer {
    let answer = [rows, &frame(b'C', b"SELECT 1\0"), &message::READY].concat();
    ScriptedServer::start(move |mut peer| {
        let Some(len) = peer.bytes_or_end(4) else {
            return;
        };
        let len = u32::from_be_bytes([len[0], len[1], len[2], len[3]]) as usize;
        peer.bytes(len - 4);
        peer.send(&welcome());
        // Clients think for as long as their test needs.
        let mut peer = peer.with_limit(Duration::from_secs(300));
        while let Some(head) = peer.bytes_or_end(5) {
            let len = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            if len > 4 {
                peer.bytes(len - 4);
            }
            if head[0] == b'X' || peer.try_send(&answer).is_err() {
                break;
            }
        }
    })
}

/// What a server says that lets anybody in.
pub fn welcome() -> Vec<u8> {
    let parameters = [
        ("server_version", "18.0"),
        ("server_encoding", "UTF8"),
        ("client_encoding", "UTF8"),
        ("DateStyle", "ISO, MDY"),
        ("TimeZone", "UTC"),
        ("standard_conforming_strings", "on"),
    ];
    let parameters = parameters.map(|(name, value)| message::parameter_status(name, value));
    [
        &message::AUTHENTICATION_OK[..],
        &parameters.concat(),
        &message::backend_key_data(1, &[1; 4]),
        &message::READY,
    ]
    .concat()
}

/// The role's verifier, with one iteration: clients, too, are to cost little.
pub fn verifier() -> String {
    scram::verifier(PASSWORD, b"sixteen bytes...", 1)
}

/// What one storm was like.
pub struct Storm {
    /// Time from the start of the storm to each client's first answer.
    pub served: Vec<Duration>,
    /// Each answer that the bystander waited for.
    pub bystander: Vec<Duration>,
}

/// Whether somebody is asking meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bystander {
    /// One client, once a millisecond.
    Asks,
    /// Nobody.
    Absent,
}

/// Lets all clients log in and ask once, at the same moment; each stays until all were served.
/// Panics unless all are.
#[track_caller]
pub fn rage(address: SocketAddr, tls: &ClientTls, clients: usize, bystander: Bystander) -> Storm {
    let mut bystander = match bystander {
        Bystander::Asks => Some(client(address, tls)),
        Bystander::Absent => None,
    };
    let (ready, done) = (Barrier::new(clients + 1), Barrier::new(clients + 1));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut waits = Vec::new();
            while let (Some(bystander), false) = (&mut bystander, over.load(Ordering::Relaxed)) {
                let from = Instant::now();
                ask(bystander);
                waits.push(from.elapsed());
                thread::park_timeout(PAUSE);
            }
            waits
        });
        let storming: Vec<_> = (0..clients)
            .map(|_| {
                scope.spawn(|| {
                    ready.wait();
                    let from = Instant::now();
                    let client = std::panic::catch_unwind(|| client(address, tls));
                    let took = from.elapsed();
                    done.wait();
                    drop(client.expect("a client of the storm"));
                    took
                })
            })
            .collect();
        ready.wait();
        done.wait();
        over.store(true, Ordering::Relaxed);
        let bystander = asking.join().expect("the bystander");
        let served = storming.into_iter().map(|it| it.join().expect("a client"));
        Storm {
            served: served.collect(),
            bystander,
        }
    })
}

/// One client that has logged in and has had an answer.
#[track_caller]
pub fn client(address: SocketAddr, tls: &ClientTls) -> Peer {
    let peer = Peer::tcp(address).with_limit(Duration::from_secs(60));
    let mut peer = log_in(peer.request_tls(tls), ROLE, PASSWORD);
    peer.until_ready();
    ask(&mut peer);
    peer
}

/// Sends startup packet and proof; the next message is the proxy's verdict.
#[track_caller]
pub fn log_in(mut peer: Peer, role: &str, password: &str) -> Peer {
    peer.send(&message::startup(&[("user", role), ("database", ROLE)]));
    crate::scripted::offer_proof(&mut peer, password);
    peer
}

/// One query and its answer.
#[track_caller]
pub fn ask(peer: &mut Peer) {
    ask_for(peer, "SELECT 1");
}

/// A query of this text and its answer.
#[track_caller]
pub fn ask_for(peer: &mut Peer, text: &str) {
    peer.send(&message::query(text));
    peer.until_ready();
}
