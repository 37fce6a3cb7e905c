//! Exchanges of the simple protocol, and FunctionCall.

use super::extended_message::*;
use super::*;

pub(super) fn corpus() -> Vec<Exchange> {
    vec![
        ("nothing", vec![]),
        (
            "a query",
            vec![query("SELECT 1, 'two', NULL, '{3,4}'::int[]")],
        ),
        (
            "an empty query",
            vec![query(""), query("  -- only a comment"), query(";;")],
        ),
        (
            "several statements",
            vec![query(
                "SELECT 1; SELECT 2 WHERE false; SET a.b = 'c'; SHOW a.b",
            )],
        ),
        (
            "several with an error",
            vec![query("SELECT 1; SELECT 1/0; SELECT 2"), query("SELECT 3")],
        ),
        (
            "a syntax error",
            vec![query("SELECT 1; SELEC"), query("SELECT 'still here'")],
        ),
        (
            "many rows",
            vec![query(
                "SELECT g, md5(g::text) FROM generate_series(1, 5000) g",
            )],
        ),
        (
            "wide rows",
            vec![query(
                "SELECT repeat('wide', 100000) FROM generate_series(1, 5)",
            )],
        ),
        (
            "no columns",
            vec![query("SELECT FROM generate_series(1, 3)")],
        ),
        (
            "a transaction that fails",
            vec![
                query("BEGIN"),
                query("SELECT 1/0"),
                query("SELECT 1"),
                query("COMMIT"),
                query("SELECT 2"),
            ],
        ),
        (
            "a deferred constraint",
            vec![
                query("CREATE TEMP TABLE d (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)"),
                query("BEGIN; INSERT INTO d VALUES (1), (1)"),
                query("COMMIT"),
            ],
        ),
        (
            "notices",
            vec![
                query("DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$"),
                query("DROP TABLE IF EXISTS missing"),
                query(
                    "DO $$ BEGIN FOR i IN 1..500 LOOP RAISE NOTICE '% %', i, repeat('n', 200); END LOOP; END $$",
                ),
            ],
        ),
        (
            "parameters",
            vec![
                query("SET application_name = 'one'; SET DateStyle = 'German'"),
                query("BEGIN; SET TimeZone = 'UTC'; SET client_encoding = 'LATIN1'; ROLLBACK"),
                query("SELECT 1"),
            ],
        ),
        (
            "cursors",
            vec![
                query("BEGIN; DECLARE c CURSOR FOR SELECT generate_series(1, 9)"),
                query("FETCH 4 c; FETCH 4 c; FETCH 4 c"),
                query("END"),
            ],
        ),
        (
            "notifications",
            vec![
                query("LISTEN channel; NOTIFY channel, 'one'"),
                query("BEGIN; NOTIFY channel, 'two'; NOTIFY channel, 'three'"),
                query("COMMIT"),
                query("UNLISTEN *"),
            ],
        ),
        (
            "FATAL",
            vec![
                query("SELECT 1"),
                query("SELECT pg_terminate_backend(pg_backend_pid())"),
                query("SELECT 2"),
            ],
        ),
        ("Terminate in a transaction", vec![query("BEGIN; SELECT 1")]),
        (
            "no string",
            vec![frame(b'Q', b"SELECT 1"), query("SELECT 2")],
        ),
        (
            "bytes behind the string",
            vec![frame(b'Q', b"SELECT 1\0SELECT 2\0"), query("SELECT 3")],
        ),
        (
            "functions",
            vec![
                call(INT4ABS, &(-5_i32).to_be_bytes()),
                call(INT4DIV, b"\0\0\0\x01"),
                call(1, b""),
                query("SELECT 1"),
            ],
        ),
    ]
}
