//! A throw-away PostgreSQL cluster: TLS on, scram-sha-256, logical replication
//! possible, nothing synced to disk. Gone with the value, or with the process.

pub mod apart;
mod binaries;
pub mod flock;
mod life;
mod sql;

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use nix::sys::signal::Signal;

use crate::account::Account;
use crate::certificates::{Authority, Certificate, Identity};
use crate::guard::{Guarded, Workplace};
use crate::ports::{self, Reserved};

pub use binaries::Binaries;
pub use sql::Rows;

/// The superuser that `initdb` makes; comes in over the Unix socket without a password.
pub const SUPERUSER: &str = "postgres";

/// TLS only, SCRAM only: what a careful operator would run.
const HBA: &str = "hostssl all all all scram-sha-256\nhostssl replication all all scram-sha-256\n";

/// How a cluster is to be.
#[derive(Clone)]
pub struct ClusterPlan {
    binaries: Binaries,
    authority: Authority,
    certificate: Certificate,
    client_authority: Authority,
    hba: String,
    settings: Vec<(String, String)>,
    ip: Ipv4Addr,
    /// Its own unless it is given one.
    port: Option<Arc<Reserved>>,
    /// It has a network of its own.
    is_apart: bool,
}

impl ClusterPlan {
    /// The plain plan: certificate for `localhost` by a new authority, SCRAM over TLS.
    #[track_caller]
    pub fn new(binaries: Binaries) -> Self {
        let authority = Authority::new("Portcullis test authority");
        Self {
            certificate: authority.issue(&Identity::localhost()),
            client_authority: authority.clone(),
            authority,
            binaries,
            hba: HBA.to_owned(),
            settings: Vec::new(),
            ip: Ipv4Addr::LOCALHOST,
            port: None,
            is_apart: false,
        }
    }

    /// Presents this certificate, issued by that authority.
    pub fn certificate(mut self, authority: &Authority, certificate: &Certificate) -> Self {
        self.authority = authority.clone();
        self.certificate = certificate.clone();
        self
    }

    /// Accepts client certificates of this authority (by default the server's own).
    pub fn client_authority(mut self, authority: &Authority) -> Self {
        self.client_authority = authority.clone();
        self
    }

    /// Lines of pg_hba.conf in place of "hostssl all all all scram-sha-256".
    pub fn hba(mut self, lines: &str) -> Self {
        self.hba = lines.to_owned();
        self
    }

    /// A setting of postgresql.conf, as `name = 'value'`.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Listens there, in place of a port of its own of 127.0.0.1.
    fn at(mut self, ip: Ipv4Addr, port: &Arc<Reserved>) -> Self {
        self.ip = ip;
        self.port = Some(Arc::clone(port));
        self
    }

    /// Has a network of its own, where [`apart::allowed`] says that there can be one.
    fn apart(self) -> Self {
        let port = Arc::new(ports::reserve());
        let plan = self.at(apart::address(port.number), &port);
        // The address is there only once the server runs.
        let plan = plan.set("listen_addresses", "0.0.0.0");
        Self {
            is_apart: true,
            ..plan
        }
    }

    /// Makes the cluster and starts it.
    #[track_caller]
    pub fn start(self) -> Cluster {
        let place = self.place();
        self.initdb(place.path(), &[]);
        let cluster = self.launch(place);
        cluster.await_ready();
        cluster
    }

    /// An empty directory for the cluster.
    #[track_caller]
    fn place(&self) -> Workplace {
        let place = Workplace::new("portcullis-pg-");
        let account = Account::for_server();
        account.own(place.path()).expect("the cluster's owner");
        place
    }

    /// Configures the data directory of this place and starts its server, awaiting nothing.
    #[track_caller]
    fn launch(self, place: Workplace) -> Cluster {
        let given = self.port.as_ref().map(Arc::clone);
        let port = given.unwrap_or_else(|| Arc::new(ports::reserve()));
        let ca_file = self.configure(place.path(), port.number);
        let log = place.path().join("log");
        let command = self.postgres(place.path());
        // SIGQUIT: nothing in the cluster is worth a checkpoint.
        let server = Guarded::start(command, place, &log, Signal::SIGQUIT);
        if self.is_apart {
            apart::join(server.pid(), port.number);
        }
        Cluster {
            server,
            port,
            ca_file,
            log,
            plan: self,
        }
    }

    fn postgres(&self, directory: &Path) -> Command {
        let program = self.binaries.program("postgres");
        let mut command = match self.is_apart {
            true => apart::command(&program),
            false => Account::for_server().command(&program),
        };
        command
            .arg("-D")
            .arg(directory.join("data"))
            .current_dir("/")
            .env("LC_ALL", "C");
        command
    }

    #[track_caller]
    fn initdb(&self, directory: &Path, more: &[&str]) {
        let output = Account::for_server()
            .command(&self.binaries.program("initdb"))
            .args([
                "--no-sync",
                "--no-instructions",
                "--encoding=UTF8",
                "--locale=C",
            ])
            .args(more)
            .args(["--auth=trust", "--username", SUPERUSER, "-D"])
            .arg(directory.join("data"))
            .current_dir("/")
            .output()
            .expect("initdb to run");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "initdb failed: {said}");
    }

    /// Writes the configuration; gives the file with the authority's certificate.
    #[track_caller]
    fn configure(&self, directory: &Path, port: u16) -> PathBuf {
        let files = self.certificate.write(directory, "server");
        let ca_file = self.authority.write(directory, "ca");
        let client_ca = self.client_authority.write(directory, "client-ca");
        let place = |path: &Path| path.display().to_string();
        let own = [
            ("listen_addresses", self.ip.to_string()),
            ("port", port.to_string()),
            ("unix_socket_directories", place(directory)),
            ("unix_socket_permissions", "0700".to_owned()),
            ("ssl", "on".to_owned()),
            ("ssl_cert_file", place(&files.certificate)),
            ("ssl_key_file", place(&files.private_key)),
            ("ssl_ca_file", place(&client_ca)),
            ("password_encryption", "scram-sha-256".to_owned()),
            ("wal_level", "logical".to_owned()),
            ("max_wal_senders", "10".to_owned()),
            ("max_replication_slots", "10".to_owned()),
            ("max_connections", "100".to_owned()),
            ("shared_buffers", "32MB".to_owned()),
            ("fsync", "off".to_owned()),
            ("synchronous_commit", "off".to_owned()),
            ("full_page_writes", "off".to_owned()),
            ("autovacuum", "off".to_owned()),
            ("log_line_prefix", "%m [%p] ".to_owned()),
        ];
        let own = own.iter().map(|(name, value)| (*name, value.as_str()));
        let wished = self
            .settings
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        // The last assignment of a setting wins, so wishes come behind.
        let text: String = own
            .chain(wished)
            .map(|(name, value)| format!("{name} = '{value}'\n"))
            .collect();
        let data = directory.join("data");
        fs::write(data.join("postgresql.conf"), text).expect("postgresql.conf");
        let hba = format!("local all {SUPERUSER} trust\n{}", self.hba);
        fs::write(data.join("pg_hba.conf"), hba).expect("pg_hba.conf");
        let account = Account::for_server();
        account.own(directory).expect("the cluster's owner");
        ca_file
    }
}

/// A running cluster.
pub struct Cluster {
    server: Guarded,
    port: Arc<Reserved>,
    ca_file: PathBuf,
    log: PathBuf,
    plan: ClusterPlan,
}

impl Cluster {
    /// A cluster of the distribution's PostgreSQL, by the plain plan.
    #[track_caller]
    pub fn start() -> Self {
        ClusterPlan::new(Binaries::installed()).start()
    }

    /// A cluster of PostgreSQL 18, by the plain plan.
    #[track_caller]
    pub fn start_18() -> Self {
        ClusterPlan::new(Binaries::version_18()).start()
    }

    /// One cluster of the distribution's PostgreSQL for all tests of this process.
    /// Whoever shares it makes roles and tables of its own names.
    #[track_caller]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// One cluster of PostgreSQL 18 for all tests of this process.
    #[track_caller]
    pub fn shared_18() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(Self::start_18)
    }

    /// Process id of the postmaster.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Where it listens: 127.0.0.1, but for a flock whose members differ in it.
    pub fn ip(&self) -> Ipv4Addr {
        self.plan.ip
    }

    /// Its TCP port there.
    pub fn port(&self) -> u16 {
        self.port.number
    }

    /// `127.0.0.1:<port>`.
    pub fn address(&self) -> String {
        format!("{}:{}", self.ip(), self.port())
    }

    /// PEM file of the authority that issued the server's certificate.
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// The authority that issued the server's certificate.
    pub fn authority(&self) -> &Authority {
        &self.plan.authority
    }

    /// The server's certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.plan.certificate
    }

    /// The server's programs.
    pub fn binaries(&self) -> &Binaries {
        &self.plan.binaries
    }

    /// Path of the Unix-domain socket, open to the superuser without a password.
    pub fn socket(&self) -> PathBuf {
        self.server
            .directory()
            .join(format!(".s.PGSQL.{}", self.port.number))
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        fs::read(&self.log).map_or_else(|_| String::new(), |text| lossy(&text))
    }

    /// Runs a query as superuser in database `postgres`; panics on an error.
    #[track_caller]
    pub fn sql(&self, query: &str) -> Rows {
        self.sql_in("postgres", query)
    }

    /// Runs a query as superuser in the given database; panics on an error.
    #[track_caller]
    pub fn sql_in(&self, database: &str, query: &str) -> Rows {
        sql::run(&self.socket(), database, query)
    }

    /// Makes a role that may log in, with this password.
    #[track_caller]
    pub fn make_role(&self, role: &str, password: &str) {
        self.sql(&format!(
            "CREATE ROLE \"{role}\" LOGIN PASSWORD '{password}'"
        ));
    }

    /// Makes a database owned by the role.
    #[track_caller]
    pub fn make_database(&self, database: &str, owner: &str) {
        self.sql(&format!("CREATE DATABASE \"{database}\" OWNER \"{owner}\""));
    }

    /// A program of the client (psql, pgbench, pg_basebackup) from the distribution.
    #[track_caller]
    pub fn client_program(name: &str) -> Command {
        Command::new(Binaries::installed().program(name))
    }
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}
