//! Owns what the shell is told of listeners: where clients come in, with which TLS, and what decides about their proofs.

use super::{Material, method, upkeep};
use admission::Network;
use auth::{
    BindingRule, CertificateMap, CertificateName as Name, CertificateRule, Doomed, GateRules,
    Pattern, Piece, Trust, Verifier,
};
use config::{
    CertificateName, ChannelBinding, ClientCertificates, Clients, Config, ListenTls, Method,
    Renegotiation, UnixSocketMethod,
};
use shell::setup::{Address, DirectTls, Listener, ListenerTls, PlaintextCancel, ProxyProtocol};
use std::net::SocketAddr;
use tls::ListenerContext;

/// One of the listeners of the configuration, with its TLS.
struct Entrance<'a> {
    proxy_protocol: ProxyProtocol,
    method: Method,
    tls: &'a ListenTls,
    context: Option<&'a ListenerContext>,
}

pub(super) fn listeners(config: &Config, material: &Material) -> Vec<Listener> {
    // Where rules have the methods, each line says for itself whether it trusts.
    let by_rules = material.hba.is_some() && config.listen.allow_trust;
    let first = Entrance {
        method: config.auth.method,
        tls: &config.listen.tls,
        context: material.listener.as_ref(),
        proxy_protocol: proxy_protocol(config),
    };
    let further = config.listeners.iter().zip(&material.listeners);
    let further = further.map(|(it, context)| {
        let entrance = Entrance {
            method: it.method.unwrap_or(config.auth.method),
            tls: &it.tls,
            context: context.as_ref(),
            proxy_protocol: ProxyProtocol::Off,
        };
        (entrance, &it.addresses)
    });
    let tcp = std::iter::once((first, &config.listen.addresses))
        .chain(further)
        .flat_map(|(entrance, addresses)| {
            let listener =
                |address: &SocketAddr| tcp_listener(config, material, &entrance, *address);
            addresses.iter().map(listener).collect::<Vec<_>>()
        });
    let unix = config.listen.unix_socket.iter().map(|socket| Listener {
        address: Address::Unix {
            path: socket.path.clone(),
            mode: socket.mode,
        },
        tls: ListenerTls::UnencryptedByConfiguration,
        upkeep: tls::Upkeep::default(),
        plaintext_cancel: PlaintextCancel::Accept,
        method: unix_method(config),
        rules: rules(
            config,
            material,
            (
                config.auth.method,
                config.auth.unix_socket_method == UnixSocketMethod::Trust || by_rules,
            ),
        ),
        client_certificates: shell::setup::ClientCertificates::NotAsked,
        direct_tls: DirectTls::Refused,
        proxy_protocol: ProxyProtocol::Off,
    });
    tcp.chain(unix).collect()
}

fn proxy_protocol(config: &Config) -> ProxyProtocol {
    let Some(trusted) = &config.listen.proxy_trusted else {
        return ProxyProtocol::Off;
    };
    let network = |&(address, prefix): &(_, _)| Network { address, prefix };
    ProxyProtocol::Required {
        trusted: trusted.iter().map(network).collect(),
    }
}

fn tcp_listener(
    config: &Config,
    material: &Material,
    entrance: &Entrance<'_>,
    address: SocketAddr,
) -> Listener {
    let (direct_tls, plaintext_cancel, client_certificates, renegotiation) = match entrance.tls {
        ListenTls::Disabled => (
            DirectTls::Refused,
            PlaintextCancel::Accept,
            shell::setup::ClientCertificates::NotAsked,
            Renegotiation::Refuse,
        ),
        ListenTls::On(tls) => (
            match tls.direct {
                true => DirectTls::Accepted,
                false => DirectTls::Refused,
            },
            match tls.plaintext_cancel {
                config::PlaintextCancel::Refuse => PlaintextCancel::Refuse,
                config::PlaintextCancel::Accept => PlaintextCancel::Accept,
            },
            client_certificates(&tls.client_certificates),
            tls.renegotiation,
        ),
    };
    // Where rules have the methods, each line says for itself whether it trusts.
    let by_rules = material.hba.is_some() && config.listen.allow_trust;
    let trust = entrance.method == Method::Trust || by_rules;
    Listener {
        address: Address::Tcp(address),
        tls: listener_tls(entrance),
        upkeep: upkeep(config, renegotiation),
        plaintext_cancel,
        method: method(entrance.method),
        rules: rules(config, material, (entrance.method, trust)),
        client_certificates,
        direct_tls,
        proxy_protocol: entrance.proxy_protocol.clone(),
    }
}

fn listener_tls(entrance: &Entrance<'_>) -> ListenerTls {
    match (entrance.tls, entrance.context) {
        (ListenTls::On(tls), Some(context)) => match tls.clients {
            Clients::MustEncrypt => ListenerTls::Required(context.clone()),
            Clients::MayEncrypt => ListenerTls::Optional(context.clone()),
        },
        _ => ListenerTls::UnencryptedByConfiguration,
    }
}

fn client_certificates(asked: &ClientCertificates) -> shell::setup::ClientCertificates {
    match asked {
        ClientCertificates::NotAsked => shell::setup::ClientCertificates::NotAsked,
        ClientCertificates::Optional(_) | ClientCertificates::Required(_) => {
            shell::setup::ClientCertificates::Verified
        }
        ClientCertificates::RequiredForUser(_) => shell::setup::ClientCertificates::VerifiedForUser,
    }
}

fn rules(config: &Config, material: &Material, (method, trust): (Method, bool)) -> GateRules {
    let passwords = material
        .users
        .iter()
        .any(|(_, verifier)| matches!(verifier, Verifier::Password(_)));
    GateRules {
        binding: match config.auth.channel_binding {
            ChannelBinding::Disable => BindingRule::Disabled,
            ChannelBinding::Prefer => BindingRule::Offered,
            ChannelBinding::Require => BindingRule::Required,
        },
        // An unknown user costs what a known one costs.
        doomed: match (method, passwords) {
            (Method::Md5, _) => Doomed::Md5,
            (_, true) => Doomed::ScramDerived,
            (_, false) => Doomed::Scram,
        },
        certificates: certificates(config),
        trust: match trust {
            true => Trust::NamedForListener,
            false => Trust::Refused,
        },
        ..GateRules::default()
    }
}

fn certificates(config: &Config) -> CertificateMap {
    if config.auth.map.is_empty() {
        return CertificateMap::CommonName;
    }
    let rule = |mapping: &config::CertificateMapping| CertificateRule {
        name: match mapping.certificate.clone() {
            CertificateName::CommonName(name) => Name::CommonName(pattern(&name)),
            CertificateName::Dns(name) => Name::Dns(pattern(&name)),
            CertificateName::Email(name) => Name::Email(pattern(&name)),
            CertificateName::Uri(name) => Name::Uri(pattern(&name)),
        },
        role: pattern(&mapping.user),
    };
    CertificateMap::Rules(config.auth.map.iter().map(rule).collect())
}

fn pattern(pattern: &config::Pattern) -> Pattern {
    let piece = |piece: &config::Piece| match piece {
        config::Piece::Text(text) => Piece::Text(text.clone()),
        config::Piece::Any => Piece::Any,
        config::Piece::Capture(name) => Piece::Capture(name.clone()),
    };
    Pattern::new(pattern.0.iter().map(piece).collect())
}

fn unix_method(config: &Config) -> auth::Method {
    match config.auth.unix_socket_method {
        UnixSocketMethod::Peer => auth::Method::Peer,
        UnixSocketMethod::Trust => auth::Method::Trust,
        UnixSocketMethod::ScramSha256 => auth::Method::ScramSha256,
        UnixSocketMethod::Md5 => auth::Method::Md5,
    }
}
