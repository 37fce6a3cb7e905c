//! Owns the judgement of `[opentelemetry]`.

use super::Judge;
use crate::checked::{Holds, OpenTelemetry};
use crate::conflict::Conflict;
use crate::sections;

impl Judge<'_, '_> {
    /// Where spans and metrics go, if a collector is named.
    pub(super) fn telemetry(&self, of: &sections::OpenTelemetry) -> Option<OpenTelemetry> {
        let ca_file = self.optional_file(&of.ca_file, Holds::Authorities);
        let header_file = self.optional_file(&of.header_file, Holds::Password);
        let Some(endpoint) = &of.endpoint.value else {
            for setting in [&of.ca_file, &of.header_file] {
                if setting.written {
                    let (given, missing) = (setting.name(), "endpoint");
                    self.conflict(setting, Conflict::HalfPair { given, missing });
                }
            }
            return None;
        };
        self.http(&of.endpoint, endpoint, (&of.plain_http, &of.ca_file));
        Some(OpenTelemetry {
            endpoint: endpoint.clone(),
            place: self.report.place(of.endpoint.span, of.endpoint.key()),
            ca_file,
            header_file,
            service_name: of.service_name.value.clone(),
            sample_per_million: of.sample_per_million.value,
            unsampled: of.unsampled.value,
            query_text: of.query_text.value,
            batch_max: of.batch_max.value as usize,
            queue_max: of.queue_max.value as usize,
            interval: of.interval.value,
            timeout: of.timeout.value,
        })
    }
}
