use super::*;
use crate::framed::{frame, parse};
use crate::statements::{CacheLimits, Dialect, Interner, Mode, Name, StatementLimits};
use std::sync::Arc;
use wire::from_client::Query;

/// With one value.
fn bind(name: &str) -> Vec<u8> {
    let rest = b"\0\0\0\0\x01\0\0\0\x02xy\0\0";
    frame(b'B', &[b"\0", name.as_bytes(), rest].concat())
}

fn describe(target: &str) -> Vec<u8> {
    frame(b'D', format!("{target}\0").as_bytes())
}

fn close(target: &str) -> Vec<u8> {
    frame(b'C', format!("{target}\0").as_bytes())
}

fn execute() -> Vec<u8> {
    frame(b'E', b"\0\0\0\0\0")
}

fn sync() -> Vec<u8> {
    frame(b'S', b"")
}

fn query(text: &str) -> Vec<u8> {
    frame(b'Q', format!("{text}\0").as_bytes())
}

/// A client that has prepared `known` before.
fn pooled() -> Pooled {
    let interner = Interner::new([0; 32], CacheLimits::default());
    let mut pooled = Pooled::new(interner, StatementLimits::default(), Mode::Transaction);
    let body = b"SELECT known\0\0\x01\0\0\0\x17";
    let statement = Statement::unshared(Dialect::default(), body);
    pooled
        .holdings
        .names
        .insert(Name::new(b"known"), Arc::new(statement));
    pooled
}

#[track_caller]
fn copied(request: &[Vec<u8>]) -> Option<Vec<u8>> {
    let mut output = Plain::with_capacity(64 * 1024);
    copy(&request.concat(), &pooled(), &mut output).then(|| output.bytes().to_vec())
}

#[test]
fn what_is_copied() {
    let known = frame(b'P', b"m00\0SELECT known\0\0\x01\0\0\0\x17");
    for (request, wanted) in [
        (vec![query("SELECT 1")], vec![query("SELECT 1")]),
        // What follows is another request.
        (
            vec![query("SELECT 1"), query("DELETE FROM t")],
            vec![query("SELECT 1")],
        ),
        (
            vec![
                parse("", "SELECT 1"),
                bind(""),
                describe("P"),
                execute(),
                frame(b'H', b""),
                sync(),
                parse("", "SELECT 2"),
            ],
            vec![
                close("Sm00"),
                parse("m00", "SELECT 1"),
                bind("m00"),
                describe("P"),
                execute(),
                sync(),
            ],
        ),
        (
            vec![
                parse("a", "SELECT 1"),
                describe("Sa"),
                bind("a"),
                execute(),
                sync(),
            ],
            vec![
                close("Sm00"),
                parse("m00", "SELECT 1"),
                describe("Sm00"),
                bind("m00"),
                execute(),
                sync(),
            ],
        ),
        // Prepared before, and used twice.
        (
            vec![bind("known"), execute(), bind("known"), execute(), sync()],
            vec![
                close("Sm00"),
                known.clone(),
                bind("m00"),
                execute(),
                bind("m00"),
                execute(),
                sync(),
            ],
        ),
        (
            vec![describe("Sknown"), bind("known"), execute(), sync()],
            vec![
                close("Sm00"),
                known,
                describe("Sm00"),
                bind("m00"),
                execute(),
                sync(),
            ],
        ),
        // The unnamed one changes, and so does a name that was closed.
        (
            vec![
                parse("", "SELECT 1"),
                bind(""),
                execute(),
                parse("", "SELECT 2"),
                bind(""),
                execute(),
                close("Sknown"),
                parse("known", "SELECT 3"),
                bind("known"),
                execute(),
                close("P"),
                sync(),
            ],
            vec![
                close("Sm00"),
                parse("m00", "SELECT 1"),
                bind("m00"),
                execute(),
                close("Sm01"),
                parse("m01", "SELECT 2"),
                bind("m01"),
                execute(),
                close("Sm02"),
                parse("m02", "SELECT 3"),
                bind("m02"),
                execute(),
                close("P"),
                sync(),
            ],
        ),
    ] {
        let (got, wanted) = (copied(&request), wanted.concat());
        let show = |bytes: &[u8]| bytes.escape_ascii().to_string();
        assert_eq!(got.as_deref().map(show), Some(show(&wanted)), "{request:?}");
    }
}

#[test]
fn what_is_not() {
    let many: Vec<_> = (0..=STATEMENTS_MAX)
        .flat_map(|_| [parse("", "SELECT 1"), bind(""), execute()])
        .chain([sync()])
        .collect();
    for request in [
        vec![],
        // Nothing is executed.
        vec![sync()],
        vec![parse("a", "SELECT 1"), describe("Sa"), sync()],
        // Its end is not here.
        vec![parse("", "SELECT 1"), bind(""), execute()],
        // Nobody knows it.
        vec![bind(""), execute(), sync()],
        vec![bind("other"), execute(), sync()],
        vec![close("Sknown"), bind("known"), execute(), sync()],
        // It fails at the client's server.
        vec![parse("known", "SELECT 1"), bind("known"), execute(), sync()],
        vec![
            parse("a", "SELECT 1"),
            parse("a", "SELECT 2"),
            bind("a"),
            execute(),
            sync(),
        ],
        vec![
            parse("", "SELECT 1"),
            bind(""),
            execute(),
            query("SELECT 2"),
        ],
        vec![frame(b'F', b"")],
        vec![frame(b'B', b"no bind"), execute(), sync()],
        many,
    ] {
        assert_eq!(copied(&request), None, "{request:?}");
    }
    let mut small = Plain::with_capacity(20);
    assert!(!copy(&query("SELECT 1, 2, 3, 4"), &pooled(), &mut small));
}

#[test]
fn the_texts_of_a_copy() {
    let batch = copied(&[
        parse("", "SELECT 1"),
        bind(""),
        execute(),
        bind("known"),
        execute(),
        sync(),
    ]);
    let batch = batch.expect("a copy");
    let found: Vec<_> = texts(&batch).collect();
    assert_eq!(found, [&b"SELECT 1"[..], b"SELECT known"]);
    let found: Vec<_> = texts(&query("SELECT 2")).map(<[u8]>::to_vec).collect();
    assert_eq!(found, [b"SELECT 2"]);
    let mut encoded = Plain::with_capacity(64);
    let sql = "SELECT 2".into();
    Query { sql }.encode(&mut encoded).expect("room");
    assert_eq!(encoded.bytes(), query("SELECT 2"));
}

#[test]
fn sessions_that_may_write_are_not_carried() {
    use crate::wishes::wishes;
    assert!(may_carry(&wishes(&[
        ("search_path", "a"),
        ("datestyle", "ISO")
    ])));
    assert!(!may_carry(&wishes(&[(
        "default_transaction_read_only",
        "off"
    )])));
}
