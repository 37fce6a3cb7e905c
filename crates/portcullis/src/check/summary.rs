//! Owns what a configuration comes to, in a few lines.

use crate::material::{Material, now_unix_s};
use config::{
    Config, DatabaseName, Followed, HostAddress, ListenTls, MembersSource, RouteReads, ServerTls,
    Servers, Target,
};
use std::net::SocketAddr;
use tls::{Effective, Expires, Expiry};

/// Who may come in, and where it goes.
pub(super) fn summary(config: &Config, material: &Material) -> Vec<String> {
    let towards_clients = match config.listen.tls {
        ListenTls::Disabled => "without TLS",
        ListenTls::On(_) => "with TLS",
    };
    let addresses = config.listen.addresses.iter();
    let mut lines: Vec<String> = addresses
        .map(|address| format!("listens on {address} {towards_clients}"))
        .collect();
    if let Some(socket) = &config.listen.unix_socket {
        lines.push(format!("listens on {}", socket.path.display()));
    }
    if config.auth.auth_file.is_some() {
        lines.push(format!("knows {} users", material.users.len()));
    }
    if !material.passwords.is_empty() {
        lines.push(format!(
            "has {} passwords for servers",
            material.passwords.len()
        ));
    }
    lines.extend(config.clusters.iter().map(members));
    let databases = config.databases.iter();
    lines.extend(databases.map(|it| destination(config, it)));
    lines.extend(config.routes.iter().map(led));
    lines.extend(further(config));
    lines.extend(policies(config, material));
    let today = now_unix_s();
    lines.extend(material.expiries().into_iter().map(|it| expiry(it, today)));
    lines
}

/// The further listeners.
fn further(config: &Config) -> impl Iterator<Item = String> {
    config.listeners.iter().flat_map(|listener| {
        let how = match listener.tls {
            ListenTls::Disabled => "without TLS",
            ListenTls::On(_) => "with TLS",
        };
        let line = move |address| format!("listens on {address} {how}");
        listener.addresses.iter().map(line)
    })
}

/// What TLS really comes to, for each listener and each server.
fn policies(config: &Config, material: &Material) -> Vec<String> {
    let mut lines = vec![format!("TLS is that of {}", tls::versions().running)];
    let first = std::iter::once((&material.listener, &config.listen.addresses));
    let further = config.listeners.iter().zip(&material.listeners);
    for (context, addresses) in first.chain(further.map(|(it, context)| (context, &it.addresses))) {
        if let Some(context) = context {
            let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            let whose = format!("TLS of {}", addresses.join(", "));
            lines.extend(policy(&whose, context.effective()));
        }
    }
    for (database, contexts) in config.databases.iter().zip(&material.servers) {
        let hosts = database.listed().into_iter().flat_map(|it| &it.hosts);
        for (host, context) in hosts.zip(contexts) {
            if let Some(context) = context {
                let whose = format!("TLS towards {}", place(host));
                lines.extend(policy(&whose, context.effective()));
            }
        }
    }
    for (cluster, contexts) in config.clusters.iter().zip(&material.clusters) {
        let whose = format!("TLS towards cluster {:?}", cluster.name);
        if let Some(context) = &contexts.general {
            lines.extend(policy(&whose, context.effective()));
        }
        for (own, context) in cluster.host_tls.iter().zip(&contexts.own) {
            let hosts: Vec<_> = own.hosts.iter().map(ToString::to_string).collect();
            let whose = format!("{whose}, {} {}", hosts.join(", "), with_tls(&own.tls));
            match context {
                Some(context) => lines.extend(policy(&whose, context.effective())),
                None => lines.push(whose),
            }
        }
    }
    lines
}

fn policy(whose: &str, effective: &Effective) -> Vec<String> {
    let tickets = match effective.tickets {
        Some(lifetime) => format!("on, keys change every {} s", lifetime.as_secs()),
        None => "off".to_owned(),
    };
    let renegotiation = match effective.renegotiation {
        true => "allowed",
        false => "refused",
    };
    vec![
        format!("{whose}: {} to {}", effective.minimum, effective.maximum),
        format!("  suites {}", effective.ciphers.join(":")),
        format!("  groups {}", effective.groups),
        format!("  signature algorithms {}", effective.signatures),
        format!(
            "  security level {}, session tickets {tickets}, renegotiation {renegotiation}",
            effective.security_level
        ),
    ]
}

fn expiry(expiry: &Expiry, now_unix_s: i64) -> String {
    let what = match expiry.kind {
        Expires::Certificate => "certificate",
        Expires::Authority => "authority",
        Expires::RevocationList => "revocation list",
        Expires::Staple => "staple",
    };
    let days = (expiry.not_after_unix_s - now_unix_s).div_euclid(86_400);
    format!("{what} {} expires in {days} days", expiry.what)
}

/// One route.
fn led(of: &config::Route) -> String {
    let route = crate::setup::route(of);
    let to = route.to.as_deref().map(|it| format!(" to database {it:?}"));
    let hosts = of
        .target
        .map(|it| format!(" to hosts by target {:?}", it.word()));
    let to = to.unwrap_or_default();
    format!(
        "route {:?} leads clients with {}{to}{}",
        route.name,
        route.conditions,
        hosts.unwrap_or_default()
    )
}

/// One database and its servers.
pub(crate) fn destination(config: &Config, database: &config::Database) -> String {
    let name = match &database.name {
        DatabaseName::Named(name) => name.as_str(),
        DatabaseName::Any => "*",
    };
    match &database.servers {
        Servers::Listed(listed) => {
            let hosts: Vec<String> = listed.hosts.iter().map(place).collect();
            let tls = with_tls(&listed.tls);
            format!("database {name:?} is at {} {tls}", hosts.join(", "))
        }
        Servers::Of(followed) => format!("database {name:?} {}", route(config, followed)),
    }
}

/// Where a database of a cluster goes.
fn route(config: &Config, followed: &Followed) -> String {
    let hosts = match followed.target {
        Target::Primary => "the primary",
        Target::Standby => "standbys",
        Target::PreferStandby => "standbys, or else the primary,",
        Target::Any => "any host",
    };
    let tls = config.cluster(&followed.cluster);
    let tls = tls.map_or("", |it| with_tls(&it.tls));
    let reads = match followed.route_reads {
        RouteReads::Off => "",
        RouteReads::Replicas => ", and statements that only read to standbys",
        RouteReads::Asked => ", and statements to standbys that a rule or a hint leads there",
    };
    format!(
        "goes to {hosts} of cluster {:?} {tls}{reads}",
        followed.cluster
    )
}

/// Which servers of DNS are asked, if not those of the system.
fn asked_of(servers: &[SocketAddr]) -> String {
    let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
    match servers.is_empty() {
        true => String::new(),
        false => format!(", as {} say", servers.join(", ")),
    }
}

/// One cluster and its hosts.
fn members(cluster: &config::Cluster) -> String {
    let name = &cluster.name;
    match &cluster.members {
        MembersSource::Hosts(members) => {
            let hosts: Vec<String> = members.iter().map(member).collect();
            format!("cluster {name:?} has {}", hosts.join(", "))
        }
        MembersSource::Dns {
            name: dns,
            port,
            servers,
        } => {
            let asked = asked_of(servers);
            format!("cluster {name:?} has the addresses of {dns} at port {port}{asked}")
        }
        MembersSource::Srv { service, servers } => {
            let asked = asked_of(servers);
            format!("cluster {name:?} has the targets of {service}{asked}")
        }
        MembersSource::File(path) => {
            format!("cluster {name:?} has the hosts in {}", path.display())
        }
        MembersSource::Patroni(service) => {
            let urls = service.urls.join(", ");
            format!("cluster {name:?} has the hosts that Patroni names at {urls}")
        }
        MembersSource::Etcd { service, scope } => {
            let urls = service.urls.join(", ");
            format!("cluster {name:?} has the hosts under {scope} in etcd at {urls}")
        }
    }
}

fn member(member: &config::Member) -> String {
    let place = match member.name.contains(':') {
        true => format!("[{}]:{}", member.name, member.port),
        false => format!("{}:{}", member.name, member.port),
    };
    let zone = match member.zone.as_str() {
        "" => String::new(),
        zone => format!(", zone {zone}"),
    };
    format!("{place} (weight {}{zone})", member.weight)
}

fn with_tls(tls: &ServerTls) -> &'static str {
    match tls {
        ServerTls::Disabled => "without TLS",
        ServerTls::On(_) => "with TLS",
    }
}

fn place(host: &config::Host) -> String {
    match &host.address {
        HostAddress::Name(name) => format!("{name}:{}", host.port),
        HostAddress::Ip(address) => {
            format!("{}", SocketAddr::new(*address, host.port))
        }
        HostAddress::UnixDir(path) => format!("{}:{}", path.display(), host.port),
    }
}
