//! The demo as a newcomer meets it: what it shows, how it ends, and that nothing is left behind.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use testkit::wait;

/// A temporary directory that PostgreSQL's account can pass through, so that what is left in it is
/// this test's alone.
fn temporary() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::Builder::new()
        .prefix("pd-")
        .tempdir_in("/tmp")
        .unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o711)).unwrap();
    directory
}

fn demo(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.arg("demo").args(arguments).env("TMPDIR", directory);
    command.stdin(Stdio::null());
    command
}

/// Processes whose command line speaks of this directory.
fn processes(directory: &Path) -> usize {
    let about = directory.display().to_string();
    let command_line = |entry: fs::DirEntry| fs::read(entry.path().join("cmdline")).ok();
    let all = fs::read_dir("/proc").unwrap().flatten();
    let lines = all.filter_map(command_line);
    lines
        .filter(|line| String::from_utf8_lossy(line).contains(&about))
        .count()
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}

fn assert_nothing_left(directory: &Path) {
    assert!(
        is_empty(directory),
        "something is left in {}",
        directory.display()
    );
    wait::until("the end of all processes", wait::LONG, || {
        processes(directory) == 0
    });
}

#[test]
fn once_shows_both_legs_and_leaves_nothing() {
    let directory = temporary();
    let output = demo(directory.path(), &["--once"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    for expected in [
        "client leg",
        "server leg",
        "TLSv1.3",
        "CN=portcullis.demo",
        "CN=postgres.demo",
        "SCRAM-SHA-256-PLUS         SCRAM-SHA-256-PLUS",
        "tls-server-end-point       tls-server-end-point",
        "pg_stat_ssl of backend",
        "without TLS      refused (28000)",
        "Everything is as it claims to be",
    ] {
        assert!(said.contains(expected), "{said}\ndoes not say: {expected}");
    }
    assert_eq!(errors, "");
    assert_nothing_left(directory.path());
}

/// A demo that goes on; ended in order also where a test fails.
struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    fn start(directory: &Path) -> Running {
        let mut command = demo(directory, &[]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Running { child, lines }
    }

    /// Waits for the line to paste.
    fn psql(&mut self) -> String {
        loop {
            let mut line = String::new();
            let count = self.lines.read_line(&mut line).unwrap();
            assert!(count > 0, "the demo ended early");
            if line.trim_start().starts_with("psql \"") {
                return line.trim().to_owned();
            }
        }
    }

    fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// The rest of what it says, and whether it ended well.
    fn end(&mut self) -> (String, bool) {
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        (rest, self.child.wait().unwrap().success())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            signal(&self.child, "TERM");
            let _ = self.child.wait();
        }
    }
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let status = Command::new("kill").args(["-s", name, &id]).status();
    assert!(status.unwrap().success());
}

#[test]
fn the_line_to_paste_works_and_each_signal_clears_up() {
    for name in ["INT", "TERM", "HUP"] {
        let directory = temporary();
        let mut running = Running::start(directory.path());
        let psql = running.psql();
        let output = Command::new("sh")
            .args(["-c", &format!("{psql} -X -A -t -c 'SELECT 40 + 2'")])
            .env("HOME", directory.path())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "42\n", "{errors}");
        running.signal(name);
        let (rest, well) = running.end();
        assert!(rest.contains("session of backend"), "{rest}");
        assert!(well, "SIG{name}: {rest}");
        assert_nothing_left(directory.path());
    }
}

#[test]
fn a_signal_in_the_middle_clears_up() {
    let directory = temporary();
    let mut child = demo(directory.path(), &["--once"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait::until("the cluster's directory", wait::LONG, || {
        !is_empty(directory.path())
    });
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(
        said.contains("interrupted; everything that was made is removed"),
        "{said}"
    );
    assert_nothing_left(directory.path());
}

#[test]
fn a_failure_clears_up_and_says_what_to_do() {
    let directory = temporary();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = demo(directory.path(), &["--once", "--port", &port])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("another program has it"), "{said}");
    assert_nothing_left(directory.path());
}

#[test]
fn the_secrets_of_a_demo_are_its_owner_s() {
    use std::os::unix::fs::MetadataExt as _;
    let directory = temporary();
    let mut running = Running::start(directory.path());
    running.psql();
    let inside = fs::read_dir(directory.path())
        .unwrap()
        .flatten()
        .next()
        .unwrap();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().mode() & 0o077;
    for name in [
        "proxy",
        "proxy/pgpass",
        "proxy/server.key",
        "server",
        "server/server.key",
    ] {
        assert_eq!(mode(inside.path().join(name)), 0, "{name}");
    }
    assert!(!inside.path().join("server/password").exists());
    running.signal("INT");
    assert!(running.end().1);
    assert_nothing_left(directory.path());
}
