//! Ways to hide what a statement does, each with the effect that must be seen or the reason for not knowing.

use sql::{Analysis, Asked, Encoding, Impact, Lexing, Unknown, Unsure};

fn read(text: &[u8], lexing: Lexing) -> Analysis {
    let mut analysis = Analysis::new();
    analysis.read(text, &Asked::facts(lexing));
    analysis
}

/// What a rule sees: all that a text does, or why it can't be told.
fn judged(text: &[u8], lexing: Lexing) -> Result<Impact, Unsure> {
    let analysis = read(text, lexing);
    match analysis.unsure() {
        Some(unsure) => Err(unsure),
        None => Ok(analysis
            .statements()
            .iter()
            .fold(Impact::NONE, |all, facts| all | facts.impact)),
    }
}

#[test]
fn a_write_is_seen_wherever_it_hides() {
    for text in [
        "/* SELECT */ DELETE FROM t",
        "DE/**/LETE FROM t; DELETE FROM t",
        "-- SELECT 1\rDELETE FROM t",
        "/* /* nested */ */ DELETE/**/FROM/**/t",
        "SELECT 1; DELETE FROM t",
        "SELECT $a$ ; $a$; DELETE FROM t; SELECT $a$x$a$",
        "SELECT $é$ ' $é$; DELETE FROM t; --'",
        "SELECT 'a\\'; DELETE FROM t; --'",
        "SELECT E'\\\\'; DELETE FROM t; --'",
        "SELECT U&'\\0027'; DELETE FROM t",
        "SELECT 'a' -- ' \n 'b'; DELETE FROM t",
        "DELETE FROM U&\"\\0074\"",
        "EXPLAIN ANALYZE DELETE FROM t",
        "EXPLAIN (VERBOSE, ANALYZE ON, COSTS OFF) DELETE FROM t",
        "EXPLAIN (U&\"\\0061nalyze\") DELETE FROM t",
        "EXPLAIN (ANALYZE 'off', ANALYZE 1) WITH a AS (DELETE FROM t RETURNING *) TABLE a",
        "WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a",
        "WITH a AS (WITH b AS (SELECT 1) DELETE FROM t RETURNING *) SELECT * FROM a",
        "WITH a AS (SELECT 1), b AS MATERIALIZED (UPDATE t SET a = 1 RETURNING 1) SELECT 1",
        "COPY (DELETE FROM t RETURNING *) TO STDOUT",
        "COPY (WITH a AS (DELETE FROM t RETURNING *) TABLE a) TO STDOUT",
        "PREPARE p AS DELETE FROM t",
        "PREPARE p AS WITH a AS (DELETE FROM t RETURNING *) TABLE a",
        "SELECT 1 INTO t",
        "(SELECT 1 INTO t)",
        "SELECT 1 UNION (SELECT 2 INTO t)",
        "CREATE TABLE t AS SELECT 1",
        "EXPLAIN ANALYZE CREATE TABLE t AS SELECT 1",
        "SELECT * FROM t FOR UPDATE",
        "DECLARE c CURSOR FOR SELECT * FROM t FOR NO KEY UPDATE",
        "CREATE RULE r AS ON SELECT TO t DO ALSO DELETE FROM u",
        "LOCK t",
        "SELECT nextval('s')",
        "SELECT pg_catalog.setval('s', 1)",
        "SELECT \"nextval\"('s')",
    ] {
        let seen = judged(text.as_bytes(), Lexing::default());
        let holds = matches!(seen, Ok(impact) if impact.has(Impact::WRITE));
        let is_unknown = text.starts_with("DE/") && seen == Err(Unsure::Text(Unknown::Verb));
        assert!(holds || is_unknown, "{text}: {seen:?}");
    }
}

#[test]
fn what_cannot_be_told_says_why() {
    for (text, why) in [
        ("DO $$BEGIN DELETE FROM t; END$$", Unsure::Code),
        ("EXECUTE p", Unsure::Prepared),
        ("EXPLAIN ANALYZE EXECUTE p", Unsure::Prepared),
        ("CREATE TABLE t AS EXECUTE p", Unsure::Prepared),
        ("CREATE EXTENSION x", Unsure::Code),
        ("SELECT 'a", Unsure::Text(Unknown::Unterminated)),
        ("SELECT 1 /* DELETE", Unsure::Text(Unknown::Unterminated)),
        ("FROB t", Unsure::Text(Unknown::Verb)),
        ("SELECT (1", Unsure::Text(Unknown::Unbalanced)),
        ("SELECT * FROM U&\"\\zzzz\"", Unsure::Name),
        ("SELECT * FROM 1", Unsure::Grammar),
        ("SELECT 1 SELECT 2", Unsure::Grammar),
    ] {
        assert_eq!(
            judged(text.as_bytes(), Lexing::default()),
            Err(why),
            "{text}"
        );
    }
    let deep = format!("SELECT {}1{}", "(".repeat(2_000), ")".repeat(2_000));
    assert_eq!(
        judged(deep.as_bytes(), Lexing::default()),
        Err(Unsure::Size)
    );
    let many = format!("SELECT * FROM t{}", ", t".repeat(70_000));
    assert_eq!(
        judged(many.as_bytes(), Lexing::default()),
        Err(Unsure::Size)
    );
}

#[test]
fn functions_that_write_are_calls() {
    for text in [
        "SELECT evil()",
        "SELECT public.lower('x')",
        "SELECT \"Lower\"('x')",
        "SELECT * FROM evil() x",
        "SELECT 1 FROM t ORDER BY evil()",
        "SELECT 1 WHERE (SELECT evil()) IS NULL",
        "VALUES (evil())",
        "EXPLAIN SELECT evil()",
        "CALL evil()",
        "SELECT lo_unlink(1)",
        "SELECT query_to_xml('DELETE FROM t', true, true, '')",
    ] {
        let seen = judged(text.as_bytes(), Lexing::default());
        assert!(
            matches!(seen, Ok(impact) if impact.has(Impact::CALLS)),
            "{text}: {seen:?}"
        );
    }
}

#[test]
fn the_state_of_the_session_decides() {
    let off = Lexing {
        standard_conforming_strings: false,
        ..Lexing::default()
    };
    let text = b"SELECT 'a\\'; DELETE FROM t; --'";
    assert_eq!(judged(text, off), Ok(Impact::READ));
    assert_eq!(
        judged(text, Lexing::default()),
        Ok(Impact::READ | Impact::WRITE)
    );
    let text = b"SELECT 'a\\\\'; DELETE FROM t; --'";
    assert_eq!(judged(text, off), Ok(Impact::READ | Impact::WRITE));
    for (encoding, text) in [
        (Encoding::Sjis, &b"SELECT E'\x95\\'; DELETE FROM t; --'"[..]),
        (Encoding::TwoBytes, b"SELECT E'\xa5\\'; DELETE FROM t; --'"),
        (Encoding::Gb18030, b"SELECT E'\x81\\'; DELETE FROM t; --'"),
    ] {
        let lexing = Lexing {
            encoding,
            ..Lexing::default()
        };
        let seen = judged(text, lexing);
        assert_eq!(seen, Ok(Impact::READ | Impact::WRITE), "{encoding:?}");
    }
    let latin = Lexing {
        encoding: Encoding::AsciiSafe,
        ..Lexing::default()
    };
    assert_eq!(judged(b"SELECT * FROM \xc9t\xe9", latin), Err(Unsure::Name));
    assert_eq!(
        judged(b"SELECT '\xff'", Lexing::default()),
        Err(Unsure::Text(Unknown::Encoding))
    );
}

#[test]
fn a_verb_at_the_end_of_a_huge_text_is_never_missed() {
    let padded = |len: usize| {
        let mut text = b"SELECT '".to_vec();
        text.resize(len, b'x');
        text.extend(b"'; DELETE FROM t");
        text
    };
    let limit = Lexing::default().len_max;
    let over = judged(&padded(limit), Lexing::default());
    assert_eq!(over, Err(Unsure::Text(Unknown::TooLong)));
    let under = judged(&padded(limit - 100), Lexing::default());
    assert_eq!(under, Ok(Impact::READ | Impact::WRITE));
    let size = if std::env::var_os("PORTCULLIS_SOAK").is_some() {
        200 << 20
    } else {
        8 << 20
    };
    let raised = Lexing {
        len_max: usize::MAX,
        ..Lexing::default()
    };
    assert_eq!(
        judged(&padded(size), raised),
        Ok(Impact::READ | Impact::WRITE)
    );
}
