//! Owns the replacement of the configuration while the proxy runs: everything is read, matched and
//! rehearsed before any of it comes into force; on any fault what was in force stays.

mod due;
mod keep;
mod restart;
mod seen;
mod watch;

pub(crate) use keep::Keeper;
pub(crate) use restart::needs_restart;
pub(crate) use seen::Seen;

use crate::alarms::Alarms;
use crate::confine::Fence;
use crate::fault::Fault;
use crate::feeds::Feeds;
use crate::load;
use crate::material::{Commands, Material};
use crate::metrics;
use crate::querylog::Logs;
use crate::run;
use crate::telemetry::Spans;
use config::{Change, Config, Holds, Place, Source, Warning};
use shell::Proxy;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tls::{Dated, Expires};

/// A configuration that is right in itself.
pub(crate) struct Checked {
    /// The configuration.
    pub(crate) config: Config,
    warnings: Vec<Warning>,
}

impl Checked {
    /// Reads it. What was looked at is noted in `seen`, also if it can't be used: the files of the
    /// configuration, or those of `fallback` if it can't be read.
    pub(crate) fn read(
        path: &Path,
        seen: &mut Seen,
        fallback: &[Source],
    ) -> Result<Checked, Vec<Fault>> {
        seen.look(path);
        let checked = load::configuration_with_warnings(path);
        match &checked {
            Ok((config, _)) => seen.look_at_all(&config.sources),
            Err(_) => seen.look_at_all(fallback),
        }
        let (config, warnings) = checked?;
        Ok(Checked { config, warnings })
    }

    /// Reads, matches and rehearses everything that it names.
    pub(crate) fn load(
        self,
        commands: &mut Commands,
        now_unix_s: i64,
    ) -> Result<Loaded, Vec<Fault>> {
        let Checked { config, warnings } = self;
        let material = Material::read_with(&config, commands, now_unix_s)?;
        rehearse(&config, &material)?;
        Ok(Loaded {
            config,
            warnings,
            material,
        })
    }
}

/// A configuration and what its files hold, fit to come into force.
pub(crate) struct Loaded {
    /// The configuration.
    pub(crate) config: Config,
    /// What it weakens.
    warnings: Vec<Warning>,
    /// What its files hold.
    pub(crate) material: Material,
}

impl Loaded {
    /// Tells what the operator should know although it works.
    pub(crate) fn tell_warnings(&self) {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
        for warning in self.material.warnings() {
            // The end of certificates and lists has lines of its own, again and again.
            if !matches!(
                warning,
                tls::Warning::Expired { .. }
                    | tls::Warning::ExpiresSoon { .. }
                    | tls::Warning::CrlExpired { .. }
                    | tls::Warning::CrlExpiresSoon { .. }
            ) {
                tracing::warn!("{warning}");
            }
        }
    }
}

/// A handshake in memory with the certificate that clients are going to see.
fn rehearse(config: &Config, material: &Material) -> Result<(), Vec<Fault>> {
    let first = material
        .listener
        .iter()
        .map(|it| (it, listener_place(config)));
    let further = config.listeners.iter().zip(&material.listeners);
    let further = further.filter_map(|(it, context)| Some((context.as_ref()?, it.place.clone())));
    let failed = first.chain(further).filter_map(|(context, place)| {
        let fault = tls::rehearse(context).err()?;
        Some(Fault::Rehearsal { place, fault })
    });
    let faults: Vec<Fault> = failed.collect();
    match faults.is_empty() {
        true => Ok(()),
        false => Err(faults),
    }
}

/// Where the configuration names the listener's certificate.
fn listener_place(config: &Config) -> Place {
    let ours = |source: &&Source| {
        source.holds == Holds::Certificate && source.place.key.starts_with("listen.tls.")
    };
    let place = config.sources.iter().find(ours).map(|it| it.place.clone());
    place.unwrap_or(Place {
        file: "".into(),
        line: 0,
        column: 0,
        key: "listen.tls".to_owned(),
    })
}

/// A running proxy's configuration.
pub(crate) struct Reloader {
    path: PathBuf,
    /// What the process was started with: what needs a restart is still like this.
    started: Config,
    lasting: run::Lasting,
    /// What files may be read.
    fence: Fence,
    /// Who runs programs.
    commands: Commands,
    /// Where statements are logged.
    logs: Logs,
    /// Who is told of events.
    alarms: Alarms,
    /// Where sessions put spans.
    spans: Spans,
    /// Where members of clusters are looked up.
    feeds: Feeds,
    /// What is in force.
    pub(crate) config: Config,
    /// Its certificates.
    pub(crate) certificates: Vec<Dated>,
    /// Those that stay until a restart.
    fixed: Vec<Dated>,
    /// How the files looked when they were last read.
    pub(crate) seen: Seen,
    /// What was changed by SET since the configuration was last read.
    changes: Vec<Change>,
}

/// Why a setting was not changed.
pub(crate) enum NotSet {
    /// It can't be, or the value doesn't fit.
    Unfit(String),
    /// The configuration with this change can't be used.
    Unusable(Vec<Fault>),
}

impl Reloader {
    /// For a proxy that was started with this configuration.
    pub(crate) fn new(
        path: &Path,
        config: &Config,
        lasting: run::Lasting,
        mut certificates: Vec<Dated>,
    ) -> Reloader {
        let fixed = metrics::certificates(config);
        certificates.extend_from_slice(&fixed);
        Reloader {
            path: path.to_owned(),
            started: config.clone(),
            lasting,
            fence: Fence::default(),
            commands: Commands::Here,
            logs: Logs::default(),
            alarms: Alarms::default(),
            spans: Spans::default(),
            feeds: Feeds::default(),
            config: config.clone(),
            certificates,
            fixed,
            seen: Seen::default(),
            changes: Vec::new(),
        }
    }

    /// From now on within a sandbox.
    pub(crate) fn confined(&mut self, fence: Fence, commands: Commands) {
        self.fence = fence;
        self.commands = commands;
    }

    /// Statements are logged there from now on.
    pub(crate) fn logs_to(&mut self, logs: Logs) {
        self.logs = logs;
    }

    /// Who is told of events is reached through this, and spans go there.
    pub(crate) fn tells(&mut self, alarms: Alarms, spans: Spans) {
        self.alarms = alarms;
        self.spans = spans;
    }

    /// Members of clusters are looked up there.
    pub(crate) fn feeds_from(&mut self, feeds: Feeds) {
        self.feeds = feeds;
    }

    /// Changes one setting of the configuration in force until that is read anew.
    pub(crate) fn set(
        &mut self,
        proxy: &Proxy,
        (key, value): (&str, &str),
        now_unix_s: i64,
    ) -> Result<(), NotSet> {
        let unfit = |reason: &dyn std::fmt::Display| NotSet::Unfit(reason.to_string());
        let change = Change::of(key, value).map_err(|fault| unfit(&fault))?;
        let path = change.path();
        if needs_restart(&path) {
            let text = "changing it takes a restart; change the configuration file";
            return Err(unfit(&text));
        }
        let mut changes = self.changes.clone();
        changes.retain(|it| it.path() != path);
        changes.push(change);
        let text = Arc::clone(&self.config.text);
        let read = Config::from_text_with(&text, &self.path.to_string_lossy(), &changes);
        let (config, warnings) = read.map_err(|invalid| {
            let why = invalid.errors.into_iter().next();
            let why = why.map(|it| format!("{}: {}", it.place.key, it.problem));
            NotSet::Unfit(why.unwrap_or_default())
        })?;
        let before = self.seen.clone();
        self.seen.look_at_all(&config.sources);
        let checked = Checked { config, warnings };
        match self.put_in_force(checked, proxy, now_unix_s) {
            Ok(_) => {
                self.changes = changes;
                Ok(())
            }
            Err(faults) => {
                // What has changed there meanwhile is still to be noticed.
                self.seen = before;
                Err(NotSet::Unusable(faults))
            }
        }
    }

    /// Reads everything anew and puts it in force, or gives every reason why not. Gives the names
    /// of changed settings that wait for a restart.
    pub(crate) fn reload(
        &mut self,
        proxy: &Proxy,
        now_unix_s: i64,
    ) -> Result<Vec<&'static str>, Vec<Fault>> {
        self.seen = Seen::default();
        let fallback = &self.config.sources;
        let read = Checked::read(&self.path, &mut self.seen, fallback)?;
        let waiting = self.put_in_force(read, proxy, now_unix_s)?;
        self.logs.reopen();
        for change in self.changes.drain(..) {
            let setting = change.path();
            tracing::info!(target: "portcullis::reload", setting, "what SET had changed is as in the file again");
        }
        Ok(waiting)
    }

    fn put_in_force(
        &mut self,
        read: Checked,
        proxy: &Proxy,
        now_unix_s: i64,
    ) -> Result<Vec<&'static str>, Vec<Fault>> {
        self.fence.admits(&read.config)?;
        let loaded = read.load(&mut self.commands, now_unix_s)?;
        let mut certificates = loaded.material.certificates();
        certificates.extend_from_slice(&self.fixed);
        self.stays_valid(&loaded, now_unix_s)?;
        loaded.tell_warnings();
        let Loaded {
            config,
            mut material,
            ..
        } = loaded;
        let receivers = std::mem::take(&mut material.receivers);
        let sources = std::mem::take(&mut material.sources);
        let mut setup = run::setup_of(&config, material, self.lasting)?;
        let attached = self.feeds.attach(&config, sources, &mut setup);
        attached.map_err(|error| vec![Fault::System(error)])?;
        self.logs.attach(&config, &mut setup);
        self.spans.attach(&mut setup);
        proxy.reload(setup);
        self.alarms.renew(receivers);
        self.config = config;
        self.certificates = certificates;
        Ok(restart::waiting(&self.started, &self.config))
    }

    /// A certificate that works is not replaced by one that has expired. One that expires where it
    /// is keeps nobody from changing something else.
    fn stays_valid(&self, next: &Loaded, now_unix_s: i64) -> Result<(), Vec<Fault>> {
        let material = &next.material;
        let listeners = material
            .listener
            .iter()
            .chain(material.listeners.iter().flatten());
        let is_over = |dated: &&Dated| dated.days_left(now_unix_s) < 0;
        let Some(over) = listeners.flat_map(|it| it.certificates()).find(is_over) else {
            return Ok(());
        };
        match self.certificates.contains(over) {
            true => Ok(()),
            false => Err(vec![Fault::ExpiredAlready {
                place: listener_place(&next.config),
                file: over.of.clone(),
                what: match over.kind {
                    Expires::RevocationList => "revocation list",
                    _ => "certificate",
                },
            }]),
        }
    }
}
