//! Settings of clusters, and of the databases that follow one.

use config::{
    Balance, CaSource, Checks, Config, DatabaseUser, Followed, Holds, Member, MembersSource,
    Origin, Promotion, RouteReads, ServerTls, ServerTrust, Service, ServiceLogin, Target,
    WithoutPrimary,
};
use std::path::{Path, PathBuf};
use std::time::Duration;

const BASE: &str = "[listen.tls]\ncertificate = \"s.crt\"\nprivate_key = \"s.key\"\n\
    [auth]\nauth_file = \"users.txt\"\n";
const DATABASE: &str = "[[database]]\nname = \"app\"\ncluster = \"main\"\n";
const CLUSTER: &str = "[[cluster]]\nname = \"main\"\ncheck_user = \"c\"\n";
const HOSTS: &str = "hosts = \"db1\"\n";

fn read(text: &str) -> (Config, Vec<String>) {
    let text = format!("{BASE}{text}");
    match Config::from_text(&text, "/etc/portcullis/p.toml") {
        Ok((config, warnings)) => (config, warnings.iter().map(ToString::to_string).collect()),
        Err(invalid) => panic!("{:#?}\nin:\n{text}", invalid.errors),
    }
}

fn errors(text: &str) -> Vec<String> {
    match Config::from_text(&format!("{BASE}{text}"), "p.toml") {
        Ok(_) => Vec::new(),
        Err(invalid) => invalid.errors.iter().map(ToString::to_string).collect(),
    }
}

/// The one cluster of a file.
fn cluster(settings: &str) -> config::Cluster {
    let (config, warnings) = read(&format!("{DATABASE}{CLUSTER}{settings}"));
    assert_eq!(warnings, [""; 0], "{settings}");
    config.cluster("main").expect("the cluster").clone()
}

fn member(name: &str, port: u16, weight: u32, zone: &str) -> Member {
    Member {
        name: name.to_owned(),
        port,
        weight,
        zone: zone.to_owned(),
    }
}

#[test]
fn without_a_word_hosts_are_asked_twice_a_second_and_verified() {
    let cluster = cluster(HOSTS);
    let listed = MembersSource::Hosts(vec![member("db1", 5432, 100, "")]);
    assert_eq!(cluster.members, listed);
    assert_eq!(cluster.members_interval, Duration::from_secs(5));
    let checks = Checks {
        user: "c".to_owned(),
        password: None,
        database: "postgres".to_owned(),
        interval: Duration::from_millis(500),
        timeout: Duration::from_secs(1),
        pause_max: Duration::from_secs(15),
        fall: 2,
        rise: 2,
    };
    assert_eq!(cluster.checks, checks);
    let reads = &cluster.reads;
    assert_eq!((reads.lag_bytes_max, reads.lag_max), (None, None));
    assert_eq!((reads.balance, &reads.zone), (Balance::LeastBusy, &None));
    assert_eq!(reads.slow_start, Duration::from_secs(30));
    assert_eq!(cluster.without_primary, WithoutPrimary::Wait);
    assert_eq!(cluster.switchover.by, Promotion::Operator);
    assert_eq!(cluster.switchover.timeout, Duration::from_secs(30));
    let ServerTls::On(tls) = &cluster.tls else {
        panic!("TLS towards hosts is off by default");
    };
    let verify_full = ServerTrust::AuthorityAndName(CaSource::System);
    assert_eq!(tls.trust, verify_full);
}

#[test]
fn hosts_come_from_everywhere() {
    let in_directory = |path: &str| Path::new("/etc/portcullis").join(path);
    let dns = |port| MembersSource::Dns {
        name: "db.example.com".to_owned(),
        port,
        servers: Vec::new(),
    };
    let srv = |servers: &[&str]| MembersSource::Srv {
        service: "_postgresql._tcp.example.com".to_owned(),
        servers: servers.iter().map(|it| it.parse().unwrap()).collect(),
    };
    let cases = [
        (
            "hosts = [\"DB1:1\", \"[::1]:2 weight=0 zone=a\"]",
            MembersSource::Hosts(vec![member("db1", 1, 100, ""), member("::1", 2, 0, "a")]),
        ),
        ("dns = \"DB.example.com.\"", dns(5432)),
        ("dns = \"db.example.com\"\ndns_port = 7", dns(7)),
        ("srv = \"_postgresql._tcp.example.com\"", srv(&[])),
        (
            "srv = \"_postgresql._tcp.example.com\"\ndns_servers = [\"10.0.0.53\", \"::1\", \"127.0.0.1:8600\"]",
            srv(&["10.0.0.53:53", "[::1]:53", "127.0.0.1:8600"]),
        ),
        (
            "members_file = \"main.hosts\"",
            MembersSource::File(in_directory("main.hosts")),
        ),
    ];
    for (settings, wanted) in cases {
        assert_eq!(cluster(settings).members, wanted, "{settings}");
    }
    let MembersSource::Patroni(service) = cluster("patroni = \"https://db1:8008/\"").members else {
        panic!("no Patroni");
    };
    assert_eq!(service.urls, ["https://db1:8008"]);
    assert_eq!((service.login, service.ca), (None, CaSource::System));
    assert_eq!(service.identity, None);
}

#[test]
fn hosts_may_have_encryption_of_their_own() {
    let of = cluster(
        "hosts = [\"db1:5432\", \"db2:5432\", \"db2:5433\"]\n[cluster.tls]\nca = \"/ca\"\nmin_version = \"TLSv1.3\"\n\
         [[cluster.host_tls]]\nhost = [\"DB1.\", \"db2:5433\"]\nca = \"/other\"\n\
         [[cluster.host_tls]]\nhost = \"db2\"\nmode = \"verify-ca\"\n",
    );
    let names: Vec<Vec<String>> = of
        .host_tls
        .iter()
        .map(|it| it.hosts.iter().map(ToString::to_string).collect())
        .collect();
    assert_eq!(names, [vec!["db1", "db2:5433"], vec!["db2"]]);
    let on = |tls: &ServerTls| match tls {
        ServerTls::On(tls) => (tls.trust.clone(), tls.options.clone()),
        ServerTls::Disabled => panic!("TLS is off"),
    };
    let other = ServerTrust::AuthorityAndName(CaSource::File("/other".into()));
    assert_eq!(on(&of.host_tls[0].tls).0, other);
    let authority = ServerTrust::Authority("/ca".into());
    assert_eq!(on(&of.host_tls[1].tls).0, authority);
    // What the host does not say, the cluster does.
    assert_eq!(on(&of.host_tls[0].tls).1, on(&of.tls).1);
    // Who comes later may be meant.
    let of = cluster("dns = \"db\"\n[[cluster.host_tls]]\nhost = [\"10.0.0.1\", \"[::1]:1\"]\n");
    let names = of.host_tls[0].hosts.iter().map(ToString::to_string);
    assert_eq!(names.collect::<Vec<_>>(), ["10.0.0.1", "[::1]:1"]);
}

#[test]
fn etcd_has_a_login_and_certificates_of_its_own() {
    let of = |settings: &str| match cluster(settings).members {
        MembersSource::Etcd { service, scope } => (service, scope),
        other => panic!("{other:?}"),
    };
    let urls = "etcd = [\"https://e1:2379\", \"https://e2:2379\"]\n";
    assert_eq!(of(urls).1, "/service/main");
    for scope in ["/db/other/", "db/other"] {
        let found = of(&format!("{urls}etcd_scope = \"{scope}\"")).1;
        assert_eq!(found, "/db/other", "{scope}");
    }
    let (service, _) = of(&format!(
        "{urls}etcd_user = \"u\"\netcd_password_file = \"/p\"\n[cluster.source_tls]\nca = \"/ca\"\n\
         certificate = \"/crt\"\nprivate_key = \"/key\"\n"
    ));
    let Service {
        urls,
        login,
        ca,
        identity,
        place,
    } = service;
    assert_eq!(urls, ["https://e1:2379", "https://e2:2379"]);
    assert_eq!((place.line, place.key.as_str()), (12, "cluster.etcd"));
    let wanted = ServiceLogin {
        user: "u".to_owned(),
        password: Origin::File("/p".into()),
    };
    assert_eq!(login, Some(wanted));
    assert_eq!(ca, CaSource::File("/ca".into()));
    let identity = identity.expect("a certificate");
    assert_eq!(identity.certificate, Path::new("/crt"));
    assert_eq!(identity.private_key, Path::new("/key"));
}

#[test]
fn every_file_of_a_cluster_is_listed() {
    let text = format!(
        "{DATABASE}{CLUSTER}members_file = \"/hosts\"\ncheck_password_file = \"/pw\"\n\
         [cluster.tls]\nca = \"/ca\"\n\
         [[database]]\nname = \"b\"\ncluster = \"other\"\n\
         [[cluster]]\nname = \"other\"\ncheck_user = \"c\"\ncheck_password_env = \"PW\"\n\
         patroni = \"https://a\"\npatroni_user = \"u\"\npatroni_password_file = \"/ppw\"\n\
         [cluster.source_tls]\nca = \"/pca\"\ncertificate = \"/pcrt\"\nprivate_key = \"/pkey\"\n"
    );
    let (config, warnings) = read(&text);
    assert_eq!(warnings, [""; 0]);
    let of_cluster = |it: &&config::Source| it.place.key.starts_with("cluster.");
    let listed = config.sources.iter().filter(of_cluster);
    let listed: Vec<_> = listed.map(|it| (it.holds, it.from.clone())).collect();
    let file = |path: &str| Origin::File(PathBuf::from(path));
    assert_eq!(
        listed,
        [
            (Holds::Members, file("/hosts")),
            (Holds::Password, file("/pw")),
            (Holds::Authorities, file("/ca")),
            (Holds::Password, Origin::Env("PW".to_owned())),
            (Holds::Password, file("/ppw")),
            (Holds::Authorities, file("/pca")),
            (Holds::Certificate, file("/pcrt")),
            (Holds::PrivateKey, file("/pkey")),
        ]
    );
}

#[test]
fn what_can_be_written_of_reads_and_switchovers_has_its_value() {
    let cluster = cluster(
        "hosts = \"db1\"\nlag_bytes_max = 0\nlag_max = \"10s\"\nbalance = \"round_robin\"\n\
         zone = \"a\"\nslow_start = 0\nwithout_primary = \"read_only\"\n\
         switchover_command = [\"/bin/promote\", \"-x\"]\nswitchover_timeout = \"1min\"\n",
    );
    let reads = &cluster.reads;
    assert_eq!(reads.lag_bytes_max, Some(0));
    assert_eq!(reads.lag_max, Some(Duration::from_secs(10)));
    assert_eq!(reads.balance, Balance::RoundRobin);
    assert_eq!(reads.zone.as_deref(), Some("a"));
    assert_eq!(reads.slow_start, Duration::ZERO);
    assert_eq!(cluster.without_primary, WithoutPrimary::ReadOnly);
    let command = vec!["/bin/promote".to_owned(), "-x".to_owned()];
    assert_eq!(cluster.switchover.by, Promotion::Command(command));
    assert_eq!(cluster.switchover.timeout, Duration::from_secs(60));
}

#[test]
fn patroni_promotes_unless_a_command_does() {
    let by = |more: &str| {
        cluster(&format!("patroni = \"https://a\"\n{more}"))
            .switchover
            .by
    };
    assert_eq!(by(""), Promotion::Patroni);
    let command = Promotion::Command(vec!["x".to_owned()]);
    assert_eq!(by("switchover_command = \"x\""), command);
}

#[test]
fn databases_want_hosts_of_a_cluster() {
    for (settings, target, route_reads) in [
        ("", Target::Primary, RouteReads::Off),
        ("target = \"primary\"", Target::Primary, RouteReads::Off),
        ("target = \"read-write\"", Target::Primary, RouteReads::Off),
        ("target = \"standby\"", Target::Standby, RouteReads::Off),
        ("target = \"read-only\"", Target::Standby, RouteReads::Off),
        (
            "target = \"prefer-standby\"",
            Target::PreferStandby,
            RouteReads::Off,
        ),
        ("target = \"any\"", Target::Any, RouteReads::Off),
        (
            "pool_mode = \"transaction\"\nroute_reads = \"replicas\"",
            Target::Primary,
            RouteReads::Replicas,
        ),
        (
            "pool_mode = \"statement\"\ntarget = \"read-write\"\nroute_reads = \"replicas\"",
            Target::Primary,
            RouteReads::Replicas,
        ),
    ] {
        let (config, _) = read(&format!("{DATABASE}{settings}\n{CLUSTER}{HOSTS}"));
        let wanted = Followed {
            target_by_client: false,
            cluster: "main".to_owned(),
            target,
            route_reads,
        };
        let database = &config.databases[0];
        assert_eq!(database.followed(), Some(&wanted), "{settings}");
        assert_eq!(database.listed(), None);
    }
    let general = format!(
        "[pool]\npool_mode = \"transaction\"\n{DATABASE}route_reads = \"replicas\"\n{CLUSTER}{HOSTS}"
    );
    let (config, _) = read(&general);
    let followed = config.databases[0].followed().expect("a cluster");
    assert_eq!(followed.route_reads, RouteReads::Replicas);
}

#[test]
fn a_database_of_a_cluster_has_a_login_as_any_other() {
    let (config, _) = read(&format!(
        "{DATABASE}user = \"u\"\npassword_env = \"PW\"\n{CLUSTER}{HOSTS}"
    ));
    let wanted = DatabaseUser {
        name: "u".to_owned(),
        password: Some(Origin::Env("PW".to_owned())),
    };
    assert_eq!(config.databases[0].user, Some(wanted));
}

#[test]
fn what_weakens_or_is_of_no_use_is_warned_about() {
    for (text, at) in [
        (
            format!("{DATABASE}{CLUSTER}{HOSTS}[cluster.tls]\nmode = \"disable\"\n"),
            "14:8: cluster.tls.mode: passwords and rows travel",
        ),
        (
            format!("{DATABASE}{CLUSTER}patroni = \"http://a:8008\"\nplain_http = true\n"),
            "13:14: cluster.plain_http: what is sent goes unencrypted",
        ),
        (
            format!(
                "{DATABASE}{CLUSTER}{HOSTS}[[cluster]]\nname = \"x\"\ncheck_user = \"c\"\n{HOSTS}"
            ),
            "14:8: cluster.name: no database is of this cluster",
        ),
    ] {
        let (_, warnings) = read(&text);
        assert_eq!(warnings.len(), 1, "{warnings:?} for:\n{text}");
        let place = format!("/etc/portcullis/p.toml:{at}");
        assert!(warnings[0].starts_with(&place), "{warnings:?}");
    }
}

#[test]
fn clusters_that_contradict_themselves() {
    let with = |settings: &str| format!("{DATABASE}{CLUSTER}{settings}\n");
    let elsewhere = |of: &str| format!("this is read only where the hosts come from {of};");
    for (text, at, says) in [
        (with(""), "10:8: cluster.name", "which hosts? Set one of"),
        (
            with("hosts = \"a\"\ndns = \"b\"\nsrv = \"c\""),
            "13:7: cluster.dns; 14:7: cluster.srv",
            "hosts names it already",
        ),
        (
            with("hosts = [\"a\", \"b\", \"A:5432 weight=1\"]"),
            "12:9: cluster.hosts",
            "stands here twice",
        ),
        (
            with("hosts = \"/run/postgresql\""),
            "12:9: cluster.hosts",
            "not a host of a cluster",
        ),
        (
            with("hosts = [\"a\", \"b wieght=1\"]"),
            "12:15: cluster.hosts",
            "not a host of a cluster",
        ),
        (with("hosts = []"), "12:9: cluster.hosts", "an empty list"),
        (
            with("dns = \"10.0.0.1\""),
            "12:7: cluster.dns",
            "not a name of DNS",
        ),
        (
            with("patroni = \"https://a/cluster\""),
            "12:11: cluster.patroni",
            "not the URL of a server",
        ),
        (
            with("etcd = [\"https://a\", \"http://b\"]"),
            "12:8: cluster.etcd",
            "write plain_http = true",
        ),
        (
            with("etcd = \"http://b\"\nplain_http = true\n[cluster.source_tls]\nca = \"c\""),
            "15:6: cluster.source_tls.ca",
            "http:// shows no certificate",
        ),
        (
            with("etcd = \"https://b\"\netcd_user = \"u\""),
            "13:13: cluster.etcd_user",
            "of no use without etcd_password_file",
        ),
        (
            with("patroni = \"https://b\"\npatroni_password_file = \"u\""),
            "13:25: cluster.patroni_password_file",
            "of no use without patroni_user",
        ),
        (
            with("etcd = \"https://b\"\n[cluster.source_tls]\ncertificate = \"c\""),
            "14:15: cluster.source_tls.certificate",
            "of no use without private_key",
        ),
        (
            with("srv = \"a\"\ndns_port = 1"),
            "13:12: cluster.dns_port",
            &elsewhere("dns"),
        ),
        (
            with("hosts = [\"db1\", \"db2:7\"]\n[[cluster.host_tls]]\nhost = \"db2:x\""),
            "14:8: cluster.host_tls.host",
            "not a host of a cluster",
        ),
        (
            with("hosts = [\"alpha\", \"beta:7\"]\n[[cluster.host_tls]]\nhost = \"beat\""),
            "14:8: cluster.host_tls.host",
            "no host beat, but beta; name one of its hosts",
        ),
        (
            with("hosts = [\"alpha\", \"beta:7\"]\n[[cluster.host_tls]]\nhost = \"beta:8\""),
            "14:8: cluster.host_tls.host",
            "no host beta:8, but beta:7; name",
        ),
        (
            with("hosts = [\"alpha\", \"beta:7\"]\n[[cluster.host_tls]]\nhost = \"10.0.0.1\""),
            "14:8: cluster.host_tls.host",
            "no host 10.0.0.1; name",
        ),
        (
            with("srv = \"a\"\n[[cluster.host_tls]]\nhost = [\"b\", \"B.\"]"),
            "14:8: cluster.host_tls.host",
            "has a section above already",
        ),
        (
            with("hosts = \"a\"\ndns_servers = \"10.0.0.53\""),
            "13:15: cluster.dns_servers",
            &elsewhere("dns or srv"),
        ),
        (
            with("dns = \"a\"\ndns_servers = \"ns1.example.com\""),
            "13:15: cluster.dns_servers",
            "not the address of a name server",
        ),
        (
            with("dns = \"a\"\ndns_servers = []"),
            "13:15: cluster.dns_servers",
            "empty",
        ),
        (
            with("patroni = \"https://a\"\netcd_scope = \"/a\""),
            "13:14: cluster.etcd_scope",
            &elsewhere("etcd"),
        ),
        (
            with("hosts = \"a\"\n[cluster.source_tls]\nca = \"c\""),
            "14:6: cluster.source_tls.ca",
            &elsewhere("patroni or etcd"),
        ),
        (
            with("hosts = \"a\"\nplain_http = true"),
            "13:14: cluster.plain_http",
            &elsewhere("patroni or etcd"),
        ),
        (
            with("hosts = \"a\"\nmembers_interval = 1"),
            "13:20: cluster.members_interval",
            "where the hosts come from dns",
        ),
        (
            with("hosts = \"a\"\nmembers_interval = \"99ms\""),
            "13:20: cluster.members_interval",
            "allowed is 100ms to 1h",
        ),
        (
            with("hosts = \"a\"\ncheck_pause_max = \"100ms\""),
            "13:19: cluster.check_pause_max",
            "has to be check_interval at least",
        ),
        (
            with("hosts = \"a\"\ncheck_interval = \"20s\""),
            "13:18: cluster.check_interval",
            "has to be check_interval at least",
        ),
        (
            with("hosts = \"a\"\ncheck_password_file = \"f\"\ncheck_password_env = \"E\""),
            "14:22: cluster.check_password_env",
            "not from both",
        ),
        (
            with("hosts = \"a\"\ncheck_password = \"secret\""),
            "13:1: cluster.check_password",
            "secrets do not belong in this file",
        ),
        (
            with("hosts = \"a\"\nbalance = \"random\""),
            "13:11: cluster.balance",
            "write \"least_busy\" or \"round_robin\"",
        ),
        (
            with("hosts = \"a\"\n[cluster.tls]\nmode = \"verify-ca\""),
            "14:8: cluster.tls.mode",
            "sign for anybody",
        ),
        (
            format!("{}{CLUSTER}hosts = \"b\"\n", with(HOSTS)),
            "15:8: cluster.name",
            "the same as in line 10",
        ),
        (
            format!("{DATABASE}[[cluster]]\nname = \"main\"\n{HOSTS}"),
            "9:1: cluster.check_user",
            "this setting is required",
        ),
    ] {
        check(&text, at, says);
    }
}

#[test]
fn databases_that_contradict_their_cluster() {
    let with = |settings: &str| format!("{DATABASE}{settings}\n{CLUSTER}{HOSTS}");
    let alone = |settings: &str| format!("[[database]]\nname = \"app\"\n{settings}\n");
    let own = "the hosts of a cluster have their own";
    for (text, at, says) in [
        (alone(""), "6:1: database.host", "Set host, or cluster"),
        (
            format!("{}{CLUSTER}{HOSTS}{DATABASE}", alone("cluster = \"mian\"")).replace(
                "[[database]]\nname = \"app\"\ncluster = \"main\"",
                "[[database]]\nname = \"b\"\ncluster = \"main\"",
            ),
            "8:11: database.cluster",
            "no [[cluster]] has this name",
        ),
        (with("host = \"a\""), "9:8: database.host", own),
        (with("port = 1"), "9:8: database.port", own),
        (with("[database.tls]"), "9:1: database.tls", own),
        (with("[database.tls]\nca = \"x\""), "9:1: database.tls", own),
        (
            with("[[database.host_tls]]\nhost = \"x\""),
            "10:8: database.host_tls.host",
            own,
        ),
        (
            alone("host = \"h\"\ntarget = \"primary\""),
            "9:10: database.target",
            "target chooses among the hosts of a cluster",
        ),
        (
            alone("host = \"h\"\nroute_reads = \"off\""),
            "9:15: database.route_reads",
            "route_reads chooses among",
        ),
        (
            with("target = \"replica\""),
            "9:10: database.target",
            "write \"primary\", \"standby\", \"prefer-standby\", \"any\", \"read-write\" or \"read-only\"",
        ),
        (
            with("route_reads = \"replicas\""),
            "9:15: database.route_reads",
            "with pool_mode = \"session\" a client keeps its server",
        ),
        (
            with("pool_mode = \"transaction\"\ntarget = \"any\"\nroute_reads = \"replicas\""),
            "11:15: database.route_reads",
            "write target = \"primary\"",
        ),
        (
            format!(
                "[pool]\npool_mode = \"transaction\"\n{}",
                with("pool_mode = \"session\"\nroute_reads = \"replicas\"")
            ),
            "12:15: database.route_reads",
            "a client keeps its server",
        ),
        (
            with("target_session_attrs = \"any\""),
            "9:1: database.target_session_attrs",
            "here it is called database.target",
        ),
    ] {
        check(&text, at, says);
    }
}

#[test]
fn a_bad_cluster_is_not_missed_by_its_databases() {
    check(
        &format!("{DATABASE}{CLUSTER}hosts = 5\n"),
        "12:9: cluster.hosts",
        "write a host, or a list of hosts",
    );
}

/// These errors, each at its place, and each says this.
fn check(text: &str, at: &str, says: &str) {
    let errors = errors(text);
    let places: Vec<&str> = at.split("; ").collect();
    assert_eq!(errors.len(), places.len(), "{errors:#?} in:\n{text}");
    for (error, place) in errors.iter().zip(places) {
        assert!(
            error.starts_with(&format!("p.toml:{place}: ")),
            "{error}, not at {place}"
        );
        assert!(error.contains(says), "{error}\ndoes not say: {says}");
    }
}
