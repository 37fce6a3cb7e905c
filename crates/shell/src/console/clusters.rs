//! Owns what the console tells of clusters: `SHOW CLUSTERS`, `SHOW HOSTS`, and their numbers for `/metrics`.

use super::carry::ALL_NAMES;
use super::show::count;
use super::{families, unix_s};
use crate::clusters::{Fleet, Seen, Via};
use crate::context::Context;
use crate::setup::{Servers, WithoutPrimary};
use admin::{Moment, Snapshot};
use cluster::{Health, Key, Role};
use observe::{Family, Kind, Sample};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The clusters that are followed.
pub(super) fn clusters(context: &Context) -> Vec<admin::Cluster> {
    let setup = context.live.snapshot();
    let row = |fleet: &Arc<Fleet>| {
        let is_of = |servers: &Servers| match servers {
            Servers::Of(followed) => followed.cluster == fleet.name,
            Servers::Listed(_) => false,
        };
        let (mut names, mut waiting) = (Vec::new(), 0);
        for database in setup.databases.iter().filter(|it| is_of(&it.servers)) {
            names.push(database.name.as_deref().unwrap_or(ALL_NAMES));
            let place = context.exchange.place(database, setup.timeouts.query_wait);
            waiting += place.standing().waiting as u64;
        }
        admin::Cluster {
            databases: names.join(","),
            waiting,
            ..cluster_row(&fleet.name, &fleet.seen(), context.born.elapsed(), unix_s())
        }
    };
    context.clusters.all().iter().map(row).collect()
}

/// What is known of it at `now`, by the clock of its view, and `now_s` since 1970.
fn cluster_row(name: &str, seen: &Seen, now: Duration, now_s: u64) -> admin::Cluster {
    let view = &seen.view;
    let since = match &view.leader {
        cluster::Leader::Is(_, since) => Some(*since),
        _ => None,
    };
    let leader = view.leader.key();
    let report = leader.and_then(|it| view.host(it)?.report.as_ref());
    admin::Cluster {
        name: name.to_owned(),
        leader: leader.map(Key::to_string).unwrap_or_default(),
        state: match leader {
            Some(_) => String::new(),
            None => view.leader.to_string(),
        },
        leader_since: since.map(|it| Moment(now_s.saturating_sub(ago(now, it).as_secs()))),
        hosts: count(view.hosts.len()),
        hosts_up: count(view.hosts.iter().filter(|it| it.health.is_up()).count()),
        timeline: report.map(|(report, _)| report.timeline),
        without_primary: match seen.without_primary {
            WithoutPrimary::Wait => "wait",
            WithoutPrimary::ReadOnly => "read_only",
        },
        version: view.version,
        ..admin::Cluster::default()
    }
}

fn ago(now: Duration, then: Duration) -> Duration {
    now.saturating_sub(then)
}

/// Connections to a host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Made {
    lent: u32,
    total: u32,
}

/// The hosts of all clusters.
pub(super) fn hosts(context: &Context) -> Vec<admin::Host> {
    let mut made: HashMap<(Arc<str>, Key), Made> = HashMap::new();
    for server in context.console.living() {
        if let Some(Via { cluster, key, .. }) = server.via.as_deref() {
            let made = made.entry((Arc::clone(cluster), key.clone())).or_default();
            made.total += 1;
            made.lent += u32::from(server.traffic.client().is_some());
        }
    }
    let now = context.born.elapsed();
    let fleets = context.clusters.all();
    let rows = fleets.iter().flat_map(|fleet| {
        let name: Arc<str> = fleet.name.as_str().into();
        let made = |key: &Key| made.get(&(Arc::clone(&name), key.clone())).copied();
        host_rows(
            &fleet.name,
            &fleet.seen(),
            &|key| made(key).unwrap_or_default(),
            now,
        )
    });
    rows.collect()
}

fn host_rows(
    cluster: &str,
    seen: &Seen,
    made: &dyn Fn(&Key) -> Made,
    now: Duration,
) -> Vec<admin::Host> {
    let row = |it: &cluster::Host| {
        let (host, port) = parts(&it.key);
        let sick = it.health.sick();
        let report = it.report.as_ref();
        let reached = seen.hosts.get(&it.key);
        let made = made(&it.key);
        admin::Host {
            cluster: cluster.to_owned(),
            host: host.to_owned(),
            port: u32::from(port),
            role: it.role.word(),
            health: it.health.word(),
            trouble: sick.map_or("", |it| it.why.word()),
            trouble_text: sick.map(|it| it.text.clone()).unwrap_or_default(),
            since_s: since(&it.health).map(|since| ago(now, since).as_secs()),
            timeline: report.map(|(report, _)| report.timeline),
            lsn: report.map(|(report, _)| report.lsn.to_string()),
            lag_bytes: it.lag_bytes,
            lag_ms: report.map(|_| millis(it.behind())),
            weight: it.weight,
            zone: it.zone.clone(),
            drained: it.drained,
            busy: reached.map_or(0, |it| it.busy.load(Ordering::Relaxed) as u64),
            sv_active: made.lent,
            sv_total: made.total,
            last_answer_ms: report.map(|(_, at)| millis(ago(now, *at))),
        }
    };
    seen.view.hosts.iter().map(row).collect()
}

fn since(health: &Health) -> Option<Duration> {
    match health {
        Health::Unknown => None,
        Health::Up { since, .. } | Health::Doubtful { since, .. } | Health::Down { since, .. } => {
            Some(*since)
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The host and the port of a key.
pub(super) fn parts(key: &Key) -> (&str, u16) {
    let key = key.as_str();
    let (host, port) = key.rsplit_once(':').unwrap_or((key, ""));
    let inside = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    (inside.unwrap_or(host), port.parse().unwrap_or(0))
}

/// The numbers of both tables; none without clusters.
pub(super) fn families(context: &Context) -> Vec<Family> {
    let (clusters, hosts) = (clusters(context), hosts(context));
    let mut families = vec![has_leader(&clusters), usable(context)];
    families.retain(|it| !it.samples.is_empty());
    families.extend(families::of_table(
        &Snapshot::Clusters(clusters),
        "cluster",
        &["name"],
    ));
    families.extend(families::of_table(
        &Snapshot::Hosts(hosts),
        "host",
        &["cluster", "host", "port"],
    ));
    families
}

fn has_leader(clusters: &[admin::Cluster]) -> Family {
    let sample = |it: &admin::Cluster| Sample {
        labels: vec![("name", it.name.clone())],
        value: f64::from(u8::from(!it.leader.is_empty())).into(),
    };
    Family {
        name: "cluster_has_leader".into(),
        help: "1 if a host of the cluster is written to, 0 if none is.",
        kind: Kind::Gauge,
        samples: clusters.iter().map(sample).collect(),
    }
}

fn usable(context: &Context) -> Family {
    let mut samples = Vec::new();
    for fleet in context.clusters.all() {
        for it in &fleet.seen().view.hosts {
            let (host, port) = parts(&it.key);
            let usable = it.health.is_up() && !matches!(it.role, Role::Refused(_));
            samples.push(Sample {
                labels: vec![
                    ("cluster", fleet.name.clone()),
                    ("host", host.to_owned()),
                    ("port", port.to_string()),
                ],
                value: f64::from(u8::from(usable)).into(),
            });
        }
    }
    samples.truncate(families::ROWS_MAX);
    Family {
        name: "host_usable".into(),
        help: "1 if a host of a cluster answers and is not refused.",
        kind: Kind::Gauge,
        samples,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::{Promotion, Switchover};
    use cluster::{Cluster, Lsn, Member, Reads, Report, Rules, Sick, Why};

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn key(host: &str, port: u16) -> Key {
        Key::new(host, port)
    }

    fn seen(cluster: &Cluster) -> Seen {
        Seen {
            view: cluster.view(),
            hosts: HashMap::new(),
            reads: Reads::default(),
            switchover: Switchover {
                by: Promotion::Operator,
                timeout: s(30),
            },
            without_primary: WithoutPrimary::ReadOnly,
            at: s(0),
        }
    }

    fn report(in_recovery: bool, lsn: u64) -> Result<Report, Sick> {
        Ok(Report {
            in_recovery,
            read_only: false,
            system: 7,
            timeline: 3,
            lsn: Lsn(lsn),
            behind: in_recovery.then(|| Duration::from_millis(250)),
        })
    }

    /// A primary, a standby, and one that can't be reached.
    fn of_three() -> Cluster {
        let mut cluster = Cluster::new(Rules::default());
        let members = [key("db1", 5432), key("db1", 5433), key("::1", 5432)];
        let members = members.map(Member::plain).to_vec();
        cluster.set_members(members, None, s(100));
        cluster.observe(&key("db1", 5432), report(false, 0x5000), s(101));
        cluster.observe(&key("db1", 5433), report(true, 0x4000), s(102));
        let sick = Sick {
            why: Why::Refused,
            text: "nobody listens".to_owned(),
        };
        cluster.observe(&key("::1", 5432), Err(sick), s(103));
        cluster.drain(&key("db1", 5433), true);
        cluster
    }

    #[test]
    fn a_cluster_with_a_leader_and_without() {
        let mut cluster = Cluster::new(Rules::default());
        cluster.set_members(vec![Member::plain(key("db1", 5432))], None, s(1));
        let row = cluster_row("main", &seen(&cluster), s(2), 10_000);
        assert_eq!(
            (&*row.leader, row.leader_since, row.timeline),
            ("", None, None)
        );
        assert_eq!(row.state, "not every host has been asked yet");
        let row = cluster_row("main", &seen(&of_three()), s(160), 10_000);
        let wanted = admin::Cluster {
            name: "main".to_owned(),
            leader: "db1:5432".to_owned(),
            // It was decided when the last one had been asked, at 103 of 160.
            leader_since: Some(Moment(10_000 - 57)),
            hosts: 3,
            hosts_up: 2,
            timeline: Some(3),
            without_primary: "read_only",
            version: row.version,
            ..admin::Cluster::default()
        };
        assert_eq!(row, wanted);
    }

    #[test]
    fn hosts_are_shown_with_what_they_said() {
        let made = |key: &Key| match key.as_str() {
            "db1:5433" => Made { lent: 1, total: 2 },
            _ => Made::default(),
        };
        let rows = host_rows("main", &seen(&of_three()), &made, s(110));
        let plain = |host: &str, port| admin::Host {
            cluster: "main".to_owned(),
            host: host.to_owned(),
            port,
            weight: 100,
            ..admin::Host::default()
        };
        let wanted = [
            admin::Host {
                role: "primary",
                health: "up",
                since_s: Some(9),
                timeline: Some(3),
                lsn: Some("0/5000".to_owned()),
                lag_bytes: Some(0),
                lag_ms: Some(0),
                last_answer_ms: Some(9000),
                ..plain("db1", 5432)
            },
            admin::Host {
                role: "standby",
                health: "up",
                since_s: Some(8),
                timeline: Some(3),
                lsn: Some("0/4000".to_owned()),
                lag_bytes: Some(0x1000),
                lag_ms: Some(250),
                drained: true,
                sv_active: 1,
                sv_total: 2,
                last_answer_ms: Some(8000),
                ..plain("db1", 5433)
            },
            admin::Host {
                role: "unknown",
                health: "down",
                trouble: "refused",
                trouble_text: "nobody listens".to_owned(),
                since_s: Some(7),
                ..plain("::1", 5432)
            },
        ];
        assert_eq!(rows, wanted);
    }
}
