//! Owns where the hosts of clusters are looked up: from settings, and the files that they name, to plans.

use super::{holding, rules, secrets};
use crate::alarms;
use crate::fault::{Fault, RemoteProblem};
use buf::Secret;
use cluster::{Key, Member};
use config::{CaSource, Cluster, Config, Holds, MembersSource, Origin, Service, Source};
use fetch::{Identity, Trust};
use members::{Etcd, Login, NameServers, Patroni, Plan, Servers, parse_line};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

/// How long Patroni or etcd may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// Where the hosts of each cluster are looked up, in order.
pub(super) fn plans(
    config: &Config,
    passwords: &HashMap<Origin, Secret>,
) -> Result<Vec<Plan>, Vec<Fault>> {
    let keys = holding(config, Holds::PrivateKey);
    let keys = keys.filter(|it| it.place.key.starts_with("cluster.source_tls."));
    let mut faults: Vec<Fault> = keys.filter_map(not_private).collect();
    faults.extend(holding(config, Holds::Members).flat_map(bad_lines));
    let mut plans = Vec::new();
    for cluster in &config.clusters {
        match plan(cluster, passwords) {
            Ok(plan) => plans.push(plan),
            Err(fault) => faults.push(fault),
        }
    }
    match faults.is_empty() {
        true => Ok(plans),
        false => Err(faults),
    }
}

fn plan(cluster: &Cluster, passwords: &HashMap<Origin, Secret>) -> Result<Plan, Fault> {
    let interval = cluster.members_interval;
    Ok(match &cluster.members {
        MembersSource::Hosts(members) => Plan::Static(members.iter().map(member).collect()),
        MembersSource::Dns {
            name,
            port,
            servers,
        } => Plan::Addresses {
            name: name.clone(),
            port: *port,
            name_servers: name_servers(servers),
            interval,
        },
        MembersSource::Srv { service, servers } => Plan::Srv {
            service: service.clone(),
            name_servers: name_servers(servers),
            interval,
        },
        MembersSource::File(path) => Plan::File {
            path: path.clone(),
            interval,
        },
        MembersSource::Patroni(service) => Plan::Patroni(Patroni {
            servers: servers(service, passwords)?,
            interval,
        }),
        MembersSource::Etcd { service, scope } => Plan::Etcd(Etcd {
            servers: servers(service, passwords)?,
            scope: scope.clone(),
            interval,
        }),
    })
}

fn name_servers(servers: &[SocketAddr]) -> NameServers {
    NameServers {
        servers: servers.to_vec(),
        ..NameServers::default()
    }
}

fn member(member: &config::Member) -> Member {
    Member {
        key: Key::new(&member.name, member.port),
        weight: member.weight,
        zone: member.zone.clone(),
    }
}

fn servers(service: &Service, passwords: &HashMap<Origin, Secret>) -> Result<Servers, Fault> {
    let remote = |problem| Fault::Remote {
        place: service.place.clone(),
        problem,
    };
    let urls = service.urls.iter().map(|it| it.parse());
    let urls: Result<Vec<_>, _> = urls.collect();
    let login = service.login.as_ref().and_then(|it| {
        let password = passwords.get(&it.password)?.clone();
        let user = it.user.clone();
        Some(Login { user, password })
    });
    Ok(Servers {
        urls: urls.map_err(|bad| remote(RemoteProblem::Url(bad)))?,
        trust: trust(service).map_err(remote)?,
        login,
        timeout: ANSWER,
    })
}

fn trust(service: &Service) -> Result<Trust, RemoteProblem> {
    let authorities = match &service.ca {
        CaSource::System => None,
        CaSource::File(path) => Some(alarms::read(path)),
    };
    let authorities = authorities.transpose();
    let authorities = authorities.map_err(|error| RemoteProblem::Unreadable(error.kind()))?;
    let identity = service.identity.as_ref().map(|pair| Identity {
        certificate: &pair.certificate,
        private_key: &pair.private_key,
    });
    Trust::new(authorities.as_deref(), identity).map_err(RemoteProblem::SourceTls)
}

fn not_private(source: &Source) -> Option<Fault> {
    match &source.from {
        Origin::File(path) => secrets::not_private(&source.place, path),
        Origin::Env(_) | Origin::Command(_) => None,
    }
}

/// What is wrong with a file of hosts, which is read again whenever it changes.
fn bad_lines(source: &Source) -> Vec<Fault> {
    let (place, Origin::File(path)) = (&source.place, &source.from) else {
        return Vec::new();
    };
    let text = match rules::text(place, path) {
        Ok(text) => text,
        Err(fault) => return vec![fault],
    };
    let bad = |(line, text): (usize, &str)| {
        let problem = parse_line(text).err()?;
        Some(Fault::MembersLine {
            place: place.clone(),
            path: path.clone(),
            line,
            problem,
        })
    };
    (1..).zip(text.lines()).filter_map(bad).collect()
}
