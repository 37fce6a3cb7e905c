//! Shapes: what they tell apart and what they don't.

use sql::{Analysis, Asked, Lexing, ShapeId};

fn shape(text: &str) -> ShapeId {
    within(text, b"")
}

fn within(text: &str, scope: &[u8]) -> ShapeId {
    let mut analysis = Analysis::new();
    let asked = Asked {
        shape: Some(scope),
        ..Asked::facts(Lexing::default())
    };
    analysis.read(text.as_bytes(), &asked);
    let found = analysis.statements().first().and_then(|facts| facts.shape);
    found.unwrap_or_else(|| panic!("no shape: {text}"))
}

#[test]
fn one_shape() {
    for (one, other) in [
        ("SELECT 1", "select/**/2 -- x"),
        ("SELECT 'a'", "SELECT 'b'"),
        (
            "UPDATE t SET a = 'x' WHERE b = 1",
            "UPDATE T SET A = 'y' WHERE B = 2;",
        ),
        ("PREPARE p AS SELECT 1", "PREPARE p AS SELECT 2"),
    ] {
        assert_eq!(shape(one), shape(other), "{one} / {other}");
    }
}

/// All pairs that collide under a coarse fingerprint, and what literals decide.
#[test]
fn different_shapes() {
    for (one, other) in [
        ("SELECT * FROM app.t", "SELECT * FROM secret.t"),
        ("DO 'a'", "DO 'b'"),
        (
            "CREATE FUNCTION f() RETURNS int AS 'a'",
            "CREATE FUNCTION f() RETURNS int AS 'b'",
        ),
        ("SET ROLE a", "SET ROLE b"),
        ("SET ROLE 'a'", "SET ROLE 'b'"),
        (
            "SET SESSION AUTHORIZATION 'a'",
            "SET SESSION AUTHORIZATION 'b'",
        ),
        ("GRANT SELECT ON t TO a", "GRANT SELECT ON t TO b"),
        ("EXECUTE a", "EXECUTE b"),
        ("EXECUTE a (1)", "EXECUTE a (2)"),
        ("LISTEN a", "LISTEN b"),
        ("NOTIFY a, 'x'", "NOTIFY a, 'y'"),
        ("SELECT a", "SELECT a, a"),
        ("SELECT f(1)", "SELECT f(1, 2)"),
        ("PREPARE p AS SELECT 1", "PREPARE q AS SELECT 1"),
        ("COPY t TO '/a'", "COPY t TO '/b'"),
        ("COPY t FROM PROGRAM 'a'", "COPY t FROM PROGRAM 'b'"),
        ("CREATE TEMP TABLE a (x int)", "CREATE TEMP TABLE b (x int)"),
        ("SELECT 1", "SELECT 'a'"),
        ("SELECT 1", "SELECT -1"),
        ("SELECT $1", "SELECT $2"),
        ("SELECT a WHERE b IN (1)", "SELECT a WHERE b IN (1, 2)"),
        ("SELECT \"a\"", "SELECT a"),
        ("SELECT \"a\"", "SELECT \"A\""),
        ("EXPLAIN SELECT 1", "EXPLAIN ANALYZE SELECT 1"),
        (
            "EXPLAIN (ANALYZE 0) DELETE FROM t",
            "EXPLAIN (ANALYZE 1) DELETE FROM t",
        ),
        ("LOAD 'a'", "LOAD 'b'"),
        ("SELECT 1 FROM t", "SELECT 1 FROM t WHERE true"),
        (
            "EXPLAIN ANALYZE EXECUTE p ('a')",
            "EXPLAIN ANALYZE EXECUTE p ('b')",
        ),
    ] {
        assert_ne!(shape(one), shape(other), "{one} / {other}");
    }
    assert_ne!(within("SELECT 1", b"a"), within("SELECT 1", b"b"));
}

#[test]
fn shapes_stay_as_they_are() {
    let shape = shape("SELECT abalance FROM pgbench_accounts WHERE aid = 1");
    assert_eq!(
        shape.to_string(),
        "5fdf8cadca2cdef3da183ce656a4ee757508c7b01d1849267723caf7a55fac0f"
    );
}
