//! Members by DNS, asked of a server by hand.

use crate::{Asked, NEVER};
use members::{DnsFault, Fault, NameServers, Plan};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use testkit::dns::{A, AAAA, DnsServer, Record, Reply, SRV};
use testkit::{ports, wait};

/// Short, as where it matters nobody answers.
const EACH: Duration = Duration::from_millis(300);

fn name_servers(servers: &[SocketAddr], timeout: Duration) -> NameServers {
    NameServers {
        servers: servers.to_vec(),
        timeout,
    }
}

fn addresses(server: &DnsServer, name: &str) -> Asked {
    Asked::new(Plan::Addresses {
        name: name.to_owned(),
        port: 5432,
        name_servers: name_servers(&[server.address], wait::LONG),
        interval: NEVER,
    })
}

fn services(server: &DnsServer, name: &str) -> Asked {
    Asked::new(Plan::Srv {
        service: name.to_owned(),
        name_servers: name_servers(&[server.address], wait::LONG),
        interval: NEVER,
    })
}

/// Why there are no addresses.
#[track_caller]
fn fault(asked: &mut Asked) -> DnsFault {
    match asked.next() {
        Err(Fault::Dns { why, .. }) => why,
        other => panic!("no fault of DNS: {other:?}"),
    }
}

#[test]
fn each_address_is_a_member_with_the_name_that_it_has_to_prove() {
    let server = DnsServer::start();
    server.set_addresses(
        "db.example",
        300,
        &["10.0.0.2", "2001:db8::1", "10.0.0.1", "10.0.0.2"],
    );
    let mut asked = addresses(&server, "DB.example.");
    let found = asked.next().unwrap();
    assert_eq!(
        crate::keys(&found),
        ["10.0.0.1:5432", "10.0.0.2:5432", "[2001:db8::1]:5432"]
    );
    let first = &found.members[0];
    assert_eq!(first.name, "db.example");
    assert_eq!(first.address, Some("10.0.0.1".parse().unwrap()));
    assert_eq!((first.port, first.member.weight), (5432, 100));
    assert_eq!(found.leader, None);
}

#[test]
fn an_answer_is_asked_for_again_when_its_shortest_ttl_is_over() {
    let server = DnsServer::start();
    server.set_addresses("db.example", 300, &["10.0.0.1"]);
    server.set(
        "db.example",
        AAAA,
        Reply::Records(vec![Record::address(1, "::1")]),
    );
    let mut asked = addresses(&server, "db.example");
    assert_eq!(asked.keys(), ["10.0.0.1:5432", "[::1]:5432"]);
    // A TTL of nothing is one of a second.
    server.set_addresses("db.example", 0, &["10.0.0.2"]);
    let begin = Instant::now();
    assert_eq!(asked.keys(), ["10.0.0.2:5432"]);
    server.set_addresses("db.example", 300, &["10.0.0.3"]);
    assert_eq!(asked.keys(), ["10.0.0.3:5432"]);
    assert!(begin.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.asked().len(), 6);
    // The TTL is long now.
    server.set_addresses("db.example", 300, &["10.0.0.4"]);
    assert!(asked.within(Duration::from_millis(1500)).is_none());
    assert_eq!(server.asked().len(), 6);
}

#[test]
fn the_interval_is_the_longest_wait() {
    let server = DnsServer::start();
    server.set_addresses("db.example", 300, &["10.0.0.1"]);
    let mut asked = Asked::new(Plan::Addresses {
        name: "db.example".to_owned(),
        port: 5432,
        name_servers: name_servers(&[server.address], wait::LONG),
        interval: Duration::from_secs(1),
    });
    asked.keys();
    server.set_addresses("db.example", 300, &["10.0.0.2"]);
    assert_eq!(asked.keys(), ["10.0.0.2:5432"]);
}

#[test]
fn a_hurry_asks_early_and_at_most_once_a_second() {
    let server = DnsServer::start();
    server.set_addresses("db.example", 300, &["10.0.0.1"]);
    let mut asked = addresses(&server, "db.example");
    let begin = Instant::now();
    asked.hurry.notify_one();
    assert_eq!(asked.keys(), ["10.0.0.1:5432"]);
    server.set_addresses("db.example", 300, &["10.0.0.2"]);
    // Whoever gives up waiting for it loses nothing.
    asked.hurry.notify_one();
    assert!(asked.within(Duration::from_millis(100)).is_none());
    asked.hurry.notify_one();
    assert_eq!(asked.keys(), ["10.0.0.2:5432"]);
    assert!(begin.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.asked().len(), 4);
    assert!(asked.within(Duration::from_millis(1500)).is_none());
}

#[test]
fn services_have_targets_ports_and_weights() {
    let server = DnsServer::start();
    let records = vec![
        Record::service(300, (20, 5, 5432, "db3.example")),
        Record::service(300, (10, 0, 6432, "DB1.Example")),
        Record::service(300, (10, 60, 5432, "db2.example")),
        Record::service(300, (30, 1, 5432, "db2.example")),
    ];
    server.set("_postgresql._tcp.example", SRV, Reply::Records(records));
    let mut asked = services(&server, "_postgresql._tcp.example");
    let found = asked.next().unwrap();
    let members: Vec<_> = found
        .members
        .iter()
        .map(|it| (it.key().as_str(), it.member.weight, it.address))
        .collect();
    assert_eq!(
        members,
        [
            ("db1.example:6432", 1, None),
            ("db2.example:5432", 60, None),
            ("db3.example:5432", 5, None),
        ]
    );
    assert_eq!(found.members[0].name, "db1.example");
    let none = Reply::Records(vec![Record::service(300, (0, 0, 0, "."))]);
    server.set("_postgresql._tcp.none", SRV, none);
    let mut asked = services(&server, "_postgresql._tcp.none");
    assert_eq!(fault(&mut asked), DnsFault::NotOffered);
}

/// The system's servers don't know what others say, so the addresses are asked for, too. Who has none is left to whoever
/// connects, and the shortest TTL counts, whosever it is.
#[test]
fn targets_are_looked_up_by_the_servers_that_are_given() {
    let server = DnsServer::start();
    let records = vec![
        Record::service(300, (10, 0, 5432, "db1.example")),
        Record::service(300, (20, 0, 5432, "db2.example")),
    ];
    server.set("_postgresql._tcp.example", SRV, Reply::Records(records));
    server.set_addresses("db1.example", 1, &["10.0.0.7", "10.0.0.3"]);
    let mut asked = services(&server, "_postgresql._tcp.example");
    let found = asked.next().unwrap();
    let places = |found: &members::Found| {
        let places = found.members.iter().map(|it| (it.name.clone(), it.address));
        places.collect::<Vec<_>>()
    };
    let (one, other) = ("db1.example".to_owned(), "db2.example".to_owned());
    let first = Some("10.0.0.3".parse().unwrap());
    assert_eq!(
        places(&found),
        [(one.clone(), first), (other.clone(), None)]
    );
    // It moves.
    server.set_addresses("db1.example", 300, &["10.0.0.9"]);
    let moved = Some("10.0.0.9".parse().unwrap());
    assert_eq!(
        places(&asked.next().unwrap()),
        [(one, moved), (other, None)]
    );
    // One that can't be asked for is no host that has left.
    server.set("db1.example", A, Reply::Code(2));
    asked.hurry.notify_one();
    assert!(matches!(fault(&mut asked), DnsFault::Refused { .. }));
}

#[test]
fn aliases_lead_on_and_records_of_others_do_not_count() {
    let server = DnsServer::start();
    let records = vec![
        Record::alias(1, "a.example"),
        Record::alias(300, "b.example").of("a.example"),
        Record::address(300, "10.0.0.1").of("b.example"),
        Record::address(300, "10.0.0.9").of("c.example"),
    ];
    server.set("db.example", A, Reply::Records(records));
    let mut asked = addresses(&server, "db.example");
    assert_eq!(asked.keys(), ["10.0.0.1:5432"]);
    // The TTL of an alias counts too.
    assert_eq!(asked.keys(), ["10.0.0.1:5432"]);
}

#[test]
fn what_was_cut_short_is_asked_for_by_tcp() {
    let server = DnsServer::start();
    let many: Vec<_> = (1..=200)
        .map(|it| Record::address(300, &format!("10.0.0.{it}")))
        .collect();
    server.set("db.example", A, Reply::ByTcpOnly(many));
    let mut asked = addresses(&server, "db.example");
    assert_eq!(asked.keys().len(), 200);
    let by_tcp: Vec<_> = server.asked().into_iter().filter(|it| it.2).collect();
    assert_eq!(by_tcp, [("db.example".to_owned(), A, true)]);
}

#[test]
fn each_way_not_to_answer_is_told_apart() {
    let server = DnsServer::start();
    let nobody = ports::reserve();
    let nobody: SocketAddr = nobody.address().parse().unwrap();
    let to_another = Reply::ToAnother(vec![Record::address(300, "10.6.6.6")]);
    for (reply, word, kind) in [
        (None, "NXDOMAIN", "NoName"),
        (Some(Reply::Records(vec![])), "no such records", "NoRecords"),
        (Some(Reply::Code(2)), "answered SERVFAIL", "Refused"),
        (Some(Reply::Code(5)), "answered REFUSED", "Refused"),
        (Some(Reply::Silence), "no answer within 300 ms", "TimedOut"),
        (Some(Reply::Garbage), "no answer within", "TimedOut"),
        (Some(to_another), "no answer within", "TimedOut"),
        (Some(Reply::Cut), "that is no answer", "Garbled"),
    ] {
        let name = format!("{}.example", kind.to_ascii_lowercase());
        for kind in [A, AAAA] {
            if let Some(reply) = reply.clone() {
                server.set(&name, kind, reply);
            }
        }
        let mut asked = Asked::new(Plan::Addresses {
            name: name.clone(),
            port: 5432,
            name_servers: name_servers(&[server.address], EACH),
            interval: NEVER,
        });
        let fault = asked.next().unwrap_err();
        let shown = fault.to_string();
        let begin = format!("DNS, A and AAAA of {name}: ");
        assert!(shown.starts_with(&begin) && shown.contains(word), "{shown}");
        let Fault::Dns { why, .. } = fault else {
            panic!("{shown}");
        };
        assert!(format!("{why:?}").starts_with(kind), "{why:?}");
    }
    // Nobody may send there.
    let broadcast: SocketAddr = "255.255.255.255:53".parse().unwrap();
    for (servers, name, word) in [
        (&[nobody][..], "db.example", "no answer within 300 ms of"),
        (&[broadcast], "db.example", "cannot ask name server"),
        (&[server.address], "a..b", "no name of DNS"),
    ] {
        let mut asked = Asked::new(Plan::Srv {
            service: name.to_owned(),
            name_servers: name_servers(servers, EACH),
            interval: NEVER,
        });
        let shown = asked.next().unwrap_err().to_string();
        assert!(shown.contains(word), "{shown}");
    }
}

#[test]
fn a_server_that_is_of_no_use_is_passed_over() {
    let (good, bad) = (DnsServer::start(), DnsServer::start());
    let nobody = ports::reserve();
    let nobody = nobody.address().parse().unwrap();
    for name in ["silent.example", "ill.example"] {
        good.set_addresses(name, 300, &["10.0.0.1"]);
    }
    for kind in [A, AAAA] {
        bad.set("silent.example", kind, Reply::Silence);
        bad.set("ill.example", kind, Reply::Code(2));
    }
    for name in ["silent.example", "ill.example"] {
        let mut asked = Asked::new(Plan::Addresses {
            name: name.to_owned(),
            port: 5432,
            name_servers: name_servers(&[nobody, bad.address, good.address], EACH),
            interval: NEVER,
        });
        assert_eq!(asked.keys(), ["10.0.0.1:5432"], "{name}");
    }
    // A name that does not exist is an answer: nobody else is asked.
    let before = good.asked().len();
    let mut asked = Asked::new(Plan::Srv {
        service: "nowhere.example".to_owned(),
        name_servers: name_servers(&[bad.address, good.address], EACH),
        interval: NEVER,
    });
    assert_eq!(fault(&mut asked), DnsFault::NoName);
    assert_eq!(good.asked().len(), before);
}

#[test]
fn addresses_that_were_there_are_not_lost_when_half_of_the_answer_is_missing() {
    let server = DnsServer::start();
    server.set_addresses("db.example", 0, &["10.0.0.1", "::1"]);
    let mut asked = addresses(&server, "db.example");
    assert_eq!(asked.keys().len(), 2);
    server.set("db.example", AAAA, Reply::Code(2));
    let why = fault(&mut asked);
    assert!(
        matches!(
            why,
            DnsFault::Half {
                missing: "AAAA",
                ..
            }
        ),
        "{why}"
    );
    // That there is none any more is an answer.
    server.set("db.example", AAAA, Reply::Records(vec![]));
    assert_eq!(asked.keys(), ["10.0.0.1:5432"]);
    server.set("db.example", AAAA, Reply::Code(2));
    assert_eq!(asked.keys(), ["10.0.0.1:5432"]);
}

#[test]
fn after_a_fault_it_is_tried_again_before_the_interval_is_over() {
    let server = DnsServer::start();
    let mut asked = addresses(&server, "db.example");
    assert_eq!(fault(&mut asked), DnsFault::NoName);
    server.set_addresses("db.example", 300, &["10.0.0.1"]);
    assert_eq!(asked.keys(), ["10.0.0.1:5432"]);
}

#[test]
fn addresses_and_the_systems_own_names_need_no_server() {
    let nobody = ports::reserve();
    let mut asked = Asked::new(Plan::Addresses {
        name: "2001:db8::1".to_owned(),
        port: 6000,
        name_servers: name_servers(&[nobody.address().parse().unwrap()], EACH),
        interval: NEVER,
    });
    assert_eq!(asked.keys(), ["[2001:db8::1]:6000"]);
    let mut asked = Asked::new(Plan::Addresses {
        name: "localhost".to_owned(),
        port: 6000,
        name_servers: NameServers::default(),
        interval: NEVER,
    });
    assert!(asked.keys().contains(&"127.0.0.1:6000".to_owned()));
}
