//! tokio-postgres, which has each statement described and binds values in binary form.

use tokio_postgres::Error;
use tokio_postgres::types::ToSql;

use super::Endpoint;
use super::tokio_client::{connect, tls, within_limit};

/// Prepares statements without a word about types, some at once and one that fails, and runs them.
#[track_caller]
pub fn run(endpoint: &Endpoint) {
    within_limit(program(endpoint));
}

async fn program(endpoint: &Endpoint) -> Result<(), Error> {
    let (client, _messages) = connect(endpoint, &tls(endpoint)).await?;
    let make = "DROP TABLE IF EXISTS kept; CREATE TABLE kept (a int8, b bool, c text)";
    client.batch_execute(make).await?;
    let text = "SELECT $1 + a, $2::text, $3::bytea FROM kept WHERE b = $4 AND c = $5";
    let statement = client.prepare(text).await?;
    for (number, last) in [(-5i64, "ü"), (1 << 40, "")] {
        let none: Option<Vec<u8>> = None;
        let values: [&(dyn ToSql + Sync); 5] = [&number, &"it's", &none, &true, &last];
        client.query(&statement, &values).await?;
    }
    let (failed, float, int) = tokio::join!(
        client.prepare("SELECT a FROM kept WHERE nothing = $1"),
        client.prepare("SELECT $1::float8"),
        client.prepare("SELECT $1::int4"),
    );
    assert!(failed.is_err(), "there is no such column");
    let (float, int) = (float?, int?);
    let short = client.prepare("SELECT $1::int2").await?;
    let (one, two, three) = tokio::join!(
        client.query(&float, &[&1.5f64]),
        client.query(&int, &[&7i32]),
        client.query(&short, &[&-7i16]),
    );
    one.and(two).and(three).map(drop)
}
