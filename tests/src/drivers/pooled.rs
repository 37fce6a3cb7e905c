//! Drivers whose connections outnumber the server connections behind them: each one's statements move
//! from server to server.

use std::collections::BTreeSet;

use futures_util::future::try_join_all;
use testkit::{Cluster, tools};
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::tokio_client::{self, connect};
use super::{Endpoint, file, succeed};

/// Connections of tokio-postgres.
const CLIENTS: usize = 12;

/// pgbench in its three protocols and with pipelines, so many clients at once.
#[track_caller]
pub fn pgbench(endpoint: &Endpoint, clients: usize) {
    let pgbench = || endpoint.command(Cluster::client_program("pgbench"));
    succeed(pgbench().args(["--initialize", "--quiet", "--scale=1"]));
    let transactions = 30;
    let all = clients * transactions;
    for protocol in ["simple", "extended", "prepared"] {
        for script in [
            "--builtin=tpcb-like".to_owned(),
            "--builtin=select-only".to_owned(),
            format!("--file={}", file("pipeline.pgbench").display()),
        ] {
            if protocol == "simple" && script.starts_with("--file") {
                continue;
            }
            let output = succeed(
                pgbench()
                    .args(["--no-vacuum", "--protocol", protocol, &script])
                    // PQprepare blocks its thread: another client's transaction must not wait there.
                    .arg(format!("--jobs={clients}"))
                    .arg(format!("--client={clients}"))
                    .arg(format!("--transactions={transactions}")),
            );
            let wanted = format!("transactions actually processed: {all}/{all}");
            assert!(output.contains(&wanted), "pgbench lost some:\n{output}");
        }
    }
}

/// One of the Python programs for many connections over `servers` server connections.
#[track_caller]
pub fn python(endpoint: &Endpoint, program: &str, servers: usize) {
    let mut command = endpoint.command(tools::python());
    // No __pycache__ in the tree.
    command.arg("-B").arg(file(program));
    succeed(command.env("PORTCULLIS_SERVERS", servers.to_string()));
}

/// node-postgres with many connections over `servers` server connections.
#[track_caller]
pub fn node_postgres(endpoint: &Endpoint, servers: usize) {
    let mut command = endpoint.command(tools::node());
    command.arg(file("pooled_node_postgres.js"));
    succeed(command.env("PORTCULLIS_SERVERS", servers.to_string()));
}

/// tokio-postgres with many connections over `servers` server connections; statements as Prisma makes them:
/// prepared once, kept for the connection's life, used inside transactions and outside, closed when
/// too many.
#[track_caller]
pub fn tokio_postgres(endpoint: &Endpoint, servers: usize) {
    let seen: Vec<BTreeSet<i32>> = tokio_client::within_limit(async {
        try_join_all((0..CLIENTS).map(|number| client(endpoint, number))).await
    });
    let all: BTreeSet<i32> = seen.iter().flatten().copied().collect();
    assert!(all.len() <= servers, "{all:?}");
    assert!(seen.iter().any(|pids| pids.len() > 1), "nothing moved");
}

async fn client(endpoint: &Endpoint, number: usize) -> Result<BTreeSet<i32>, Error> {
    let (mut client, _messages) = connect(endpoint, &tokio_client::tls(endpoint)).await?;
    let me = format!("client{number}");
    let mut pids = BTreeSet::new();
    let own = format!("SELECT '{me}', $1::int4, pg_backend_pid()");
    let own = client.prepare(&own).await?;
    let shared = client.prepare("SELECT $1::text").await?;
    for round in 0..30 {
        let row = client.query_one(&own, &[&round]).await?;
        assert_eq!((row.get::<_, &str>(0), row.get(1)), (&*me, round));
        pids.insert(row.get(2));
        let row = client.query_one(&shared, &[&me]).await?;
        assert_eq!(row.get::<_, &str>(0), me);
        // Dropped at once: Close goes out behind it.
        let passing = format!("SELECT {}, $1::int4", round % 4);
        let passing = client.prepare(&passing).await?;
        let row = client.query_one(&passing, &[&round]).await?;
        assert_eq!((row.get::<_, i32>(0), row.get(1)), (round % 4, round));
        if round % 3 == 0 {
            let transaction = client.transaction().await?;
            let row = transaction.query_one(&own, &[&round]).await?;
            let pid: i32 = row.get(2);
            let late = transaction.prepare("SELECT pg_backend_pid()").await?;
            assert_eq!(
                transaction.query_one(&late, &[]).await?.get::<_, i32>(0),
                pid
            );
            let error = transaction.query_one("SELECT 1 / $1::int4", &[&0]).await;
            let error = error.expect_err("a division by zero");
            assert_eq!(error.code(), Some(&SqlState::DIVISION_BY_ZERO));
            transaction.rollback().await?;
            // Prepared in a transaction that was rolled back: it is there all the same.
            client.query_one(&late, &[]).await?;
        }
        let several = (0..10).map(|more| {
            let (client, own) = (&client, &own);
            async move { client.query_one(own, &[&more]).await }
        });
        let several = try_join_all(several).await?;
        let numbers = several.iter().map(|row| row.get::<_, i32>(1));
        assert!(numbers.eq(0..10));
    }
    Ok(pids)
}
