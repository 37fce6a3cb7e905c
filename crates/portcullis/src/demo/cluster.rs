//! Owns a throw-away PostgreSQL cluster: TLS and SCRAM only, nothing synced to disk, stopped with
//! the value.

use super::account::Account;
use super::place::{Place, write};
use super::postgres::Postgres;
use super::{DemoFault, child};
use crate::interrupt::Interrupt;
use buf::Secret;
use nix::sys::signal::Signal;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};
use tls::mint::Minted;

/// The one role; a superuser of a cluster that nobody else reaches.
pub(crate) const ROLE: &str = "demo";
/// The one database.
pub(crate) const DATABASE: &str = "postgres";

const INITDB: Duration = Duration::from_secs(60);
const START: Duration = Duration::from_secs(30);
/// Ports that are tried: a free one may be taken before PostgreSQL gets to it.
const TRIES: usize = 3;

/// TLS and SCRAM, whoever comes.
const HBA: &str = "hostssl all all 127.0.0.1/32 scram-sha-256\n";

/// A running cluster.
pub(crate) struct Cluster {
    child: Child,
    /// On 127.0.0.1.
    pub(crate) port: u16,
}

/// What a cluster is made from.
pub(crate) struct Plan<'a> {
    /// The programs.
    pub(crate) postgres: &'a Postgres,
    /// Who runs them.
    pub(crate) account: &'a Account,
    /// Where.
    pub(crate) place: &'a Place,
    /// The server's certificate and key.
    pub(crate) identity: &'a Minted,
    /// The password of [`ROLE`].
    pub(crate) password: &'a Secret,
}

impl Plan<'_> {
    /// Makes the cluster and starts it.
    pub(crate) fn start(&self, interrupt: &Interrupt) -> Result<Cluster, DemoFault> {
        self.initdb(interrupt)?;
        self.write_settings()?;
        let mut tries = 1;
        loop {
            match self.serve(interrupt) {
                Err(DemoFault::Failed { .. }) if tries < TRIES => tries += 1,
                other => return other,
            }
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.place.server().join(name)
    }

    /// A file of the server's.
    fn give(&self, name: &str, content: &[u8], mode: u32) -> Result<PathBuf, DemoFault> {
        let path = self.at(name);
        write(&path, content, mode)?;
        let given = self.account.own(&path);
        given.map_err(DemoFault::file("give away", &path))?;
        Ok(path)
    }

    fn initdb(&self, interrupt: &Interrupt) -> Result<(), DemoFault> {
        let password = self.give("password", self.password.expose(), 0o600)?;
        let mut command = self.account.command(&self.postgres.program("initdb"));
        command
            .args(["--no-sync", "--encoding=UTF8", "--locale=C"])
            .args(["--auth=scram-sha-256", "--username", ROLE, "--pwfile"])
            .arg(&password)
            .arg("--pgdata")
            .arg(self.at("data"));
        let log = self.at("initdb.log");
        child::finish("initdb", command, &log, INITDB, interrupt)?;
        fs::remove_file(&password).map_err(DemoFault::file("remove", &password))
    }

    fn write_settings(&self) -> Result<(), DemoFault> {
        let certificate = self.give("server.crt", &self.identity.certificate, 0o644)?;
        let key = self.give("server.key", self.identity.private_key.expose(), 0o600)?;
        let directory = self.place.server();
        let settings = [
            ("listen_addresses", "127.0.0.1".to_owned()),
            ("unix_socket_directories", directory.display().to_string()),
            ("unix_socket_permissions", "0700".to_owned()),
            ("ssl", "on".to_owned()),
            ("ssl_cert_file", certificate.display().to_string()),
            ("ssl_key_file", key.display().to_string()),
            ("password_encryption", "scram-sha-256".to_owned()),
            ("max_connections", "20".to_owned()),
            ("shared_buffers", "16MB".to_owned()),
            ("fsync", "off".to_owned()),
            ("synchronous_commit", "off".to_owned()),
            ("full_page_writes", "off".to_owned()),
        ];
        let text: String = settings
            .iter()
            .map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''")))
            .collect();
        for (name, text) in [("postgresql.conf", text.as_str()), ("pg_hba.conf", HBA)] {
            let path = self.at("data").join(name);
            fs::write(&path, text).map_err(DemoFault::file("write", &path))?;
        }
        Ok(())
    }

    fn serve(&self, interrupt: &Interrupt) -> Result<Cluster, DemoFault> {
        let port = free_port()?;
        let mut command = self.account.command(&self.postgres.program("postgres"));
        command.arg("-D").arg(self.at("data"));
        command.args(["-p", &port.to_string()]);
        let log = self.at("log");
        let child = child::start(command, &log)?;
        let mut cluster = Cluster { child, port };
        let status = self.at("data/postmaster.pid");
        let deadline = Instant::now() + START;
        loop {
            // Line 8 is the server's state (miscadmin.h, LOCK_FILE_LINE_PM_STATUS).
            let text = fs::read_to_string(&status).unwrap_or_default();
            if text
                .lines()
                .nth(7)
                .is_some_and(|state| state.trim() == "ready")
            {
                return Ok(cluster);
            }
            let program = "postgres";
            if cluster.child.try_wait()?.is_some() {
                let said = child::said(&log);
                return Err(DemoFault::Failed { program, said });
            }
            if interrupt.pause(Duration::from_millis(20)) {
                return Err(DemoFault::Interrupted);
            }
            if Instant::now() >= deadline {
                let (limit_s, said) = (START.as_secs(), child::said(&log));
                return Err(DemoFault::Slow {
                    program,
                    limit_s,
                    said,
                });
            }
        }
    }
}

/// A port of 127.0.0.1 that is free at this moment.
fn free_port() -> Result<u16, DemoFault> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // "Immediate shutdown" (manual, "Shutting Down the Server"): nothing here is worth keeping.
        child::end(&mut self.child, Signal::SIGQUIT);
    }
}
