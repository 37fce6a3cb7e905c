//! `sim SEEDS=N` runs so many seeds; `sim SEED=N` replays one and prints the last steps of one that fails.
//! The name of a mutation behind `SEED=N` does that wrong.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let mut values = arguments.iter().filter_map(|it| it.strip_prefix(name));
        values.next().and_then(|it| it.parse::<u64>().ok())
    };
    let mutation = sim::Mutation::ALL
        .into_iter()
        .find(|it| arguments.contains(&format!("{it:?}")));
    let ran = match number("SEED=") {
        Some(seed) if mutation.is_some() => sim::run(seed, mutation, true),
        Some(seed) => sim::run(seed, None, true),
        None => sim::run_all(0..number("SEEDS=").unwrap_or(1000)),
    };
    match ran {
        Ok(summary) => {
            println!("no violation: {summary:?}");
            ExitCode::SUCCESS
        }
        Err(told) => {
            eprintln!("{told}");
            ExitCode::FAILURE
        }
    }
}
