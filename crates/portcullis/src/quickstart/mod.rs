//! Owns `portcullis quickstart`: from a URL to a proxy that clients can use, with both legs
//! verified, and nothing on disk but the user's authority.

mod authority;
mod fault;
pub(crate) mod password;
mod pgpass;
mod trust;
pub(crate) mod url;
mod write;

pub(crate) use fault::QuickFault;

use crate::cli::{QuickstartOptions, ServerTlsMode};
use crate::conninfo::{conninfo, shell_word};
use crate::draft::{Binding, Draft, hex};
use crate::ending::Signals;
use crate::fault::Fault;
use crate::leg;
use crate::logging;
use crate::material::{Material, now_unix_s};
use crate::mint::{self, Names};
use crate::output::say;
use crate::process;
use crate::run;
use auth::ScramVerifier;
use auth::users::{self, Users};
use authority::Local;
use buf::Secret;
use config::Config;
use shell::probe::{Login, Probe, Session};
use shell::setup::Setup;
use shell::{Proxy, StartFault};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;
use tls::mint::Minted;
use tls::{Clock, Identity, KeySource, ListenerContext, ListenerSettings, Source};
use trust::Trusted;
use url::Target;
use wire::ProtocolVersion;

/// A certificate that lives in memory need not outlive a week.
const DAYS_SERVED: i64 = 7;
/// One that is written has to be renewed by hand.
const DAYS_WRITTEN: i64 = 90;

/// Starts, or writes.
pub(crate) fn run(options: &QuickstartOptions) -> Result<(), Vec<Fault>> {
    let prepared = Prepared::new(options).map_err(|fault| vec![Fault::Quick(fault)])?;
    let (config, setup) = prepared.setup()?;
    prepared
        .prove(&setup)
        .map_err(|fault| vec![Fault::Quick(fault)])?;
    match &options.write {
        Some(directory) => prepared.write(directory).map_err(|fault| vec![fault]),
        None => prepared.serve(&config, setup),
    }
}

/// The command line so far, without what decides about trust.
fn command(options: &QuickstartOptions) -> Vec<String> {
    let mut words = vec![
        "portcullis".into(),
        "quickstart".into(),
        options.url.clone(),
    ];
    if options.listen.to_string() != "127.0.0.1:6432" {
        words.extend(["--listen".into(), options.listen.to_string()]);
    }
    if let Some(directory) = &options.write {
        words.extend(["--write".into(), directory.display().to_string()]);
    }
    words
}

/// The same with what decides about trust.
fn whole_command(options: &QuickstartOptions) -> String {
    let mut words = command(options);
    if let Some(path) = &options.server_ca {
        words.extend(["--server-ca".into(), path.display().to_string()]);
    }
    if let Some(pin) = &options.pin {
        words.extend(["--pin".into(), format!("sha256:{}", hex(pin))]);
    }
    if options.server_tls == ServerTlsMode::Disable {
        words.extend(["--server-tls".into(), "disable".into()]);
    }
    let words: Vec<String> = words.iter().map(|word| shell_word(word)).collect();
    words.join(" ")
}

/// Everything that is needed to serve or to write.
struct Prepared<'a> {
    options: &'a QuickstartOptions,
    target: Target,
    server: Trusted,
    password: Secret,
    /// Where the password came from.
    origin: String,
    /// The line of the users file: who may log in, by which verifier.
    user: Secret,
    local: Local,
    identity: Minted,
}

impl<'a> Prepared<'a> {
    /// The server's TLS first; only then the password, and what we show to clients.
    fn new(options: &'a QuickstartOptions) -> Result<Prepared<'a>, QuickFault> {
        let target = url::parse(&options.url)?;
        let server = trust::settle(&target, options)?;
        say(&format!("server leg: {}", trust::server(&target)));
        let verified = server.trust.in_words(&target.host);
        leg::server(&server.leg, &verified)
            .iter()
            .for_each(|line| say(line));
        let (password, origin) = password::find(&target)?;
        say(&leg::line("password", &format!("from {origin}")));
        let user = user_line(&target.user, &password)?;
        let local = Local::open()?;
        let days = match options.write {
            Some(_) => DAYS_WRITTEN,
            None => DAYS_SERVED,
        };
        let names = names(options);
        let identity = mint::leaf(&local.authority, "portcullis", &names, now_unix_s(), days)?;
        Ok(Prepared {
            options,
            target,
            server,
            password,
            origin,
            user,
            local,
            identity,
        })
    }

    /// The configuration as it would be written.
    fn text(&self, preface: &[String], trust: &crate::draft::Trust) -> String {
        let draft = Draft {
            preface,
            listen: self.options.listen,
            binding: Binding::Preferred,
            database: &self.target.database,
            host: &self.target.host,
            port: self.target.port,
            role: Some(&self.target.user),
            trust,
        };
        draft.text()
    }

    /// The same as the shell takes it, with secrets from memory in place of files.
    fn setup(&self) -> Result<(Config, Setup), Vec<Fault>> {
        let text = self.text(&[], &self.server.trust);
        let read = Config::from_text(&text, "quickstart");
        let (config, _) = read.map_err(|invalid| {
            invalid
                .errors
                .into_iter()
                .map(Fault::from)
                .collect::<Vec<_>>()
        })?;
        let material = self
            .material(&config)
            .map_err(|fault| vec![Fault::Quick(fault)])?;
        let mut mock = [0; 32];
        openssl::rand::rand_bytes(&mut mock)
            .map_err(|error| vec![Fault::System(std::io::Error::other(error))])?;
        let setup = run::setup_of(&config, material, run::Lasting::with(mock))?;
        Ok((config, setup))
    }

    fn material(&self, config: &Config) -> Result<Material, QuickFault> {
        let identity = Identity::new(
            Source::Pem(self.identity.certificate.clone()),
            KeySource::Pem(self.identity.private_key.clone()),
        );
        let settings = ListenerSettings::new(identity, Clock::new(now_unix_s));
        let users = std::str::from_utf8(self.user.expose()).ok();
        let users = users.and_then(|line| Users::parse(line).ok());
        let origins = config
            .databases
            .iter()
            .filter_map(|it| it.user.as_ref()?.password.clone());
        let passwords = origins.map(|origin| (origin, self.password.clone()));
        Ok(Material {
            listener: Some(ListenerContext::build(&settings, now_unix_s())?),
            listeners: Vec::new(),
            servers: vec![vec![self.server.context.clone()]],
            clusters: Vec::new(),
            peers: Vec::new(),
            statements: Vec::new(),
            receivers: Vec::new(),
            exporter: None,
            hba: None,
            users: users.unwrap_or_default(),
            passwords: passwords.collect::<HashMap<_, _>>(),
        })
    }

    /// Logs in to the server exactly as the proxy will.
    fn prove(&self, setup: &Setup) -> Result<(), QuickFault> {
        let Target { user, database, .. } = &self.target;
        for host in setup.databases.iter().flat_map(|it| it.servers.listed()) {
            let probe = Probe {
                host,
                timeout: trust::TIMEOUT,
            };
            let login = Login {
                user,
                credential: auth::Credential::Password(self.password.clone()),
                database,
                version: ProtocolVersion::V3_2,
            };
            let proved: Result<Session, _> = probe.session(login, "SELECT 1");
            let session = proved.map_err(|fault| QuickFault::Login {
                server: trust::server(&self.target),
                user: user.clone(),
                origin: self.origin.clone(),
                cause: leg::cause(&fault),
            })?;
            leg::session(user, &session)
                .iter()
                .for_each(|line| say(line));
        }
        Ok(())
    }

    fn serve(&self, config: &Config, setup: Setup) -> Result<(), Vec<Fault>> {
        logging::start(&config.log);
        process::forbid_core_dumps(config);
        let signals = Signals::listen().map_err(|error| vec![Fault::System(error)])?;
        let proxy = Proxy::start(setup).map_err(|fault| vec![self.not_started(fault)])?;
        let port = proxy
            .addresses()
            .first()
            .map_or(0, |address| address.port());
        say(&format!("\nclient leg: {}", self.options.listen));
        say(&leg::line("TLS", "required of every client"));
        let issuer = self.local.certificate.display();
        let shown = format!("for {}, by {issuer}", self.made_out_to());
        say(&leg::line("certificate", &shown));
        let login = format!("as {:?}, with the same password", self.target.user);
        say(&leg::line("login", &login));
        say(&format!(
            "\nReady. From another terminal:\n\n  {}\n\n\
             Ctrl-C ends it. To keep it as a configuration:\n\n  {} --write DIR\n",
            self.psql(&self.local.certificate, port),
            whole_command(self.options),
        ));
        signals.serve(&proxy);
        Ok(())
    }

    fn not_started(&self, fault: StartFault) -> Fault {
        let address = self.options.listen;
        match &fault {
            StartFault::Listen { cause, .. } if cause.kind() == ErrorKind::AddrInUse => {
                let mut next = address;
                next.set_port(address.port().checked_add(1).unwrap_or(6433));
                Fault::Quick(QuickFault::InUse { address, next })
            }
            _ => Fault::Start(fault),
        }
    }

    fn made_out_to(&self) -> String {
        let Names { dns, ip } = names(self.options);
        let ip = ip.iter().map(ToString::to_string);
        dns.into_iter().chain(ip).collect::<Vec<_>>().join(", ")
    }

    /// The line to paste; psql asks for the password, or has it as we have.
    fn psql(&self, authority: &Path, port: u16) -> String {
        let ip = self.options.listen.ip();
        let host = match ip.is_loopback() || ip.is_unspecified() {
            true => "localhost".to_owned(),
            false => ip.to_string(),
        };
        let line = conninfo(&[
            ("host", &host),
            ("port", &port.to_string()),
            ("dbname", &self.target.database),
            ("user", &self.target.user),
            ("sslmode", "verify-full"),
            ("sslrootcert", &authority.display().to_string()),
        ]);
        format!("psql {}", shell_word(&line))
    }
}

/// This machine, and the address listened on.
fn names(options: &QuickstartOptions) -> Names {
    let mut names = mint::loopback();
    let ip = options.listen.ip();
    if !ip.is_unspecified() && !names.ip.contains(&ip) {
        names.ip.push(ip);
    }
    names
}

/// The verifier that clients are checked with, under a salt of its own.
fn user_line(user: &str, password: &Secret) -> Result<Secret, QuickFault> {
    let mut salt = [0; 16];
    let random = openssl::rand::rand_bytes(&mut salt);
    random.map_err(|_| tls::mint::MintFault {
        reason: "the random generator",
    })?;
    let verifier = ScramVerifier::generate(password, &salt, auth::scram::ITERATIONS_DEFAULT)?;
    Ok(users::line(user, &verifier.to_text()))
}
