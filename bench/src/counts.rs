//! Owns the instructions per scenario that are kept in the repository, so that a regression is seen:
//! reads them, compares a run with them, writes them anew.
//!
//! The counts belong to one kind of processor and one OpenSSL: where either changes, they are
//! written anew before anything is compared.

use crate::options::Options;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

/// Instructions of Portcullis per unit, by scenario.
pub type Counts = BTreeMap<String, f64>;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.txt");

/// What a scenario may grow by.
const GROWTH_MAX: f64 = 0.02;

const HEAD: &str = "# User instructions of Portcullis per transaction, MB or connection, by callgrind.\n\
    # `make bench-instructions` compares; BENCH_ARGS=--keep-counts writes this file anew.\n";

/// Does with a run's counts what was asked for; false if one grew too much.
#[track_caller]
pub fn settle(options: &Options, counts: &Counts) -> bool {
    if options.keep_counts {
        fs::write(FILE, text(counts)).unwrap_or_else(|error| panic!("{FILE}: {error}"));
        println!("Counts: {FILE}");
    }
    if !options.compare {
        return true;
    }
    let kept = fs::read_to_string(FILE).unwrap_or_else(|error| panic!("{FILE}: {error}"));
    let kept = parse(&kept);
    for scenario in counts.keys().filter(|it| !kept.contains_key(*it)) {
        println!("{scenario} has no count yet to compare with (--keep-counts)");
    }
    let complaints = complaints(&kept, counts);
    for complaint in &complaints {
        eprintln!("bench: {complaint}");
    }
    complaints.is_empty()
}

fn text(counts: &Counts) -> String {
    let mut text = HEAD.to_owned();
    for (scenario, count) in counts {
        // Writing to a string can't fail.
        let _ = writeln!(text, "{scenario} {count:.0}");
    }
    text
}

/// Lines "scenario instructions"; those that begin with # say what the others mean.
#[track_caller]
fn parse(text: &str) -> Counts {
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    let parse = |line: &str| {
        let (scenario, count) = line.split_once(' ')?;
        Some((scenario.to_owned(), count.parse().ok()?))
    };
    lines
        .map(|line| parse(line).unwrap_or_else(|| panic!("not \"scenario count\": {line}")))
        .collect()
}

/// What fails a run: scenarios that grew, and those that were not counted.
fn complaints(kept: &Counts, counts: &Counts) -> Vec<String> {
    let mut complaints = Vec::new();
    for (scenario, &before) in kept {
        let Some(&now) = counts.get(scenario) else {
            complaints.push(format!("{scenario} was not counted"));
            continue;
        };
        let growth = now / before - 1.0;
        if growth > GROWTH_MAX {
            complaints.push(format!(
                "{scenario} grew by {:.1} %: {now:.0} instructions, {before:.0} before",
                growth * 100.0
            ));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pairs: &[(&str, f64)]) -> Counts {
        let owned = |(name, count): &(&str, f64)| ((*name).to_owned(), *count);
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let all = counts(&[("copy-in", 7_078_376.0), ("prepared", 33_824.0)]);
        assert_eq!(parse(&text(&all)), all);
    }

    #[test]
    fn growth_is_named_and_shrinking_is_not() {
        let kept = counts(&[("a", 1000.0), ("b", 1000.0), ("c", 1000.0), ("gone", 1.0)]);
        let now = counts(&[("a", 1019.0), ("b", 1021.0), ("c", 10.0), ("new", 1.0)]);
        assert_eq!(
            complaints(&kept, &now),
            [
                "b grew by 2.1 %: 1021 instructions, 1000 before",
                "gone was not counted",
            ]
        );
    }

    #[test]
    fn the_file_in_the_repository_is_one() {
        let kept = parse(&fs::read_to_string(FILE).unwrap());
        assert!(kept.values().all(|count| *count > 0.0));
        assert!(!kept.is_empty());
    }
}
