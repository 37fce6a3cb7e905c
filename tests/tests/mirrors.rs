//! Statements copied to another database: which are, what comes of the answers, and that no client notices any of it,
//! whatever the mirror does.

use std::time::{Duration, Instant};

use e2e::drivers::Endpoint;
use e2e::governed::{bind, code, execute, parse, sync, until_ready};
use e2e::observed::{page, value};
use e2e::scripted::Session;
use e2e::tables::{ADMIN, Row, console, number, of, show, text};
use e2e::{Stage, StagePlan};
use testkit::peer::message;
use testkit::{Cluster, Fault, FaultPipe, Signal, wait};

/// What both databases have.
const ITEMS: &str = "CREATE TABLE items AS SELECT n AS id, 'item ' || n AS name FROM generate_series(1, 10) AS n; \
    CREATE TABLE written (id int); GRANT ALL ON items, written TO PUBLIC";

/// A database, and another one at this cluster and port that is its mirror.
struct Scene {
    direct: Endpoint,
    plan: StagePlan,
    next: String,
}

#[track_caller]
fn scene(name: &str, mirror: &Cluster, port: u16) -> Scene {
    let cluster = Cluster::shared();
    let direct = Endpoint::direct(cluster, name);
    let next = format!("{name}_next");
    let target = Endpoint::direct(mirror, &next);
    cluster.sql_in(name, ITEMS);
    mirror.sql_in(&next, ITEMS);
    let more = format!(
        "[admin]\nadmin_users = '{}'\n[metrics]\naddress = '127.0.0.1:0'\n\
         [[database]]\nname = '{next}'\nhost = 'localhost'\nport = {port}\nuser = '{}'\npassword_file = 'next.password'\n\
         server_connect_timeout = '2s'\nserver_login_retry = '200ms'\n\
         [database.tls]\nca = '{}'\n",
        ADMIN.0,
        target.user,
        mirror.ca_file().display(),
    );
    let plan = Stage::before(cluster)
        .user(&direct)
        .user_with(ADMIN.0, ADMIN.1)
        .file("next.password", &target.password)
        .set("database", "name", &format!("'{name}'"))
        .set("database", "pool_mode", "'transaction'")
        .set("database", "mirror", &format!("'{next}'"))
        .set("database", "mirror_share", "100")
        .more(&more);
    Scene { direct, plan, next }
}

/// What is shown of the mirror, once that is so.
#[track_caller]
fn await_mirror(stage: &Stage, name: &str, what: &str, mut is_so: impl FnMut(&Row) -> bool) -> Row {
    let mut admin = console(stage, ADMIN);
    let mut last = Vec::new();
    let found = wait::within(wait::LONG, || {
        last = show(&mut admin, "MIRRORS");
        Some(of(&last, "database", name))
            .filter(|it| is_so(it))
            .cloned()
    });
    found.unwrap_or_else(|| panic!("not {what}: {last:?}\n{}", stage.proxy.log()))
}

/// All that came of so many copies.
#[track_caller]
fn outcome(stage: &Stage, name: &str, copies: u64) -> Row {
    await_mirror(stage, name, &format!("{copies} copies"), |it| {
        number(it, "compared") + number(it, "failed") + number(it, "dropped") >= copies
    })
}

#[track_caller]
fn counts(row: &Row) -> [u64; 5] {
    [
        "compared",
        "dropped",
        "failed",
        "rows_differ",
        "errors_differ",
    ]
    .map(|it| number(row, it))
}

/// Statements that came to a mirror as copies, as its sessions ran them last; a database holds no others.
fn ran(mirror: &Cluster, next: &str) -> Vec<String> {
    let sql = format!(
        "SELECT query FROM pg_stat_activity WHERE datname = '{next}' AND application_name = 'portcullis mirror'"
    );
    let rows = mirror.sql(&sql);
    rows.iter().flatten().flatten().cloned().collect()
}

/// What rules refuse is not done at a mirror either, in either protocol.
#[test]
fn what_is_refused_is_not_copied() {
    let mirror = Cluster::shared();
    let Scene { direct, plan, next } = scene("mirrors_refused", mirror, mirror.port());
    let rule = "[policy]\ndefault = 'allow'\n\
        [[rule]]\nname = 'no-items'\naction = 'deny'\nrelation = 'items'\n";
    let stage = plan.more(rule).start();
    let mut client = Session::through(&stage, &stage.endpoint(&direct));
    let peer = &mut client.peer;
    for _ in 0..5 {
        peer.send(&message::query("SELECT * FROM items"));
        assert_eq!(code(&until_ready(peer)).as_deref(), Some("42501"));
        let batch = [
            parse("", "SELECT name FROM items"),
            bind("", "", &[]),
            execute(""),
            sync(),
        ];
        peer.send(&batch.concat());
        assert_eq!(code(&until_ready(peer)).as_deref(), Some("42501"));
    }
    // What passes is copied, behind all of them.
    client.query("SELECT 'allowed'");
    let row = outcome(&stage, "mirrors_refused", 1);
    assert_eq!(counts(&row), [1, 0, 0, 0, 0]);
    assert_eq!(ran(mirror, &next), ["SELECT 'allowed'"]);
}

/// Both protocols, statements of the client's own names, settings, and errors: the same on both sides.
#[test]
fn what_both_answer_alike_is_counted_and_nothing_else() {
    let mirror = Cluster::shared();
    let Scene { direct, plan, .. } = scene("mirrors_alike", mirror, mirror.port());
    let stage = plan.start();
    let mut client = Session::through(&stage, &stage.endpoint(&direct));
    assert_eq!(client.value("SELECT count(*) FROM items"), "10");
    client.query("SELECT * FROM items; SELECT 1");
    // Without names, with a name of this batch, and with one of before.
    let peer = &mut client.peer;
    for request in [
        [
            parse("", "SELECT $1::text"),
            bind("", "", &["a"]),
            execute(""),
            sync(),
        ]
        .concat(),
        [
            parse("one", "SELECT * FROM items WHERE id < $1"),
            bind("p", "one", &["4"]),
            execute("p"),
            sync(),
        ]
        .concat(),
        [
            bind("", "one", &["6"]),
            execute(""),
            bind("", "one", &["2"]),
            execute(""),
            sync(),
        ]
        .concat(),
    ] {
        peer.send(&request);
        assert_eq!(code(&until_ready(peer)), None);
    }
    peer.send(&message::query("SELECT 1 / 0"));
    assert_eq!(code(&until_ready(peer)).as_deref(), Some("22012"));
    // Settings go with the copy: without this one the table is not found.
    for text in ["CREATE SCHEMA away", "CREATE TABLE away.there AS SELECT 1"] {
        client.query(text);
        mirror.sql_in("mirrors_alike_next", text);
    }
    mirror.sql_in(
        "mirrors_alike_next",
        "GRANT USAGE ON SCHEMA away TO PUBLIC; GRANT SELECT ON away.there TO PUBLIC",
    );
    client.query("SET search_path = away");
    client.query("SELECT * FROM there");
    let row = outcome(&stage, "mirrors_alike", 7);
    assert_eq!(
        counts(&row),
        [7, 0, 0, 0, 0],
        "{row:?}\n{}",
        stage.proxy.log()
    );
    assert!(
        number(&row, "client_us") > 0 && number(&row, "mirror_us") > 0,
        "{row:?}"
    );
    assert_eq!((text(&row, "trouble"), number(&row, "share")), ("", 100));
    assert!((1..=2).contains(&number(&row, "connections")), "{row:?}");
    let mut admin = console(&stage, ADMIN);
    let servers = show(&mut admin, "SERVERS");
    of(&servers, "database", "mirrors_alike_next");
}

#[test]
fn what_may_write_is_never_copied_and_could_not_write() {
    let mirror = Cluster::shared();
    let Scene { direct, plan, next } = scene("mirrors_writes", mirror, mirror.port());
    mirror.sql_in(
        &next,
        "CREATE FUNCTION lower(x int) RETURNS int VOLATILE LANGUAGE sql AS 'INSERT INTO written VALUES (x) RETURNING 1'",
    );
    let stage = plan.start();
    let mut client = Session::through(&stage, &stage.endpoint(&direct));
    for text in [
        "INSERT INTO written VALUES (1)",
        "WITH gone AS (DELETE FROM written RETURNING 1) SELECT count(*) FROM gone",
        "SELECT * FROM items FOR UPDATE",
        "SELECT random()",
        "BEGIN READ ONLY; SELECT 1; COMMIT",
        "SET work_mem = '5MB'",
    ] {
        client.query(text);
    }
    // Inside a transaction nothing is.
    for text in ["BEGIN", "SELECT * FROM items", "COMMIT"] {
        client.query(text);
    }
    // Nor is what could take back that copies only read.
    let mut other = Session::through(&stage, &stage.endpoint(&direct));
    other.query("SET default_transaction_read_only = off");
    other.query("SELECT * FROM items");
    // What looks harmless here is another function there, and fails.
    client.peer.send(&message::query("SELECT lower(1::int)"));
    assert_eq!(
        code(&until_ready(&mut client.peer)).as_deref(),
        Some("42883")
    );
    let row = outcome(&stage, "mirrors_writes", 1);
    assert_eq!(
        counts(&row),
        [1, 0, 0, 0, 1],
        "{row:?}\n{}",
        stage.proxy.log()
    );
    stage.proxy.await_log("error 25006");
    assert_eq!(
        mirror.sql_in(&next, "SELECT count(*) FROM written")[0][0].as_deref(),
        Some("0")
    );
}

#[test]
fn differences_are_counted_and_told_without_literals() {
    let mirror = Cluster::shared();
    let Scene { direct, plan, next } = scene("mirrors_differ", mirror, mirror.port());
    mirror.sql_in(&next, "DELETE FROM items WHERE id > 7");
    let cluster = Cluster::shared();
    cluster.sql_in(
        "mirrors_differ",
        "CREATE TABLE only_here (a int); GRANT ALL ON only_here TO PUBLIC",
    );
    let stage = plan.start();
    let mut client = Session::through(&stage, &stage.endpoint(&direct));
    for _ in 0..20 {
        client.query("SELECT * FROM items WHERE name <> 'hunter2'");
    }
    client.query("SELECT * FROM only_here");
    client.query("SELECT * FROM items WHERE id < 5");
    let row = outcome(&stage, "mirrors_differ", 22);
    assert_eq!(
        counts(&row),
        [22, 0, 0, 20, 1],
        "{row:?}\n{}",
        stage.proxy.log()
    );
    stage.proxy.await_log("42P01");
    let log = stage.proxy.log();
    let lines = || {
        log.lines()
            .filter(|it| it.contains("answers something else"))
    };
    // Ten at once, then one a second.
    assert!((2..=13).contains(&lines().count()), "{log}");
    assert!(
        lines().any(|it| it.contains("10 rows") && it.contains("7 rows")),
        "{log}"
    );
    assert!(
        lines().any(|it| it.to_ascii_lowercase().contains("from items where name")),
        "{log}"
    );
    assert!(!log.contains("hunter2"), "{log}");
}

/// Pipelined requests of one packet, and a share of requests.
#[test]
fn the_share_is_kept_and_pipelines_are_not_mixed_up() {
    const REQUESTS: u64 = 400;
    let mirror = Cluster::shared();
    let Scene { direct, plan, .. } = scene("mirrors_share", mirror, mirror.port());
    let stage = plan
        .set("database", "mirror_share", "25")
        .set("database", "mirror_queue_max", "10000")
        .start();
    let mut client = Session::through(&stage, &stage.endpoint(&direct));
    for _ in 0..REQUESTS {
        client.query("SELECT * FROM items");
    }
    let row = outcome(&stage, "mirrors_share", REQUESTS / 4 - 50);
    let copies = number(&row, "compared") + number(&row, "waiting");
    // More than five standard deviations either way.
    assert!((50..=150).contains(&copies), "{row:?}");
    // Behind each other in one packet, each has its own count.
    for _ in 0..20 {
        let three = [
            message::query("SELECT * FROM items"),
            message::query("SELECT 1 WHERE false"),
            message::query("SELECT * FROM items WHERE id < 4"),
        ];
        client.peer.send(&three.concat());
        for rows in [10, 0, 3] {
            let frames = client.peer.until_ready();
            assert_eq!(frames.iter().filter(|it| it.tag == b'D').count(), rows);
        }
    }
    let row = await_mirror(&stage, "mirrors_share", "all copies", |it| {
        number(it, "waiting") == 0
    });
    assert_eq!(
        counts(&row)[2..],
        [0, 0, 0],
        "{row:?}\n{}",
        stage.proxy.log()
    );
}

/// How long the client needs for what takes no time, with the longest one.
#[track_caller]
fn slowest(client: &mut Session, requests: u32) -> Duration {
    let took = (0..requests).map(|_| {
        let begun = Instant::now();
        assert_eq!(client.value("SELECT count(*) FROM items"), "10");
        begun.elapsed()
    });
    took.max().expect("requests")
}

#[test]
fn a_mirror_that_hangs_or_is_gone_changes_nothing() {
    let mirror = Cluster::start();
    let Scene { direct, plan, .. } = scene("mirrors_gone", &mirror, mirror.port());
    let stage = plan
        .set("database", "mirror_timeout", "'1s'")
        .set("database", "mirror_queue_max", "5")
        .start();
    let name = "mirrors_gone";
    let mut client = Session::through(&stage, &stage.endpoint(&direct));
    slowest(&mut client, 3);
    await_mirror(&stage, name, "compared", |it| number(it, "compared") >= 1);
    mirror.hang();
    // Far less than a copy would have to be waited for.
    assert!(slowest(&mut client, 50) < Duration::from_millis(900));
    let row = await_mirror(&stage, name, "failed and dropped", |it| {
        number(it, "failed") >= 1 && number(it, "dropped") >= 30
    });
    assert!(text(&row, "trouble").contains("mirror_timeout"), "{row:?}");
    mirror.wake();
    mirror.stop();
    let failed = number(&row, "failed");
    assert!(slowest(&mut client, 50) < Duration::from_millis(900));
    await_mirror(&stage, name, "refused", |it| {
        // What waited meanwhile was dropped: copies are tried with what comes now.
        slowest(&mut client, 1);
        number(it, "failed") > failed && text(it, "trouble").contains("refused")
    });
    mirror.start_again();
    let compared = number(&row, "compared");
    await_mirror(&stage, name, "back", |it| {
        slowest(&mut client, 1);
        number(it, "compared") > compared + 3
    });
    stage.proxy.await_log("came to nothing");
}

/// A mirror that takes connections and says nothing.
#[test]
fn a_mirror_that_never_greets_changes_nothing() {
    let mirror = Cluster::shared();
    let address = mirror.address().parse().expect("an address");
    let pipe = FaultPipe::start(address, Fault::None, Fault::HoldAfter(0));
    let Scene { direct, plan, .. } = scene("mirrors_mute", mirror, pipe.address().port());
    let stage = plan.set("database", "mirror_queue_max", "5").start();
    let mut client = Session::through(&stage, &stage.endpoint(&direct));
    assert!(slowest(&mut client, 50) < Duration::from_secs(1));
    await_mirror(&stage, "mirrors_mute", "failed", |it| {
        number(it, "failed") >= 1 && number(it, "dropped") >= 1
    });
    assert_eq!(client.value("SELECT 1"), "1");
}

/// PAUSE of a mirror is about copies, too.
#[test]
fn a_paused_mirror_gets_nothing() {
    let mirror = Cluster::shared();
    let Scene { direct, plan, next } = scene("mirrors_paused", mirror, mirror.port());
    let stage = plan.start();
    let mut client = Session::through(&stage, &stage.endpoint(&direct));
    client.query("SELECT 1");
    outcome(&stage, "mirrors_paused", 1);
    assert_eq!(ran(mirror, &next), ["SELECT 1"]);
    let mut admin = console(&stage, ADMIN);
    admin.query(&format!("PAUSE {next}"));
    client.query("SELECT 2");
    let row = outcome(&stage, "mirrors_paused", 2);
    assert_eq!(counts(&row), [1, 1, 0, 0, 0], "{row:?}");
    admin.query(&format!("RESUME {next}"));
    client.query("SELECT 3");
    let row = outcome(&stage, "mirrors_paused", 3);
    assert_eq!(counts(&row), [2, 1, 0, 0, 0], "{row:?}");
}

/// DISABLE and ENABLE of a mirror are about copies as well, and RECONNECT about their connections.
#[test]
fn a_mirror_is_disabled_and_connected_anew() {
    let mirror = Cluster::shared();
    let Scene { direct, plan, next } = scene("mirrors_told", mirror, mirror.port());
    let stage = plan.start();
    let mut client = Session::through(&stage, &stage.endpoint(&direct));
    let mut admin = console(&stage, ADMIN);
    let connections = || {
        let sql = format!("SELECT pid FROM pg_stat_activity WHERE datname = '{next}'");
        mirror.sql(&sql)
    };
    client.query("SELECT 1");
    outcome(&stage, "mirrors_told", 1);
    admin.query(&format!("DISABLE {next}"));
    client.query("SELECT 2");
    let row = outcome(&stage, "mirrors_told", 2);
    assert_eq!(counts(&row), [1, 1, 0, 0, 0], "{row:?}");
    admin.query(&format!("ENABLE {next}"));
    client.query("SELECT 3");
    let row = outcome(&stage, "mirrors_told", 3);
    assert_eq!(counts(&row), [2, 1, 0, 0, 0], "{row:?}");
    let before = connections();
    admin.query(&format!("RECONNECT {next}"));
    wait::until("the connections of before to end", wait::LONG, || {
        !connections().iter().any(|it| before.contains(it))
    });
    client.query("SELECT 4");
    let row = outcome(&stage, "mirrors_told", 4);
    assert_eq!(counts(&row), [3, 1, 0, 0, 0], "{row:?}");
    assert!(!connections().is_empty());
}

#[test]
fn metrics_tell_what_became_of_copies() {
    let mirror = Cluster::shared();
    let Scene { direct, plan, next } = scene("mirrors_metrics", mirror, mirror.port());
    mirror.sql_in(&next, "DELETE FROM items WHERE id > 7");
    let cluster = Cluster::shared();
    cluster.sql_in(
        "mirrors_metrics",
        "CREATE TABLE only_here (a int); GRANT ALL ON only_here TO PUBLIC",
    );
    let stage = plan.start();
    let series = |name: &str| {
        let labels = format!("{{database=\"mirrors_metrics\",mirror=\"{next}\"}}");
        value(&stage, &format!("portcullis_mirror_{name}{labels}"))
    };
    let counted = || {
        [
            "compared",
            "dropped",
            "failed",
            "rows_differ",
            "errors_differ",
        ]
        .map(|it| series(&format!("{it}_total")))
    };
    assert_eq!(counted(), [0.0; 5]);
    let mut client = Session::through(&stage, &stage.endpoint(&direct));
    for text in ["SELECT 1", "SELECT * FROM items", "SELECT * FROM only_here"] {
        client.query(text);
    }
    outcome(&stage, "mirrors_metrics", 3);
    console(&stage, ADMIN).query(&format!("PAUSE {next}"));
    client.query("SELECT 1");
    outcome(&stage, "mirrors_metrics", 4);
    assert_eq!(counted(), [3.0, 1.0, 0.0, 1.0, 1.0]);
    for times in ["client_seconds", "answer_seconds"] {
        assert_eq!(series(&format!("{times}_count")), 3.0, "{times}");
        assert!(series(&format!("{times}_sum")) > 0.0, "{times}");
    }
    // Each family says what it means.
    let page = page(&stage);
    let families = page
        .lines()
        .filter(|it| it.starts_with("# HELP portcullis_mirror_"));
    assert_eq!(families.count(), 9, "{page}");
}

/// Who ends waits for clients, and for no mirror, which keeps an answer back here.
#[test]
fn nobody_waits_for_a_mirror_at_the_end() {
    let mirror = Cluster::shared();
    let address = mirror.address().parse().expect("an address");
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let name = format!("mirrors_{}", signal.as_str().to_ascii_lowercase());
        let pipe = FaultPipe::start(address, Fault::None, Fault::None);
        let Scene { direct, plan, .. } = scene(&name, mirror, pipe.address().port());
        let mut stage = plan
            .set("database", "mirror_timeout", "'10min'")
            .set("database", "mirror_connections", "1")
            .start();
        let mut client = Session::through(&stage, &stage.endpoint(&direct));
        client.query("SELECT 1");
        outcome(&stage, &name, 1);
        pipe.part();
        for _ in 0..3 {
            client.query("SELECT 2");
        }
        await_mirror(&stage, &name, "waiting", |it| number(it, "waiting") == 2);
        stage.proxy.signal(signal);
        if signal == Signal::SIGTERM {
            client.query("SELECT 3");
            client.peer.send(&message::frame(b'X', b""));
        }
        assert!(stage.proxy.await_end(wait::LONG).success());
        let log = stage.proxy.log();
        assert!(!log.contains("panicked"), "{log}");
    }
}

/// A reload goes for clients that are there: another share, and no mirror any more.
#[test]
fn a_reload_changes_what_is_copied() {
    let mirror = Cluster::shared();
    let Scene { direct, plan, next } = scene("mirrors_reload", mirror, mirror.port());
    let mut stage = plan.start();
    let mut client = Session::through(&stage, &stage.endpoint(&direct));
    client.query("SELECT 1");
    outcome(&stage, "mirrors_reload", 1);
    let line = format!("mirror = '{next}'\n");
    reloaded(&mut stage, |text| {
        text.replace("mirror_share = 100", "mirror_share = 99")
    });
    let share = |it: &Row| number(it, "share") == 99;
    let row = await_mirror(&stage, "mirrors_reload", "another share", share);
    assert_eq!(counts(&row), [1, 0, 0, 0, 0]);
    for _ in 0..20 {
        client.query("SELECT 2");
    }
    outcome(&stage, "mirrors_reload", 10);
    reloaded(&mut stage, |text| {
        text.replace(&line, "").replace("mirror_share = 99\n", "")
    });
    client.query("SELECT 3");
    let mut admin = console(&stage, ADMIN);
    assert_eq!(show(&mut admin, "MIRRORS"), []);
    wait::until("its connections to end", wait::LONG, || {
        ran(mirror, &next).is_empty()
    });
}

/// A client that logged in before its database had a mirror, or while it had another one, is copied from its next request
/// on, and what it sends at once is answered as before when there is none any more.
#[test]
fn a_reload_brings_mirrors_to_clients_that_are_there() {
    let mirror = Cluster::shared();
    let Scene { direct, plan, next } = scene("mirrors_later", mirror, mirror.port());
    let other = Endpoint::direct(mirror, "mirrors_later_other");
    let another = format!(
        "[[database]]\nname = '{0}'\nhost = 'localhost'\nport = {1}\nuser = '{0}'\n\
         password_file = 'other.password'\n[database.tls]\nca = '{2}'\n",
        other.user,
        mirror.port(),
        mirror.ca_file().display()
    );
    let mut stage = plan
        .unset("database", "mirror")
        .unset("database", "mirror_share")
        .file("other.password", &other.password)
        .more(&another)
        .start();
    let mut client = Session::through(&stage, &stage.endpoint(&direct));
    client.query("SELECT 1");
    assert_eq!(show(&mut console(&stage, ADMIN), "MIRRORS"), []);
    let named = "name = 'mirrors_later'\n";
    let with = |to: &str| format!("{named}mirror = '{to}'\nmirror_share = 100\n");
    reloaded(&mut stage, |text| text.replace(named, &with(&next)));
    client.query("SELECT 2");
    let row = outcome(&stage, "mirrors_later", 1);
    assert_eq!(counts(&row), [1, 0, 0, 0, 0], "{row:?}");
    assert_eq!(ran(mirror, &next), ["SELECT 2"]);

    reloaded(&mut stage, |text| {
        text.replace(&with(&next), &with(&other.user))
    });
    client.query("SELECT 3");
    let row = outcome(&stage, "mirrors_later", 1);
    assert_eq!(text(&row, "mirror"), other.user);
    assert_eq!(ran(mirror, &other.user), ["SELECT 3"]);

    reloaded(&mut stage, |text| text.replace(&with(&other.user), named));
    client.peer.send(&message::query("SELECT 4").repeat(3));
    for _ in 0..3 {
        client.peer.until_ready();
    }
    assert_eq!(show(&mut console(&stage, ADMIN), "MIRRORS"), []);
}

/// Changes the text of the configuration, and waits until that is in force.
#[track_caller]
fn reloaded(stage: &mut Stage, change: impl FnOnce(String) -> String) {
    let count = |stage: &Stage| {
        stage
            .proxy
            .log()
            .matches("portcullis::reload: reloaded")
            .count()
    };
    let before = count(stage);
    let file = stage.proxy.directory().join("portcullis.toml");
    let text = std::fs::read_to_string(&file).expect("the configuration");
    let new = file.with_extension("new");
    std::fs::write(&new, change(text)).expect("the new configuration");
    std::fs::rename(new, file).expect("the configuration");
    stage.proxy.signal(Signal::SIGHUP);
    let found = wait::within(wait::LONG, || (count(stage) > before).then_some(()));
    assert!(found.is_some(), "not reloaded:\n{}", stage.proxy.log());
}
