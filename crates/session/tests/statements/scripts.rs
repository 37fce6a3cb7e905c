//! Exchanges as tables: what a client sends, what servers get of it, what the client reads.
//!
//! A script's words are messages: `P(name,text)`, `B(name)`, `B(name,v)` with a value, `E`, `D(name)`,
//! `C(name)`, `Q(text)`, `S`, `H`; `_` stands for a blank in a text. `@0` lends the first server,
//! `*` says that tables have other columns now, `-` that the server has lost its statements. What stands
//! before `S`, `H` or `Q` comes at once with it, and is answered. Of the servers' words `#1` is the first name that one got, `#0` the
//! statement that is there to exist.

use crate::model::{Model, frame, frames};
use crate::shared::pooled;
use buf::Plain;
use session::relay::{Relayed, to_client, to_server};
use session::statements::{CacheLimits, Interner, Mode, StatementLimits};
use session::{ClientStream, Reported, Server};
use sql::Effects;
use wire::ProtocolVersion;

fn message(word: &str) -> Vec<u8> {
    let (tag, rest) = word.split_at(1);
    let inner = rest
        .strip_prefix('(')
        .and_then(|it| it.strip_suffix(')'))
        .unwrap_or("");
    let (first, second) = inner.split_once(',').unwrap_or((inner, ""));
    let text = |it: &str| it.replace('_', " ");
    let body = match tag {
        "P" => format!("{first}\0{}\0\0\0", text(second)),
        "B" if second == "v" => format!("\0{first}\0\0\0\0\x01\0\0\0\x01v\0\0"),
        "B" => format!("\0{first}\0\0\0\0\0\0\0"),
        "E" => "\0\0\0\0\0".to_owned(),
        "D" | "C" => format!("S{first}\0"),
        "Q" => format!("{}\0", text(first)),
        _ => String::new(),
    };
    frame(tag.as_bytes()[0], body.as_bytes())
}

/// Frames to servers in the words of a script.
fn seen(taken: &[(u8, Vec<u8>)], names: &mut Vec<String>) -> String {
    let mut words = vec![];
    for (tag, body) in taken {
        let parts: Vec<_> = body.split(|byte| *byte == 0).collect();
        let part = |at: usize| String::from_utf8_lossy(parts[at]).into_owned();
        let fixture = format!("pc_{}", "0".repeat(32));
        let text = |at: usize| part(at).replace(' ', "_").replace(&fixture, "#0");
        let mut name = |name: String| -> String {
            if !name.starts_with("pc_") {
                return name;
            }
            if name.ends_with(&"0".repeat(32)) {
                return "#0".to_owned();
            }
            let known = names.iter().position(|it| *it == name);
            let at = known.unwrap_or(names.len());
            if known.is_none() {
                names.push(name);
            }
            format!("#{}", at + 1)
        };
        words.push(match tag {
            b'P' => format!("P({},{})", name(part(0)), text(1)),
            b'B' => match body.contains(&b'v') {
                true => format!("B({},v)", name(part(1))),
                false => format!("B({})", name(part(1))),
            },
            b'D' | b'C' => format!("{}({})", *tag as char, name(part(0)[1..].to_owned())),
            b'Q' => format!("Q({})", text(0)),
            tag => (*tag as char).to_string(),
        });
    }
    words.join(" ")
}

/// Frames to the client in short: the tag, and of errors the SQLSTATE, of ReadyForQuery the status.
fn read(mut bytes: Vec<u8>) -> String {
    let words = frames(&mut bytes).into_iter().map(|(tag, body)| {
        let text = String::from_utf8_lossy(&body).into_owned();
        match tag {
            b'E' => {
                let code = text.split('\0').find_map(|it| it.strip_prefix('C'));
                format!("E{}", code.unwrap_or("?"))
            }
            b'Z' if text == "I" => "Z".to_owned(),
            b'Z' => format!("Z{text}"),
            tag => (tag as char).to_string(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

struct Play {
    stream: ClientStream,
    links: Vec<(Server, Model)>,
    at: usize,
    names: Vec<String>,
    seen: Vec<String>,
    read: Vec<u8>,
}

impl Play {
    fn new(limits: StatementLimits, mode: Mode) -> Play {
        let interner = Interner::new([3; 32], CacheLimits::default());
        let server = || Server::new(ProtocolVersion::V3_0, None, Reported::default());
        Play {
            stream: pooled(&interner, limits, mode),
            links: (0..2).map(|_| (server(), Model::default())).collect(),
            at: 0,
            names: vec![],
            seen: vec![],
            read: vec![],
        }
    }

    fn play(&mut self, script: &str) {
        self.link(0);
        let mut batch = vec![];
        for word in script.split_whitespace() {
            match word {
                "@0" => self.link(0),
                "@1" => self.link(1),
                "*" => self
                    .links
                    .iter_mut()
                    .for_each(|(_, model)| model.columns += 1),
                "-" => self.links[self.at].1.lose_all(),
                word => {
                    batch.extend(message(word));
                    if matches!(word.as_bytes()[0], b'S' | b'Q' | b'H') {
                        self.send(&std::mem::take(&mut batch));
                    }
                }
            }
        }
    }

    fn link(&mut self, at: usize) {
        assert!(self.links[self.at].0.is_idle());
        self.at = at;
        self.stream.link(&mut self.links[at].0);
    }

    fn send(&mut self, bytes: &[u8]) {
        let mut plain: [Plain; 4] = std::array::from_fn(|_| Plain::with_capacity(32 * 1024));
        let [from_client, at_server, from_server, at_client] = &mut plain;
        let (link, model) = &mut self.links[self.at];
        from_client.push(bytes).expect("room");
        loop {
            let relayed = to_server(&mut self.stream, link, from_client, at_server);
            assert_eq!(relayed, Ok(Relayed::Open));
            let before = model.taken.len();
            model.take(at_server.bytes());
            let sent = !at_server.is_empty();
            at_server.clear();
            let seen = seen(&model.taken[before..], &mut self.names);
            self.seen.extend((!seen.is_empty()).then_some(seen));
            from_server
                .push(&std::mem::take(&mut model.output))
                .expect("room");
            let relayed = to_client(&mut self.stream, link, from_server, at_client);
            assert_eq!(relayed, Ok(Relayed::Open));
            self.read.extend_from_slice(at_client.bytes());
            at_client.clear();
            if !sent {
                break;
            }
        }
        assert!(from_client.is_empty() && from_server.is_empty());
    }
}

/// Script, what servers get, what the client reads.
type Row = (&'static str, &'static str, &'static str);

fn check(limits: StatementLimits, mode: Mode, table: &[Row]) {
    for (script, sent, got) in table {
        let mut play = Play::new(limits, mode);
        play.play(script);
        assert_eq!(play.seen.join(" "), *sent, "{script}");
        assert_eq!(read(play.read), *got, "{script}");
    }
}

fn max(server_max: usize) -> StatementLimits {
    StatementLimits {
        server_max,
        ..StatementLimits::default()
    }
}

#[test]
fn named_statements_follow_their_client() {
    check(
        max(10),
        Mode::Transaction,
        &[
            (
                "P(a,SELECT_1) B(a) E S @1 B(a) E S @0 B(a) E S",
                "P(#1,SELECT_1) B(#1) E S P(#1,SELECT_1) B(#1) E S B(#1) E S",
                "1 2 D C Z 2 D C Z 2 D C Z",
            ),
            // The same text is there already: nothing is sent.
            (
                "P(a,SELECT_1) S P(b,SELECT_1) D(b) S C(a) B(b) E S",
                "P(#1,SELECT_1) S D(#1) S B(#1) E S",
                "1 Z 1 t T Z 3 2 D C Z",
            ),
            (
                "P(a,SELEC) S B(a) S",
                "P(#1,SELEC) S B(a) S",
                "E42601 Z E26000 Z",
            ),
            // A name that the client has: the server refuses it, in PostgreSQL's order.
            (
                "P(a,SELECT_1) S P(a,SELECT_2) S P(a,SELEC) S B(a) E S",
                "P(#1,SELECT_1) S P(#0,) P(#0,SELECT_2) S P(#0,SELEC) S B(#1) E S",
                "1 Z E42P05 Z E42601 Z 2 D C Z",
            ),
            // Closed and made anew.
            (
                "P(a,SELECT_1) S C(a) S B(a) S P(a,SELECT_2) B(a) E S",
                "P(#1,SELECT_1) S S B(a) S P(#2,SELECT_2) B(#2) E S",
                "1 Z 3 Z E26000 Z 1 2 D C Z",
            ),
            // Names that nobody has; ours are out of reach.
            ("C(x) D(x) S", "C(x) D(x) S", "3 E26000 Z"),
            (
                "B(pc_1) S C(pc_1) S D(pc_1) S",
                "B(----) S S D(----) S",
                "E26000 Z 3 Z E26000 Z",
            ),
            // A failed transaction refuses a text that is there.
            (
                "P(a,SELECT_1) P(b,SELECT_1/0) S Q(BEGIN) B(b) E S P(c,SELECT_1) S Q(ROLLBACK) B(a) E S",
                "P(#1,SELECT_1) P(#2,SELECT_1/0) S Q(BEGIN) B(#2) E S C(#1) P(#1,SELECT_1) S \
                 Q(ROLLBACK) P(#1,SELECT_1) B(#1) E S",
                "1 1 Z C ZT 2 E22012 ZE E25P02 ZE C Z 2 D C Z",
            ),
        ],
    );
}

#[test]
fn unnamed_statements_follow_their_client() {
    check(
        max(10),
        Mode::Transaction,
        &[
            // The first time as it is; used again elsewhere.
            (
                "P(,SELECT_1) D() S @1 B() E S B() E S @0 B() E S",
                "P(,SELECT_1) D() S P(,SELECT_1) B() E S B() E S P(,SELECT_1) B() E S",
                "1 t T Z 2 D C Z 2 D C Z 2 D C Z",
            ),
            // From the second time on with a plan that is kept.
            (
                "P(,SELECT_1) B() E S P(,SELECT_1) B() E S P(,SELECT_1) B() E S @1 B() E S",
                "P(,SELECT_1) B() E S P(#1,SELECT_1) B(#1) E S B(#1) E S P(#1,SELECT_1) B(#1) E S",
                "1 2 D C Z 1 2 D C Z 1 2 D C Z 2 D C Z",
            ),
            // Not where the text may mean something else by now.
            (
                "P(a,SET_DateStyle_=_'DMY') S P(,SELECT_1) B() E S P(,SELECT_1) B() E S B(a) E S P(,SELECT_1) B() E S",
                "P(#1,SET_DateStyle_=_'DMY') S P(,SELECT_1) B() E S P(#2,SELECT_1) B(#2) E S B(#1) E S P(,SELECT_1) B() E S",
                "1 Z 1 2 D C Z 1 2 D C Z 2 C Z 1 2 D C Z",
            ),
            // A Query takes it away, wherever it is.
            (
                "P(,SELECT_1) S Q() B() S",
                "P(,SELECT_1) S Q() B() S",
                "1 Z I Z E26000 Z",
            ),
            // Another client's is never met.
            ("B() S", "C() B() S", "E26000 Z"),
            (
                "P(,SELECT_1) S C() S B() S",
                "P(,SELECT_1) S S C() B() S",
                "1 Z 3 Z E26000 Z",
            ),
            // A failing Parse takes the former one away.
            (
                "P(,SELECT_1) S P(,SELEC) S B() S",
                "P(,SELECT_1) S P(,SELEC) S B() S",
                "1 Z E42601 Z E26000 Z",
            ),
        ],
    );
}

#[test]
fn what_was_read_under_other_settings_is_not_shared() {
    check(
        max(10),
        Mode::Transaction,
        &[
            // Sent again although it is there, and anew in the next lease.
            (
                "P(a,SELECT_1) S Q(SET_DateStyle_=_'DMY') P(b,SELECT_1) S B(b) E S @0 B(a) E S B(a) E S",
                "P(#1,SELECT_1) S Q(SET_DateStyle_=_'DMY') C(#1) P(#1,SELECT_1) S B(#1) E S \
                 C(#1) P(#1,SELECT_1) B(#1) E S B(#1) E S",
                "1 Z C Z 1 Z 2 D C Z 2 D C Z 2 D C Z",
            ),
            (
                "P(a,SELECT_1) S Q(SET_LOCAL_app.x_=_1) P(b,SELECT_1) S @0 B(a) E S",
                "P(#1,SELECT_1) S Q(SET_LOCAL_app.x_=_1) S B(#1) E S",
                "1 Z C Z 1 Z 2 D C Z",
            ),
            // A function may have set something: in its batch, and until the batch's end tells.
            (
                "P(a,SELECT_1) S P(,SELECT_f()) B() E P(b,SELECT_1) S P(c,SELECT_1) S @0 B(a) E S",
                "P(#1,SELECT_1) S P(,SELECT_f()) B() E C(#1) P(#1,SELECT_1) S S \
                 C(#1) P(#1,SELECT_1) B(#1) E S",
                "1 Z 1 2 D C 1 Z 1 Z 2 D C Z",
            ),
        ],
    );
}

#[test]
fn a_server_holds_so_many_statements() {
    check(
        max(2),
        Mode::Transaction,
        &[(
            "P(a,SELECT_1) P(b,SELECT_2) S B(a) E S P(c,SELECT_3) S B(b) E S B(c) E S",
            "P(#1,SELECT_1) P(#2,SELECT_2) S B(#1) E S C(#2) P(#3,SELECT_3) S \
             C(#1) P(#2,SELECT_2) B(#2) E S B(#3) E S",
            "1 1 Z 2 D C Z 1 Z 2 D C Z 2 D C Z",
        )],
    );
    check(
        max(0),
        Mode::Transaction,
        &[(
            "P(a,SELECT_1) B(a) E S P(a,SELECT_1) S C(a) S P(,SELECT_1) S @1 B() E S",
            "P(a,SELECT_1) B(a) E S P(a,SELECT_1) S C(a) S P(,SELECT_1) S P(,SELECT_1) B() E S",
            "1 2 D C Z E42P05 Z 3 Z 1 Z 2 D C Z",
        )],
    );
}

#[test]
fn statements_are_forgotten_by_sql() {
    check(
        max(10),
        Mode::Transaction,
        &[
            (
                "P(a,SELECT_1) S Q(DEALLOCATE_a) B(a) S",
                "P(#1,SELECT_1) S Q(PREPARE_pc_deallocate_AS_SELECT;_DEALLOCATE_pc_deallocate) B(a) S",
                "1 Z C Z E26000 Z",
            ),
            ("Q(DEALLOCATE_a)", "Q(DEALLOCATE_a)", "E26000 Z"),
            (
                "P(a,SELECT_1) S Q(BEGIN) Q(SELEC) Q(DEALLOCATE_a) Q(ROLLBACK) B(a) E S",
                "P(#1,SELECT_1) S Q(BEGIN) Q(SELEC) \
                 Q(PREPARE_pc_deallocate_AS_SELECT;_DEALLOCATE_pc_deallocate) Q(ROLLBACK) B(#1) E S",
                "1 Z C ZT E42601 ZE E25P02 ZE C Z 2 D C Z",
            ),
            (
                "P(a,SELECT_1) S Q(DISCARD_ALL) B(a) S P(a,SELECT_1) B(a) E S",
                "P(#1,SELECT_1) S Q(DISCARD_ALL) B(a) S P(#1,SELECT_1) B(#1) E S",
                "1 Z C Z E26000 Z 1 2 D C Z",
            ),
            // By the extended protocol, as in a pipeline.
            (
                "P(a,SELECT_1) S P(,DEALLOCATE_a) B() D() E S B(a) S B() E S",
                "P(#1,SELECT_1) S P(,DEALLOCATE_#0) B() D() P(#0,) E S B(a) S B() E S",
                "1 Z 1 2 t n C Z E26000 Z 2 E26000 Z",
            ),
            // Of one server connection, but of the client everywhere.
            (
                "P(a,SELECT_1) S @1 B(a) E S P(,DEALLOCATE_ALL) B() E S @0 B(a) S",
                "P(#1,SELECT_1) S P(#1,SELECT_1) B(#1) E S P(,DEALLOCATE_ALL) B() E S B(a) S",
                "1 Z 2 D C Z 1 2 C Z E26000 Z",
            ),
        ],
    );
}

#[test]
fn stale_statements_are_prepared_anew() {
    check(
        max(10),
        Mode::Transaction,
        &[
            // Lost behind our back: the batch is sent again, and all others are prepared anew.
            (
                "P(a,SELECT_1) P(b,SELECT_2) S - B(a) E S B(b) E S",
                "P(#1,SELECT_1) P(#2,SELECT_2) S B(#1) E S C(#1) P(#1,SELECT_1) B(#1) E S \
                 C(#2) P(#2,SELECT_2) B(#2) E S",
                "1 1 Z 2 D C Z 2 D C Z",
            ),
            // Other columns, and the client learns of them.
            (
                "P(a,SELECT_1) S * B(a) D(a) E S",
                "P(#1,SELECT_1) S B(#1) D(#1) E S C(#1) P(#1,SELECT_1) B(#1) D(#1) E S",
                "1 Z 2 t T D C Z",
            ),
            (
                "P(a,SELECT_1) S * D(a) S",
                "P(#1,SELECT_1) S D(#1) S C(#1) P(#1,SELECT_1) D(#1) S",
                "1 Z t T Z",
            ),
            // A further client prepares the text.
            (
                "P(a,SELECT_1) S * P(b,SELECT_1) D(b) S B(b) E S",
                "P(#1,SELECT_1) S D(#1) S C(#1) P(#1,SELECT_1) D(#1) S B(#1) E S",
                "1 Z 1 t T Z 2 D C Z",
            ),
            // It doesn't: the error is what PostgreSQL says, once.
            (
                "P(a,SELECT_1) P(b,SELECT_2) S * B(a) E S B(a) E S B(b) E S",
                "P(#1,SELECT_1) P(#2,SELECT_2) S B(#1) E S C(#1) P(#1,SELECT_1) B(#1) E S \
                 C(#2) P(#2,SELECT_2) B(#2) E S",
                "1 1 Z E0A000 Z 2 D C Z 2 D C Z",
            ),
            // Parsed in an earlier batch: it may have been told other columns then.
            (
                "P(a,SELECT_1) S @1 P(b,SELECT_1) S @0 P(c,SELECT_1) S * B(c) E S B(c) E S",
                "P(#1,SELECT_1) S P(#1,SELECT_1) S S B(#1) E S C(#1) P(#1,SELECT_1) B(#1) E S",
                "1 Z 1 Z 1 Z E0A000 Z 2 D C Z",
            ),
            // An unnamed text never sees it: for the client it is parsed each time.
            (
                "P(,SELECT_1) S P(,SELECT_1) S * P(,SELECT_1) B() E S",
                "P(,SELECT_1) S P(#1,SELECT_1) S B(#1) E S C(#1) P(#1,SELECT_1) B(#1) E S",
                "1 Z 1 Z 1 2 D C Z",
            ),
            // A further statement of the batch is prepared again as well.
            (
                "P(a,SELECT_1) P(b,SELECT_2) S @1 P(c,SELECT_1) S - B(a) E B(b) E S",
                "P(#1,SELECT_1) P(#2,SELECT_2) S P(#1,SELECT_1) S B(#1) E P(#2,SELECT_2) B(#2) E S \
                 C(#1) P(#1,SELECT_1) B(#1) E P(#2,SELECT_2) B(#2) E S",
                "1 1 Z 1 Z 2 D C 2 D C Z",
            ),
            // In a transaction, and behind something executed, it can't be undone.
            (
                "P(a,SELECT_1) S Q(BEGIN) - B(a) E S Q(ROLLBACK) B(a) E S",
                "P(#1,SELECT_1) S Q(BEGIN) B(#1) E S Q(ROLLBACK) C(#1) P(#1,SELECT_1) B(#1) E S",
                "1 Z C ZT E26000 ZE C Z 2 D C Z",
            ),
            (
                "P(a,SELECT_1) P(b,SELECT_2) S B(a) E H - B(b) E S B(b) E S",
                "P(#1,SELECT_1) P(#2,SELECT_2) S B(#1) E H B(#2) E S C(#2) P(#2,SELECT_2) B(#2) E S",
                "1 1 Z 2 D C E26000 Z 2 D C Z",
            ),
        ],
    );
}

#[test]
fn what_is_refused_fails_at_the_server_too() {
    let limits = StatementLimits {
        client_max: 1,
        ..max(10)
    };
    check(
        limits,
        Mode::Transaction,
        &[(
            "P(a,SELECT_1) S Q(BEGIN) P(b,SELECT_2) B(b) E S Q(ROLLBACK) C(a) S P(b,SELECT_2) S",
            "P(#1,SELECT_1) S Q(BEGIN) P(#0,select_*_from_pg_catalog.portcullis_refused) B(b) E S Q(ROLLBACK) S P(#2,SELECT_2) S",
            "1 Z C ZT E53400 ZE C Z 3 Z 1 Z",
        )],
    );
    check(
        max(10),
        Mode::Statement,
        &[
            (
                "Q(BEGIN) Q(SELECT_1)",
                "Q(select_*_from_pg_catalog.portcullis_refused) Q(SELECT_1)",
                "E0A000 Z T D C Z",
            ),
            (
                "P(,BEGIN) B() E S P(a,COMMIT) B(a) E S P(a,SELECT_1) B(a) E S",
                "P(#0,select_*_from_pg_catalog.portcullis_refused) H B() E S P(#0,select_*_from_pg_catalog.portcullis_refused) B(a) E S \
                 P(#1,SELECT_1) B(#1) E S",
                "E0A000 Z E0A000 Z 1 2 D C Z",
            ),
            (
                "P(,SELECT_1) S Q(BEGIN) B() S",
                "P(,SELECT_1) S Q(select_*_from_pg_catalog.portcullis_refused) B() S",
                "1 Z E0A000 Z E26000 Z",
            ),
        ],
    );
}

#[test]
fn what_was_executed_is_noted() {
    let long = format!("Q(SELECT_1/0{})", "_".repeat(20_000));
    // (script, what it leaves behind, unknown, names of its own)
    let table: &[(&str, Effects, bool, bool)] = &[
        (
            "Q(SELECT_1) P(a,SELECT_$1) B(a,v) E S",
            Effects::NONE,
            false,
            false,
        ),
        ("Q(BEGIN) Q(ROLLBACK)", Effects::TRANSACTION, false, false),
        ("Q(SELECT_1;_SET_a.b_=_1)", Effects::SET, false, false),
        // What is only parsed does nothing.
        ("P(a,SET_a.b_=_1) D(a) S", Effects::NONE, false, false),
        ("P(a,SET_a.b_=_1) B(a) S", Effects::SET, false, false),
        ("P(,SELECT_f()) B() S", Effects::CALLS, false, false),
        (
            "P(,SELECT_f()) S P(,SELECT_f()) S B() S",
            Effects::CALLS,
            false,
            false,
        ),
        (
            "P(,SET_a.b_=_1) B() E S P(,SET_a.b_=_1) B() E S @1 @0 P(,SET_a.b_=_1) B() E S",
            Effects::SET,
            false,
            false,
        ),
        // What was done in an earlier lease is not of this one.
        (
            "P(a,SELECT_f()) B(a) S Q(SET_a.b_=_1) @1",
            Effects::NONE,
            false,
            false,
        ),
        (
            "P(a,SELECT_f()) S @1 B(a) E S",
            Effects::CALLS,
            false,
            false,
        ),
        ("Q(SELEC)", Effects::NONE, true, false),
        (&long, Effects::NONE, true, false),
        // It deallocates what is there to be deallocated.
        (
            "P(a,SELECT_1) S Q(DEALLOCATE_a) P(,DEALLOCATE_a) B() S",
            Effects::NONE,
            false,
            false,
        ),
        ("Q(DEALLOCATE_a)", Effects::DEALLOCATE, false, false),
        // A backslash may be an escape by now.
        ("Q(SELECT_'\\')", Effects::NONE, false, false),
        (
            "Q(SET_DateStyle_=_'DMY') Q(SELECT_'\\')",
            Effects::SET,
            true,
            false,
        ),
        ("Q(SET_jit_=_on) Q(SELECT_'\\')", Effects::SET, false, false),
        (
            "P(a,SELECT_'\\') S Q(SET_DateStyle_=_'DMY') B(a) S",
            Effects::SET,
            true,
            false,
        ),
    ];
    for (script, effects, unknown, named) in table {
        let mut play = Play::new(max(10), Mode::Transaction);
        play.play(script);
        let lease = &play.links[play.at].0.lease;
        let got = (lease.effects, lease.unknown, lease.named);
        assert_eq!(got, (*effects, *unknown, *named), "{script}");
    }
    let mut play = Play::new(max(0), Mode::Transaction);
    play.play("P(a,SET_a.b_=_1) S");
    let lease = &play.links[0].0.lease;
    assert_eq!((lease.effects, lease.named), (Effects::SET, true));
}

#[test]
fn texts_of_another_dialect_are_not_known() {
    let mut play = Play::new(max(10), Mode::Transaction);
    play.play("P(a,SELECT_1) S");
    let statements = play.stream.statements().expect("a pooled client");
    let mut dialect = statements.dialect();
    dialect.lexing.standard_conforming_strings = false;
    statements.set_dialect(dialect);
    play.play("B(a) S");
    assert!(play.links[0].0.lease.unknown);
    // And are not shared with it.
    play.play("P(b,SELECT_1) S B(b) S");
    assert!(!play.links[0].0.lease.unknown);
    assert_eq!(
        play.seen.join(" "),
        "P(#1,SELECT_1) S B(#1) S P(#2,SELECT_1) S B(#2) S"
    );
}

#[test]
fn settings_that_the_server_reports_and_calls_by_oid_cast_doubt() {
    for (tag, body, doubt) in [
        (b'S', &b"TimeZone\0UTC\0"[..], true),
        (b'S', b"application_name\0x\0", false),
    ] {
        let mut play = Play::new(max(10), Mode::Transaction);
        play.play("P(a,SELECT_1) S");
        play.links[0].1.output = frame(tag, body);
        play.send(b"");
        play.send(&[message("P(b,SELECT_1)"), message("S")].concat());
        let anew = play.seen.join(" ").contains("C(#1) P(#1,SELECT_1)");
        assert_eq!(anew, doubt, "{}", String::from_utf8_lossy(body));
    }
    let mut play = Play::new(max(10), Mode::Transaction);
    play.play("P(a,SELECT_1) S");
    play.send(&frame(b'F', b"\0\0\0\x01\0\0\0\0\0\0"));
    assert_eq!(play.links[0].0.lease.effects, Effects::CALLS);
    play.send(&[message("P(b,SELECT_1)"), message("S")].concat());
    assert!(!play.seen.join(" ").contains("C(#1)"));
}

#[test]
fn what_we_ask_of_a_server_takes_its_statements_away_too() {
    let mut play = Play::new(max(10), Mode::Transaction);
    play.play("P(a,SELECT_1) S");
    let (link, _) = &mut play.links[0];
    let mut asked = Plain::with_capacity(100);
    let mut reset = session::reset::Reset::begin(link, &mut asked).expect("room");
    let mut answer = Plain::with_capacity(100);
    answer.push(&frame(b'C', b"DISCARD ALL\0")).expect("room");
    answer.push(&frame(b'Z', b"I")).expect("room");
    assert_eq!(reset.step(link, &mut answer), Ok(Some(())));
    assert!(link.statements.is_empty());
    // In front of a client's first request.
    play.links[0].1.lose_all();
    play.play("B(a) E S");
    let (link, model) = &mut play.links[0];
    assert_eq!(link.statements.len(), 1);
    let request = session::ledger::Request::Query;
    link.ledger.owe(request, session::ledger::Terms::SWALLOW);
    model.output = [frame(b'C', b"DISCARD ALL\0"), frame(b'Z', b"I")].concat();
    model.lose_all();
    play.send(b"");
    assert!(play.links[0].0.statements.is_empty());
    // The client still has its names.
    play.send(&[message("B(a)"), message("E"), message("S")].concat());
    assert_eq!(read(play.read), "1 Z 2 D C Z 2 D C Z");
}
