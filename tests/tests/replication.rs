//! Replication connections, physical and logical, of both servers, through the proxy.
//! The tools are those of the distribution, whose version must match the server's for
//! `pg_basebackup` and `pg_receivewal`; logical replication works across versions.

use std::fs;
use std::process::{Child, Stdio};

use e2e::drivers::Endpoint;
use e2e::{Program, Stage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use testkit::{Cluster, wait};

#[track_caller]
fn replicator(cluster: &Cluster, role: &str) -> Endpoint {
    let direct = Endpoint::direct(cluster, role);
    cluster.sql(&format!("ALTER ROLE {role} REPLICATION"));
    direct
}

/// A tool that streams until it is told to stop.
struct Streaming(Child);

impl Streaming {
    fn start(program: Program) -> Self {
        let mut command = program.into_command();
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        Self(command.spawn().expect("the tool"))
    }

    #[track_caller]
    fn stop(self) {
        let pid = i32::try_from(self.0.id()).expect("a process id");
        kill(Pid::from_raw(pid), Signal::SIGINT).expect("SIGINT");
        let output = self.0.wait_with_output().expect("the tool's end");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}\n{said}", output.status);
    }
}

#[test]
fn pg_basebackup() {
    let cluster = Cluster::shared();
    let direct = replicator(cluster, "backs_up");
    let stage = Stage::before(cluster).user(&direct).start();
    let place = TempDir::new().expect("a directory");
    let backup = place.path().join("backup");
    // The log is streamed over a second connection while the first one copies.
    stage
        .endpoint(&direct)
        .program("pg_basebackup")
        .args(["--checkpoint=fast", "--wal-method=stream", "--no-sync"])
        .args(["--pgdata".as_ref(), backup.as_os_str()])
        .says();
    let verify = stage.endpoint(&direct).program("pg_verifybackup");
    verify.args([&backup]).says();
}

#[test]
fn pg_receivewal() {
    let cluster = Cluster::shared();
    let direct = replicator(cluster, "receives_wal");
    let stage = Stage::before(cluster).user(&direct).start();
    let place = TempDir::new().expect("a directory");
    let endpoint = stage.endpoint(&direct);
    let receiving = Streaming::start(endpoint.program("pg_receivewal").args([
        "--no-sync".as_ref(),
        "--directory".as_ref(),
        place.path().as_os_str(),
    ]));
    let streams =
        "SELECT 1 FROM pg_stat_replication WHERE usename = 'receives_wal' AND state = 'streaming'";
    wait::until("a stream", wait::LONG, || !cluster.sql(streams).is_empty());
    // An empty segment is not switched.
    cluster.sql("SELECT pg_logical_emit_message(false, 'fills', 'a segment')");
    cluster.sql("SELECT pg_switch_wal()");
    // A whole segment has a name without ".partial".
    wait::until("a segment", wait::LONG, || {
        let files = fs::read_dir(place.path()).expect("the directory").flatten();
        files
            .into_iter()
            .any(|file| file.path().extension().is_none())
    });
    receiving.stop();
}

#[test]
fn pg_recvlogical() {
    for (cluster, slot) in [
        (Cluster::shared(), "slot_15"),
        (Cluster::shared_18(), "slot_18"),
    ] {
        let direct = replicator(cluster, "decodes");
        let stage = Stage::before(cluster).user(&direct).start();
        let endpoint = stage.endpoint(&direct);
        let recvlogical = || {
            let program = endpoint.program("pg_recvlogical");
            program.args(["--dbname=decodes", "--slot", slot])
        };
        let create = recvlogical().args(["--create-slot", "--plugin=pgoutput"]);
        create.says();
        endpoint
            .psql(&[
                "CREATE TABLE changes (text text)",
                "CREATE PUBLICATION all_changes FOR ALL TABLES",
            ])
            .complains("must be superuser");
        cluster.sql_in("decodes", "CREATE PUBLICATION changed FOR ALL TABLES");

        let place = TempDir::new().expect("a directory");
        let file = place.path().join("changes");
        let receiving = Streaming::start(
            recvlogical()
                .args([
                    "--start",
                    "--no-loop",
                    "--fsync-interval=0",
                    "--status-interval=1",
                ])
                .args([
                    "--option=proto_version=1",
                    "--option=publication_names=changed",
                ])
                .args(["--file".as_ref(), file.as_os_str()]),
        );
        // Through the proxy as well, and in more than one piece.
        for number in 0..50 {
            let insert =
                format!("INSERT INTO changes VALUES (repeat('change', 10000) || '-{number}-')");
            if number % 10 == 0 {
                endpoint.psql(&[&insert]).says();
            } else {
                cluster.sql_in("decodes", &insert);
            }
        }
        let arrived = |what: &[u8]| {
            let seen = fs::read(&file).unwrap_or_default();
            seen.windows(what.len()).any(|window| window == what)
        };
        wait::until("the changes", wait::LONG, || arrived(b"-49-"));
        assert!(arrived(b"-0-"));
        receiving.stop();
        wait::until("a free slot", wait::LONG, || {
            let query = format!(
                "SELECT 1 FROM pg_replication_slots WHERE slot_name = '{slot}' AND NOT active"
            );
            !cluster.sql(&query).is_empty()
        });
        recvlogical().args(["--drop-slot"]).says();
    }
}

/// The commands of the replication protocol over plain connections: physical and logical.
#[test]
fn replication_commands() {
    for cluster in [Cluster::shared(), Cluster::shared_18()] {
        let direct = replicator(cluster, "identifies");
        let stage = Stage::before(cluster).user(&direct).start();
        for kind in ["true", "database"] {
            let script = "import psycopg, sys\n\
                conn = psycopg.connect(replication=sys.argv[1], autocommit=True)\n\
                result = conn.pgconn.exec_(b'IDENTIFY_SYSTEM')\n\
                print(result.ntuples, result.nfields, result.get_value(0, 3))";
            let said = stage.endpoint(&direct).python(script).args([kind]).says();
            let wanted = match kind {
                "true" => "1 4 None",
                _ => "1 4 b'identifies'",
            };
            assert_eq!(said, wanted);
        }
    }
}

#[test]
fn a_role_without_replication_is_refused_in_the_servers_words() {
    let direct = Endpoint::role(Cluster::shared(), "no_replicator");
    let stage = Stage::before(Cluster::shared()).user(&direct).start();
    let script = "import psycopg; psycopg.connect(replication='true')";
    let complaint = stage.endpoint(&direct).python(script).complains("FATAL");
    assert!(
        complaint.contains("must be superuser or replication role"),
        "{complaint}"
    );
}
