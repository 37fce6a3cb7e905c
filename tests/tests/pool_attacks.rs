//! What clients of a pool may do to the others: vanish at any moment, send much, send little, take names
//! that are not theirs. The others go on, and the pool keeps its connections.

use std::fs;

use e2e::drivers::Endpoint;
use e2e::scripted::Session;
use e2e::twins::Message;
use e2e::{Stage, StagePlan};
use testkit::peer::message::{self, frame};
use testkit::{Cluster, Frame, wait};

fn sharing(role: &Endpoint, size: usize) -> StagePlan {
    Stage::before(Cluster::shared())
        .user(role)
        .set("pool", "pool_mode", "\"transaction\"")
        .set("pool", "default_pool_size", &size.to_string())
}

fn role(name: &str) -> Endpoint {
    Endpoint::direct(Cluster::shared(), name)
}

fn send(session: &mut Session, messages: &[Message]) {
    let bytes: Vec<u8> = messages.iter().flat_map(|it| it.encode("")).collect();
    session.peer.send(&bytes);
}

fn tags(frames: &[Frame]) -> String {
    frames
        .iter()
        .filter(|it| !matches!(it.tag, b'N' | b'S'))
        .map(|it| char::from(it.tag))
        .collect()
}

fn run(text: &str) -> [Message; 3] {
    [
        Message::Parse(String::new(), text.to_owned()),
        Message::Bind(String::new(), String::new(), Vec::new()),
        Message::Execute(String::new(), 0),
    ]
}

/// Waits until no server connection of the role works or is in a transaction.
#[track_caller]
fn await_rest(role: &Endpoint) {
    let busy = format!(
        "SELECT state || ' ' || query FROM pg_stat_activity WHERE usename = '{}' AND state <> 'idle'",
        role.user
    );
    let rest = wait::within(wait::LONG, || {
        Cluster::shared().sql(&busy).is_empty().then_some(())
    });
    assert!(rest.is_some(), "{:?}", Cluster::shared().sql(&busy));
}

#[test]
fn clients_vanish_in_every_phase() {
    let role = role("attack_vanish");
    let stage = sharing(&role, 2).start();
    let mut keeper = Session::through(&stage, &role);
    keeper.query("CREATE TABLE vanished (a int)");
    let query = |text: &str| vec![Message::query(text)];
    let phases: Vec<Vec<Message>> = vec![
        vec![],
        query("BEGIN"),
        query("BEGIN; INSERT INTO vanished VALUES (1)"),
        query("SELECT pg_sleep(600)"),
        query("BEGIN; SELECT 1 / 0"),
        query("COPY vanished FROM STDIN"),
        vec![
            Message::query("COPY vanished FROM STDIN"),
            Message::CopyData("1\n2".to_owned()),
        ],
        query("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 100000)) TO STDOUT"),
        query("SELECT repeat('x', 1000) FROM generate_series(1, 100000)"),
        run("INSERT INTO vanished VALUES (1)").to_vec(),
        [
            &run("BEGIN")[..],
            &run("INSERT INTO vanished VALUES (1)")[..],
            &[Message::Flush],
        ]
        .concat(),
        vec![Message::Parse("p".to_owned(), "SELECT 1".to_owned())],
        [&run("SELECT pg_sleep(600)")[..], &[Message::Sync]].concat(),
    ];
    for (number, phase) in phases.iter().enumerate() {
        for way in 0..4 {
            let mut session = Session::through(&stage, &role);
            send(&mut session, phase);
            if way == 3 {
                // Half a message behind it, and a length that is never kept.
                session.peer.send(b"P\0\0\x10\0half\0SELECT");
            }
            match way {
                0 => session.peer.reset(),
                1 => session.peer.close(),
                _ => session.peer.cut(),
            }
            let served = keeper.value(&format!("SELECT {number}"));
            assert_eq!(served, number.to_string());
        }
    }
    // Those who wait for a connection vanish, too.
    let mut holders: Vec<Session> = (0..2).map(|_| Session::through(&stage, &role)).collect();
    let mut waiting: Vec<Session> = (0..4).map(|_| Session::through(&stage, &role)).collect();
    for holder in &mut holders {
        holder.query("BEGIN");
    }
    for session in &mut waiting {
        session
            .peer
            .send(&message::query("INSERT INTO vanished VALUES (1)"));
    }
    for session in waiting {
        session.peer.reset();
    }
    for holder in &mut holders {
        holder.query("COMMIT");
    }
    await_rest(&role);
    // What was sent whole, outside a transaction, may have been done: four times by those who waited. All
    // else is undone.
    let count: usize = keeper
        .value("SELECT count(*) FROM vanished")
        .parse()
        .expect("a count");
    assert!(count <= 4, "{count} rows of clients that had not committed");
    let log = stage.proxy.log();
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn a_pipeline_of_several_transactions_is_answered_in_order() {
    let role = role("attack_pipeline");
    let stage = sharing(&role, 1).start();
    let mut other = Session::through(&stage, &role);
    let mut session = Session::through(&stage, &role);
    let mut messages = Vec::new();
    for number in 0..200 {
        messages.extend(run("BEGIN"));
        messages.extend(run(&format!("SELECT {number}")));
        messages.extend(run(if number % 2 == 0 {
            "COMMIT"
        } else {
            "ROLLBACK"
        }));
        messages.push(Message::Sync);
        messages.push(Message::query(&format!("SELECT {number}")));
        messages.extend(run("SELECT 1 / 0"));
        messages.extend(run("SELECT 'skipped'"));
        messages.push(Message::Sync);
    }
    send(&mut session, &messages);
    for number in 0..200 {
        let first = session.peer.until_tag(b'Z');
        assert_eq!(tags(&first), "12C12DC12CZ");
        let row = |frames: &[Frame]| {
            frames
                .iter()
                .find(|it| it.tag == b'D')
                .map(|it| it.body[6..].to_vec())
        };
        assert_eq!(row(&first), Some(number.to_string().into_bytes()));
        let second = session.peer.until_tag(b'Z');
        assert_eq!(
            (tags(&second).as_str(), row(&second)),
            ("TDCZ", Some(number.to_string().into_bytes()))
        );
        assert_eq!(tags(&session.peer.until_tag(b'Z')), "1EZ");
    }
    assert_eq!(other.value("SELECT 'other'"), "other");
}

/// Answers come by Flush alone, and the connection is the client's until it sends Sync.
#[test]
fn a_client_that_only_flushes_is_answered() {
    let role = role("attack_flush");
    let stage = sharing(&role, 1).start();
    let mut session = Session::through(&stage, &role);
    let mut other = Session::through(&stage, &role);
    let ahead = Message::Parse("mine".to_owned(), "SELECT $1::text".to_owned());
    send(&mut session, &[ahead, Message::Flush]);
    assert_eq!(session.peer.frame().tag, b'1');
    for number in 0..20 {
        let bind = Message::Bind(String::new(), "mine".to_owned(), vec![number.to_string()]);
        let describe = Message::DescribePortal(String::new());
        let execute = Message::Execute(String::new(), 0);
        send(&mut session, &[bind, describe, execute, Message::Flush]);
        let seen = session.peer.until_tag(b'C');
        assert_eq!(tags(&seen), "2TDC");
    }
    other.peer.send(&message::query("SELECT 'waited'"));
    send(&mut session, &[Message::Sync]);
    assert_eq!(session.peer.frame().tag, b'Z');
    assert_eq!(tags(&other.peer.until_ready()), "TDCZ");
}

/// An unnamed statement is used in later batches, while others use their own on the same servers.
#[test]
fn unnamed_statements_follow_their_clients() {
    let role = role("attack_unnamed");
    let stage = sharing(&role, 2).start();
    let mut clients: Vec<Session> = (0..8).map(|_| Session::through(&stage, &role)).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let text = format!("SELECT '{number}', pg_backend_pid()::text");
        send(
            client,
            &[Message::Parse(String::new(), text), Message::Sync],
        );
        assert_eq!(tags(&client.peer.until_ready()), "1Z");
    }
    for _ in 0..10 {
        for client in &mut clients {
            let bind = Message::Bind(String::new(), String::new(), Vec::new());
            send(
                client,
                &[bind, Message::Execute(String::new(), 0), Message::Sync],
            );
        }
        for (number, client) in clients.iter_mut().enumerate() {
            let frames = client.peer.until_ready();
            let row = frames.iter().find(|it| it.tag == b'D').expect("a row");
            assert_eq!(row.body[6..7], *number.to_string().as_bytes());
        }
    }
}

/// Names that look like the proxy's own lead to nobody's statements.
#[test]
fn names_of_the_proxy_are_nobodys() {
    let role = role("attack_names");
    let stage = sharing(&role, 1).start();
    let mut victim = Session::through(&stage, &role);
    let secret = "SELECT 'secret of the victim'";
    send(
        &mut victim,
        &[
            Message::Parse("mine".to_owned(), secret.to_owned()),
            Message::Sync,
        ],
    );
    victim.peer.until_ready();
    let bind = |name: &str| {
        [
            Message::Bind(String::new(), name.to_owned(), Vec::new()),
            Message::Execute(String::new(), 0),
            Message::Sync,
        ]
    };
    send(&mut victim, &bind("mine"));
    victim.peer.until_ready();
    let mut thief = Session::through(&stage, &role);
    // What the server itself tells of names is the worst case.
    let told =
        thief.value("SELECT coalesce(string_agg(name, ' '), '') FROM pg_prepared_statements");
    let mut guesses: Vec<String> = told.split_whitespace().map(str::to_owned).collect();
    assert!(!guesses.is_empty(), "the victim's statement isn't there");
    guesses.extend(
        [
            "mine",
            "pc_0",
            "pc_1",
            "pc_0000000000000001",
            "--------",
            "pc_",
        ]
        .map(str::to_owned),
    );
    for name in &guesses {
        send(&mut thief, &bind(name));
        let frames = thief.peer.until_tag(b'Z');
        assert_eq!(tags(&frames), "EZ", "{name}");
        assert_eq!(frames[0].field(b'C').as_deref(), Some("26000"), "{name}");
        send(
            &mut thief,
            &[Message::DescribeStatement(name.clone()), Message::Sync],
        );
        assert_eq!(tags(&thief.peer.until_tag(b'Z')), "EZ", "{name}");
        send(
            &mut thief,
            &[Message::CloseStatement(name.clone()), Message::Sync],
        );
        assert_eq!(tags(&thief.peer.until_tag(b'Z')), "3Z", "{name}");
        // It is a name like any other to who prepares under it.
        let own = Message::Parse(name.clone(), "SELECT 'own'".to_owned());
        send(&mut thief, &[own]);
        send(&mut thief, &bind(name));
        let frames = thief.peer.until_ready();
        let row = frames.iter().find(|it| it.tag == b'D').expect("a row");
        assert!(row.body.ends_with(b"own"), "{name}");
    }
    send(&mut victim, &bind("mine"));
    let frames = victim.peer.until_ready();
    let row = frames.iter().find(|it| it.tag == b'D').expect("a row");
    assert!(row.body.ends_with(b"secret of the victim"));
}

/// More statements than a server connection keeps, longer texts than a record, more than a client may have.
#[test]
fn many_and_long_statements() {
    const COUNT: usize = 3000;
    let role = role("attack_many");
    let stage = sharing(&role, 2)
        .set("pool", "max_prepared_statements", "50")
        .set("pool", "prepared_count_max", &COUNT.to_string())
        .start();
    let mut session = Session::through(&stage, &role);
    let mut other = Session::through(&stage, &role);
    for chunk in 0..COUNT / 100 {
        let parses = (0..100).map(|at| {
            let number = chunk * 100 + at;
            Message::Parse(format!("s{number}"), format!("SELECT {number}"))
        });
        let all: Vec<Message> = parses.chain([Message::Sync]).collect();
        send(&mut session, &all);
        session.peer.until_ready();
        assert_eq!(other.value("SELECT 'between'"), "between");
    }
    for number in (0..COUNT).step_by(97) {
        let bind = Message::Bind(String::new(), format!("s{number}"), Vec::new());
        send(
            &mut session,
            &[bind, Message::Execute(String::new(), 0), Message::Sync],
        );
        let frames = session.peer.until_ready();
        let row = frames.iter().find(|it| it.tag == b'D').expect("a row");
        assert_eq!(row.body[6..], *number.to_string().as_bytes());
        other.query("SELECT 1");
    }
    let query = "SELECT count(*) FROM pg_prepared_statements";
    let held: usize = other.value(query).parse().expect("a count");
    assert!(held <= 50, "{held}");
    // One more is refused, and the session goes on.
    let more = Message::Parse("more".to_owned(), "SELECT 'more'".to_owned());
    send(&mut session, &[more, Message::Sync]);
    assert_eq!(tags(&session.peer.until_tag(b'Z')), "EZ");
    let long = format!("SELECT '{}', length('{}')", "a", "b".repeat(200_000));
    for name in ["", "s0"] {
        send(
            &mut other,
            &[Message::Parse(name.to_owned(), long.clone()), Message::Sync],
        );
        assert_eq!(tags(&other.peer.until_ready()), "1Z");
        for _ in 0..3 {
            session.query("SELECT 1");
            let bind = Message::Bind(String::new(), name.to_owned(), Vec::new());
            send(
                &mut other,
                &[bind, Message::Execute(String::new(), 0), Message::Sync],
            );
            let frames = other.peer.until_ready();
            let row = frames.iter().find(|it| it.tag == b'D').expect("a row");
            assert!(row.body.ends_with(b"200000"));
        }
    }
}

fn peak_kib(stage: &Stage) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", stage.proxy.pid()));
    let status = status.expect("the proxy's status");
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"));
    let number = line.and_then(|it| it.split_whitespace().next());
    number.and_then(|it| it.parse().ok()).expect("a peak")
}

/// 64 MB of parameter and as much of answer pass without being kept.
#[test]
fn a_big_parameter_passes_in_flat_memory() {
    const BYTES: usize = 64 << 20;
    let role = role("attack_big");
    let stage = sharing(&role, 1).start();
    let mut session = Session::through(&stage, &role);
    let own = Message::Parse("big".to_owned(), "SELECT $1::text".to_owned());
    send(&mut session, &[own, Message::Sync]);
    session.peer.until_ready();
    session.query("SELECT 1");
    let before = peak_kib(&stage);
    let value = "x".repeat(BYTES);
    let bind = Message::Bind(String::new(), "big".to_owned(), vec![value]);
    send(
        &mut session,
        &[bind, Message::Execute(String::new(), 0), Message::Sync],
    );
    let frames = session.peer.until_ready();
    let row = frames.iter().find(|it| it.tag == b'D').expect("a row");
    assert_eq!(row.body.len(), BYTES + 6);
    let grown = peak_kib(&stage) - before;
    assert!(grown < 8 * 1024, "{grown} KiB more");
}

#[test]
fn a_flood_of_notices_passes() {
    let role = role("attack_notices");
    let stage = sharing(&role, 1).start();
    let mut session = Session::through(&stage, &role);
    let mut other = Session::through(&stage, &role);
    let flood = "DO $$ BEGIN FOR i IN 1..20000 LOOP RAISE NOTICE 'n%', i; END LOOP; END $$";
    session.peer.send(&message::query(flood));
    other.peer.send(&message::query("SELECT 'calm'"));
    let frames = session.peer.until_ready();
    let notices = frames.iter().filter(|it| it.tag == b'N').count();
    assert!(notices >= 20_000, "{notices}");
    let calm = other.peer.until_ready();
    assert!(
        !calm
            .iter()
            .any(|it| it.tag == b'N' && it.error_text().contains(" n"))
    );
    assert_eq!(tags(&calm), "TDCZ");
}

/// Many clients that are idle most of the time.
#[test]
fn many_clients_share_two_connections() {
    let clients = match std::env::var_os("PORTCULLIS_SOAK") {
        Some(_) => 2000,
        None => 300,
    };
    let role = role("attack_crowd");
    let stage = sharing(&role, 2)
        .set("limits", "query_wait_notify", "0")
        .start();
    let mut sessions: Vec<Session> = (0..clients)
        .map(|_| Session::through(&stage, &role))
        .collect();
    for round in 0..2 {
        for (number, session) in sessions.iter_mut().enumerate() {
            session
                .peer
                .send(&message::query(&format!("SELECT {}", number + round)));
        }
        for (number, session) in sessions.iter_mut().enumerate() {
            let frames = session.peer.until_ready();
            let row = frames.iter().find(|it| it.tag == b'D').expect("a row");
            assert_eq!(row.body[6..], *(number + round).to_string().as_bytes());
        }
    }
    for session in &mut sessions {
        session.peer.send(&frame(b'X', b""));
    }
}
