//! Owns the judgement of `[metrics]`.

use super::Judge;
use crate::checked::{Holds, KeyPair, Metrics};
use crate::conflict::Conflict;
use crate::sections;

impl Judge<'_, '_> {
    /// The HTTP listener, if an address is named.
    pub(super) fn metrics(&self, metrics: &sections::Metrics) -> Option<Metrics> {
        let certificate = self.optional_file(&metrics.certificate, Holds::Certificate);
        let private_key = self.optional_file(&metrics.private_key, Holds::PrivateKey);
        let client_ca = self.optional_file(&metrics.client_ca, Holds::Authorities);
        let token_file = self.optional_file(&metrics.token_file, Holds::Password);
        let half = |given, missing| Conflict::HalfPair { given, missing };
        match (&certificate, &private_key) {
            (Some(_), None) => {
                self.conflict(&metrics.certificate, half("certificate", "private_key"));
            }
            (None, Some(_)) => {
                self.conflict(&metrics.private_key, half("private_key", "certificate"));
            }
            (None, None) if client_ca.is_some() => {
                self.conflict(&metrics.client_ca, half("client_ca", "certificate"));
            }
            _ => {}
        }
        let Some(address) = metrics.address.value else {
            self.metrics_without_address(metrics);
            return None;
        };
        let identity = certificate.zip(private_key);
        if identity.is_none() && !address.ip().is_loopback() {
            self.conflict(&metrics.address, Conflict::MetricsNeedTls);
        }
        Some(Metrics {
            address,
            identity: identity.map(|(certificate, private_key)| KeyPair {
                certificate,
                private_key,
                passphrase: None,
                staple: None,
            }),
            client_ca,
            token_file,
            login_lifetime: metrics.login_lifetime.value,
            hosts: metrics.hosts.value.0.clone(),
        })
    }

    fn metrics_without_address(&self, metrics: &sections::Metrics) {
        for setting in [
            &metrics.certificate,
            &metrics.private_key,
            &metrics.client_ca,
            &metrics.token_file,
        ] {
            if setting.written {
                let (given, missing) = (setting.name(), "address");
                self.conflict(setting, Conflict::HalfPair { given, missing });
            }
        }
    }
}
