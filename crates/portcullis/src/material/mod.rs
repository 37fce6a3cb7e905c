//! Owns everything that a configuration names but does not hold: TLS contexts, users, passwords.
//! Takes a checked configuration, reads its files and variables, and gives all faults at once.

mod contexts;
mod rules;
mod secrets;

use crate::fault::Fault;
use crate::metrics;
use auth::hba::Hba;
use auth::users::Users;
use buf::Secret;
use config::{Config, Holds, Origin, Source};
use std::collections::HashMap;
use std::fs::File;
use std::time::{SystemTime, UNIX_EPOCH};
use tls::{Dated, ListenerContext, ServerContext};

/// What the files and variables of a configuration hold.
pub(crate) struct Material {
    /// TLS towards clients, unless it is off.
    pub(crate) listener: Option<ListenerContext>,
    /// TLS towards servers, unless it is off: one for each database, in order.
    pub(crate) servers: Vec<Option<ServerContext>>,
    /// Who may log in.
    pub(crate) users: Users,
    /// Who may try, from where; `None`: whoever reaches a listener.
    pub(crate) hba: Option<Hba>,
    /// Passwords by where they come from.
    pub(crate) passwords: HashMap<Origin, Secret>,
}

impl Material {
    /// Reads everything. `now_unix_s` is for warnings about certificates only.
    pub(crate) fn read(config: &Config, now_unix_s: i64) -> Result<Self, Vec<Fault>> {
        let faults = unreadable(&config.sources);
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut faults = Vec::new();
        let listener = contexts::listener(config, now_unix_s).map_err(|it| faults.push(it));
        let servers: Vec<_> = config
            .databases
            .iter()
            .map(|database| contexts::server(config, database, now_unix_s))
            .map(|built| built.map_err(|it| faults.push(it)).ok().flatten())
            .collect();
        let web = metrics_key(config).map_or_else(|| metrics::rehearse(config), Err);
        let _ = web.map_err(|it| faults.push(it));
        let users = secrets::users(config).map_err(|it| faults.extend(it));
        let hba = rules::rules(config).map_err(|it| faults.extend(it));
        let passwords = secrets::passwords(config).map_err(|it| faults.extend(it));
        match (listener, users, hba, passwords) {
            (Ok(listener), Ok(users), Ok(hba), Ok(passwords)) if faults.is_empty() => Ok(Self {
                listener,
                servers,
                users,
                hba,
                passwords,
            }),
            _ => Err(faults),
        }
    }

    /// What the operator should know about certificates that work.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = &tls::Warning> {
        let listener = self.listener.iter().flat_map(|it| it.warnings());
        let servers = self.servers.iter().flatten();
        listener.chain(servers.flat_map(|it| it.warnings()))
    }
}

impl Material {
    /// Until when the certificates of both legs are good; each file once.
    pub(crate) fn certificates(&self) -> Vec<Dated> {
        let listener = self.listener.iter().flat_map(|it| it.certificates());
        let servers = self.servers.iter().flatten();
        let servers = servers.flat_map(|it| it.certificates());
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
        (Origin::File(path), Holds::PrivateKey | Holds::Password | Holds::Users) => {
            secrets::not_private(&source.place, path)
        }
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
        Origin::Env(_) => None,
    }
}

/// The sources of one kind.
fn holding(config: &Config, holds: Holds) -> impl Iterator<Item = &Source> {
    let right = move |source: &&Source| source.holds == holds;
    config.sources.iter().filter(right)
}
