//! Memory of a proxy's clients alone: TLS on their leg only, before a scripted server without TLS. In session mode each
//! client has a connection of its own there; in transaction mode all of them share twenty.
//!
//! Each client has made one transaction of a few kB and is silent. More bursts of transactions must
//! not make the proxy larger, and neither must clients that came and went.

use super::order;
use crate::contender::{BOTH, Contender, Instrument, Kind, POOLED, Upstream};
use crate::load::pause;
use crate::options::Options;
use crate::process::Memory;
use crate::report::{Report, Table, Target};
use crate::scene::Scene;
use e2e::storm;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;
use testkit::peer::message::frame;
use testkit::{ClientTls, Peer};

/// Clients at once whose memory is read, and those that share connections.
const CLIENTS: usize = 1_000;
const SHARING: usize = 4_000;
/// Clients at once that come and go.
const VISITORS: usize = 4_000;
/// Further transactions of all clients, with a silence behind each.
const BURSTS: usize = 5;
/// What the clients are silent before memory is read.
const SILENCE: Duration = Duration::from_secs(4);
/// Bytes of a query, and of its answer.
const BYTES: usize = 4_000;
/// Threads that play the clients.
const PLAYERS: usize = 8;

/// A fresh proxy for each sample: memory depends on what was before.
pub fn run(scene: &Scene, options: &Options, report: &mut Report) {
    let server = storm::server_with(&rows());
    let upstream = Upstream::script(&server);
    let tls = ClientTls::verified(&scene.authority, "localhost");
    let groups: [(&[Kind], usize, &str); 2] = [
        (&BOTH, CLIENTS, ""),
        (&POOLED, SHARING, ", transaction mode"),
    ];
    for (kinds, clients, mode) in groups {
        let title = format!("Idle TLS clients: {clients}, client leg{mode}");
        let mut table = Table::new(title, kinds);
        for round in 0..options.size(1, 3) {
            for place in order(kinds.len(), round) {
                let kind = (Instrument::None, kinds[place]);
                let contender = Contender::start_before(&upstream, kind, scene);
                sample(&mut table, place, (&tls, clients), &contender);
            }
        }
        report.add(&table);
    }
}

fn sample(
    table: &mut Table,
    place: usize,
    (tls, count): (&ClientTls, usize),
    contender: &Contender,
) {
    let address = SocketAddr::from(([127, 0, 0, 1], contender.port()));
    let memory = || Memory::of(contender.pid());
    drop(crowd(address, tls, 1));
    pause(SILENCE);
    let start = memory();
    let mut clients = crowd(address, tls, count);
    pause(SILENCE);
    let first = memory();
    for _ in 0..BURSTS {
        ask_all(&mut clients);
        pause(SILENCE);
    }
    let last = memory();
    drop(clients);
    drop(crowd(address, tls, VISITORS));
    pause(SILENCE);
    let after = memory();
    let each =
        |memory: Memory| (memory.anonymous_kib as f64 - start.anonymous_kib as f64) / count as f64;
    let mib = |memory: Memory| memory.pss_kib as f64 / 1024.0;
    for (name, target, sample) in [
        (
            "KiB per client after one burst",
            Target::Most(18.0),
            each(first),
        ),
        (
            "KiB per client after six bursts",
            Target::Most(18.0),
            each(last),
        ),
        ("MiB at the start", Target::None, mib(start)),
        ("MiB with the clients", Target::None, mib(last)),
        ("MiB after 4,000 more had gone", Target::None, mib(after)),
        (
            "  of what it was at the start",
            Target::Most(2.0),
            mib(after) / mib(start),
        ),
    ] {
        table.add(place, name, target, sample);
    }
}

/// So many clients at once, each of which has had an answer.
fn crowd(address: SocketAddr, tls: &ClientTls, clients: usize) -> Vec<Peer> {
    thread::scope(|scope| {
        let players: Vec<_> = (0..PLAYERS)
            .map(|player| {
                let mine = (player..clients).step_by(PLAYERS);
                scope.spawn(move || {
                    let client = |_| {
                        let mut peer = storm::client(address, tls);
                        storm::ask_for(&mut peer, &text());
                        peer
                    };
                    mine.map(client).collect::<Vec<_>>()
                })
            })
            .collect();
        let joined = players.into_iter().map(|it| it.join().expect("clients"));
        joined.flatten().collect()
    })
}

/// One transaction of each client, all at about the same time.
fn ask_all(clients: &mut [Peer]) {
    let share = clients.len().div_ceil(PLAYERS).max(1);
    thread::scope(|scope| {
        for clients in clients.chunks_mut(share) {
            scope.spawn(|| {
                for client in clients {
                    storm::ask_for(client, &text());
                }
            });
        }
    });
}

/// One row of one column of type text, with its description.
fn rows() -> Vec<u8> {
    let column = [
        &[0, 1][..],
        b"r\0",
        &[0; 6],
        &[0, 0, 0, 25, 255, 255, 255, 255, 255, 255, 0, 0],
    ];
    let len = u32::try_from(BYTES).expect("a short row").to_be_bytes();
    let row = [&[0, 1][..], &len, &[b'r'; BYTES]];
    [frame(b'T', &column.concat()), frame(b'D', &row.concat())].concat()
}

fn text() -> String {
    let frame = "SELECT ''";
    format!("SELECT '{}'", "q".repeat(BYTES - frame.len()))
}
