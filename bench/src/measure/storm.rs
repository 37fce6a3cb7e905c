//! A login storm: 500 new clients with TLS and SCRAM at the same moment, each of which asks once.
//!
//! Client and server are scripts of the test kit, the server without TLS and without a proof, the
//! same for both proxies. What a login costs is measured without a bystander, whose own queries
//! would be part of it; then the storm rages once more beside one.

use super::counted::{by_call, keep, total};
use super::order;
use crate::contender::{BOTH, Contender, Instrument, Upstream};
use crate::options::Options;
use crate::process::Usage;
use crate::report::{Report, Table, Target};
use crate::scene::Scene;
use crate::stats::percentile;
use e2e::storm::{self, Bystander};
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;
use testkit::ClientTls;

const CLIENTS: usize = 500;

/// Interleaved rounds of both proxies.
pub fn run(scene: &Scene, options: &Options, report: &mut Report) {
    let server = storm::server();
    let upstream = Upstream::script(&server);
    let tls = ClientTls::verified(&scene.authority, "localhost");
    report.add(&counted(&upstream, &tls, scene, options));
    let mut table = Table::new(format!("Login storm, clients: {CLIENTS}"), &BOTH);
    for round in 0..options.rounds() {
        for place in order(BOTH.len(), round) {
            // A fresh one each time: none has server connections to begin with.
            let start = |kind| Contender::start_before(&upstream, (Instrument::None, kind), scene);
            let contender = start(BOTH[place]);
            let address = SocketAddr::from(([127, 0, 0, 1], contender.port()));
            let before = Usage::of(contender.pid());
            storm::rage(address, &tls, CLIENTS, Bystander::Absent);
            let usage = Usage::of(contender.pid()).since(before);
            let cpu_us = usage.cpu.as_secs_f64() * 1e6 / CLIENTS as f64;
            let contender = start(BOTH[place]);
            let address = SocketAddr::from(([127, 0, 0, 1], contender.port()));
            let seen = storm::rage(address, &tls, CLIENTS, Bystander::Asks);
            let p99 = |times: &[Duration]| percentile(&millis(times), 0.99);
            for (name, target, sample) in [
                ("proxy CPU, us/login", Target::Share(0.8), cpu_us),
                (
                    "bystander p99, ms",
                    Target::Share(1.0),
                    p99(&seen.bystander),
                ),
                ("clients served, p99, ms", Target::None, p99(&seen.served)),
            ] {
                table.add(place, name, target, sample);
            }
        }
    }
    report.add(&table);
}

/// Instructions and system calls of a login, exact where times are not: the difference of a small
/// storm and a larger one, free of start and end.
fn counted(upstream: &Upstream, tls: &ClientTls, scene: &Scene, options: &Options) -> Table {
    const SMALL: usize = 20;
    const LARGE: usize = 120;
    let mut table = Table::new("Login, in a small storm".to_owned(), &BOTH);
    for (place, &kind) in BOTH.iter().enumerate() {
        let count = |instrument, clients| {
            let contender = Contender::start_before(upstream, (instrument, kind), scene);
            let address = SocketAddr::from(([127, 0, 0, 1], contender.port()));
            storm::rage(address, tls, clients, Bystander::Absent);
            contender.finish(|file| {
                let text = fs::read_to_string(file).expect("what was counted");
                match instrument {
                    Instrument::Callgrind => {
                        keep(options, file, "storm", kind, clients as u64);
                        total(&text)
                    }
                    _ => by_call(&text)["total"],
                }
            })
        };
        for (name, instrument) in [
            ("user instructions/login", Instrument::Callgrind),
            ("system calls/login", Instrument::Strace),
        ] {
            let more = count(instrument, LARGE) - count(instrument, SMALL);
            table.add(place, name, Target::None, more / (LARGE - SMALL) as f64);
        }
    }
    table
}

fn millis(times: &[Duration]) -> Vec<f64> {
    times.iter().map(|time| time.as_secs_f64() * 1e3).collect()
}
