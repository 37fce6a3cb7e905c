//! Owns the proof of the server leg: every host of every database is reached as the proxy would
//! reach it, and logged in to where the configuration holds what that needs.

use super::CheckFault;
use crate::leg;
use crate::output::say;
use auth::Credential;
use config::{Config, ServerTrust};
use shell::probe::{Login, Probe};
use shell::setup::{self, Database, Host, Setup};
use wire::ProtocolVersion;

/// Tries all servers; gives what failed.
pub(super) fn check(config: &Config, setup: &Setup) -> Vec<CheckFault> {
    let mut faults = Vec::new();
    for (entry, database) in config.databases.iter().zip(&setup.databases) {
        let name = database.name.as_deref().unwrap_or("*");
        for (configured, host) in entry.hosts.iter().zip(database.servers.listed()) {
            say(&format!(
                "\nserver leg: database {name:?} at {}",
                host.address
            ));
            let tried = Tried {
                name,
                setup,
                database,
                host,
            };
            match tried.reach(trust(entry.tls_of(configured))) {
                Ok(()) => {}
                Err(fault) => {
                    say(&leg::line("FAILED", &fault.to_string()));
                    faults.push(fault);
                }
            }
        }
    }
    faults
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

/// One server of one database.
struct Tried<'a> {
    name: &'a str,
    setup: &'a Setup,
    database: &'a Database,
    host: &'a Host,
}

impl Tried<'_> {
    fn reach(&self, verified: &str) -> Result<(), CheckFault> {
        let probe = Probe {
            host: self.host,
            timeout: self.database.connect_timeout,
        };
        let reached = probe.leg().map_err(|fault| CheckFault::Unreachable {
            database: self.name.to_owned(),
            host: self.host.address.to_string(),
            cause: leg::cause(&fault),
        })?;
        leg::server(&reached, verified)
            .iter()
            .for_each(|line| say(line));
        let Some((role, credential)) = self.credential() else {
            let why = "not tried: clients log in as themselves, and their passwords are not here";
            say(&leg::line("login", why));
            return Ok(());
        };
        let login = Login {
            user: &role,
            credential,
            database: self.database_name(),
            version: ProtocolVersion::V3_2,
        };
        let session = probe.session(login, "SELECT 1");
        let session = session.map_err(|fault| CheckFault::Login {
            database: self.name.to_owned(),
            host: self.host.address.to_string(),
            role: role.clone(),
            cause: leg::cause(&fault),
        })?;
        leg::session(&role, &session)
            .iter()
            .for_each(|line| say(line));
        Ok(())
    }

    /// The role and what proves it: the one for all clients, or else the one of auth_query.
    fn credential(&self) -> Option<(String, Credential)> {
        let proof = |password: &Option<buf::Secret>| match password {
            Some(password) => Credential::Password(password.clone()),
            None => Credential::None,
        };
        match (&self.database.login, &self.setup.auth.query) {
            (setup::Login::Forced { user, password }, _) => {
                Some((user.name().to_owned(), proof(password)))
            }
            (setup::Login::AsClient, Some(query)) => {
                Some((query.user.name().to_owned(), proof(&query.password)))
            }
            (setup::Login::AsClient, None) => None,
        }
    }

    /// For an entry of all names: the database that every cluster has.
    fn database_name(&self) -> &str {
        let named = self.database.dbname.as_deref();
        named
            .or(self.database.name.as_deref())
            .unwrap_or("postgres")
    }
}
