//! Seeded simulation of many clients, servers and workers on virtual time, over the pure crates.
//!
//! Real: crates `pool`, `session` (statements, wishes, lending, relay, ledger, reset), `sql`, `wire`, `buf`.
//! Modelled: PostgreSQL ([`backend`]), the clients ([`client`]), and the order in which the shell calls
//! those crates ([`session`], [`place`]), turn by turn. Not there: TLS, sockets, threads, log-ins.
//! A seed decides everything, so that a failure is the same however often it is looked at. For tests only.

pub mod backend;
pub mod chance;
pub mod client;
pub mod frames;
pub mod link;
pub mod pipe;
pub mod place;
pub mod plan;
pub mod script;
pub mod session;
pub mod shared;
pub mod trace;
pub mod world;

pub use plan::Mutation;
pub use world::{Summary, World};

/// Runs the world of a seed; with what is to be done wrong, and whether steps are remembered.
pub fn run(seed: u64, mutation: Option<Mutation>, traced: bool) -> Result<Summary, String> {
    World::new(seed, mutation, traced).run()
}

/// Runs seeds on all cores; the least that fails, with the trace of its last steps.
pub fn run_all(seeds: std::ops::Range<u64>) -> Result<Summary, String> {
    let next = std::sync::atomic::AtomicU64::new(seeds.start);
    let sum = std::sync::Mutex::new((Summary::default(), None));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let failed = || sum.lock().is_ok_and(|it| it.1.is_some());
                    if seed >= seeds.end || failed() {
                        return;
                    }
                    let ran = run(seed, None, false);
                    let Ok(mut sum) = sum.lock() else { return };
                    match ran {
                        Ok(summary) => sum.0.add(summary),
                        Err(_) => sum.1 = Some(sum.1.unwrap_or(seed).min(seed)),
                    }
                }
            });
        }
    });
    let (summary, failed) = sum.into_inner().unwrap_or_default();
    match failed {
        None => Ok(summary),
        Some(seed) => {
            let told = std::panic::catch_unwind(|| run(seed, None, true));
            let told = told.unwrap_or_else(|_| Err("it panicked; see above".to_owned()));
            let told = told
                .err()
                .unwrap_or_else(|| "it did not fail again".to_owned());
            Err(format!("{told}\nreplay with: make sim SEED={seed}"))
        }
    }
}

impl Summary {
    fn add(&mut self, other: Summary) {
        self.steps += other.steps;
        self.answered += other.answered;
        self.servers += other.servers;
        self.cancelled += other.cancelled;
        self.mutated += other.mutated;
    }
}
