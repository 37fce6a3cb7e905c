//! What was judged is what the server receives: random statements, in every form and however the bytes are chopped.
//!
//! The judge is looked at from both sides: the texts that a rule which learns was told of, and the texts that went to
//! the server. A rule that refuses stands for all the rest of a policy: nothing of what it names goes there.

use buf::Plain;
use policy::{
    Action, Context, Default as Otherwise, Identity, Learned, Mode, NamePattern, Rule, Rules,
    Statement, Who,
};
use proptest::prelude::*;
use session::govern::{Governor, RulesInForce};
use session::relay::{to_client, to_server};
use session::statements::{CacheLimits, Interner, Mode as PoolMode, Pooled, StatementLimits};
use session::{ClientStream, Reported, Server};
use std::sync::Arc;
use wire::ProtocolVersion;
use wire::frame::Header;

const CAPACITY: usize = 4096;

/// What one client sends.
#[derive(Debug, Clone)]
enum Sends {
    Query(String),
    /// Parse under a name, Bind and Execute of it, Sync.
    Prepared {
        name: usize,
        text: String,
    },
    /// The same without a name, so many times.
    Unnamed {
        text: String,
        times: usize,
    },
    /// The same without a name, and without the Sync.
    Piped(String),
    /// Bind and Execute of a name that may be known, Sync.
    Again(usize),
    Sync,
}

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u32 + 4).to_be_bytes();
    [&[tag][..], &len, body].concat()
}

fn name(number: usize) -> String {
    format!("s{number}")
}

fn bind_and_execute(name: &str) -> Vec<u8> {
    let bind = [b"\0", name.as_bytes(), b"\0\0\0\0\0\0\0"].concat();
    [frame(b'B', &bind), frame(b'E', b"\0\0\0\0\0")].concat()
}

fn parse(name: &str, text: &str) -> Vec<u8> {
    frame(
        b'P',
        &[name.as_bytes(), b"\0", text.as_bytes(), b"\0\0\0"].concat(),
    )
}

impl Sends {
    fn bytes(&self) -> Vec<u8> {
        let sync = frame(b'S', b"");
        match self {
            Sends::Query(text) => frame(b'Q', &[text.as_bytes(), b"\0"].concat()),
            Sends::Prepared { name: number, text } => {
                let name = name(*number);
                let close = frame(b'C', &[b"S", name.as_bytes(), b"\0"].concat());
                [close, parse(&name, text), bind_and_execute(&name), sync].concat()
            }
            Sends::Unnamed { text, times } => [parse("", text), bind_and_execute(""), sync]
                .concat()
                .repeat(*times),
            Sends::Piped(text) => [parse("", text), bind_and_execute("")].concat(),
            Sends::Again(number) => [bind_and_execute(&name(*number)), sync].concat(),
            Sends::Sync => sync,
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Sends::Query(text)
            | Sends::Prepared { text, .. }
            | Sends::Unnamed { text, .. }
            | Sends::Piped(text) => Some(text),
            Sends::Again(_) | Sends::Sync => None,
        }
    }
}

/// A server that answers everything with success, and keeps what it got.
#[derive(Default)]
struct Machine {
    input: Vec<u8>,
    /// Texts of Query and Parse, but for those of ours.
    texts: Vec<Vec<u8>>,
    /// Queries, and what Executes ran.
    executed: Vec<Vec<u8>>,
    prepared: std::collections::HashMap<Vec<u8>, Vec<u8>>,
    bound: Vec<u8>,
    skips: bool,
    output: Vec<u8>,
}

const REFUSED: &[u8] = b"select * from pg_catalog.portcullis_refused";

fn cut(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|it| *it == 0).expect("a NUL");
    (&bytes[..end], &bytes[end + 1..])
}

impl Machine {
    fn say(&mut self, tag: u8, body: &[u8]) {
        self.output.extend(frame(tag, body));
    }

    fn fail(&mut self) {
        self.say(b'E', b"SERROR\0VERROR\0C42P01\0Mno\0\0");
    }

    fn take(&mut self) {
        let mut bytes = std::mem::take(&mut self.input);
        while let Some(header) = Header::peek(&bytes).filter(|it| it.total() <= bytes.len()) {
            let body = bytes[5..header.total()].to_vec();
            bytes.drain(..header.total());
            self.frame(header.tag, &body);
        }
        self.input = bytes;
    }

    fn frame(&mut self, tag: u8, body: &[u8]) {
        if self.skips && tag != b'S' {
            return;
        }
        match tag {
            b'Q' => {
                let text = cut(body).0.to_vec();
                if text == REFUSED {
                    self.fail();
                } else {
                    self.texts.push(text.clone());
                    self.executed.push(text);
                    self.say(b'C', b"SELECT 0\0");
                }
                self.say(b'Z', b"I");
            }
            b'P' => {
                let (name, rest) = cut(body);
                let text = cut(rest).0.to_vec();
                if text == REFUSED {
                    self.skips = true;
                    return self.fail();
                }
                self.texts.push(text.clone());
                self.prepared.insert(name.to_vec(), text);
                self.say(b'1', b"");
            }
            b'B' => {
                let name = cut(cut(body).1).0;
                match self.prepared.get(name) {
                    Some(text) => {
                        self.bound = text.clone();
                        self.say(b'2', b"");
                    }
                    None => {
                        self.skips = true;
                        self.fail();
                    }
                }
            }
            b'E' => {
                self.executed.push(self.bound.clone());
                self.say(b'C', b"SELECT 0\0");
            }
            b'C' => {
                self.prepared.remove(cut(&body[1..]).0);
                self.say(b'3', b"");
            }
            b'S' => {
                self.skips = false;
                self.say(b'Z', b"I");
            }
            b'H' => {}
            other => panic!("{other}"),
        }
    }
}

fn rule(action: Action, statement: Statement) -> Rule {
    Rule {
        name: "r".into(),
        mode: Mode::Enforce,
        action,
        log: policy::Log::Default,
        message: String::new(),
        who: Who::default(),
        statement,
    }
}

/// A client under rules, and its server.
struct Session {
    in_force: Arc<RulesInForce>,
    client: ClientStream,
    server: Server,
    machine: Machine,
    /// What the client got.
    read: Vec<u8>,
}

impl Session {
    fn under(rules: Rules) -> Session {
        let in_force = Arc::new(RulesInForce::default());
        in_force.replace(Some(Arc::new(rules)));
        let governor = Governor::new(Arc::clone(&in_force), Context::default(), 1 << 20);
        let interner = Interner::new([7; 32], CacheLimits::default());
        let mut pooled = Pooled::new(interner, StatementLimits::default(), PoolMode::Transaction);
        pooled.govern(governor);
        let mut client = ClientStream::pooled(0, pooled);
        let mut server = Server::new(ProtocolVersion::V3_0, None, Reported::default());
        client.link(&mut server);
        Session {
            in_force,
            client,
            server,
            machine: Machine::default(),
            read: Vec::new(),
        }
    }

    /// Runs it all, the bytes in pieces of these sizes.
    fn play(&mut self, sends: &[Sends], pieces: &[usize]) {
        let Session {
            client,
            server,
            machine,
            read,
            ..
        } = self;
        let mut unsent: Vec<u8> = sends.iter().flat_map(Sends::bytes).collect();
        unsent.extend(frame(b'S', b""));
        let mut input = Plain::with_capacity(CAPACITY);
        let mut pieces = pieces.iter().cycle();
        let mut still = 0;
        while still < 4 {
            let piece = pieces.next().copied().unwrap_or(1).max(1);
            let count = piece.min(unsent.len()).min(input.room());
            input.push(&unsent[..count]).expect("room");
            unsent.drain(..count);
            let mut output = Plain::with_capacity(CAPACITY);
            to_server(client, server, &mut input, &mut output).expect("no fault");
            machine.input.extend_from_slice(output.bytes());
            let moved = count > 0 || !output.is_empty();
            machine.take();
            let mut answers = Plain::with_capacity(1 << 20);
            answers.push(&machine.output).expect("room");
            machine.output.clear();
            let mut to = Plain::with_capacity(1 << 20);
            to_client(client, server, &mut answers, &mut to).expect("no fault");
            read.extend_from_slice(to.bytes());
            machine.output.extend_from_slice(answers.bytes());
            still = if moved || !to.is_empty() {
                0
            } else {
                still + 1
            };
        }
        assert!(unsent.is_empty() && input.is_empty(), "all was sent");
    }

    /// Sends this to the server, which does not answer yet. What waits behind a statement that is counted is left out: it
    /// is a Sync, and [`play`](Self::play) ends with one.
    fn send(&mut self, bytes: &[u8], piece: usize) {
        let mut input = Plain::with_capacity(CAPACITY);
        let mut output = Plain::with_capacity(CAPACITY);
        for piece in bytes.chunks(piece) {
            input.push(piece).expect("room");
            let (client, server) = (&mut self.client, &mut self.server);
            to_server(client, server, &mut input, &mut output).expect("no fault");
        }
        self.machine.input.extend_from_slice(output.bytes());
    }

    /// It is so many seconds after the start of 1970.
    fn at(&mut self, unix_s: u64) {
        let governor = self.client.governor().expect("rules");
        governor.tell_time(unix_s);
    }

    /// How often the first rule has matched.
    fn hits(&self) -> u64 {
        let (rules, _) = self.in_force.rules();
        rules.map_or(0, |it| it.hits(0))
    }

    /// The types of the messages that the client got since this was last asked.
    fn tags(&mut self) -> String {
        let mut tags = String::new();
        let mut bytes = std::mem::take(&mut self.read);
        while let Some(header) = Header::peek(&bytes) {
            tags.push(char::from(header.tag));
            bytes.drain(..header.total());
        }
        tags
    }

    /// How often this was executed.
    fn executed(&self, text: &str) -> usize {
        let all = self.machine.executed.iter();
        all.filter(|it| it.as_slice() == text.as_bytes()).count()
    }
}

fn played(sends: &[Sends], pieces: &[usize], rules: Rules) -> Machine {
    let mut session = Session::under(rules);
    session.play(sends, pieces);
    session.machine
}

fn shut() -> Statement {
    Statement {
        relations: vec![NamePattern::read("shut").expect("a name")],
        ..Statement::default()
    }
}

fn rules(otherwise: Otherwise, all: Vec<Rule>) -> Rules {
    Rules::new(otherwise, all).expect("few rules")
}

/// A verdict that is kept is one by the rules of then.
#[test]
fn a_statement_that_passed_again_and_again_is_judged_by_new_rules() {
    const TEXT: &str = "SELECT * FROM shut";
    let mut session = Session::under(rules(Otherwise::Allow, Vec::new()));
    let prepared = Sends::Prepared {
        name: 1,
        text: TEXT.to_owned(),
    };
    session.play(&[prepared, Sends::Again(1), Sends::Again(1)], &[700]);
    assert_eq!(session.executed(TEXT), 3);
    let deny = rules(Otherwise::Allow, vec![rule(Action::Deny, shut())]);
    session.in_force.replace(Some(Arc::new(deny)));
    session.play(&[Sends::Again(1), Sends::Again(1)], &[700]);
    session.play(&[Sends::Again(1)], &[700]);
    session.play(&[Sends::Again(1)], &[1]);
    assert_eq!(session.executed(TEXT), 3);
    let allow = rules(Otherwise::Allow, Vec::new());
    session.in_force.replace(Some(Arc::new(allow)));
    session.play(&[Sends::Again(1)], &[700]);
    assert_eq!(session.executed(TEXT), 4);
}

/// The same of one without a name, whose Parse is refused already.
#[test]
fn a_text_that_passed_again_and_again_is_judged_by_new_rules() {
    const TEXT: &str = "SELECT * FROM shut";
    let again = |times| Sends::Unnamed {
        text: TEXT.to_owned(),
        times,
    };
    let mut session = Session::under(rules(Otherwise::Allow, Vec::new()));
    let deny = || rules(Otherwise::Allow, vec![rule(Action::Deny, shut())]);
    for piece in [700, 1] {
        for _ in 0..4 {
            session.play(&[again(1)], &[piece]);
        }
        session.tags();
        session.in_force.replace(Some(Arc::new(deny())));
        session.play(&[again(1)], &[piece]);
        assert_eq!(session.tags(), "EZZ", "in pieces of {piece}");
        let allow = rules(Otherwise::Allow, Vec::new());
        session.in_force.replace(Some(Arc::new(allow)));
    }
    assert_eq!(session.executed(TEXT), 8);
}

/// A rule that limits results counts every statement that it is about, in whatever batch that comes.
#[test]
fn what_is_limited_is_counted_however_it_is_sent() {
    let limit = policy::Limit {
        rows: Some(10),
        bytes: None,
    };
    let limits = || rules(Otherwise::Allow, vec![rule(Action::Limit(limit), shut())]);
    for text in ["SELECT * FROM shut", "SELECT * FROM open"] {
        let mut session = Session::under(limits());
        let prepared = Sends::Prepared {
            name: 1,
            text: text.to_owned(),
        };
        session.play(&[prepared, Sends::Again(1)], &[700]);
        for piece in [700, 1] {
            session.send(&Sends::Again(1).bytes(), piece);
            let counts = session.client.governor().expect("rules").wants_clock();
            assert_eq!(
                counts,
                text.ends_with("shut"),
                "{text} in pieces of {piece}"
            );
            session.play(&[], &[700]);
        }
        assert_eq!(session.executed(text), 4);
    }
}

/// What hangs on more than the statement is judged each time: on the hour, or on what a name stands for by now.
#[test]
fn what_may_be_judged_otherwise_next_time_is_judged_again() {
    const TEXT: &str = "SELECT * FROM shut";
    let at_night = policy::Hours {
        from: 0,
        until: 6 * 60,
    };
    let deny = Rule {
        who: Who {
            hours: Some(at_night),
            ..Who::default()
        },
        ..rule(Action::Deny, shut())
    };
    let mut session = Session::under(rules(Otherwise::Allow, vec![deny]));
    let prepared = Sends::Prepared {
        name: 1,
        text: TEXT.to_owned(),
    };
    session.at(12 * 3600);
    session.play(&[prepared, Sends::Again(1)], &[700]);
    assert_eq!(session.executed(TEXT), 2);
    session.at(3 * 3600);
    session.play(&[Sends::Again(1)], &[700]);
    assert_eq!(session.executed(TEXT), 2);

    let observed = Rule {
        mode: Mode::Observe,
        ..rule(Action::Deny, shut())
    };
    let mut session = Session::under(rules(Otherwise::Allow, vec![observed]));
    let query = |text: &str| Sends::Query(text.to_owned());
    let executes = Sends::Prepared {
        name: 1,
        text: "EXECUTE p".to_owned(),
    };
    session.play(&[query("PREPARE p AS SELECT 1"), executes], &[700]);
    assert_eq!(session.hits(), 0);
    session.play(&[query("PREPARE p AS SELECT * FROM shut")], &[700]);
    assert_eq!(session.hits(), 1);
    session.play(&[Sends::Again(1)], &[700]);
    assert_eq!(session.hits(), 2);
}

/// A verdict on a text holds for those that differ in their values, as long as the rules don't ask for more.
#[test]
fn texts_that_differ_in_values_are_judged_as_one() {
    let of = |number: usize| format!("SELECT a FROM shut WHERE id = {number} AND b = 'x'");
    let queries = |numbers: &[usize]| -> Vec<Sends> {
        numbers.iter().map(|it| Sends::Query(of(*it))).collect()
    };
    let executed =
        |session: &Session| -> usize { (0..200).map(|number| session.executed(&of(number))).sum() };
    let observed = Rule {
        mode: Mode::Observe,
        ..rule(Action::Deny, shut())
    };
    // Rules of one name go on counting.
    let mut session = Session::under(rules(Otherwise::Allow, vec![observed]));
    session.play(&queries(&[1, 2, 3]), &[700]);
    assert_eq!((executed(&session), session.hits()), (3, 3));

    let deny = rules(Otherwise::Allow, vec![rule(Action::Deny, shut())]);
    session.in_force.replace(Some(Arc::new(deny)));
    session.play(&queries(&[4, 5]), &[700]);
    assert_eq!((executed(&session), session.hits()), (3, 5));

    let long = Statement {
        longer_than: Some(of(10).len() - 1),
        ..shut()
    };
    let deny = rules(Otherwise::Allow, vec![rule(Action::Deny, long)]);
    session.in_force.replace(Some(Arc::new(deny)));
    session.play(&queries(&[6, 7, 16, 8, 17]), &[700]);
    assert_eq!((executed(&session), session.hits()), (6, 7));

    let other = Sends::Query("SELECT a FROM shut WHERE id = 1 AND c = 'x'".to_owned());
    let open = Sends::Query("SELECT a FROM open WHERE id = 1 AND b = 'x'".to_owned());
    let deny = rules(Otherwise::Allow, vec![rule(Action::Deny, shut())]);
    session.in_force.replace(Some(Arc::new(deny)));
    session.play(&[open, other], &[700]);
    assert_eq!((session.machine.executed.len(), session.hits()), (7, 8));
}

/// Rules by shape may come after a statement was prepared by SQL, when no rule asked for shapes.
#[test]
fn what_sql_prepared_is_known_by_its_shape_to_later_rules() {
    const PREPARE: &str = "PREPARE p AS SELECT * FROM shut";
    const EXECUTE: &str = "EXECUTE p";
    let shapes = [PREPARE, EXECUTE].map(|text| {
        let mut analysis = sql::Analysis::new();
        let mut asked = sql::Asked::facts(sql::Lexing::default());
        asked.shape = Some(&[]);
        analysis.read(text.as_bytes(), &asked);
        analysis.statements()[0].shape.expect("a shape")
    });
    let queries = [PREPARE, EXECUTE].map(|text| Sends::Query(text.to_owned()));
    let mut session = Session::under(rules(Otherwise::Allow, Vec::new()));
    session.play(&queries, &[700]);
    assert_eq!(session.executed(EXECUTE), 1);
    for (listed, times) in [(&shapes[..], 2), (&shapes[1..], 2)] {
        let statement = Statement {
            shapes: listed.to_vec(),
            ..Statement::default()
        };
        let only = rules(Otherwise::Deny, vec![rule(Action::Allow, statement)]);
        session.in_force.replace(Some(Arc::new(only)));
        session.play(&queries[1..], &[700]);
        assert_eq!(session.executed(EXECUTE), times);
    }
}

/// A name of SQL's PREPARE stands for all that was ever prepared under it, also by a statement of the extended protocol
/// that is sent again.
#[test]
fn what_sql_prepared_by_a_statement_that_is_sent_again_is_known() {
    const EXECUTE: &str = "EXECUTE p";
    let query = |text: &str| Sends::Query(text.to_owned());
    for piece in [700, 1] {
        let mut session = Session::under(rules(Otherwise::Allow, Vec::new()));
        let parse = parse("s1", "PREPARE p AS SELECT * FROM shut");
        session.send(&parse, 700);
        session.play(&[query("PREPARE p AS SELECT 1"), query(EXECUTE)], &[piece]);
        // One by one: a batch is only taken as a whole where nothing is owed.
        for sends in [query("DEALLOCATE p"), Sends::Again(1), query(EXECUTE)] {
            session.play(&[sends], &[piece]);
        }
        assert_eq!(session.executed(EXECUTE), 2);
        let deny = rules(Otherwise::Allow, vec![rule(Action::Deny, shut())]);
        session.in_force.replace(Some(Arc::new(deny)));
        session.play(&[query(EXECUTE)], &[piece]);
        assert_eq!(session.executed(EXECUTE), 2, "in pieces of {piece}");
    }
}

fn texts() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("SELECT 1".to_owned()),
        Just("SELECT * FROM open WHERE a = 'x'".to_owned()),
        Just("SELECT * FROM shut".to_owned()),
        (0u32..5000).prop_map(|number| format!("SELECT a FROM open WHERE a = {number}")),
        (0u32..5000).prop_map(|number| format!("SELECT a FROM shut WHERE a = {number}")),
        ("[a-z']{0,8}", 0u32..20).prop_map(|(word, number)| {
            format!(
                "UPDATE open SET a = '{}' WHERE b = {number}",
                word.replace('\'', "''")
            )
        }),
        Just("DELETE FROM shut".to_owned()),
        Just("SELECT * FROM \"shut\" -- ;".to_owned()),
        Just("SELECT 'shut'".to_owned()),
        Just("/* shut */ SELECT $$ shut $$".to_owned()),
        Just("INSERT INTO open VALUES (1)".to_owned()),
        "[a-z]{1,8}".prop_map(|word| format!("SELECT '{word}' AS {word}_")),
        (1usize..6000).prop_map(|len| format!("SELECT '{}'", "y".repeat(len))),
        (1usize..6000).prop_map(|len| format!("SELECT '{}' FROM shut", "z".repeat(len))),
    ];
    proptest::collection::vec(part, 1..3).prop_map(|parts| parts.join("; "))
}

fn sends() -> impl Strategy<Value = Sends> {
    prop_oneof![
        texts().prop_map(Sends::Query),
        (0usize..4, texts()).prop_map(|(name, text)| Sends::Prepared { name, text }),
        (texts(), 1usize..5).prop_map(|(text, times)| Sends::Unnamed { text, times }),
        texts().prop_map(Sends::Piped),
        (0usize..4).prop_map(Sends::Again),
        Just(Sends::Sync),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Every text that the server gets is one that came, byte for byte, and was judged; what is refused is never there.
    #[test]
    fn what_the_server_gets_was_judged(
        sends in proptest::collection::vec(sends(), 1..12),
        pieces in proptest::collection::vec(1usize..700, 1..20),
    ) {
        let rules = rules(Otherwise::Allow, vec![rule(Action::Deny, shut())]);
        let machine = played(&sends, &pieces, rules);
        let came: Vec<&[u8]> =
            sends.iter().filter_map(Sends::text).map(str::as_bytes).collect();
        let is_shut = |text: &[u8]| {
            let text = String::from_utf8_lossy(text);
            text.contains("FROM shut") || text.contains("FROM \"shut\"")
        };
        for text in machine.texts.iter().chain(&machine.executed) {
            prop_assert!(came.contains(&text.as_slice()), "{:?}", String::from_utf8_lossy(text));
            prop_assert!(!is_shut(text), "{:?}", String::from_utf8_lossy(text));
        }
        // Outside of failed batches everything that may pass does.
        let alone = sends.iter().filter_map(|it| match it {
            Sends::Query(text) if !is_shut(text.as_bytes()) => Some(text.as_bytes().to_vec()),
            _ => None,
        });
        let after_pipe = sends.iter().any(|it| matches!(it, Sends::Piped(_)));
        if !after_pipe {
            for text in alone {
                prop_assert!(machine.executed.contains(&text));
            }
        }
    }

    /// Nothing is executed that the judge was not told of: shape by shape, as often.
    #[test]
    fn the_judge_is_told_of_all_that_is_executed(
        sends in proptest::collection::vec(sends(), 1..12),
        pieces in proptest::collection::vec(1usize..700, 1..20),
    ) {
        let learned = Arc::new(Learned::new(1000));
        let mut rules = rules(Otherwise::Deny, Vec::new());
        rules.learn(Arc::clone(&learned));
        let machine = played(&sends, &pieces, rules);
        // The same, from what the server executed.
        let wanted = Learned::new(1000);
        let tell = |text: &[u8], times: u64| {
            let mut analysis = sql::Analysis::new();
            let lexing = sql::Lexing::default();
            let mut asked = sql::Asked::facts(lexing);
            asked.shape = Some(&[]);
            analysis.read(text, &asked);
            for facts in analysis.statements() {
                let shape = facts.shape.expect("a shape");
                wanted.note(&Identity::default(), shape, (times, 0), || "a text".to_owned());
            }
        };
        for text in &machine.texts {
            tell(text, 0);
        }
        for text in &machine.executed {
            tell(text, 1);
        }
        // By shape: how often.
        let count = |file: &str| -> Vec<(String, u64)> {
            let mut times = 0;
            let mut all = Vec::new();
            for line in file.lines().map(str::trim) {
                if let Some((count, _)) = line.split_once(" times, ") {
                    times = count.trim_start_matches("# ").parse().expect("a number");
                } else if line.starts_with('"') {
                    all.push((line.to_owned(), times));
                }
            }
            all
        };
        let (told, done) = (count(&learned.write()), count(&wanted.write()));
        prop_assert_eq!(told.len(), done.len());
        for (shape, times) in &done {
            let known = told.iter().find(|(known, _)| known == shape);
            prop_assert!(known.is_some_and(|it| it.1 >= *times), "{shape} {times} {told:?}");
        }
    }
}
