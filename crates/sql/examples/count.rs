//! Judges one text many times, so that its instructions can be counted:
//! `valgrind --tool=callgrind target/release/examples/count short 1000 facts`, and the same with 0 rounds: the
//! difference is the scanner's. What is counted: the session's `effects` by default, `facts`, `shape` (facts with
//! the shape), a `hit` of the cache.

use std::hint::black_box;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let text = match arguments.next().as_deref() {
        Some("short") => "SELECT abalance FROM pgbench_accounts WHERE aid = 12345678;".to_owned(),
        Some("call") => {
            "SELECT count(*), lower(name) FROM t WHERE id = $1 AND now() > a".to_owned()
        }
        Some("orm") => {
            let columns: Vec<_> = (0..22)
                .map(|at| format!("\"t\".\"column_{at}\" AS \"t_column_{at}\""))
                .collect();
            format!(
                "SELECT {} FROM \"public\".\"t\" LEFT JOIN \"u\" ON \"t\".\"id\" = \"u\".\"t_id\" WHERE \"t\".\"id\" = $1 LIMIT 1",
                columns.join(", ")
            )
        }
        Some("long") => {
            let columns =
                ", \"t\".\"column_name\" AS \"t_column_name\", coalesce(a.b, 'text') AS c"
                    .repeat(59);
            format!("SELECT 1{columns} FROM \"public\".\"t\" WHERE id IN (1, 2, 3)")
        }
        _ => {
            eprintln!("usage: count short|call|orm|long ROUNDS [effects|facts|shape|hit]");
            return;
        }
    };
    let rounds = arguments
        .next()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(1_000u32);
    let lexing = sql::Lexing::default();
    let what = arguments.next().unwrap_or_default();
    let mut analysis = sql::Analysis::new();
    let limits = sql::CacheLimits {
        entries: 1_000,
        bytes: 1 << 20,
    };
    let mut cache = sql::Cache::new([1, 2, 3, 4], limits);
    let key = cache.key(text.as_bytes(), lexing, 0);
    cache.insert(key, 1u64, 0);
    let shape = sql::Asked {
        shape: Some(b""),
        ..sql::Asked::facts(lexing)
    };
    let started = std::time::Instant::now();
    for _ in 0..rounds {
        let text = black_box(text.as_bytes());
        match what.as_str() {
            "facts" => analysis.read(text, &sql::Asked::facts(lexing)),
            "shape" => analysis.read(text, &shape),
            "hit" => {
                let key = cache.key(text, lexing, 0);
                black_box(cache.find(&key));
            }
            _ => {
                black_box(sql::effects(text, lexing)).ok();
            }
        }
    }
    let each = started.elapsed().as_nanos() / u128::from(rounds.max(1));
    println!("{} bytes, {rounds} rounds, {each} ns each", text.len());
}
