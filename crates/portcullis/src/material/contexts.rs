//! Owns the translation of TLS sections into contexts of crate `tls`.

use crate::fault::Fault;
use config::{
    CaSource, ClientCertificates, Config, Database, KeyPair, ListenTls, MinTlsVersion, Origin,
    Place, ServerTls, ServerTrust, TlsOptions,
};
use std::path::Path;
use tls::{
    ContextFault, Identity, KeySource, ListenerContext, ListenerSettings, MinimumVersion, Profile,
    Roots, ServerContext, ServerMode, ServerSettings, Source,
};

/// TLS towards clients, unless it is off.
pub(super) fn listener(config: &Config, now_unix_s: i64) -> Result<Option<ListenerContext>, Fault> {
    let ListenTls::On(listen) = &config.listen.tls else {
        return Ok(None);
    };
    let settings = ListenerSettings {
        identity: identity(&listen.identity),
        clients: match &listen.client_certificates {
            ClientCertificates::NotAsked => tls::ClientCertificates::Off,
            ClientCertificates::Optional(path) => tls::ClientCertificates::Optional(file(path)),
            ClientCertificates::Required(path) | ClientCertificates::RequiredForUser(path) => {
                tls::ClientCertificates::Required(file(path))
            }
        },
        profile: profile(&listen.options),
    };
    let built = ListenerContext::build(&settings, now_unix_s);
    let section = place_of(config, "listen.tls.", &listen.identity.certificate);
    built
        .map(Some)
        .map_err(|fault| placed(config, "listen.tls.", section, fault))
}

/// TLS towards the servers of a database, unless it is off.
pub(super) fn server(
    config: &Config,
    database: &Database,
    now_unix_s: i64,
) -> Result<Option<ServerContext>, Fault> {
    let ServerTls::On(server) = &database.tls else {
        return Ok(None);
    };
    let settings = ServerSettings {
        mode: match &server.trust {
            ServerTrust::AnyOrPlaintext | ServerTrust::Any => ServerMode::Require,
            ServerTrust::Authority(path) => ServerMode::VerifyCa(Roots::Given(vec![file(path)])),
            ServerTrust::Pinned(pin) => ServerMode::Pin(pin.0),
            ServerTrust::AuthorityAndName(CaSource::System) => {
                ServerMode::VerifyFull(Roots::System)
            }
            ServerTrust::AuthorityAndName(CaSource::File(path)) => {
                ServerMode::VerifyFull(Roots::Given(vec![file(path)]))
            }
        },
        identity: server.identity.as_ref().map(identity),
        profile: profile(&server.options),
    };
    let built = ServerContext::build(&settings, now_unix_s);
    let section = Some(&database.place);
    built
        .map(Some)
        .map_err(|fault| placed(config, "database.tls.", section, fault))
}

fn file(path: &Path) -> Source {
    Source::File(path.to_owned())
}

fn identity(pair: &KeyPair) -> Identity {
    Identity {
        certificate: file(&pair.certificate),
        private_key: KeySource::File(pair.private_key.clone()),
    }
}

fn profile(options: &TlsOptions) -> Profile {
    Profile {
        minimum: match options.min_version {
            MinTlsVersion::Tls12 => MinimumVersion::Tls12,
            MinTlsVersion::Tls13 => MinimumVersion::Tls13,
        },
        ciphersuites: options.ciphersuites.clone(),
        cipher_list: options.ciphers.clone(),
        groups: options.groups.clone(),
        ..Profile::default()
    }
}

/// The setting that names a file.
fn place_of<'c>(config: &'c Config, section: &str, path: &Path) -> Option<&'c Place> {
    let named = |source: &&config::Source| {
        let here = matches!(&source.from, Origin::File(file) if file == path);
        here && source.place.key.starts_with(section)
    };
    config.sources.iter().find(named).map(|it| &it.place)
}

/// A fault at the setting that names its file, or else at its section.
fn placed(config: &Config, keys: &str, section: Option<&Place>, fault: ContextFault) -> Fault {
    let file = match &fault {
        ContextFault::Unreadable { of, .. }
        | ContextFault::NoCertificate { of }
        | ContextFault::BadCertificate { of, .. }
        | ContextFault::BadKey { of, .. }
        | ContextFault::EncryptedKey { of }
        | ContextFault::KeyIsNotPrivate { of, .. }
        | ContextFault::NoRoots { of } => Some(of),
        ContextFault::Mismatch { key, .. } => Some(key),
        _ => None,
    };
    let at_file = file.and_then(|file| place_of(config, keys, Path::new(file)));
    let mut place = at_file.or(section).cloned().unwrap_or(Place {
        file: "".into(),
        line: 0,
        column: 0,
        key: String::new(),
    });
    if at_file.is_none() {
        place.key = keys.trim_end_matches('.').to_owned();
    }
    Fault::Tls { place, fault }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each default stands twice: in the table of settings, for people, and in the crate that
    /// uses it, for those who build its values by hand.
    #[test]
    fn defaults_of_the_settings_are_those_of_the_crates() {
        let text = "[listen.tls]\ncertificate = \"c\"\nprivate_key = \"k\"\n\
            [auth]\nauth_user = \"u\"\n[[database]]\nname = \"a\"\nhost = \"b\"\n";
        let (config, _) = Config::from_text(text, "p.toml").unwrap();
        let ListenTls::On(listen) = &config.listen.tls else {
            panic!("TLS is off");
        };
        assert_eq!(profile(&listen.options), Profile::default());
        let ServerTls::On(server) = &config.databases[0].tls else {
            panic!("TLS is off");
        };
        assert_eq!(profile(&server.options), Profile::towards_servers());
        let query = config.auth.auth_query.unwrap().query;
        assert_eq!(query, auth::auth_query::DEFAULT_QUERY);
    }
}
