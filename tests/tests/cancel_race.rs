//! Cancels under load: what a client cancels is its own, and never what the next client does on the same
//! server connection.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use e2e::Stage;
use e2e::drivers::Endpoint;
use e2e::scripted::Session;
use testkit::peer::message;
use testkit::{Cluster, Peer, wait};

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
