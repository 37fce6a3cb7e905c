//! Owns what both legs' TLS sections have in common.

use super::Judge;
use crate::checked::{Holds, KeyPair, TlsOptions};
use crate::conflict::Conflict;
use crate::read::Given;
use crate::words::MinTlsVersion;
use std::path::PathBuf;

impl Judge<'_, '_> {
    /// A certificate with its key, if both are named.
    pub(super) fn key_pair(
        &self,
        certificate: &Given<Option<PathBuf>>,
        private_key: &Given<Option<PathBuf>>,
    ) -> Option<KeyPair> {
        let half = |given: &Given<_>, missing: &Given<_>| {
            let conflict = Conflict::HalfPair {
                given: given.name(),
                missing: missing.name(),
            };
            self.conflict(given, conflict);
        };
        match (&certificate.value, &private_key.value) {
            (Some(_), None) => half(certificate, private_key),
            (None, Some(_)) => half(private_key, certificate),
            _ => {}
        }
        let certificate = self.optional_file(certificate, Holds::Certificate);
        let private_key = self.optional_file(private_key, Holds::PrivateKey);
        Some(KeyPair {
            certificate: certificate?,
            private_key: private_key?,
        })
    }
}

/// Versions, ciphers and groups of one leg.
pub(super) fn options(
    min_version: &Given<MinTlsVersion>,
    [ciphers, ciphersuites, groups]: [&Given<String>; 3],
) -> TlsOptions {
    TlsOptions {
        min_version: min_version.value,
        ciphers: ciphers.value.clone(),
        ciphersuites: ciphersuites.value.clone(),
        groups: groups.value.clone(),
    }
}
