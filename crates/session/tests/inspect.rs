//! Statements as they are seen: the same ones however the bytes are cut, in every protocol mode, for clients with
//! a server connection of their own and for those that share; and what passes is what passes without.

use buf::Plain;
use patterns::Recogniser;
use session::inspect::{End, Event, Inspection};
use session::relay::{to_client, to_server};
use session::statements::{CacheLimits, Interner, Mode, Pooled, StatementLimits};
use session::{ClientStream, Reported, Server};
use wire::ProtocolVersion;

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u32 + 4).to_be_bytes();
    [&[tag][..], &len, body].concat()
}

fn query(text: &str) -> Vec<u8> {
    frame(b'Q', &[text.as_bytes(), b"\0"].concat())
}

fn parse(name: &str, text: &str) -> Vec<u8> {
    let body = [name.as_bytes(), b"\0", text.as_bytes(), b"\0\0\0"].concat();
    frame(b'P', &body)
}

fn bind(portal: &str, name: &str) -> Vec<u8> {
    let body = [portal.as_bytes(), b"\0", name.as_bytes(), b"\0\0\0\0\0\0\0"].concat();
    frame(b'B', &body)
}

fn execute(portal: &str) -> Vec<u8> {
    frame(b'E', &[portal.as_bytes(), b"\0\0\0\0\0"].concat())
}

fn sync() -> Vec<u8> {
    frame(b'S', b"")
}

fn complete(tag: &str) -> Vec<u8> {
    frame(b'C', &[tag.as_bytes(), b"\0"].concat())
}

fn row() -> Vec<u8> {
    frame(b'D', b"\0\x01\0\0\0\x011")
}

fn ready(status: u8) -> Vec<u8> {
    frame(b'Z', &[status])
}

fn error(code: &str) -> Vec<u8> {
    let body = format!("SERROR\0VERROR\0C{code}\0Mno\0\0");
    frame(b'E', body.as_bytes())
}

/// Bytes of one side.
enum Says {
    Client(Vec<u8>),
    Server(Vec<u8>),
}
use Says::{Client, Server as Serves};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Own,
    Shared,
}

/// Plays a script in pieces of `size`; gives what the client got, and what was seen, in words.
fn play(kind: Kind, script: &[Says], (size, watched): (usize, bool)) -> (Vec<u8>, Vec<String>) {
    let mut stream = match kind {
        Kind::Own => ClientStream::new(0),
        Kind::Shared => {
            let interner = Interner::new([7; 32], CacheLimits::default());
            let pooled = Pooled::new(interner, StatementLimits::default(), Mode::Transaction);
            ClientStream::pooled(0, pooled)
        }
    };
    if watched {
        stream.inspect(Inspection {
            recogniser: Recogniser::new([1; 32]),
            keep_text: 0,
            keep_values: 0,
            traces: false,
        });
    }
    let mut link = Server::new(ProtocolVersion::V3_0, None, Reported::default());
    stream.link(&mut link);
    let plain = || Plain::with_capacity(4096);
    let (mut up, mut at_server, mut down, mut at_client) = (plain(), plain(), plain(), plain());
    let (mut got, mut seen) = (Vec::new(), Vec::new());
    for says in script {
        let (Client(bytes) | Serves(bytes)) = says;
        for piece in bytes.chunks(size) {
            match says {
                Client(_) => {
                    up.push(piece).expect("no fault");
                    to_server(&mut stream, &mut link, &mut up, &mut at_server).expect("no fault");
                    at_server.clear();
                }
                Serves(_) => {
                    down.push(piece).expect("no fault");
                    to_client(&mut stream, &mut link, &mut down, &mut at_client).expect("no fault");
                    got.extend_from_slice(at_client.bytes());
                    at_client.clear();
                }
            }
            if let Some(inspector) = &mut link.inspector {
                while let Some(event) = inspector.next_event() {
                    seen.extend(said(&event));
                }
            }
        }
    }
    assert!(up.is_empty() && down.is_empty(), "{kind:?} at {size}");
    if let Some(inspector) = &mut link.inspector {
        inspector.lost();
        while let Some(event) = inspector.next_event() {
            seen.extend(said(&event));
        }
    }
    (got, seen)
}

/// An event in words. A row that comes with its statement's end is told with it.
fn said(event: &Event<'_>) -> Vec<String> {
    match event {
        Event::Started(it) => vec![format!("{} start {}", it.number, it.known.pattern.text)],
        Event::Refused(it) => vec![format!("refused {}", it.known.pattern.text)],
        Event::FirstRow(it) => vec![format!("{} row", it.number)],
        Event::Completed(it) => {
            let row = it.begins.then(|| format!("{} row", it.number));
            let state = it
                .sqlstate
                .map(|it| String::from_utf8_lossy(&it).into_owned());
            let word = match it.end {
                End::Done => "done",
                other => other.word(),
            };
            let end = format!(
                "{} {word} {} {} {}",
                it.number,
                it.command.as_str(),
                it.rows(),
                state.unwrap_or_default()
            );
            row.into_iter().chain([end]).collect()
        }
    }
}

/// The same is seen however the bytes are cut, and the client gets what it gets without.
fn sees(kinds: &[Kind], script: &[Says], wanted: &[&str]) {
    for kind in kinds {
        let (without, nothing) = play(*kind, script, (usize::MAX, false));
        assert!(nothing.is_empty());
        for size in [1, 2, 3, 5, 7, 11, 64, 4096] {
            let (got, seen) = play(*kind, script, (size, true));
            let seen: Vec<&str> = seen.iter().map(|it| it.trim_end()).collect();
            assert_eq!(seen, wanted, "{kind:?} in pieces of {size}");
            assert_eq!(got, without, "{kind:?} in pieces of {size}");
        }
    }
}

const BOTH: &[Kind] = &[Kind::Own, Kind::Shared];

#[test]
fn queries() {
    let description = frame(b'T', b"\0\0");
    let script = [
        Client(query("SELECT 'secret'")),
        Serves(
            [
                description.clone(),
                row(),
                row(),
                complete("SELECT 2"),
                ready(b'I'),
            ]
            .concat(),
        ),
        Client(query("insert into t values (1); select 1")),
        Serves(
            [
                complete("INSERT 0 5"),
                description,
                row(),
                complete("SELECT 1"),
                ready(b'I'),
            ]
            .concat(),
        ),
        Client(query("selec")),
        Serves([error("42601"), ready(b'I')].concat()),
        Client(query("")),
        Serves([frame(b'I', b""), ready(b'I')].concat()),
        Client(query("select pg_sleep(9)")),
    ];
    let wanted = [
        "1 start select ?",
        "1 row",
        "1 done SELECT 2",
        "2 start insert into t values (?); select ?",
        "2 row",
        "2 done SELECT 6",
        "3 start selec",
        "3 failed  0 42601",
        "4 start (empty)",
        "4 done  0",
        "5 start select pg_sleep(?)",
        "5 lost  0",
    ];
    sees(BOTH, &script, &wanted);
}

#[test]
fn prepared_statements_and_portals() {
    let opened = [frame(b'1', b""), frame(b'2', b"")].concat();
    let script = [
        Client([parse("s", "select a from t where b = $1"), sync()].concat()),
        Serves([frame(b'1', b""), ready(b'I')].concat()),
        // One batch of two, then the unnamed one, all before an answer.
        Client(
            [
                bind("", "s"),
                execute(""),
                bind("p", "s"),
                execute("p"),
                sync(),
            ]
            .concat(),
        ),
        Client(
            [
                parse("", "update t set a = 1"),
                bind("", ""),
                execute(""),
                sync(),
            ]
            .concat(),
        ),
        Serves([frame(b'2', b""), row(), complete("SELECT 1")].concat()),
        Serves(
            [
                frame(b'2', b""),
                row(),
                row(),
                frame(b's', b""),
                ready(b'I'),
            ]
            .concat(),
        ),
        Serves([opened, complete("UPDATE 3"), ready(b'I')].concat()),
    ];
    let wanted = [
        "1 start select a from t where b = ?",
        "2 start select a from t where b = ?",
        "3 start update t set a = ?",
        "1 row",
        "1 done SELECT 1",
        "2 row",
        "2 suspended  2",
        "3 done UPDATE 3",
    ];
    sees(BOTH, &script, &wanted);
}

#[test]
fn batches_that_come_over_and_over() {
    let run = || Client([bind("", "s"), execute(""), sync()].concat());
    let described = || {
        let portal = frame(b'D', b"P\0");
        Client([bind("", "s"), portal, execute(""), sync()].concat())
    };
    let answer = |columns: &[u8]| {
        let bound = [&frame(b'2', b"")[..], columns, &row()].concat();
        Serves([bound, complete("SELECT 1"), ready(b'I')].concat())
    };
    let columns = frame(b'T', b"\0\0");
    let script = [
        Client([parse("s", "select a from t where b = $1"), sync()].concat()),
        Serves([frame(b'1', b""), ready(b'I')].concat()),
        run(),
        answer(b""),
        described(),
        answer(&columns),
        run(),
        run(),
        answer(b""),
        Serves([frame(b'2', b""), error("57014"), ready(b'I')].concat()),
    ];
    let wanted = [
        "1 start select a from t where b = ?",
        "1 row",
        "1 done SELECT 1",
        "2 start select a from t where b = ?",
        "2 row",
        "2 done SELECT 1",
        "3 start select a from t where b = ?",
        "4 start select a from t where b = ?",
        "3 row",
        "3 done SELECT 1",
        "4 failed  0 57014",
    ];
    sees(BOTH, &script, &wanted);
}

/// What was bound in a batch is there for the next one if a transaction is open then: begun before, or by the batch itself.
#[test]
fn portals_of_batches_that_come_over_and_over_are_known_while_they_last() {
    let run = |name: &str| Client([bind("", name), execute(""), sync()].concat());
    let again = || Client([execute(""), sync()].concat());
    let answer = |status| {
        let bound = [frame(b'2', b""), row()].concat();
        Serves([bound, complete("SELECT 1"), ready(status)].concat())
    };
    let over = || Serves([error("55000"), ready(b'E')].concat());
    let script = [
        Client([parse("s", "select 1"), parse("b", "begin"), sync()].concat()),
        Serves([frame(b'1', b""), frame(b'1', b""), ready(b'I')].concat()),
        run("s"),
        answer(b'I'),
        run("b"),
        Serves([frame(b'2', b""), complete("BEGIN"), ready(b'T')].concat()),
        again(),
        over(),
        Client(query("rollback")),
        Serves([complete("ROLLBACK"), ready(b'I')].concat()),
        Client(query("begin")),
        Serves([complete("BEGIN"), ready(b'T')].concat()),
        run("s"),
        answer(b'T'),
        again(),
        over(),
    ];
    let wanted = [
        "1 start select ?",
        "1 row",
        "1 done SELECT 1",
        "2 start begin",
        "2 done BEGIN 0",
        "3 start begin",
        "3 failed  0 55000",
        "4 start rollback",
        "4 done ROLLBACK 0",
        "5 start begin",
        "5 done BEGIN 0",
        "6 start select ?",
        "6 row",
        "6 done SELECT 1",
        "7 start select ?",
        "7 failed  0 55000",
    ];
    sees(BOTH, &script, &wanted);
}

#[test]
fn a_failed_batch_is_one_error_and_what_it_skips() {
    let script = [
        Client([parse("", "select a"), bind("", ""), execute("")].concat()),
        Client(
            [
                parse("", "select 1/0"),
                bind("", ""),
                execute(""),
                execute(""),
                sync(),
            ]
            .concat(),
        ),
        Serves(
            [
                frame(b'1', b""),
                frame(b'2', b""),
                row(),
                complete("SELECT 1"),
            ]
            .concat(),
        ),
        Serves([frame(b'1', b""), error("22012"), ready(b'I')].concat()),
    ];
    let wanted = [
        "1 start select a",
        "2 start select ?/?",
        "3 start select ?/?",
        "1 row",
        "1 done SELECT 1",
        "2 failed  0 22012",
        "3 skipped  0",
    ];
    sees(BOTH, &script, &wanted);
}

/// A definition that failed leaves the one before; a name that nobody defined isn't followed.
#[test]
fn names_are_what_the_server_confirmed() {
    let used = |answer: Vec<u8>| Serves([frame(b'2', b""), answer, ready(b'I')].concat());
    let run = || Client([bind("", "s"), execute(""), sync()].concat());
    let script = [
        Client([parse("s", "select a"), sync()].concat()),
        Serves([frame(b'1', b""), ready(b'I')].concat()),
        Client([parse("s", "select b"), sync()].concat()),
        Serves([error("42P05"), ready(b'I')].concat()),
        run(),
        used(complete("SELECT 0")),
        Client([frame(b'C', b"Ss\0"), sync()].concat()),
        Serves([frame(b'3', b""), ready(b'I')].concat()),
        run(),
        Serves([error("26000"), ready(b'I')].concat()),
    ];
    let wanted = [
        "1 start select a",
        "1 done SELECT 0",
        "2 start (a statement that was not followed)",
        "2 failed  0 26000",
    ];
    sees(&[Kind::Own], &script, &wanted);
}

#[test]
fn copies_and_function_calls() {
    let opens = |tag| frame(tag, b"\0\0\0");
    let data = frame(b'd', b"row\n");
    let script = [
        Client(query("copy t from stdin")),
        Serves(opens(b'G')),
        Client([data.repeat(3), frame(b'c', b"")].concat()),
        Serves([complete("COPY 3"), ready(b'I')].concat()),
        Client(query("copy t to stdout")),
        Serves(
            [
                opens(b'H'),
                data.repeat(2),
                frame(b'c', b""),
                complete("COPY 2"),
                ready(b'I'),
            ]
            .concat(),
        ),
        Client(frame(b'F', b"\0\0\0\x01\0\0\0\0\0\0")),
        Serves([frame(b'V', b"\xff\xff\xff\xff"), ready(b'I')].concat()),
    ];
    let wanted = [
        "1 start copy t from stdin",
        "1 done COPY 3",
        "2 start copy t to stdout",
        "2 row",
        "2 done COPY 2",
        "3 start (function call)",
        "3 done  0",
    ];
    sees(BOTH, &script, &wanted);
}
