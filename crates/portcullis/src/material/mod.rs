//! Owns everything that a configuration names but does not hold: TLS contexts, users, passwords.
//! Takes a checked configuration, reads its files and variables, and gives all faults at once.

mod attendant;
mod command;
mod contexts;
mod passphrase;
mod rules;
mod secrets;
mod sources;
mod statements;

pub(crate) use attendant::{Attendant, serve as attend};
pub(crate) use command::{CommandFault, Commands};
pub(crate) use contexts::{OfCluster, listener_profile};
pub(crate) use statements::rules as rules_about_statements;

use crate::alarms;
use crate::fault::Fault;
use crate::metrics;
use crate::telemetry;
use auth::hba::Hba;
use auth::users::Users;
use buf::Secret;
use config::{Config, Holds, Origin, Source};
use std::collections::HashMap;
use std::fs::File;
use std::time::{SystemTime, UNIX_EPOCH};
use tls::{Dated, ListenerContext, ServerContext};

/// What the files and variables of a configuration hold.
#[derive(Default)]
pub(crate) struct Material {
    /// TLS towards clients, unless it is off.
    pub(crate) listener: Option<ListenerContext>,
    /// Likewise, of the further listeners, in order.
    pub(crate) listeners: Vec<Option<ListenerContext>>,
    /// TLS towards servers, unless it is off: for each database one for each of its hosts, in order.
    pub(crate) servers: Vec<Vec<Option<ServerContext>>>,
    /// TLS towards the hosts of clusters, in order.
    pub(crate) clusters: Vec<OfCluster>,
    /// Where the hosts of clusters are found, in order.
    pub(crate) sources: Vec<members::Plan>,
    /// TLS towards other instances, unless it is off, in order.
    pub(crate) peers: Vec<Option<ServerContext>>,
    /// Who may log in.
    pub(crate) users: Users,
    /// Who may try, from where; `None`: whoever reaches a listener.
    pub(crate) hba: Option<Hba>,
    /// Rules about statements that stand in a file of their own.
    pub(crate) statements: Vec<config::Rule>,
    /// Who is told of events.
    pub(crate) receivers: Vec<webhook::Settings>,
    /// Where spans and metrics go.
    pub(crate) exporter: Option<otlp::Settings>,
    /// Passwords by where they come from.
    pub(crate) passwords: HashMap<Origin, Secret>,
}

impl Material {
    /// Reads everything, and runs programs itself. `now_unix_s` is for warnings about certificates
    /// only.
    pub(crate) fn read(config: &Config, now_unix_s: i64) -> Result<Self, Vec<Fault>> {
        Self::read_with(config, &mut Commands::Here, now_unix_s)
    }

    /// The same, but programs are run by `commands`.
    pub(crate) fn read_with(
        config: &Config,
        commands: &mut Commands,
        now_unix_s: i64,
    ) -> Result<Self, Vec<Fault>> {
        let faults: Vec<Fault> = too_old(config)
            .into_iter()
            .chain(unreadable(&config.sources))
            .collect();
        if !faults.is_empty() {
            return Err(faults);
        }
        let passphrases = passphrase::passphrases(config, commands)?;
        let workshop = contexts::Workshop {
            config,
            passphrases: &passphrases,
            now_unix_s,
        };
        let mut faults = Vec::new();
        let listener = workshop.listener().map_err(|it| faults.push(it));
        let listeners: Vec<_> = config
            .listeners
            .iter()
            .map(|it| workshop.further_listener(it))
            .map(|built| built.map_err(|it| faults.push(it)).ok().flatten())
            .collect();
        let servers: Vec<_> = config
            .databases
            .iter()
            .map(|database| workshop.servers(database))
            .map(|built| built.map_err(|it| faults.push(it)).unwrap_or_default())
            .collect();
        let clusters: Vec<_> = config
            .clusters
            .iter()
            .map(|cluster| workshop.cluster(cluster))
            .map(|built| built.map_err(|it| faults.push(it)).unwrap_or_default())
            .collect();
        let peers: Vec<_> = config
            .peers
            .iter()
            .map(|peer| workshop.peer(peer))
            .map(|built| built.map_err(|it| faults.push(it)).ok().flatten())
            .collect();
        let web = metrics_key(config).map_or_else(|| metrics::rehearse(config), Err);
        let _ = web.map_err(|it| faults.push(it));
        let users = secrets::users(config).map_err(|it| faults.extend(it));
        let hba = rules::rules(config).map_err(|it| faults.extend(it));
        let statements = statements::rules(config).map_err(|it| faults.extend(it));
        let passwords = secrets::passwords(config).map_err(|it| faults.extend(it));
        let receivers = match &passwords {
            Ok(passwords) => alarms::receivers(config, passwords),
            Err(()) => Ok(Vec::new()),
        };
        let receivers = receivers.map_err(|it| faults.extend(it));
        let exporter = match &passwords {
            Ok(passwords) => telemetry::exporter(config, passwords),
            Err(()) => Ok(None),
        };
        let exporter = exporter.map_err(|it| faults.extend(it));
        let sources = match &passwords {
            Ok(passwords) => sources::plans(config, passwords),
            Err(()) => Ok(Vec::new()),
        };
        let sources = sources.map_err(|it| faults.extend(it));
        let told = receivers.and_then(|it| Ok((it, exporter?, sources?)));
        match (listener, users, hba, statements, told, passwords) {
            (
                Ok(listener),
                Ok(users),
                Ok(hba),
                Ok(statements),
                Ok((receivers, exporter, sources)),
                Ok(passwords),
            ) if faults.is_empty() => Ok(Self {
                listener,
                listeners,
                servers,
                clusters,
                sources,
                peers,
                users,
                hba,
                statements,
                receivers,
                exporter,
                passwords,
            }),
            _ => Err(faults),
        }
    }

    /// What the operator should know about certificates that work. Each is said once.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = &tls::Warning> {
        let towards_clients = self.listener.iter().chain(self.listeners.iter().flatten());
        let all = towards_clients.flat_map(|it| it.warnings());
        let towards_servers = self.towards_servers();
        let mut said: Vec<&tls::Warning> = Vec::new();
        all.chain(towards_servers.flat_map(|it| it.warnings()))
            .filter(move |&warning| {
                let first = !said.contains(&warning);
                said.push(warning);
                first
            })
    }

    /// TLS of the connections that begin here.
    fn towards_servers(&self) -> impl Iterator<Item = &ServerContext> {
        let servers = self.servers.iter().flatten().flatten();
        let servers = servers.chain(self.clusters.iter().flat_map(OfCluster::all));
        servers.chain(self.peers.iter().flatten())
    }

    /// When every certificate, revocation list and staple expires, each once.
    pub(crate) fn expiries(&self) -> Vec<&tls::Expiry> {
        let towards_clients = self.listener.iter().chain(self.listeners.iter().flatten());
        let all = towards_clients.flat_map(|it| it.expiries());
        let towards_servers = self.towards_servers();
        let mut expiries: Vec<&tls::Expiry> = Vec::new();
        for expiry in all.chain(towards_servers.flat_map(|it| it.expiries())) {
            if !expiries.contains(&expiry) {
                expiries.push(expiry);
            }
        }
        expiries
    }
}

/// An OpenSSL older than the configuration wants.
fn too_old(config: &Config) -> Option<Fault> {
    let dotted = |(major, minor, patch)| format!("{major}.{minor}.{patch}");
    let (running, wanted) = (tls::library_version(), config.tls.min_openssl);
    (running < wanted).then(|| Fault::OldOpenSsl {
        place: config.tls.place.clone(),
        running: dotted(running),
        wanted: dotted(wanted),
    })
}

impl Material {
    /// Until when the certificates of both legs are good; each file once.
    pub(crate) fn certificates(&self) -> Vec<Dated> {
        let listeners = self.listener.iter().chain(self.listeners.iter().flatten());
        let listener = listeners.flat_map(|it| it.certificates());
        let servers = self.towards_servers().flat_map(|it| it.certificates());
        let mut files: Vec<_> = listener.chain(servers).cloned().collect();
        files.sort_by(|one, other| one.of.cmp(&other.of));
        files.dedup();
        files
    }
}

/// The system's clock, for [`Material::read`].
pub(crate) fn now_unix_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

/// The files that cannot be opened, so that a missing one does not hide the next.
fn unreadable(sources: &[Source]) -> Vec<Fault> {
    let fault = |source: &Source| {
        let Origin::File(path) = &source.from else {
            return None;
        };
        let kind = File::open(path).err()?.kind();
        Some(Fault::Unreadable {
            place: source.place.clone(),
            path: path.clone(),
            kind,
        })
    };
    sources.iter().filter_map(fault).collect()
}

/// The files that cannot be opened, or that others can read although they hold secrets.
pub(crate) fn unusable(sources: &[Source]) -> Vec<Fault> {
    let unprivate = |source: &Source| match (&source.from, source.holds) {
        (
            Origin::File(path),
            Holds::PrivateKey | Holds::Passphrase | Holds::Password | Holds::Users,
        ) => secrets::not_private(&source.place, path),
        _ => None,
    };
    let mut faults = unreadable(sources);
    faults.extend(sources.iter().filter_map(unprivate));
    faults
}

/// What is wrong with the metrics listener's key if others can read it.
fn metrics_key(config: &Config) -> Option<Fault> {
    let key = holding(config, Holds::PrivateKey).find(|it| it.place.key.starts_with("metrics."))?;
    match &key.from {
        Origin::File(path) => secrets::not_private(&key.place, path),
        Origin::Env(_) | Origin::Command(_) => None,
    }
}

/// The sources of one kind.
fn holding(config: &Config, holds: Holds) -> impl Iterator<Item = &Source> {
    let right = move |source: &&Source| source.holds == holds;
    config.sources.iter().filter(right)
}
