//! Whole conversations as text, and what must hold for all of them: input may come in any pieces, any
//! bytes are survived.

#![allow(clippy::unwrap_used, reason = "what a test can't unwrap has failed it")]

use admin::fuzzing::play;
use admin::{Right, Step};
use proptest::prelude::*;
use wire::frame::Header;
use wire::from_client::{Bind, Close, Describe, Execute, Parse, Query, Sync, Target, Terminate};
use wire::trace::{Detail, Sender, Trace};
use wire::{Int16s, Int32s, Message, Values};

/// Frames of a client.
#[derive(Default)]
struct Says(Vec<u8>);

impl Says {
    fn message<'a>(mut self, message: &impl Message<'a>) -> Self {
        message.encode(&mut self.0).unwrap();
        self
    }

    fn query(self, sql: &str) -> Self {
        self.message(&Query { sql: sql.into() })
    }

    fn queries(self, all: &[&str]) -> Self {
        all.iter().fold(self, |says, sql| says.query(sql))
    }

    fn parse(self, name: &str, sql: &str) -> Self {
        self.message(&Parse {
            statement: name.into(),
            sql: sql.into(),
            types: Int32s::default(),
        })
    }

    fn bind(self, portal: &str, name: &str, formats: &[i16]) -> Self {
        let mut scratch = Vec::new();
        self.message(&Bind {
            portal: portal.into(),
            statement: name.into(),
            formats: Int16s::default(),
            values: Values::default(),
            result_formats: Int16s::pack(formats, &mut scratch).unwrap(),
        })
    }

    fn execute(self, portal: &str, rows_max: i32) -> Self {
        self.message(&Execute {
            portal: portal.into(),
            rows_max,
        })
    }

    fn sync(self) -> Self {
        self.message(&Sync)
    }
}

fn simple() -> Says {
    Says::default()
        .queries(&[
            "SHOW VERSION;",
            "show help",
            "select state",
            "",
            "; ",
            "-- ping",
            "SHOW timezone",
            "SET extra_float_digits = 3",
            "show version; show version",
            "select 1",
            "SHOW FDS",
            "begin",
        ])
        .message(&Terminate)
}

fn orders() -> Says {
    Says::default().queries(&[
        "RELOAD;",
        "PAUSE nix",
        "SET verbose = 2",
        "KILL_CLIENT 7",
        "KILL_CLIENT x",
        "DISABLE",
        "DRAIN main db-1:5432",
        "DRAIN main",
        "UNDRAIN main db-1",
        "SWITCHOVER",
        "SWITCHOVER main TO db-2",
        "SHUTDOWN WAIT_FOR_CLIENTS",
    ])
}

fn extended() -> Says {
    Says::default()
        // As pgx does.
        .parse("s1", "show lists")
        .message(&Describe {
            target: Target::Statement("s1".into()),
        })
        .sync()
        .bind("", "s1", &[0, 1])
        .message(&Describe {
            target: Target::Portal("".into()),
        })
        .execute("", 2)
        .execute("", 13)
        .execute("", 1)
        .sync()
        // Names, errors and what is skipped.
        .parse("s1", "show pools")
        .bind("", "s1", &[])
        .sync()
        .bind("", "s1", &[0, 0, 0])
        .sync()
        .execute("", 0)
        .sync()
        .message(&Close {
            target: Target::Statement("s1".into()),
        })
        .bind("", "s1", &[])
        .sync()
        // What has no rows.
        .parse("", "set timezone to utc")
        .bind("", "", &[1])
        .message(&Describe {
            target: Target::Portal("".into()),
        })
        .execute("", 0)
        .parse("", "")
        .bind("", "", &[])
        .execute("", 1)
        .parse("", "reload")
        .bind("", "", &[])
        .execute("", 0)
        .sync()
        .parse("", "nonsense")
        .sync()
        .query("reload")
        .bind("", "", &[])
        .sync()
}

/// Each message of the client's, and what it reads before it sends the next.
fn rendered(right: Right, says: &Says) -> String {
    let mut trace = Trace::new(Detail::Unredacted);
    let mut lines = Vec::new();
    let (mut sent, mut seen) = (0, 0);
    while let Some(header) = Header::peek(&says.0[sent..]) {
        let next = sent + header.total();
        lines.extend(trace.frames(Sender::Client, &says.0[sent..next]));
        sent = next;
        let (read, end) = play(right, &says.0[..sent], usize::MAX);
        lines.extend(trace.frames(Sender::Server, &read[seen..]));
        seen = read.len();
        if end != Ok(Step::Read) {
            lines.push(format!("= {end:?}"));
        }
    }
    lines.join("\n") + "\n"
}

#[test]
fn conversations_read_as_they_did() {
    for (name, right, says) in [
        ("simple", Right::Stats, simple()),
        ("orders", Right::Admin, orders()),
        ("orders_of_a_watcher", Right::Stats, orders()),
        ("extended", Right::Admin, extended()),
        ("extended_of_a_watcher", Right::Stats, extended()),
    ] {
        let path = format!("{}/tests/golden/{name}.trace", env!("CARGO_MANIFEST_DIR"));
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        let found = rendered(right, &says);
        assert!(expected == found, "{path} says otherwise:\n{found}");
    }
}

#[test]
fn great_tables_leave_in_pieces_and_whole() {
    let (read, end) = play(
        Right::Stats,
        &Says::default().query("show clients").0,
        usize::MAX,
    );
    assert_eq!(end, Ok(Step::Read));
    assert!(read.len() > 3 * 8192);
    let lines = Trace::default().frames(Sender::Server, &read);
    let rows = lines
        .iter()
        .filter(|it| it.starts_with("< DataRow"))
        .count();
    assert_eq!((rows, lines.len()), (200, 203));
}

#[test]
fn what_is_not_the_protocol_ends_it() {
    for bytes in [
        &b"p\0\0\0\x05\0"[..],
        b"!\0\0\0\x04",
        b"Q\0\0\0\x03",
        b"Q\0\0\x40\x01",
        b"Q\0\0\0\x05a",
        b"Q\0\0\0\x07a\0b",
        b"B\0\0\0\x05\0",
        b"D\0\0\0\x06X\0",
    ] {
        let (read, end) = play(Right::Admin, bytes, usize::MAX);
        assert!(end.is_err() && read.is_empty(), "{bytes:?}: {end:?}");
    }
}

/// All that the client may find out is the protocol.
fn is_protocol(read: &[u8]) {
    for line in Trace::default().frames(Sender::Server, read) {
        assert!(
            !line.contains("invalid:") && !line.contains("incomplete"),
            "{line}"
        );
        assert!(!line.contains("unknown"), "{line}");
    }
}

proptest! {
    #[test]
    fn any_pieces_give_the_same(piece in 1usize..64, admin: bool, which in 0usize..3) {
        let right = if admin { Right::Admin } else { Right::Stats };
        let says = [simple(), orders(), extended()].into_iter().nth(which).unwrap();
        prop_assert_eq!(play(right, &says.0, piece), play(right, &says.0, usize::MAX));
    }

    #[test]
    fn any_change_is_survived(
        which in 0usize..3,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        piece in 1usize..500,
    ) {
        let mut bytes = [simple(), orders(), extended()].into_iter().nth(which).unwrap().0;
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        is_protocol(&play(Right::Admin, &bytes, piece).0);
        is_protocol(&play(Right::Stats, &bytes, piece).0);
        admin::fuzzing::console(&bytes);
    }

    #[test]
    fn any_text_is_answered(text in "[^\0]{0,40}") {
        let (read, end) = play(Right::Admin, &Says::default().query(&text).0, usize::MAX);
        prop_assert_eq!(end, Ok(Step::Read));
        is_protocol(&read);
        prop_assert!(read.ends_with(b"Z\0\0\0\x05I"));
    }

    #[test]
    fn a_watcher_gives_no_orders(text in "(pause|resume|kill|kill_client|reconnect|disable|enable|suspend|wait_close|reload|shutdown|set) ?[a-z0-9]{0,3}( = 1)?;?") {
        // `play` panics if a command of a watcher's comes through.
        let (read, _) = play(Right::Stats, &Says::default().query(&text).0, usize::MAX);
        prop_assert!(read.starts_with(b"E"));
    }
}
