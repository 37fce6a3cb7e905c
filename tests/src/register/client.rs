//! One client: writes in three ways and reads, by turns, and logs in again when its connection is lost.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use postgres_openssl::MakeTlsConnector;
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio_postgres::{Client, Error, Row};

use super::history::{Act, Deed, Outcome};
use super::{Book, Complaint, Crowd, PATIENCE, SHARED_BY, lock};
use crate::drivers::{Endpoint, tokio_connect, tokio_tls};

/// How long a client thinks: as many as there are should not be held up by each other.
const THINKS: Duration = Duration::from_millis(5);

/// In one statement, so that both are done or none.
const BOTH: &str = "WITH added AS (INSERT INTO register VALUES ($1, $2)) \
    UPDATE counters SET value = value + 1 WHERE client = $3 RETURNING value, current_setting('port')";
const ADD: &str = "INSERT INTO register VALUES ($1, $2)";
const COUNT: &str = "UPDATE counters SET value = value + 1 WHERE client = $1 \
    RETURNING value, current_setting('port')";
const READ: &str = "SELECT value, current_setting('port') FROM counters WHERE client = $1";

/// Runs all clients until it is over; gives how many idle ones were not served at the end.
pub(super) fn run(
    endpoint: &Endpoint,
    crowd: Crowd,
    began: Instant,
    book: &Arc<Mutex<Book>>,
    over: &watch::Receiver<bool>,
) -> usize {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let tls = tokio_tls(endpoint);
    let at_work = (0..crowd.clients).map(|number| {
        let worker = Worker {
            endpoint,
            tls: &tls,
            number,
            began,
            book,
        };
        worker.work(over.clone())
    });
    let idle = (0..crowd.idle).map(|_| idle(endpoint, &tls, book, over.clone()));
    let all = async { tokio::join!(join_all(at_work), join_all(idle)).1 };
    let mut over = over.clone();
    let served = runtime.block_on(async {
        let mut all = pin!(all);
        tokio::select! {
            served = &mut all => return served,
            _ = over.wait_for(|over| *over) => {}
        }
        let served = tokio::time::timeout(PATIENCE, all).await;
        served.expect("clients to be answered")
    });
    served.iter().filter(|it| !**it).count()
}

/// Logs in, asks, and asks again when all is over; gives whether it was served both times.
async fn idle(
    endpoint: &Endpoint,
    tls: &MakeTlsConnector,
    book: &Mutex<Book>,
    mut over: watch::Receiver<bool>,
) -> bool {
    let Ok((client, _messages)) = tokio_connect(endpoint, tls).await else {
        return false;
    };
    let first = client.simple_query("SELECT 1").await;
    lock(book).idle += 1;
    let _ = over.wait_for(|over| *over).await;
    first.is_ok() && client.simple_query("SELECT 1").await.is_ok()
}

struct Worker<'a> {
    endpoint: &'a Endpoint,
    tls: &'a MakeTlsConnector,
    number: usize,
    began: Instant,
    book: &'a Mutex<Book>,
}

impl Worker<'_> {
    async fn work(self, mut over: watch::Receiver<bool>) {
        let mut client: Option<Client> = None;
        let mut number = 0;
        for turn in 0_u64.. {
            if let Ok(Ok(_)) = tokio::time::timeout(THINKS, over.wait_for(|over| *over)).await {
                return;
            }
            let connected = match client.take() {
                Some(client) => client,
                None => match tokio_connect(self.endpoint, self.tls).await {
                    Ok((client, _messages)) => client,
                    Err(error) => {
                        self.complain(&error);
                        continue;
                    }
                },
            };
            let act = match turn % 4 {
                3 => Act::Read,
                _ => {
                    number += 1;
                    Act::Write(number)
                }
            };
            if self.perform(&connected, act, turn).await {
                client = Some(connected);
            }
        }
    }

    /// One deed, which is written down; gives whether the connection is still good.
    async fn perform(&self, client: &Client, act: Act, turn: u64) -> bool {
        let began = self.began.elapsed();
        let answer = match (act, turn % 4) {
            (Act::Read, _) => self.read(client).await,
            (Act::Write(number), 1) => self.in_transaction(client, number).await,
            (Act::Write(number), _) => self.at_once(client, number).await,
        };
        let ended = self.began.elapsed();
        let outcome = match &answer {
            Ok(row) => Outcome::Answered {
                value: u64::try_from(row.get::<_, i32>(0)).expect("a count"),
                port: row.get::<_, &str>(1).parse().expect("a port"),
            },
            Err(_) => Outcome::Unknown,
        };
        let deed = Deed {
            client: self.number,
            counter: self.counter(),
            act,
            began,
            ended,
            outcome,
        };
        if let Err(error) = &answer {
            self.complain(error);
        }
        let mut book = lock(self.book);
        book.deeds.push(deed);
        if act != Act::Read && answer.is_ok() {
            *book.written.entry(self.number).or_default() += 1;
        }
        answer.is_ok()
    }

    async fn at_once(&self, client: &Client, number: u64) -> Result<Row, Error> {
        let (own, counter) = (self.own(), self.counter() as i32);
        let number = number as i32;
        client.query_one(BOTH, &[&own, &number, &counter]).await
    }

    async fn in_transaction(&self, client: &Client, number: u64) -> Result<Row, Error> {
        let (own, counter) = (self.own(), self.counter() as i32);
        let number = number as i32;
        client.batch_execute("BEGIN").await?;
        client.execute(ADD, &[&own, &number]).await?;
        let row = client.query_one(COUNT, &[&counter]).await?;
        client.batch_execute("COMMIT").await?;
        Ok(row)
    }

    async fn read(&self, client: &Client) -> Result<Row, Error> {
        client.query_one(READ, &[&(self.counter() as i32)]).await
    }

    fn own(&self) -> i32 {
        self.number as i32
    }

    fn counter(&self) -> usize {
        self.number / SHARED_BY
    }

    fn complain(&self, error: &Error) {
        lock(self.book).errors.push(Complaint {
            client: self.number,
            sqlstate: error
                .code()
                .map_or_else(String::new, |it| it.code().to_owned()),
            text: format!("{error:?}"),
        });
    }
}
