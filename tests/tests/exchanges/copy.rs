//! COPY in both protocols, its failures, and Sync where it is swallowed.

use super::extended_message::*;
use super::*;

pub(super) fn corpus() -> Vec<Exchange> {
    let rows = || {
        [
            copy_data("1\tone\n2\ttwo\n"),
            copy_data("3\tthr"),
            copy_data("ee\n"),
        ]
        .concat()
    };
    let both = |tail: Vec<Vec<u8>>| [vec![query(TABLE)], tail].concat();
    vec![
        (
            "in",
            both(vec![query(COPY_IN), rows(), copy_done(), query(ALL)]),
        ),
        (
            "in, nothing",
            both(vec![query(COPY_IN), copy_done(), query(ALL)]),
        ),
        (
            "in, an end in the data",
            both(vec![
                query(COPY_IN),
                rows(),
                copy_data("\\.\n"),
                copy_done(),
                query(ALL),
            ]),
        ),
        (
            "in, given up",
            both(vec![
                query(COPY_IN),
                rows(),
                copy_fail("enough"),
                query(ALL),
            ]),
        ),
        (
            "in, a bad row",
            both(vec![
                query(COPY_IN),
                copy_data("x\ty\n"),
                rows(),
                copy_done(),
                query(ALL),
            ]),
        ),
        (
            "in, a duplicate",
            both(vec![
                query(COPY_IN),
                rows(),
                copy_data("1\tagain\n"),
                copy_done(),
                query(ALL),
            ]),
        ),
        (
            "in, no such table",
            vec![query("COPY missing FROM STDIN"), query("SELECT 1")],
        ),
        (
            "in, no such table, with data",
            vec![
                query("COPY missing FROM STDIN"),
                rows(),
                copy_done(),
                query("SELECT 1"),
            ],
        ),
        (
            "in, twice in one query",
            both(vec![
                query("COPY t FROM STDIN; COPY t FROM STDIN; SELECT count(*) FROM t"),
                rows(),
                copy_done(),
                copy_data("9\tnine\n"),
                copy_done(),
            ]),
        ),
        (
            "in, Sync and Flush are swallowed",
            both(vec![
                query(COPY_IN),
                rows(),
                sync(),
                flush(),
                copy_done(),
                query(ALL),
            ]),
        ),
        (
            "in, another message",
            both(vec![
                query(COPY_IN),
                rows(),
                query("SELECT 1"),
                query("SELECT 2"),
            ]),
        ),
        ("in, Terminate", both(vec![query(COPY_IN), rows()])),
        (
            "in, much",
            both(vec![
                query(COPY_IN),
                (10..4000)
                    .flat_map(|id| copy_data(&format!("{id}\trow {id}\n")))
                    .collect(),
                copy_done(),
                query("SELECT count(*), sum(id) FROM t"),
            ]),
        ),
        (
            "out",
            vec![
                query("COPY (SELECT g, g * g FROM generate_series(1, 3000) g) TO STDOUT"),
                query("SELECT 1"),
            ],
        ),
        (
            "out, nothing",
            vec![query("COPY (SELECT 1 WHERE false) TO STDOUT")],
        ),
        (
            "out, binary",
            vec![query(
                "COPY (SELECT g, 'text' FROM generate_series(1, 10) g) TO STDOUT (FORMAT binary)",
            )],
        ),
        (
            "out, an error on the way",
            vec![
                query("COPY (SELECT 10 / (5 - g) FROM generate_series(1, 9) g) TO STDOUT"),
                query("SELECT 1"),
            ],
        ),
        (
            "out, extended",
            vec![
                run("COPY (SELECT generate_series(1, 9)) TO STDOUT", &[]),
                sync(),
                run("SELECT 1", &[]),
                sync(),
            ],
        ),
        (
            "data without a copy",
            vec![
                copy_data("lost"),
                copy_done(),
                copy_fail("lost"),
                query("SELECT 1"),
            ],
        ),
        (
            "extended in",
            both(vec![
                run(COPY_IN, &[]),
                rows(),
                copy_done(),
                sync(),
                query(ALL),
            ]),
        ),
        (
            "extended in, early Sync",
            both(vec![
                run(COPY_IN, &[]),
                sync(),
                rows(),
                copy_done(),
                sync(),
                query(ALL),
            ]),
        ),
        (
            "extended in, given up",
            both(vec![
                run(COPY_IN, &[]),
                rows(),
                copy_fail("enough"),
                sync(),
                query(ALL),
            ]),
        ),
        (
            "extended in, given up, early Sync",
            both(vec![
                run(COPY_IN, &[]),
                sync(),
                rows(),
                copy_fail("enough"),
                sync(),
                query(ALL),
            ]),
        ),
        (
            "extended in, a bad row",
            both(vec![
                run(COPY_IN, &[]),
                copy_data("x\ty\n"),
                rows(),
                copy_done(),
                sync(),
                query(ALL),
            ]),
        ),
        (
            "extended in, a bad row, early Sync",
            both(vec![
                run(COPY_IN, &[]),
                sync(),
                copy_data("x\ty\n"),
                rows(),
                copy_done(),
                sync(),
                query(ALL),
            ]),
        ),
        (
            "extended in, no such table, early Sync",
            vec![
                run("COPY missing FROM STDIN", &[]),
                sync(),
                rows(),
                copy_done(),
                sync(),
                query("SELECT 1"),
            ],
        ),
        (
            "extended in, a pipeline behind",
            both(vec![
                run(COPY_IN, &[]),
                rows(),
                copy_done(),
                run("SELECT count(*) FROM t", &[]),
                sync(),
                run("SELECT 1/0", &[]),
                sync(),
            ]),
        ),
    ]
}
