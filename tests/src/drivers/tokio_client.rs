//! tokio-postgres with TLS of postgres-openssl.

use std::future::{Future, poll_fn};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt, pin_mut};
use openssl::ssl::{SslConnector, SslMethod};
use postgres_openssl::MakeTlsConnector;
use tokio::runtime::Builder;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, Config, Error, SimpleQueryMessage};

use super::Endpoint;

const BIG_BYTES: usize = 16 * 1024 * 1024;
const LIMIT: Duration = Duration::from_secs(120);

/// Runs the whole program.
#[track_caller]
pub fn run(endpoint: &Endpoint) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let outcome = runtime.block_on(async { tokio::time::timeout(LIMIT, program(endpoint)).await });
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(error)) => panic!("tokio-postgres: {error:?}"),
        Err(_) => panic!("tokio-postgres did not finish within {LIMIT:?}"),
    }
}

/// What many connections do together; panics with the first error.
#[track_caller]
pub(super) fn within_limit<T>(all: impl Future<Output = Result<T, Error>>) -> T {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let outcome = runtime.block_on(async { tokio::time::timeout(LIMIT, all).await });
    match outcome {
        Ok(Ok(value)) => value,
        Ok(Err(error)) => panic!("tokio-postgres: {error:?}"),
        Err(_) => panic!("tokio-postgres did not finish within {LIMIT:?}"),
    }
}

/// SQLSTATE and message of the refused login; panics if it succeeds, or breaks in another way.
#[track_caller]
pub fn refusal(endpoint: &Endpoint) -> (String, String) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let outcome = runtime.block_on(async {
        let login = async { connect(endpoint, &tls(endpoint)).await.map(|_| ()) };
        tokio::time::timeout(LIMIT, login).await
    });
    let error = outcome
        .expect("an answer to the login")
        .expect_err("a refused login");
    let refused = error.as_db_error();
    let refused = refused.unwrap_or_else(|| panic!("no ErrorResponse: {error:?}"));
    let state = refused.code().code().to_owned();
    (state, refused.message().to_owned())
}

/// Texts and `integer`s of each row of a query, by the extended protocol with results in binary.
#[track_caller]
pub fn read(
    endpoint: &Endpoint,
    query: &str,
    texts: &[&str],
    numbers: &[&str],
) -> Vec<(Vec<String>, Vec<i32>)> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let tls = tls(endpoint);
    let reading = async {
        let (client, _messages) = connect(endpoint, &tls).await?;
        client.query(query, &[]).await
    };
    let rows = runtime.block_on(async { tokio::time::timeout(LIMIT, reading).await });
    let rows = rows.expect("an answer in time").expect("rows");
    let values = |row: &tokio_postgres::Row| {
        let texts = texts.iter().map(|name| row.get(name)).collect();
        (texts, numbers.iter().map(|name| row.get(name)).collect())
    };
    rows.iter().map(values).collect()
}

/// Logs in again and again, each time with one query, until `done`; gives how often. Ends with the
/// first login that fails.
pub fn log_in_until(endpoint: &Endpoint, done: impl Fn() -> bool) -> Result<usize, String> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let tls = tls(endpoint);
    let mut count = 0;
    while !done() {
        let login = async {
            let (client, _) = connect(endpoint, &tls).await?;
            client.simple_query("SELECT 1").await
        };
        let outcome = runtime.block_on(async { tokio::time::timeout(LIMIT, login).await });
        match outcome {
            Ok(Ok(_)) => count += 1,
            Ok(Err(error)) => return Err(format!("login {count}: {error:?}")),
            Err(_) => return Err(format!("login {count} did not finish within {LIMIT:?}")),
        }
    }
    Ok(count)
}

async fn program(endpoint: &Endpoint) -> Result<(), Error> {
    let tls = tls(endpoint);
    let (mut client, mut messages) = connect(endpoint, &tls).await?;
    simple(&client).await?;
    extended(&client).await?;
    pipeline(&client).await?;
    errors(&mut client).await?;
    copy(&client).await?;
    copy_failure(&client).await?;
    cancel(&client, &tls).await?;
    big_rows(&client).await?;
    notification(&client, &mut messages).await
}

/// Verifies the endpoint's certificate and name.
#[expect(
    clippy::disallowed_methods,
    reason = "the driver's adapter takes nothing else, and the tests must not lean on the proxy's contexts"
)]
pub fn tls(endpoint: &Endpoint) -> MakeTlsConnector {
    let mut connector = SslConnector::builder(SslMethod::tls_client()).expect("a TLS connector");
    connector
        .set_ca_file(&endpoint.ca_file)
        .expect("the authority's certificate");
    MakeTlsConnector::new(connector.build())
}

/// A session, and what it is told beside answers.
pub async fn connect(
    endpoint: &Endpoint,
    tls: &MakeTlsConnector,
) -> Result<(Client, UnboundedReceiver<AsyncMessage>), Error> {
    let (client, mut connection) = Config::new()
        .host(&endpoint.host)
        .port(endpoint.port)
        .user(&endpoint.user)
        .password(&endpoint.password)
        .dbname(&endpoint.database)
        .ssl_mode(SslMode::Require)
        .connect(tls.clone())
        .await?;
    let (sender, messages) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        // Errors of the connection come back from the queries as well.
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            let _ = sender.send(message);
        }
    });
    Ok((client, messages))
}

async fn simple(client: &Client) -> Result<(), Error> {
    let messages = client.simple_query("SELECT 1; SELECT 'two', NULL").await?;
    let rows: Vec<_> = messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0)),
            _ => None,
        })
        .collect();
    assert_eq!(rows, [Some("1"), Some("two")]);
    Ok(())
}

async fn extended(client: &Client) -> Result<(), Error> {
    let statement = client
        .prepare("SELECT $1::int4 * 2, $2::text, $3::bytea")
        .await?;
    for number in 0..20 {
        let bytes: &[u8] = &[0, 255];
        let row = client
            .query_one(&statement, &[&number, &"é", &bytes])
            .await?;
        assert_eq!(row.get::<_, i32>(0), number * 2);
        assert_eq!(row.get::<_, &str>(1), "é");
        assert_eq!(row.get::<_, &[u8]>(2), bytes);
    }
    Ok(())
}

/// Queries polled together go out without waiting for each other.
async fn pipeline(client: &Client) -> Result<(), Error> {
    let statement = client.prepare("SELECT $1::int4").await?;
    let one = |number: i32| {
        let statement = &statement;
        async move {
            client
                .query_one(statement, &[&number])
                .await
                .map(|row| row.get::<_, i32>(0))
        }
    };
    let numbers = futures_util::future::try_join_all((0..200).map(one)).await?;
    assert!(numbers.into_iter().eq(0..200));
    Ok(())
}

async fn errors(client: &mut Client) -> Result<(), Error> {
    let table = [
        ("SELEC", SqlState::SYNTAX_ERROR),
        ("SELECT * FROM missing_table", SqlState::UNDEFINED_TABLE),
        ("SELECT 1/0", SqlState::DIVISION_BY_ZERO),
    ];
    for (query, state) in table {
        let simple = client.simple_query(query).await.expect_err(query);
        assert_eq!(simple.code(), Some(&state));
        let extended = client.query(query, &[]).await.expect_err(query);
        assert_eq!(extended.code(), Some(&state));
    }
    let transaction = client.transaction().await?;
    transaction
        .query("SELECT 1/0", &[])
        .await
        .expect_err("division by zero");
    let aborted = transaction
        .query("SELECT 1", &[])
        .await
        .expect_err("an aborted transaction");
    assert_eq!(aborted.code(), Some(&SqlState::IN_FAILED_SQL_TRANSACTION));
    transaction.rollback().await?;
    client.query_one("SELECT 1", &[]).await?;
    Ok(())
}

async fn copy(client: &Client) -> Result<(), Error> {
    client
        .batch_execute("CREATE TEMP TABLE copied (id int, name text)")
        .await?;
    let sink = client.copy_in("COPY copied FROM STDIN").await?;
    pin_mut!(sink);
    for number in 0..1000 {
        let line = format!("{number}\tname {number}\n");
        sink.send(std::io::Cursor::new(line.into_bytes())).await?;
    }
    assert_eq!(sink.finish().await?, 1000);
    let stream = client.copy_out("COPY copied TO STDOUT").await?;
    pin_mut!(stream);
    let mut lines = 0;
    while let Some(chunk) = stream.next().await {
        lines += chunk?.iter().filter(|&&byte| byte == b'\n').count();
    }
    assert_eq!(lines, 1000);
    Ok(())
}

/// A sink dropped before its end fails the copy; the connection stays usable.
async fn copy_failure(client: &Client) -> Result<(), Error> {
    {
        let sink = client.copy_in("COPY copied FROM STDIN").await?;
        pin_mut!(sink);
        sink.send(std::io::Cursor::new(b"1\tone\n".to_vec()))
            .await?;
    }
    let row = client.query_one("SELECT count(*) FROM copied", &[]).await?;
    assert_eq!(row.get::<_, i64>(0), 1000);
    Ok(())
}

async fn cancel(client: &Client, tls: &MakeTlsConnector) -> Result<(), Error> {
    let token = client.cancel_token();
    let sleep = client.batch_execute("SELECT pg_sleep(60)");
    let cancel = async {
        // A request that arrives before its query is lost, as in PostgreSQL: repeat it. Each takes a
        // handshake, and ends when it was carried out.
        loop {
            token.cancel_query(tls.clone()).await?;
        }
    };
    let outcome = tokio::select! {
        outcome = sleep => outcome,
        failure = cancel => { let failure: Result<(), Error> = failure; return failure; }
    };
    let error = outcome.expect_err("a cancelled query");
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
    settle(client).await
}

/// The last of the repeated requests may still be on their way, and a busy server may see several of them one after the
/// other: waits for a query that nothing hits.
async fn settle(client: &Client) -> Result<(), Error> {
    const REQUESTS_MAX: usize = 20;
    let mut outcome = Ok(());
    for _ in 0..REQUESTS_MAX {
        outcome = client.batch_execute("SELECT pg_sleep(0.3)").await;
        match &outcome {
            Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => {}
            _ => break,
        }
    }
    outcome
}

async fn big_rows(client: &Client) -> Result<(), Error> {
    let text = "x".repeat(BIG_BYTES);
    let row = client.query_one("SELECT $1::text", &[&text]).await?;
    assert_eq!(row.get::<_, &str>(0).len(), BIG_BYTES);
    let query = "SELECT repeat('y', 1000) FROM generate_series(1, 20000)";
    assert_eq!(client.query(query, &[]).await?.len(), 20_000);
    Ok(())
}

async fn notification(
    client: &Client,
    messages: &mut UnboundedReceiver<AsyncMessage>,
) -> Result<(), Error> {
    client
        .batch_execute("LISTEN tokio_channel; NOTIFY tokio_channel, 'hello'")
        .await?;
    while let Some(message) = messages.recv().await {
        if let AsyncMessage::Notification(heard) = message {
            assert_eq!(
                (heard.channel(), heard.payload()),
                ("tokio_channel", "hello")
            );
            return Ok(());
        }
    }
    panic!("the connection ended before its notification");
}
