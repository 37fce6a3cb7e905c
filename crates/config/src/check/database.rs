//! Owns the judgement of `[[database]]` and `[database.tls]`.

use super::tls::{Passphrase, Shape};
use super::{Judge, pool};
use crate::checked::{
    CaSource, Database, DatabaseName, DatabaseUser, Holds, Host, HostAddress, Listed, ServerTls,
    ServerTlsOn, ServerTrust, Servers,
};
use crate::conflict::Conflict;
use crate::read::Given;
use crate::sections::{self, DatabaseSections, Sections};
use crate::values::{Hosts, Ports};
use crate::warning::Weakness;
use crate::words::{ChannelBinding, Negotiation, ServerMode};
use std::collections::HashMap;
use std::path::PathBuf;

impl Judge<'_, '_> {
    pub(super) fn databases(&self, sections: &Sections) -> Vec<Database> {
        let mut names = HashMap::new();
        for of in &sections.databases {
            let name = &of.database.name;
            match names.get(&name.value) {
                Some(&first) => self.duplicate(name, first),
                None => drop(names.insert(&name.value, name.span)),
            }
        }
        let judged = sections.databases.iter();
        judged
            .filter_map(|of| self.database(sections, of))
            .collect()
    }

    fn database(&self, sections: &Sections, of: &DatabaseSections) -> Option<Database> {
        let database = &of.database;
        let servers = self.servers(sections, of);
        let password = self.password(
            &database.password_file,
            &database.password_env,
            &database.user,
        );
        let user = database.user.value.clone();
        Some(Database {
            name: match database.name.value.as_str() {
                "*" => DatabaseName::Any,
                name => DatabaseName::Named(name.to_owned()),
            },
            servers: servers?,
            dbname: database.dbname.value.clone(),
            user: user.map(|name| DatabaseUser { name, password }),
            max_db_connections: Some(database.max_db_connections.value).filter(|max| *max > 0),
            pool: pool::of_database(database),
            mirror: self.mirrored(sections, database),
            server_connect_timeout: database.server_connect_timeout.value,
            server_login_retry: database.server_login_retry.value,
            server_idle_max: database.server_idle_max.value,
            server_idle_timeout: database.server_idle_timeout.value.0,
            server_lifetime: database.server_lifetime.value.0,
            server_check_delay: database.server_check_delay.value,
            tcp_user_timeout: database.tcp_user_timeout.value.0,
            place: self.report.place(database.name.span, "database"),
        })
    }

    /// Where the servers are.
    fn servers(&self, sections: &Sections, of: &DatabaseSections) -> Option<Servers> {
        let database = &of.database;
        if database.cluster.value.is_some() {
            return self.followed(sections, of).map(Servers::Of);
        }
        self.without_cluster(database);
        let Some(Hosts(hosts)) = &database.host.value else {
            self.conflict(&database.host, Conflict::NoServers);
            return None;
        };
        self.listed(of, hosts).map(Servers::Listed)
    }

    fn listed(&self, of: &DatabaseSections, hosts: &[HostAddress]) -> Option<Listed> {
        let own = self.tls_of_hosts(of, hosts);
        let fitted = self.hosts(
            (hosts, &of.database.port),
            own.as_deref().unwrap_or_default(),
        );
        let sections = of.host_tls.iter();
        let named: Vec<&HostAddress> = sections.flat_map(|it| &it.host.value.0).collect();
        let others = hosts.iter().filter(|host| !named.contains(host));
        let others: Vec<&HostAddress> = others.collect();
        let tls = self.server_tls((&of.database.host, &others), &of.tls);
        own?;
        Some(Listed {
            hosts: fitted?,
            tls: tls?,
        })
    }

    /// TLS of the hosts that differ.
    fn tls_of_hosts(
        &self,
        of: &DatabaseSections,
        all: &[HostAddress],
    ) -> Option<Vec<(HostAddress, ServerTls)>> {
        let mut own: Vec<(HostAddress, Option<ServerTls>)> = Vec::new();
        for section in &of.host_tls {
            let hosts: Vec<&HostAddress> = section.host.value.0.iter().collect();
            if hosts.iter().any(|host| !all.contains(host)) {
                self.conflict(&section.host, Conflict::NoSuchHost);
            }
            let twice = |host: &&HostAddress| own.iter().any(|(other, _)| other == *host);
            if hosts.iter().any(twice) {
                self.conflict(&section.host, Conflict::HostTwice);
            }
            let tls = section.tls.clone().or(&of.tls);
            let judged = self.server_tls((&section.host, &hosts), &tls);
            own.extend(hosts.into_iter().map(|host| (host.clone(), judged.clone())));
        }
        own.into_iter()
            .map(|(host, tls)| Some((host, tls?)))
            .collect()
    }

    fn hosts(
        &self,
        (hosts, port): (&[HostAddress], &Given<Ports>),
        own: &[(HostAddress, ServerTls)],
    ) -> Option<Vec<Host>> {
        let ports = &port.value.0;
        let port_of = |index| match ports.as_slice() {
            [all] => Some(*all),
            each if each.len() == hosts.len() => each.get(index).copied(),
            _ => None,
        };
        let host = |(index, address): (usize, &HostAddress)| {
            Some(Host {
                address: address.clone(),
                port: port_of(index)?,
                tls: own
                    .iter()
                    .find(|(host, _)| host == address)
                    .map(|it| it.1.clone()),
            })
        };
        let fitted: Option<Vec<_>> = hosts.iter().enumerate().map(host).collect();
        if fitted.is_none() {
            let conflict = Conflict::PortsDoNotFit {
                ports: ports.len(),
                hosts: hosts.len(),
            };
            self.conflict(port, conflict);
        }
        fitted
    }

    pub(super) fn server_tls<T>(
        &self,
        (setting, hosts): (&Given<T>, &[&HostAddress]),
        tls: &sections::DatabaseTls,
    ) -> Option<ServerTls> {
        let local = |host: &&HostAddress| matches!(host, HostAddress::UnixDir(_));
        let mode = tls.mode.value;
        if mode != ServerMode::Disable && hosts.iter().any(local) {
            self.conflict(setting, Conflict::UnixHostWithTls);
        }
        match mode {
            ServerMode::Disable if hosts.iter().all(local) => {}
            // What another section says is warned about there.
            _ if tls.mode.inherited() => {}
            ServerMode::Disable => self.warn(&tls.mode, Weakness::PlaintextServer),
            ServerMode::Prefer => self.warn(&tls.mode, Weakness::PlaintextFallback),
            ServerMode::Require => self.warn(&tls.mode, Weakness::UnverifiedServer),
            ServerMode::VerifyCa | ServerMode::VerifyFull | ServerMode::Pin => {}
        }
        let trust = self.server_trust(tls);
        let verifies = matches!(mode, ServerMode::VerifyCa | ServerMode::VerifyFull);
        if matches!(mode, ServerMode::Disable | ServerMode::Prefer) {
            self.tls_not_certain(tls);
        }
        if mode == ServerMode::Disable {
            self.unused_without_tls_to_server(tls);
            return Some(ServerTls::Disabled);
        }
        let passphrase = Passphrase {
            file: &tls.private_key_passphrase_file,
            command: &tls.private_key_passphrase_command,
        };
        let identity = self.key_pair(&tls.certificate, &tls.private_key, &passphrase);
        Some(ServerTls::On(Box::new(ServerTlsOn {
            renegotiation: tls.renegotiation.value,
            trust: trust?,
            crl: self
                .optional_file(&tls.crl, Holds::RevocationLists)
                .filter(|_| verifies),
            identity,
            negotiation: tls.negotiation.value,
            channel_binding: tls.channel_binding.value,
            server_name: tls.server_name.value.as_ref().map(|name| name.0.clone()),
            options: self.options(&Shape::from(tls)),
        })))
    }

    /// What makes a certificate good; nothing if the mode lacks what it needs, or if there is none.
    fn server_trust(&self, tls: &sections::DatabaseTls) -> Option<ServerTrust> {
        let mode = tls.mode.value;
        if !matches!(mode, ServerMode::VerifyCa | ServerMode::VerifyFull) {
            let instead = "mode = \"verify-full\"";
            self.unused(&tls.ca, mode.word(), instead);
            self.unused(&tls.crl, mode.word(), instead);
        }
        if mode != ServerMode::Pin {
            self.unused(&tls.pin, mode.word(), "mode = \"pin\"");
        }
        let read = |path: &PathBuf| self.file(&tls.ca, path, Holds::Authorities);
        match (mode, &tls.ca.value, &tls.pin.value) {
            (ServerMode::Disable, ..) => None,
            (ServerMode::Prefer, ..) => Some(ServerTrust::AnyOrPlaintext),
            (ServerMode::Require, ..) => Some(ServerTrust::Any),
            (ServerMode::VerifyCa, CaSource::File(path), _) => {
                Some(ServerTrust::Authority(read(path)))
            }
            (ServerMode::VerifyCa, CaSource::System, _) => {
                self.conflict(&tls.mode, Conflict::AnybodysCertificate);
                None
            }
            (ServerMode::VerifyFull, CaSource::File(path), _) => {
                Some(ServerTrust::AuthorityAndName(CaSource::File(read(path))))
            }
            (ServerMode::VerifyFull, CaSource::System, _) => {
                Some(ServerTrust::AuthorityAndName(CaSource::System))
            }
            (ServerMode::Pin, _, Some(pin)) => Some(ServerTrust::Pinned(*pin)),
            (ServerMode::Pin, _, None) => {
                self.conflict(&tls.mode, Conflict::PinNeeded);
                None
            }
        }
    }

    /// What makes no sense where plain text may be spoken.
    fn tls_not_certain(&self, tls: &sections::DatabaseTls) {
        if tls.negotiation.value == Negotiation::Direct {
            self.conflict(&tls.negotiation, Conflict::DirectNeedsTls);
        }
        if tls.channel_binding.value == ChannelBinding::Require {
            self.conflict(&tls.channel_binding, Conflict::BindingNeedsTls);
        }
    }

    fn unused_without_tls_to_server(&self, tls: &sections::DatabaseTls) {
        let mode = ServerMode::Disable.word();
        let instead = "mode = \"verify-full\"";
        for file in [
            &tls.certificate,
            &tls.private_key,
            &tls.private_key_passphrase_file,
        ] {
            self.unused(file, mode, instead);
        }
        self.unused(&tls.private_key_passphrase_command, mode, instead);
        self.unused(&tls.server_name, mode, instead);
        self.shape_unused(&Shape::from(tls), (mode, instead));
    }
}
