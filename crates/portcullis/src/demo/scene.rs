//! Owns the running parts of a demonstration: certificates, cluster, proxy, and the probes that
//! look at both legs.

use super::DemoFault;
use super::account::Account;
use super::cluster::{Cluster, DATABASE, Plan, ROLE};
use super::place::{Place, write};
use super::postgres::Postgres;
use super::seen::{Seen, ServerView};
use crate::draft::{Binding, Draft, Trust, file};
use crate::interrupt::Interrupt;
use crate::leg;
use crate::load;
use crate::material::{Material, now_unix_s};
use crate::mint;
use crate::run;
use crate::witness::Witness;
use auth::{AnswerRules, ChannelBinding, ClearPassword, Credential, RequireAuth};
use buf::Secret;
use shell::Proxy;
use shell::probe::{Login, Probe, Session, unencrypted};
use shell::setup::{Host, HostAddress, Negotiation, ServerTls};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tls::mint::Minted;
use tls::{Profile, Roots, ServerContext, ServerMode, ServerName, ServerSettings, Source};
use wire::ProtocolVersion;

/// Both ends are on this machine.
const TIMEOUT: Duration = Duration::from_secs(10);
/// As clients name both ends; the certificates are made out to it.
pub(crate) const HOST: &str = "localhost";

/// What the server says of the session that it serves (manual, "pg_stat_ssl").
const SERVER_VIEW: &str = "SELECT ssl::text, version, cipher, pid::text \
    FROM pg_catalog.pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid()";
/// The role's verifier, so that the proxy never needs the password (SCRAM pass-through).
const VERIFIER: &str = "SELECT rolpassword FROM pg_catalog.pg_authid WHERE rolname OPERATOR(pg_catalog.=) current_user";

/// What runs.
pub(crate) struct Scene {
    /// Where the proxy listens.
    pub(crate) address: SocketAddr,
    /// The authority of both certificates.
    pub(crate) authority: PathBuf,
    /// The role's password, for psql (manual, "The Password File").
    pub(crate) passfile: PathBuf,
    /// The certificate that the proxy should present.
    pub(crate) proxy_sha256: [u8; 32],
    /// The certificate that the server should present.
    pub(crate) server_sha256: [u8; 32],
    password: Secret,
    context: ServerContext,
    direct: Session,
    // Dropped in this order: the proxy lets go of the server before that stops.
    _proxy: Proxy,
    _cluster: Cluster,
}

impl Scene {
    /// Makes and starts everything.
    pub(crate) fn set(
        postgres: &Postgres,
        account: &Account,
        place: &Place,
        port: u16,
        interrupt: &Interrupt,
    ) -> Result<Scene, DemoFault> {
        let now = now_unix_s();
        let authority = mint::authority("Portcullis demo authority", now, 1)?;
        let names = mint::loopback();
        let server = mint::leaf(&authority, "postgres.demo", &names, now, 1)?;
        let proxy = mint::leaf(&authority, "portcullis.demo", &names, now, 1)?;
        let password = mint::password()?;
        let plan = Plan {
            postgres,
            account,
            place,
            identity: &server,
            password: &password,
        };
        let cluster = plan.start(interrupt)?;
        let context = context(&authority.minted().certificate)?;
        let direct = session(&context, cluster.port, &password, VERIFIER).map_err(|fault| {
            DemoFault::Leg {
                leg: "PostgreSQL, without the proxy",
                cause: leg::cause(&fault),
            }
        })?;
        let files = Files {
            place,
            authority: &authority.minted().certificate,
            identity: &proxy,
        };
        let (started, address) = files.start_proxy(port, cluster.port, &direct)?;
        Ok(Scene {
            address,
            authority: place.proxy().join(file::AUTHORITY),
            passfile: files.passfile(address.port(), &password)?,
            proxy_sha256: mint::sha256(&proxy.certificate)?,
            server_sha256: mint::sha256(&server.certificate)?,
            password,
            context,
            direct,
            _proxy: started,
            _cluster: cluster,
        })
    }

    /// Holds one session through the proxy and asks everybody about it.
    pub(crate) fn look(&self, witness: &Witness) -> Result<Seen<'_>, DemoFault> {
        let fault = |fault: session::fault::Fault| DemoFault::Leg {
            leg: "a client, through the proxy",
            cause: leg::cause(&fault),
        };
        let client = session(
            &self.context,
            self.address.port(),
            &self.password,
            SERVER_VIEW,
        );
        let client = client.map_err(fault)?;
        let server = ServerView::read(&client.rows)
            .ok_or_else(|| DemoFault::NotAsClaimed("pg_stat_ssl has no row".to_owned()))?;
        let proxy = witness
            .last()
            .ok_or_else(|| DemoFault::NotAsClaimed("the proxy logged no session".to_owned()))?;
        Ok(Seen {
            client,
            server,
            proxy,
            direct: &self.direct,
            unencrypted: unencrypted(self.address, TIMEOUT).map_err(fault)?,
        })
    }
}

/// Both legs' peers are verified alike: full, by the demo's own authority.
fn context(authority: &[u8]) -> Result<ServerContext, DemoFault> {
    let roots = Roots::Given(vec![Source::Pem(authority.to_owned())]);
    let settings = ServerSettings {
        mode: ServerMode::VerifyFull(roots),
        crl: None,
        identity: None,
        profile: Profile::default(),
    };
    Ok(ServerContext::build(&settings, now_unix_s())?)
}

/// One session as a careful client holds it: verify-full, channel binding required.
fn session(
    context: &ServerContext,
    port: u16,
    password: &Secret,
    sql: &str,
) -> Result<Session, session::fault::Fault> {
    let host = Host {
        upkeep: tls::Upkeep::default(),
        address: HostAddress::Tcp("127.0.0.1".to_owned(), port),
        tls: ServerTls::Required {
            context: context.clone(),
            name: ServerName::Name(HOST.into()),
            negotiation: Negotiation::Postgres,
            verified: true,
        },
        rules: AnswerRules {
            binding: ChannelBinding::Require,
            clear_password: ClearPassword::Never,
            require_auth: RequireAuth::Scram,
            ..AnswerRules::default()
        },
    };
    let probe = Probe {
        host: &host,
        timeout: TIMEOUT,
    };
    let login = Login {
        user: ROLE,
        credential: Credential::Password(password.clone()),
        database: DATABASE,
        version: ProtocolVersion::V3_2,
    };
    probe.session(login, sql)
}

/// What the proxy and its clients read.
struct Files<'a> {
    place: &'a Place,
    authority: &'a [u8],
    identity: &'a Minted,
}

impl Files<'_> {
    /// Writes a configuration as a user would, reads it as `run` does, and starts the proxy.
    fn start_proxy(
        &self,
        listen: u16,
        server: u16,
        direct: &Session,
    ) -> Result<(Proxy, SocketAddr), DemoFault> {
        let at = |name: &str| self.place.proxy().join(name);
        write(&at(file::AUTHORITY), self.authority, 0o644)?;
        write(&at(file::CERTIFICATE), &self.identity.certificate, 0o644)?;
        write(&at(file::KEY), self.identity.private_key.expose(), 0o600)?;
        let verifier = direct.rows.first().and_then(|row| row.first()?.as_ref());
        let verifier = verifier.ok_or_else(|| {
            DemoFault::NotAsClaimed("the server has no verifier of its role".to_owned())
        })?;
        write(
            &at(file::USERS),
            auth::users::line(ROLE, verifier).expose(),
            0o600,
        )?;
        let draft = Draft {
            preface: &["Portcullis's demo: gone when the demo ends.".to_owned()],
            listen: ([127, 0, 0, 1], listen).into(),
            binding: Binding::Required,
            database: DATABASE,
            host: HOST,
            port: server,
            role: None,
            trust: &Trust::Authority(file::AUTHORITY.to_owned()),
        };
        let path = at(file::CONFIGURATION);
        write(&path, draft.text().as_bytes(), 0o644)?;
        let started = load::configuration(&path).and_then(|config| {
            let material = Material::read(&config, now_unix_s())?;
            run::start(&config, material)
        });
        let broken = |faults: Vec<crate::fault::Fault>| DemoFault::Leg {
            leg: "the proxy",
            cause: faults
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("; "),
        };
        let proxy = started.map_err(broken)?;
        let address = proxy.addresses().first().copied();
        let address = address.ok_or_else(|| broken(Vec::new()))?;
        Ok((proxy, address))
    }

    fn passfile(&self, port: u16, password: &Secret) -> Result<PathBuf, DemoFault> {
        let path = self.place.proxy().join("pgpass");
        let start = format!("{HOST}:{port}:*:{ROLE}:");
        let line = Secret::from_vec([start.as_bytes(), password.expose(), b"\n"].concat());
        write(&path, line.expose(), 0o600)?;
        Ok(path)
    }
}
