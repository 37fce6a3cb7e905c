//! System calls of taking a server connection over from another worker: two clients, which the acceptor gives to two
//! workers, and a pool of one connection. First one client asks all the time, then both take turns, so that each
//! transaction finds the connection at the other worker. The difference is what that costs.

use super::counted::{by_call, per_unit};
use crate::contender::{Contender, Instrument, Kind, Upstream};
use crate::options::Options;
use crate::report::{Report, Table, Target};
use crate::scene::Scene;
use e2e::storm;
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use testkit::{ClientTls, Peer};

const KINDS: [Kind; 1] = [Kind::PortcullisPooled];

/// Who asks next.
type Turns = fn(u64) -> usize;

/// Counts both, each in two lengths.
pub fn run(scene: &Scene, options: &Options, report: &mut Report) {
    let server = storm::server();
    let upstream = Upstream {
        workers: Some(2),
        pool_size: 1,
        ..Upstream::script(&server)
    };
    let tls = ClientTls::verified(&scene.authority, "localhost");
    let (short, long) = (500, options.size(1_500, 4_500));
    let mut table = Table::new("System calls per transaction, pool of 1".to_owned(), &KINDS);
    let mut totals = Vec::new();
    let ways: [(&str, Turns); 2] = [
        ("kept by one worker", |_| 0),
        ("taken over", |turn| (turn % 2) as usize),
    ];
    for (name, whose) in ways {
        let count = |turns| counted(&upstream, &tls, scene, (turns, whose));
        let each = per_unit(&count(short), &count(long), (long - short) as f64);
        for (call, calls) in each {
            table.add(0, &format!("{name}: {call}"), Target::None, calls);
            if call == "total" {
                totals.push(calls);
            }
        }
    }
    if let [kept, taken] = totals[..] {
        table.add(0, "for taking over", Target::Most(2.0), taken - kept);
    }
    report.add(&table);
}

/// Calls of a fresh proxy with two clients and so many transactions.
fn counted(
    upstream: &Upstream,
    tls: &ClientTls,
    scene: &Scene,
    (turns, whose): (u64, Turns),
) -> BTreeMap<String, f64> {
    let kind = (Instrument::Strace, KINDS[0]);
    let contender = Contender::start_before(upstream, kind, scene);
    let address = SocketAddr::from(([127, 0, 0, 1], contender.port()));
    let mut clients: [Peer; 2] = std::array::from_fn(|_| storm::client(address, tls));
    for turn in 0..turns {
        storm::ask(&mut clients[whose(turn)]);
    }
    drop(clients);
    contender.finish(|file| by_call(&fs::read_to_string(file).expect("strace's file")))
}
