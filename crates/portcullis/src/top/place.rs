//! Owns where the console is and how it is met: by a URL, or by the configuration of a proxy on this machine.

use super::TopFault;
use crate::cli::{ConsoleChoice, TopTlsMode};
use crate::fault::Fault;
use crate::material::now_unix_s;
use crate::quickstart::password;
use crate::quickstart::url::{self, Target};
use crate::{leg, load};
use auth::{AnswerRules, Credential};
use buf::Secret;
use config::{Config, ListenTls};
use openssl::hash::MessageDigest;
use openssl::x509::X509;
use shell::inquiry::Inquiry;
use shell::probe::{Login, Probe};
use shell::setup::{Host, HostAddress, Negotiation, ServerTls};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tls::{Profile, Roots, ServerContext, ServerMode, ServerName, ServerSettings, Source};
use wire::ProtocolVersion;

/// The database that is the console.
const CONSOLE: &str = "portcullis";

/// Where Portcullis listens unless it is told otherwise.
const PORT: u16 = 6432;

/// Connecting, and each answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A console, and who looks at it.
pub(crate) struct Place {
    host: Host,
    user: String,
    database: String,
    password: Option<Secret>,
    /// The file with exactly the certificate that is to be shown, if that is known.
    certificate: Option<PathBuf>,
    /// Both in a few words.
    pub(crate) about: String,
}

impl Place {
    /// What the command line means.
    pub(crate) fn find(options: &ConsoleChoice<'_>) -> Result<Place, Vec<Fault>> {
        match (options.config, options.url) {
            (Some(path), _) => {
                let (config, _) = load::configuration_with_warnings(path)?;
                by_configuration(&config, options).map_err(|fault| vec![fault.into()])
            }
            (None, url) => {
                let url = url.unwrap_or_default();
                by_url(url, options).map_err(|fault| vec![fault.into()])
            }
        }
    }

    /// Connects and logs in; gives what is to be shown of it.
    pub(crate) fn open(&self) -> Result<(Inquiry, String), String> {
        self.open_for("portcullis top", TIMEOUT)
    }

    /// The same under another name, with so long for connecting and for each answer.
    pub(crate) fn open_for(
        &self,
        name: &str,
        timeout: Duration,
    ) -> Result<(Inquiry, String), String> {
        let mut host = self.host.clone();
        if let Some(path) = &self.certificate {
            // It may have been renewed since the last time.
            host.tls = pinned(path, &host.address).map_err(|fault| fault.to_string())?;
        }
        let probe = Probe {
            host: &host,
            timeout,
        };
        let login = Login {
            user: &self.user,
            credential: match &self.password {
                Some(password) => Credential::Password(password.clone()),
                None => Credential::None,
            },
            database: &self.database,
            version: ProtocolVersion::V3_2,
        };
        let opened = Inquiry::open(&probe, login, name);
        let inquiry = opened.map_err(|fault| leg::cause(&fault))?;
        let how = match &inquiry.leg.tls {
            Some(tls) => leg::tls(tls),
            None => "no TLS".to_owned(),
        };
        Ok((inquiry, format!("{} · {how}", self.about)))
    }
}

fn by_url(text: &str, options: &ConsoleChoice<'_>) -> Result<Place, TopFault> {
    let target = url::parse_with(text, PORT, Some(CONSOLE))?;
    let roots = || match options.ca {
        Some(path) => Roots::Given(vec![Source::File(path.clone())]),
        None => Roots::System,
    };
    let (mode, verified) = match options.tls {
        TopTlsMode::VerifyFull => (Some(ServerMode::VerifyFull(roots())), true),
        TopTlsMode::Require => (Some(ServerMode::Require), false),
        TopTlsMode::Disable => (None, false),
    };
    // The address was judged with the URL.
    let name = ServerName::parse(&target.host).map_err(|_| url::BadUrl::Host)?;
    let tls = mode
        .map(|mode| encrypted(mode, name, verified))
        .transpose()?;
    let (password, _) = password::find(&target).map_err(TopFault::Password)?;
    Ok(Place {
        host: host(HostAddress::Tcp(target.host.clone(), target.port), tls),
        certificate: None,
        about: format!("{}@{}:{}", target.user, target.host, target.port),
        user: target.user,
        database: target.database,
        password: Some(password),
    })
}

fn by_configuration(config: &Config, options: &ConsoleChoice<'_>) -> Result<Place, TopFault> {
    let admins = config.admin.as_ref().map(|admin| &admin.admin_users);
    let first = admins.and_then(|it| it.first());
    let user = options.user.or(first).cloned();
    let user = user.ok_or(TopFault::NoAdministrator)?;
    if let Some(socket) = &config.listen.unix_socket {
        let target = target(&user, "localhost", PORT);
        let password = password::find_without_asking(&target).map_err(TopFault::Password)?;
        return Ok(Place {
            certificate: None,
            about: format!("{user} over {}", socket.path.display()),
            host: host(HostAddress::Unix(socket.path.clone()), None),
            user,
            database: CONSOLE.to_owned(),
            password: password.map(|(password, _)| password),
        });
    }
    let address = config.listen.addresses.first().copied();
    let address = here(address.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))));
    let certificate = match &config.listen.tls {
        ListenTls::Disabled => None,
        ListenTls::On(tls) => Some(tls.identity.certificate.clone()),
    };
    let place = HostAddress::Tcp(address.ip().to_string(), address.port());
    let tls = certificate.as_deref().map(|path| pinned(path, &place));
    let tls = tls.transpose()?;
    let target = target(&user, &address.ip().to_string(), address.port());
    let (password, _) = password::find(&target).map_err(TopFault::Password)?;
    Ok(Place {
        host: host(place, tls),
        certificate,
        about: format!("{user}@{address}"),
        user,
        database: CONSOLE.to_owned(),
        password: Some(password),
    })
}

fn target(user: &str, host: &str, port: u16) -> Target {
    Target {
        user: user.to_owned(),
        host: host.to_owned(),
        port,
        database: CONSOLE.to_owned(),
    }
}

/// Where a listener of this machine is reached from this machine.
fn here(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// The SHA-256 of the certificate that the configuration names: the proxy shows that one, or it is another proxy.
fn digest(path: &Path) -> Result<[u8; 32], TopFault> {
    let fault = |cause: String| TopFault::Certificate {
        path: path.to_owned(),
        cause,
    };
    let pem = std::fs::read(path).map_err(|error| fault(error.to_string()))?;
    let certificate = X509::from_pem(&pem).map_err(|error| fault(error.to_string()))?;
    let digest = certificate.digest(MessageDigest::sha256());
    let digest = digest.map_err(|error| fault(error.to_string()))?;
    let wrong = |_| fault("its digest has not 32 bytes".to_owned());
    <[u8; 32]>::try_from(&*digest).map_err(wrong)
}

/// TLS to whoever shows the certificate in this file, as it is now.
fn pinned(path: &Path, address: &HostAddress) -> Result<ServerTls, TopFault> {
    let name = match address {
        HostAddress::Tcp(host, _) => ServerName::parse(host).map_err(|_| url::BadUrl::Host)?,
        HostAddress::Unix(_) => ServerName::Name("localhost".into()),
    };
    encrypted(ServerMode::Pin(digest(path)?), name, true)
}

fn encrypted(mode: ServerMode, name: ServerName, verified: bool) -> Result<ServerTls, TopFault> {
    let settings = ServerSettings {
        mode,
        crl: None,
        identity: None,
        profile: Profile::towards_servers(),
    };
    Ok(ServerTls::Required {
        context: ServerContext::build(&settings, now_unix_s())?,
        name,
        negotiation: Negotiation::Postgres,
        verified,
    })
}

fn host(address: HostAddress, tls: Option<ServerTls>) -> Host {
    let encrypts = tls.is_some();
    Host {
        address,
        upkeep: tls::Upkeep::default(),
        tls: tls.unwrap_or(ServerTls::UnencryptedByConfiguration),
        rules: AnswerRules {
            binding: match encrypts {
                true => auth::ChannelBinding::Prefer,
                false => auth::ChannelBinding::Disable,
            },
            ..AnswerRules::default()
        },
    }
}
