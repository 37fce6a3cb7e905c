//! What all measurements share: one cluster with pgbench's tables, one role, one certificate for
//! both proxies, and the file that COPY IN reads.

use crate::options::{Feature, Options};
use std::env;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use testkit::cluster::ClusterPlan;
use testkit::guard::Workplace;
use testkit::{Authority, Binaries, Certificate, Cluster, Identity};

/// The role of every client; also its database.
pub const ROLE: &str = "bench";
/// Of a cluster that lives for minutes on the loopback interface.
pub const PASSWORD: &str = "throw-away";

/// One line of COPY's text format: ten digits, a tab, 88 letters, a newline.
pub const ROW_BYTES: u64 = 100;
const FIRST_ROW: u64 = 1_000_000_000;

/// The cluster and what lies before it.
pub struct Scene {
    /// PostgreSQL with TLS and SCRAM.
    pub cluster: Cluster,
    /// Issued the proxies' certificate.
    pub authority: Authority,
    /// What both proxies present to clients.
    pub certificate: Certificate,
    /// The role's verifier as the server has it, for the proxies' users files.
    pub verifier: String,
    /// Program of Portcullis.
    pub portcullis: PathBuf,
    /// Program of PgBouncer.
    pub pgbouncer: PathBuf,
    /// Worker threads of Portcullis; 0 is one per core.
    pub workers: u32,
    /// What Portcullis does besides.
    pub with: Vec<Feature>,
    place: Workplace,
}

impl Scene {
    /// Starts the cluster and fills it.
    #[track_caller]
    pub fn set(options: &Options) -> Self {
        let cluster = ClusterPlan::new(Binaries::installed())
            .set("max_connections", "1200")
            .set("ssl_min_protocol_version", "TLSv1.3")
            .set("shared_buffers", "64MB")
            .start();
        cluster.make_role(ROLE, PASSWORD);
        cluster.make_database(ROLE, ROLE);
        let found = cluster.sql(&format!(
            "SELECT rolpassword FROM pg_authid WHERE rolname = '{ROLE}'"
        ));
        let authority = Authority::new("Portcullis bench authority");
        let scene = Self {
            certificate: authority.issue(&Identity::localhost()),
            authority,
            verifier: found[0][0].clone().expect("a role with a password"),
            portcullis: options.portcullis.clone().unwrap_or_else(beside),
            pgbouncer: options.pgbouncer.clone(),
            workers: options.workers,
            with: options.with.clone(),
            cluster,
            place: Workplace::new("portcullis-bench-"),
        };
        // Nothing is compared where the program is trained.
        let other = options.train.is_none().then_some(&scene.pgbouncer);
        for program in [&scene.portcullis].into_iter().chain(other) {
            assert!(program.exists(), "no program {}", program.display());
        }
        scene.fill();
        scene
    }

    fn fill(&self) {
        let mut command = Cluster::client_program("pgbench");
        command
            .args(["--initialize", "--quiet", "--scale=1"])
            .args([
                "--host".as_ref(),
                self.cluster
                    .socket()
                    .parent()
                    .expect("a directory")
                    .as_os_str(),
            ]);
        command.arg("--port").arg(self.cluster.port().to_string());
        command.args(["--username", testkit::cluster::SUPERUSER, ROLE]);
        let output = command.output().expect("pgbench to run");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "pgbench --initialize: {said}");
        self.cluster.sql_in(
            ROLE,
            "GRANT SELECT, UPDATE, INSERT ON ALL TABLES IN SCHEMA public TO bench; \
             CREATE TABLE incoming (id bigint, filler text); \
             ALTER TABLE incoming OWNER TO bench",
        );
    }

    /// A directory for the loads' files.
    pub fn directory(&self) -> &Path {
        self.place.path()
    }

    /// A file with this many bytes of rows, for COPY IN. Made once.
    #[track_caller]
    pub fn rows_file(&self, bytes: u64) -> PathBuf {
        let path = self.directory().join(format!("rows-{bytes}"));
        if !path.exists() {
            let file = File::create(&path).expect("a file of rows");
            let mut file = BufWriter::with_capacity(1 << 20, file);
            let filler = "p".repeat(88);
            for row in 0..bytes / ROW_BYTES {
                writeln!(file, "{}\t{filler}", FIRST_ROW + row).expect("a row written");
            }
            file.flush().expect("rows written");
        }
        path
    }

    /// The query that gives the rows of [`rows_file`](Self::rows_file).
    pub fn rows_query(bytes: u64) -> String {
        let last = FIRST_ROW + bytes / ROW_BYTES - 1;
        format!("SELECT row, repeat('p', 88) FROM generate_series({FIRST_ROW}, {last}) row")
    }
}

fn beside() -> PathBuf {
    let own = env::current_exe().expect("the benchmark's own path");
    own.with_file_name("portcullis")
}
