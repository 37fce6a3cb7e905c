//! CPU of the proxy for a whole short session: TLS handshakes, SCRAM, one query, close.
//!
//! In session mode Portcullis dials the server for each client. PgBouncer keeps server
//! connections, so it runs twice: as it comes, and told to dial for each client, too.

use super::order;
use crate::contender::{Contender, Kind};
use crate::load::Work;
use crate::options::Options;
use crate::process::Usage;
use crate::report::{Report, Table, Target};
use crate::scene::Scene;

const CONTENDERS: [Kind; 3] = [Kind::Portcullis, Kind::PgBouncerDialling, Kind::PgBouncer];

/// Interleaved rounds, one client.
pub fn run(scene: &Scene, options: &Options, report: &mut Report) {
    let count = options.size(100, 300);
    let contenders = CONTENDERS.map(|kind| Contender::start(kind, scene));
    let title = "Connect, query, close, clients: 1".to_owned();
    let mut table = Table::new(title, &CONTENDERS);
    for round in 0..options.rounds() {
        for place in order(contenders.len(), round) {
            let contender = &contenders[place];
            let before = Usage::of(contender.pid());
            Work::Connects(count).run(scene, contender);
            let usage = Usage::of(contender.pid()).since(before);
            let cpu_us = usage.cpu.as_secs_f64() * 1e6 / count as f64;
            table.add(place, "proxy CPU, us/connection", Target::None, cpu_us);
        }
    }
    report.add(&table);
}
