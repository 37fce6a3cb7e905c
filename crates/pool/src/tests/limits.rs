//! Guarantees, what is kept ready, and limits over several pools.

use super::*;
use std::collections::HashMap;

fn of(group: u64, key: char) -> Wanted<char> {
    Wanted {
        group: Group(group),
        ..want(key)
    }
}

/// Two pools that count roles together.
fn two(roles: &Roll) -> [Pool<char, Roll>; 2] {
    [0, 1].map(|at| Pool::new(bounds(None), Roll(Rc::clone(&roles.0), at)))
}

fn close(pool: &mut Pool<char, Roll>, leases: impl IntoIterator<Item = Lease>) {
    for lease in leases {
        assert_eq!(pool.give_back(lease, None, SECOND), Returned::Close);
    }
}

#[test]
fn what_is_guaranteed_to_one_group_is_not_lent_to_another() {
    let mut pool = pool(Some(3));
    pool.attend(Group(2), 2);
    pool.attend(Group(2), 1);
    let first = dial(pool.ask(of(1, 'a'), SECOND));
    let waits = wait(pool.ask(of(1, 'a'), SECOND));
    assert_eq!(pool.hindrance(waits), Some(Hindrance::Guarantees));
    let own: Vec<_> = (0..2).map(|_| dial(pool.ask(of(2, 'a'), SECOND))).collect();
    let beyond = wait(pool.ask(of(2, 'a'), SECOND));
    assert_eq!(pool.hindrance(beyond), Some(Hindrance::Guarantees));
    assert!(pool.cancel(beyond));
    // What comes back is still that group's, and so is its room.
    let [one, two] = <[Lease; 2]>::try_from(own).unwrap();
    assert_eq!(pool.give_back(one, None, SECOND), Returned::Close);
    assert_eq!(pool.serve(), None);
    // With its client that has two of them, one of the two is for everybody.
    pool.depart(Group(2), 2);
    let Some(Served::Dial(called, other)) = pool.serve() else {
        panic!("the room is still kept");
    };
    assert_eq!((called, pool.serve()), (waits, None));
    close(&mut pool, [first, two, other]);
}

#[test]
fn a_guarantee_takes_the_next_that_comes_back_and_no_other_guarantee() {
    let mut pool = pool(Some(2));
    let held = [(); 2].map(|()| dial(pool.ask(of(1, 'a'), SECOND)));
    let older = wait(pool.ask(of(1, 'a'), SECOND));
    pool.attend(Group(1), 1);
    pool.attend(Group(2), 1);
    let entitled = wait(pool.ask(of(2, 'b'), SECOND));
    let [first, second] = held;
    let Returned::CloseAndCall(called, lease) = pool.give_back(first, clean('a'), SECOND) else {
        panic!("it went to the group that has its share");
    };
    assert_eq!(called, entitled);
    // The group that is left with one keeps that one.
    let further = wait(pool.ask(of(2, 'b'), SECOND));
    let Returned::HandTo(called, second) = pool.give_back(second, clean('a'), SECOND) else {
        panic!("it was taken from its own");
    };
    assert_eq!(called, older);
    assert!(pool.cancel(further));
    let rest = pool.give_back(second, clean('a'), SECOND);
    assert!(matches!(rest, Returned::Rest { .. }), "{rest:?}");
    // Resting or not: it makes no room for others.
    let further = wait(pool.ask(of(2, 'b'), SECOND));
    assert!(pool.cancel(further));
    close(&mut pool, [lease]);
}

#[test]
fn what_is_kept_ready_outlives_rest_and_makes_room() {
    let mut pool = Pool::new(
        Bounds {
            resting_max: 0,
            ..bounds(Some(3))
        },
        Roll::default(),
    );
    pool.keep_ready(HashMap::from([(Group(1), 2)]));
    let ready = of(1, 'a');
    let leases: Vec<_> = std::iter::from_fn(|| pool.prepare(&ready, 2)).collect();
    assert_eq!(leases.len(), 2);
    for lease in leases {
        let rest = pool.give_back(lease, clean('a'), SECOND);
        assert!(matches!(rest, Returned::Rest { ref closed, .. } if closed.is_empty()));
    }
    assert_eq!(pool.expire(1000 * SECOND), []);
    // A third is beyond what is kept.
    let [one, two, three] = [(); 3].map(|()| match pool.ask(of(1, 'a'), SECOND) {
        Asked::Granted(lease) | Asked::Dial(lease) => lease,
        other => panic!("{other:?}"),
    });
    assert_eq!(pool.give_back(one, clean('a'), SECOND), Returned::Close);
    for lease in [two, three] {
        let rest = pool.give_back(lease, clean('a'), SECOND);
        assert!(matches!(rest, Returned::Rest { .. }), "{rest:?}");
    }
    // Somebody who is there goes before somebody who may come.
    let held = [(); 2].map(|()| match pool.ask(of(2, 'b'), SECOND) {
        Asked::Dial(lease) | Asked::Replace(lease, _) => lease,
        other => panic!("{other:?}"),
    });
    assert_eq!(
        (pool.existing(Group(1)), pool.prepare(&ready, 2)),
        (1, None)
    );
    close(&mut pool, held);
    pool.pause();
    assert_eq!(pool.prepare(&ready, 2), None);
}

#[test]
fn a_role_has_one_limit_in_all_pools_and_each_pool_its_turn() {
    let [mut here, mut there] = two(&Roll::default());
    let limited = Wanted {
        role_max: Some(1),
        ..of(1, 'a')
    };
    let mut lease = dial(here.ask(limited, SECOND));
    let waits = wait(there.ask(limited, SECOND));
    assert_eq!(there.hindrance(waits), Some(Hindrance::Role));
    assert!(there.is_held_up(Group(1)));
    // Another role has nothing to do with it.
    let other = dial(there.ask(of(2, 'a'), SECOND));
    let locals: Vec<_> = (0..20).map(|_| wait(here.ask(limited, SECOND))).collect();
    for local in &locals[..8] {
        let Returned::HandTo(called, next) = here.give_back(lease, clean('a'), SECOND) else {
            panic!("nobody was called");
        };
        assert_eq!(called, *local);
        lease = next;
    }
    assert_eq!(here.give_back(lease, clean('a'), SECOND), Returned::Close);
    // It is the other pool's turn, whoever looks first.
    assert_eq!(here.serve(), None);
    let Some(Served::Dial(called, lease)) = there.serve() else {
        panic!("its turn did not come");
    };
    assert_eq!(called, waits);
    close(&mut there, [lease, other]);
    let Some(Served::Dial(called, lease)) = here.serve() else {
        panic!("its turn did not come");
    };
    assert_eq!((called, here.serve()), (locals[8], None));
    assert_eq!(
        here.give_back(lease, None, SECOND).called(),
        Some(locals[9])
    );
}

impl Returned {
    fn called(self) -> Option<Ticket> {
        match self {
            Returned::HandTo(ticket, _) | Returned::CloseAndCall(ticket, _) => Some(ticket),
            Returned::Rest { .. } | Returned::Close => None,
        }
    }
}

#[test]
fn a_change_within_a_role_needs_no_turn() {
    let roles = Roll::default();
    let [mut here, mut there] = two(&roles);
    let limited = |key| Wanted {
        role_max: Some(1),
        ..of(1, key)
    };
    let lease = dial(here.ask(limited('a'), SECOND));
    let number = lease.number();
    let _ = here.give_back(lease, clean('a'), SECOND);
    let Asked::Replace(lease, gone) = here.ask(limited('b'), SECOND) else {
        panic!("no room was made");
    };
    assert_eq!(gone, number);
    let _ = here.give_back(lease, clean('b'), SECOND);
    // Another pool gets what rests in this one once it is asked to yield.
    let _ = wait(there.ask(limited('b'), SECOND));
    assert!(here.yield_one(Group(1)).is_some());
    assert_eq!(here.yield_one(Group(1)), None);
    let Some(Served::Dial(_, lease)) = there.serve() else {
        panic!("no room");
    };
    close(&mut there, [lease]);
    // Ahead of need nobody stands in line.
    let lease = dial(there.ask(limited('b'), SECOND));
    assert_eq!(here.prepare(&limited('a'), 1), None);
    assert_eq!(roles.0.borrow().standing(), 0);
    close(&mut there, [lease]);
}
