//! Owns the judgement of settings beside each other: sections in, a [`Config`] out, or conflicts.

mod admin;
mod auth;
mod cluster;
mod database;
mod events;
mod inspection;
mod listen;
mod metrics;
mod mirror;
mod peer;
mod pool;
mod route;
mod rules;
mod telemetry;
mod tls;

use crate::change::Change;
use crate::checked::{
    Config, Files, Holds, Invalid, Limits, Log, Origin, Process, Rule, Source, Tcp, Tls,
};
use crate::conflict::Conflict;
use crate::document::{Report, Span};
use crate::error::Problem;
use crate::read::Given;
use crate::sections::{self, Sections};
use crate::shown;
use crate::values::EnvName;
use crate::warning::{Warning, Weakness};
use crate::words::Sandbox;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use toml::de::DeTable;

impl Config {
    /// Reads and checks the text of a configuration file.
    ///
    /// `file_name` is named in every error; relative paths in the file are taken from its
    /// directory. All errors come at once, in the order of the file, except that a file which is
    /// not TOML is not judged further, and a section with a bad setting is not judged beside the
    /// others.
    pub fn from_text(text: &str, file_name: &str) -> Result<(Self, Vec<Warning>), Invalid> {
        Self::from_text_with(text, file_name, &[])
    }

    /// The same, with some settings changed. What is wrong with those stands in the first line.
    pub fn from_text_with<'t>(
        text: &'t str,
        file_name: &str,
        changes: &'t [Change],
    ) -> Result<(Self, Vec<Warning>), Invalid> {
        let report = Report::new(file_name, text);
        let (mut file, mistakes) = DeTable::parse_recoverable(text);
        let mut line = 0;
        for mistake in &mistakes {
            let span = Span(mistake.span().map_or(0, |span| span.start));
            // What follows in the same line mostly follows from it.
            let before = std::mem::replace(&mut line, report.place(span, "").line);
            if line != before {
                let said = mistake.message().replace('\n', ", ");
                report.error(span, "", Problem::Syntax(said));
            }
        }
        if !mistakes.is_empty() {
            let errors = report.conclude::<Self>(None).err().unwrap_or_default();
            let sources = Vec::new();
            return Err(Invalid { errors, sources });
        }
        for change in changes {
            change.apply(file.get_mut());
        }
        let sections = Sections::read(file.get_ref(), &report);
        let judge = Judge {
            report: &report,
            directory: Path::new(file_name).parent().unwrap_or(Path::new("")),
            sources: RefCell::default(),
        };
        let config = judge.config(&sections);
        let mut sources = judge.sources.take();
        sources.sort_by_key(|source| (source.place.line, source.place.column));
        match report.conclude(config) {
            Ok((config, warnings)) => {
                let settings = shown::all(file.get_ref());
                let config = Self {
                    sources,
                    settings,
                    text: text.into(),
                    ..config
                };
                Ok((config, warnings))
            }
            Err(errors) => Err(Invalid { errors, sources }),
        }
    }
}

impl Config {
    /// The rules of another file, which stand behind those of this configuration. What is wrong with them stands at
    /// its place in that file.
    pub fn rules_of(&self, text: &str, file_name: &str) -> Result<Vec<Rule>, Invalid> {
        let report = Report::new(file_name, text);
        let (file, _) = DeTable::parse_recoverable(text);
        for (key, _) in file.get_ref() {
            if key.get_ref() != "rule" {
                let span = Span(key.span().start);
                report.error(
                    span,
                    key.get_ref().as_ref(),
                    Problem::Conflict(Conflict::RulesAlone),
                );
            }
        }
        if let Err(errors) = report.conclude(Some(())) {
            let sources = Vec::new();
            return Err(Invalid { errors, sources });
        }
        // Judged with those in front of them: names, order and numbers are of all.
        let above = format!("{}\n", self.text);
        let lines = above.lines().count();
        let (name, all) = (self.name(), format!("{above}{text}"));
        let (all, _) = Config::from_text(&all, &name).map_err(|mut invalid| {
            for error in &mut invalid.errors {
                if error.place.line > lines {
                    error.place.line -= lines;
                    error.place.file = file_name.into();
                }
            }
            invalid
        })?;
        let own = self.policy.as_ref().map_or(0, |it| it.rules.len());
        let rules = all.policy.map(|it| it.rules).unwrap_or_default();
        Ok(rules.into_iter().skip(own).collect())
    }

    /// The name of its file, as far as a setting tells it.
    fn name(&self) -> String {
        let place = self.sources.first().map(|it| &it.place);
        place.map_or_else(String::new, |it| it.file.to_string())
    }
}

/// Judges sections, and gathers the files and variables that they name.
struct Judge<'r, 't> {
    report: &'r Report<'t>,
    directory: &'r Path,
    sources: RefCell<Vec<Source>>,
}

impl Judge<'_, '_> {
    fn config(&self, sections: &Sections) -> Option<Config> {
        // All parts are judged before any is missed, so that every conflict comes out.
        let listen = match (&sections.listen, &sections.listen_tls) {
            (Some(listen), Some(tls)) => {
                Some(self.listen(listen, (tls, &sections.listen_identities)))
            }
            _ => None,
        };
        let listeners = match &sections.listen {
            Some(listen) => self.listeners(listen, &sections.listeners),
            None => Vec::new(),
        };
        let databases = self.databases(sections);
        let clusters = self.clusters(sections);
        let routes = self.session_routes(sections);
        let peers = self.peers(sections);
        let users = self.users(&sections.users);
        let webhooks = self.webhooks(&sections.webhooks);
        let opentelemetry = sections.opentelemetry.as_ref();
        let opentelemetry = opentelemetry.and_then(|it| self.telemetry(it));
        let auth = listen.as_ref().and_then(|_| self.auth(sections));
        Some(Config {
            listen: listen??,
            listeners,
            tls: self.tls(sections.tls.as_ref()?),
            tcp: tcp(sections.tcp.as_ref()?),
            auth: auth?,
            databases,
            clusters,
            routes,
            users,
            pool: self.pool(sections.pool.as_ref()?, sections),
            peers,
            limits: limits(sections.limits.as_ref()?),
            log: log(sections.log.as_ref()?),
            metrics: self.metrics(sections.metrics.as_ref()?),
            policy: self.policy(sections),
            inspection: inspection::inspection(
                sections.inspection.as_ref()?,
                self.query_log(sections.query_log.as_ref()?, &sections.rules),
                opentelemetry.is_some(),
            ),
            events: self.events(sections.events.as_ref()?, sections.inspection.as_ref()?),
            webhooks,
            opentelemetry,
            admin: self.admin(sections.admin.as_ref()?),
            files: files(sections.files.as_ref()?),
            process: self.process(sections.process.as_ref()?),
            // The caller puts them here, or beside the errors.
            sources: Vec::new(),
            settings: Vec::new(),
            text: "".into(),
        })
    }

    fn tls(&self, tls: &sections::Tls) -> Tls {
        let oldest = &tls.min_openssl;
        Tls {
            rekey_records: tls.rekey_records.value,
            rekey_bytes: tls.rekey_bytes.value,
            rekey_interval: tls.rekey_interval.value.0,
            tls12_limit: tls.tls12_limit.value,
            min_openssl: oldest.value.0,
            place: self.report.place(oldest.span, oldest.key()),
        }
    }

    fn process(&self, process: &sections::Process) -> Process {
        if process.core_dumps.value {
            self.warn(&process.core_dumps, Weakness::CoreDumps);
        }
        if process.sandbox.value != Sandbox::On {
            self.warn(&process.sandbox, Weakness::NoSandbox);
        }
        Process {
            core_dumps: process.core_dumps.value,
            sandbox: process.sandbox.value,
            lock_memory: process.lock_memory.value,
        }
    }

    /// Notes two settings that do not go together, at the one given.
    fn conflict<T>(&self, setting: &Given<T>, conflict: Conflict) {
        let problem = Problem::Conflict(conflict);
        self.report.error(setting.span, setting.key(), problem);
    }

    /// Notes that the mode never reads the setting, if it is written.
    fn unused<T>(&self, setting: &Given<T>, mode: &'static str, instead: &'static str) {
        if setting.written {
            let conflict = Conflict::Unused {
                setting: setting.name(),
                mode,
                instead,
            };
            self.conflict(setting, conflict);
        }
    }

    /// Notes what a setting weakens.
    fn warn<T>(&self, setting: &Given<T>, weakness: Weakness) {
        self.report.warn(setting.span, setting.key(), weakness);
    }

    /// Notes that a setting says what one before it said.
    fn duplicate<T>(&self, setting: &Given<T>, first: Span) {
        let first = self.report.place(first, "").line;
        let problem = Problem::Duplicate { first };
        self.report.error(setting.span, setting.key(), problem);
    }

    /// A path of the file, from the file's directory, noted as something to read.
    fn file<T>(&self, setting: &Given<T>, path: &Path, holds: Holds) -> PathBuf {
        let path = self.directory.join(path);
        self.note(setting, holds, Origin::File(path.clone()));
        path
    }

    fn optional_file(&self, setting: &Given<Option<PathBuf>>, holds: Holds) -> Option<PathBuf> {
        let path = setting.value.as_ref()?;
        Some(self.file(setting, path, holds))
    }

    fn note<T>(&self, setting: &Given<T>, holds: Holds, from: Origin) {
        let place = self.report.place(setting.span, setting.key());
        let source = Source { place, holds, from };
        self.sources.borrow_mut().push(source);
    }

    /// A password from a file or a variable; `user` is the setting without which it is nobody's.
    fn password(
        &self,
        file: &Given<Option<PathBuf>>,
        env: &Given<Option<EnvName>>,
        user: &Given<Option<String>>,
    ) -> Option<Origin> {
        let user_missing = Conflict::PasswordWithoutUser { user: user.name() };
        match (&file.value, &env.value, &user.value) {
            (Some(_), _, None) => self.conflict(file, user_missing),
            (None, Some(_), None) => self.conflict(env, user_missing),
            _ => {}
        }
        self.secret(file, env)
    }

    /// A password from a file or a variable.
    fn secret(
        &self,
        file: &Given<Option<PathBuf>>,
        env: &Given<Option<EnvName>>,
    ) -> Option<Origin> {
        if file.value.is_some() && env.value.is_some() {
            self.conflict(env, Conflict::TwoPasswords);
        }
        if let Some(EnvName(name)) = &env.value {
            self.note(env, Holds::Password, Origin::Env(name.clone()));
            return Some(Origin::Env(name.clone()));
        }
        let path = self.optional_file(file, Holds::Password)?;
        Some(Origin::File(path))
    }
}

fn tcp(tcp: &sections::Tcp) -> Tcp {
    let probes = tcp.tcp_keepcnt.value;
    Tcp {
        keepalive: tcp.tcp_keepalive.value,
        keepidle: tcp.tcp_keepidle.value.0,
        keepintvl: tcp.tcp_keepintvl.value.0,
        keepcnt: (probes > 0).then_some(probes),
    }
}

fn limits(limits: &sections::Limits) -> Limits {
    Limits {
        max_pipeline: limits.max_pipeline.value,
        max_concurrent_logins: limits.max_concurrent_logins.value,
        max_concurrent_logins_per_address: limits.max_concurrent_logins_per_address.value,
        max_pending_logins_per_address: limits.max_pending_logins_per_address.value,
        login_rate: limits.login_rate.value,
        failed_login_rate: limits.failed_login_rate.value,
        cancel_rate: limits.cancel_rate.value,
        cancel_concurrency: limits.cancel_concurrency.value,
        cancel_wait_timeout: limits.cancel_wait_timeout.value,
        suspend_timeout: limits.suspend_timeout.value,
        query_wait_timeout: limits.query_wait_timeout.value,
        query_wait_notify: limits.query_wait_notify.value.0,
    }
}

fn log(log: &sections::Log) -> Log {
    Log {
        format: log.format.value,
        level: log.level.value,
        connections: log.log_connections.value,
        disconnections: log.log_disconnections.value,
        stats: log.stats_period.value.0.filter(|_| log.log_stats.value),
    }
}

fn files(files: &sections::Files) -> Files {
    Files {
        reload: files.reload.value,
        reload_interval: files.reload_interval.value,
        expiry_warning: files.expiry_warning.value,
    }
}
