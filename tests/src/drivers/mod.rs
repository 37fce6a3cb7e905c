//! Real drivers, each with one program that uses all it can do. The same programs
//! run against PostgreSQL itself, which proves them, and against the proxy.

pub mod described;
mod pgbench;
pub mod pooled;
mod psql;
mod tokio_client;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::{Cluster, tools};

pub use tokio_client::connect as tokio_connect;
pub use tokio_client::log_in_until;
pub use tokio_client::read as tokio_read;
pub use tokio_client::refusal;
pub use tokio_client::run as tokio_postgres;
pub use tokio_client::tls as tokio_tls;

/// What drivers connect to: PostgreSQL, or the proxy in front of it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Name that the certificate is verified against.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// PEM file of the authority that issued the certificate.
    pub ca_file: PathBuf,
    /// Role.
    pub user: String,
    /// Its password.
    pub password: String,
    /// Database.
    pub database: String,
}

impl Endpoint {
    /// PostgreSQL itself, with a role and a database of its own for these tests.
    #[track_caller]
    pub fn direct(cluster: &Cluster, role: &str) -> Self {
        let endpoint = Self::role(cluster, role);
        cluster.make_database(role, role);
        Self {
            database: role.to_owned(),
            ..endpoint
        }
    }

    /// PostgreSQL itself, with a role of its own in the database `postgres`.
    #[track_caller]
    pub fn role(cluster: &Cluster, role: &str) -> Self {
        let password = format!("password of {role}");
        cluster.make_role(role, &password);
        Self::existing(cluster, role, &password)
    }

    /// Process ids of the role's connections to this cluster.
    #[track_caller]
    pub fn backends(&self, cluster: &Cluster) -> BTreeSet<u32> {
        let query = format!(
            "SELECT pid FROM pg_stat_activity WHERE usename = '{}'",
            self.user
        );
        let pids = cluster.sql(&query).into_iter().flatten().flatten();
        pids.map(|pid| pid.parse().expect("a process id")).collect()
    }

    /// PostgreSQL itself, with a role that the test has made, in the database `postgres`.
    pub fn existing(cluster: &Cluster, role: &str, password: &str) -> Self {
        Self {
            host: "localhost".to_owned(),
            port: cluster.port(),
            ca_file: cluster.ca_file().to_owned(),
            user: role.to_owned(),
            password: password.to_owned(),
            database: "postgres".to_owned(),
        }
    }

    /// The same with another password.
    pub fn with_password(&self, password: &str) -> Self {
        Self {
            password: password.to_owned(),
            ..self.clone()
        }
    }

    /// The same as another user.
    pub fn as_user(&self, user: &str) -> Self {
        Self {
            user: user.to_owned(),
            ..self.clone()
        }
    }

    /// The same role and database behind another port and certificate: the proxy's.
    pub fn through(&self, port: u16, ca_file: &Path) -> Self {
        Self {
            port,
            ca_file: ca_file.to_owned(),
            ..self.clone()
        }
    }

    /// Gives a program libpq's environment variables for a verified connection.
    pub fn command(&self, mut command: Command) -> Command {
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_libpq(name)) {
            command.env_remove(name);
        }
        command
            .env("PGHOST", &self.host)
            .env("PGPORT", self.port.to_string())
            .env("PGSSLMODE", "verify-full")
            .env("PGSSLROOTCERT", &self.ca_file)
            .env("PGUSER", &self.user)
            .env("PGPASSWORD", &self.password)
            .env("PGDATABASE", &self.database)
            .env("PGCONNECT_TIMEOUT", "30");
        command
    }
}

/// The machine's own libpq settings must not leak into a test.
fn is_libpq(name: &std::ffi::OsStr) -> bool {
    name.to_str()
        .is_some_and(|name| name.starts_with("PG") && !name.starts_with("PG_"))
}

/// Runs all drivers, one after the other.
#[track_caller]
pub fn run_drivers(endpoint: &Endpoint) {
    psql(endpoint);
    pgbench(endpoint);
    psycopg(endpoint);
    node_postgres(endpoint);
    tokio_postgres(endpoint);
}

/// psql: simple queries, portals, COPY, large objects, error recovery.
#[track_caller]
pub fn psql(endpoint: &Endpoint) {
    psql::run(endpoint);
}

/// pgbench in its three protocols, and with pipelines.
#[track_caller]
pub fn pgbench(endpoint: &Endpoint) {
    pgbench::run(endpoint);
}

/// psycopg over its own libpq 18, with TLS asked for by SSLRequest.
#[track_caller]
pub fn psycopg(endpoint: &Endpoint) {
    succeed(&mut psycopg_command(endpoint));
}

/// psycopg over its own libpq 18, with direct TLS.
#[track_caller]
pub fn psycopg_direct_tls(endpoint: &Endpoint) {
    succeed(psycopg_command(endpoint).env("PGSSLNEGOTIATION", "direct"));
}

/// One login of psycopg with direct TLS.
#[track_caller]
pub fn psycopg_direct_tls_login(endpoint: &Endpoint) {
    let script = "import psycopg; psycopg.connect().execute('SELECT 1')";
    endpoint
        .python(script)
        .with("PGSSLNEGOTIATION", "direct")
        .says();
}

/// psycopg with one more setting of libpq, such as PGCHANNELBINDING or PGMAXPROTOCOLVERSION.
#[track_caller]
pub fn psycopg_with(endpoint: &Endpoint, variable: &str, value: &str) {
    succeed(psycopg_command(endpoint).env(variable, value));
}

/// node-postgres.
#[track_caller]
pub fn node_postgres(endpoint: &Endpoint) {
    let mut command = endpoint.command(tools::node());
    succeed(command.arg(file("node_postgres_driver.js")));
}

fn psycopg_command(endpoint: &Endpoint) -> Command {
    let mut command = endpoint.command(tools::python());
    // No __pycache__ in the tree.
    command.arg("-B").arg(file("psycopg_driver.py"));
    command
}

/// A file of `tests/drivers`.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("drivers")
        .join(name)
}

/// Runs a program to its end; panics with all it said unless it succeeded. Gives its output.
#[track_caller]
pub fn succeed(command: &mut Command) -> String {
    let output = testkit::program::output(command);
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (said(&output.stdout), said(&output.stderr));
    assert!(
        output.status.success(),
        "{:?} ended with {}\n{out}\n{err}",
        command.get_program(),
        output.status,
    );
    out
}
