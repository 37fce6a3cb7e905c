//! A thousand worlds in which nothing may happen that must not, and, for each thing that can be done wrong on
//! purpose, worlds in which a checker sees it.

use sim::{Mutation, run, run_all};

#[test]
fn a_thousand_seeds_show_no_violation() {
    let summary = run_all(0..1000).unwrap_or_else(|told| panic!("{told}"));
    // It would show nothing if nothing happened.
    assert!(summary.answered > 10_000, "{summary:?}");
    assert!(summary.cancelled > 100, "{summary:?}");
}

/// What they found: a client that lost its unnamed statement to a question of ours when it was pinned; a
/// ParseComplete behind a FATAL error; a CloseComplete of ours behind a copy that was refused; a client that waited for
/// room that a connection had left which was closed for resting beside too many others.
#[test]
fn seeds_that_found_something_find_nothing_any_more() {
    for seed in [4714, 10260, 18349, 19195] {
        run(seed, None, true).unwrap_or_else(|told| panic!("{told}"));
    }
}

#[test]
fn a_seed_is_the_same_world_each_time() {
    for seed in 0..20 {
        assert_eq!(run(seed, None, false), run(seed, None, true), "{seed}");
    }
}

/// Seeds in which something that is done wrong must be seen.
const SEEDS: u64 = 600;

#[test]
fn whatever_is_done_wrong_is_seen() {
    for mutation in Mutation::ALL {
        let first =
            (0..SEEDS).find_map(|seed| Some((seed, run(seed, Some(mutation), false).err()?)));
        let Some((seed, told)) = first else {
            panic!("{mutation:?} goes unnoticed in {SEEDS} seeds");
        };
        println!("{mutation:?}: seed {seed}: {told}");
    }
}
