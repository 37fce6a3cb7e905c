//! Owns what both legs' TLS sections have in common: certificates with their keys, and profiles.

use super::Judge;
use crate::checked::{CustomTls, Holds, KeyPair, Origin, TlsOptions};
use crate::conflict::Conflict;
use crate::read::Given;
use crate::sections::{DatabaseTls, ListenTls, ListenTlsIdentity};
use crate::values::Command;
use crate::warning::Weakness;
use crate::words::{MaxTlsVersion, MinTlsVersion, Profile};
use std::path::PathBuf;

/// Where the passphrase of a private key comes from.
pub(super) struct Passphrase<'s> {
    pub(super) file: &'s Given<Option<PathBuf>>,
    pub(super) command: &'s Given<Option<Command>>,
}

impl Judge<'_, '_> {
    /// A certificate with its key, if both are named.
    pub(super) fn key_pair(
        &self,
        certificate: &Given<Option<PathBuf>>,
        private_key: &Given<Option<PathBuf>>,
        passphrase: &Passphrase<'_>,
    ) -> Option<KeyPair> {
        if private_key.value.is_none() {
            self.useless(passphrase.file, private_key);
            self.useless(passphrase.command, private_key);
        }
        let pair = self.pair(certificate, private_key);
        let passphrase = self.passphrase(passphrase);
        pair.map(|(certificate, private_key)| KeyPair {
            certificate,
            private_key,
            passphrase,
            staple: None,
        })
    }

    /// Files of a certificate and its key, if both are named.
    pub(super) fn pair(
        &self,
        certificate: &Given<Option<PathBuf>>,
        private_key: &Given<Option<PathBuf>>,
    ) -> Option<(PathBuf, PathBuf)> {
        self.both(certificate, private_key);
        let certificate = self.optional_file(certificate, Holds::Certificate);
        let private_key = self.optional_file(private_key, Holds::PrivateKey);
        certificate.zip(private_key)
    }

    /// Notes that one of two settings is of no use without the other one.
    pub(super) fn both<T, U>(&self, one: &Given<Option<T>>, other: &Given<Option<U>>) {
        match (&one.value, &other.value) {
            (Some(_), None) => self.useless(one, other),
            (None, Some(_)) => self.useless(other, one),
            _ => {}
        }
    }

    /// Notes that a setting is of no use without another one.
    fn useless<T, U>(&self, given: &Given<Option<T>>, missing: &Given<U>) {
        if given.value.is_some() {
            let conflict = Conflict::HalfPair {
                given: given.name(),
                missing: missing.name(),
            };
            self.conflict(given, conflict);
        }
    }

    fn passphrase(&self, from: &Passphrase<'_>) -> Option<Origin> {
        if let Some(Command(words)) = &from.command.value {
            if from.file.value.is_some() {
                self.conflict(from.command, Conflict::TwoPassphrases);
            }
            let origin = Origin::Command(words.clone());
            self.note(from.command, Holds::Passphrase, origin.clone());
            return Some(origin);
        }
        let path = self.optional_file(from.file, Holds::Passphrase)?;
        Some(Origin::File(path))
    }

    /// A section of a further certificate.
    pub(super) fn identity(&self, section: &ListenTlsIdentity) -> KeyPair {
        let passphrase = self.passphrase(&Passphrase {
            file: &section.private_key_passphrase_file,
            command: &section.private_key_passphrase_command,
        });
        let certificate = &section.certificate;
        let private_key = &section.private_key;
        KeyPair {
            certificate: self.file(certificate, &certificate.value, Holds::Certificate),
            private_key: self.file(private_key, &private_key.value, Holds::PrivateKey),
            passphrase,
            staple: self.optional_file(&section.staple, Holds::Staple),
        }
    }

    /// Versions, ciphers and groups of one leg. Settings that shape a profile stand beside "custom"
    /// only; without a profile they are one.
    pub(super) fn options(&self, shape: &Shape<'_>) -> TlsOptions {
        let lists = [
            shape.ciphers,
            shape.ciphersuites,
            shape.groups,
            shape.signature_algorithms,
        ];
        let written = lists.iter().any(|list| list.is_set())
            || shape.min_version.is_set()
            || shape.max_version.is_set()
            || shape.security_level.is_set();
        let profile = match (shape.profile.value, written) {
            (Some(profile), _) => profile,
            (None, true) => Profile::Custom,
            (None, false) => Profile::Intermediate,
        };
        if profile != Profile::Custom {
            lists.iter().for_each(|list| self.fixed(list, profile));
            self.fixed(shape.min_version, profile);
            self.fixed(shape.max_version, profile);
            self.fixed(shape.security_level, profile);
        }
        match profile {
            Profile::Modern => return TlsOptions::Modern,
            Profile::Intermediate => return TlsOptions::Intermediate,
            Profile::Custom => {}
        }
        let (least, most) = (shape.min_version.value, shape.max_version.value);
        if (least, most) == (MinTlsVersion::Tls13, MaxTlsVersion::Tls12) {
            self.conflict(shape.min_version, Conflict::VersionsCross);
        }
        if shape.security_level.written && shape.security_level.value < 2 {
            self.warn(shape.security_level, Weakness::SecurityLevel);
        }
        TlsOptions::Custom(Box::new(CustomTls {
            min_version: least,
            max_version: most,
            ciphers: shape.ciphers.value.clone(),
            ciphersuites: shape.ciphersuites.value.clone(),
            groups: shape.groups.value.clone(),
            signature_algorithms: shape.signature_algorithms.value.clone(),
            security_level: shape.security_level.value,
        }))
    }

    fn fixed<T>(&self, setting: &Given<T>, profile: Profile) {
        if setting.written {
            let conflict = Conflict::ProfileFixes {
                setting: setting.name(),
                profile: profile.word(),
            };
            self.conflict(setting, conflict);
        }
    }

    /// Notes that the mode never reads these, if they are written.
    pub(super) fn shape_unused(
        &self,
        shape: &Shape<'_>,
        (mode, instead): (&'static str, &'static str),
    ) {
        self.unused(shape.profile, mode, instead);
        self.unused(shape.min_version, mode, instead);
        self.unused(shape.max_version, mode, instead);
        self.unused(shape.ciphers, mode, instead);
        self.unused(shape.ciphersuites, mode, instead);
        self.unused(shape.groups, mode, instead);
        self.unused(shape.signature_algorithms, mode, instead);
        self.unused(shape.security_level, mode, instead);
    }
}

/// What shapes TLS in a section of either leg.
pub(super) struct Shape<'s> {
    profile: &'s Given<Option<Profile>>,
    min_version: &'s Given<MinTlsVersion>,
    max_version: &'s Given<MaxTlsVersion>,
    ciphers: &'s Given<String>,
    ciphersuites: &'s Given<String>,
    groups: &'s Given<String>,
    signature_algorithms: &'s Given<String>,
    security_level: &'s Given<u32>,
}

macro_rules! shape {
    ($section:expr) => {
        Shape {
            profile: &$section.profile,
            min_version: &$section.min_version,
            max_version: &$section.max_version,
            ciphers: &$section.ciphers,
            ciphersuites: &$section.ciphersuites,
            groups: &$section.groups,
            signature_algorithms: &$section.signature_algorithms,
            security_level: &$section.security_level,
        }
    };
}

impl<'s> From<&'s ListenTls> for Shape<'s> {
    fn from(section: &'s ListenTls) -> Self {
        shape!(section)
    }
}

impl<'s> From<&'s DatabaseTls> for Shape<'s> {
    fn from(section: &'s DatabaseTls) -> Self {
        shape!(section)
    }
}
