//! Tests of logs as a whole: written, cut, changed, continued, and proved.

use crate::verify::{Chain, Finding, Found, Verifier, open_log};
use crate::{Chained, Form, Journal, Link, OnFull, Pushed, Rotation, Settings, resumed};
use seal::Identity;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn settings(path: &Path, form: Form, sealed: bool) -> Settings {
    let recipients = match sealed {
        true => vec![identity().recipient().unwrap()],
        false => Vec::new(),
    };
    Settings {
        path: path.to_owned(),
        queue_bytes_max: 1 << 20,
        on_full: OnFull::Block,
        rotation: Rotation {
            bytes_max: 0,
            age_max: Duration::ZERO,
            kept_max: 0,
        },
        recipients,
        chain: Some(Chained {
            resumed: resumed(path).unwrap(),
            at_once: true,
            form,
        }),
    }
}

fn identity() -> Identity {
    Identity::of([5; 32])
}

fn line(form: Form, number: usize) -> String {
    match form {
        Form::Json => format!("{{\"number\":{number},\"text\":\"planted\"}}\n"),
        Form::Human => format!("2026 number={number} text=\"planted\"\n"),
    }
}

/// A process that writes records with these numbers, and ends in order.
fn process(path: &Path, form: Form, sealed: bool, numbers: std::ops::Range<usize>) {
    let journal = Journal::start(settings(path, form, sealed)).unwrap();
    for number in numbers {
        let pushed = journal.push(line(form, number).as_bytes());
        assert!(matches!(pushed, Pushed::Taken(_)));
    }
}

fn verified(files: &[PathBuf], heads: &[Link]) -> (Vec<Finding>, Vec<Chain>) {
    let mut verifier = Verifier::new(heads.to_vec());
    for file in files {
        let bytes = fs::read(file).unwrap();
        verifier
            .file(&file.display().to_string(), bytes.as_slice())
            .unwrap();
    }
    let (found, chains) = verifier.finish();
    (found.into_iter().map(|it| it.finding).collect(), chains)
}

const ALL: [(Form, bool); 4] = [
    (Form::Json, false),
    (Form::Json, true),
    (Form::Human, false),
    (Form::Human, true),
];

#[test]
fn a_chain_goes_on_from_process_to_process() {
    for (form, sealed) in ALL {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("log");
        process(&path, form, sealed, 0..50);
        process(&path, form, sealed, 50..70);
        let (found, chains) = verified(std::slice::from_ref(&path), &[]);
        assert_eq!(found, [], "{form:?} {sealed}");
        // The records, and begun, closed, resumed, closed.
        assert_eq!((chains.len(), chains[0].head.seq), (1, 74));
        assert!(chains[0].is_closed);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.contains("planted"), !sealed);
        let mut opened = Vec::new();
        open_log(text.as_bytes(), &identity(), &mut opened).unwrap();
        let opened = String::from_utf8(opened).unwrap();
        assert_eq!(opened.matches("planted").count(), 70);
        let other = Identity::of([6; 32]);
        let fault = open_log(text.as_bytes(), &other, &mut Vec::new()).err();
        assert_eq!(fault.is_some(), sealed);
    }
}

/// Whatever a crash left at the end, the next process goes on behind it; and only what was cut is missing.
#[test]
fn a_torn_end_is_told_of_and_no_failure() {
    for (form, sealed) in ALL {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("log");
        process(&path, form, sealed, 0..3);
        let whole = fs::read(&path).unwrap();
        // The record that says that all is over would not be there.
        let lines = whole.strip_suffix(b"\n").unwrap();
        let end = lines.iter().rposition(|it| *it == b'\n').unwrap() + 1;
        let last = whole[..end - 1]
            .iter()
            .rposition(|it| *it == b'\n')
            .unwrap()
            + 1;
        for cut in last..=end {
            fs::write(&path, &whole[..cut]).unwrap();
            process(&path, form, sealed, 3..4);
            let (found, chains) = verified(std::slice::from_ref(&path), &[]);
            let is_torn = cut != last && cut < end - 1;
            let wanted: &[Finding] = if is_torn { &[Finding::Torn] } else { &[] };
            assert_eq!(found, wanted, "{form:?} {sealed} cut at {cut} of {end}");
            assert_eq!(chains.len(), 1);
        }
    }
}

/// Every byte that is changed, every line that is missing, doubled, moved or put in is found.
#[test]
fn what_was_done_to_a_log_is_found() {
    for (form, sealed) in ALL {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("log");
        for number in 0..5 {
            process(&path, form, sealed, number..number + 1);
        }
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let judge = |lines: &[&str]| {
            let mut verifier = Verifier::new(Vec::new());
            verifier.file("log", lines.concat().as_bytes()).unwrap();
            let (found, chains) = verifier.finish();
            let failures = found.into_iter().filter(|it| it.finding.is_failure());
            (failures.collect::<Vec<Found>>(), chains)
        };
        assert_eq!(judge(&lines).0, []);
        for at in 1..lines.len() {
            for byte in 0..lines[at].len() - 1 {
                let mut changed = lines[at].to_owned().into_bytes();
                changed[byte] ^= 1;
                let Ok(changed) = String::from_utf8(changed) else {
                    continue;
                };
                let mut all = lines.clone();
                all[at] = &changed;
                assert!(
                    !judge(&all).0.is_empty(),
                    "line {at} byte {byte}: {changed}"
                );
            }
            let mut missing = lines.clone();
            missing.remove(at);
            let seen = judge(&missing);
            match at + 1 == lines.len() {
                // Of an end alone nothing is known but that it is open.
                true => assert!(seen.0.is_empty() && !seen.1[0].is_closed),
                false => assert!(matches!(seen.0[0].finding, Finding::Gap(..)), "{seen:?}"),
            }
            let mut doubled = lines.clone();
            doubled.insert(at, lines[at]);
            assert!(matches!(judge(&doubled).0[0].finding, Finding::Doubled(_)));
            let mut foreign = lines.clone();
            foreign.insert(at, "{\"event\":\"end\"}\n");
            let seen = judge(&foreign).0;
            assert_eq!(
                (&seen[0].finding, seen[0].line),
                (&Finding::Foreign, at as u64 + 1)
            );
        }
        let mut cut = lines.clone();
        let last = lines[lines.len() - 1];
        *cut.last_mut().unwrap() = &last[..last.len() - 5];
        assert_eq!(judge(&cut).0[0].finding, Finding::CutOff);
    }
}

/// A head that was noted elsewhere proves that nothing up to it was cut off or written anew.
#[test]
fn a_noted_head_holds_the_end() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("log");
    process(&path, Form::Json, false, 0..9);
    let files = [path.clone()];
    let head = verified(&files, &[]).1[0].head;
    process(&path, Form::Json, false, 9..12);
    assert_eq!(verified(&files, &[head]).0, []);
    fs::remove_file(&path).unwrap();
    process(&path, Form::Json, false, 0..12);
    assert_eq!(verified(&files, &[head]).0, [Finding::HeadMissing(head)]);
}

#[test]
fn a_chain_goes_on_over_files_that_were_rotated_or_moved_away() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("log");
    let mut rotating = settings(&path, Form::Json, true);
    rotating.rotation.bytes_max = 1;
    let journal = Journal::start(rotating).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    for number in 0..5 {
        let before = journal.counts().written_bytes;
        journal.push(line(Form::Json, number).as_bytes());
        // Lines that wait together are written together, into one file.
        let is_done = || {
            let counts = journal.counts();
            counts.written_bytes > before && counts.rotations >= number as u64
        };
        while !is_done() {
            assert!(Instant::now() < deadline, "no rotation");
            std::thread::yield_now();
        }
    }
    drop(journal);
    // What another program would do to it, while no process is there.
    fs::rename(&path, place.path().join("log-20260301")).unwrap();
    process(&path, Form::Json, true, 5..7);
    let mut files: Vec<PathBuf> = fs::read_dir(place.path())
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    // By their time, as the last one has no number.
    files.sort_by_key(|it| fs::metadata(it).unwrap().modified().unwrap());
    assert!(files.len() > 3, "{files:?}");
    let (found, chains) = verified(&files, &[]);
    assert_eq!((found, chains.len()), (vec![], 1));
    files.remove(1);
    let (found, _) = verified(&files, &[]);
    assert!(matches!(found[..], [Finding::Gap(..)]), "{found:?}");
}

/// Two processes at once, as while one hands over to the other, don't write one chain; and a log that had none is
/// moved away.
#[test]
fn two_writers_have_two_chains() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("log");
    fs::write(&path, "{\"event\":\"end\"}\n").unwrap();
    let first = Journal::start(settings(&path, Form::Json, false)).unwrap();
    first.push(line(Form::Json, 1).as_bytes());
    let second = Journal::start(settings(&path, Form::Json, false)).unwrap();
    second.push(line(Form::Json, 2).as_bytes());
    drop((first, second));
    let (found, chains) = verified(&[path], &[]);
    assert_eq!(chains.len(), 2);
    assert!(matches!(found[..], [Finding::OtherWriter(_)]), "{found:?}");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2);
}
