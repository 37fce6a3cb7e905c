//! Owns the first look at a server: whether it speaks TLS, what it shows, and whether that is to be
//! trusted. No name and no password is sent before this is settled.

use super::fault::{NotPinned, NotVerified};
use super::url::Target;
use super::{QuickFault, command};
use crate::cli::{QuickstartOptions, ServerTlsMode};
use crate::draft::Trust;
use crate::leg;
use crate::material::now_unix_s;
use auth::AnswerRules;
use session::fault::{Fault, FaultKind};
use shell::probe::{Leg, Probe};
use shell::setup::{Host, HostAddress, Negotiation, ServerTls};
use std::path::Path;
use std::time::Duration;
use tls::{
    PeerCertificate, Profile, Roots, ServerContext, ServerMode, ServerName, ServerSettings, Source,
};

/// What a newcomer waits for before thinking that nothing happens.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// A server that may be talked to.
pub(super) struct Trusted {
    /// By which rule.
    pub(super) trust: Trust,
    /// The same as TLS settings; `None` in clear text.
    pub(super) context: Option<ServerContext>,
    /// What was seen.
    pub(super) leg: Leg,
}

/// Looks at the server.
pub(super) fn settle(target: &Target, options: &QuickstartOptions) -> Result<Trusted, QuickFault> {
    let unreachable = |fault: Fault| QuickFault::Unreachable {
        server: server(target),
        cause: leg::cause(&fault),
    };
    if options.server_tls == ServerTlsMode::Disable {
        return Ok(Trusted {
            trust: Trust::Disabled,
            context: None,
            leg: look(target, ServerTls::UnencryptedByConfiguration).map_err(unreachable)?,
        });
    }
    let (trust, mode) = match (&options.pin, &options.server_ca) {
        (Some(pin), _) => (Trust::Pin(*pin), ServerMode::Pin(*pin)),
        (None, Some(path)) => (
            Trust::Authority(absolute(path)),
            ServerMode::VerifyFull(Roots::Given(vec![Source::File(path.clone())])),
        ),
        (None, None) => (Trust::System, ServerMode::VerifyFull(Roots::System)),
    };
    let context = context(mode)?;
    let shown = look(
        target,
        required(target, &self::context(ServerMode::Require)?),
    );
    let shown = shown.map_err(|fault| match fault.kind {
        FaultKind::ServerRefusesTls => QuickFault::NoTls {
            server: server(target),
        },
        _ => unreachable(fault),
    })?;
    let verified = look(target, required(target, &context));
    let leg = verified.map_err(|fault| match fault.kind {
        FaultKind::Tls { cause } => distrusted(target, options, cause, shown.certificate()),
        _ => unreachable(fault),
    })?;
    Ok(Trusted {
        trust,
        context: Some(context),
        leg,
    })
}

/// Why a certificate is not trusted: a pin that another certificate fails is no question to ask.
fn distrusted(
    target: &Target,
    options: &QuickstartOptions,
    cause: String,
    shown: Option<&PeerCertificate>,
) -> QuickFault {
    let server = server(target);
    match (options.pin, shown) {
        (Some(pinned), Some(certificate)) if certificate.sha256 != pinned => {
            QuickFault::NotPinned(Box::new(NotPinned {
                server,
                pinned,
                certificate: certificate.clone(),
            }))
        }
        _ => QuickFault::NotVerified(Box::new(NotVerified {
            server,
            cause,
            certificate: shown.cloned(),
            command: command(options),
        })),
    }
}

/// Where the server is, for people.
pub(super) fn server(target: &Target) -> String {
    HostAddress::Tcp(target.host.clone(), target.port).to_string()
}

/// The configuration may lie elsewhere than where the command runs.
fn absolute(path: &Path) -> String {
    let whole = std::path::absolute(path);
    whole.as_deref().unwrap_or(path).display().to_string()
}

fn context(mode: ServerMode) -> Result<ServerContext, QuickFault> {
    let settings = ServerSettings {
        mode,
        crl: None,
        identity: None,
        profile: Profile::towards_servers(),
    };
    Ok(ServerContext::build(&settings, now_unix_s())?)
}

fn required(target: &Target, context: &ServerContext) -> ServerTls {
    // The URL's host was taken apart as a server's name already.
    let unnamed = ServerName::Name(target.host.as_str().into());
    ServerTls::Required {
        context: context.clone(),
        name: ServerName::parse(&target.host).unwrap_or(unnamed),
        negotiation: Negotiation::Postgres,
        verified: false,
    }
}

fn look(target: &Target, tls: ServerTls) -> Result<Leg, Fault> {
    let host = Host {
        upkeep: tls::Upkeep::default(),
        address: HostAddress::Tcp(target.host.clone(), target.port),
        tls,
        rules: AnswerRules::default(),
    };
    let probe = Probe {
        host: &host,
        timeout: TIMEOUT,
    };
    probe.leg()
}
