//! Owns the judgement of `[events]` and `[[webhook]]`.

use super::Judge;
use crate::checked::{Changes, Events, Holds, Webhook};
use crate::conflict::Conflict;
use crate::read::Given;
use crate::sections;
use crate::warning::Weakness;
use std::collections::HashMap;
use std::path::PathBuf;

impl Judge<'_, '_> {
    /// What operators should hear of.
    pub(super) fn events(
        &self,
        events: &sections::Events,
        inspection: &sections::Inspection,
    ) -> Events {
        if events.changes.value && !inspection.statements.value {
            self.conflict(&events.changes, Conflict::ChangesUnseen);
        }
        let changes = events.changes.value.then(|| Changes {
            warmup: events.warmup.value.0.unwrap_or_default(),
            calls_min: events.calls_min.value,
            slower_percent: events.slower_percent.value,
            slower_min: events.slower_min.value,
            errors_min: events.errors_min.value,
            errors_percent: events.errors_percent.value,
            volume_min: events.volume_min.value,
            volume_percent: events.volume_percent.value,
            per_minute_max: events.per_minute_max.value,
        });
        Events {
            kept_max: events.kept_max.value as usize,
            changes,
        }
    }

    /// Who is told of it.
    pub(super) fn webhooks(&self, hooks: &[sections::Webhook]) -> Vec<Webhook> {
        let mut names = HashMap::new();
        let mut checked = Vec::new();
        for hook in hooks {
            match names.get(hook.name.value.as_str()) {
                Some(&first) => self.duplicate(&hook.name, first),
                None => drop(names.insert(hook.name.value.as_str(), hook.name.span)),
            }
            self.http(
                &hook.url,
                &hook.url.value,
                (&hook.plain_http, &hook.ca_file),
            );
            checked.push(Webhook {
                name: hook.name.value.clone(),
                url: hook.url.value.clone(),
                place: self.report.place(hook.url.span, hook.url.key()),
                secret_file: self.file(&hook.secret_file, &hook.secret_file.value, Holds::Password),
                ca_file: self.optional_file(&hook.ca_file, Holds::Authorities),
                kinds: hook.kinds.value.clone().map(|it| it.0),
                timeout: hook.timeout.value,
                retries: hook.retries.value,
                retry_wait: hook.retry_wait.value,
                retry_wait_max: hook.retry_wait_max.value,
                queue_max: hook.queue_max.value as usize,
            });
        }
        checked
    }

    /// Whether a URL may be one of `http`, and is one at all as far as it begins.
    pub(super) fn http<T>(
        &self,
        setting: &Given<T>,
        url: &str,
        (plain, ca_file): (&Given<bool>, &Given<Option<PathBuf>>),
    ) {
        let is_plain = url.starts_with("http://");
        match (is_plain, plain.value) {
            (true, false) => self.conflict(setting, Conflict::PlainHttp),
            (true, true) => self.warn(plain, Weakness::PlainHttp),
            (false, _) if !url.starts_with("https://") => self.conflict(setting, Conflict::NoUrl),
            (false, _) => {}
        }
        if is_plain && ca_file.value.is_some() {
            self.conflict(ca_file, Conflict::AuthorityWithoutTls);
        }
    }
}
