//! What the workers see of the exchange: turns, hand-overs, reloads, and that nothing stays behind.

use super::*;
use crate::rest::Key;
use crate::setup::{Login, Pools};
use pool::{Group, Home, Wanted};
use session::fault::Fault;

const LONG: Duration = Duration::from_secs(60);
const KEY: Key = Key::of_bytes([1; 32]);
const OTHER: Key = Key::of_bytes([2; 32]);

fn database(name: &str, connections_max: usize) -> Database {
    Database {
        name: Some(name.to_owned()),
        dbname: None,
        servers: Servers::Listed(Vec::new()),
        login: Login::AsClient,
        connections_max: Some(connections_max),
        rest: RestRules {
            resting_max: 10,
            rest_max: Some(LONG),
            lifetime: LONG,
            check_after: LONG,
        },
        pools: Pools::default(),
        mirror: None,
        connect_timeout: LONG,
        login_retry: LONG,
        clients_max: None,
        tcp: Arc::default(),
        fingerprint: [1; 32],
    }
}

fn want(key: impl Into<Option<Key>>) -> Wanted<Key> {
    Wanted {
        key: key.into(),
        group: Group(0),
        group_max: None,
        role_max: None,
        home: Home(0),
    }
}

const HERE: (Key, Home) = (KEY, Home(0));

impl Exchange<u32> {
    async fn lease(
        &self,
        database: &Database,
        key: Option<Key>,
        patience: Duration,
    ) -> Result<Lent<u32>, Fault> {
        self.place(database, patience)
            .lease(want(key), patience)
            .await
    }
}

/// A lease without a connection that rested.
async fn fresh(exchange: &Exchange<u32>, database: &Database) -> Leased<u32> {
    match exchange.lease(database, Some(KEY), LONG).await {
        Ok(Lent::Fresh(leased)) => leased,
        Ok(Lent::Rested(..)) => panic!("one rested"),
        Err(fault) => panic!("{fault}"),
    }
}

fn counts(exchange: &Exchange<u32>, name: &str) -> Option<(usize, usize)> {
    let pools = exchange.lock();
    let shared = pools
        .get(&Of {
            database: Some(name.to_owned()),
            standby: None,
        })?
        .lock();
    assert!(shared.waiters.len() >= shared.pool.waiting());
    Some((shared.pool.lent(), shared.pool.waiting()))
}

/// A client of another worker that waits for a lease and then holds it.
async fn waiter(
    exchange: &Arc<Exchange<u32>>,
    database: Database,
) -> tokio::task::JoinHandle<Leased<u32>> {
    let name = database.name.clone().unwrap_or_default();
    let before = counts(exchange, &name).map_or(0, |(_, waiting)| waiting);
    let shared = Arc::clone(exchange);
    let task = tokio::spawn(async move {
        match shared.lease(&database, None, LONG).await {
            Ok(Lent::Fresh(leased) | Lent::Rested(leased, _)) => leased,
            Err(fault) => panic!("{fault}"),
        }
    });
    while counts(exchange, &name).map_or(0, |(_, waiting)| waiting) == before {
        tokio::task::yield_now().await;
    }
    task
}

#[tokio::test]
async fn a_lease_goes_to_the_one_that_waits() {
    let exchange = Arc::new(Exchange::default());
    let first = fresh(&exchange, &database("a", 1)).await;
    let waiter = waiter(&exchange, database("a", 1)).await;
    drop(first);
    drop(waiter.await.unwrap());
    assert_eq!(counts(&exchange, "a"), Some((0, 0)));
}

#[tokio::test]
async fn waits_end_and_leave_nothing_behind() {
    let exchange = Exchange::default();
    let only = database("a", 1);
    let held = exchange.lease(&only, None, LONG).await.ok();
    let late = exchange.lease(&only, None, Duration::from_millis(1)).await;
    let late = late.err().unwrap();
    assert!(late.to_string().contains("query_wait_timeout"), "{late}");
    assert_eq!(counts(&exchange, "a"), Some((1, 0)));
    // A waiter that goes away by itself.
    let future = exchange.lease(&only, None, LONG);
    assert!(tokio::time::timeout(Duration::ZERO, future).await.is_err());
    drop(held);
    assert_eq!(counts(&exchange, "a"), Some((0, 0)));
    assert!(exchange.place(&only, LONG).lock().waiters.is_empty());
}

#[tokio::test]
async fn a_reload_changes_limits_and_counts_what_is_lent() {
    let exchange = Arc::new(Exchange::default());
    let first = fresh(&exchange, &database("a", 1)).await;
    let second = waiter(&exchange, database("a", 1)).await;
    exchange.rebound(&[database("a", 2)], LONG);
    let second = second.await.unwrap();
    assert_eq!(counts(&exchange, "a"), Some((2, 0)));
    // Taken out of the configuration, then back, with both connections still there.
    exchange.rebound(&[], LONG);
    exchange.rebound(&[database("a", 2)], LONG);
    let third = waiter(&exchange, database("a", 2)).await;
    drop(first);
    drop(third.await.unwrap());
    drop(second);
    assert_eq!(counts(&exchange, "a"), Some((0, 0)));
    exchange.rebound(&[database("b", 1)], LONG);
    assert_eq!(counts(&exchange, "a"), None);
}

#[tokio::test]
async fn what_rests_goes_to_the_next_with_the_same_key() {
    let exchange = Exchange::default();
    let only = database("a", 2);
    assert_eq!(
        fresh(&exchange, &only).await.keep(HERE, 7, Instant::now()),
        []
    );
    assert_eq!(exchange.counts(), (1, 0));
    let Ok(Lent::Fresh(other)) = exchange.lease(&only, Some(OTHER), LONG).await else {
        panic!("somebody else's");
    };
    let Ok(Lent::Rested(leased, 7)) = exchange.lease(&only, Some(KEY), LONG).await else {
        panic!("nothing rested");
    };
    assert_eq!(exchange.counts(), (0, 2));
    drop(leased);
    assert_eq!(other.keep((OTHER, Home(0)), 8, Instant::now()), []);
    assert_eq!(
        exchange.expire(|it| match *it {
            8 => Fate::IsGone,
            _ => Fate::Rests,
        }),
        [8]
    );
    assert_eq!(exchange.counts(), (0, 0));
}

#[tokio::test]
async fn it_goes_from_hand_to_hand_to_one_that_waits() {
    let exchange = Arc::new(Exchange::default());
    let only = database("a", 1);
    let first = fresh(&exchange, &only).await;
    let shared = Arc::clone(&exchange);
    let waiter = tokio::spawn(async move {
        let lent = shared.lease(&database("a", 1), Some(KEY), LONG).await;
        matches!(lent, Ok(Lent::Rested(_, 7)))
    });
    while counts(&exchange, "a") != Some((1, 1)) {
        tokio::task::yield_now().await;
    }
    assert_eq!(first.keep(HERE, 7, Instant::now()), []);
    assert!(waiter.await.unwrap());
    assert_eq!(exchange.counts(), (0, 0));
}

#[tokio::test]
async fn nothing_of_the_setup_before_is_lent_again() {
    let exchange = Exchange::default();
    let only = database("a", 3);
    let held = fresh(&exchange, &only).await;
    assert_eq!(
        fresh(&exchange, &only).await.keep(HERE, 7, Instant::now()),
        []
    );
    let other = Database {
        fingerprint: [2; 32],
        ..database("a", 3)
    };
    assert_eq!(exchange.rebound(&[other], LONG), [7]);
    assert_eq!(held.keep(HERE, 8, Instant::now()), [8]);
    assert_eq!(exchange.counts(), (0, 0));
}
#[tokio::test]
async fn a_reload_that_changes_nothing_here_leaves_connections_alone() {
    let exchange = Exchange::default();
    let only = database("a", 3);
    let held = fresh(&exchange, &only).await;
    assert_eq!(
        fresh(&exchange, &only).await.keep(HERE, 7, Instant::now()),
        []
    );
    assert_eq!(exchange.rebound(&[database("a", 4)], LONG), []);
    assert_eq!(held.keep(HERE, 8, Instant::now()), []);
    assert_eq!(exchange.counts(), (2, 0));
    // What is gone from the setup is closed.
    let mut closed = exchange.rebound(&[], LONG);
    closed.sort_unstable();
    assert_eq!(closed, [7, 8]);
}

/// Pools of standbys that left their cluster don't pile up; one that is in use stays until it is not.
#[tokio::test]
async fn pools_of_hosts_that_left_go() {
    let exchange = Exchange::default();
    let only = database("a", 3);
    let busy = Arc::<AtomicUsize>::default();
    let [left, stays] = ["left", "stays"].map(|host| cluster::Key::new(host, 5432));
    let leased = |host: &cluster::Key, key| {
        let place = exchange.place_at(&only, (host, &busy), LONG);
        match place.ask(want(key), Instant::now()) {
            Ok(Lent::Fresh(leased)) => leased,
            _ => panic!("nothing to connect with"),
        }
    };
    assert_eq!(leased(&left, KEY).keep(HERE, 7, Instant::now()), []);
    assert_eq!(leased(&stays, KEY).keep(HERE, 8, Instant::now()), []);
    let held = leased(&stays, OTHER);
    assert_eq!(busy.load(Ordering::Relaxed), 1);
    let is_left =
        |name: &Option<String>, key: &cluster::Key| name.as_deref() == Some("a") && *key == left;
    assert_eq!(exchange.leave(is_left), [7]);
    assert_eq!(exchange.places().len(), 1);
    // Now that one leaves, too, with a connection lent.
    assert_eq!(exchange.leave(|_, _| true), [8]);
    assert_eq!(exchange.places().len(), 1);
    drop(held);
    assert_eq!(exchange.leave(|_, _| true), []);
    assert_eq!(exchange.places().len(), 0);
    assert_eq!(busy.load(Ordering::Relaxed), 0);
}
