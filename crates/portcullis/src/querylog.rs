//! Owns the query log's place in the process: its file from the configuration, its rules for the shell.

use crate::fault::Fault;
use crate::learner::Learner;
use config::{Audit, Config, LogParameters, LogText, QueryLog, QueryLogFormat, RuleLog};
use journal::{Chained, Form, Journal, OnFull, Resumed, Rotation, Settings, StartFault};
use seal::Recipient;
use session::inspect::Shown;
use shell::setup::{Before, LogRules, Setup};
use std::sync::Arc;

/// The journal of a process, if it has one, for as long as it runs, and what it learns of statements.
#[derive(Clone, Default)]
pub(crate) struct Logs(Option<Begun>, Learner);

/// What takes a restart to change.
#[derive(Clone)]
struct Begun {
    journal: Arc<Journal>,
    audit: Audit,
    on_full: config::OnFull,
    is_sealed: bool,
}

/// Whom records are sealed to; or which key is none.
pub(crate) fn recipients(config: &Config) -> Result<Vec<Recipient>, Vec<Fault>> {
    let texts = configured(config).map_or(&[][..], |log| &log.recipients);
    let read = texts.iter().map(|text| text.parse());
    read.collect::<Result<_, _>>()
        .map_err(|fault| vec![Fault::Recipient(fault)])
}

/// Where an earlier process stopped. For a process that may still read the file.
pub(crate) fn resumed(config: &Config) -> Result<Resumed, Vec<Fault>> {
    match configured(config) {
        Some(log) if log.audit != Audit::Off => journal::resumed(&log.path).map_err(|cause| {
            let path = log.path.clone();
            vec![Fault::Journal(StartFault { path, cause })]
        }),
        _ => Ok(Resumed::default()),
    }
}

impl Logs {
    /// Opens the file and starts the thread, if a query log is configured.
    pub(crate) fn start(config: &Config, resumed: Resumed) -> Result<Logs, Vec<Fault>> {
        let learner = Learner::start(config)?;
        let Some(log) = configured(config) else {
            return Ok(Logs(None, learner));
        };
        let settings = Settings {
            path: log.path.clone(),
            queue_bytes_max: log.queue_bytes_max,
            on_full: match log.on_full {
                config::OnFull::Block => OnFull::Block,
                config::OnFull::DropAndCount => OnFull::DropAndCount,
                config::OnFull::Refuse => OnFull::Refuse,
            },
            rotation: Rotation {
                bytes_max: log.rotate_bytes,
                age_max: log.rotate_interval,
                kept_max: log.rotate_keep,
            },
            recipients: recipients(config)?,
            chain: (log.audit != Audit::Off).then(|| Chained {
                resumed,
                at_once: log.audit == Audit::Before,
                form: form(log),
            }),
        };
        let journal = Journal::start(settings).map_err(|fault| vec![Fault::Journal(fault)])?;
        Ok(Logs(
            Some(Begun {
                journal: Arc::new(journal),
                audit: log.audit,
                on_full: log.on_full,
                is_sealed: !log.recipients.is_empty(),
            }),
            learner,
        ))
    }

    /// Has a setup log, as this configuration says; the file, and what it is, are those of the start.
    pub(crate) fn attach(&self, config: &Config, setup: &mut Setup) {
        self.1.attach(config, setup);
        let (Some(begun), Some(log), Some(inspection)) =
            (&self.0, configured(config), &mut setup.inspection)
        else {
            return;
        };
        let patience = (begun.on_full == config::OnFull::Refuse).then_some(log.audit_timeout);
        // A recipient that waits for a restart doesn't seal anything yet.
        let may_hold_literals = begun.is_sealed || log.recipients.is_empty();
        inspection.log = Some(LogRules {
            journal: Arc::clone(&begun.journal),
            form: form(log),
            starts: log.start_records,
            before: (begun.audit == Audit::Before).then_some(Before { patience }),
            full_text: log.text == LogText::Full && may_hold_literals,
            full_by_rule: config.policy.iter().any(|it| {
                let mut rules = it.rules.iter();
                may_hold_literals && rules.any(|rule| rule.log == RuleLog::Full)
            }),
            parameters: match log.parameters {
                LogParameters::None => None,
                LogParameters::Types => Some(Shown::Types),
                LogParameters::Values if may_hold_literals => Some(Shown::Values),
                LogParameters::Values => Some(Shown::Types),
            },
            slow: log.slow_query,
            sample_ppm: log.sample_per_million,
        });
    }

    /// Begins the file anew, if somebody has moved it away.
    pub(crate) fn reopen(&self) {
        if let Some(Begun { journal, .. }) = &self.0 {
            journal.reopen();
        }
    }

    /// Writes what waits; nothing is logged any more.
    pub(crate) fn end(&self) {
        self.1.end();
        if let Some(Begun { journal, .. }) = &self.0 {
            journal.end();
        }
    }
}

fn form(log: &QueryLog) -> Form {
    match log.format {
        QueryLogFormat::Json => Form::Json,
        QueryLogFormat::Human => Form::Human,
    }
}

fn configured(config: &Config) -> Option<&QueryLog> {
    config.inspection.as_ref()?.log.as_ref()
}
