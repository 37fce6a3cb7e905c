//! pgbench's select-only transactions: the proxy's CPU for each, and what clients see.

use super::order;
use crate::contender::{BOTH, Contender, Kind, POOLED};
use crate::load::{self, Mode, Window};
use crate::options::Options;
use crate::report::{Report, Table, Target};
use crate::scene::Scene;
use crate::stats::percentile;
use std::time::Duration;

const CLIENTS: [u32; 3] = [1, 16, 64];

/// Interleaved rounds of both proxies, each mode with each number of clients.
pub fn run(scene: &Scene, options: &Options, report: &mut Report) {
    let modes = [Mode::Prepared, Mode::Simple];
    compare((BOTH, &modes, ""), scene, options, report);
}

/// The same with server connections that clients share. PgBouncer before 1.21 keeps no prepared
/// statements apart there.
pub fn pooled(scene: &Scene, options: &Options, report: &mut Report) {
    let modes = [Mode::Extended, Mode::Simple];
    compare(
        (POOLED, &modes, ", transaction mode"),
        scene,
        options,
        report,
    );
}

fn compare(
    (kinds, modes, suffix): ([Kind; 2], &[Mode], &str),
    scene: &Scene,
    options: &Options,
    report: &mut Report,
) {
    let time = Duration::from_secs(options.size(2, 5));
    let contenders = kinds.map(|kind| Contender::start(kind, scene));
    for &mode in modes {
        for clients in CLIENTS {
            let title = format!("Select-only, {}, clients: {clients}{suffix}", mode.name());
            let mut table = Table::new(title, &kinds);
            for round in 0..options.rounds() {
                for place in order(contenders.len(), round) {
                    let window = load::steady(scene, &contenders[place], mode, clients, time);
                    add(&mut table, place, target(mode, suffix.is_empty()), &window);
                }
            }
            report.add(&table);
        }
    }
}

/// Where server connections are shared every protocol counts, in session mode the prepared one.
fn target(mode: Mode, own_server: bool) -> Target {
    match mode {
        _ if !own_server => Target::Share(0.9),
        Mode::Prepared | Mode::Extended => Target::Share(1.0),
        Mode::Simple => Target::None,
    }
}

fn add(table: &mut Table, place: usize, target: Target, window: &Window) {
    let count = window.latencies_us.len() as f64;
    let usage = &window.usage;
    let cpu_us = usage.cpu.as_secs_f64() * 1e6 / count;
    let system = usage.system_share().unwrap_or(f64::NAN);
    let switches = usage.switches as f64 / count;
    let (p50, p99) = (
        percentile(&window.latencies_us, 0.50),
        percentile(&window.latencies_us, 0.99),
    );
    let per_s = count / window.time.as_secs_f64();
    for (name, target, sample) in [
        ("proxy CPU, us/transaction", target, cpu_us),
        (
            "  of it in user space, us",
            Target::None,
            cpu_us * (1.0 - system),
        ),
        ("voluntary switches/transaction", Target::None, switches),
        ("transactions/s", Target::None, per_s),
        ("latency p50, us", Target::None, p50),
        ("latency p99, us", Target::None, p99),
    ] {
        table.add(place, name, target, sample);
    }
}
