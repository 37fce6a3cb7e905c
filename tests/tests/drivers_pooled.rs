//! Real drivers in transaction mode, each with many connections over two server connections, so that
//! their prepared statements and settings move; and the programs that use all a driver can do, which
//! keep a server connection where they need one.

use e2e::Stage;
use e2e::drivers::{self, Endpoint, pooled};
use testkit::Cluster;

const SERVERS: usize = 2;

#[track_caller]
fn sharing(role: &str, servers: usize, run: impl FnOnce(&Endpoint)) {
    let cluster = Cluster::shared();
    let direct = Endpoint::direct(cluster, role);
    let stage = Stage::before(cluster)
        .user(&direct)
        .set("pool", "pool_mode", "\"transaction\"")
        .set("pool", "default_pool_size", &servers.to_string())
        .set("limits", "cancel_rate", "100000")
        .set("listen", "workers", "2")
        .start();
    run(&stage.endpoint(&direct));
    let log = stage.proxy.log();
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn pgbench() {
    sharing("shares_pgbench", SERVERS, |it| pooled::pgbench(it, 16));
}

#[test]
fn psycopg() {
    sharing("shares_psycopg", SERVERS, |it| {
        pooled::python(it, "pooled_psycopg.py", SERVERS);
    });
}

#[test]
fn asyncpg() {
    sharing("shares_asyncpg", SERVERS, |it| {
        pooled::python(it, "pooled_asyncpg.py", SERVERS);
    });
}

#[test]
fn sqlalchemy() {
    sharing("shares_sqlalchemy", SERVERS, |it| {
        pooled::python(it, "pooled_sqlalchemy.py", SERVERS);
    });
}

#[test]
fn node_postgres() {
    sharing("shares_node", SERVERS, |it| {
        pooled::node_postgres(it, SERVERS);
    });
}

#[test]
fn tokio_postgres() {
    sharing("shares_tokio", SERVERS, |it| {
        pooled::tokio_postgres(it, SERVERS);
    });
}

/// One connection that does all its driver can, and keeps a server connection from where it has to. Not
/// node-postgres's: it looks for its process id among those of the servers.
#[test]
fn whole_programs() {
    sharing("shares_programs", 6, |it| {
        drivers::psql(it);
        drivers::psycopg(it);
        drivers::tokio_postgres(it);
    });
}
