//! Owns the counts of TLS handshakes: by leg, by the version that was agreed on, and by how they ended.

use crate::counter::Counter;
use crate::family::{Family, Kind, Sample};

/// Whose connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leg {
    /// A client's.
    Client,
    /// One to a server.
    Server,
}

/// What both ends agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

const LEGS: [(Leg, &str); 2] = [(Leg::Client, "client"), (Leg::Server, "server")];

const VERSIONS: [(TlsVersion, &str); 2] = [
    (TlsVersion::Tls12, "TLSv1.2"),
    (TlsVersion::Tls13, "TLSv1.3"),
];

/// Of one leg.
#[derive(Debug, Default)]
struct Counts {
    /// By version: new ones, and those that took up an earlier session.
    done: [[Counter; 2]; 2],
    failed: Counter,
}

/// All handshakes of a proxy.
#[derive(Debug, Default)]
pub struct Handshakes {
    legs: [Counts; 2],
}

/// A handshake that has begun. It has failed unless somebody says before this is dropped that it is done.
#[derive(Debug)]
#[must_use]
pub struct UnderWay<'a>(Option<&'a Counts>);

impl UnderWay<'_> {
    /// It came to its end.
    pub fn done(mut self, version: TlsVersion, is_resumed: bool) {
        if let Some(counts) = self.0.take() {
            counts.done[version as usize][usize::from(is_resumed)].add(1);
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(counts) = self.0 {
            counts.failed.add(1);
        }
    }
}

impl Handshakes {
    /// One begins.
    pub fn begin(&self, leg: Leg) -> UnderWay<'_> {
        UnderWay(Some(&self.legs[leg as usize]))
    }

    /// All counts, also those that are 0: what fails for the first time is an increase, too.
    pub fn family(&self) -> Family {
        let sample = |leg: &str, version: &str, outcome: &str, counter: &Counter| Sample {
            labels: vec![
                ("leg", leg.to_owned()),
                ("version", version.to_owned()),
                ("outcome", outcome.to_owned()),
            ],
            value: (counter.total() as f64).into(),
        };
        let mut samples = Vec::new();
        for (leg, leg_name) in LEGS {
            let counts = &self.legs[leg as usize];
            for (version, name) in VERSIONS {
                let [new, resumed] = &counts.done[version as usize];
                samples.push(sample(leg_name, name, "new", new));
                samples.push(sample(leg_name, name, "resumed", resumed));
            }
            samples.push(sample(leg_name, "none", "failed", &counts.failed));
        }
        Family {
            name: "tls_handshakes".into(),
            help: "TLS handshakes that ended, by leg (client, server), version and outcome (new, resumed, failed).",
            kind: Kind::Counter,
            samples,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition;

    #[test]
    fn each_handshake_counts_once_and_one_that_nobody_ended_has_failed() {
        let handshakes = Handshakes::default();
        let done = |leg, version, is_resumed| handshakes.begin(leg).done(version, is_resumed);
        done(Leg::Client, TlsVersion::Tls13, false);
        done(Leg::Client, TlsVersion::Tls13, false);
        done(Leg::Client, TlsVersion::Tls12, true);
        done(Leg::Server, TlsVersion::Tls13, false);
        drop(handshakes.begin(Leg::Server));
        let text = exposition(&[handshakes.family()]);
        let counted = |labels: &str| {
            let line = format!("portcullis_tls_handshakes_total{{{labels}}} ");
            let found = text.lines().find_map(|it| it.strip_prefix(&line));
            found.map(|it| it.parse::<u64>().unwrap())
        };
        let mut all = 0;
        for (leg, version, outcome, expected) in [
            ("client", "TLSv1.2", "new", 0),
            ("client", "TLSv1.2", "resumed", 1),
            ("client", "TLSv1.3", "new", 2),
            ("client", "TLSv1.3", "resumed", 0),
            ("client", "none", "failed", 0),
            ("server", "TLSv1.2", "new", 0),
            ("server", "TLSv1.2", "resumed", 0),
            ("server", "TLSv1.3", "new", 1),
            ("server", "TLSv1.3", "resumed", 0),
            ("server", "none", "failed", 1),
        ] {
            let labels = format!("leg=\"{leg}\",version=\"{version}\",outcome=\"{outcome}\"");
            assert_eq!(counted(&labels), Some(expected), "{labels}");
            all += 1;
        }
        assert_eq!(handshakes.family().samples.len(), all);
    }
}
