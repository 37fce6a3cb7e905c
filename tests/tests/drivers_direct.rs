//! The driver programs against PostgreSQL itself: proves the programs, so that what
//! fails through the proxy is the proxy's fault.

use e2e::drivers::{self, Endpoint};
use testkit::Cluster;

#[test]
fn psql() {
    drivers::psql(&Endpoint::direct(Cluster::shared(), "by_psql"));
}

#[test]
fn pgbench() {
    drivers::pgbench(&Endpoint::direct(Cluster::shared(), "by_pgbench"));
}

#[test]
fn psycopg() {
    drivers::psycopg(&Endpoint::direct(Cluster::shared(), "by_psycopg"));
}

#[test]
fn psycopg_direct_tls() {
    drivers::psycopg_direct_tls(&Endpoint::direct(Cluster::shared_18(), "by_psycopg_direct"));
}

#[test]
fn psycopg_protocol_3_2() {
    let endpoint = Endpoint::direct(Cluster::shared_18(), "by_psycopg_3_2");
    drivers::psycopg_with(&endpoint, "PGMAXPROTOCOLVERSION", "3.2");
}

#[test]
fn psycopg_channel_binding() {
    let endpoint = Endpoint::direct(Cluster::shared(), "by_psycopg_bound");
    drivers::psycopg_with(&endpoint, "PGCHANNELBINDING", "require");
}

#[test]
fn node_postgres() {
    drivers::node_postgres(&Endpoint::direct(Cluster::shared(), "by_node_postgres"));
}

#[test]
fn tokio_postgres() {
    drivers::tokio_postgres(&Endpoint::direct(Cluster::shared(), "by_tokio_postgres"));
}
