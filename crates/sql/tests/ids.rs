//! Ids and normalised text: what they tell apart and what they don't.

use sql::{Analysis, Asked, GroupId, Lexing, ShapeId, normalise};

fn ids(text: &str) -> (GroupId, ShapeId) {
    within(text, b"")
}

fn within(text: &str, scope: &[u8]) -> (GroupId, ShapeId) {
    let mut analysis = Analysis::new();
    let asked = Asked {
        group: true,
        shape: Some(scope),
        ..Asked::facts(Lexing::default())
    };
    analysis.read(text.as_bytes(), &asked);
    let facts = analysis.statements().first();
    let found = facts.and_then(|facts| Some((facts.group?, facts.shape?)));
    found.unwrap_or_else(|| panic!("no ids: {text}"))
}

fn normal(text: &str) -> String {
    let mut analysis = Analysis::new();
    analysis.read(text.as_bytes(), &Asked::facts(Lexing::default()));
    let mut out = Vec::new();
    for facts in analysis.statements() {
        normalise(
            text.as_bytes(),
            Lexing::default(),
            facts.statement.span,
            &mut out,
        );
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[test]
fn one_group() {
    for (one, other) in [
        ("SELECT 1", "SELECT 2"),
        ("SELECT 1", "SELECT -1"),
        ("SELECT 1", "SELECT 'a'"),
        ("SELECT 1", "select $1 -- x"),
        ("SELECT a FROM t LIMIT 1", "SELECT  a /* */ FROM t LIMIT 10"),
        ("SELECT $q$a$q$", "SELECT E'\\''"),
        ("SELECT U&'\\0041'", "SELECT 'x'"),
        ("SELECT a WHERE b IN (1)", "SELECT a WHERE b IN (1, -2, $3)"),
        (
            "INSERT INTO t VALUES (1, 'a')",
            "INSERT INTO t VALUES (2, 'b'), (3, NULL), (DEFAULT, $1)",
        ),
        ("SELECT ARRAY[1]", "SELECT ARRAY[1, 2]"),
        ("SELECT f(NULL)", "SELECT f(true)"),
    ] {
        assert_eq!(ids(one).0, ids(other).0, "{one} / {other}");
    }
}

#[test]
fn different_groups() {
    for (one, other) in [
        ("SELECT a", "SELECT b"),
        ("SELECT a + 1", "SELECT a * 1"),
        ("SELECT f(1)", "SELECT f(1, 2)"),
        (
            "SELECT a FROM t ORDER BY b",
            "SELECT a FROM t ORDER BY b DESC",
        ),
        ("SELECT a IS NULL", "SELECT a IS TRUE"),
        ("SELECT a FROM s.t", "SELECT a FROM r.t"),
        ("SELECT a FROM t", "SELECT a FROM t WHERE b"),
        ("SELECT a WHERE b IN (1)", "SELECT a WHERE b IN (c)"),
    ] {
        assert_ne!(ids(one).0, ids(other).0, "{one} / {other}");
    }
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
        assert_eq!(ids(one).1, ids(other).1, "{one} / {other}");
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
        assert_ne!(ids(one).1, ids(other).1, "{one} / {other}");
    }
    assert_ne!(within("SELECT 1", b"a").1, within("SELECT 1", b"b").1);
    assert_eq!(within("SELECT 1", b"a").0, within("SELECT 1", b"b").0);
}

#[test]
fn ids_stay_as_they_are() {
    let (group, shape) = ids("SELECT abalance FROM pgbench_accounts WHERE aid = 1");
    assert_eq!(group.to_string(), "03a654ff64d932d5");
    assert_eq!(
        shape.to_string(),
        "5fdf8cadca2cdef3da183ce656a4ee757508c7b01d1849267723caf7a55fac0f"
    );
}

#[test]
fn normalised() {
    for (text, wanted) in [
        (
            "SELECT  a.B, 'x''y' FROM \"T\" -- c",
            "select a.b, ? from \"T\"",
        ),
        (
            "SELECT * FROM t WHERE a IN (1,2,3) AND b = -5",
            "select * from t where a in (?) and b = ?",
        ),
        (
            "INSERT INTO t(a,b) VALUES (1,'a'),(2,'b')",
            "insert into t (a, b) values (?)",
        ),
        ("SELECT a::int, b[1]", "select a::int, b[?]"),
        ("ALTER ROLE r PASSWORD 'secret'", "alter role r password ?"),
        (
            "CREATE USER u WITH ENCRYPTED PASSWORD $$secret$$ LOGIN",
            "create user u with encrypted password ? login",
        ),
    ] {
        assert_eq!(normal(text), wanted, "{text}");
    }
}
