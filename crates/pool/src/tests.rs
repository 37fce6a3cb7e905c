//! Each verb in a table of its own, and all of them in random order against what must always hold.

mod limits;
mod world;

use super::*;
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn bounds(connections_max: Option<usize>) -> Bounds {
    Bounds {
        connections_max,
        resting_max: 100,
        rest_max: Some(10 * SECOND),
        wait_max: SECOND,
    }
}

const HERE: Home = Home(0);
const THERE: Home = Home(1);

/// Somebody of the one group who wants this.
fn want(key: impl Into<Option<char>>) -> Wanted<char> {
    Wanted {
        key: key.into(),
        group: Group(0),
        group_max: None,
        role_max: None,
        home: HERE,
    }
}

/// A clean connection.
fn clean(key: char) -> Option<(char, Home)> {
    Some((key, HERE))
}

/// A pool's way to the counts that it shares with others.
#[derive(Debug, Clone, Default)]
struct Roll(Rc<RefCell<Roles>>, u64);

impl Census for Roll {
    fn enter(&self, group: Group, max: Option<usize>) -> bool {
        self.0.borrow_mut().enter(group, max, PoolId(self.1))
    }

    fn enter_ahead_of_need(&self, group: Group, max: Option<usize>) -> bool {
        self.0.borrow_mut().enter_ahead_of_need(group, max)
    }

    fn leave(&self, group: Group) {
        self.0.borrow_mut().leave(group);
    }

    fn is_pressed(&self, group: Group) -> bool {
        self.0.borrow().is_pressed(group, PoolId(self.1))
    }
}

fn pool(connections_max: Option<usize>) -> Pool<char, Roll> {
    Pool::new(bounds(connections_max), Roll::default())
}

#[track_caller]
fn dial(asked: Asked) -> Lease {
    match asked {
        Asked::Dial(lease) => lease,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn wait(asked: Asked) -> Ticket {
    match asked {
        Asked::Wait(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_a_limit_everybody_dials() {
    let mut pool = pool(None);
    let leases: Vec<_> = (0..100)
        .map(|_| dial(pool.ask(want('a'), SECOND)))
        .collect();
    assert_eq!(pool.lent(), 100);
    for lease in leases {
        assert_eq!(pool.give_back(lease, None, SECOND), Returned::Close);
    }
    assert_eq!((pool.lent(), pool.resting()), (0, 0));
}

#[test]
fn who_asks_for_the_same_gets_what_rested_least() {
    let mut pool = pool(None);
    let [one, two, other] = ['a', 'a', 'b'].map(|key| dial(pool.ask(want(key), SECOND)));
    let number = two.number();
    for (lease, key) in [(one, 'a'), (two, 'a'), (other, 'b')] {
        let kept = lease.number();
        let closed = Vec::new();
        let rest = Returned::Rest { kept, closed };
        assert_eq!(pool.give_back(lease, clean(key), SECOND), rest);
    }
    let Asked::Granted(lease) = pool.ask(want('a'), SECOND) else {
        panic!("nothing rested");
    };
    assert_eq!(lease.number(), number);
    // Who wants a new one gets a new one.
    let fresh = dial(pool.ask(want(None), SECOND));
    let unknown = dial(pool.ask(want('c'), SECOND));
    assert_eq!((pool.lent(), pool.resting()), (3, 2));
    for lease in [lease, fresh, unknown] {
        assert_eq!(pool.give_back(lease, None, SECOND), Returned::Close);
    }
}

#[test]
fn what_rests_makes_room_for_others() {
    let mut pool = pool(Some(1));
    let lease = dial(pool.ask(want('a'), SECOND));
    let number = lease.number();
    let _ = pool.give_back(lease, clean('a'), SECOND);
    let Asked::Replace(lease, gone) = pool.ask(want('b'), SECOND) else {
        panic!("no room was made");
    };
    assert_eq!((gone, pool.lent(), pool.resting()), (number, 1, 0));
    assert_eq!(pool.give_back(lease, None, SECOND), Returned::Close);
}

#[test]
fn waiters_are_called_in_order_and_the_limit_is_exact() {
    let mut pool = pool(Some(1));
    let lease = dial(pool.ask(want('a'), SECOND));
    let same = wait(pool.ask(want('a'), SECOND));
    let other = wait(pool.ask(want('b'), SECOND));
    let fresh = wait(pool.ask(want(None), SECOND));
    // Clean, and for the same: from hand to hand.
    let Returned::HandTo(called, lease) = pool.give_back(lease, clean('a'), SECOND) else {
        panic!("nobody was called");
    };
    assert_eq!((called, pool.lent()), (same, 1));
    // Clean, but for another: it has to dial.
    let Returned::CloseAndCall(called, lease) = pool.give_back(lease, clean('a'), SECOND) else {
        panic!("nobody was called");
    };
    assert_eq!(called, other);
    let Returned::CloseAndCall(called, lease) = pool.give_back(lease, None, SECOND) else {
        panic!("nobody was called");
    };
    assert_eq!(called, fresh);
    assert_eq!(pool.give_back(lease, None, SECOND), Returned::Close);
    assert_eq!((pool.lent(), pool.waiting()), (0, 0));
}

#[test]
fn rest_ends_by_time_and_by_number() {
    let mut pool = pool(None);
    let leases: Vec<_> = (0..3).map(|_| dial(pool.ask(want('a'), SECOND))).collect();
    let numbers: Vec<u64> = leases.iter().map(Lease::number).collect();
    for (lease, at) in leases.into_iter().zip(1..) {
        let _ = pool.give_back(lease, clean('a'), at * SECOND);
    }
    assert_eq!(pool.expire(10 * SECOND), []);
    assert_eq!(pool.expire(12 * SECOND), numbers[..2]);
    let few = Bounds {
        resting_max: 0,
        ..bounds(None)
    };
    pool.rebound(few);
    assert_eq!(pool.expire(12 * SECOND), numbers[2..]);
    // Where none may rest, each is closed.
    let lease = dial(pool.ask(want('a'), SECOND));
    assert_eq!(pool.give_back(lease, clean('a'), SECOND), Returned::Close);
}

#[test]
fn what_rests_at_home_is_taken_before_what_rests_elsewhere() {
    let mut pool = pool(None);
    let [near, far] = [(); 2].map(|()| dial(pool.ask(want('a'), SECOND)));
    let numbers = [near.number(), far.number()];
    let _ = pool.give_back(near, Some(('a', HERE)), SECOND);
    let _ = pool.give_back(far, Some(('a', THERE)), SECOND);
    for number in numbers {
        let Asked::Granted(lease) = pool.ask(want('a'), SECOND) else {
            panic!("nothing rested");
        };
        assert_eq!(lease.number(), number);
        let _ = pool.give_back(lease, None, SECOND);
    }
}

/// Who waits where the connection is saves its move, but nobody is passed for ever.
#[test]
fn a_neighbour_may_pass_a_few_times() {
    let mut pool = pool(Some(1));
    let mut lease = dial(pool.ask(want('a'), SECOND));
    let elsewhere = Wanted {
        home: THERE,
        ..want('a')
    };
    let first = wait(pool.ask(elsewhere, SECOND));
    let locals: Vec<_> = (0..10).map(|_| wait(pool.ask(want('a'), SECOND))).collect();
    let mut order = Vec::new();
    for _ in 0..11 {
        let Returned::HandTo(ticket, next) = pool.give_back(lease, clean('a'), SECOND) else {
            panic!("nobody was called");
        };
        order.push(ticket);
        lease = next;
    }
    let wanted = [&locals[..4], &[first], &locals[4..]].concat();
    assert_eq!(order, wanted);
    let _ = pool.give_back(lease, None, SECOND);
}

proptest! {
    /// Whoever asks on whichever worker in whatever order: each turn ahead of somebody is passed by at
    /// most four that came later, so the number of turns that one waits through is bounded when it comes.
    #[test]
    fn on_every_worker_a_wait_is_bounded_by_those_ahead(
        steps in prop::collection::vec((any::<bool>(), 0u16..4, 0u16..4), 1..300),
    ) {
        let mut pool = pool(Some(1));
        let mut lease = dial(pool.ask(want('a'), SECOND));
        let mut most_turns: BTreeMap<Ticket, usize> = BTreeMap::new();
        let mut turns = 0;
        for (asks, asker, holder) in steps {
            if asks || pool.waiting() == 0 {
                let ahead = pool.waiting();
                let wanted = Wanted { home: Home(asker), ..want('a') };
                let ticket = wait(pool.ask(wanted, SECOND));
                most_turns.insert(ticket, turns + (1 + 4) * (ahead + 1));
                continue;
            }
            turns += 1;
            let clean = Some(('a', Home(holder)));
            let Returned::HandTo(called, next) = pool.give_back(lease, clean, SECOND) else {
                panic!("nobody was called");
            };
            lease = next;
            let most = most_turns.remove(&called).expect("somebody who waits");
            prop_assert!(turns <= most, "called at turn {}, not by {}", turns, most);
            prop_assert!(most_turns.values().all(|most| turns < *most));
        }
        let _ = pool.give_back(lease, None, SECOND);
    }
}

#[test]
fn groups_have_limits_of_their_own() {
    let mut pool = pool(Some(3));
    let of = |group, key| Wanted {
        group: Group(group),
        group_max: Some(1),
        ..want(key)
    };
    let one = dial(pool.ask(of(1, 'a'), SECOND));
    let two = dial(pool.ask(of(2, 'a'), SECOND));
    // Its group is full: it waits, and stands in nobody else's way.
    let waits = wait(pool.ask(of(1, 'a'), SECOND));
    let three = dial(pool.ask(of(3, 'a'), SECOND));
    // What another group gives back is no use to it, whatever the key.
    let kept = two.number();
    let closed = Vec::new();
    let rest = Returned::Rest { kept, closed };
    assert_eq!(pool.give_back(two, clean('a'), SECOND), rest);
    // A full group makes room for another key of its own, and takes nothing from others.
    let other = wait(pool.ask(of(3, 'b'), SECOND));
    let Returned::CloseAndCall(called, lease) = pool.give_back(three, clean('a'), SECOND) else {
        panic!("nobody was called");
    };
    assert_eq!(called, other);
    let Returned::HandTo(called, one) = pool.give_back(one, clean('a'), SECOND) else {
        panic!("nobody was called");
    };
    assert_eq!(called, waits);
    for lease in [lease, one] {
        assert_eq!(pool.give_back(lease, None, SECOND), Returned::Close);
    }
    assert_eq!((pool.lent(), pool.resting(), pool.waiting()), (0, 1, 0));
}

#[test]
fn a_pool_without_a_leader_waits_beside_its_pause() {
    let mut pool = pool(Some(2));
    pool.lose_leader();
    let ticket = wait(pool.ask(want('a'), SECOND));
    assert_eq!(pool.hindrance(ticket), Some(Hindrance::Leaderless));
    pool.pause();
    assert_eq!(pool.hindrance(ticket), Some(Hindrance::Paused));
    pool.find_leader();
    assert_eq!(pool.serve(), None, "an administrator's pause is his to end");
    pool.lose_leader();
    pool.resume();
    assert_eq!(pool.serve(), None, "nor does he find a leader");
    assert!(!pool.lends() && !pool.is_paused());
    pool.find_leader();
    let Some(Served::Dial(served, lease)) = pool.serve() else {
        panic!("nobody was served");
    };
    assert_eq!(served, ticket);
    assert_eq!(pool.give_back(lease, None, SECOND), Returned::Close);
}

#[test]
fn a_paused_pool_lends_nothing_and_then_everything() {
    let mut pool = pool(Some(2));
    let held = dial(pool.ask(want('a'), SECOND));
    let number = held.number();
    pool.pause();
    assert!(pool.is_paused());
    let tickets: Vec<_> = (0..3).map(|_| wait(pool.ask(want('a'), SECOND))).collect();
    assert_eq!(pool.serve(), None);
    let closed = Vec::new();
    let kept = number;
    let rest = Returned::Rest { kept, closed };
    assert_eq!(pool.give_back(held, clean('a'), SECOND), rest);
    pool.resume();
    let Some(Served::Rested(first, one)) = pool.serve() else {
        panic!("nothing rested");
    };
    let Some(Served::Dial(second, two)) = pool.serve() else {
        panic!("no room");
    };
    assert_eq!((pool.serve(), one.number()), (None, number));
    assert_eq!([first, second], tickets[..2]);
    // A connection that can't be used while the pool is paused calls nobody.
    pool.pause();
    assert_eq!(pool.give_back(one, None, SECOND), Returned::Close);
    pool.resume();
    let Some(Served::Dial(third, three)) = pool.serve() else {
        panic!("no room");
    };
    assert_eq!(third, tickets[2]);
    for lease in [two, three] {
        let _ = pool.give_back(lease, None, SECOND);
    }
    assert_eq!((pool.lent(), pool.waiting()), (0, 0));
}

#[test]
fn who_waited_long_may_use_the_reserve() {
    let mut pool = pool(None);
    let one_of_one = Wanted {
        group_max: Some(1),
        ..want('a')
    };
    let first = dial(pool.ask(one_of_one, SECOND));
    let [second, third] = [(); 2].map(|()| wait(pool.ask(one_of_one, SECOND)));
    assert_eq!(pool.reserve(third, 0), None);
    let reserve = pool.reserve(third, 1).expect("a reserve");
    assert_eq!(pool.reserve(second, 1), None);
    // What the limit doesn't cover goes when nobody waits for it.
    let Returned::HandTo(called, lease) = pool.give_back(reserve, clean('a'), SECOND) else {
        panic!("nobody was called");
    };
    assert_eq!(called, second);
    let _ = pool.give_back(first, clean('a'), SECOND);
    let _ = pool.give_back(lease, clean('a'), SECOND);
    assert_eq!((pool.lent(), pool.waiting()), (0, 0));
}

#[test]
fn what_is_dead_is_forgotten_once() {
    let mut pool = pool(None);
    let lease = dial(pool.ask(want('a'), SECOND));
    let number = lease.number();
    let _ = pool.give_back(lease, clean('a'), SECOND);
    assert!(pool.forget(number));
    assert!(!pool.forget(number));
    assert_eq!((pool.lent(), pool.resting()), (0, 0));
    assert_eq!(pool.empty(), []);
}

#[test]
fn another_limit_calls_those_it_has_room_for() {
    let mut pool = pool(Some(1));
    let first = dial(pool.ask(want('a'), SECOND));
    let tickets: Vec<_> = (0..3).map(|_| wait(pool.ask(want('a'), SECOND))).collect();
    pool.rebound(bounds(Some(3)));
    let served = std::iter::from_fn(|| pool.serve());
    let called: Vec<_> = served
        .map(|served| match served {
            Served::Dial(ticket, lease) => (ticket, lease),
            other => panic!("{other:?}"),
        })
        .collect();
    let order: Vec<_> = called.iter().map(|(ticket, _)| *ticket).collect();
    assert_eq!(order, tickets[..2]);
    // A lower limit takes nothing away, and lets nothing rest beyond it.
    pool.rebound(bounds(Some(1)));
    assert_eq!(pool.serve(), None);
    for lease in [first].into_iter().chain(called.into_iter().map(|it| it.1)) {
        let _ = match pool.give_back(lease, clean('a'), SECOND) {
            Returned::HandTo(_, lease) | Returned::CloseAndCall(_, lease) => {
                pool.give_back(lease, None, SECOND)
            }
            other => other,
        };
    }
    assert_eq!(pool.lent(), 0);
    assert!(pool.resting() <= 1);
}

#[test]
fn a_wait_ends_by_time_or_by_cancel_and_never_twice() {
    let mut pool = pool(Some(0));
    let first = wait(pool.ask(want('a'), Duration::ZERO));
    let second = wait(pool.ask(want('a'), SECOND));
    let third = wait(pool.ask(want('a'), SECOND));
    assert!(pool.cancel(third));
    assert!(!pool.cancel(third));
    assert_eq!(pool.tick(SECOND / 2), []);
    assert_eq!(pool.tick(SECOND), [first]);
    assert_eq!(pool.tick(2 * SECOND), [second]);
    assert_eq!(pool.waiting(), 0);
}

proptest! {
    /// Whatever is asked and given back in whatever order: the limit holds, no connection has two
    /// holders, nobody gets one of another key, and nobody waits while there is room.
    #[test]
    fn what_always_holds(
        most in 1usize..5,
        resting_max in 0usize..4,
        steps in prop::collection::vec((0u8..4, 0usize..6, prop::char::range('a', 'c')), 1..200),
    ) {
        let limits = Bounds { connections_max: Some(most), resting_max, ..bounds(None) };
        let mut pool = Pool::new(limits, Roll::default());
        let mut held: Vec<(Lease, char)> = Vec::new();
        let mut resting: BTreeMap<u64, char> = BTreeMap::new();
        let mut waiting: BTreeMap<Ticket, char> = BTreeMap::new();
        let mut now = Duration::ZERO;
        for (what, which, key) in steps {
            now += SECOND / 4;
            match what {
                0 => match pool.ask(want(key), now) {
                    Asked::Granted(lease) => {
                        prop_assert_eq!(resting.remove(&lease.number()), Some(key));
                        held.push((lease, key));
                    }
                    Asked::Dial(lease) => held.push((lease, key)),
                    Asked::Replace(lease, gone) => {
                        prop_assert!(resting.remove(&gone).is_some());
                        held.push((lease, key));
                    }
                    Asked::Wait(ticket) => drop(waiting.insert(ticket, key)),
                },
                1 | 2 if !held.is_empty() => {
                    let (lease, key) = held.swap_remove(which % held.len());
                    let clean = (what == 1).then_some((key, HERE));
                    match pool.give_back(lease, clean, now) {
                        Returned::Rest { kept, closed } => {
                            resting.insert(kept, key);
                            for number in closed {
                                prop_assert!(resting.remove(&number).is_some());
                            }
                        }
                        Returned::HandTo(ticket, lease) => {
                            prop_assert_eq!(waiting.remove(&ticket), Some(key));
                            held.push((lease, key));
                        }
                        Returned::CloseAndCall(ticket, lease) => {
                            let theirs = waiting.remove(&ticket);
                            prop_assert!(theirs.is_some());
                            held.push((lease, theirs.unwrap_or(key)));
                        }
                        Returned::Close => {}
                    }
                }
                3 => {
                    for number in pool.expire(now) {
                        prop_assert!(resting.remove(&number).is_some());
                    }
                    for ticket in pool.tick(now) {
                        prop_assert!(waiting.remove(&ticket).is_some());
                    }
                }
                _ => {}
            }
            prop_assert!(held.len() + resting.len() <= most);
            prop_assert!(resting.len() <= resting_max);
            prop_assert_eq!(pool.lent(), held.len());
            prop_assert_eq!(pool.resting(), resting.len());
            prop_assert_eq!(pool.waiting(), waiting.len());
            prop_assert!(waiting.is_empty() || held.len() == most);
            let numbers = held.iter().map(|it| it.0.number()).chain(resting.keys().copied());
            let numbers: HashSet<u64> = numbers.collect();
            prop_assert_eq!(numbers.len(), held.len() + resting.len());
        }
    }
}
