//! Traffic of a seed, seen as a detector sees it: what it finds in noise, in changes, and under churn.

use super::*;
use crate::counts::Run;
use crate::table::{Bounds, Merged, Table, Who};
use proptest::prelude::*;
use proptest::test_runner::Config;

/// A world: one worker's statistics, a detector, and chance from a seed.
struct World {
    table: Table,
    detector: Detector,
    now_s: u64,
    chance: u64,
    patterns: Vec<Arc<Pattern>>,
}

/// What a pattern does in a window.
#[derive(Clone, Copy)]
struct Traffic {
    calls: u64,
    us: u64,
    failing_percent: u64,
}

const STEADY: Traffic = Traffic {
    calls: 400,
    us: 20_000,
    failing_percent: 1,
};

fn pattern(number: usize) -> Arc<Pattern> {
    let recogniser = crate::Recogniser::new([1; 32]);
    let text = format!("select column_{number} from t where secret = 'literal{number}'");
    recogniser.pattern(text.as_bytes(), sql::Lexing::default())
}

impl World {
    fn new(seed: u64, patterns: usize) -> World {
        let rules = Rules {
            warmup_s: 300,
            ..Rules::default()
        };
        World {
            table: Table::new([3; 32], Bounds::default()),
            detector: Detector::new(rules),
            // Changes begin anywhere in a long span.
            now_s: 6_000_000 + seed % 5 * 60,
            chance: seed | 1,
            patterns: (0..patterns).map(pattern).collect(),
        }
    }

    /// The next of a sequence (xorshift64).
    fn next(&mut self) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance
    }

    /// About as long: a long tail, as real statements have.
    fn about(&mut self, us: u64) -> u64 {
        let sum: u64 = (0..12).map(|_| self.next() % 1000).sum();
        let normal = (sum as f64 - 5994.0) / 1000.0;
        (us as f64 * (normal * 0.7).exp()) as u64
    }

    /// A window in which each pattern does this; then a look.
    fn window(&mut self, traffic: impl Fn(usize) -> Traffic) -> Vec<Event> {
        for number in 0..self.patterns.len() {
            let Traffic {
                calls,
                us,
                failing_percent,
            } = traffic(number);
            // Never twice the same number, as in life.
            let calls = calls * (80 + self.next() % 41) / 100;
            for _ in 0..calls {
                let fails = self.next() % 100 < failing_percent;
                let run = Run {
                    server_us: self.about(us),
                    sqlstate: fails.then_some(*b"40001"),
                    ..Run::default()
                };
                let at_s = self.now_s + self.next() % 60;
                self.note(number, &run, at_s);
            }
        }
        self.look()
    }

    fn note(&mut self, number: usize, run: &Run, at_s: u64) {
        let who = Arc::new(Who {
            database: "shop".into(),
            role: format!("role{}", number % 2).into(),
            application: "a".into(),
        });
        let key = self.table.key_of(&who);
        let pattern = Arc::clone(&self.patterns[number]);
        self.table.note(&pattern, (&who, key), run, at_s);
    }

    fn look(&mut self) -> Vec<Event> {
        self.now_s += 60;
        let mut merged = Merged::default();
        self.table.add_to(&mut merged);
        let rows = merged.rows();
        let length = WindowLength::default();
        let told = self.detector.look(&rows, self.now_s, length);
        assert!(
            self.detector
                .look(&rows, self.now_s + 59, length)
                .is_empty()
        );
        assert!(!format!("{told:?}").contains("literal"), "{told:?}");
        told
    }

    fn settle(&mut self) {
        for _ in 0..25 {
            let told = self.window(|_| STEADY);
            assert!(told.is_empty(), "{told:?}");
        }
    }
}

fn kinds(told: &[Event]) -> Vec<(Kind, Phase)> {
    told.iter().map(|it| (it.kind, it.phase)).collect()
}

proptest! {
    #![proptest_config(Config { cases: 20, failure_persistence: None, ..Config::default() })]

    /// Hours of steady traffic, by four patterns that differ in everything: not a word.
    #[test]
    fn steady_noise_is_no_change(seed: u64) {
        let mut world = World::new(seed, 4);
        for _ in 0..120 {
            let told = world.window(|number| Traffic {
                calls: [120, 400, 1500, 10][number],
                us: [300, 6000, 20_000, 900_000][number],
                failing_percent: [40, 1, 4, 30][number],
            });
            prop_assert!(told.is_empty(), "{told:?}");
        }
    }

    /// Each change is told once, of its pattern alone, and is told to be over.
    #[test]
    fn each_change_begins_once_and_ends_once(seed: u64, which in 0..3_usize, lasts in 4..10_usize) {
        let (kind, changed) = [
            (Kind::Slower, Traffic { us: 60_000, ..STEADY }),
            (Kind::ErrorBurst, Traffic { failing_percent: 25, ..STEADY }),
            (Kind::Volume, Traffic { calls: 4000, ..STEADY }),
        ][which];
        let mut world = World::new(seed, 2);
        world.settle();
        let mut told = Vec::new();
        for _ in 0..lasts {
            told.extend(world.window(|number| if number == 0 { changed } else { STEADY }));
        }
        prop_assert_eq!(kinds(&told), vec![(kind, Phase::Began)]);
        for _ in 0..30 {
            told.extend(world.window(|_| STEADY));
        }
        prop_assert_eq!(kinds(&told), vec![(kind, Phase::Began), (kind, Phase::Ended)]);
        prop_assert_eq!(&told[0].subject, &told[1].subject);
        let id = world.patterns[0].id.to_string();
        prop_assert_eq!(told[0].subject.as_ref(), format!("pattern {id} in shop"));
    }
}

/// A change that begins in the last window of a long span is not taken for what is usual.
#[test]
fn changes_are_found_wherever_they_begin() {
    for seed in 1000..1005 {
        for (kind, changed) in [
            (
                Kind::Slower,
                Traffic {
                    us: 60_000,
                    ..STEADY
                },
            ),
            (
                Kind::ErrorBurst,
                Traffic {
                    failing_percent: 25,
                    ..STEADY
                },
            ),
            (
                Kind::Volume,
                Traffic {
                    calls: 4000,
                    ..STEADY
                },
            ),
        ] {
            let mut world = World::new(seed, 1);
            world.settle();
            let told: Vec<_> = (0..3).flat_map(|_| world.window(|_| changed)).collect();
            assert_eq!(kinds(&told), [(kind, Phase::Began)], "{seed}");
        }
    }
}

/// What fails since the start is no news, unless all that was not seen before is.
#[test]
fn what_always_failed_is_no_burst() {
    let failing = Traffic {
        failing_percent: 60,
        ..STEADY
    };
    let mut world = World::new(5, 1);
    for _ in 0..30 {
        assert!(world.window(|_| failing).is_empty());
    }
    world.patterns.push(pattern(1));
    let burst = (Kind::ErrorBurst, Phase::Began);
    let new = (Kind::NewPattern, Phase::Happened);
    assert_eq!(kinds(&world.window(|_| failing)), [burst, new]);
}

#[test]
fn what_stays_becomes_usual() {
    let mut world = World::new(5, 1);
    world.settle();
    let mut told = Vec::new();
    for _ in 0..60 {
        told.extend(world.window(|_| Traffic {
            us: 80_000,
            ..STEADY
        }));
    }
    let phases = kinds(&told);
    assert_eq!(
        phases,
        [(Kind::Slower, Phase::Began), (Kind::Slower, Phase::Ended)]
    );
    assert!(
        told[1].facts_in_words().contains("because=usual by now"),
        "{told:?}"
    );
}

#[test]
fn a_pattern_that_stops_ends_its_change() {
    let mut world = World::new(5, 1);
    world.settle();
    let failing = Traffic {
        failing_percent: 90,
        ..STEADY
    };
    assert_eq!(
        kinds(&world.window(|_| failing)),
        [(Kind::ErrorBurst, Phase::Began)]
    );
    assert!(world.look().is_empty());
    assert_eq!(kinds(&world.look()), [(Kind::ErrorBurst, Phase::Ended)]);
    assert!(world.detector.under_way.is_empty());
}

#[test]
fn new_patterns_are_told_after_the_warm_up_and_once() {
    let mut world = World::new(5, 1);
    world.settle();
    world.patterns.push(pattern(1));
    let few = |number| Traffic {
        calls: if number == 0 { 400 } else { 3 },
        ..STEADY
    };
    let told = world.window(few);
    assert_eq!(kinds(&told), [(Kind::NewPattern, Phase::Happened)]);
    let facts = told[0].facts_in_words();
    assert!(
        facts.contains("query=select column_1 from t where secret = ?"),
        "{facts}"
    );
    assert!(world.window(few).is_empty());
    // Statistics that begin anew make nothing new.
    world.table.reset();
    assert!(world.window(few).is_empty());
}

#[test]
fn under_churn_events_and_memory_are_bounded_and_the_rest_is_counted() {
    let mut world = World::new(5, 0);
    for _ in 0..6 {
        world.look();
    }
    let (per_window, mut told_in_all, mut suppressed) = (1000, 0, 0);
    for window in 0..80 {
        world.table.reset();
        world.patterns = (0..per_window)
            .map(|it| pattern(window * per_window + it))
            .collect();
        for number in 0..per_window {
            world.note(number, &Run::default(), world.now_s);
        }
        let told = world.look();
        assert!(told.len() <= 21, "{}", told.len());
        for event in &told {
            match event.kind {
                Kind::NewPattern => told_in_all += 1,
                _ => {
                    assert_eq!(event.kind, Kind::Suppressed);
                    let (_, fact) = &event.facts[0];
                    suppressed += fact.to_string().parse::<usize>().unwrap();
                }
            }
        }
        assert!(world.detector.known.len() <= KNOWN_MAX);
    }
    assert_eq!(told_in_all + suppressed, 80 * per_window);
}

#[test]
fn ends_that_find_no_room_come_later() {
    let mut world = World::new(5, 3);
    world.detector.rules.told_max = 2;
    world.settle();
    let failing = Traffic {
        failing_percent: 90,
        ..STEADY
    };
    let told = world.window(|_| failing);
    let began = (Kind::ErrorBurst, Phase::Began);
    let suppressed = (Kind::Suppressed, Phase::Happened);
    assert_eq!(kinds(&told), [began, began, suppressed]);
    world.detector.rules.told_max = 1;
    let mut ends = 0;
    for _ in 0..5 {
        let told = world.window(|_| STEADY);
        assert!(told.len() <= 1, "{told:?}");
        ends += told.iter().filter(|it| it.phase == Phase::Ended).count();
    }
    // The third, of which nobody heard, ended without a word.
    assert_eq!((ends, world.detector.under_way.len()), (2, 0));
}

#[test]
fn windows_of_another_length_begin_anew() {
    let mut world = World::new(5, 1);
    world.settle();
    let rows = Vec::new();
    let told = world.detector.look(&rows, world.now_s, WindowLength::of(5));
    assert!(told.is_empty() && world.detector.known.is_empty());
}
