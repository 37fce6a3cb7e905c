//! Owns the HTTP listener's place in the process: its settings from the configuration, its view of
//! the proxy.

use crate::fault::Fault;
use crate::material::now_unix_s;
use buf::Secret;
use config::{Config, Metrics, Origin};
use observe::{Family, Kind, Sample};
use shell::{Observed, Proxy};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tls::{Dated, Expires, Source};
use web::{Readiness, Settings, TlsSettings, View, Web};

/// Starts the listener, if one is configured.
pub(crate) fn start(
    config: &Config,
    token: Option<Secret>,
    proxy: &Proxy,
) -> Result<Option<Web>, Vec<Fault>> {
    let Some(metrics) = &config.metrics else {
        return Ok(None);
    };
    let settings = Settings {
        address: metrics.address,
        hosts: metrics.hosts.clone(),
        tls: encryption(metrics),
        token,
    };
    let view = Arc::new(Seen::of(proxy));
    let web = Web::start(settings, view).map_err(|fault| vec![Fault::Web(fault)])?;
    tracing::info!(address = %web.address(), "metrics are served");
    Ok(Some(web))
}

/// Whether the TLS files can be used.
pub(crate) fn rehearse(config: &Config) -> Result<(), Fault> {
    match config.metrics.as_ref().and_then(encryption) {
        Some(settings) => web::rehearse(&settings).map_err(Fault::Web),
        None => Ok(()),
    }
}

/// Until when the listener's certificates are good.
pub(crate) fn certificates(config: &Config) -> Vec<Dated> {
    let Some(settings) = config.metrics.as_ref().and_then(encryption) else {
        return Vec::new();
    };
    let own = Some((settings.certificate, Expires::Certificate));
    let authority = settings.client_ca.map(|it| (it, Expires::Authority));
    // They were read a moment ago; whatever has happened since then, the listener works.
    let read = |(path, kind)| Dated::read(&Source::File(path), kind).ok().flatten();
    own.into_iter().chain(authority).filter_map(read).collect()
}

fn encryption(metrics: &Metrics) -> Option<TlsSettings> {
    let identity = metrics.identity.as_ref()?;
    Some(TlsSettings {
        certificate: identity.certificate.clone(),
        private_key: identity.private_key.clone(),
        client_ca: metrics.client_ca.clone(),
    })
}

/// The token that the configuration names.
pub(crate) fn token(config: &Config, passwords: &HashMap<Origin, Secret>) -> Option<Secret> {
    let file = config.metrics.as_ref()?.token_file.clone()?;
    passwords.get(&Origin::File(file)).cloned()
}

/// The proxy and the program around it.
struct Seen {
    proxy: Observed,
    started_unix_s: f64,
}

impl Seen {
    fn of(proxy: &Proxy) -> Seen {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Seen {
            proxy: proxy.observed(),
            started_unix_s: now.map_or(0.0, |now| now.as_secs_f64()),
        }
    }
}

impl View for Seen {
    fn metrics(&self) -> Vec<Family> {
        let mut families = vec![
            build(),
            Family::single(
                "start_time_seconds",
                "When the program started, in seconds since 1970.",
                Kind::Gauge,
                self.started_unix_s,
            ),
        ];
        families.extend(self.proxy.families(now_unix_s()));
        families
    }

    fn readiness(&self) -> Readiness {
        match self.proxy.takes_clients() {
            true => Readiness::Ready,
            false => Readiness::NotReady("draining: sessions end, no new client is taken"),
        }
    }
}

fn build() -> Family {
    let labels = vec![
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("openssl", tls::versions().running),
    ];
    Family {
        name: "build_info",
        help: "The program and the OpenSSL that it runs with; always 1.",
        kind: Kind::Gauge,
        samples: vec![Sample { labels, value: 1.0 }],
    }
}
