//! What clients cost while they are silent: the same after every burst, and nothing when they have
//! gone. Absolute figures are the benchmark's; here it is seen whether anything grows.

use std::fs;
use std::time::Duration;

use e2e::storm::{self, ROLE};
use e2e::{Stage, StagePlan};
use testkit::peer::message::frame;
use testkit::{Peer, wait};

/// Clients at once.
const CLIENTS: usize = 80;
/// Bytes of a query, and of its answer.
const BYTES: usize = 4_000;
/// How long the proxy may take to give back what it doesn't need.
const PATIENCE: Duration = Duration::from_secs(20);

/// KiB of the proxy's anonymous memory.
#[track_caller]
fn memory(stage: &Stage) -> u64 {
    let path = format!("/proc/{}/status", stage.proxy.pid());
    let text = fs::read_to_string(path).expect("the proxy's status");
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.expect("RssAnon").parse().expect("a number")
}

fn rows() -> Vec<u8> {
    let text_type = [0, 0, 0, 25, 255, 255, 255, 255, 255, 255, 0, 0];
    let column = [&[0, 1][..], b"r\0", &[0; 6], &text_type];
    let len = u32::try_from(BYTES).expect("a short row").to_be_bytes();
    let row = [&[0, 1][..], &len, &[b'r'; BYTES]];
    [frame(b'T', &column.concat()), frame(b'D', &row.concat())].concat()
}

#[track_caller]
fn client(stage: &Stage) -> Peer {
    storm::client(stage.proxy.address(), &stage.client_tls())
}

#[test]
fn silent_clients_cost_the_same_after_every_burst_and_nothing_once_gone() {
    let server = storm::server_with(&rows());
    let stage = StagePlan::new("127.0.0.1", server.address().port(), "none".as_ref())
        .unset("database.tls", "ca")
        .set("database.tls", "mode", "'disable'")
        .set("database", "server_lifetime", "0")
        .set("listen", "workers", "1")
        .user_with(ROLE, &storm::verifier())
        .start();
    let text = "q".repeat(BYTES);
    let mut clients: Vec<Peer> = (0..CLIENTS).map(|_| client(&stage)).collect();
    let mut burst = || {
        for client in &mut clients {
            storm::ask_for(client, &text);
        }
    };
    burst();
    // An active connection's buffers are 34 KiB, of which these bytes have touched 10; they go back within seconds.
    let active = memory(&stage);
    let per_client = 8;
    let resting = active - (CLIENTS as u64 * per_client);
    let rested = || (memory(&stage) <= resting).then(|| memory(&stage));
    let first = wait::until_some("memory of silent clients back", PATIENCE, rested);
    for _ in 0..6 {
        burst();
        let rested = || memory(&stage) <= first + CLIENTS as u64;
        wait::until(
            "as little memory as after the first burst",
            PATIENCE,
            rested,
        );
    }
    drop(clients);
    // As many again and again: a few kilobytes left behind by each would show.
    for _ in 0..6 {
        drop((0..CLIENTS).map(|_| client(&stage)).collect::<Vec<_>>());
        let gone = || memory(&stage) <= first + CLIENTS as u64;
        wait::until("memory of clients that went", PATIENCE, gone);
    }
}
