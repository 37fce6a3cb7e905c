//! Owns the judgement of `[inspection]` and `[query_log]`.

use super::Judge;
use crate::checked::{Inspection, QueryLog};
use crate::conflict::Conflict;
use crate::sections;
use crate::warning::Weakness;
use crate::words::{Audit, LogParameters, LogText, OnFull, RuleLog};
use std::time::Duration;

/// What is looked at, if anything is.
pub(super) fn inspection(
    inspection: &sections::Inspection,
    log: Option<QueryLog>,
    has_spans: bool,
) -> Option<Inspection> {
    let is_on = inspection.statements.value || log.is_some() || has_spans;
    is_on.then_some(Inspection {
        log,
        patterns_max: inspection.patterns_max.value as usize,
        patterns_bytes_max: (inspection.patterns_mib_max.value as usize) << 20,
        window: inspection.window.value,
        patterns_exported: inspection.patterns_exported.value as usize,
    })
}

impl Judge<'_, '_> {
    /// The query log, if a file is named.
    pub(super) fn query_log(
        &self,
        log: &sections::QueryLog,
        rules: &[sections::Rule],
    ) -> Option<QueryLog> {
        const KIB: usize = 1 << 10;
        const MIB: u64 = 1 << 20;
        let recipients = log.recipient.value.clone();
        let recipients = recipients.map(|it| it.0).unwrap_or_default();
        let is_plain = recipients.is_empty();
        let is_full = log.text.value == LogText::Full;
        let has_values = log.parameters.value == LogParameters::Values;
        let full_rule = rules.iter().find(|it| it.log.value == RuleLog::Full);
        let may_hold_literals = is_full || has_values || full_rule.is_some();
        if is_plain && !log.plaintext_log.value {
            if is_full {
                self.conflict(&log.text, Conflict::PlaintextLog);
            }
            if has_values {
                self.conflict(&log.parameters, Conflict::PlaintextLog);
            }
            if let Some(rule) = full_rule {
                self.conflict(&rule.log, Conflict::PlaintextLog);
            }
        }
        if log.audit.value == Audit::Before {
            if log.on_full.value == OnFull::DropAndCount {
                self.conflict(&log.audit, Conflict::AuditThatLoses);
            }
            if log.sample_per_million.value < 1_000_000 {
                self.conflict(&log.audit, Conflict::AuditOfSome);
            }
        }
        let path = self.directory.join(log.file.value.as_ref()?);
        if is_plain && may_hold_literals {
            self.warn(&log.plaintext_log, Weakness::PlaintextLog);
        }
        Some(QueryLog {
            path,
            format: log.format.value,
            start_records: log.start_records.value,
            text: log.text.value,
            parameters: log.parameters.value,
            recipients,
            audit: log.audit.value,
            audit_timeout: log.audit_timeout.value,
            slow_query: log.slow_query.value.0.unwrap_or(Duration::ZERO),
            sample_per_million: log.sample_per_million.value,
            on_full: log.on_full.value,
            queue_bytes_max: log.queue_kib.value as usize * KIB,
            rotate_bytes: u64::from(log.rotate_mib.value) * MIB,
            rotate_interval: log.rotate_interval.value.0.unwrap_or(Duration::ZERO),
            rotate_keep: log.rotate_keep.value as usize,
        })
    }
}
