//! Lanes of throttles: in order, within rates, bounded in number, and never forgiven.

#![allow(clippy::unwrap_used, reason = "what a test can't unwrap has failed it")]

use policy::throttle::{
    Entered, Excess, Lane, Lanes, Looked, Measure, Per, Rate, Rates, Throttle, Tried, Turn,
};
use proptest::prelude::*;
use std::sync::Arc;
use std::task::Waker;

const ONE: [u64; 5] = [1, 0, 0, 0, 0];
const SECOND: u64 = 1_000_000;

fn per_second(measure: Measure, per_s: u64) -> Rates {
    let mut rates = Rates::default();
    rates.per_s[measure as usize] = Some(Rate::new(per_s, 1));
    rates
}

fn throttle(rates: Rates, excess: Excess, keys_max: usize) -> Arc<Lanes> {
    Arc::new(Lanes::new(Throttle {
        rates,
        per: Per::default(),
        excess,
        keys_max,
    }))
}

const WAIT: Excess = Excess::Wait {
    queue_max: 2,
    wait_max_us: 5 * SECOND,
};

#[test]
fn first_come_first_served() {
    let rates = per_second(Measure::Statements, 1);
    let mut lane: Lane<&str> = Lane::new(&rates, 0);
    assert_eq!(lane.enter((&rates, 0), &ONE, (2, &"a")), Entered::Go);
    let Entered::Wait(b) = lane.enter((&rates, 0), &ONE, (2, &"b")) else {
        panic!("b waits");
    };
    let Entered::Wait(c) = lane.enter((&rates, 0), &ONE, (2, &"c")) else {
        panic!("c waits");
    };
    assert_eq!(lane.enter((&rates, 0), &ONE, (2, &"d")), Entered::Full);
    // There is a token, and c is still behind b; so is whoever comes now.
    assert_eq!(lane.look((&rates, SECOND), &ONE, (c, &"c")), Turn::Behind);
    assert_eq!(lane.enter((&rates, SECOND), &ONE, (2, &"e")), Entered::Full);
    assert_eq!(lane.first(), Some(&"b"));
    assert_eq!(
        lane.look((&rates, SECOND / 2), &ONE, (b, &"b")),
        Turn::At(SECOND)
    );
    assert_eq!(lane.look((&rates, SECOND), &ONE, (b, &"b")), Turn::Go);
    assert_eq!(lane.first(), Some(&"c"));
    // c leaves, and nobody is left.
    assert!(lane.leave(c) && !lane.leave(c));
    assert_eq!((lane.waiting(), lane.first()), (0, None));
}

#[test]
fn what_turns_out_later_is_paid_by_the_next() {
    let rates = per_second(Measure::Rows, 100);
    let lanes = throttle(rates, WAIT, 10);
    let waker = Waker::noop();
    let Tried::Go(pass) = lanes.enter(b"k", ONE, (0, waker)) else {
        panic!("the first goes");
    };
    pass.charge(Measure::Rows, 301, 0);
    pass.charge(Measure::BytesOut, 1 << 40, 0);
    drop(pass);
    let Tried::Wait(mut waiting) = lanes.enter(b"k", ONE, (0, waker)) else {
        panic!("the next waits");
    };
    assert!(matches!(waiting.look((0, waker)), Looked::Until(at) if at == 3 * SECOND));
    assert!(matches!(waiting.look((3 * SECOND, waker)), Looked::Go(_)));
    drop(waiting);
    assert_eq!(
        (lanes.waits(), lanes.waiting(), lanes.refusals()),
        (1, 0, 0)
    );
}

#[test]
fn places_at_once_are_given_back() {
    let rates = Rates {
        at_once: Some(1),
        ..Rates::default()
    };
    let lanes = throttle(rates, WAIT, 10);
    let waker = Waker::noop();
    let Tried::Go(pass) = lanes.enter(b"k", ONE, (0, waker)) else {
        panic!("the first goes");
    };
    let Tried::Wait(mut waiting) = lanes.enter(b"k", ONE, (0, waker)) else {
        panic!("the second waits");
    };
    assert!(matches!(
        lanes.enter(b"other", ONE, (0, waker)),
        Tried::Go(_)
    ));
    assert!(matches!(waiting.look((SECOND, waker)), Looked::Until(at) if at == 5 * SECOND));
    drop(pass);
    assert!(matches!(waiting.look((SECOND, waker)), Looked::Go(_)));
    // Nobody waits for good.
    let Tried::Go(_pass) = lanes.enter(b"k", ONE, (SECOND, waker)) else {
        panic!("it is free");
    };
    let Tried::Wait(mut late) = lanes.enter(b"k", ONE, (SECOND, waker)) else {
        panic!("it isn't");
    };
    assert!(matches!(late.look((6 * SECOND, waker)), Looked::Late));
    assert_eq!(lanes.refusals(), 1);
}

#[test]
fn many_keys_neither_grow_the_table_nor_forgive_a_debt() {
    let lanes = throttle(per_second(Measure::Statements, 1), Excess::Refuse, 20);
    let waker = Waker::noop();
    let goes = |key: &[u8], now_us| matches!(lanes.enter(key, ONE, (now_us, waker)), Tried::Go(_));
    assert!(goes(b"mine", 0) && !goes(b"mine", 0));
    // Nineteen more have an account of their own, the others one together.
    let passed = (0..1000u32).filter(|it| goes(&it.to_be_bytes(), 0)).count();
    assert_eq!((passed, lanes.keys()), (20, 20));
    assert!(!goes(b"mine", 0), "its debt is not forgotten");
    // When all is paid there is room again.
    let passed = (2000..2020u32)
        .filter(|it| goes(&it.to_be_bytes(), 2 * SECOND))
        .count();
    assert_eq!((passed, lanes.keys()), (20, 20));
}

proptest! {
    /// In any time no more goes than comes in then and was saved up before, whatever the order of arrivals.
    #[test]
    fn rates_hold_in_any_time(
        per_s in 1u64..50,
        steps in proptest::collection::vec(0u64..400_000, 1..200),
    ) {
        let lanes = throttle(per_second(Measure::Statements, per_s), Excess::Refuse, 10);
        let (mut now_us, mut went) = (0, Vec::new());
        for step in steps {
            now_us += step;
            if let Tried::Go(_) = lanes.enter(b"k", ONE, (now_us, Waker::noop())) {
                went.push(now_us);
            }
        }
        for (index, from) in went.iter().enumerate() {
            for (count, until) in went[index..].iter().enumerate() {
                let most = (until - from) * per_s / SECOND + 1;
                prop_assert!(count as u64 <= most, "{count} in {from}..{until}");
            }
        }
    }
}
