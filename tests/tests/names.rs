//! Clusters whose hosts are found by DNS, and names that move: what clients see when a record leads to another host,
//! when that is noticed, and that the new host has to prove the name.

use std::path::PathBuf;
use std::time::Instant;

use e2e::Stage;
use e2e::clustered::{CHECKER, Writers, count_of_backends, plan_from, role};
use e2e::drivers::Endpoint;
use e2e::tables::{ADMIN, Row, console, show, text};
use testkit::dns::{DnsServer, Record, Reply, SRV};
use testkit::{Authority, Flock, FlockPlan, Identity, Member, wait};

/// The name that moves.
const NAME: &str = "db.example";
/// The service whose targets move.
const SERVICE: &str = "_postgresql._tcp.example";
/// A TTL that no test lives to see the end of, in seconds.
const NEVER_S: u32 = 3600;
/// Nothing is looked up again for the time that went by, unless a TTL is over.
const RARELY: &str = "members_interval = '1h'";

/// A primary and a standby at one port, whose certificates name the host and the name that moves.
struct Hosts {
    flock: Flock,
    ca_file: PathBuf,
    _directory: tempfile::TempDir,
}

impl Hosts {
    fn start() -> Hosts {
        let authority = Authority::new("Portcullis test authority of names");
        let directory = tempfile::tempdir().expect("a directory");
        let ca_file = authority.write(directory.path(), "names");
        let plan =
            FlockPlan::new(1)
                .at_one_port()
                .set_on(0, "synchronous_standby_names", "member1");
        let named = |plan: FlockPlan, member: usize| {
            let identity = Identity::server(&[NAME, &target(member)]);
            plan.certificate(member, &authority, &authority.issue(&identity))
        };
        Hosts {
            flock: [0, 1].into_iter().fold(plan, named).start(),
            ca_file,
            _directory: directory,
        }
    }

    fn stage(&self, direct: &Endpoint, source: &str, server: &DnsServer) -> Stage {
        let section = format!("{source}\ndns_servers = '{}'", server.address);
        plan_from(&self.flock, direct, &section, &self.ca_file)
            // A reload asks anew.
            .set("files", "reload", "'sighup'")
            .start()
    }
}

/// The name of one host alone.
fn target(member: usize) -> String {
    format!("db{member}.example")
}

fn ip(member: &Member) -> String {
    member.ip().to_string()
}

/// This service is offered by this target alone.
fn set_service(server: &DnsServer, target: &str, member: &Member) {
    let record = Record::service(NEVER_S, (1, 1, member.port(), target));
    server.set(SERVICE, SRV, Reply::Records(vec![record]));
}

/// What a name says of hosts, how it moves, and how the other one is called then.
struct Naming {
    /// The role and database of its test.
    role: &'static str,
    source: fn(&Member) -> String,
    /// From now on it leads to this member alone.
    lead: fn(&DnsServer, &Flock, usize),
    host: fn(&Flock, usize) -> String,
}

/// Addresses of a name.
const BY_ADDRESS: Naming = Naming {
    role: "by_address",
    source: |member| format!("dns = '{NAME}'\ndns_port = {}\n{RARELY}", member.port()),
    lead: |server, flock, to| server.set_addresses(NAME, NEVER_S, &[&ip(&flock[to])]),
    host: |flock, at| ip(&flock[at]),
};

/// Targets of a service, each host under its own name.
const BY_TARGET: Naming = Naming {
    role: "by_target",
    source: |_| format!("srv = '{SERVICE}'\n{RARELY}"),
    lead: |server, flock, to| {
        server.set_addresses(&target(to), NEVER_S, &[&ip(&flock[to])]);
        set_service(server, &target(to), &flock[to]);
    },
    host: |_, at| target(at),
};

/// A target that stays, and whose address moves.
const BY_ADDRESS_OF_TARGET: Naming = Naming {
    role: "by_address_of_target",
    source: |_| format!("srv = '{SERVICE}'\n{RARELY}"),
    lead: |server, flock, to| {
        server.set_addresses(NAME, NEVER_S, &[&ip(&flock[to])]);
        set_service(server, NAME, &flock[to]);
    },
    host: |_, _| NAME.to_owned(),
};

fn hosts(stage: &Stage) -> Vec<Row> {
    show(&mut console(stage, ADMIN), "HOSTS")
}

fn names(stage: &Stage) -> Vec<String> {
    let hosts = hosts(stage);
    hosts.iter().map(|it| text(it, "host").to_owned()).collect()
}

#[track_caller]
fn await_names(stage: &Stage, wanted: &[String]) {
    wait::until("the hosts", wait::LONG, || names(stage) == wanted);
}

/// A record that is good for an hour moves, and nothing happens; the primary dies, and it is looked up at once.
#[track_caller]
fn moves_when_the_primary_dies(naming: &Naming) {
    let here = Hosts::start();
    let flock = &here.flock;
    let direct = role(flock, naming.role);
    let server = DnsServer::start();
    (naming.lead)(&server, flock, 0);
    let stage = here.stage(&direct, &(naming.source)(&flock[0]), &server);
    let mut writers = Writers::start(&stage, &direct, 4);
    let asked = server.asked().len();
    (naming.lead)(&server, flock, 1);
    writers.until_next_write();
    assert_eq!(names(&stage), [(naming.host)(flock, 0)]);
    assert_eq!(server.asked().len(), asked, "the TTL is not over");
    let died = Instant::now();
    flock[0].kill();
    flock[1].promote();
    writers.until_next_write();
    println!("{}: goes on after {:?}", naming.role, died.elapsed());
    assert_eq!(names(&stage), [(naming.host)(flock, 1)]);
    let written = writers.stop();
    assert_eq!(written.idle(), "served");
    written.check(&flock[1], naming.role);
    let log = stage.proxy.log();
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn a_name_leads_to_another_host_when_the_primary_dies() {
    moves_when_the_primary_dies(&BY_ADDRESS);
}

#[test]
fn a_service_has_another_target_when_the_primary_dies() {
    moves_when_the_primary_dies(&BY_TARGET);
}

#[test]
fn a_target_has_another_address_when_the_primary_dies() {
    moves_when_the_primary_dies(&BY_ADDRESS_OF_TARGET);
}

/// A record moves without anybody's death: that is noticed when its TTL is over, and the host that it names no more
/// gets nothing from then on.
#[test]
fn a_record_is_looked_up_again_when_its_ttl_is_over() {
    let here = Hosts::start();
    let flock = &here.flock;
    let direct = role(flock, "by_ttl");
    let server = DnsServer::start();
    let lead = |ttl_s, members: &[usize]| {
        let addresses: Vec<_> = members.iter().map(|it| ip(&flock[*it])).collect();
        let addresses: Vec<_> = addresses.iter().map(String::as_str).collect();
        server.set_addresses(NAME, ttl_s, &addresses);
    };
    lead(1, &[0]);
    let stage = here.stage(&direct, &(BY_ADDRESS.source)(&flock[0]), &server);
    let mut writers = Writers::start(&stage, &direct, 2);
    lead(1, &[0, 1]);
    await_names(&stage, &[ip(&flock[0]), ip(&flock[1])]);
    writers.until_next_write();
    // It lives, and is not the name's any more.
    lead(NEVER_S, &[1]);
    await_names(&stage, &[ip(&flock[1])]);
    wait::until("connections to the old host to end", wait::LONG, || {
        count_of_backends(&flock[0], "by_ttl") == 0
    });
    flock[0].stop();
    flock[1].promote();
    writers.until_next_write();
    let written = writers.stop();
    assert_eq!(written.idle(), "served");
    written.check(&flock[1], "by_ttl");
}

/// Whoever can change a record is not yet the database: the host has to prove the name.
#[test]
fn a_name_that_leads_to_a_host_with_another_certificate_leads_nobody_there() {
    let here = Hosts::start();
    let flock = &here.flock;
    let direct = role(flock, "by_another");
    let server = DnsServer::start();
    let port = flock[0].port();
    server.set_addresses("other.example", NEVER_S, &[&ip(&flock[0])]);
    let source = format!("dns = 'other.example'\ndns_port = {port}");
    let stage = here.stage(&direct, &source, &server);
    wait::until("trouble with the certificate", wait::LONG, || {
        let hosts = hosts(&stage);
        hosts.iter().any(|it| {
            (text(it, "health"), text(it, "trouble")) == ("down", "tls")
                && text(it, "trouble_text").contains("hostname mismatch")
        })
    });
    for role in ["by_another", CHECKER.0] {
        assert_eq!(count_of_backends(&flock[0], role), 0);
    }
}
