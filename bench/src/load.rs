//! What clients do to a proxy: pgbench and psql with verified TLS 1.3, as child processes.

use crate::contender::Contender;
use crate::process::Usage;
use crate::scene::{PASSWORD, ROLE, Scene};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use testkit::{Cluster, wait};

/// How pgbench sends its query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Parse once, then Bind, Describe, Execute and Sync.
    Prepared,
    /// Parse, Bind, Describe, Execute and Sync each time.
    Extended,
    /// Query.
    Simple,
}

impl Mode {
    /// pgbench's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Extended => "extended",
            Self::Simple => "simple",
        }
    }
}

/// A fixed amount of work, for whatever counts.
#[derive(Debug, Clone, Copy)]
pub enum Work {
    /// This many select-only transactions of one client.
    Transactions(Mode, u64),
    /// Select-only transactions of so many clients, so many of them all together.
    Crowded(Mode, u64, u64),
    /// Transactions of five statements, two of which write; of so many clients, so many of them
    /// all together.
    Updates(Mode, u64, u64),
    /// This many times connect, one select, disconnect.
    Connects(u64),
    /// This many bytes of rows to the client.
    CopyOut(u64),
    /// This many bytes of rows to the server.
    CopyIn(u64),
}

impl Work {
    /// True unless it writes to tables.
    pub fn only_reads(self) -> bool {
        !matches!(self, Self::Updates(..) | Self::CopyIn(_))
    }

    /// Does it, to the end.
    #[track_caller]
    pub fn run(self, scene: &Scene, contender: &Contender) {
        let mut command = match self {
            Self::Transactions(mode, count) => {
                let mut command = select_only(contender, mode);
                command
                    .arg("--client=1")
                    .arg(format!("--transactions={count}"));
                command
            }
            Self::Crowded(mode, clients, count) => {
                let mut command = select_only(contender, mode);
                share(&mut command, clients, count);
                command
            }
            Self::Updates(mode, clients, count) => {
                let mut command = builtin(contender, "simple-update", mode);
                share(&mut command, clients, count);
                command
            }
            Self::Connects(count) => {
                let mut command = select_only(contender, Mode::Simple);
                command.args(["--connect", "--client=1"]);
                command.arg(format!("--transactions={count}"));
                command
            }
            Self::CopyOut(bytes) => {
                let query = Scene::rows_query(bytes);
                psql(contender, &format!("\\copy ({query}) to '/dev/null'"))
            }
            Self::CopyIn(bytes) => {
                let file = scene.rows_file(bytes);
                // Rows are parsed but not kept: the server writes nothing.
                let copy = format!("\\copy incoming from '{}' where false", file.display());
                psql(contender, &copy)
            }
        };
        let output = command.output().expect("a client program to run");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {said}");
    }
}

/// What a proxy did in a window of time within a steady load.
pub struct Window {
    /// Latency of each transaction that ended in the window, µs.
    pub latencies_us: Vec<f64>,
    /// Length of the window.
    pub time: Duration,
    /// What the proxy used in it.
    pub usage: Usage,
}

/// Select-only transactions of this many clients, measured for `time` after all have connected.
#[track_caller]
pub fn steady(
    scene: &Scene,
    contender: &Contender,
    mode: Mode,
    clients: u32,
    time: Duration,
) -> Window {
    let directory = scene.directory().join("latency");
    fs::create_dir_all(&directory).expect("a directory for pgbench's logs");
    let mut command = select_only(contender, mode);
    command.arg(format!("--client={clients}"));
    // One second to get going, and one to spare behind the window.
    command.arg(format!("--time={}", time.as_secs() + 2));
    command.arg("--log").current_dir(&directory);
    let mut pgbench = spawn(command);
    let log = directory.join(format!("pgbench_log.{}", pgbench.id()));
    // pgbench connects all clients before the first transaction.
    let started = || fs::metadata(&log).is_ok_and(|file| file.len() > 0);
    wait::until("pgbench's first transactions", wait::LONG, started);
    let (before, from) = (Usage::of(contender.pid()), SystemTime::now());
    pause(time);
    let (after, to) = (Usage::of(contender.pid()), SystemTime::now());
    let status = pgbench.wait().expect("pgbench to end");
    assert!(status.success(), "pgbench failed: {status}");
    let latencies_us = latencies(&log, since_epoch_us(from)..since_epoch_us(to));
    fs::remove_file(&log).expect("pgbench's log removed");
    Window {
        latencies_us,
        time: to.duration_since(from).expect("a clock that goes forward"),
        usage: after.since(before),
    }
}

/// Lines "client number time_us script epoch_s epoch_us"; the last two are the transaction's end.
fn latencies(log: &Path, window: std::ops::Range<u128>) -> Vec<f64> {
    let text = fs::read_to_string(log).expect("pgbench's log");
    let parse = |line: &str| {
        let mut fields = line.split_whitespace();
        let latency_us: f64 = fields.nth(2)?.parse().ok()?;
        let seconds: u128 = fields.nth(1)?.parse().ok()?;
        let micros: u128 = fields.next()?.parse().ok()?;
        window
            .contains(&(seconds * 1_000_000 + micros))
            .then_some(latency_us)
    };
    text.lines().filter_map(parse).collect()
}

fn since_epoch_us(time: SystemTime) -> u128 {
    let since = time.duration_since(UNIX_EPOCH);
    since.expect("a clock behind 1970").as_micros()
}

/// Clients that each ran one transaction and now do nothing. Gone with the value.
pub struct Idle(Child);

impl Idle {
    /// Connects them, and waits until each has had its answer.
    #[track_caller]
    pub fn start(scene: &Scene, contender: &Contender, clients: u32) -> Self {
        let script = scene.directory().join("idle.sql");
        fs::write(&script, "SELECT 'idle';\n\\sleep 1800 s\n").expect("a script for pgbench");
        let mut command = client(contender, "pgbench");
        command.args([
            "--no-vacuum",
            "--jobs=1",
            "--transactions=1",
            "--protocol=prepared",
        ]);
        command.arg("--file").arg(&script);
        command.arg(format!("--client={clients}"));
        let mut idle = Self(spawn(command));
        let wanted = clients.to_string();
        let limit = Duration::from_secs(300);
        wait::until("all clients' first transaction", limit, || {
            let count = "SELECT count(*) FROM pg_stat_activity \
                WHERE query LIKE 'SELECT ''idle''%' AND state = 'idle'";
            let ended = idle.0.try_wait().expect("pgbench's state");
            assert!(ended.is_none(), "pgbench ended: {ended:?}");
            let rows = scene.cluster.sql(count);
            rows[0][0].as_deref() == Some(wanted.as_str())
        });
        idle
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Lets time pass.
pub fn pause(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        thread::park_timeout(left);
    }
}

fn select_only(contender: &Contender, mode: Mode) -> Command {
    builtin(contender, "select-only", mode)
}

/// One of pgbench's own scripts.
fn builtin(contender: &Contender, script: &str, mode: Mode) -> Command {
    let mut command = client(contender, "pgbench");
    command.args(["--no-vacuum", "--jobs=1"]);
    command.arg(format!("--builtin={script}"));
    command.arg(format!("--protocol={}", mode.name()));
    command
}

/// So many transactions, divided by so many clients.
fn share(command: &mut Command, clients: u64, count: u64) {
    command.arg(format!("--client={clients}"));
    command.arg(format!("--transactions={}", count / clients));
}

fn psql(contender: &Contender, order: &str) -> Command {
    let mut command = client(contender, "psql");
    command.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]);
    command.arg("--command").arg(order);
    command
}

fn client(contender: &Contender, program: &str) -> Command {
    let ca_file: PathBuf = contender.ca_file();
    let mut command = Cluster::client_program(program);
    command
        .env("PGHOST", "localhost")
        .env("PGHOSTADDR", "127.0.0.1")
        .env("PGPORT", contender.port().to_string())
        .env("PGUSER", ROLE)
        .env("PGPASSWORD", PASSWORD)
        .env("PGDATABASE", ROLE)
        .env("PGGSSENCMODE", "disable")
        .env("PGSSLMODE", "verify-full")
        .env("PGSSLROOTCERT", ca_file)
        .env("PGSSLMINPROTOCOLVERSION", "TLSv1.3");
    command
}

fn spawn(mut command: Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().expect("a client program to run")
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::guard::Workplace;

    #[test]
    fn only_what_ends_within_the_window_counts() {
        let place = Workplace::new("bench-log-");
        let log = place.path().join("pgbench_log.1");
        let text = "0 1 70 0 100 999999\n0 2 80 0 101 0\n0 3 90 0 101 5\n0 4 60 0 102 0\n";
        fs::write(&log, text).unwrap();
        assert_eq!(latencies(&log, 101_000_000..102_000_000), [80.0, 90.0]);
    }
}
