//! What is asked, and what answers, true and false ones, are made of.

use super::*;
use crate::wishes::wishes;
use sql::Lexing;
use wire::Values;

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn touched(text: &str) -> Touched {
    let mut touched = Touched::new();
    let effects = sql::effects(text.as_bytes(), Lexing::default()).unwrap();
    touched.note(text.as_bytes(), Lexing::default(), effects);
    touched
}

fn asked(text: &str, have: Pairs<'_>, base: Pairs<'_>) -> Option<(Question, String)> {
    let mut output = Plain::with_capacity(1 << 16);
    let question = Question::ask(touched(text), &wishes(have), &wishes(base), &mut output);
    let question = question.unwrap()?;
    let frame = wire::frame::whole(output.bytes(), |_| u32::MAX)
        .unwrap()
        .unwrap();
    assert_eq!((frame.tag, frame.total), (b'Q', output.len()));
    let query = from_client::Query::decode(frame.body).unwrap();
    let text = String::from_utf8(query.sql.to_vec()).unwrap();
    Some((question, text))
}

fn row(columns: &[Option<&str>]) -> Vec<u8> {
    let mut packed = Vec::new();
    let columns = columns.iter().map(|column| column.map(str::as_bytes));
    let values = Values::pack(columns, &mut packed).unwrap();
    let mut body = Vec::new();
    DataRow { values }.body(&mut body).unwrap();
    body
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// Rows of name, value, source.
type Rows<'a> = &'a [(&'a str, Option<&'a str>, Option<&'a str>)];

fn answer(question: Option<(Question, String)>, rows: Rows<'_>) -> Result<Answer, Unanswered> {
    let (mut question, _) = question.unwrap();
    question.take(b'C', b"SET\0")?;
    question.take(b'T', b"")?;
    for (name, value, source) in rows {
        let value = value.map(hex);
        question.take(b'D', &row(&[Some(name), value.as_deref(), *source]))?;
    }
    question.take(b'C', b"SELECT 1\0")?;
    question.take(b'Z', b"I")?;
    question.finish()
}

#[track_caller]
fn gives(text: &str, before: [Pairs<'_>; 2], rows: Rows<'_>, after: [Pairs<'_>; 2]) {
    let answer = answer(asked(text, before[0], before[1]), rows).unwrap();
    let [have, want] = after.map(wishes);
    let shown = |wishes: &Wishes| -> Vec<String> {
        let pairs = wishes.iter();
        pairs
            .map(|(name, value)| format!("{name}={}", value.escape_ascii()))
            .collect()
    };
    assert_eq!(shown(&answer.have), shown(&have), "have: {text}");
    assert_eq!(shown(&answer.want), shown(&want), "want: {text}");
}

#[test]
fn nothing_touched_is_nothing_asked() {
    assert!(asked("SELECT 1; SET LOCAL work_mem = 1; SET ROLE x", &[], &[]).is_none());
}

#[test]
fn only_what_was_touched_is_asked() {
    let (_, text) = asked("SET work_mem = 1; SET a.b = 1", &[("geqo", "off")], &[]).unwrap();
    assert_eq!(
        text,
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SELECT pg_catalog.lower(s.name), \
         pg_catalog.encode(pg_catalog.convert_to(pg_catalog.current_setting(s.name), \
         pg_catalog.getdatabaseencoding()), 'hex'), s.source FROM pg_catalog.pg_settings s WHERE \
         pg_catalog.lower(s.name) OPERATOR(pg_catalog.=) ANY (ARRAY[E'work_mem']::pg_catalog.text[]) \
         UNION ALL SELECT v.n, pg_catalog.encode(pg_catalog.convert_to(\
         pg_catalog.current_setting(v.n, true), pg_catalog.getdatabaseencoding()), 'hex'), NULL \
         FROM (VALUES (E'a.b')) v(n)"
    );
    let (_, text) = asked("SET a.b = 1", &[("c.d", "x")], &[]).unwrap();
    assert!(!text.contains("pg_settings") && !text.contains("c.d"));
    let (_, text) = asked("RESET ALL", &[("c.d", "x"), ("geqo", "off")], &[]).unwrap();
    for part in ["'session' OR", "E'geqo'", "(E'c.d')"] {
        assert!(text.contains(part), "{part}");
    }
}

#[test]
fn answers_become_wishes() {
    let session = Some("session");
    let file = Some("configuration file");
    // Set, rolled back, reset: with and without a base.
    let before: [Pairs<'_>; 2] = [&[("geqo", "off")], &[("geqo", "off")]];
    let work_mem = ("work_mem", "2MB");
    let both: Pairs<'_> = &[("geqo", "off"), work_mem];
    gives(
        "SET work_mem = 1",
        before,
        &[("work_mem", Some("2MB"), session)],
        [both, both],
    );
    gives(
        "SET work_mem = 1",
        before,
        &[("work_mem", Some("4MB"), file)],
        before,
    );
    gives(
        "SET geqo = on; RESET geqo",
        before,
        &[("geqo", Some("on"), file)],
        [&[], before[1]],
    );
    // A parameter that the server doesn't have.
    gives("SET no_such = 1", before, &[], before);
    // Custom ones.
    let custom: [Pairs<'_>; 2] = [&[("a.b", "now")], &[("a.b", "base")]];
    gives(
        "SET a.b = 1",
        custom,
        &[("a.b", Some("1"), None)],
        [&[("a.b", "1")]; 2],
    );
    gives(
        "SET a.b = ''",
        custom,
        &[("a.b", Some(""), None)],
        [&[("a.b", "")]; 2],
    );
    gives(
        "SET c.d = 1",
        [&[], &[]],
        &[("c.d", None, None)],
        [&[], &[]],
    );
    let reset: [Pairs<'_>; 2] = [&[("a.b", "")], custom[1]];
    gives("RESET a.b", custom, &[("a.b", Some(""), None)], reset);
    gives(
        "RESET a.b",
        custom,
        &[("a.b", Some("now"), None)],
        [custom[0], custom[0]],
    );
    let role: Pairs<'_> = &[("a.b", "role's")];
    gives(
        "RESET a.b",
        custom,
        &[("a.b", Some("role's"), None)],
        [role, custom[1]],
    );
    // Of an extension that is loaded, the server tells where it comes from, in either order.
    let rows: Rows<'_> = &[
        ("a.b", Some("0.3"), None),
        ("a.b", Some("0.3"), Some("default")),
    ];
    gives("RESET a.b", custom, rows, [&[], custom[1]]);
    // All: what isn't told is gone, what is told may be new, and some names are nobody's to carry.
    let rows: Rows<'_> = &[
        ("a.b", Some(""), None),
        ("work_mem", Some("2MB"), session),
        ("transaction_isolation", Some("serializable"), session),
    ];
    let have: Pairs<'_> = &[("a.b", "now"), ("geqo", "off")];
    let base: Pairs<'_> = &[("a.b", "base"), ("jit", "off")];
    let want: Pairs<'_> = &[("a.b", "base"), work_mem];
    gives(
        "RESET ALL; SET work_mem = 2",
        [have, &[("a.b", "base")]],
        rows,
        [&[("a.b", ""), work_mem], want],
    );
    let (rows, base_want): (Rows<'_>, Pairs<'_>) = (&rows[..1], &[("a.b", "base"), ("jit", "off")]);
    gives(
        "DISCARD ALL",
        [have, base],
        rows,
        [&[("a.b", "")], base_want],
    );
}

#[test]
fn unchanged_wishes_stay_the_same_object() {
    let have = wishes(&[("geqo", "off")]);
    let mut output = Plain::with_capacity(4096);
    let question = Question::ask(touched("SET geqo = on"), &have, &have, &mut output);
    let question = Some((question.unwrap().unwrap(), String::new()));
    let answer = answer(question, &[("geqo", Some("off"), Some("session"))]).unwrap();
    assert!(Arc::ptr_eq(&answer.want, &have) && Arc::ptr_eq(&answer.have, &have));
}

#[test]
fn false_answers_are_refused() {
    let fresh = || asked("SET a.b = 1", &[], &[]).unwrap().0;
    let long = "41".repeat(VALUE_BYTES_MAX + 1);
    for (tag, body) in [
        (b'D', b"".to_vec()),
        (b'D', row(&[])),
        (b'D', row(&[Some("a.b"), Some("41")])),
        (b'D', row(&[None, Some("41"), None])),
        (b'D', row(&[Some("a b"), Some("41"), None])),
        (b'D', row(&[Some("a.b"), Some("4"), None])),
        (b'D', row(&[Some("a.b"), Some("zz"), None])),
        (b'D', row(&[Some("a.b"), Some(&long), None])),
        (b'D', [row(&[Some("a.b"), None, None]), vec![0]].concat()),
        (b'G', vec![]),
        (b'E', b"SERROR\0C57014\0\0".to_vec()),
    ] {
        assert!(fresh().take(tag, &body).is_err(), "{}", body.escape_ascii());
    }
    let mut flood = fresh();
    let one = row(&[Some("a.b"), Some("41"), None]);
    let results: Vec<_> = (0..=ROWS_MAX).map(|_| flood.take(b'D', &one)).collect();
    assert!(results[0].is_ok() && results[ROWS_MAX] == Err(TooMany.into()));
    // Cut short, or without the row that was asked for.
    assert_eq!(fresh().finish().unwrap_err(), Unanswered::Strange);
    assert_eq!(
        answer(asked("SET a.b = 1", &[], &[]), &[]).unwrap_err(),
        Unanswered::Strange
    );
    // More than can be carried.
    let names: Vec<String> = (0..=NAMES_MAX).map(|at| format!("p{at}")).collect();
    let rows: Vec<_> = names
        .iter()
        .map(|name| (&name[..], Some("1"), Some("session")))
        .collect();
    let many = answer(asked("RESET ALL", &[], &[]), &rows);
    assert_eq!(many.unwrap_err(), Unanswered::TooMany(TooMany));
}
