//! A login storm: 500 new clients with TLS and SCRAM at the same moment, each of which asks once.
//!
//! Client and server are scripts of the test kit, the server without TLS and without a proof, the
//! same for both proxies. What a login costs is measured without a bystander, whose own queries
//! would be part of it; then the storm rages once more beside one.

use super::order;
use crate::contender::{BOTH, Contender, Instrument, Upstream};
use crate::options::Options;
use crate::process::Usage;
use crate::report::{Report, Table, Target};
use crate::scene::Scene;
use crate::stats::percentile;
use e2e::storm::{self, Bystander};
use std::net::SocketAddr;
use std::time::Duration;
use testkit::ClientTls;

const CLIENTS: usize = 500;

/// Interleaved rounds of both proxies.
pub fn run(scene: &Scene, options: &Options, report: &mut Report) {
    let server = storm::server();
    let upstream = Upstream {
        port: server.address().port(),
        verified: false,
        role: storm::ROLE,
        verifier: storm::verifier(),
    };
    let tls = ClientTls::verified(&scene.authority, "localhost");
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

fn millis(times: &[Duration]) -> Vec<f64> {
    times.iter().map(|time| time.as_secs_f64() * 1e3).collect()
}
