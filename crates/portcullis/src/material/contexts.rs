//! Owns the translation of TLS sections into contexts of crate `tls`.

use super::now_unix_s;
use crate::fault::Fault;
use buf::Secret;
use config::{
    CaSource, ClientCertificates, Config, Database, KeyPair, ListenTls, Listener, MaxTlsVersion,
    MinTlsVersion, Origin, Place, ServerTls, ServerTlsOn, ServerTrust, TlsOptions, UnknownName,
};
use std::collections::HashMap;
use std::path::Path;
use tls::{
    Clock, ContextFault, Identity, KeySource, ListenerContext, ListenerSettings, MaximumVersion,
    MinimumVersion, NamedIdentity, Profile, Roots, ServerContext, ServerMode, ServerSettings,
    Source, Tickets, UnknownNames,
};

/// What contexts are made from.
pub(super) struct Workshop<'a> {
    pub(super) config: &'a Config,
    /// Passphrases of private keys, by where they come from.
    pub(super) passphrases: &'a HashMap<Origin, Secret>,
    pub(super) now_unix_s: i64,
}

/// TLS towards the hosts of a cluster, unless it is off.
#[derive(Default)]
pub(crate) struct OfCluster {
    /// Towards all but those that differ.
    pub(crate) general: Option<ServerContext>,
    /// Towards those that differ, in order.
    pub(crate) own: Vec<Option<ServerContext>>,
}

impl OfCluster {
    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &ServerContext> {
        self.general.iter().chain(self.own.iter().flatten())
    }
}

/// Where faults of a section are placed, if no setting of a file fits.
struct Section<'a> {
    /// How its keys begin.
    keys: &'static str,
    place: Option<&'a Place>,
}

impl Workshop<'_> {
    /// TLS towards clients, unless it is off.
    pub(super) fn listener(&self) -> Result<Option<ListenerContext>, Fault> {
        let keys = "listen.tls.";
        let place = match &self.config.listen.tls {
            ListenTls::On(tls) => place_of(self.config, keys, &tls.identity.certificate),
            ListenTls::Disabled => None,
        };
        self.towards_clients(&self.config.listen.tls, &Section { keys, place })
    }

    /// Likewise, of a further listener.
    pub(super) fn further_listener(
        &self,
        listener: &Listener,
    ) -> Result<Option<ListenerContext>, Fault> {
        let section = Section {
            keys: "listener.tls.",
            place: Some(&listener.place),
        };
        self.towards_clients(&listener.tls, &section)
    }

    fn towards_clients(
        &self,
        tls: &ListenTls,
        section: &Section<'_>,
    ) -> Result<Option<ListenerContext>, Fault> {
        let ListenTls::On(listen) = tls else {
            return Ok(None);
        };
        let clock = Clock::new(now_unix_s);
        let tickets = listen
            .session_tickets
            .map(|lifetime| Tickets::new(lifetime, clock.clone(), chance));
        let settings = ListenerSettings {
            more: listen
                .identities
                .iter()
                .map(|it| NamedIdentity {
                    names: it.names.clone(),
                    identity: self.identity(&it.identity),
                })
                .collect(),
            unknown_names: match listen.unknown_name {
                UnknownName::Default => UnknownNames::Default,
                UnknownName::Refuse => UnknownNames::Refuse,
            },
            clients: match &listen.client_certificates {
                ClientCertificates::NotAsked => tls::ClientCertificates::Off,
                ClientCertificates::Optional(path) => tls::ClientCertificates::Optional(file(path)),
                ClientCertificates::Required(path) | ClientCertificates::RequiredForUser(path) => {
                    tls::ClientCertificates::Required(file(path))
                }
            },
            client_crl: listen.client_crl.as_deref().map(file),
            tickets,
            profile: profile(&listen.options, Leg::Clients),
            ..ListenerSettings::new(self.identity(&listen.identity), clock)
        };
        let built = ListenerContext::build(&settings, self.now_unix_s);
        built
            .map(Some)
            .map_err(|fault| placed(self.config, section, fault))
    }

    /// TLS towards the servers of a database, unless it is off: one for each host. Hosts without a
    /// section of their own share one. None for a database of a cluster.
    pub(super) fn servers(&self, database: &Database) -> Result<Vec<Option<ServerContext>>, Fault> {
        let section = |keys| Section {
            keys,
            place: Some(&database.place),
        };
        let Some(listed) = database.listed() else {
            return Ok(Vec::new());
        };
        let shared = match listed.hosts.iter().any(|host| host.tls.is_none()) {
            true => self.server(&listed.tls, &section("database.tls."))?,
            false => None,
        };
        let of_host = |host: &config::Host| match &host.tls {
            Some(own) => self.server(own, &section("database.host_tls.")),
            None => Ok(shared.clone()),
        };
        listed.hosts.iter().map(of_host).collect()
    }

    /// TLS towards the hosts of a cluster.
    pub(super) fn cluster(&self, cluster: &config::Cluster) -> Result<OfCluster, Fault> {
        let keys = "cluster.tls.";
        let place = Some(&cluster.place);
        let of_host = |own: &config::HostTls| {
            let keys = "cluster.host_tls.";
            let place = Some(&own.place);
            self.server(&own.tls, &Section { keys, place })
        };
        let own: Result<_, _> = cluster.host_tls.iter().map(of_host).collect();
        Ok(OfCluster {
            general: self.server(&cluster.tls, &Section { keys, place })?,
            own: own?,
        })
    }

    /// TLS towards another instance, unless it is off.
    pub(super) fn peer(&self, peer: &config::Peer) -> Result<Option<ServerContext>, Fault> {
        let keys = "peer.tls.";
        let place = Some(&peer.place);
        self.server(&peer.tls, &Section { keys, place })
    }

    fn server(
        &self,
        tls: &ServerTls,
        section: &Section<'_>,
    ) -> Result<Option<ServerContext>, Fault> {
        let ServerTls::On(server) = tls else {
            return Ok(None);
        };
        let settings = ServerSettings {
            mode: server_mode(server),
            crl: server.crl.as_deref().map(file),
            identity: server.identity.as_ref().map(|pair| self.identity(pair)),
            profile: profile(&server.options, Leg::Servers),
        };
        let built = ServerContext::build(&settings, self.now_unix_s);
        built
            .map(Some)
            .map_err(|fault| placed(self.config, section, fault))
    }

    fn identity(&self, pair: &KeyPair) -> Identity {
        let origin = pair.passphrase.as_ref();
        let passphrase = origin.and_then(|origin| self.passphrases.get(origin));
        Identity {
            certificate: file(&pair.certificate),
            private_key: KeySource::File(pair.private_key.clone()),
            passphrase: passphrase.cloned(),
            staple: pair.staple.as_deref().map(file),
        }
    }
}

fn server_mode(server: &ServerTlsOn) -> ServerMode {
    match &server.trust {
        ServerTrust::AnyOrPlaintext | ServerTrust::Any => ServerMode::Require,
        ServerTrust::Authority(path) => ServerMode::VerifyCa(Roots::Given(vec![file(path)])),
        ServerTrust::Pinned(pin) => ServerMode::Pin(pin.0),
        ServerTrust::AuthorityAndName(CaSource::System) => ServerMode::VerifyFull(Roots::System),
        ServerTrust::AuthorityAndName(CaSource::File(path)) => {
            ServerMode::VerifyFull(Roots::Given(vec![file(path)]))
        }
    }
}

/// OpenSSL's random generator.
fn chance(bytes: &mut [u8]) -> bool {
    openssl::rand::rand_bytes(bytes).is_ok()
}

fn file(path: &Path) -> Source {
    Source::File(path.to_owned())
}

/// A side of the proxy.
#[derive(Clone, Copy)]
enum Leg {
    Clients,
    Servers,
}

/// What a listener speaks.
pub(crate) fn listener_profile(options: &TlsOptions) -> Profile {
    profile(options, Leg::Clients)
}

fn profile(options: &TlsOptions, leg: Leg) -> Profile {
    let custom = match (options, leg) {
        (TlsOptions::Modern, Leg::Clients) => return Profile::modern(),
        (TlsOptions::Modern, Leg::Servers) => return Profile::modern_towards_servers(),
        (TlsOptions::Intermediate, Leg::Clients) => return Profile::default(),
        (TlsOptions::Intermediate, Leg::Servers) => return Profile::towards_servers(),
        (TlsOptions::Custom(custom), _) => custom,
    };
    Profile {
        minimum: match custom.min_version {
            MinTlsVersion::Tls12 => MinimumVersion::Tls12,
            MinTlsVersion::Tls13 => MinimumVersion::Tls13,
        },
        maximum: match custom.max_version {
            MaxTlsVersion::Tls12 => MaximumVersion::Tls12,
            MaxTlsVersion::Tls13 => MaximumVersion::Tls13,
        },
        ciphersuites: custom.ciphersuites.clone(),
        cipher_list: custom.ciphers.clone(),
        groups: custom.groups.clone(),
        signatures: custom.signature_algorithms.clone(),
        security_level: custom.security_level,
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
fn placed(config: &Config, section: &Section<'_>, fault: ContextFault) -> Fault {
    let keys = section.keys;
    let file = match &fault {
        ContextFault::Unreadable { of, .. }
        | ContextFault::NoCertificate { of }
        | ContextFault::BadCertificate { of, .. }
        | ContextFault::BadKey { of, .. }
        | ContextFault::EncryptedKey { of }
        | ContextFault::WrongPassphrase { of }
        | ContextFault::NoCrl { of }
        | ContextFault::BadCrl { of, .. }
        | ContextFault::KeyIsNotPrivate { of, .. }
        | ContextFault::NoRoots { of } => Some(of),
        ContextFault::Mismatch { key, .. } => Some(key),
        ContextFault::SameKeyType { second, .. } => Some(second),
        _ => None,
    };
    let at_file = file.and_then(|file| place_of(config, keys, Path::new(file)));
    let mut place = at_file.or(section.place).cloned().unwrap_or(Place {
        file: "".into(),
        line: 0,
        column: 0,
        key: String::new(),
    });
    if at_file.is_none() {
        place.key = keys.trim_end_matches('.').to_owned();
    }
    Fault::Tls {
        place,
        fault: Box::new(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each default stands twice: in the table of settings, for people, and in the crate that
    /// uses it, for those who build its values by hand.
    #[test]
    fn defaults_of_the_settings_are_those_of_the_crates() {
        let text = "[listen.tls]\ncertificate = \"c\"\nprivate_key = \"k\"\n\
            profile = \"custom\"\n[auth]\nauth_user = \"u\"\n[[database]]\nname = \"a\"\n\
            host = \"b\"\n[database.tls]\nprofile = \"custom\"\n";
        let (config, _) = Config::from_text(text, "p.toml").unwrap();
        let ListenTls::On(listen) = &config.listen.tls else {
            panic!("TLS is off");
        };
        assert_eq!(profile(&listen.options, Leg::Clients), Profile::default());
        let ServerTls::On(server) = &config.databases[0].listed().unwrap().tls else {
            panic!("TLS is off");
        };
        assert_eq!(
            profile(&server.options, Leg::Servers),
            Profile::towards_servers()
        );
        let query = config.auth.auth_query.unwrap().query;
        assert_eq!(query, auth::auth_query::DEFAULT_QUERY);
    }
}
