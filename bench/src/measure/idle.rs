//! Memory of a proxy with many idle clients, each with its server connection, TLS on both legs.

use super::order;
use crate::contender::{BOTH, Contender};
use crate::load::{Idle, Mode, Work, pause};
use crate::options::Options;
use crate::process::{Memory, Usage};
use crate::report::{Report, Table, Target};
use crate::scene::Scene;
use std::time::Duration;

const CLIENTS: u32 = 1_000;
/// What the clients are silent before memory is read.
const SILENCE: Duration = Duration::from_secs(3);

/// A fresh proxy for each sample: memory depends on what was before.
pub fn run(scene: &Scene, options: &Options, report: &mut Report) {
    let mut table = Table::new(format!("Idle clients: {CLIENTS}"), &BOTH);
    for round in 0..options.size(1, options.rounds().min(3)) {
        for place in order(BOTH.len(), round) {
            let contender = Contender::start(BOTH[place], scene);
            Work::Transactions(Mode::Prepared, 10).run(scene, &contender);
            sample(&mut table, place, scene, &contender);
        }
    }
    report.add(&table);
}

fn sample(table: &mut Table, place: usize, scene: &Scene, contender: &Contender) {
    let pid = contender.pid();
    let before = Memory::of(pid);
    let idle = Idle::start(scene, contender, CLIENTS);
    pause(SILENCE);
    let full = Memory::of(pid);
    let usage = Usage::of(pid);
    pause(SILENCE);
    let burnt = Usage::of(pid).since(usage).cpu.as_secs_f64() / SILENCE.as_secs_f64();
    drop(idle);
    pause(SILENCE);
    let after = Memory::of(pid);
    let each = |kib: u64, before: u64| (kib as f64 - before as f64) / f64::from(CLIENTS);
    for (name, sample) in [
        ("KiB per pair (Pss)", each(full.pss_kib, before.pss_kib)),
        (
            "KiB per pair (anonymous)",
            each(full.anonymous_kib, before.anonymous_kib),
        ),
        ("CPU while silent, % of a core", burnt * 100.0),
        (
            "MiB before the clients came",
            before.pss_kib as f64 / 1024.0,
        ),
        ("MiB with them", full.pss_kib as f64 / 1024.0),
        ("MiB after they left", after.pss_kib as f64 / 1024.0),
    ] {
        table.add(place, name, Target::None, sample);
    }
}
