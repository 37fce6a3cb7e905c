//! What is written, byte by byte; what it does on a server is shown end to end.

use super::*;
use crate::wishes::wishes;

const GATE: &str = "SELECT 1 OPERATOR(pg_catalog./) CASE WHEN pg_catalog.current_setting('exit_on_error') \
    OPERATOR(pg_catalog.=) 'on' THEN 1 ELSE pg_catalog.length(pg_catalog.set_config('exit_on_error', 'on', false)) \
    OPERATOR(pg_catalog.-) 2 END; ";

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn texts(have: Pairs<'_>, want: Pairs<'_>, cleanup: Cleanup, way: Way) -> Vec<String> {
    let (have, want) = (wishes(have), wishes(want));
    let change = Change {
        have: &have,
        want: &want,
        cleanup,
    };
    let mut output = Plain::with_capacity(BYTES_MAX);
    let count = bring(change, way, &mut output).unwrap();
    let mut texts = Vec::new();
    while let Ok(Some(frame)) = wire::frame::whole(output.bytes(), |_| u32::MAX) {
        assert_eq!(frame.tag, b'Q');
        let query = from_client::Query::decode(frame.body).unwrap();
        assert!(query.sql.is_ascii());
        texts.push(String::from_utf8(query.sql.to_vec()).unwrap());
        let total = frame.total;
        output.consume(total);
    }
    assert_eq!(texts.len(), count);
    assert!(output.is_empty());
    texts
}

#[test]
fn the_same_wishes_need_nothing() {
    let some: Pairs<'_> = &[
        ("app.user", "x"),
        ("exit_on_error", "on"),
        ("work_mem", "1MB"),
    ];
    for pairs in [&[][..], some] {
        for way in [Way::Pipelined, Way::Awaited] {
            assert_eq!(texts(pairs, pairs, Cleanup::NONE, way), [""; 0]);
        }
    }
    // A custom parameter that is empty is what RESET would make of it.
    assert_eq!(
        texts(&[("a.b", "")], &[], Cleanup::NONE, Way::Pipelined),
        [""; 0]
    );
}

#[test]
fn a_difference_is_reset_and_set_behind_a_guard() {
    let got = texts(
        &[("geqo", "off"), ("jit", "on"), ("work_mem", "1MB")],
        &[
            ("app.user", "it's \\"),
            ("jit", "on"),
            ("statement_timeout", "1s"),
            ("work_mem", "2MB"),
        ],
        Cleanup::NONE,
        Way::Pipelined,
    );
    let work = "SET exit_on_error = on; RESET \"geqo\"; SET \"app.user\" = E'it''s \\\\'; \
        SET \"work_mem\" = E'2MB'; SET \"statement_timeout\" = E'1s'";
    let gate = format!("{GATE}RESET \"exit_on_error\"");
    assert_eq!(got, [work, &gate]);
}

#[test]
fn lists_and_letters_are_set_by_a_call_that_returns_neither() {
    let got = texts(
        &[],
        &[("app.user", "é"), ("search_path", "\"a b\"")],
        Cleanup::NONE,
        Way::Awaited,
    );
    let wanted = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; \
        SELECT pg_catalog.length(pg_catalog.set_config(E'app.user', pg_catalog.convert_from(\
        pg_catalog.decode('c3a9', 'hex'), pg_catalog.getdatabaseencoding()), false)); \
        SELECT pg_catalog.length(pg_catalog.set_config(E'search_path', E'\"a b\"', false))";
    assert_eq!(got, [wanted]);
}

#[test]
fn all_is_taken_back_in_the_order_of_discard_all() {
    let got = texts(
        &[("geqo", "off")],
        &[("default_transaction_read_only", "on")],
        Cleanup::ALL,
        Way::Pipelined,
    );
    let work = "SET exit_on_error = on; SET statement_timeout = 0; \
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED; CLOSE ALL; \
        SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL; SET exit_on_error = on; \
        DEALLOCATE ALL; UNLISTEN *; SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD PLANS; \
        DISCARD TEMP; DISCARD SEQUENCES; SET \"default_transaction_read_only\" = E'on'";
    let gate =
        format!("SET TRANSACTION ISOLATION LEVEL READ COMMITTED; {GATE}RESET \"exit_on_error\"");
    assert_eq!(got, [work, &gate]);
    let got = texts(
        &[],
        &[],
        Cleanup::CHANNELS | Cleanup::SETTINGS,
        Way::Awaited,
    );
    assert_eq!(got, ["SET statement_timeout = 0; RESET ALL; UNLISTEN *"]);
}

#[test]
fn a_client_may_want_exit_on_error_for_itself() {
    let on: Pairs<'_> = &[("exit_on_error", "on")];
    let gate = |end: &str| format!("{GATE}{end}");
    let got = texts(&[], on, Cleanup::NONE, Way::Pipelined);
    let set = gate("SET \"exit_on_error\" = E'on'");
    assert_eq!(got, ["SET exit_on_error = on", &set]);
    let got = texts(on, &[], Cleanup::NONE, Way::Pipelined);
    let reset = gate("RESET \"exit_on_error\"");
    assert_eq!(
        got,
        ["SET exit_on_error = off", "SET exit_on_error = on", &reset]
    );
    assert_eq!(
        texts(on, &[], Cleanup::NONE, Way::Awaited),
        ["RESET \"exit_on_error\""]
    );
}

#[test]
fn it_fits_or_nothing_is_written() {
    use crate::wishes::{Draft, NAMES_MAX, TOTAL_BYTES_MAX};
    let draft = |fill: u8| {
        let mut draft = Draft::default();
        let len = TOTAL_BYTES_MAX / NAMES_MAX - 5;
        for at in 0..NAMES_MAX {
            draft.set(&format!("a.{at:03}"), buf::Secret::new(&vec![fill; len]));
        }
        draft.finish().unwrap()
    };
    let have = Wishes::none();
    for fill in [b'\'', 0xff] {
        let want = draft(fill);
        let change = Change {
            have: &have,
            want: &want,
            cleanup: Cleanup::ALL,
        };
        let mut output = Plain::with_capacity(BYTES_MAX);
        assert_eq!(bring(change, Way::Pipelined, &mut output), Ok(2));
        let mut small = Plain::with_capacity(output.len() - 1);
        assert!(bring(change, Way::Pipelined, &mut small).is_err() && small.is_empty());
    }
}

#[test]
fn short_timeouts_have_to_be_waited_for() {
    for (value, is_short) in [
        ("0", false),
        ("1ms", true),
        ("999", true),
        ("1500ms", false),
        ("1s", false),
        ("1min", false),
        ("0.5s", true),
        ("", true),
    ] {
        assert_eq!(
            must_wait(&wishes(&[("statement_timeout", value)])),
            is_short,
            "{value}"
        );
    }
    assert!(!must_wait(&Wishes::none()));
}
