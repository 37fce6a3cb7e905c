//! Rules that delay, limit and throttle, through the real wire path: what is held up holds up nobody else, what is
//! ended ends as an error of the server's would, and everything is counted.

use std::time::{Duration, Instant};

use e2e::Stage;
use e2e::drivers::Endpoint;
use e2e::governed::{MODES, bind, code, execute, parse, run, stage, sync, until_ready};
use e2e::scripted::Session;
use e2e::tables;
use testkit::peer::message::{self, frame, query};
use testkit::{Cluster, Frame, Peer, wait};

const ALLOW: &str = "[policy]\ndefault = \"allow\"\n";

fn rows(frames: &[Frame]) -> usize {
    frames.iter().filter(|it| it.tag == b'D').count()
}

fn tags(frames: &[Frame]) -> String {
    frames.iter().map(|it| char::from(it.tag)).collect()
}

/// The status byte of ReadyForQuery.
fn status(frames: &[Frame]) -> char {
    char::from(frames.last().expect("ReadyForQuery").body[0])
}

fn hint(frames: &[Frame]) -> Option<String> {
    frames.iter().find(|it| it.tag == b'E')?.field(b'H')
}

/// Sends the session's own cancel request.
fn cancel(stage: &Stage, session: &Session) {
    let key = &session.key.as_ref().expect("a key").body;
    let pid = u32::from_be_bytes(key[..4].try_into().expect("four bytes"));
    let mut peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
    peer.send(&message::cancel(pid, &key[4..]));
    peer.end();
}

#[test]
fn a_delay_holds_up_its_statement_and_nobody_else() {
    let role = Endpoint::direct(Cluster::shared(), "holding_delay");
    let rules = format!(
        "{ALLOW}[[rule]]\nname = \"slow\"\naction = \"delay\"\ndelay = \"300ms\"\nfunction = \"abs\"\n\
         [[rule]]\nname = \"for-good\"\naction = \"delay\"\ndelay = \"1h\"\nfunction = \"sign\"\n"
    );
    for mode in MODES {
        let stage = tables::plan(&role)
            .set("pool", "pool_mode", &format!("{mode:?}"))
            .set(
                "database",
                "pool_size",
                if mode == "session" { "3" } else { "1" },
            )
            .more(&rules)
            .start();
        let mut admin = tables::console(&stage, tables::ADMIN);
        let mut held_so_far = 0;
        let mut holds_one_more = || {
            held_so_far += 1;
            wait::until("a statement to wait", wait::LONG, || {
                let shown = tables::show(&mut admin, "RULES");
                tables::number(tables::of(&shown, "name", "for-good"), "hits") == held_so_far
            });
        };
        let mut slow = Session::through(&stage, &role);
        for batch in [
            query("SELECT abs(-1)"),
            [run("SELECT abs(-1)", &[]), sync()].concat(),
        ] {
            let begun = Instant::now();
            slow.peer.send(&batch);
            assert_eq!(rows(&until_ready(&mut slow.peer)), 1, "{mode}");
            assert!(begun.elapsed() >= Duration::from_millis(300), "{mode}");
        }
        // The only server connection of the pool is others' meanwhile.
        for batch in [
            query("SELECT sign(1)"),
            [run("SELECT sign(1)", &[]), sync()].concat(),
            [
                parse("named", "SELECT sign(1)"),
                bind("", "named", &[]),
                execute(""),
                sync(),
            ]
            .concat(),
        ] {
            let mut held = Session::through(&stage, &role);
            held.peer.send(&batch);
            holds_one_more();
            let mut other = Session::through(&stage, &role);
            assert_eq!(other.value("SELECT 7"), "7", "{mode}");
            cancel(&stage, &held);
            let frames = until_ready(&mut held.peer);
            assert_eq!(code(&frames).as_deref(), Some("57014"), "{mode}");
            assert_eq!(status(&frames), 'I', "{mode}");
            assert_eq!(held.value("SELECT 8"), "8", "{mode}");
        }
        // Inside a transaction, and behind an answer that comes all the same.
        let mut held = Session::through(&stage, &role);
        held.query("BEGIN");
        held.peer
            .send(&[run("SELECT 5", &[]), run("SELECT sign(1)", &[]), sync()].concat());
        assert_eq!(held.peer.frame().tag, b'1', "{mode}");
        assert_eq!(
            tags(&[held.peer.frame(), held.peer.frame(), held.peer.frame()]),
            "2DC"
        );
        holds_one_more();
        cancel(&stage, &held);
        let frames = until_ready(&mut held.peer);
        assert_eq!(code(&frames).as_deref(), Some("57014"), "{mode}");
        assert_eq!(status(&frames), 'E', "{mode}");
        held.query("ROLLBACK");
        // A client that leaves takes nothing with it.
        held.peer.send(&query("SELECT sign(1)"));
        holds_one_more();
        held.peer.cut();
        let mut other = Session::through(&stage, &role);
        assert_eq!(other.value("SELECT 9"), "9", "{mode}");
    }
}

#[test]
fn a_limit_ends_a_result_as_a_servers_error_would() {
    let name = "holding_limit";
    let role = Endpoint::direct(Cluster::shared(), name);
    Cluster::shared().sql_in(
        &role.database,
        &format!(
            "DROP TABLE IF EXISTS {name}; CREATE TABLE {name} (a int); \
             GRANT ALL ON {name} TO {}",
            role.user
        ),
    );
    let rules = format!(
        "{ALLOW}[[rule]]\nname = \"few-rows\"\naction = \"limit\"\nrows_max = 10\neffect = \"read\"\n\
         [[rule]]\nname = \"few-bytes\"\naction = \"limit\"\nbytes_max = 5000\neffect = \"read\"\n"
    );
    let series = |count: u32| format!("SELECT generate_series(1, {count})");
    let many = series(5_000_000);
    let write = format!("INSERT INTO {name} VALUES (1)");
    for mode in MODES {
        let stage = stage(&role, mode, &rules);
        let mut session = Session::through(&stage, &role);
        // As many as may be.
        assert_eq!(rows(&session.query(&series(10))), 10, "{mode}");
        for (text, wanted) in [(series(11), 10), (many.clone(), 10)] {
            for batch in [query(&text), [run(&text, &[]), sync()].concat()] {
                session.peer.send(&batch);
                let frames = until_ready(&mut session.peer);
                assert_eq!(rows(&frames), wanted, "{mode}");
                assert_eq!(code(&frames).as_deref(), Some("53400"), "{mode}");
                assert_eq!(hint(&frames).as_deref(), Some("rule: few-rows"), "{mode}");
                assert!(tags(&frames).ends_with("DEZ"), "{mode} {}", tags(&frames));
                assert_eq!(status(&frames), 'I', "{mode}");
            }
        }
        // One row of many bytes, and a copy.
        let wide = "SELECT repeat('x', 200000)";
        let copy = format!("COPY ({many}) TO STDOUT");
        for text in [wide, &copy] {
            session.peer.send(&query(text));
            let frames = until_ready(&mut session.peer);
            assert_eq!(code(&frames).as_deref(), Some("53400"), "{mode} {text}");
            assert_eq!(status(&frames), 'I', "{mode} {text}");
        }
        assert_eq!(session.value("SELECT 3"), "3", "{mode}");
        // In a transaction: it has failed, whether the server came to its end or not.
        for text in [&series(11), &many] {
            for batch in [query(text), [run(text, &[]), sync()].concat()] {
                session.query("BEGIN");
                session.query(&write);
                session.peer.send(&batch);
                let frames = until_ready(&mut session.peer);
                assert_eq!(code(&frames).as_deref(), Some("53400"), "{mode}");
                assert_eq!(status(&frames), 'E', "{mode}");
                session.peer.send(&query("SELECT 1"));
                assert_eq!(
                    code(&until_ready(&mut session.peer)).as_deref(),
                    Some("25P02")
                );
                let ended = session.query("COMMIT");
                assert_eq!(ended[0].body, b"ROLLBACK\0", "{mode}");
            }
        }
        // In a pipeline: nothing behind it is done, and what goes before it is undone.
        for text in [&series(11), &many] {
            let pipeline = [run(&write, &[]), run(text, &[]), run(&write, &[]), sync()];
            session
                .peer
                .send(&[pipeline.concat(), query("SELECT 4")].concat());
            let frames = until_ready(&mut session.peer);
            assert_eq!(code(&frames).as_deref(), Some("53400"), "{mode}");
            assert_eq!((rows(&frames), status(&frames)), (10, 'I'), "{mode}");
            assert_eq!(rows(&until_ready(&mut session.peer)), 1, "{mode}");
        }
        let count = format!("SELECT count(*) FROM {name}");
        assert_eq!(session.value(&count), "0", "{mode}");
        // Portions of one portal are one result.
        let portion = frame(b'E', b"p\0\0\0\0\x06");
        session.query("BEGIN");
        let batch = [
            parse("", &many),
            bind("p", "", &[]),
            portion.clone(),
            sync(),
        ];
        session.peer.send(&batch.concat());
        assert_eq!(rows(&until_ready(&mut session.peer)), 6, "{mode}");
        session.peer.send(&[portion, sync()].concat());
        let frames = until_ready(&mut session.peer);
        assert_eq!(rows(&frames), 4, "{mode}");
        assert_eq!(code(&frames).as_deref(), Some("53400"), "{mode}");
        session.query("ROLLBACK");
        assert_eq!(session.value("SELECT 5"), "5", "{mode}");
    }
}

#[test]
fn throttles_let_through_what_they_may_and_count() {
    let role = Endpoint::direct(Cluster::shared(), "holding_throttle");
    let rules = format!(
        "{ALLOW}[[rule]]\nname = \"two\"\naction = \"throttle\"\nat_once = 2\nexcess = \"refuse\"\n\
         function = \"pg_sleep\"\n\
         [[rule]]\nname = \"paced\"\naction = \"throttle\"\nper = [\"user\", \"database\"]\n\
         statements_per_s = 20\nburst = \"1ms\"\nfunction = \"abs\"\n\
         [[rule]]\nname = \"rows\"\naction = \"throttle\"\nrows_per_s = 1000\nburst = \"1ms\"\n\
         wait_max = \"1s\"\nfunction = \"generate_series\"\n\
         [[rule]]\nname = \"told\"\nmode = \"warn\"\naction = \"throttle\"\nstatements_per_s = 1\n\
         burst = \"1ms\"\nfunction = \"sign\"\n"
    );
    for mode in MODES {
        let stage = tables::plan(&role)
            .set("pool", "pool_mode", &format!("{mode:?}"))
            .more(&rules)
            .start();
        let mut admin = tables::console(&stage, tables::ADMIN);
        let mut one = Session::through(&stage, &role);
        let mut two = Session::through(&stage, &role);
        let mut three = Session::through(&stage, &role);
        // At once.
        for session in [&mut one, &mut two] {
            session.peer.send(&query("SELECT pg_sleep(60)"));
        }
        let sleeping = "SELECT 1 FROM pg_stat_activity WHERE usename = 'holding_throttle' AND \
                        wait_event = 'PgSleep'";
        let sleepers = || Cluster::shared().sql(sleeping).len();
        wait::until("two sleepers", wait::LONG, || sleepers() == 2);
        for batch in [
            query("SELECT pg_sleep(60)"),
            [run("SELECT pg_sleep(60)", &[]), sync()].concat(),
        ] {
            three.peer.send(&batch);
            let frames = until_ready(&mut three.peer);
            assert_eq!(code(&frames).as_deref(), Some("53400"), "{mode}");
            let error = frames.iter().find(|it| it.tag == b'E').expect("an error");
            assert!(
                error
                    .field(b'M')
                    .is_some_and(|it| it.contains("throttle \"two\""))
            );
        }
        for session in [&mut one, &mut two] {
            cancel(&stage, session);
            assert_eq!(
                code(&until_ready(&mut session.peer)).as_deref(),
                Some("57014")
            );
        }
        // Their places are free again.
        assert_eq!(rows(&three.query("SELECT pg_sleep(0)")), 1, "{mode}");
        // Statements a second, over two sessions, in both protocols: one each 50 ms.
        let begun = Instant::now();
        for round in 0..3 {
            one.peer.send(&query("SELECT abs(-1)"));
            two.peer
                .send(&[run("SELECT abs(-1)", &[]), sync()].concat());
            assert_eq!(rows(&until_ready(&mut one.peer)), 1, "{mode} {round}");
            assert_eq!(rows(&until_ready(&mut two.peer)), 1, "{mode} {round}");
        }
        assert!(begun.elapsed() >= Duration::from_millis(249), "{mode}");
        // Rows are a debt that the next one waits for, or is refused for.
        assert_eq!(rows(&one.query("SELECT generate_series(1, 300)")), 300);
        let begun = Instant::now();
        assert_eq!(rows(&two.query("SELECT generate_series(1, 5000)")), 5000);
        assert!(begun.elapsed() >= Duration::from_millis(200), "{mode}");
        one.peer.send(&query("SELECT generate_series(1, 1)"));
        assert_eq!(
            code(&until_ready(&mut one.peer)).as_deref(),
            Some("53400"),
            "{mode}"
        );
        // Who is only warned is never held up.
        one.query("SELECT sign(1)");
        let frames = one.query("SELECT sign(1)");
        let notice = frames.iter().find(|it| it.tag == b'N').expect("a notice");
        assert_eq!(
            notice.field(b'M').as_deref(),
            Some("too much at once (rule: told)")
        );
        let shown = tables::show(&mut admin, "THROTTLES");
        let row = |name| tables::of(&shown, "name", name);
        assert_eq!(tables::number(row("two"), "refusals"), 2, "{mode}");
        assert!(tables::number(row("paced"), "waits") >= 5, "{mode}");
        assert_eq!(tables::number(row("rows"), "refusals"), 1, "{mode}");
        assert_eq!(tables::number(row("told"), "excesses"), 1, "{mode}");
        assert!(shown.iter().all(|row| tables::number(row, "waiting") == 0));
        assert_eq!(tables::text(row("paced"), "per"), "user,database");
        assert_eq!(tables::text(row("paced"), "rates"), "statements_per_s=20");
    }
}

#[test]
fn who_waits_is_served_in_order_and_gives_up_its_place() {
    let role = Endpoint::direct(Cluster::shared(), "holding_queue");
    let rules = format!(
        "{ALLOW}[[rule]]\nname = \"one\"\naction = \"throttle\"\nat_once = 1\nwaiting_max = 2\n\
         wait_max = \"1h\"\nfunction = \"pg_advisory_xact_lock\"\n"
    );
    let stage = tables::plan(&role)
        .set("pool", "pool_mode", "\"transaction\"")
        .set("listen", "workers", "2")
        .more(&rules)
        .start();
    let mut admin = tables::console(&stage, tables::ADMIN);
    let mut waiting = |count: u64| {
        wait::until("so many to wait", wait::LONG, || {
            let shown = tables::show(&mut admin, "THROTTLES");
            tables::number(&shown[0], "waiting") == count
        });
    };
    // Somebody else has the lock that the first one waits for at the server.
    let mut holder = Session::begin(
        Peer::tls(
            Cluster::shared().address(),
            &testkit::ClientTls::verified(Cluster::shared().authority(), "localhost"),
        ),
        &role,
    );
    holder.query("BEGIN");
    holder.query("SELECT pg_advisory_xact_lock(4711)");
    let mut sessions: Vec<Session> = (0..4).map(|_| Session::through(&stage, &role)).collect();
    let lock = query("SELECT pg_advisory_xact_lock(4711)");
    sessions[0].peer.send(&lock);
    let blocked = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    wait::until("a lock", wait::LONG, || {
        !Cluster::shared().sql(blocked).is_empty()
    });
    sessions[1].peer.send(&lock);
    waiting(1);
    sessions[2].peer.send(&lock);
    waiting(2);
    sessions[3].peer.send(&lock);
    let frames = until_ready(&mut sessions[3].peer);
    assert_eq!(code(&frames).as_deref(), Some("53400"));
    // The first that waits leaves; the other one moves up.
    sessions.remove(1).peer.cut();
    waiting(1);
    assert!(sessions[1].peer.silent_for(Duration::from_millis(50)));
    holder.query("ROLLBACK");
    for session in &mut sessions[..2] {
        assert_eq!(rows(&until_ready(&mut session.peer)), 1);
    }
    waiting(0);
}

#[test]
fn connections_are_throttled_when_they_come() {
    let role = Endpoint::direct(Cluster::shared(), "holding_connections");
    let rules = format!(
        "{ALLOW}[[rule]]\nname = \"door\"\naction = \"throttle\"\nconnections_per_s = 1\nburst = \"1ms\"\n\
         per = \"user\"\nexcess = \"refuse\"\nuser = \"{}\"\n",
        role.user
    );
    let stage = stage(&role, "transaction", &rules);
    let mut first = Session::through(&stage, &role);
    let mut peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
    peer.send(&e2e::scripted::startup(&role));
    e2e::scripted::offer_proof(&mut peer, &role.password);
    let error = peer.frame();
    let message = error.field(b'M').unwrap_or_default();
    assert_eq!(error.field(b'C').as_deref(), Some("53400"), "{message}");
    assert!(message.contains("throttle \"door\""), "{message}");
    assert_eq!(first.value("SELECT 1"), "1");
}
