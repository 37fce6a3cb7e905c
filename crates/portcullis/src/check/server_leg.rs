//! Owns the proof of the server leg: every host of every database and every listed host of every cluster is reached
//! as the proxy would reach it, and logged in to where the configuration holds what that needs.

use super::CheckFault;
use crate::leg;
use crate::output::say;
use auth::Credential;
use buf::Secret;
use config::{Config, ServerTrust};
use shell::probe::{Login, Probe};
use shell::setup::{self, Cluster, Database, Host, MembersPlan, Setup};
use std::time::Duration;
use wire::ProtocolVersion;

/// Tries all servers; gives what failed.
pub(super) fn check(config: &Config, setup: &Setup) -> Vec<CheckFault> {
    let mut faults = Vec::new();
    for (entry, database) in config.databases.iter().zip(&setup.databases) {
        let Some(listed) = entry.listed() else {
            continue;
        };
        let name = database.name.as_deref().unwrap_or("*");
        for (configured, host) in listed.hosts.iter().zip(database.servers.listed()) {
            let tried = Tried {
                whose: format!("database {name:?}"),
                host,
                timeout: database.connect_timeout,
                login: credential(setup, database),
                database: database_name(database),
            };
            faults.extend(tried.told(trust(listed.tls_of(configured))));
        }
    }
    for (entry, cluster) in config.clusters.iter().zip(&setup.clusters) {
        for host in hosts(cluster) {
            let check = &cluster.check;
            let tried = Tried {
                whose: format!("cluster {:?}", cluster.name),
                host: &host,
                timeout: check.timeout,
                login: Some((check.user.name().to_owned(), proof(check.password.as_ref()))),
                database: &check.database,
            };
            faults.extend(tried.told(trust(&entry.tls)));
        }
    }
    faults
}

/// The hosts of a cluster that are known beforehand. Their names were read as names of hosts already.
fn hosts(cluster: &Cluster) -> Vec<Host> {
    let MembersPlan::Listed(members) = &cluster.members else {
        return Vec::new();
    };
    let hosts = members.iter().map(|it| cluster.template.at(it));
    hosts.filter_map(Result::ok).collect()
}

/// How the mode of an entry verifies, in words.
fn trust(tls: &config::ServerTls) -> &'static str {
    let config::ServerTls::On(tls) = tls else {
        return "not at all: mode = \"disable\"";
    };
    match &tls.trust {
        ServerTrust::AnyOrPlaintext => "not at all: mode = \"prefer\"",
        ServerTrust::Any => "not at all: mode = \"require\"",
        ServerTrust::Authority(_) => "authority (mode = \"verify-ca\"); the name was not checked",
        ServerTrust::Pinned(_) => "SHA-256 (mode = \"pin\")",
        ServerTrust::AuthorityAndName(_) => "authority and name (mode = \"verify-full\")",
    }
}

/// One server of a database or a cluster.
struct Tried<'a> {
    whose: String,
    host: &'a Host,
    timeout: Duration,
    /// The role, and what proves it; `None`: only clients can log in.
    login: Option<(String, Credential)>,
    database: &'a str,
}

impl Tried<'_> {
    /// Reaches it, and says what came of that.
    fn told(self, verified: &str) -> Option<CheckFault> {
        let address = &self.host.address;
        say(&format!("\nserver leg: {} at {address}", self.whose));
        let fault = self.reach(verified).err()?;
        say(&leg::line("FAILED", &fault.to_string()));
        Some(fault)
    }

    fn reach(self, verified: &str) -> Result<(), CheckFault> {
        let probe = Probe {
            host: self.host,
            timeout: self.timeout,
        };
        let reached = probe.leg().map_err(|fault| CheckFault::Unreachable {
            whose: self.whose.clone(),
            host: self.host.address.to_string(),
            cause: leg::cause(&fault),
        })?;
        leg::server(&reached, verified)
            .iter()
            .for_each(|line| say(line));
        let Some((role, credential)) = self.login else {
            let why = "not tried: clients log in as themselves, and their passwords are not here";
            say(&leg::line("login", why));
            return Ok(());
        };
        let login = Login {
            user: &role,
            credential,
            database: self.database,
            version: ProtocolVersion::V3_2,
        };
        let session = probe.session(login, "SELECT 1");
        let session = session.map_err(|fault| CheckFault::Login {
            whose: self.whose,
            host: self.host.address.to_string(),
            role: role.clone(),
            cause: leg::cause(&fault),
        })?;
        leg::session(&role, &session)
            .iter()
            .for_each(|line| say(line));
        Ok(())
    }
}

/// The role and what proves it: the one for all clients, or else the one of auth_query.
fn credential(setup: &Setup, database: &Database) -> Option<(String, Credential)> {
    match (&database.login, &setup.auth.query) {
        (setup::Login::Forced { user, password }, _) => {
            Some((user.name().to_owned(), proof(password.as_ref())))
        }
        (setup::Login::AsClient, Some(query)) => {
            Some((query.user.name().to_owned(), proof(query.password.as_ref())))
        }
        (setup::Login::AsClient, None) => None,
    }
}

fn proof(password: Option<&Secret>) -> Credential {
    match password {
        Some(password) => Credential::Password(password.clone()),
        None => Credential::None,
    }
}

/// For an entry of all names: the database that every cluster has.
fn database_name(database: &Database) -> &str {
    let named = database.dbname.as_deref();
    named.or(database.name.as_deref()).unwrap_or("postgres")
}
