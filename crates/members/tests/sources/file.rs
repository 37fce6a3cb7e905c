//! Members by a file that is written, renamed over, swapped by its links, wrong for a while, or gone.

use crate::{Asked, NEVER};
use members::{Fault, FileFault, Plan};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

fn asked(path: &Path) -> Asked {
    Asked::new(Plan::File {
        path: path.to_owned(),
        interval: NEVER,
    })
}

/// What is wrong with the file.
#[track_caller]
fn fault(asked: &mut Asked) -> FileFault {
    match asked.next() {
        Err(Fault::File { why, .. }) => why,
        other => panic!("no fault of a file: {other:?}"),
    }
}

#[test]
fn a_file_is_read_and_read_again_when_it_changes() {
    let place = tempfile::tempdir().unwrap();
    let (path, other) = (place.path().join("hosts"), place.path().join("other"));
    fs::write(&path, "db1\ndb2:6000 weight=5 zone=a # far\n").unwrap();
    let mut asked = asked(&path);
    let found = asked.next().unwrap();
    assert_eq!(crate::keys(&found), ["db1:5432", "db2:6000"]);
    assert_eq!(found.members[1].member.weight, 5);
    assert_eq!(found.members[1].member.zone, "a");

    fs::write(&path, "db3\n").unwrap();
    assert_eq!(asked.keys(), ["db3:5432"]);
    fs::write(&other, "db4\n").unwrap();
    fs::rename(&other, &path).unwrap();
    assert_eq!(asked.keys(), ["db4:5432"]);
    // It may be read once more, as its change was of that very moment; then it rests.
    let mut rests = || asked.within(Duration::from_millis(2500)).is_none();
    assert!(rests() || rests());
    asked.hurry.notify_one();
    assert_eq!(asked.keys(), ["db4:5432"]);
}

#[test]
fn a_file_that_is_wrong_or_gone_is_told_once_and_taken_when_it_is_good() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("hosts");
    let mut asked = asked(&path);
    let why = fault(&mut asked);
    assert!(matches!(why, FileFault::Unreadable(_)), "{why}");
    assert!(asked.within(Duration::from_millis(2500)).is_none());

    fs::write(&path, "db1\n\ndb2:6000 weight=\n").unwrap();
    let fault_of_line = asked.next().unwrap_err().to_string();
    let wanted = format!("{}: line 3: \"\" is no weight", path.display());
    assert!(fault_of_line.starts_with(&wanted), "{fault_of_line}");
    fs::write(&path, "db1\n\ndb2:6000 weight=7\n").unwrap();
    let found = loop {
        // The wrong one may be read twice.
        if let Ok(found) = asked.next() {
            break found;
        }
    };
    assert_eq!(crate::keys(&found), ["db1:5432", "db2:6000"]);

    fs::write(&path, "# nobody\n").unwrap();
    let fault = loop {
        if let Err(fault) = asked.next() {
            break fault;
        }
    };
    assert!(matches!(fault, Fault::Empty { .. }), "{fault}");
}

/// As Kubernetes does it: the file is a link through a link to a directory, and that is swapped.
#[test]
fn links_that_are_swapped_are_a_change() {
    let place = tempfile::tempdir().unwrap();
    let within = |name: &str| place.path().join(name);
    for (version, host) in [("v1", "db1\n"), ("v2", "db2\n")] {
        fs::create_dir(within(version)).unwrap();
        fs::write(within(version).join("hosts"), host).unwrap();
    }
    symlink("v1", within("..data")).unwrap();
    symlink("..data/hosts", within("hosts")).unwrap();
    let mut asked = asked(&within("hosts"));
    assert_eq!(asked.keys(), ["db1:5432"]);
    symlink("v2", within("..data_tmp")).unwrap();
    fs::rename(within("..data_tmp"), within("..data")).unwrap();
    fs::remove_dir_all(within("v1")).unwrap();
    let swapped = loop {
        // The first one may be read twice.
        let keys = asked.keys();
        if keys != ["db1:5432"] {
            break keys;
        }
    };
    assert_eq!(swapped, ["db2:5432"]);
}

#[test]
fn what_is_no_file_of_hosts_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let within = |name: &str| place.path().join(name);
    fs::write(within("long"), "#".repeat((1 << 20) + 1)).unwrap();
    fs::write(within("binary"), b"\xff\xfe").unwrap();
    fs::write(within("twice"), "db1\ndb1\n").unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(within("pipe"))
        .status();
    assert!(made.unwrap().success());
    for (name, wanted) in [
        ("long", FileFault::TooLong { most: 1 << 20 }),
        ("binary", FileFault::NotText),
        ("pipe", FileFault::NotAFile),
        (".", FileFault::NotAFile),
        (
            "twice",
            FileFault::Twice {
                line: 2,
                before: 1,
                host: "db1:5432".to_owned(),
            },
        ),
    ] {
        assert_eq!(fault(&mut asked(&within(name))), wanted, "{name}");
    }
}
