//! Owns the judgement of `[[cluster]]` with its sections, and of what a database wants of one.

use super::Judge;
use crate::checked::{
    CaSource, Checks, Cluster, Followed, Holds, HostAddress, HostName, HostTls, KeyPair, Member,
    MembersSource, Origin, Promotion, ReadsOfCluster, Service, ServiceLogin, Switchover,
};
use crate::cluster_values::{Members, Urls};
use crate::conflict::Conflict;
use crate::document::Span;
use crate::error::Problem;
use crate::nearest;
use crate::read::Given;
use crate::sections::{self, ClusterSections, ClusterSourceTls, DatabaseSections, Sections};
use crate::warning::Weakness;
use crate::words::{PoolMode, RouteReads, TargetWord};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// The settings that say where hosts come from by HTTP.
const SERVICES: &str = "patroni or etcd";

impl Judge<'_, '_> {
    pub(super) fn clusters(&self, sections: &Sections) -> Vec<Cluster> {
        let clusters = sections.clusters.as_deref().unwrap_or_default();
        let databases = sections.databases.iter();
        let followed = databases.filter_map(|it| it.database.cluster.value.as_deref());
        let followed: HashSet<&str> = followed.collect();
        let mut names = HashMap::new();
        for ClusterSections { cluster, .. } in clusters {
            let name = &cluster.name;
            match names.get(&name.value) {
                Some(&first) => self.duplicate(name, first),
                None => drop(names.insert(&name.value, name.span)),
            }
            if !followed.contains(name.value.as_str()) {
                self.warn(name, Weakness::UnusedCluster);
            }
        }
        clusters.iter().filter_map(|it| self.cluster(it)).collect()
    }

    fn cluster(&self, sections: &ClusterSections) -> Option<Cluster> {
        let cluster = &sections.cluster;
        let members = self.members(cluster, &sections.source_tls);
        // No host of a cluster is a Unix socket.
        let somewhere = HostAddress::Name(cluster.name.value.clone());
        let tls = self.server_tls((&cluster.name, &[&somewhere]), &sections.tls);
        let host_tls = self.tls_of_members(sections, &somewhere);
        let checks = self.checks(cluster);
        let members = members?;
        let by = match (&cluster.switchover_command.value, &members) {
            (Some(command), _) => Promotion::Command(command.0.clone()),
            (None, MembersSource::Patroni(_)) => Promotion::Patroni,
            (None, _) => Promotion::Operator,
        };
        Some(Cluster {
            name: cluster.name.value.clone(),
            members,
            members_interval: cluster.members_interval.value,
            checks,
            reads: ReadsOfCluster {
                lag_bytes_max: cluster.lag_bytes_max.value,
                lag_max: cluster.lag_max.value,
                balance: cluster.balance.value,
                zone: cluster.zone.value.clone(),
                slow_start: cluster.slow_start.value,
            },
            without_primary: cluster.without_primary.value,
            switchover: Switchover {
                by,
                timeout: cluster.switchover_timeout.value,
            },
            tls: tls?,
            host_tls: host_tls?,
            place: self.report.place(cluster.name.span, "cluster"),
        })
    }

    /// TLS of the hosts that differ.
    fn tls_of_members(
        &self,
        sections: &ClusterSections,
        somewhere: &HostAddress,
    ) -> Option<Vec<HostTls>> {
        let mut named: Vec<&HostName> = Vec::new();
        let mut all = Vec::new();
        for section in &sections.host_tls {
            for host in &section.host.value.0 {
                // Those that come from elsewhere may come later.
                if let Some(Members(members)) = &sections.cluster.hosts.value {
                    self.is_listed(&section.host, host, members);
                }
                if named.contains(&host) {
                    self.conflict(&section.host, Conflict::HostTwice);
                }
                named.push(host);
            }
            let tls = section.tls.clone().or(&sections.tls);
            let tls = self.server_tls((&section.host, &[somewhere]), &tls);
            all.push(tls.map(|tls| HostTls {
                hosts: section.host.value.0.clone(),
                tls,
                place: self.report.place(section.host.span, section.host.key()),
            }));
        }
        all.into_iter().collect()
    }

    fn is_listed<T>(&self, setting: &Given<T>, host: &HostName, members: &[Member]) {
        if members.iter().any(|it| host.is(&it.name, it.port)) {
            return;
        }
        let called = |it: &Member| HostName {
            name: it.name.clone(),
            port: host.port.is_some().then_some(it.port),
        };
        let all: Vec<String> = members.iter().map(|it| called(it).to_string()).collect();
        let host = host.to_string();
        let nearest = nearest::word(&host, all.iter().map(String::as_str)).map(str::to_owned);
        self.conflict(setting, Conflict::NoSuchMember { host, nearest });
    }

    fn checks(&self, cluster: &sections::Cluster) -> Checks {
        let (interval, pause_max) = (&cluster.check_interval, &cluster.check_pause_max);
        if pause_max.value < interval.value {
            // At the one that somebody wrote.
            match pause_max.written {
                true => self.conflict(pause_max, Conflict::PauseBelowInterval),
                false => self.conflict(interval, Conflict::PauseBelowInterval),
            }
        }
        Checks {
            user: cluster.check_user.value.clone(),
            password: self.secret(&cluster.check_password_file, &cluster.check_password_env),
            database: cluster.check_database.value.clone(),
            interval: interval.value,
            timeout: cluster.check_timeout.value,
            pause_max: pause_max.value,
            fall: cluster.check_fall.value,
            rise: cluster.check_rise.value,
        }
    }

    /// Where the hosts come from, if that is one place.
    fn members(
        &self,
        cluster: &sections::Cluster,
        source_tls: &ClusterSourceTls,
    ) -> Option<MembersSource> {
        self.one_source(cluster);
        self.of_other_sources(cluster, source_tls);
        let file = self.optional_file(&cluster.members_file, Holds::Members);
        let patroni = Asked {
            urls: &cluster.patroni,
            plain_http: &cluster.plain_http,
            user: &cluster.patroni_user,
            password_file: &cluster.patroni_password_file,
            tls: source_tls,
        };
        let etcd = Asked {
            urls: &cluster.etcd,
            user: &cluster.etcd_user,
            password_file: &cluster.etcd_password_file,
            ..patroni
        };
        let (patroni, etcd) = (self.service(&patroni), self.service(&etcd));
        if let Some(Members(members)) = &cluster.hosts.value {
            self.each_once(&cluster.hosts, members);
            return Some(MembersSource::Hosts(members.clone()));
        }
        let servers = cluster.dns_servers.value.as_ref();
        let servers = servers.map(|it| it.0.clone()).unwrap_or_default();
        if let Some(name) = &cluster.dns.value {
            return Some(MembersSource::Dns {
                name: name.0.clone(),
                port: u16::try_from(cluster.dns_port.value).ok()?,
                servers,
            });
        }
        if let Some(service) = &cluster.srv.value {
            let service = service.0.clone();
            return Some(MembersSource::Srv { service, servers });
        }
        let file = file.map(MembersSource::File);
        let found = file.or(patroni.map(MembersSource::Patroni));
        found.or_else(|| {
            Some(MembersSource::Etcd {
                service: etcd?,
                scope: scope(cluster),
            })
        })
    }

    /// Hosts come from one place.
    fn one_source(&self, cluster: &sections::Cluster) {
        let all = [
            written(&cluster.hosts),
            written(&cluster.dns),
            written(&cluster.srv),
            written(&cluster.members_file),
            written(&cluster.patroni),
            written(&cluster.etcd),
        ];
        let mut all = all.into_iter().flatten();
        let Some((first, ..)) = all.next() else {
            return self.conflict(&cluster.name, Conflict::NoMembers);
        };
        for (_, span, key) in all {
            let problem = Problem::Conflict(Conflict::TwoSourcesOfMembers { first });
            self.report.error(span, key, problem);
        }
    }

    /// Notes the settings of places that the hosts do not come from.
    fn of_other_sources(&self, cluster: &sections::Cluster, source_tls: &ClusterSourceTls) {
        let (patroni, etcd) = (
            cluster.patroni.value.is_some(),
            cluster.etcd.value.is_some(),
        );
        let (dns, srv) = (cluster.dns.value.is_some(), cluster.srv.value.is_some());
        self.of_other_source(&cluster.dns_port, dns, "dns");
        self.of_other_source(&cluster.dns_servers, dns || srv, "dns or srv");
        self.of_other_source(&cluster.patroni_user, patroni, "patroni");
        self.of_other_source(&cluster.patroni_password_file, patroni, "patroni");
        self.of_other_source(&cluster.etcd_scope, etcd, "etcd");
        self.of_other_source(&cluster.etcd_user, etcd, "etcd");
        self.of_other_source(&cluster.etcd_password_file, etcd, "etcd");
        self.of_other_source(&cluster.plain_http, patroni || etcd, SERVICES);
        self.of_other_source(&source_tls.ca, patroni || etcd, SERVICES);
        self.of_other_source(&source_tls.certificate, patroni || etcd, SERVICES);
        self.of_other_source(&source_tls.private_key, patroni || etcd, SERVICES);
        let asked = "dns, srv, members_file, patroni or etcd";
        let listed = cluster.hosts.value.is_some();
        self.of_other_source(&cluster.members_interval, !listed, asked);
    }

    fn of_other_source<T>(&self, setting: &Given<T>, is_read: bool, of: &'static str) {
        if setting.written && !is_read {
            self.conflict(setting, Conflict::OtherSourceOfMembers { of });
        }
    }

    fn each_once<T>(&self, setting: &Given<T>, members: &[Member]) {
        let mut places = HashSet::new();
        let mut twice = members
            .iter()
            .filter(|it| !places.insert((&it.name, it.port)));
        if twice.next().is_some() {
            self.conflict(setting, Conflict::MemberTwice);
        }
    }

    /// Patroni or etcd, if the hosts come from there.
    fn service(&self, asked: &Asked<'_>) -> Option<Service> {
        let &Asked {
            urls,
            plain_http,
            user,
            password_file,
            tls,
        } = asked;
        let Urls(addresses) = urls.value.as_ref()?;
        let is_plain = |url: &String| url.starts_with("http://");
        match (addresses.iter().any(is_plain), plain_http.value) {
            (true, false) => self.conflict(urls, Conflict::PlainHttp),
            (true, true) => self.warn(plain_http, Weakness::PlainHttp),
            (false, _) => {}
        }
        if addresses.iter().all(is_plain) {
            self.without_tls(&tls.ca);
            self.without_tls(&tls.certificate);
            self.without_tls(&tls.private_key);
        }
        self.both(user, password_file);
        let password = self.optional_file(password_file, Holds::Password);
        let login = user.value.clone().zip(password);
        let pair = self.pair(&tls.certificate, &tls.private_key);
        Some(Service {
            urls: addresses.clone(),
            place: self.report.place(urls.span, urls.key()),
            login: login.map(|(user, password)| ServiceLogin {
                user,
                password: Origin::File(password),
            }),
            ca: match &tls.ca.value {
                CaSource::System => CaSource::System,
                CaSource::File(path) => {
                    CaSource::File(self.file(&tls.ca, path, Holds::Authorities))
                }
            },
            identity: pair.map(|(certificate, private_key)| KeyPair {
                certificate,
                private_key,
                passphrase: None,
                staple: None,
            }),
        })
    }

    fn without_tls<T>(&self, setting: &Given<T>) {
        if setting.written {
            self.conflict(setting, Conflict::AuthorityWithoutTls);
        }
    }

    /// What a database wants of the cluster that it names.
    pub(super) fn followed(&self, sections: &Sections, of: &DatabaseSections) -> Option<Followed> {
        let database = &of.database;
        let cluster = database.cluster.value.clone()?;
        if let Some(clusters) = &sections.clusters
            && !clusters.iter().any(|it| it.cluster.name.value == cluster)
        {
            self.conflict(&database.cluster, Conflict::NoSuchCluster);
        }
        self.of_cluster(&database.host);
        self.of_cluster(&database.port);
        if let Some(span) = of.tls_at {
            let problem = Problem::Conflict(Conflict::ClusterHasIt);
            self.report.error(span, "database.tls", problem);
        }
        for section in &of.host_tls {
            self.of_cluster(&section.host);
        }
        if database.route_reads.value != RouteReads::Off {
            self.routes(sections, database);
        }
        Some(Followed {
            cluster,
            target: database.target.value.into(),
            route_reads: database.route_reads.value,
            target_by_client: database.target_by_client.value,
        })
    }

    /// Notes what every host of a cluster has of its own.
    fn of_cluster<T>(&self, setting: &Given<T>) {
        if setting.written {
            self.conflict(setting, Conflict::ClusterHasIt);
        }
    }

    /// Statements can be sent elsewhere only where their session is not bound to a server.
    fn routes(&self, sections: &Sections, database: &sections::Database) {
        if !matches!(
            database.target.value,
            TargetWord::Primary | TargetWord::ReadWrite
        ) {
            self.conflict(&database.route_reads, Conflict::RoutesFromPrimary);
        }
        let general = sections.pool.as_ref().map(|it| it.pool_mode.value);
        if database.pool_mode.value.or(general) == Some(PoolMode::Session) {
            self.conflict(&database.route_reads, Conflict::RoutesTransactions);
        }
    }

    /// Notes what a database says of a cluster without naming one.
    pub(super) fn without_cluster(&self, database: &sections::Database) {
        self.cluster_needed(&database.target);
        self.cluster_needed(&database.route_reads);
        self.cluster_needed(&database.target_by_client);
    }

    fn cluster_needed<T>(&self, setting: &Given<T>) {
        if setting.written {
            let setting_name = setting.name();
            let conflict = Conflict::ClusterNeeded {
                setting: setting_name,
            };
            self.conflict(setting, conflict);
        }
    }
}

/// Settings about Patroni or etcd.
#[derive(Clone, Copy)]
struct Asked<'s> {
    urls: &'s Given<Option<Urls>>,
    plain_http: &'s Given<bool>,
    user: &'s Given<Option<String>>,
    password_file: &'s Given<Option<PathBuf>>,
    tls: &'s ClusterSourceTls,
}

/// Name, place and key of a setting that is there.
fn written<T>(setting: &Given<Option<T>>) -> Option<(&'static str, Span, String)> {
    let is_there = setting.value.is_some();
    is_there.then(|| (setting.name(), setting.span, setting.key()))
}

/// What the keys in etcd begin with. Patroni takes its namespace with and without slashes around it, too.
fn scope(cluster: &sections::Cluster) -> String {
    match &cluster.etcd_scope.value {
        Some(scope) => format!("/{}", scope.trim_matches('/')),
        None => format!("/service/{}", cluster.name.value),
    }
}
