//! Judges one text many times, so that its instructions can be counted:
//! `valgrind --tool=callgrind target/release/examples/count short 1000`, and the same with 0 rounds: the
//! difference is the scanner's.

use std::hint::black_box;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let text = match arguments.next().as_deref() {
        Some("short") => "SELECT abalance FROM pgbench_accounts WHERE aid = 12345678;".to_owned(),
        Some("call") => {
            "SELECT count(*), lower(name) FROM t WHERE id = $1 AND now() > a".to_owned()
        }
        Some("long") => {
            let columns =
                ", \"t\".\"column_name\" AS \"t_column_name\", coalesce(a.b, 'text') AS c"
                    .repeat(59);
            format!("SELECT 1{columns} FROM \"public\".\"t\" WHERE id IN (1, 2, 3)")
        }
        _ => {
            eprintln!("usage: count short|call|long ROUNDS");
            return;
        }
    };
    let rounds = arguments
        .next()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(1_000u32);
    let lexing = sql::Lexing::default();
    for _ in 0..rounds {
        black_box(sql::effects(black_box(text.as_bytes()), lexing)).ok();
    }
    println!("{} bytes, {rounds} rounds", text.len());
}
