//! Cancels under load: what a client cancels is its own, and never what the next client does on the same
//! server connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use e2e::drivers::Endpoint;
use e2e::scripted::Session;
use e2e::storm::{self, PASSWORD, ROLE};
use e2e::{Stage, StagePlan};
use testkit::peer::message;
use testkit::{Cluster, Peer, ScriptedServer, wait};

/// Clients that cancel themselves all the time, and such that never do.
const CANCELLED: usize = 4;
const BYSTANDERS: usize = 6;

/// Server connections: fewer than clients, so that each serves both sorts in turn.
const SERVERS: &str = "2";

fn cancels() -> usize {
    match std::env::var_os("PORTCULLIS_SOAK") {
        Some(_) => 100_000,
        None => 400,
    }
}

/// Asks once; the SQLSTATE if that fails.
fn ask(session: &mut Session, text: &str, wanted: &str) -> Result<(), String> {
    session.peer.send(&message::query(text));
    let frames = session.peer.until_tag(b'Z');
    if let Some(error) = frames.iter().find(|it| it.tag == b'E') {
        return Err(error.field(b'C').unwrap_or_default());
    }
    let row = frames.iter().find(|it| it.tag == b'D').expect("a row");
    assert_eq!(row.body[6..], *wanted.as_bytes(), "a foreign row");
    Ok(())
}

#[test]
fn no_cancel_hits_another_client() {
    let role = Endpoint::direct(Cluster::shared(), "cancel_race");
    let stage = Stage::before(Cluster::shared())
        .user(&role)
        .set("pool", "pool_mode", "\"transaction\"")
        .set("pool", "default_pool_size", SERVERS)
        .set("limits", "cancel_rate", "100000")
        .set("listen", "workers", "2")
        .start();
    let (over, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (hit, served) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let victims: Vec<Session> = (0..CANCELLED)
        .map(|_| Session::through(&stage, &role))
        .collect();
    let keys: Vec<Vec<u8>> = victims
        .iter()
        .map(|it| it.key.as_ref().expect("a key").body.clone())
        .collect();
    thread::scope(|scope| {
        let (over, sent, hit, served) = (&over, &sent, &hit, &served);
        let (stage, role) = (&stage, &role);
        for mut victim in victims {
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    match ask(&mut victim, "SELECT 'v' FROM pg_sleep(0.002)", "v") {
                        Ok(()) => {}
                        Err(state) => {
                            assert_eq!(state, "57014");
                            hit.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
        let bystanders: Vec<_> = (0..BYSTANDERS)
            .map(|number| {
                scope.spawn(move || {
                    let mut session = Session::through(stage, role);
                    let wanted = number.to_string();
                    let texts = [
                        format!("SELECT {number}"),
                        format!("SELECT {number} FROM pg_sleep(0.002)"),
                    ];
                    while !over.load(Ordering::Relaxed) {
                        for text in &texts {
                            ask(&mut session, text, &wanted)?;
                            served.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    Ok::<(), String>(())
                })
            })
            .collect();
        let attackers: Vec<_> = keys
            .iter()
            .map(|key| {
                scope.spawn(move || {
                    let tls = stage.client_tls();
                    let pid = u32::from_be_bytes([key[0], key[1], key[2], key[3]]);
                    while sent.fetch_add(1, Ordering::Relaxed) < cancels() {
                        let mut peer = Peer::tls(stage.proxy.address(), &tls);
                        peer.send(&message::cancel(pid, &key[4..]));
                        peer.drain();
                    }
                })
            })
            .collect();
        let attacked = attackers.into_iter().all(|it| it.join().is_ok());
        // Otherwise nothing was shown.
        let done = wait::within(wait::LONG, || {
            let both = hit.load(Ordering::Relaxed) > 0 && served.load(Ordering::Relaxed) > 0;
            both.then_some(())
        });
        over.store(true, Ordering::Relaxed);
        for bystander in bystanders {
            let outcome = bystander.join().expect("a bystander");
            assert_eq!(outcome, Ok(()), "what was not to be cancelled");
        }
        assert!(attacked && done.is_some(), "nobody was cancelled");
    });
}

/// What a server is doing that takes its time to be made ready for the next client.
#[derive(Default)]
struct Slow {
    /// It takes its time from now on.
    slow: AtomicBool,
    /// It is being made ready.
    begun: AtomicBool,
    /// It may get on.
    may_go_on: AtomicBool,
    cancelled: AtomicBool,
}

impl Slow {
    /// Plays one connection, to a session or for a cancel.
    fn play(&self, mut peer: Peer) {
        let slow = self.slow.load(Ordering::SeqCst);
        let silent = !slow || peer.silent_for(Duration::from_millis(200));
        self.may_go_on.store(slow, Ordering::SeqCst);
        assert!(silent, "a cancel came while the connection was made ready");
        let Some(len) = peer.bytes_or_end(4) else {
            return;
        };
        let len = u32::from_be_bytes([len[0], len[1], len[2], len[3]]) as usize;
        let body = peer.bytes(len - 4);
        if body[..4] == 80_877_102_u32.to_be_bytes() {
            self.cancelled.store(true, Ordering::SeqCst);
            return;
        }
        peer.send(&storm::welcome());
        while let Some(head) = peer.bytes_or_end(5) {
            let len = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            let body = peer.bytes(len - 4);
            let ours = body.windows(13).any(|it| it == b"exit_on_error");
            if ours && self.slow.load(Ordering::SeqCst) {
                self.begun.store(true, Ordering::SeqCst);
                let go = || self.may_go_on.load(Ordering::SeqCst);
                wait::until("leave to go on", wait::LONG, go);
            }
            let answer = [&message::frame(b'C', b"SELECT 1\0")[..], &message::READY].concat();
            if head[0] == b'X' || peer.try_send(&answer).is_err() {
                return;
            }
        }
    }
}

/// What makes a connection ready must not be cancelled by its own client, which would run with what
/// another one has left: the cancel waits until that is done, and then is carried out.
#[test]
fn a_cancel_waits_until_the_connection_is_made_ready() {
    let state = Arc::<Slow>::default();
    let shared = Arc::clone(&state);
    let server = ScriptedServer::start(move |peer| shared.play(peer));
    let stage = StagePlan::new("127.0.0.1", server.address().port(), "none".as_ref())
        .unset("database.tls", "ca")
        .set("database.tls", "mode", "'disable'")
        .set("pool", "pool_mode", "'transaction'")
        .set("pool", "default_pool_size", "1")
        .set("pool", "server_reset", "'always'")
        .user_with(ROLE, &storm::verifier())
        .start();
    let log_in = || {
        let peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
        let mut peer = storm::log_in(peer, ROLE, PASSWORD);
        peer.expect_frame(b'R');
        Session::settle(peer)
    };
    let (mut one, mut other) = (log_in(), log_in());
    one.query("SELECT 1");
    state.slow.store(true, Ordering::SeqCst);
    other.peer.send(&message::query("SELECT 2"));
    let begun = || state.begun.load(Ordering::SeqCst);
    wait::until("the connection being made ready", wait::LONG, begun);
    let key = other.key.as_ref().expect("a key").body.clone();
    let pid = u32::from_be_bytes([key[0], key[1], key[2], key[3]]);
    let mut cancel = Peer::tls(stage.proxy.address(), &stage.client_tls());
    cancel.send(&message::cancel(pid, &key[4..]));
    other.peer.until_ready();
    cancel.drain();
    assert!(state.cancelled.load(Ordering::SeqCst));
    drop((one, other, cancel, stage));
    server.finish();
}
