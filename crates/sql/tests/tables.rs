//! Tables: text, and what is made of it.

#![allow(clippy::unwrap_used, reason = "what a test can't unwrap has failed it")]

use sql::{Effects, Encoding, Kind, Lexer, Lexing, Statement, Unknown, Verb, effects, statements};

fn lexed(text: &[u8], lexing: Lexing) -> Result<Vec<(Kind, String)>, Unknown> {
    let mut lexer = Lexer::new(text, lexing)?;
    let mut out = Vec::new();
    while let Some(token) = lexer.significant()? {
        let shown = String::from_utf8_lossy(token.span.of(text)).into_owned();
        out.push((token.kind, shown));
    }
    Ok(out)
}

fn pieces(text: &str) -> Result<String, Unknown> {
    let tokens = lexed(text.as_bytes(), Lexing::default())?;
    Ok(tokens
        .into_iter()
        .map(|(_, shown)| shown)
        .collect::<Vec<_>>()
        .join("·"))
}

#[test]
fn tokens() {
    for (text, wanted) in [
        ("a+-1", "a·+·-·1"),
        ("a @- 1", "a·@-·1"),
        ("a <-- b\n1", "a·<·1"),
        ("a*/*x*/b", "a·*·b"),
        ("a/**//b", "a·/·b"),
        ("/* a /* b */ c */ 1", "1"),
        ("'it''s' 'x'", "'it''s'·'x'"),
        ("'a' -- c\n 'b' 1", "'a' -- c\n 'b'·1"),
        ("'a' /* c */\n 'b'", "'a'·'b'"),
        ("E'\\'' ; 'x'", "E'\\''·;·'x'"),
        ("'a\\' 'b'", "'a\\'·'b'"),
        ("e'a'\n'\\''", "e'a'\n'\\''"),
        ("b'1''0'", "b'1'·'0'"),
        ("U&'d!0061' UESCAPE '!'", "U&'d!0061'·UESCAPE·'!'"),
        ("u&\"x\"\"y\"", "u&\"x\"\"y\""),
        ("$$a'$x$b$$ 1", "$$a'$x$b$$·1"),
        ("$a$ $b$ $a$", "$a$ $b$ $a$"),
        ("a$$b$$", "a$$b$$"),
        ("$1+$2", "$1·+·$2"),
        ("1..10", "1·..·10"),
        ("1.e5 .5 0x_1F 1_000", "1.e5·.5·0x_1F·1_000"),
        ("a::int := b => c", "a·::·int·:=·b·=>·c"),
        ("x>=-1", "x·>=·-·1"),
        ("été.ça", "été·.·ça"),
    ] {
        assert_eq!(pieces(text).as_deref(), Ok(wanted), "{text}");
    }
}

#[test]
fn what_is_not_lexed() {
    for (text, why) in [
        ("'a", Unknown::Unterminated),
        ("\"a", Unknown::Unterminated),
        ("/* /* */", Unknown::Unterminated),
        ("$a$ $b$", Unknown::Unterminated),
        ("E'\\'", Unknown::Unterminated),
        ("\"\"", Unknown::Name),
        ("1a", Unknown::Number),
        ("1e", Unknown::Number),
        ("1_", Unknown::Number),
        ("0x", Unknown::Number),
        ("$1a", Unknown::Number),
        ("{", Unknown::Byte),
        ("$", Unknown::Byte),
        ("a\0b", Unknown::Encoding),
    ] {
        assert_eq!(pieces(text), Err(why), "{text}");
    }
    assert_eq!(lexed(b"'\xff'", Lexing::default()), Err(Unknown::Encoding));
    let short = Lexing {
        len_max: 3,
        ..Lexing::default()
    };
    assert_eq!(lexed(b"SHOW", short), Err(Unknown::TooLong));
}

#[test]
fn the_state_of_the_session_decides_where_a_string_ends() {
    let off = Lexing {
        standard_conforming_strings: false,
        ..Lexing::default()
    };
    let text = b"SELECT 'a\\'; DROP TABLE t; --'";
    assert_eq!(statements(text, Lexing::default()).count(), 2);
    assert_eq!(statements(text, off).count(), 1);
    assert_eq!(lexed(b"U&'a'", off), Err(Unknown::UnicodeString));
    for (encoding, text) in [
        (Encoding::Sjis, &b"E'\x95\\'; SET x = 1"[..]),
        (Encoding::TwoBytes, b"E'\xa5\\'; SET x = 1"),
        (Encoding::Gb18030, b"E'\x81\\'; SET x = 1"),
        (Encoding::Johab, b"E'\x8a\\'; SET x = 1"),
    ] {
        let lexing = Lexing {
            encoding,
            ..Lexing::default()
        };
        assert_eq!(lexed(text, lexing).unwrap().len(), 6, "{encoding:?}");
        let safe = Lexing {
            encoding: Encoding::AsciiSafe,
            ..lexing
        };
        assert_eq!(
            lexed(text, safe),
            Err(Unknown::Unterminated),
            "{encoding:?}"
        );
    }
    assert_eq!(Encoding::named("Shift_JIS_2004"), Some(Encoding::Sjis));
    assert_eq!(Encoding::named("utf-8"), Some(Encoding::Utf8));
    assert_eq!(Encoding::named("GBK"), Some(Encoding::TwoBytes));
    assert_eq!(Encoding::named("ISO_8859_5"), Some(Encoding::AsciiSafe));
    assert_eq!(Encoding::named("klingon"), None);
}

fn one(text: &str) -> Statement {
    let mut all = statements(text.as_bytes(), Lexing::default());
    let statement = all
        .next()
        .unwrap()
        .unwrap_or_else(|why| panic!("{text}: {why}"));
    assert_eq!(all.next(), None, "{text}");
    statement
}

#[test]
fn verbs_names_and_effects() {
    use Effects as E;
    let none = Effects::NONE;
    let write_define = E::WRITES | E::DEFINES;
    for (text, verb, name, effects) in [
        ("select 1", Verb::Select, "", none),
        ("((SELECT 1))", Verb::Select, "", none),
        ("VALUES (1)", Verb::Select, "", none),
        (
            "with update(a) as (select 1), b as not materialized (select 2) select 3",
            Verb::Select,
            "",
            none,
        ),
        (
            "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
            Verb::Select,
            "",
            E::WRITES,
        ),
        (
            "WITH RECURSIVE x(a) AS (SELECT 1) SEARCH DEPTH FIRST BY a, b SET c CYCLE a, b SET d USING e DELETE FROM t",
            Verb::Delete,
            "",
            E::WRITES,
        ),
        (
            "INSERT INTO t (a) VALUES (lower($1)) ON CONFLICT (a) DO NOTHING",
            Verb::Insert,
            "",
            E::WRITES,
        ),
        (
            "BEGIN ISOLATION LEVEL SERIALIZABLE",
            Verb::Begin,
            "",
            E::TRANSACTION,
        ),
        (
            "END WORK AND CHAIN",
            Verb::CommitAndChain,
            "",
            E::TRANSACTION,
        ),
        ("ABORT AND NO CHAIN", Verb::Rollback, "", E::TRANSACTION),
        (
            "ROLLBACK TRANSACTION TO SAVEPOINT a",
            Verb::RollbackTo,
            "a",
            E::TRANSACTION,
        ),
        (
            "RELEASE savepoint",
            Verb::Release,
            "savepoint",
            E::TRANSACTION,
        ),
        (
            "PREPARE TRANSACTION 'x'",
            Verb::PrepareTransaction,
            "'x'",
            E::TRANSACTION,
        ),
        (
            "COMMIT PREPARED 'x'",
            Verb::CommitPrepared,
            "'x'",
            E::TRANSACTION,
        ),
        ("SET work_mem = '1MB'", Verb::Set, "work_mem", E::SET),
        ("set session my.x to 1", Verb::Set, "my.x", E::SET),
        ("set session to 1", Verb::Set, "session", E::SET | E::ROLE),
        ("SET LOCAL role TO x", Verb::SetLocal, "role", E::SET_LOCAL),
        ("SET local = 1", Verb::Set, "local", E::SET),
        ("SET TIME ZONE 'UTC'", Verb::Set, "TIME ZONE", E::SET),
        ("SET ROLE x", Verb::Set, "ROLE", E::SET | E::ROLE),
        ("SET \"Role\" = x", Verb::Set, "\"Role\"", E::SET | E::ROLE),
        (
            "SET SESSION AUTHORIZATION x",
            Verb::Set,
            "AUTHORIZATION",
            E::SET | E::ROLE,
        ),
        (
            "SET TRANSACTION READ ONLY",
            Verb::SetTransaction,
            "",
            E::SET_LOCAL,
        ),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            Verb::Set,
            "CHARACTERISTICS",
            E::SET,
        ),
        (
            "SET search_path = pg_temp",
            Verb::Set,
            "search_path",
            E::SET | E::TEMPORARY,
        ),
        (
            "SET search_path = 'PG_TEMP'",
            Verb::Set,
            "search_path",
            E::SET | E::TEMPORARY,
        ),
        ("RESET ALL", Verb::Reset, "ALL", E::SET),
        (
            "RESET SESSION AUTHORIZATION",
            Verb::Reset,
            "SESSION AUTHORIZATION",
            E::SET | E::ROLE,
        ),
        (
            "DISCARD ALL",
            Verb::DiscardAll,
            "ALL",
            E::DISCARD | E::DEALLOCATE_ALL,
        ),
        ("DISCARD TEMP", Verb::Discard, "TEMP", E::DISCARD),
        ("LISTEN \"a b\"", Verb::Listen, "\"a b\"", E::LISTEN),
        ("UNLISTEN *", Verb::Unlisten, "*", E::UNLISTEN),
        ("NOTIFY a, 'b'", Verb::Notify, "", none),
        (
            "PREPARE p (int) AS INSERT INTO t VALUES ($1)",
            Verb::Prepare,
            "p",
            E::PREPARE | E::WRITES,
        ),
        (
            "PREPARE transaction AS SELECT 1",
            Verb::Prepare,
            "transaction",
            E::PREPARE,
        ),
        ("EXECUTE p (1, 2)", Verb::Execute, "p", E::EXECUTE),
        ("DEALLOCATE PREPARE p", Verb::Deallocate, "p", E::DEALLOCATE),
        ("DEALLOCATE ALL", Verb::DeallocateAll, "", E::DEALLOCATE_ALL),
        (
            "DECLARE c NO SCROLL CURSOR WITH HOLD FOR SELECT 1",
            Verb::Declare,
            "c",
            E::HOLD,
        ),
        (
            "DECLARE c CURSOR WITHOUT HOLD FOR SELECT 1",
            Verb::Declare,
            "c",
            none,
        ),
        (
            "EXPLAIN ANALYZE VERBOSE DELETE FROM t",
            Verb::Explain,
            "",
            E::WRITES,
        ),
        (
            "EXPLAIN (ANALYZE) CREATE TEMP TABLE x AS SELECT 1",
            Verb::Explain,
            "",
            E::DEFINES | E::TEMPORARY,
        ),
        ("EXPLAIN (SELECT 1)", Verb::Explain, "", none),
        (
            "COPY t (a, b) FROM STDIN",
            Verb::CopyFrom,
            "",
            E::COPY | E::WRITES,
        ),
        (
            "COPY (DELETE FROM t RETURNING *) TO STDOUT",
            Verb::CopyTo,
            "",
            E::COPY | E::WRITES,
        ),
        (
            "CREATE LOCAL TEMPORARY TABLE x (a int)",
            Verb::Create,
            "",
            E::DEFINES | E::TEMPORARY,
        ),
        (
            "CREATE OR REPLACE TEMP VIEW x AS SELECT 1",
            Verb::Create,
            "",
            E::DEFINES | E::TEMPORARY,
        ),
        (
            "CREATE TABLE pg_temp.x (a int)",
            Verb::Create,
            "",
            E::DEFINES | E::TEMPORARY,
        ),
        (
            "SELECT 1 INTO TEMP x",
            Verb::Select,
            "",
            write_define | E::TEMPORARY,
        ),
        (
            "SELECT 1 AS a INTO x FROM y",
            Verb::Select,
            "",
            write_define,
        ),
        (
            "ALTER EXTENSION x UPDATE",
            Verb::Alter,
            "",
            E::DEFINES | E::CODE,
        ),
        (
            "CREATE EXTENSION IF NOT EXISTS x",
            Verb::Create,
            "",
            E::DEFINES | E::CODE,
        ),
        (
            "CREATE TRUSTED LANGUAGE x",
            Verb::Create,
            "",
            E::DEFINES | E::CODE,
        ),
        ("ALTER TABLE t ADD a int", Verb::Alter, "", E::DEFINES),
        (
            "SET LOCAL search_path = pg_temp",
            Verb::SetLocal,
            "search_path",
            E::SET_LOCAL | E::TEMPORARY,
        ),
        (
            "SET LOCAL search_path = 'pg_temp'",
            Verb::SetLocal,
            "search_path",
            E::SET_LOCAL | E::TEMPORARY,
        ),
        ("LOAD 'auto_explain'", Verb::Load, "", E::LOAD),
        ("DO $$ begin end $$", Verb::Do, "", E::CODE),
        ("CALL p(1)", Verb::Call, "", E::CODE | E::CALLS),
    ] {
        let found = one(text);
        let shown = found.name.map_or("", |span| &text[span.start..span.end]);
        assert_eq!(
            (found.verb, shown, found.effects),
            (verb, name, effects),
            "{text}"
        );
    }
}

#[test]
fn values_and_inner_verbs() {
    let text = "SET  search_path TO a, \"b\" ; ";
    let value = one(text).value.unwrap();
    assert_eq!(value.of(text.as_bytes()), b"a, \"b\"");
    let text = "begin work read only";
    assert_eq!(one(text).value.unwrap().of(text.as_bytes()), b"read only");
    assert_eq!(one("EXPLAIN EXECUTE p").inner, Some(Verb::Execute));
    assert_eq!(one("PREPARE p AS DELETE FROM t").inner, Some(Verb::Delete));
}

#[test]
fn functions() {
    use Effects as E;
    for (text, wanted) in [
        (
            "SELECT lower(a), count(*), coalesce(b, 1), now() FROM t WHERE a IN (1) AND EXISTS (SELECT 1)",
            E::NONE,
        ),
        ("SELECT f(1)", E::CALLS),
        ("SELECT f /* */ (1)", E::CALLS),
        ("SELECT \"lower\"(a)", E::NONE),
        ("SELECT \"LOWER\"(a)", E::CALLS),
        ("SELECT \"coalesce\"(a)", E::CALLS),
        ("SELECT PG_Catalog.LOWER(a)", E::NONE),
        ("SELECT public.lower(a)", E::CALLS),
        ("SELECT db.pg_catalog.lower(a)", E::NONE),
        ("SELECT U&\"lower\"(a)", E::CALLS | E::TEMPORARY),
        ("SELECT \u{e9}(a)", E::CALLS),
        ("SELECT set_config('x', 'y', false)", E::SET_CONFIG),
        ("SELECT nextval('s')", E::SEQUENCE),
        ("SELECT pg_try_advisory_lock(1)", E::ADVISORY_LOCK),
        ("SELECT pg_advisory_xact_lock(1)", E::NONE),
        ("SELECT query_to_xml('x', true, true, '')", E::CALLS),
        (
            "SELECT a::numeric(10, 2), b::mytype(3), CAST(c AS varchar(3)) FROM t",
            E::NONE,
        ),
        (
            "SELECT sum(a) FILTER (WHERE b) OVER (PARTITION BY (c) ORDER BY (d)) FROM t",
            E::NONE,
        ),
        ("SELECT over(1)", E::CALLS),
        ("SELECT DISTINCT ON (a) over(1)", E::CALLS),
        ("SELECT a OPERATOR(pg_catalog.+) b", E::NONE),
        ("SELECT a OPERATOR(pg_catalog.+) over(b)", E::CALLS),
        ("SELECT operator(a)", E::CALLS),
        ("SELECT operator(*)", E::CALLS),
        ("SELECT * FROM a JOIN b ON conflict(c)", E::CALLS),
        ("SELECT * FROM a LEFT JOIN (SELECT 1) b ON true", E::NONE),
        ("SELECT * FROM a JOIN (SELECT 1) b ON true", E::NONE),
        ("SELECT * FROM a JOIN (b) ON true", E::CALLS),
        ("SELECT f((SELECT 1))", E::CALLS),
        ("SELECT 1 ORDER BY join(x)", E::CALLS),
        ("INSERT INTO a.t (b) SELECT f(1)", E::WRITES | E::CALLS),
        ("UPDATE t SET a = f(1)", E::WRITES | E::CALLS),
        ("COPY (SELECT f(1)) TO STDOUT", E::COPY | E::CALLS),
    ] {
        assert_eq!(one(text).effects, wanted, "{text}");
    }
}

#[test]
fn statements_are_cut_where_the_parser_cuts_them() {
    for (text, wanted) in [
        ("", &[][..]),
        (" ;; -- x\n;", &[]),
        ("SELECT 1; SELECT 2 /* ; */;", &["SELECT 1", "SELECT 2"]),
        (
            "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3",
            &[
                "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)",
                "SELECT 3",
            ],
        ),
        (
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; SELECT a end; END; END",
            &[
                "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; SELECT a end; END",
                "END",
            ],
        ),
        (
            "CREATE PROCEDURE f() BEGIN ATOMIC END; SELECT 1",
            &["CREATE PROCEDURE f() BEGIN ATOMIC END", "SELECT 1"],
        ),
        (
            "CREATE FUNCTION f() RETURNS int RETURN 1; BEGIN; COMMIT",
            &[
                "CREATE FUNCTION f() RETURNS int RETURN 1",
                "BEGIN",
                "COMMIT",
            ],
        ),
    ] {
        let found: Vec<_> = statements(text.as_bytes(), Lexing::default())
            .map(|statement| {
                let span = statement.unwrap().span;
                &text[span.start..span.end]
            })
            .collect();
        assert_eq!(found, wanted, "{text}");
    }
    for (text, why) in [
        ("SELECT (1; SELECT 2", Unknown::Unbalanced),
        ("SELECT 1); SELECT 2", Unknown::Unbalanced),
        (
            "CREATE FUNCTION f() BEGIN ATOMIC SELECT 1;",
            Unknown::Unbalanced,
        ),
        ("FROBNICATE 1", Unknown::Verb),
        ("1", Unknown::Verb),
        ("SELECT 1; SELECT 'a", Unknown::Unterminated),
    ] {
        assert_eq!(
            effects(text.as_bytes(), Lexing::default()),
            Err(why),
            "{text}"
        );
    }
    let deep = "EXPLAIN ".repeat(1_000) + "SELECT 1";
    assert_eq!(
        effects(deep.as_bytes(), Lexing::default()),
        Err(Unknown::Nesting)
    );
}
