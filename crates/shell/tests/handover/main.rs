//! Every order in which workers can meet at the exchange, as far as its locks and numbers let them: a connection
//! that comes back while the one who waits for it gives up, takes from the reserve, or is of another pool.
//! Nothing is lost, nothing is had twice, nobody is left waiting for what is there.

#![allow(
    dead_code,
    reason = "the exchange's files are taken as they are, with more than is tried here"
)]

mod exchange;

mod rest {
    //! What connections must have in common.
    pub type Key = char;
}

mod trouble {
    //! Servers are always there.
    pub struct Trouble;
}

use exchange::sync::{Arc, AtomicUsize, Ordering};
use exchange::{Hall, Leased, Lent, Place, Turn, left, pool_of};
use loom::thread;
use pool::{Group, Home, Wanted};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// A connection, counted while it lives.
pub struct Connection(Arc<AtomicUsize>);

impl Connection {
    fn new(living: &Arc<AtomicUsize>) -> Connection {
        living.fetch_add(1, Ordering::SeqCst);
        Connection(Arc::clone(living))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

const HERE: (char, Home) = ('a', Home(0));

fn want() -> Wanted<char> {
    Wanted {
        key: Some('a'),
        group: Group(0),
        group_max: None,
        role_max: None,
        home: Home(0),
    }
}

/// One connection of the role in all pools.
fn limited() -> Wanted<char> {
    Wanted {
        role_max: Some(1),
        ..want()
    }
}

fn get(place: &Arc<Place<Connection>>, wanted: Wanted<char>) -> Leased<Connection> {
    match place.ask(wanted, Instant::now()) {
        Ok(Lent::Fresh(leased)) => leased,
        Ok(Lent::Rested(..)) | Err(_) => panic!("nothing was lent before"),
    }
}

fn wait(place: &Arc<Place<Connection>>, wanted: Wanted<char>) -> Turn<Connection> {
    match place.ask(wanted, Instant::now()) {
        Ok(_) => panic!("it is lent"),
        Err(turn) => turn,
    }
}

fn poll(turn: &mut Turn<Connection>) -> Option<Lent<Connection>> {
    match turn.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(lent) => Some(lent),
        Poll::Pending => None,
    }
}

/// Uses what was lent, and gives it back.
fn give_back(lent: Lent<Connection>, living: &Arc<AtomicUsize>) {
    match lent {
        Lent::Rested(leased, connection) => drop(leased.keep(HERE, connection, Instant::now())),
        Lent::Fresh(leased) => drop(leased.keep(HERE, Connection::new(living), Instant::now())),
    }
}

fn check(test: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(test);
}

fn start() -> (Arc<Hall<Connection>>, Arc<AtomicUsize>) {
    (Arc::default(), Arc::new(AtomicUsize::new(0)))
}

#[test]
fn a_lease_that_is_given_while_its_waiter_gives_up_is_neither_lost_nor_doubled() {
    check(|| {
        let (hall, living) = start();
        let place = pool_of(&hall, 1);
        let leased = get(&place, want());
        let mut turn = wait(&place, want());
        let connection = Connection::new(&living);
        let giver = thread::spawn(move || drop(leased.keep(HERE, connection, Instant::now())));
        match poll(&mut turn) {
            Some(lent) => give_back(lent, &living),
            None => drop(turn),
        }
        giver.join().unwrap();
        // The connection rests, whoever was first.
        assert_eq!(left(&place), [0, 1, 0, 0]);
        assert_eq!(living.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn who_waits_behind_one_that_gives_up_is_served() {
    check(|| {
        let (hall, living) = start();
        let place = pool_of(&hall, 1);
        let leased = get(&place, want());
        let gives_up = wait(&place, want());
        let mut waits = wait(&place, want());
        let connection = Connection::new(&living);
        let giver = thread::spawn(move || drop(leased.keep(HERE, connection, Instant::now())));
        drop(gives_up);
        giver.join().unwrap();
        assert_eq!(left(&place), [1, 0, 0, 0]);
        let lent = poll(&mut waits).expect("its turn");
        assert!(matches!(lent, Lent::Rested(..)));
        give_back(lent, &living);
        assert_eq!(left(&place), [0, 1, 0, 0]);
        assert_eq!(living.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn the_reserve_and_a_turn_are_not_had_both() {
    check(|| {
        let (hall, living) = start();
        let place = pool_of(&hall, 2);
        let one = Wanted {
            group_max: Some(1),
            ..want()
        };
        let leased = get(&place, one);
        let mut turn = wait(&place, one);
        let connection = Connection::new(&living);
        let giver = thread::spawn(move || drop(leased.keep(HERE, connection, Instant::now())));
        let reserve = turn.reserve(1);
        let lent = match (reserve, poll(&mut turn)) {
            (Some(leased), None) => Some(Lent::Fresh(leased)),
            (None, lent) => lent,
            (Some(_), Some(_)) => panic!("both"),
        };
        lent.into_iter().for_each(|lent| give_back(lent, &living));
        drop(turn);
        giver.join().unwrap();
        let [lent, resting, waiting, calls] = left(&place);
        assert_eq!([lent, waiting, calls], [0; 3]);
        assert_eq!(living.load(Ordering::SeqCst), resting);
    });
}

#[test]
fn a_role_of_two_pools_has_one_connection_and_each_pool_its_turn() {
    check(|| {
        let (hall, living) = start();
        let (here, there) = (pool_of(&hall, 2), pool_of(&hall, 2));
        let leased = get(&here, limited());
        let mut turns = vec![wait(&there, limited())];
        let connection = Connection::new(&living);
        let giver = thread::spawn(move || drop(leased.keep(HERE, connection, Instant::now())));
        // Meanwhile somebody asks where the connection is.
        let mut served = Vec::new();
        match here.ask(limited(), Instant::now()) {
            Ok(lent) => served.push(lent),
            Err(turn) => turns.push(turn),
        }
        giver.join().unwrap();
        for _ in 0..2 {
            turns.retain_mut(|turn| match poll(turn) {
                Some(lent) => {
                    served.push(lent);
                    false
                }
                None => true,
            });
            assert_eq!(served.len(), 1, "the role has one connection");
            served.drain(..).for_each(|lent| give_back(lent, &living));
        }
        assert!(turns.is_empty());
        let [lent, resting, waiting, calls] = left(&here);
        let there = left(&there);
        assert_eq!([lent, waiting, calls], [0; 3]);
        assert_eq!([there[0], there[2], there[3]], [0; 3]);
        assert_eq!(living.load(Ordering::SeqCst), resting + there[1]);
        assert!(resting + there[1] <= 1);
    });
}

#[test]
fn a_place_in_line_that_is_given_up_keeps_nobody_waiting() {
    check(|| {
        let (hall, living) = start();
        let (here, there, third) = (pool_of(&hall, 2), pool_of(&hall, 2), pool_of(&hall, 2));
        let leased = get(&here, limited());
        let gives_up = wait(&there, limited());
        let mut waits = wait(&third, limited());
        let giver = thread::spawn(move || drop(leased));
        drop(gives_up);
        giver.join().unwrap();
        let lent = poll(&mut waits).expect("its turn");
        give_back(lent, &living);
        assert_eq!(left(&third), [0, 1, 0, 0]);
        assert_eq!([left(&here), left(&there)], [[0; 4]; 2]);
    });
}
