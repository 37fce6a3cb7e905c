//! Owns what the shell is told of clusters: who belongs to each, how its hosts are reached and asked, and what a
//! database wants of it.

use super::{Material, password, reached, server_name, tcp};
use crate::fault::Fault;
use crate::material::OfCluster;
use auth::ServerUser;
use cluster::{Balance, Key, Member, Reads, Rules, Wish};
use config::{Config, MembersSource, ServerTls, Target};
use shell::setup::{
    Check, Cluster, Followed, HostAddress, HostName, HostTemplate, HostTemplates, Located,
    MembersPlan, Promotion, StatementRouting, Switchover, Verifies, WithoutPrimary,
};
use std::net::{IpAddr, Ipv4Addr};
use tls::{ServerContext, ServerName};

/// All clusters, in order.
pub(super) fn clusters(config: &Config, material: &Material) -> Result<Vec<Cluster>, Fault> {
    let contexts = material.clusters.iter();
    let clusters = config.clusters.iter().zip(contexts);
    clusters
        .map(|(it, contexts)| cluster(config, it, contexts, material))
        .collect()
}

fn cluster(
    config: &Config,
    of: &config::Cluster,
    contexts: &OfCluster,
    material: &Material,
) -> Result<Cluster, Fault> {
    let (checks, reads) = (&of.checks, &of.reads);
    Ok(Cluster {
        name: of.name.clone(),
        members: members(of),
        templates: templates(config, of, contexts)?,
        check: Check {
            user: ServerUser::configured(&checks.user),
            password: password(checks.password.as_ref(), material),
            database: checks.database.clone(),
            timeout: checks.timeout,
            tcp: tcp(config, None),
        },
        rules: Rules {
            interval: checks.interval,
            pause_max: checks.pause_max,
            fall: checks.fall,
            rise: checks.rise,
        },
        reads: Reads {
            lag_bytes_max: reads.lag_bytes_max,
            lag_max: reads.lag_max,
            balance: match reads.balance {
                config::Balance::LeastBusy => Balance::LeastBusy,
                config::Balance::RoundRobin => Balance::RoundRobin,
            },
            zone: reads.zone.clone().unwrap_or_default(),
            slow_start: reads.slow_start,
        },
        without_primary: match of.without_primary {
            config::WithoutPrimary::Wait => WithoutPrimary::Wait,
            config::WithoutPrimary::ReadOnly => WithoutPrimary::ReadOnly,
        },
        switchover: Switchover {
            // Whoever runs the proxy attaches who does it.
            by: Promotion::Operator,
            timeout: of.switchover.timeout,
        },
    })
}

/// Those that are listed; whoever runs the proxy attaches the source of all others.
fn members(of: &config::Cluster) -> MembersPlan {
    match &of.members {
        MembersSource::Hosts(members) => MembersPlan::Listed(members.iter().map(listed).collect()),
        MembersSource::Dns { .. }
        | MembersSource::Srv { .. }
        | MembersSource::File(_)
        | MembersSource::Patroni(_)
        | MembersSource::Etcd { .. } => MembersPlan::Listed(Vec::new()),
    }
}

fn listed(member: &config::Member) -> Located {
    located(members::Located::of(Member {
        key: Key::new(&member.name, member.port),
        weight: member.weight,
        zone: member.zone.clone(),
    }))
}

/// A host as the source of a cluster has it.
pub(crate) fn located(found: members::Located) -> Located {
    let members::Located {
        member,
        name,
        address,
        port,
        title,
    } = found;
    Located {
        member,
        name,
        address,
        port,
        title,
    }
}

fn templates(
    config: &Config,
    of: &config::Cluster,
    contexts: &OfCluster,
) -> Result<HostTemplates, Fault> {
    let name = |it: &config::HostName| HostName {
        name: it.name.clone(),
        port: it.port,
    };
    let own = of.host_tls.iter().zip(&contexts.own);
    let own = own.map(|(of, context)| {
        let names = of.hosts.iter().map(name).collect();
        Ok((names, template(config, &of.tls, context.as_ref())?))
    });
    Ok(HostTemplates {
        general: template(config, &of.tls, contexts.general.as_ref())?,
        own: own.collect::<Result<_, Fault>>()?,
    })
}

/// How hosts are reached of which only a name is known.
fn template(
    config: &Config,
    tls: &ServerTls,
    context: Option<&ServerContext>,
) -> Result<HostTemplate, Fault> {
    let verifies = match tls {
        ServerTls::On(tls) if tls.server_name.is_some() => Verifies::TemplatesName,
        ServerTls::On(_) | ServerTls::Disabled => Verifies::HostsName,
    };
    // Each host puts its own in their place.
    let nowhere = HostAddress::Tcp(String::new(), 0);
    let nobody = || Ok(ServerName::Ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
    let name = server_name(tls).unwrap_or_else(nobody)?;
    Ok(HostTemplate {
        like: reached(config, (nowhere, name), (tls, context)),
        verifies,
    })
}

/// What a database wants of its cluster.
pub(super) fn followed(of: &config::Followed) -> Followed {
    Followed {
        cluster: of.cluster.clone(),
        wish: wish(of.target),
        reads: match of.route_reads {
            config::RouteReads::Off => StatementRouting::Off,
            config::RouteReads::Replicas => StatementRouting::Replicas,
            config::RouteReads::Asked => StatementRouting::Asked,
        },
        by_client: of.target_by_client,
    }
}

/// Which hosts are wanted.
pub(super) fn wish(target: Target) -> Wish {
    match target {
        Target::Primary => Wish::Primary,
        Target::Standby => Wish::Standby,
        Target::PreferStandby => Wish::PreferStandby,
        Target::Any => Wish::Any,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "[listen.tls]\ncertificate = \"c\"\nprivate_key = \"k\"\n\
        [auth]\nauth_user = \"u\"\n[[database]]\nname = \"a\"\ncluster = \"main\"\n";

    fn read(rest: &str) -> Config {
        Config::from_text(&format!("{BASE}{rest}"), "p.toml")
            .unwrap()
            .0
    }

    /// A cluster without TLS, which needs no files.
    fn told(settings: &str) -> Result<Cluster, Fault> {
        let config = read(&format!(
            "[[cluster]]\nname = \"main\"\ncheck_user = \"c\"\n{settings}\n\
             [cluster.tls]\nmode = \"disable\"\n"
        ));
        let contexts = OfCluster::default();
        cluster(
            &config,
            &config.clusters[0],
            &contexts,
            &Material::default(),
        )
    }

    /// Each default stands twice: in the table of settings, for people, and in the crate that uses it.
    #[test]
    fn defaults_of_the_settings_are_those_of_the_crates() {
        let told = told("hosts = \"db1\"").unwrap();
        assert_eq!(told.rules, Rules::default());
        let usual = Reads {
            slow_start: told.reads.slow_start,
            ..Reads::default()
        };
        assert_eq!(told.reads, usual);
        assert_eq!(told.without_primary, WithoutPrimary::default());
        assert_eq!(told.check.user.name(), "c");
        let MembersPlan::Listed(members) = &told.members else {
            panic!("not listed")
        };
        let plain = Member::plain(Key::new("db1", 5432));
        assert_eq!(members[0].member, plain);
    }

    #[test]
    fn hosts_are_reached_at_their_own_place() {
        let told = told("hosts = [\"db1:1\", \"[::1]:2 weight=7 zone=z\"]").unwrap();
        let MembersPlan::Listed(members) = &told.members else {
            panic!("not listed")
        };
        let places = members.iter().map(|it| {
            let host = told.templates.at(it).unwrap();
            (it.member.key.to_string(), host.address)
        });
        let at = |host: &str, port| HostAddress::Tcp(host.to_owned(), port);
        assert_eq!(
            places.collect::<Vec<_>>(),
            [
                ("db1:1".to_owned(), at("db1", 1)),
                ("[::1]:2".to_owned(), at("::1", 2)),
            ]
        );
        assert_eq!(
            (members[1].member.weight, &*members[1].member.zone),
            (7, "z")
        );
    }

    #[test]
    fn words_about_targets_are_the_same_in_both_crates() {
        for word in [
            "primary",
            "standby",
            "prefer-standby",
            "any",
            "read-write",
            "read-only",
        ] {
            let config = read(&format!(
                "target = \"{word}\"\n[[cluster]]\nname = \"main\"\ncheck_user = \"c\"\nhosts = \"h\"\n"
            ));
            let wanted = config.databases[0].followed().unwrap();
            let wish = followed(wanted).wish;
            assert_eq!(Some(wish), Wish::parse(word), "{word}");
            assert_eq!(wish.word(), wanted.target.word(), "{word}");
        }
    }
}
