//! Where single statements are led: reads to standbys, all else to the primary, unless a hint says otherwise; and whoever
//! has written reads what was written.

use std::collections::BTreeSet;

use e2e::Stage;
use e2e::clustered::{another_role, await_role, database, plan, session};
use e2e::drivers::Endpoint;
use e2e::governed::{bind, execute, parse, sync};
use e2e::scripted::Session;
use e2e::tables::{ADMIN, console, of, refused, show, text};
use testkit::peer::message;
use testkit::wait;

use super::{Paused, pausing, plain, port, ports, read_at, value};

/// A database whose statements are looked at, and the standbys' ports.
#[track_caller]
fn routed(name: &str) -> (Stage, Endpoint, BTreeSet<u16>) {
    let flock = plain();
    let direct = another_role(flock, name);
    let stage = plan(flock, &direct, "")
        .set("database", "route_reads", "'replicas'")
        .start();
    for standby in &flock.members()[1..] {
        await_role(&stage, standby.port(), "standby");
    }
    await_role(&stage, flock[0].port(), "primary");
    (stage, direct, ports(&flock.members()[1..]))
}

#[test]
fn statements_that_only_read_go_to_standbys() {
    let (stage, direct, standbys) = routed("statements");
    let primary = plain()[0].port();
    let mut client = session(&stage, &direct, "statements");
    let reads = [
        "SHOW port",
        "SELECT current_setting('port')",
        "SELECT current_setting('port') FROM counters WHERE client = 0",
        "/* portcullis.route=replica */ SELECT current_setting('port')",
    ];
    for text in reads {
        let seen: BTreeSet<u16> = (0..20).map(|_| port(&mut client, text)).collect();
        assert_eq!(seen, standbys, "{text}");
    }
    let writes = [
        "INSERT INTO register VALUES (0, 1) RETURNING current_setting('port')",
        "UPDATE counters SET value = value + 1 WHERE client = 0 RETURNING current_setting('port')",
        "WITH gone AS (DELETE FROM register RETURNING 1) SELECT current_setting('port') FROM (SELECT count(*) FROM gone) n",
        "SELECT current_setting('port') FROM counters WHERE client = 0 FOR UPDATE",
        "SELECT current_setting('port') || pg_advisory_xact_lock(1)::text",
        "/* portcullis.route=primary */ SHOW port",
        "/* portcullis.route=primary */ SELECT current_setting('port')",
        "/* portcullis.route=replica */ UPDATE counters SET value = 0 WHERE client = 1 RETURNING current_setting('port')",
    ];
    for text in writes {
        // A client of its own: what it wrote before must not be why.
        let mut client = session(&stage, &direct, "statements");
        assert_eq!(port(&mut client, text), primary, "{text}");
    }
}

/// Rules go before hints, lead what is asked for alone where nothing else is led, and are counted.
#[test]
fn rules_lead_statements() {
    let flock = plain();
    let direct = another_role(flock, "ruled");
    flock[0].sql_in(
        "ruled",
        "CREATE FUNCTION report() RETURNS text LANGUAGE sql AS $$ SELECT current_setting('port') $$; \
         GRANT EXECUTE ON FUNCTION report() TO ruled",
    );
    for standby in &flock.members()[1..] {
        standby.await_caught_up_with(&flock[0]);
    }
    let rules = "[policy]\ndefault = 'allow'\n\
        [[rule]]\nname = 'fresh'\naction = 'route'\ntarget = 'primary'\nrelation = 'counters'\n\
        [[rule]]\nname = 'reports'\naction = 'route'\ntarget = 'standby'\nfunction = 'report'\n";
    let asked = database("ruled_asked", &direct, "primary") + "route_reads = 'asked'\n";
    let stage = plan(flock, &direct, "")
        .set("database", "route_reads", "'replicas'")
        .more(&asked)
        .more(rules)
        .start();
    for standby in &flock.members()[1..] {
        await_role(&stage, standby.port(), "standby");
    }
    await_role(&stage, flock[0].port(), "primary");
    let (standbys, primary) = (ports(&flock.members()[1..]), ports(&flock.members()[..1]));
    let fresh = "/* portcullis.route=replica */ SELECT current_setting('port') FROM counters WHERE client = 0";
    let table = [
        ("ruled", "SELECT report()", &standbys),
        ("ruled", "SHOW port", &standbys),
        ("ruled", fresh, &primary),
        ("ruled_asked", "SELECT report()", &standbys),
        ("ruled_asked", "SHOW port", &primary),
        (
            "ruled_asked",
            "/* portcullis.route=replica */ SHOW port",
            &standbys,
        ),
        ("ruled_asked", fresh, &primary),
    ];
    for (database, text, wanted) in table {
        let mut client = session(&stage, &direct, database);
        let seen: BTreeSet<u16> = (0..20).map(|_| port(&mut client, text)).collect();
        assert_eq!(seen, *wanted, "{database}: {text}");
    }
    let mut admin = console(&stage, ADMIN);
    let rules = show(&mut admin, "RULES");
    for name in ["fresh", "reports"] {
        assert_eq!(text(of(&rules, "name", name), "hits"), "40", "{name}");
    }
}

#[test]
fn transactions_stay_whole_where_they_began() {
    let (stage, direct, standbys) = routed("transactions");
    let primary = plain()[0].port();
    let mut client = session(&stage, &direct, "transactions");
    client.query("BEGIN");
    assert_eq!(port(&mut client, "SHOW port"), primary);
    assert_eq!(
        port(
            &mut client,
            "INSERT INTO register VALUES (0, 1) RETURNING current_setting('port')"
        ),
        primary
    );
    assert_eq!(client.value("SELECT count(*) FROM register"), "1");
    client.query("COMMIT");
    assert_eq!(
        plain()[0].sql_in("transactions", "SELECT count(*) FROM register"),
        [[Some("1".to_owned())]]
    );

    for begin in [
        "BEGIN READ ONLY",
        "START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    ] {
        let mut client = session(&stage, &direct, "transactions");
        client.query(begin);
        let at = port(&mut client, "SHOW port");
        assert!(standbys.contains(&at), "{begin}: {at}");
        // All of it is there, what would go elsewhere by itself as well.
        assert_eq!(
            port(&mut client, "/* portcullis.route=primary */ SHOW port"),
            at
        );
        let (sqlstate, _) = refused(&mut client, "INSERT INTO register VALUES (0, 2)");
        assert_eq!(sqlstate, "25006");
        client.query("ROLLBACK");
        assert!(standbys.contains(&port(&mut client, "SHOW port")));
    }
}

/// Two requests in one write go to two servers, and their answers come in the order of the requests.
#[test]
fn what_is_sent_at_once_is_led_apart_and_answered_in_order() {
    let (stage, direct, standbys) = routed("at_once");
    let primary = plain()[0].port();
    for number in 0..10 {
        let mut client = session(&stage, &direct, "at_once");
        let insert =
            format!("INSERT INTO register VALUES (0, {number}) RETURNING current_setting('port')");
        let requests = ["SHOW port", &insert, "SELECT 'third'"].map(message::query);
        client.peer.send(&requests.concat());
        let answers = [(); 3].map(|()| value(&client.peer.until_ready()));
        let read: u16 = answers[0].parse().expect("a port");
        assert!(standbys.contains(&read), "{answers:?}");
        assert_eq!(answers[1..], [primary.to_string(), "third".to_owned()]);
    }
    // The same in the extended protocol, where one Sync ends a request.
    let mut client = session(&stage, &direct, "at_once");
    let run = |sql: &str| [parse("", sql), bind("", "", &[]), execute(""), sync()].concat();
    let insert = "INSERT INTO register VALUES (1, 1) RETURNING current_setting('port')";
    client.peer.send(&[run("SHOW port"), run(insert)].concat());
    let read: u16 = value(&client.peer.until_ready()).parse().expect("a port");
    assert!(standbys.contains(&read));
    assert_eq!(value(&client.peer.until_ready()), primary.to_string());
}

#[test]
fn prepared_statements_are_led_by_their_texts() {
    let (stage, direct, standbys) = routed("prepared");
    let primary = plain()[0].port();
    let mut client = session(&stage, &direct, "prepared");
    let reads = "SELECT current_setting('port') FROM counters WHERE client = $1::int";
    let writes = "UPDATE counters SET value = value + 1 WHERE client = $1::int RETURNING current_setting('port')";
    let prepared = [parse("reads", reads), parse("writes", writes), sync()].concat();
    client.peer.send(&prepared);
    client.peer.until_ready();
    let run = |client: &mut Session, name: &str| -> u16 {
        let request = [bind("", name, &["0"]), execute(""), sync()].concat();
        client.peer.send(&request);
        value(&client.peer.until_ready()).parse().expect("a port")
    };
    // To prepare a statement that writes counts as a write, so that the first reads may be led to the primary.
    wait::until("reads at standbys", wait::LONG, || {
        let seen: BTreeSet<u16> = (0..20).map(|_| run(&mut client, "reads")).collect();
        seen == standbys
    });
    for _ in 0..5 {
        assert_eq!(run(&mut client, "writes"), primary);
    }
    // Both in one request.
    let both = [
        bind("", "reads", &["0"]),
        execute(""),
        bind("", "writes", &["0"]),
        execute(""),
        sync(),
    ]
    .concat();
    client.peer.send(&both);
    let frames = client.peer.until_ready();
    let rows: Vec<_> = frames.iter().filter(|it| it.tag == b'D').collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(value(&frames), primary.to_string());
    let value = plain()[0].sql_in("prepared", "SELECT value FROM counters WHERE client = 0");
    assert_eq!(value, [[Some("6".to_owned())]]);
}

#[test]
fn a_session_says_itself_where_its_statements_go() {
    let (stage, direct, standbys) = routed("said");
    let primary = plain()[0].port();
    plain()[0].sql_in(
        "said",
        "CREATE FUNCTION here() RETURNS text LANGUAGE sql AS $$ SELECT current_setting('port') $$",
    );
    for standby in &plain().members()[1..] {
        standby.await_caught_up_with(&plain()[0]);
    }
    let mut client = session(&stage, &direct, "said");
    let mut other = session(&stage, &direct, "said");
    // SET goes to the primary and counts as a write: only when one of later is over with, it is the hint that leads.
    let mut settle = |client: &mut Session, setting: &str| {
        client.query(setting);
        other.query("SET application_name TO 'other'");
        wait::until("reads at standbys", wait::LONG, || {
            read_at(&mut other) == standbys
        });
    };
    // Nobody knows what a function of one's own does.
    assert_eq!(port(&mut client, "SELECT here()"), primary);
    settle(&mut client, "SET portcullis.route = 'primary'");
    assert_eq!(read_at(&mut client), [primary].into());
    settle(&mut client, "SET portcullis.route TO 'replica'");
    assert_eq!(read_at(&mut client), standbys);
    let at = port(&mut client, "SELECT here()");
    assert!(standbys.contains(&at), "{at}");
    let insert = "INSERT INTO register VALUES (0, 1) RETURNING current_setting('port')";
    assert_eq!(port(&mut client, insert), primary);
    settle(&mut client, "RESET portcullis.route");
    assert_eq!(read_at(&mut client), standbys);
    assert_eq!(port(&mut client, "SELECT here()"), primary);
    settle(&mut client, "SELECT 1");
    let hinted = "/* portcullis.route=replica */ SELECT here()";
    let at = port(&mut client, hinted);
    assert!(standbys.contains(&at), "{at}");
    assert_eq!(read_at(&mut other), standbys);
}

/// The standbys don't have it, and whoever wrote it sees it at once all the same; others are led to standbys meanwhile.
#[test]
fn who_has_written_reads_what_was_written() {
    let flock = pausing();
    let direct = another_role(&flock, "own_writes");
    let stage = plan(&flock, &direct, "")
        .set("database", "route_reads", "'replicas'")
        .start();
    let standbys = ports(&flock.members()[1..]);
    for standby in &flock.members()[1..] {
        await_role(&stage, standby.port(), "standby");
    }
    let mut client = session(&stage, &direct, "own_writes");
    let mut other = session(&stage, &direct, "own_writes");
    let mut admin = console(&stage, ADMIN);
    assert_eq!(read_at(&mut client), standbys);
    let paused = [Paused::new(&flock[1]), Paused::new(&flock[2])];
    for number in 0..10 {
        client.query(&format!("INSERT INTO register VALUES (0, {number})"));
        let count = client.value("SELECT count(*) FROM register");
        assert_eq!(count, (number + 1).to_string());
    }
    // Before and after the proxy knows how far the log goes by now.
    let written = flock[0].lsn();
    let known = |text: &str| {
        let (high, low) = text.split_once('/')?;
        let part = |text: &str| u64::from_str_radix(text, 16).ok();
        Some((part(high)? << 32) | part(low)?)
    };
    let mut looks = 0;
    wait::until("the proxy to know", wait::LONG, || {
        assert_eq!(client.value("SELECT count(*) FROM register"), "10");
        assert_eq!(port(&mut client, "SHOW port"), flock[0].port());
        let hosts = show(&mut admin, "HOSTS");
        let primary = of(&hosts, "port", &flock[0].port().to_string());
        looks += usize::from(known(text(primary, "lsn")).is_some_and(|it| it >= written));
        looks > 10
    });
    assert_eq!(other.value("SELECT count(*) FROM register"), "0");
    assert_eq!(read_at(&mut other), standbys);
    drop(paused);
    wait::until("it to read from standbys again", wait::LONG, || {
        assert_eq!(client.value("SELECT count(*) FROM register"), "10");
        read_at(&mut client) == standbys
    });
}
