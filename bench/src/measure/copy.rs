//! CPU of the proxy for COPY out and in, psql at the other end.

use super::order;
use crate::contender::{BOTH, Contender};
use crate::load::Work;
use crate::options::Options;
use crate::process::Usage;
use crate::report::{Report, Table, Target};
use crate::scene::Scene;
use std::time::Instant;

/// Interleaved rounds of both proxies in both directions.
pub fn run(scene: &Scene, options: &Options, report: &mut Report) {
    let bytes: u64 = options.size(100, 300) * 1_000_000;
    let contenders = BOTH.map(|kind| Contender::start(kind, scene));
    for (name, work) in [("out", Work::CopyOut(bytes)), ("in", Work::CopyIn(bytes))] {
        let title = format!("COPY {name}, {} MB in rows of 100 bytes", bytes / 1_000_000);
        let mut table = Table::new(title, &BOTH);
        for round in 0..options.rounds() {
            for place in order(contenders.len(), round) {
                let contender = &contenders[place];
                let (before, start) = (Usage::of(contender.pid()), Instant::now());
                work.run(scene, contender);
                let time = start.elapsed().as_secs_f64();
                let usage = Usage::of(contender.pid()).since(before);
                let gb = bytes as f64 / 1e9;
                let cpu = usage.cpu.as_secs_f64() / gb;
                let user = cpu * (1.0 - usage.system_share().unwrap_or(f64::NAN));
                table.add(place, "proxy CPU, s/GB", Target::Share(0.7), cpu);
                table.add(place, "  of it in user space, s/GB", Target::None, user);
                table.add(place, "MB/s", Target::None, gb * 1e3 / time);
            }
        }
        report.add(&table);
    }
}
