//! Owns the HTTP listener's place in the process: its settings from the configuration, its view of
//! the proxy.

use crate::fault::Fault;
use crate::material::now_unix_s;
use buf::Secret;
use config::{Config, Metrics, Origin};
use observe::{Family, Kind, Sample};
use shell::inherit::{Handed, Inherited, Maker};
use shell::{Beat, Observed, Proxy};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tls::{Dated, Expires, Source};
use web::{Liveness, Readiness, Settings, TlsSettings, View, Web};

/// A running listener.
pub(crate) struct Serving {
    web: Web,
    maker: Maker,
}

impl Serving {
    /// Its socket once more, for a process that takes over.
    pub(crate) fn socket(&self) -> std::io::Result<Handed> {
        let (socket, maker) = (self.web.socket()?, self.maker);
        Ok(Handed { socket, maker })
    }
}

/// Starts the listener, if one is configured, on the socket that was inherited, or on one of its own.
pub(crate) fn start(
    config: &Config,
    token: Option<Secret>,
    (proxy, beside): (&Proxy, Beside),
    inherited: &mut Inherited,
) -> Result<Option<Serving>, Vec<Fault>> {
    let Some(metrics) = &config.metrics else {
        return Ok(None);
    };
    let settings = Settings {
        address: metrics.address,
        hosts: metrics.hosts.clone(),
        tls: encryption(metrics),
        token,
        login_lifetime: metrics.login_lifetime,
    };
    let view = Arc::new(Seen::of(proxy, beside));
    let (listener, maker) = match inherited.take_tcp(metrics.address) {
        Some((listener, maker)) => (Some(listener), maker),
        None => (None, Maker::Proxy),
    };
    let web = Web::start(settings, view, listener).map_err(|fault| vec![Fault::Web(fault)])?;
    tracing::info!(address = %web.address(), "metrics are served");
    Ok(Some(Serving { web, maker }))
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

/// What is counted beside the proxy.
#[derive(Clone, Default)]
pub(crate) struct Beside {
    /// What becomes of events.
    pub(crate) webhooks: webhook::Watch,
    /// What becomes of spans.
    pub(crate) spans: otlp::Watch,
}

/// The proxy and the program around it.
pub(crate) struct Seen {
    proxy: Observed,
    beside: Beside,
    started_unix_s: f64,
}

impl Seen {
    pub(crate) fn of(proxy: &Proxy, beside: Beside) -> Seen {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Seen {
            proxy: proxy.observed(),
            beside,
            started_unix_s: now.map_or(0.0, |now| now.as_secs_f64()),
        }
    }

    /// All numbers.
    pub(crate) fn families(&self) -> Vec<Family> {
        let mut families = vec![
            build(),
            Family::single(
                "start_time_seconds",
                "When the program started, in seconds since 1970.",
                Kind::Gauge,
                self.started_unix_s,
            ),
        ];
        families.extend(guarded());
        families.extend(self.proxy.families(now_unix_s()));
        families.extend(self.beside.webhooks.families());
        families.extend(self.beside.spans.families());
        families
    }
}

impl View for Seen {
    fn metrics(&self) -> Vec<Family> {
        self.families()
    }

    fn activity(&self) -> String {
        self.proxy.activity()
    }

    fn patterns(&self) -> String {
        self.proxy.patterns()
    }

    fn events(&self) -> String {
        self.proxy.events().json()
    }

    fn overview(&self) -> String {
        self.proxy.overview()
    }

    fn pool_times(&self) -> String {
        self.proxy.pool_times()
    }

    fn pattern_times(&self, pattern: u64) -> Option<String> {
        self.proxy.pattern_times(pattern)
    }

    fn table(&self, name: &str, wanted: &str) -> Option<String> {
        self.proxy.table(name, wanted)
    }

    fn liveness(&self) -> Liveness {
        match self.proxy.beat() {
            Beat::Regular => Liveness::Alive,
            Beat::Missed { thread } => Liveness::Stuck(format!("{thread} does not answer")),
        }
    }

    fn readiness(&self) -> Readiness {
        match self.proxy.takes_clients() {
            true => Readiness::Ready,
            false => Readiness::NotReady("draining: sessions end, no new client is taken"),
        }
    }
}

/// Memory of secrets and rows, and how much of it is kept out of swap.
fn guarded() -> [Family; 2] {
    let held = guard::held();
    let bytes = |name, help, bytes| Family::single(name, help, Kind::Gauge, bytes as f64);
    [
        bytes(
            "guarded_memory_bytes",
            "Memory of secrets and rows, which is in no core dump.",
            held.mapped,
        ),
        bytes(
            "guarded_memory_locked_bytes",
            "What of it can't be swapped out (lock_memory).",
            held.locked,
        ),
    ]
}

fn build() -> Family {
    let labels = vec![
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("openssl", tls::versions().running),
    ];
    Family {
        name: "build_info".into(),
        help: "The program and the OpenSSL that it runs with; always 1.",
        kind: Kind::Gauge,
        samples: vec![Sample {
            labels,
            value: 1.0.into(),
        }],
    }
}

#[cfg(test)]
mod tests {
    /// The page names tables as the console does.
    #[test]
    fn every_table_of_the_page_is_one_of_the_console() {
        for name in web::TABLES {
            assert!(shell::Observed::has_table(name), "{name}");
        }
        assert!(!shell::Observed::has_table("none"));
    }
}
