//! Owns the place of OpenTelemetry in the process: its settings from the configuration, its queue, its exporter.

use crate::alarms::authorities;
use crate::fault::{Fault, RemoteProblem};
use crate::metrics::{Beside, Seen};
use buf::Secret;
use config::{Config, OpenTelemetry, Origin};
use fetch::header::HeaderName;
use otlp::{Exporter, Settings, Watch};
use shell::Proxy;
use shell::setup::Setup;
use std::collections::HashMap;
use trace::{Receiver, Sender};

/// Where sessions put spans, for as long as the process runs.
#[derive(Clone, Default)]
pub(crate) struct Spans(Option<Sender>);

impl Spans {
    /// The queue, if a collector is configured.
    pub(crate) fn prepare(config: &Config) -> (Spans, Option<Receiver>) {
        let queue = config
            .opentelemetry
            .as_ref()
            .map(|it| trace::queue(it.queue_max));
        let (sender, receiver) = queue.unzip();
        (Spans(sender), receiver)
    }

    /// Has a setup's sessions put them there.
    pub(crate) fn attach(&self, setup: &mut Setup) {
        if let Some(inspection) = &mut setup.inspection {
            inspection.spans.clone_from(&self.0);
        }
    }

    /// Starts the export. `beside` is what is counted beside the proxy.
    pub(crate) fn export(
        &self,
        (settings, receiver): (Option<Settings>, Option<Receiver>),
        proxy: &Proxy,
        beside: Beside,
    ) -> Result<Option<Exporter>, Vec<Fault>> {
        let (Some(sender), Some(settings), Some(receiver)) = (&self.0, settings, receiver) else {
            return Ok(None);
        };
        let seen = Seen::of(proxy, beside);
        let queue = (sender.clone(), receiver);
        let exporter = Exporter::start(settings, queue, move || seen.families());
        exporter
            .map(Some)
            .map_err(|error| vec![Fault::System(error)])
    }
}

/// The counts of an export, if there is one.
pub(crate) fn watch(exporter: Option<&Exporter>) -> Watch {
    exporter.map(Exporter::watch).unwrap_or_default()
}

/// How the collector is reached, if there is one, or what is wrong with that.
pub(crate) fn exporter(
    config: &Config,
    passwords: &HashMap<Origin, Secret>,
) -> Result<Option<Settings>, Vec<Fault>> {
    let Some(of) = &config.opentelemetry else {
        return Ok(None);
    };
    let settings = settings(of, passwords).map_err(|problem| {
        vec![Fault::Remote {
            place: of.place.clone(),
            problem,
        }]
    })?;
    Ok(Some(settings))
}

fn settings(
    of: &OpenTelemetry,
    passwords: &HashMap<Origin, Secret>,
) -> Result<Settings, RemoteProblem> {
    let line = of.header_file.clone();
    let line = line.and_then(|path| passwords.get(&Origin::File(path)));
    let header = line.map(header).transpose()?;
    Ok(Settings {
        endpoint: of.endpoint.parse().map_err(RemoteProblem::Url)?,
        trust: authorities(of.ca_file.as_deref())?,
        header,
        service_name: of.service_name.clone(),
        sample_ppm: of.sample_per_million,
        unsampled: of.unsampled,
        query_text: of.query_text,
        batch_max: of.batch_max,
        interval: of.interval,
        timeout: of.timeout,
    })
}

/// `Name: value`.
fn header(line: &Secret) -> Result<(HeaderName, Secret), RemoteProblem> {
    let line = line.expose();
    let colon = line
        .iter()
        .position(|byte| *byte == b':')
        .ok_or(RemoteProblem::Header)?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    let name = HeaderName::from_bytes(name).map_err(|_| RemoteProblem::Header)?;
    let fits = value.iter().all(|byte| (0x20..0x7f).contains(byte));
    match fits && !value.is_empty() {
        true => Ok((name, Secret::new(value))),
        false => Err(RemoteProblem::Header),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_names_and_values() {
        for (line, wanted) in [
            (
                "Authorization: Bearer t",
                Some(("authorization", "Bearer t")),
            ),
            ("x-key:a:b", Some(("x-key", "a:b"))),
            ("Bearer t", None),
            ("x y: z", None),
            ("x:", None),
            (": z", None),
            ("x: a\u{1}b", None),
        ] {
            let read = header(&Secret::new(line.as_bytes())).ok();
            let read = read
                .as_ref()
                .map(|(name, value)| (name.as_str(), value.expose()));
            assert_eq!(read, wanted.map(|it| (it.0, it.1.as_bytes())), "{line}");
        }
    }
}
