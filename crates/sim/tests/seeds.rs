//! A thousand worlds in which nothing may happen that must not, and, for each checker, worlds in which
//! something does.

use sim::{Mutation, run, run_all};

#[test]
fn a_thousand_seeds_show_no_violation() {
    let summary = run_all(0..1000).unwrap_or_else(|told| panic!("{told}"));
    // It would show nothing if nothing happened.
    assert!(
        summary.answered > 10_000 && summary.cancelled > 100,
        "{summary:?}"
    );
}

#[test]
fn a_seed_is_the_same_world_each_time() {
    for seed in 0..10 {
        assert_eq!(run(seed, None, false), run(seed, None, true));
    }
}

/// Seeds in which something that is done wrong must be seen.
const SEEDS: u64 = 60;

#[test]
fn whatever_is_done_wrong_is_seen() {
    for mutation in Mutation::ALL {
        let seen = |seed: &u64| {
            std::panic::catch_unwind(|| run(*seed, Some(mutation), false))
                .map_or(true, |it| it.is_err())
        };
        assert!(
            (0..SEEDS).any(|seed| seen(&seed)),
            "{mutation:?} goes unnoticed"
        );
    }
}
