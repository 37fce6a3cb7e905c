//! Owns the settings of clusters: which hosts have the same data, how each is asked what it is, and what those must
//! be like that are read from.

use super::{DAY, DatabaseTls, HOUR, MINUTE, NAME, SECOND};
use crate::checked::CaSource;
use crate::cluster_values::{DnsName, Members, NameServers, Urls};
use crate::setting::Fallback::{Unset, Value};
use crate::setting::{Bounds, same_section, section};
use crate::values::{Command, EnvName};
use crate::words::{Balance, WithoutPrimary};
use std::path::PathBuf;
use std::time::Duration;

section! {
    /// A cluster: hosts with the same data, one of which, the primary, is written to while the others, its standbys,
    /// follow it. A database is of a cluster when its cluster says so. Which host is the primary is found by asking
    /// all of them, again and again. Exactly one of hosts, dns, srv, members_file, patroni and etcd says which hosts
    /// there are.
    Cluster = "cluster", AnyTimes {
        /// What databases call it. No two have the same.
        name: String { bounds: NAME, sample: "\"main\"" }
        /// The hosts, each as "name:port", with port 5432 where none is written. Behind it may stand weight=, 0 to
        /// 1000, for how much it is to do beside others (100 if it is not written, 0: nothing is read there), and
        /// zone=, a word for where it stands.
        hosts: Option<Members> {
            fallback: Unset("the hosts are found in another way"),
            sample: "[\"db1.example.com:5432\", \"db2.example.com weight=50 zone=eu-1a\"]",
        }
        /// Name whose addresses (A and AAAA) are the hosts. Their certificates have to be made out to this name.
        dns: Option<DnsName> {
            fallback: Unset("the hosts are found in another way"),
            sample: "\"db.example.com\"",
        }
        /// Port of the hosts that dns names.
        dns_port: u32 { fallback: Value("5432"), bounds: Bounds::new(1, 65535) }
        /// Name of the service (SRV records) whose targets are the hosts, with their ports and weights.
        srv: Option<DnsName> {
            fallback: Unset("the hosts are found in another way"),
            sample: "\"_postgresql._tcp.example.com\"",
        }
        /// Servers of DNS that are asked for dns and srv, and for the addresses of srv's targets, each with its port
        /// unless that is 53: those of Consul, for example. The system's file of hosts is not asked then.
        dns_servers: Option<NameServers> {
            fallback: Unset("those of the system"),
            sample: "[\"10.0.0.53\", \"127.0.0.1:8600\"]",
        }
        /// File with the hosts, one on each line as in hosts; what stands behind # is for people. Changes come into
        /// force by themselves.
        members_file: Option<PathBuf> {
            fallback: Unset("the hosts are found in another way"),
            sample: "\"main.hosts\"",
        }
        /// Addresses of Patroni's REST API, each with its port: any of them answers for all nodes.
        patroni: Option<Urls> {
            fallback: Unset("the hosts are found in another way"),
            sample: "[\"https://db1.example.com:8008\", \"https://db2.example.com:8008\"]",
        }
        /// User of Patroni's REST API, which wants one for a switchover where its restapi.authentication is set.
        patroni_user: Option<String> { fallback: Unset("none"), bounds: NAME, sample: "\"patroni\"" }
        /// File whose first line is the password of patroni_user; only its owner may read it.
        patroni_password_file: Option<PathBuf> {
            fallback: Unset("none"),
            sample: "\"patroni.password\"",
        }
        /// Addresses of etcd, where Patroni keeps the hosts.
        etcd: Option<Urls> {
            fallback: Unset("the hosts are found in another way"),
            sample: "[\"https://etcd1.example.com:2379\", \"https://etcd2.example.com:2379\"]",
        }
        /// What Patroni's keys of this cluster begin with: its namespace and its scope.
        etcd_scope: Option<String> {
            fallback: Unset("/service/ and the name of the cluster"),
            bounds: Bounds::new(1, 512),
            sample: "\"/service/main\"",
        }
        /// User of etcd. It needs to read the keys of etcd_scope, and nothing else.
        etcd_user: Option<String> { fallback: Unset("none"), bounds: NAME, sample: "\"portcullis\"" }
        /// File whose first line is the password of etcd_user; only its owner may read it.
        etcd_password_file: Option<PathBuf> { fallback: Unset("none"), sample: "\"etcd.password\"" }
        /// Whether an address of Patroni or etcd may begin with http://, so that everybody on the way can say which
        /// hosts there are.
        plain_http: bool { fallback: Value("false") }
        /// How often the hosts are looked up where their source does not tell by itself that they changed. A failure
        /// of a host has them looked up at once.
        members_interval: Duration { fallback: Value("\"5s\""), bounds: Bounds::new(100, HOUR) }
        /// Who logs in to each host to ask what it is. The user needs no privilege but LOGIN.
        check_user: String { bounds: NAME, sample: "\"portcullis\"" }
        /// File whose first line is the password of check_user; only its owner may read it.
        check_password_file: Option<PathBuf> {
            fallback: Unset("no password, unless check_password_env is set"),
            sample: "\"check.password\"",
        }
        /// Environment variable with the password of check_user.
        check_password_env: Option<EnvName> {
            fallback: Unset("no password, unless check_password_file is set"),
            sample: "\"CHECK_PASSWORD\"",
        }
        /// The database that hosts are asked in; each has to have it.
        check_database: String { fallback: Value("\"postgres\""), bounds: NAME }
        /// How often each host is asked.
        check_interval: Duration { fallback: Value("\"500ms\""), bounds: Bounds::new(50, MINUTE) }
        /// How long an answer may take, and how long a connection with its login.
        check_timeout: Duration { fallback: Value("\"1s\""), bounds: Bounds::new(50, MINUTE) }
        /// The longest pause before a host that is down is asked again; pauses grow from check_interval to this.
        check_pause_max: Duration { fallback: Value("\"15s\""), bounds: Bounds::new(50, HOUR) }
        /// Checks in a row that have to fail before a host is down. A connection that is refused counts for all of
        /// them; one that answers and doesn't let check_user in is not down for it if it was well before.
        check_fall: u32 { fallback: Value("2"), bounds: Bounds::new(1, 100) }
        /// Checks in a row that have to be answered before a host that was down is up.
        check_rise: u32 { fallback: Value("2"), bounds: Bounds::new(1, 100) }
        /// How many bytes of the primary's log a standby may have yet to replay; one that has more is not read from.
        lag_bytes_max: Option<u64> {
            fallback: Unset("however many"),
            bounds: Bounds::new(0, 1 << 60),
            sample: "16777216",
        }
        /// How old what a standby shows may be; one that shows older data is not read from.
        lag_max: Option<Duration> {
            fallback: Unset("however old"),
            bounds: Bounds::new(1, DAY),
            sample: "\"10s\"",
        }
        /// How one of several hosts is chosen.
        balance: Balance { fallback: Value("\"least_busy\"") }
        /// Hosts of this zone come before all others.
        zone: Option<String> {
            fallback: Unset("all hosts are alike"),
            bounds: Bounds::new(1, 63),
            sample: "\"eu-1a\"",
        }
        /// How long a host that was down gets less than its share; 0: it gets all of it at once.
        slow_start: Duration { fallback: Value("\"30s\""), bounds: Bounds::new(0, HOUR), sample: "0" }
        /// What becomes of transactions that want the primary while there is none.
        without_primary: WithoutPrimary { fallback: Value("\"wait\"") }
        /// Program, with its arguments, that makes another host the primary when an operator asks for a switchover. It
        /// finds the host to promote in the environment as PORTCULLIS_TO and the one before it as PORTCULLIS_FROM, as
        /// "name:port", and the cluster's name as PORTCULLIS_CLUSTER. It has to stop the old one first, and ends with 0
        /// once the new one is promoted; it writes 4096 bytes at most. A process of its own runs it, which knows the
        /// programs of the start alone.
        switchover_command: Option<Command> {
            fallback: Unset("with patroni, Patroni does it; else the operator, while clients wait"),
            sample: "[\"/usr/local/bin/promote\"]",
        }
        /// How long a switchover may take: draining the old primary and promoting the new one together.
        switchover_timeout: Duration { fallback: Value("\"30s\""), bounds: Bounds::new(SECOND, HOUR) }
    }
}

same_section! {
    /// Encryption towards the hosts of the cluster above it. The settings are those of [database.tls], with the same
    /// defaults.
    ClusterTls = "cluster.tls", Once, as DatabaseTls
}

section! {
    /// Encryption towards Patroni or etcd of the cluster above it. Their certificates are always verified.
    ClusterSourceTls = "cluster.source_tls", Once {
        /// PEM file with the authorities that sign their certificates, or "system" for those of the operating system.
        ca: CaSource { fallback: Value("\"system\""), sample: "\"etcd-ca.crt\"" }
        /// PEM file with the certificate that they see, followed by its intermediates.
        certificate: Option<PathBuf> {
            fallback: Unset("no certificate is shown"),
            sample: "\"etcd-client.crt\"",
        }
        /// PEM file with the private key of the certificate; only its owner may read it.
        private_key: Option<PathBuf> {
            fallback: Unset("no certificate is shown"),
            sample: "\"etcd-client.key\"",
        }
    }
}
