//! Owns the proof of the client leg: the proxy is started on a free port of this machine with the
//! configuration as it is, and met as clients meet it, with TLS and without.

use super::CheckFault;
use crate::cli::CheckOptions;
use crate::fault::Fault;
use crate::leg;
use crate::material::{listener_profile, now_unix_s};
use crate::output::{complain, say};
use auth::AnswerRules;
use config::{Clients, Config, ListenTls, ListenTlsOn};
use session::fault::FaultKind;
use shell::Proxy;
use shell::probe::{Leg, Probe, Unencrypted, unencrypted};
use shell::setup::{Address, Host, HostAddress, Negotiation, ProxyProtocol, ServerTls, Setup};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tls::{
    ContextFault, Profile, Roots, ServerContext, ServerMode, ServerName, ServerSettings, Source,
};

/// Both ends are on this machine.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Starts the proxy and meets it; gives what failed.
pub(super) fn check(
    config: &Config,
    mut setup: Setup,
    options: &CheckOptions,
) -> Result<Vec<CheckFault>, Vec<Fault>> {
    let entrances = entrances(config);
    setup
        .listeners
        .retain(|it| matches!(it.address, Address::Tcp(_)));
    // The first address of each: the others have the same policy.
    let mut at = 0;
    setup.listeners.retain(|_| {
        let first = entrances.iter().any(|it| it.at == at);
        at += 1;
        first
    });
    if setup.listeners.is_empty() {
        say("\nclient leg: a Unix socket only, which needs no TLS");
        return Ok(Vec::new());
    }
    for listener in &mut setup.listeners {
        // The meeting comes from here, not from a load balancer.
        listener.proxy_protocol = ProxyProtocol::Off;
        listener.address = Address::Tcp((Ipv4Addr::LOCALHOST, 0).into());
    }
    let proxy = Proxy::start(setup).map_err(|fault| vec![Fault::Start(fault)])?;
    let mut faults = Vec::new();
    for (entrance, address) in entrances.iter().zip(proxy.addresses().iter().copied()) {
        say(&format!(
            "\nclient leg: {} on a free port of this machine",
            entrance.called
        ));
        let tried =
            with_tls(entrance, address, options).and_then(|()| without_tls(entrance.tls, address));
        if let Err(fault) = tried {
            say(&leg::line("FAILED", &fault.to_string()));
            faults.push(fault);
        }
    }
    Ok(faults)
}

/// A listener of the configuration.
struct Entrance<'a> {
    /// Which of all TCP addresses is its first one.
    at: usize,
    called: String,
    tls: &'a ListenTls,
    addresses: &'a [SocketAddr],
}

/// The listeners that have TCP addresses.
fn entrances(config: &Config) -> Vec<Entrance<'_>> {
    let first = (
        "this configuration".to_owned(),
        &config.listen.tls,
        config.listen.addresses.as_slice(),
    );
    let further = config.listeners.iter().map(|it| {
        let address = it.addresses.first().map(ToString::to_string);
        let called = format!("the listener of {}", address.unwrap_or_default());
        (called, &it.tls, it.addresses.as_slice())
    });
    let mut at = 0;
    let mut all = Vec::new();
    for (called, tls, addresses) in std::iter::once(first).chain(further) {
        if !addresses.is_empty() {
            all.push(Entrance {
                at,
                called,
                tls,
                addresses,
            });
        }
        at += addresses.len();
    }
    all
}

fn with_tls(
    entrance: &Entrance<'_>,
    address: SocketAddr,
    options: &CheckOptions,
) -> Result<(), CheckFault> {
    let ListenTls::On(listen) = entrance.tls else {
        say(&leg::line("TLS", "none: listen.tls.mode = \"disable\""));
        return Ok(());
    };
    let any = context(ServerMode::Require, listen)?;
    let met = meet(address, &any, &ServerName::Ip(address.ip()));
    let met = met.map_err(|fault| CheckFault::Handshake {
        cause: leg::cause(&fault),
    })?;
    if let Some(tls) = &met.tls {
        say(&leg::line("TLS", &leg::tls(tls)));
    }
    for line in met.certificate().map(leg::certificate).unwrap_or_default() {
        say(&line);
    }
    verify((entrance, listen), address, options, &met)?;
    if !matches!(
        listen.client_certificates,
        config::ClientCertificates::NotAsked
    ) {
        say(&leg::line(
            "certificates",
            "asked of clients; none was shown here",
        ));
    }
    Ok(())
}

/// What a client with `sslmode=verify-full` would find. Only a warning: its authority and the name
/// it uses are the client's.
fn verify(
    (entrance, listen): (&Entrance<'_>, &ListenTlsOn),
    address: SocketAddr,
    options: &CheckOptions,
    met: &Leg,
) -> Result<(), CheckFault> {
    let (roots, authority) = match &options.ca {
        Some(path) => (
            Roots::Given(vec![Source::File(path.clone())]),
            path.display().to_string(),
        ),
        None => (Roots::System, "this system's authorities".to_owned()),
    };
    let chain = context(ServerMode::VerifyCa(roots.clone()), listen);
    let chain = match (chain, &options.ca) {
        (Err(fault), Some(_)) => return Err(fault),
        (Err(fault), None) => {
            complain(&format!(
                "warning: the certificate was not verified: {fault}"
            ));
            return Ok(());
        }
        (Ok(chain), _) => chain,
    };
    if let Err(fault) = meet(address, &chain, &ServerName::Ip(address.ip())) {
        complain(&format!(
            "warning: clients that trust {authority} refuse the certificate of \
             this listener: {}; give clients its authority (sslrootcert), and check with \
             --ca FILE",
            leg::cause(&fault)
        ));
        return Ok(());
    }
    let full = context(ServerMode::VerifyFull(roots), listen)?;
    let names = names(entrance, options)?;
    let fits = |name: &&ServerName| meet(address, &full, name).is_ok();
    match names.iter().find(fits) {
        Some(name) => {
            let words = format!("{authority}, as {name}");
            say(&leg::line("verified by", &words));
        }
        None => {
            let tried: Vec<String> = names.iter().map(ToString::to_string).collect();
            let made_out = met.certificate().map(leg::names).unwrap_or_default();
            complain(&format!(
                "warning: the certificate is trusted by {authority}, but made out to {made_out}, \
                 not to {}; name what clients connect to with --name HOST",
                tried.join(" or ")
            ));
        }
    }
    Ok(())
}

/// What clients may call this listener.
fn names(entrance: &Entrance<'_>, options: &CheckOptions) -> Result<Vec<ServerName>, CheckFault> {
    if let Some(name) = &options.name {
        return Ok(vec![ServerName::parse(name).map_err(CheckFault::Name)?]);
    }
    let local = || ServerName::Name("localhost".into());
    let names = |ip: IpAddr| match (ip.is_loopback(), ip.is_unspecified()) {
        (true, _) => vec![local(), ServerName::Ip(ip)],
        (_, true) => vec![local()],
        _ => vec![ServerName::Ip(ip)],
    };
    let first = entrance.addresses.first();
    Ok(first.map_or_else(|| vec![local()], |address| names(address.ip())))
}

fn without_tls(tls: &ListenTls, address: SocketAddr) -> Result<(), CheckFault> {
    let must = match tls {
        ListenTls::On(listen) => listen.clients == Clients::MustEncrypt,
        ListenTls::Disabled => false,
    };
    let found = match (must, unencrypted(address, TIMEOUT)) {
        (true, Ok(Unencrypted::Refused { sqlstate, message })) if sqlstate == "28000" => {
            format!("refused ({sqlstate}): {message}")
        }
        (true, Ok(found)) => {
            let found = format!("{found:?}");
            return Err(CheckFault::Admitted { found });
        }
        (true, Err(fault)) if matches!(fault.kind, FaultKind::Timeout { .. }) => {
            let found = "it is kept waiting".to_owned();
            return Err(CheckFault::Admitted { found });
        }
        (true, Err(fault)) => {
            let found = leg::cause(&fault);
            return Err(CheckFault::Admitted { found });
        }
        (false, _) => "let in, because listen.tls.mode says so".to_owned(),
    };
    say(&leg::line("without TLS", &found));
    Ok(())
}

/// A client as it comes; where OpenSSL is not allowed what such a client offers (FIPS), one that
/// offers what the listener speaks.
fn context(mode: ServerMode, listen: &ListenTlsOn) -> Result<ServerContext, CheckFault> {
    let settings = |mode, profile| ServerSettings {
        mode,
        crl: None,
        identity: None,
        profile,
    };
    let usual = settings(mode.clone(), Profile::default());
    let built = match ServerContext::build(&usual, now_unix_s()) {
        Err(ContextFault::UnknownName { .. }) => {
            let own = settings(mode, listener_profile(&listen.options));
            ServerContext::build(&own, now_unix_s())
        }
        built => built,
    };
    built.map_err(CheckFault::Authority)
}

/// One handshake with the proxy.
fn meet(
    address: SocketAddr,
    context: &ServerContext,
    name: &ServerName,
) -> Result<Leg, session::fault::Fault> {
    let host = Host {
        upkeep: tls::Upkeep::default(),
        address: HostAddress::Tcp(address.ip().to_string(), address.port()),
        tls: ServerTls::Required {
            context: context.clone(),
            name: name.clone(),
            negotiation: Negotiation::Postgres,
            verified: false,
        },
        rules: AnswerRules::default(),
    };
    let probe = Probe {
        host: &host,
        timeout: TIMEOUT,
    };
    probe.leg()
}
