//! What is counted, not timed: instructions of user space and system calls per unit of work.
//!
//! Each work is done in two lengths, each by a fresh proxy. The difference is free of start,
//! configuration and login. valgrind knows no AVX-512, so libcrypto takes its AVX2 path there;
//! that is so for both contenders.

use crate::contender::{BOTH, Contender, Instrument, Kind, POOLED};
use crate::load::{Mode, Work};
use crate::options::Options;
use crate::report::{Report, Table, Target};
use crate::scene::Scene;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const DIALLING: [Kind; 3] = [Kind::Portcullis, Kind::PgBouncer, Kind::PgBouncerDialling];
const MB: u64 = 1_000_000;

/// A work in two lengths, and what one unit of it is called.
struct Case {
    title: &'static str,
    file: &'static str,
    contenders: &'static [Kind],
    work: fn(u64) -> Work,
    short: u64,
    long: u64,
    target: Target,
}

/// Instructions of user space.
pub fn instructions(scene: &Scene, options: &Options, report: &mut Report) {
    let cases = [
        Case {
            title: "User instructions per transaction, prepared, 1 client",
            file: "prepared",
            contenders: &BOTH,
            work: |count| Work::Transactions(Mode::Prepared, count),
            short: 500,
            long: options.size(2_500, 10_500),
            target: Target::Most(33_000.0),
        },
        Case {
            title: "User instructions per transaction, simple, 1 client",
            file: "simple",
            contenders: &BOTH,
            work: |count| Work::Transactions(Mode::Simple, count),
            short: 500,
            long: options.size(2_500, 10_500),
            target: Target::None,
        },
        Case {
            title: "User instructions per MB, COPY out",
            file: "copy-out",
            contenders: &BOTH,
            work: |mb| Work::CopyOut(mb * MB),
            short: 5,
            long: options.size(25, 65),
            target: Target::Share(0.7),
        },
        Case {
            title: "User instructions per MB, COPY in",
            file: "copy-in",
            contenders: &BOTH,
            work: |mb| Work::CopyIn(mb * MB),
            short: 5,
            long: options.size(25, 65),
            target: Target::Share(0.7),
        },
        Case {
            title: "User instructions per connection (TLS, SCRAM, query, close)",
            file: "connect",
            contenders: &DIALLING,
            work: Work::Connects,
            short: 10,
            long: options.size(40, 110),
            target: Target::None,
        },
        // PgBouncer before 1.21 keeps no prepared statements apart in transaction mode.
        Case {
            title: "User instructions per transaction, prepared, 1 client, transaction mode",
            file: "pooled-prepared",
            contenders: &POOLED[..1],
            work: |count| Work::Transactions(Mode::Prepared, count),
            short: 500,
            long: options.size(2_500, 10_500),
            target: Target::None,
        },
        Case {
            title: "User instructions per transaction, extended, 1 client, transaction mode",
            file: "pooled-extended",
            contenders: &POOLED,
            work: |count| Work::Transactions(Mode::Extended, count),
            short: 500,
            long: options.size(2_500, 10_500),
            target: Target::Share(0.9),
        },
        Case {
            title: "User instructions per transaction, simple, 1 client, transaction mode",
            file: "pooled-simple",
            contenders: &POOLED,
            work: |count| Work::Transactions(Mode::Simple, count),
            short: 500,
            long: options.size(2_500, 10_500),
            target: Target::Share(0.9),
        },
        Case {
            title: "User instructions per transaction, extended, 16 clients, transaction mode",
            file: "pooled-extended-16",
            contenders: &POOLED,
            work: |count| Work::Crowded(Mode::Extended, 16, count),
            short: 1_600,
            long: options.size(4_800, 12_800),
            target: Target::Share(0.9),
        },
        Case {
            title: "User instructions per transaction, simple, 16 clients, transaction mode",
            file: "pooled-simple-16",
            contenders: &POOLED,
            work: |count| Work::Crowded(Mode::Simple, 16, count),
            short: 1_600,
            long: options.size(4_800, 12_800),
            target: Target::Share(0.9),
        },
        Case {
            title: "User instructions per transaction, extended, 64 clients, transaction mode",
            file: "pooled-extended-64",
            contenders: &POOLED,
            work: |count| Work::Crowded(Mode::Extended, 64, count),
            short: 3_200,
            long: options.size(9_600, 16_000),
            target: Target::Share(0.9),
        },
        Case {
            title: "User instructions per transaction, simple, 64 clients, transaction mode",
            file: "pooled-simple-64",
            contenders: &POOLED,
            work: |count| Work::Crowded(Mode::Simple, 64, count),
            short: 3_200,
            long: options.size(9_600, 16_000),
            target: Target::Share(0.9),
        },
        Case {
            title: "User instructions per MB, COPY out, transaction mode",
            file: "pooled-copy-out",
            contenders: &POOLED,
            work: |mb| Work::CopyOut(mb * MB),
            short: 5,
            long: options.size(25, 65),
            target: Target::Share(0.7),
        },
        Case {
            title: "User instructions per MB, COPY in, transaction mode",
            file: "pooled-copy-in",
            contenders: &POOLED,
            work: |mb| Work::CopyIn(mb * MB),
            short: 5,
            long: options.size(25, 65),
            target: Target::Share(0.7),
        },
    ];
    for case in cases.into_iter().filter(|it| options.counts(it.file)) {
        let mut table = Table::new(case.title.to_owned(), case.contenders);
        for (place, &kind) in case.contenders.iter().enumerate() {
            let count = |units: u64| {
                let contender = Contender::start_under(Instrument::Callgrind, kind, scene);
                (case.work)(units).run(scene, &contender);
                contender.finish(|file| {
                    keep(options, file, case.file, kind, units);
                    total(&fs::read_to_string(file).expect("callgrind's file"))
                })
            };
            let (short, long) = (count(case.short), count(case.long));
            let each = (long - short) / (case.long - case.short) as f64;
            table.add(place, "instructions", case.target, each);
            if place == 0 {
                report.count(case.file, each);
            }
        }
        report.add(&table);
    }
}

/// System calls of one client's transactions, and of COPY.
pub fn calls(scene: &Scene, options: &Options, report: &mut Report) {
    let cases = [
        Case {
            title: "System calls per transaction, prepared, 1 client",
            file: "prepared",
            contenders: &BOTH,
            work: |count| Work::Transactions(Mode::Prepared, count),
            short: 500,
            long: options.size(2_500, 5_500),
            target: Target::Most(6.0),
        },
        Case {
            title: "System calls per transaction, extended, 1 client, transaction mode",
            file: "pooled-extended",
            contenders: &POOLED,
            work: |count| Work::Transactions(Mode::Extended, count),
            short: 500,
            long: options.size(2_500, 5_500),
            target: Target::Share(1.0),
        },
        Case {
            title: "System calls per MB, COPY out",
            file: "copy-out",
            contenders: &BOTH,
            work: |mb| Work::CopyOut(mb * MB),
            short: 5,
            long: options.size(25, 65),
            target: Target::None,
        },
        Case {
            title: "System calls per MB, COPY in",
            file: "copy-in",
            contenders: &BOTH,
            work: |mb| Work::CopyIn(mb * MB),
            short: 5,
            long: options.size(25, 65),
            target: Target::None,
        },
    ];
    for case in cases {
        let mut table = Table::new(case.title.to_owned(), case.contenders);
        for (place, &kind) in case.contenders.iter().enumerate() {
            let count = |units: u64| {
                let contender = Contender::start_under(Instrument::Strace, kind, scene);
                (case.work)(units).run(scene, &contender);
                contender.finish(|file| by_call(&fs::read_to_string(file).expect("strace's file")))
            };
            let (short, long) = (count(case.short), count(case.long));
            let units = (case.long - case.short) as f64;
            for (call, calls) in per_unit(&short, &long, units) {
                let target = if call == "total" {
                    case.target
                } else {
                    Target::None
                };
                table.add(place, &call, target, calls);
            }
        }
        report.add(&table);
    }
}

/// Calls of one unit, the most frequent first; rare ones are part of the total only.
pub(super) fn per_unit(
    short: &BTreeMap<String, f64>,
    long: &BTreeMap<String, f64>,
    units: f64,
) -> Vec<(String, f64)> {
    let mut all: Vec<(String, f64)> = long
        .iter()
        .map(|(call, calls)| {
            let before = short.get(call).copied().unwrap_or(0.0);
            (call.clone(), (calls - before) / units)
        })
        .filter(|(_, calls)| *calls >= 0.05)
        .collect();
    all.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    all
}

/// The line "totals: N" of a callgrind file.
pub(super) fn total(text: &str) -> f64 {
    let line = text.lines().rev().find_map(|line| {
        line.strip_prefix("totals: ")
            .or_else(|| line.strip_prefix("summary: "))
    });
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.expect("totals in callgrind's file")
}

/// Lines "share seconds us/call calls errors? name" below a head; the last one is the total.
pub(super) fn by_call(text: &str) -> BTreeMap<String, f64> {
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let calls = fields.get(3)?.parse().ok()?;
        Some(((*fields.last()?).to_owned(), calls))
    };
    text.lines().filter_map(parse).collect()
}

pub(super) fn keep(options: &Options, file: &Path, case: &str, kind: Kind, units: u64) {
    let Some(directory) = &options.profiles else {
        return;
    };
    fs::create_dir_all(directory).expect("the directory of profiles");
    let name = format!(
        "callgrind.{case}.{}.{units}",
        kind.name().replace(", ", "-")
    );
    fs::copy(file, directory.join(name)).expect("a profile to keep");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_of_callgrind() {
        assert_eq!(total("events: Ir\nfn=(1)\n1 2\n\ntotals: 12345\n"), 12345.0);
        assert_eq!(total("summary: 7 8\nfn=(1)\n"), 7.0);
    }

    #[test]
    fn calls_of_strace() {
        let text = "% time     seconds  usecs/call     calls    errors syscall\n\
            ------ ----------- ----------- --------- --------- ----------------\n\
            60.00    0.000600           1       600        20 recvfrom\n\
            40.00    0.000400           1       400           sendto\n\
            ------ ----------- ----------- --------- --------- ----------------\n\
            100.00    0.001000           1      1000        20 total\n";
        let short = BTreeMap::from([("recvfrom".to_owned(), 100.0)]);
        let each = per_unit(&short, &by_call(text), 100.0);
        let wanted = [("total", 10.0), ("recvfrom", 5.0), ("sendto", 4.0)];
        assert_eq!(each, wanted.map(|(name, calls)| (name.to_owned(), calls)));
    }
}
