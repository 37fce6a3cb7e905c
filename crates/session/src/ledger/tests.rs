//! The ledger as tables: scripts that settle everything, replies out of turn, unfinished exchanges.

use super::*;

/// Plays a script: upper part of the alphabet as in the protocol, `>x` sent by the client,
/// `<x` by the server; gives the first reply that was out of turn.
fn play(script: &str) -> Result<Ledger, OutOfTurn> {
    let mut ledger = Ledger::new();
    for word in script.split_whitespace() {
        let (direction, tag) = word.split_at(1);
        match (direction, tag) {
            (">", "Ds") => ledger.request(Request::DescribeStatement),
            (">", tag) => ledger.request(match tag {
                "Q" => Request::Query,
                "P" => Request::Parse,
                "B" => Request::Bind,
                "D" => Request::DescribePortal,
                "E" => Request::Execute,
                "C" => Request::Close,
                "S" => Request::Sync,
                "F" => Request::FunctionCall,
                "c" | "f" => Request::CopyEnd,
                "d" | "H" => Request::Nothing,
                other => panic!("unknown request {other}"),
            }),
            ("<", "Z") => {
                ledger.ready()?;
            }
            ("<", "D") if ledger.rows_due() => {}
            ("<", "d") if ledger.copy_data_due() => {}
            ("<", tag) => {
                ledger.reply(tag.as_bytes()[0])?;
            }
            _ => panic!("unknown word {word}"),
        }
    }
    Ok(ledger)
}

#[test]
fn exchanges_that_settle_everything() {
    for script in [
        // The end of a copy that waits behind another one.
        ">Q <G >d >c >Q >d >c >P >B >E >S <C <Z <G <C <Z <1 <2 <C <Z",
        ">Q >d >c <G >Q >d >c >P >S <C <Z <G <C <Z <1 <Z",
        ">Q <H >Q >d >c >P >S <d <c <C <Z <G <C <Z <1 <Z",
        "",
        ">Q <T <D <D <C <Z",
        ">Q <I <Z",
        ">Q <E <Z",
        ">Q <C <T <D <C <C <Z",
        ">P >B >D >E >S <1 <2 <T <D <C <Z",
        ">P >Ds >S <1 <t <n <Z",
        ">P >Ds >S <1 <t <T <Z",
        ">B >E >S <2 <s <Z",
        ">E >H <D <s >E <D <C >S <Z",
        ">C >S <3 <Z",
        ">F <V <Z",
        ">F <E <Z",
        // A copy that doesn't begin: its end, sent with it, is ignored.
        ">Q >d >c <E <Z",
        ">Q >d >f <E <Z >Q <C <Z",
        ">B >E >d >c >S <2 <E <Z",
        // Errors skip to the Sync, whenever it comes.
        ">P >B >E >S <E <Z",
        ">P >B >E >H <E >B >E >Q >F >S <Z",
        ">P >B >E >S >P >B >E >S <1 <E <Z <1 <2 <C <Z",
        // A commit that fails at the Sync.
        ">P >B >E >S <1 <2 <C <E <Z",
        // COPY, simple protocol.
        ">Q <G >d >d >c <C <Z",
        ">Q <G >d >f <E <Z",
        ">Q <G >d <E <Z >d >c",
        ">Q <H <d <d <c <C <Z",
        ">Q <G >c <C <G >d >c <C <T <D <C <Z",
        ">Q <H <d <E <Z",
        // COPY, extended: a Sync that copy-in swallows owes nothing.
        ">P >B >E >S <1 <2 <G >d >d >c >S <C <Z",
        ">P >B >E >S >d >c >S <1 <2 <G <C <Z",
        ">P >B >E >d >c >S <1 <2 <G <C <Z",
        ">P >B >E >S >d >c >S <1 <2 <E <Z <Z",
        ">P >B >E >S <1 <2 <G >d <E >d >c >S <Z",
        ">P >B >E >S <1 <2 <H <d <c <C <Z",
        // A Sync in an open copy-in: read in it, or after its failure.
        ">P >B >E <1 <2 <G >d >S >d >c >S <C <Z",
        ">P >B >E <1 <2 <G >d >S <E <Z",
        // Replication.
        ">Q <T <D <C <T <D <C <H <d <c <T <D <C <C <Z",
        ">Q <T <D <C <T <D <C <H <d <c <H <d <c <T <D <C <C <Z",
        ">Q <W <d >d <d <c >c <C <Z",
        ">Q <W <d >d >c <c <T <D <C <C <Z",
        ">Q <W <d <E <Z",
    ] {
        match play(script) {
            Ok(ledger) => assert!(ledger.is_settled(), "{script}: {ledger:?}"),
            Err(fault) => panic!("{script}: {fault}"),
        }
    }
}

#[test]
fn replies_out_of_turn_are_named() {
    for (script, due) in [
        ("<Z", "nothing"),
        ("<E", "nothing"),
        ("<C", "nothing"),
        (">Q <D", "a query's result"),
        (">Q <Z", "a query's result"),
        (">Q <T <Z", "a query's rows"),
        (">Q <1", "a query's result"),
        (">Q <C <Z <Z", "nothing"),
        (">P >S <2", "ParseComplete"),
        (">P >S <1 <1", "ReadyForQuery"),
        (">B <D", "BindComplete"),
        (">Ds <T", "ParameterDescription"),
        (">E >S <Z", "the result of Execute"),
        (">E <H <c <T", "the rest of a copy-out"),
        (">Q <H <T", "the rest of a copy-out"),
        (">Q <H <c <D", "the rest of a copy-out"),
        (">Q <H <D", "the rest of a copy-out"),
        (">Q <H <Z", "the rest of a copy-out"),
        (">Q <G <d", "the end of a copy-in"),
        (">Q <C <d", "a query's result"),
        (">E <E <Z", "nothing"),
        (">F <V <V", "ReadyForQuery"),
        (">S <G", "ReadyForQuery"),
    ] {
        match play(script) {
            Err(fault) => assert_eq!(fault.due, due, "{script}"),
            Ok(ledger) => panic!("{script} passed: {ledger:?}"),
        }
    }
}

#[test]
fn unfinished_exchanges_are_not_settled() {
    for script in [
        ">Q",
        ">Q <T <C",
        ">P",
        ">P <E",
        ">Q <G",
        ">E <G >d >S",
        ">P >B >E >S <1 <2 <G >d >c >S <C",
    ] {
        let ledger = play(script).unwrap();
        assert!(!ledger.is_settled(), "{script}");
    }
}

const KEPT: Outcome = Outcome {
    kept: 1,
    failed: 0,
    skipped: 0,
};
const SAY: Terms = Terms {
    fate: Fate::Say,
    promise: true,
};
const INJECTED: Terms = Terms {
    fate: Fate::Swallow,
    promise: true,
};
const PROMISED: Terms = Terms {
    fate: Fate::Forward,
    promise: true,
};

/// What the client sees of a batch into which requests of ours were put.
#[test]
fn replies_of_our_own_requests_are_not_the_clients() {
    let mut ledger = Ledger::new();
    assert!(ledger.owe(Request::Query, Terms::SWALLOW));
    assert!(ledger.owe(Request::Parse, INJECTED));
    assert!(ledger.owe(Request::Bind, Terms::FORWARD));
    assert!(ledger.owe(Request::Close, SAY));
    assert!(ledger.owe(Request::Sync, Terms::FORWARD));
    assert!(ledger.is_ours());
    for tag in *b"TDC" {
        assert_eq!(ledger.reply(tag), Ok(Fate::Swallow));
    }
    assert_eq!(ledger.ready(), Ok(Fate::Swallow));
    assert!(!ledger.is_ours() && !ledger.has_said());
    assert_eq!(ledger.reply(b'1'), Ok(Fate::Swallow));
    assert_eq!(ledger.take_outcome(), KEPT);
    assert_eq!(ledger.take_said(), None);
    assert_eq!(ledger.reply(b'2'), Ok(Fate::Forward));
    // The server can't answer what was never sent.
    assert!(ledger.reply(b'3').is_err());
    assert_eq!(ledger.take_said(), Some(b'3'));
    assert_eq!(ledger.take_outcome(), KEPT);
    assert_eq!(ledger.ready(), Ok(Fate::Forward));
    assert!(ledger.is_closed());
}

#[test]
fn an_error_takes_what_was_to_be_said_behind_it_with_it() {
    let mut ledger = Ledger::new();
    ledger.owe(Request::Parse, PROMISED);
    ledger.owe(Request::Parse, INJECTED);
    ledger.owe(Request::Bind, Terms::FORWARD);
    ledger.owe(Request::Parse, SAY);
    assert_eq!(ledger.reply(b'1'), Ok(Fate::Forward));
    assert_eq!(ledger.take_outcome(), KEPT);
    // In the place of the answer to what ours was made for, so the client gets it.
    assert_eq!(ledger.reply(b'E'), Ok(Fate::Forward));
    assert_eq!(
        ledger.take_outcome(),
        Outcome {
            kept: 0,
            failed: 1,
            skipped: 1
        }
    );
    assert_eq!(ledger.take_said(), None);
    // Skipped: nothing is owed, nothing said.
    assert!(!ledger.owe(Request::Close, SAY));
    assert!(ledger.owe(Request::Sync, Terms::FORWARD));
    assert_eq!(ledger.ready(), Ok(Fate::Forward));
    assert_eq!(ledger.take_outcome(), Outcome::default());
    assert!(ledger.is_closed());
}

#[test]
fn batches_are_told_apart() {
    for (requests, one) in [
        (&[][..], true),
        (&[Request::Parse, Request::Bind, Request::Execute], true),
        (&[Request::Bind, Request::Sync], false),
        (&[Request::Query], false),
        (&[Request::FunctionCall, Request::Parse], false),
        (&[Request::Parse; 65], false),
    ] {
        let mut ledger = Ledger::new();
        // What we put in front leaves the transaction as it is.
        ledger.owe(Request::Query, Terms::SWALLOW);
        assert!(ledger.is_one_batch());
        ledger.reply(b'C').unwrap();
        ledger.ready().unwrap();
        for request in requests {
            ledger.request(*request);
        }
        assert_eq!(ledger.is_one_batch(), one, "{requests:?}");
    }
}

#[test]
fn a_batch_is_taken_back_only_whole() {
    use Request::{Bind, DescribePortal, DescribeStatement, Execute, Parse, Query, Sync};
    for (requests, taken) in [
        (&[Bind, Execute, Sync][..], true),
        (&[Bind, DescribePortal, Execute, Bind, Execute, Sync], true),
        (&[DescribeStatement, Sync], true),
        (&[Bind, Execute], false),
        (&[Parse, Bind, Execute, Sync], false),
        (&[Bind, Parse, Sync], false),
        (&[Execute, Sync], false),
        (&[Sync], false),
        (&[Bind, Sync, Sync], false),
        (&[Bind, Execute, Sync, Bind, Execute, Sync], false),
        (&[Bind, Execute, Sync, Query], false),
        (&[], false),
    ] {
        let mut ledger = Ledger::new();
        for request in requests {
            ledger.request(*request);
        }
        assert_eq!(ledger.take_back(), taken, "{requests:?}");
        match taken {
            true => {
                assert_eq!(ledger.ready(), Ok(Fate::Swallow));
                assert!(ledger.is_closed());
            }
            false => assert_eq!(ledger.len(), requests.len()),
        }
    }
    // A Parse of ours in between goes with it, and what it promised.
    let mut ledger = Ledger::new();
    ledger.request(Bind);
    ledger.owe(Parse, INJECTED);
    ledger.request(Bind);
    ledger.request(Sync);
    assert!(ledger.take_back());
    let skipped = Outcome {
        skipped: 1,
        ..Outcome::default()
    };
    assert!(ledger.has_outcome());
    assert_eq!(ledger.take_outcome(), skipped);
}

#[test]
fn a_refusal_takes_the_place_of_the_error() {
    let refuse = Terms {
        fate: Fate::Refuse,
        promise: true,
    };
    let failed = Outcome {
        failed: 1,
        ..Outcome::default()
    };
    let mut ledger = Ledger::new();
    ledger.owe(Request::Query, refuse);
    assert!(ledger.refuses() && !ledger.is_ours());
    assert_eq!(ledger.reply(b'E'), Ok(Fate::Refuse));
    assert_eq!(ledger.take_outcome(), failed);
    ledger.ready().unwrap();
    assert_eq!(ledger.take_outcome(), Outcome::default());
    ledger.owe(Request::Parse, refuse);
    ledger.owe(Request::Bind, PROMISED);
    ledger.request(Request::Sync);
    assert_eq!(ledger.reply(b'E'), Ok(Fate::Refuse));
    let both = Outcome {
        skipped: 1,
        ..failed
    };
    assert_eq!(ledger.take_outcome(), both);
    assert_eq!(ledger.ready(), Ok(Fate::Forward));
    assert!(ledger.is_closed());
}

#[test]
fn a_query_of_ours_copies_nothing() {
    for tag in *b"GHWd12" {
        let mut ledger = Ledger::new();
        ledger.owe(Request::Query, Terms::SWALLOW);
        assert!(ledger.reply(tag).is_err(), "{}", tag as char);
        assert!(!ledger.rows_due() && !ledger.copy_data_due());
    }
}

#[test]
fn the_end_of_a_refused_copy_hides_nothing_that_is_to_be_said() {
    let say = Terms {
        fate: Fate::Say,
        promise: false,
    };
    let mut ledger = play(">Q >d >c").unwrap();
    ledger.owe(Request::Close, say);
    ledger.reply(b'E').unwrap();
    ledger.ready().unwrap();
    assert!(ledger.has_said());
    assert_eq!(ledger.take_said(), Some(b'3'));
    assert!(ledger.is_settled());
}

/// Behind a Sync the server is sure to speak, and what is said here goes with its words.
#[test]
fn what_is_said_waits_for_the_servers_words_where_those_are_sure_to_come() {
    let say = Terms {
        fate: Fate::Say,
        promise: false,
    };
    let mut ledger = Ledger::new();
    ledger.owe(Request::Parse, say);
    assert!(ledger.must_say(), "the client may send Flush and wait");
    ledger.owe(Request::Sync, Terms::FORWARD);
    assert!(ledger.has_said() && !ledger.must_say());
    assert_eq!(ledger.take_said(), Some(b'1'));
    ledger.ready().unwrap();
    ledger.owe(Request::Close, say);
    assert!(ledger.must_say());
}
