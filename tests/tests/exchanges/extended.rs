//! Exchanges of the extended protocol: portals, pipelines, errors and what they skip.

use super::extended_message::*;
use super::*;

pub(super) fn corpus() -> Vec<Exchange> {
    let failing = || run("SELECT 1/$1::int", &["0"]);
    vec![
        (
            "a statement",
            vec![run("SELECT $1::int + 1, $2::text", &["41", "text"]), sync()],
        ),
        (
            "describe",
            vec![
                parse("s", "SELECT $1::int AS a, $2::text AS b"),
                describe(b'S', "s"),
                bind("p", "s", &["1", "x"]),
                describe(b'P', "p"),
                execute("p", 0),
                close(b'P', "p"),
                close(b'S', "s"),
                close(b'S', "never existed"),
                sync(),
            ],
        ),
        (
            "without result",
            vec![
                parse("s", TABLE),
                describe(b'S', "s"),
                bind("", "s", &[]),
                describe(b'P', ""),
                execute("", 0),
                sync(),
            ],
        ),
        (
            "an empty statement",
            vec![run("", &[]), describe(b'P', ""), sync()],
        ),
        ("only Sync", vec![sync(), sync(), sync()]),
        ("without Sync", vec![run("SELECT 1", &[])]),
        (
            "a portal in pieces",
            vec![
                parse("", SERIES),
                bind("p", "", &["100"]),
                execute("p", 30),
                flush(),
                execute("p", 30),
                execute("p", 100),
                execute("p", 1),
                sync(),
                execute("p", 1),
                sync(),
            ],
        ),
        (
            "portals in a transaction",
            vec![
                query("BEGIN"),
                parse("s", SERIES),
                bind("one", "s", &["9"]),
                bind("two", "s", &["9"]),
                execute("one", 2),
                execute("two", 3),
                sync(),
                execute("one", 2),
                execute("two", 0),
                close(b'S', "s"),
                execute("one", 1),
                sync(),
                query("COMMIT"),
            ],
        ),
        (
            "an error and what it skips",
            vec![
                failing(),
                query("SELECT 'skipped'"),
                call(INT4ABS, b"abcd"),
                flush(),
                run("SELECT 'skipped'", &[]),
                sync(),
                run("SELECT 'back'", &[]),
                sync(),
            ],
        ),
        (
            "errors in a pipeline",
            vec![
                run("SELECT 1", &[]),
                sync(),
                failing(),
                sync(),
                run("SELECT 2", &[]),
                sync(),
                failing(),
                run("SELECT 3", &[]),
                sync(),
                sync(),
            ],
        ),
        (
            "an error in Parse",
            vec![
                parse("s", "SELEC"),
                describe(b'S', "s"),
                bind("", "s", &[]),
                sync(),
                bind("", "s", &[]),
                sync(),
            ],
        ),
        (
            "an error in Bind",
            vec![
                parse("s", "SELECT $1::int"),
                bind("", "s", &["not a number"]),
                execute("", 0),
                sync(),
            ],
        ),
        (
            "a name taken",
            vec![
                parse("s", "SELECT 1"),
                parse("s", "SELECT 2"),
                sync(),
                bind("", "s", &[]),
                execute("", 0),
                sync(),
            ],
        ),
        (
            "a transaction that fails",
            vec![
                run("BEGIN", &[]),
                sync(),
                failing(),
                sync(),
                run("SELECT 1", &[]),
                sync(),
                run("ROLLBACK", &[]),
                sync(),
                run("SELECT 2", &[]),
                sync(),
            ],
        ),
        (
            "a commit that fails at Sync",
            vec![
                query("CREATE TEMP TABLE d (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)"),
                run("INSERT INTO d VALUES (1), (1)", &[]),
                sync(),
                run("SELECT 1", &[]),
                sync(),
            ],
        ),
        (
            "many in a pipeline",
            vec![run(SERIES, &["20"]).repeat(200), sync()],
        ),
        (
            "many segments",
            vec![[run("SELECT $1::int", &["7"]), sync()].concat().repeat(500)],
        ),
        (
            "Query between",
            vec![
                parse("", "SELECT 'unnamed'"),
                query("SELECT 'simple'"),
                bind("", "", &[]),
                sync(),
            ],
        ),
        (
            "broken Bind",
            vec![
                parse("", "SELECT 1"),
                frame(b'B', b"\0\0\0\x01"),
                sync(),
                query("SELECT 1"),
            ],
        ),
        (
            "broken Describe",
            vec![
                frame(b'D', b"Xname\0"),
                sync(),
                frame(b'D', b""),
                sync(),
                query("SELECT 1"),
            ],
        ),
        (
            "a long parameter",
            vec![
                run("SELECT length($1), $1", &[&"long ".repeat(60_000)]),
                sync(),
            ],
        ),
    ]
}
