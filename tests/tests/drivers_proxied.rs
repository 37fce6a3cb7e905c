//! The driver programs through the proxy, with TLS verified on both legs, in front of
//! PostgreSQL 15 and 18.

use e2e::Stage;
use e2e::drivers::{self, Endpoint};
use testkit::Cluster;

/// Runs one driver's program in front of both servers.
#[track_caller]
fn before_both(role: &str, run: impl Fn(&Endpoint)) {
    for cluster in [Cluster::shared(), Cluster::shared_18()] {
        before(cluster, role, &run);
    }
}

#[track_caller]
fn before(cluster: &Cluster, role: &str, run: impl Fn(&Endpoint)) {
    let direct = Endpoint::direct(cluster, role);
    let stage = Stage::before(cluster).user(&direct).start();
    run(&stage.endpoint(&direct));
    let log = stage.proxy.log();
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn psql() {
    before_both("by_psql", drivers::psql);
}

#[test]
fn pgbench() {
    before_both("by_pgbench", drivers::pgbench);
}

#[test]
fn psycopg() {
    before_both("by_psycopg", drivers::psycopg);
}

/// The proxy takes direct TLS whatever the server's version.
#[test]
fn psycopg_direct_tls() {
    before_both("by_psycopg_direct", drivers::psycopg_direct_tls);
}

#[test]
fn psycopg_channel_binding() {
    before_both("by_psycopg_bound", |endpoint| {
        drivers::psycopg_with(endpoint, "PGCHANNELBINDING", "require");
    });
}

/// libpq asks for the newest protocol; each server gets what it speaks.
#[test]
fn psycopg_newest_protocol() {
    before_both("by_psycopg_newest", |endpoint| {
        drivers::psycopg_with(endpoint, "PGMAXPROTOCOLVERSION", "latest");
    });
}

#[test]
fn node_postgres() {
    before_both("by_node_postgres", drivers::node_postgres);
}

#[test]
fn tokio_postgres() {
    before_both("by_tokio_postgres", drivers::tokio_postgres);
}

/// The server in the second place of the list answers when the first does not.
#[test]
fn a_server_that_is_down_is_passed_over() {
    let cluster = Cluster::shared();
    let direct = Endpoint::direct(cluster, "second_choice");
    let nobody = testkit::ports::reserve();
    let ports = format!("[{}, {}]", nobody.number, cluster.port());
    let stage = Stage::before(cluster)
        .user(&direct)
        .set("database", "host", "['localhost', 'localhost']")
        .set("database", "port", &ports)
        .start();
    assert_eq!(stage.endpoint(&direct).login().says(), "second_choice");
}
