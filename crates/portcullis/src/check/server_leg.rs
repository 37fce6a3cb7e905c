//! Owns the proof of the server leg: every host of every database and every cluster is reached as the proxy would
//! reach it, and logged in to where the configuration holds what that needs.

use super::CheckFault;
use crate::leg;
use crate::output::say;
use crate::setup::located;
use auth::Credential;
use buf::Secret;
use config::{Config, ServerTrust};
use members::Plan;
use shell::probe::{Login, Probe, Session};
use shell::setup::{self, Cluster, Database, Host, Setup};
use std::time::Duration;
use wire::ProtocolVersion;

/// Tries all servers; gives what failed. The plans are those of the clusters, in order.
pub(super) fn check(config: &Config, setup: &Setup, plans: Vec<Plan>) -> Vec<CheckFault> {
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
                looker: looker(setup),
                database: database_name(database),
            };
            faults.extend(tried.told(trust(listed.tls_of(configured))));
        }
    }
    let clusters = config.clusters.iter().zip(&setup.clusters);
    for ((entry, cluster), plan) in clusters.zip(plans) {
        match hosts(entry, cluster, plan) {
            Ok(hosts) => faults.extend(hosts.iter().filter_map(|(host, tls)| {
                let check = &cluster.check;
                let login = (check.user.name().to_owned(), proof(check.password.as_ref()));
                let tried = Tried {
                    whose: format!("cluster {:?}", cluster.name),
                    host,
                    timeout: check.timeout,
                    login: Some(login),
                    looker: None,
                    database: &check.database,
                };
                tried.told(trust(tls))
            })),
            Err(fault) => {
                say(&format!("\n{}", leg::line("FAILED", &fault.to_string())));
                faults.push(fault);
            }
        }
    }
    faults
}

/// The hosts of a cluster, as they are now, and what is said of the encryption towards each.
fn hosts<'a>(
    entry: &'a config::Cluster,
    cluster: &Cluster,
    plan: Plan,
) -> Result<Vec<(Host, &'a config::ServerTls)>, CheckFault> {
    let found = super::members::ask(entry, plan)?;
    let hosts = found.members.into_iter().map(|it| {
        let host = it.key().to_string();
        let located = located(it);
        let own = cluster.templates.own_of(&located);
        let own = own.and_then(|it| entry.host_tls.get(it));
        let tls = own.map_or(&entry.tls, |it| &it.tls);
        let reached = cluster.templates.at(&located).map(|it| (it, tls));
        reached.map_err(|bad| CheckFault::Unreachable {
            whose: format!("cluster {:?}", cluster.name),
            host,
            cause: bad.to_string(),
        })
    });
    hosts.collect()
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
    /// The role that reads there what views depend on, if it is one of its own.
    looker: Option<(String, Credential)>,
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
        match &self.login {
            Some((role, credential)) => {
                let session = self.log_in((role, credential), "SELECT 1");
                let session = session.map_err(|cause| CheckFault::Login {
                    whose: self.whose.clone(),
                    host: self.host.address.to_string(),
                    role: role.clone(),
                    cause,
                })?;
                leg::session(role, &session)
                    .iter()
                    .for_each(|line| say(line));
            }
            None => {
                let why =
                    "not tried: clients log in as themselves, and their passwords are not here";
                say(&leg::line("login", why));
            }
        }
        if let Some((role, credential)) = &self.looker {
            let read = self.log_in((role, credential), CATALOGS);
            read.map_err(|cause| CheckFault::Catalogs {
                whose: self.whose.clone(),
                host: self.host.address.to_string(),
                role: role.clone(),
                cause,
            })?;
            let found = format!("what they depend on can be read as {role:?}");
            say(&leg::line("views", &found));
        }
        Ok(())
    }

    fn log_in(
        &self,
        (role, credential): (&str, &Credential),
        sql: &str,
    ) -> Result<Session, String> {
        let probe = Probe {
            host: self.host,
            timeout: self.timeout,
        };
        let login = Login {
            user: role,
            credential: credential.clone(),
            database: self.database,
            version: ProtocolVersion::V3_2,
        };
        let session = probe.session(login, sql);
        session.map_err(|fault| leg::cause(&fault))
    }
}

/// Whether the catalogs of views may be read. The server asks for rights before it reads, and here it reads nothing: all
/// of them joined, as an empty one among them would have it do, could take minutes.
const CATALOGS: &str = "SELECT 1 FROM pg_catalog.pg_rewrite, pg_catalog.pg_depend, pg_catalog.pg_class, \
    pg_catalog.pg_namespace, pg_catalog.pg_inherits WHERE false";

/// `policy.catalog_user` and what proves it, where rules see through views.
fn looker(setup: &Setup) -> Option<(String, Credential)> {
    let views = setup.policy.as_ref()?.views.as_ref()?;
    let (user, password) = views.user.as_ref()?;
    Some((user.name().to_owned(), proof(password.as_ref())))
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
