//! Clusters whose hosts are not all alike: strangers, laggards, two primaries, none; and where sessions and single
//! statements are led then.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use e2e::Stage;
use e2e::clustered::{
    CHECKER, another_role, await_host, await_leader, await_role, count_of_backends, database, host,
    plan, plan_from, role, session,
};
use e2e::drivers::Endpoint;
use e2e::governed::{bind, execute, parse, sync};
use e2e::scripted::Session;
use e2e::tables::{ADMIN, console, number, of, refused, show, text};
use testkit::peer::message;
use testkit::{Authority, Cluster, Flock, FlockPlan, Frame, Identity, Member, Peer, wait};

/// Long enough for any answer that is on its way.
const A_WHILE: Duration = Duration::from_millis(300);

/// More of the log than servers write by themselves meanwhile.
const LAG_BYTES_MAX: u64 = 100_000;

/// One primary with two standbys and the checker, for all that leaves it as it was.
fn plain() -> &'static Flock {
    static PLAIN: OnceLock<Flock> = OnceLock::new();
    PLAIN.get_or_init(with_checker)
}

/// The same for those who pause replay, one after the other.
fn pausing() -> MutexGuard<'static, Flock> {
    static PAUSING: OnceLock<Mutex<Flock>> = OnceLock::new();
    let flock = PAUSING.get_or_init(|| Mutex::new(with_checker()));
    flock.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with_checker() -> Flock {
    let flock = Flock::start(2);
    flock[0].make_role(CHECKER.0, CHECKER.1);
    flock
}

/// A standby that replays nothing until this is dropped.
struct Paused<'a>(&'a Member);

impl<'a> Paused<'a> {
    #[track_caller]
    fn new(member: &'a Member) -> Self {
        member.pause_replay();
        Self(member)
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        self.0.resume_replay();
    }
}

/// The ports of the servers that so many reads came to.
#[track_caller]
fn read_at(session: &mut Session) -> BTreeSet<u16> {
    (0..20).map(|_| port(session, "SHOW port")).collect()
}

/// The port that a query gives.
#[track_caller]
fn port(session: &mut Session, query: &str) -> u16 {
    session.value(query).parse().expect("a port")
}

fn ports<'a>(members: impl IntoIterator<Item = &'a Member>) -> BTreeSet<u16> {
    members.into_iter().map(|it| it.port()).collect()
}

/// SQLSTATE and text of what a query fails with; the session goes on.
#[track_caller]
fn fails(session: &mut Session, query: &str) -> (String, String) {
    refused(session, query)
}

/// The first value of the only row among these.
#[track_caller]
fn value(frames: &[Frame]) -> String {
    let row = frames.iter().find(|frame| frame.tag == b'D');
    let body = &row.unwrap_or_else(|| panic!("no row in {frames:?}")).body;
    let len = u32::from_be_bytes(body[2..6].try_into().expect("a length"));
    String::from_utf8_lossy(&body[6..6 + len as usize]).into_owned()
}

#[track_caller]
fn await_log(stage: &Stage, text: &str) {
    wait::until(text, wait::LONG, || stage.proxy.log().contains(text));
}

/// Not read from, and not written to either: who can't prove itself is nobody, whatever it says.
#[test]
fn a_standby_with_a_strangers_certificate_is_never_used() {
    let stranger = Authority::new("a stranger");
    let flock = FlockPlan::new(2)
        .certificate(1, &stranger, &stranger.issue(&Identity::localhost()))
        .start();
    let direct = role(&flock, "strange");
    let stage = plan(&flock, &direct, "")
        .more(&database("reads", &direct, "standby"))
        .start();
    let row = await_host(&stage, flock[1].port(), "down", |it| {
        text(it, "health") == "down"
    });
    assert_eq!(text(&row, "trouble"), "tls", "{row:?}");
    assert!(
        text(&row, "trouble_text").contains("certificate"),
        "{row:?}"
    );
    assert_eq!(text(&row, "role"), "unknown");
    await_role(&stage, flock[2].port(), "standby");
    let mut reader = session(&stage, &direct, "reads");
    assert_eq!(read_at(&mut reader), ports([&flock[2]]));
    let mut writer = session(&stage, &direct, "strange");
    writer.query("INSERT INTO register VALUES (0, 1)");
    flock[1].await_caught_up_with(&flock[0]);
    flock[2].await_caught_up_with(&flock[0]);

    flock[0].kill();
    flock[1].promote();
    let why = format!(
        "{} is written to no more: no host says that it is the primary",
        host(&flock[0])
    );
    await_log(&stage, &why);
    let log = stage.proxy.log();
    assert!(
        log.contains(&format!("{} is down (tls)", host(&flock[1]))),
        "{log}"
    );
    writer
        .peer
        .send(&message::query("INSERT INTO register VALUES (0, 2)"));
    assert!(writer.peer.silent_for(A_WHILE), "an answer from nobody");
    let clusters = show(&mut console(&stage, ADMIN), "CLUSTERS");
    let cluster = of(&clusters, "name", "main");
    assert_eq!(text(cluster, "leader"), "");
    assert!(text(cluster, "state").contains("no host says that it is the primary"));
    assert_eq!(number(cluster, "waiting"), 1, "{cluster:?}");

    // Who waited is served by the first one that proves itself.
    flock[2].promote();
    writer.peer.until_ready();
    assert_eq!(port(&mut writer, "SHOW port"), flock[2].port());
    let count = flock[2].sql_in("strange", "SELECT count(*) FROM register");
    assert_eq!(count, [[Some("2".to_owned())]]);
    assert_eq!(count_of_backends(&flock[1], "strange"), 0);
}

#[test]
fn a_standby_that_lags_is_not_read_from() {
    let flock = pausing();
    let direct = another_role(&flock, "lagged");
    let stage = plan(&flock, &direct, &format!("lag_bytes_max = {LAG_BYTES_MAX}"))
        .more(&database("standbys", &direct, "standby"))
        .more(&database("preferred", &direct, "prefer-standby"))
        .start();
    let lags = |member: &Member| {
        await_host(&stage, member.port(), "behind", |it| {
            text(it, "lag_bytes")
                .parse()
                .is_ok_and(|lag: u64| lag > LAG_BYTES_MAX)
        });
    };
    let is_near = |member: &Member| {
        await_host(&stage, member.port(), "near", |it| {
            text(it, "lag_bytes")
                .parse()
                .is_ok_and(|lag: u64| lag <= LAG_BYTES_MAX)
        });
    };
    let write = || {
        let size = 2 * LAG_BYTES_MAX;
        flock[0].sql(&format!(
            "SELECT pg_logical_emit_message(true, 'lag', repeat('x', {size}))"
        ));
    };
    is_near(&flock[1]);
    is_near(&flock[2]);
    let mut standbys = session(&stage, &direct, "standbys");
    let mut preferred = session(&stage, &direct, "preferred");
    for reader in [&mut standbys, &mut preferred] {
        assert_eq!(read_at(reader), ports(&flock.members()[1..]));
    }
    let first = Paused::new(&flock[1]);
    write();
    lags(&flock[1]);
    is_near(&flock[2]);
    for reader in [&mut standbys, &mut preferred] {
        assert_eq!(read_at(reader), ports([&flock[2]]));
    }
    let second = Paused::new(&flock[2]);
    write();
    lags(&flock[2]);
    assert_eq!(read_at(&mut preferred), ports([&flock[0]]));
    standbys.peer.send(&message::query("SHOW port"));
    assert!(
        standbys.peer.silent_for(A_WHILE),
        "an answer from a laggard"
    );
    // The one that is current again is read from again.
    drop(second);
    let answered = standbys.peer.until_ready();
    assert_eq!(value(&answered), flock[2].port().to_string());
    assert_eq!(read_at(&mut preferred), ports([&flock[2]]));
    drop(first);
    is_near(&flock[1]);
    wait::until("both to be read from", wait::LONG, || {
        read_at(&mut standbys) == ports(&flock.members()[1..])
    });
}

/// Somebody promotes a standby while the primary lives: the newer history goes on, the older one is left alone.
#[test]
fn of_two_primaries_the_one_of_the_newer_timeline_is_written_to() {
    let flock = Flock::start(1);
    let direct = role(&flock, "doubled");
    let stage = plan(&flock, &direct, "").start();
    let mut idle = session(&stage, &direct, "doubled");
    let mut open = session(&stage, &direct, "doubled");
    idle.query("INSERT INTO register VALUES (0, 1)");
    open.query("BEGIN");
    assert_eq!(port(&mut open, "SHOW port"), flock[0].port());
    flock[1].promote();
    let (old, new) = (host(&flock[0]), host(&flock[1]));
    await_log(
        &stage,
        &format!("{new} is written to from now on, and {old} no more"),
    );
    await_log(&stage, &format!("{old} is refused: old timeline now"));
    await_role(&stage, flock[0].port(), "refused: old timeline");
    await_role(&stage, flock[1].port(), "primary");
    // It is loud: a warning, not a line among others.
    let log = stage.proxy.log();
    let line = log
        .lines()
        .find(|it| it.contains("is refused: old timeline"));
    assert!(
        line.is_some_and(|it| it.contains("WARN") || it.contains("warn")),
        "{line:?}"
    );
    wait::until("connections to the old primary to end", wait::LONG, || {
        count_of_backends(&flock[0], "doubled") == 0
    });
    // Who was in a transaction there is told that it is lost; who was not notices nothing.
    let error = open.peer.expect_frame(b'E');
    assert_eq!(
        error.field(b'C').as_deref(),
        Some("08006"),
        "{}",
        error.error_text()
    );
    for number in 2..12 {
        idle.query(&format!("INSERT INTO register VALUES (0, {number})"));
    }
    let count = |member: &Member| member.sql_in("doubled", "SELECT count(*) FROM register");
    assert_eq!(count(&flock[1]), [[Some("11".to_owned())]]);
    assert_eq!(count(&flock[0]), [[Some("1".to_owned())]]);
    assert_eq!(count_of_backends(&flock[0], "doubled"), 0);
}

/// A server with other data, whatever it says of itself and however well it proves itself.
#[test]
fn a_server_of_another_system_is_refused() {
    let (flock, foreign) = (plain(), Cluster::shared());
    let direct = another_role(flock, "of_another");
    // Whoever was led there would be let in.
    foreign.make_role(CHECKER.0, CHECKER.1);
    Endpoint::direct(foreign, "of_another");
    let both = tempfile::NamedTempFile::new().expect("a file");
    let pem = [flock.authority().pem(), foreign.authority().pem()].concat();
    fs::write(both.path(), pem).expect("the authorities");
    let mut hosts: Vec<_> = flock.members().iter().map(host).collect();
    hosts.insert(0, format!("localhost:{}", foreign.port()));
    let hosts: Vec<_> = hosts.iter().map(|it| format!("'{it}'")).collect();
    let section = format!("hosts = [{}]", hosts.join(", "));
    let stage = plan_from(flock, &direct, &section, both.path())
        .more(&database("any", &direct, "any"))
        .start();
    await_role(&stage, foreign.port(), "refused: other system");
    await_role(&stage, flock[0].port(), "primary");
    await_role(&stage, flock[1].port(), "standby");
    await_role(&stage, flock[2].port(), "standby");
    let mut writer = session(&stage, &direct, "of_another");
    assert_eq!(read_at(&mut writer), ports([&flock[0]]));
    let mut reader = session(&stage, &direct, "any");
    assert_eq!(read_at(&mut reader), ports(flock.members()));
    assert_eq!(count_of_backends(foreign, "of_another"), 0);
    let mut admin = console(&stage, ADMIN);
    let order = format!("SWITCHOVER main TO \"localhost:{}\"", foreign.port());
    let (_, text) = refused(&mut admin, &order);
    assert!(text.contains("refused: other system"), "{text}");
}

/// While nobody is the primary, reads go on; and what a session has set and prepared goes with it to the next one.
#[test]
fn without_a_primary_sessions_read_and_go_on_at_the_next_one() {
    let flock = Flock::start(1);
    let direct = role(&flock, "bereft");
    let read_only = plan(&flock, &direct, "without_primary = 'read_only'").start();
    let waiting = plan(&flock, &direct, "").start();
    await_role(&read_only, flock[1].port(), "standby");
    let mut client = session(&read_only, &direct, "bereft");
    client.query("INSERT INTO register VALUES (0, 1)");
    assert_eq!(port(&mut client, "SHOW port"), flock[0].port());

    // Idle from here on, with a setting and a statement.
    let mut idle = session(&waiting, &direct, "bereft");
    idle.query("SET timezone TO 'Asia/Kolkata'");
    let sql = "SELECT to_timestamp($1::int)::text || ' at ' || current_setting('port')";
    idle.peer.send(&[parse("mine", sql), sync()].concat());
    idle.peer.until_ready();
    let run = |idle: &mut Session| {
        let request = [bind("", "mine", &["86400"]), execute(""), sync()].concat();
        idle.peer.send(&request);
        value(&idle.peer.until_ready())
    };
    let at = |member: &Member| format!("1970-01-02 05:30:00+05:30 at {}", member.port());
    assert_eq!(run(&mut idle), at(&flock[0]));
    flock[1].await_caught_up_with(&flock[0]);

    flock[0].kill();
    await_leader(&read_only, None);
    assert_eq!(read_at(&mut client), ports([&flock[1]]));
    assert_eq!(client.value("SELECT count(*) FROM register"), "1");
    let (sqlstate, text) = fails(&mut client, "INSERT INTO register VALUES (0, 2)");
    assert_eq!(sqlstate, "25006", "{text}");
    // A client that comes now is let in, too.
    let mut late = session(&read_only, &direct, "bereft");
    assert_eq!(read_at(&mut late), ports([&flock[1]]));
    // And one of a proxy that has never seen a primary.
    let newer = plan(&flock, &direct, "without_primary = 'read_only'").start();
    await_role(&newer, flock[1].port(), "standby");
    let mut latest = session(&newer, &direct, "bereft");
    assert_eq!(read_at(&mut latest), ports([&flock[1]]));

    flock[1].promote();
    await_leader(&read_only, Some(&flock[1]));
    await_leader(&newer, Some(&flock[1]));
    for client in [&mut client, &mut late, &mut latest] {
        client.query(
            "INSERT INTO counters VALUES (1000, 0) ON CONFLICT (client) DO UPDATE SET value = 1",
        );
    }
    let value = flock[1].sql_in("bereft", "SELECT value FROM counters WHERE client = 1000");
    assert_eq!(value, [[Some("1".to_owned())]]);
    assert_eq!(run(&mut idle), at(&flock[1]));
    assert_eq!(idle.value("SHOW timezone"), "Asia/Kolkata");
}

/// Nobody is there to be led to: who waits is told after what, and who leaves or gives up leaves nothing behind.
#[test]
fn those_who_wait_for_a_server_are_told_or_leave_nothing_behind() {
    const NO_PRIMARY: &str = "query_wait_timeout passed while waiting for a server of the cluster to connect to: it \
                              has no primary now";
    let flock = Flock::start(0);
    let direct = role(&flock, "alone");
    let hasty = plan(&flock, &direct, "")
        .set("limits", "query_wait_timeout", "1")
        .more(&database("reads", &direct, "standby"))
        .start();
    let stages = ["primary", "prefer-standby"].map(|target| {
        let target = format!("'{target}'");
        let stage = plan(&flock, &direct, "").set("database", "target", &target);
        stage.more(&database("reads", &direct, "standby")).start()
    });
    let mut told = session(&hasty, &direct, "alone");
    let mut reader = session(&hasty, &direct, "reads");
    let mut stays = session(&stages[0], &direct, "alone");
    let cases = [(0, "alone"), (1, "alone"), (0, "reads")];
    let sessions = cases.map(|(stage, database)| {
        let new = || session(&stages[stage], &direct, database);
        (new(), new())
    });
    told.query("SELECT 1");
    stays.query("SELECT 1");
    // There is a primary, which is not what is missing here.
    reader.peer.send(&message::query("SELECT 1"));
    let error = reader.peer.expect_error("57P03");
    let said = error.error_text();
    assert!(
        said.contains("query_wait_timeout") && !said.contains("primary"),
        "{said}"
    );

    // While a server is dialled that does not answer, it is the same.
    let waiting = |stage: &Stage| {
        let pools = show(&mut console(stage, ADMIN), "POOLS");
        let of_role = pools.iter().filter(|it| text(it, "user") == "alone");
        of_role.map(|it| number(it, "cl_waiting")).sum::<u64>()
    };
    let hung = plan(&flock, &direct, "check_timeout = '60s'").start();
    let mut has_one = session(&hung, &direct, "alone");
    let mut dials = session(&hung, &direct, "alone");
    has_one.query("BEGIN");
    flock[0].hang();
    dials.peer.send(&message::query("SELECT 1"));
    wait::until("it to wait", wait::LONG, || waiting(&hung) == 1);
    cancel(&hung, &dials);
    dials.peer.expect_error("57014");
    dials.peer.until_ready();
    wait::until("nobody to wait", wait::LONG, || waiting(&hung) == 0);
    flock[0].wake();
    has_one.query("COMMIT");
    dials.query("SELECT 1");

    flock[0].kill();
    for stage in stages.iter().chain([&hasty]) {
        await_leader(stage, None);
    }
    told.peer.send(&message::query("SELECT 1"));
    let error = told.peer.expect_error("57P03");
    assert_eq!(error.field(b'M').as_deref(), Some(NO_PRIMARY));

    for ((stage, _), (mut leaves, mut cancels)) in cases.into_iter().zip(sessions) {
        let stage = &stages[stage];
        leaves.peer.send(&message::query("SELECT 1"));
        cancels.peer.send(&message::query("SELECT 1"));
        wait::until("both to wait", wait::LONG, || waiting(stage) == 2);
        leaves.peer.cut();
        wait::until("the one that left to be gone", wait::LONG, || {
            waiting(stage) == 1
        });
        cancel(stage, &cancels);
        cancels.peer.expect_error("57014");
        cancels.peer.until_ready();
        wait::until("nobody to wait", wait::LONG, || waiting(stage) == 0);
        let clusters = show(&mut console(stage, ADMIN), "CLUSTERS");
        assert_eq!(number(of(&clusters, "name", "main"), "waiting"), 0);
        assert!(!stage.proxy.log().contains("panicked"));
    }
    // Nobody is in the way of the one that waits to the end.
    stays.peer.send(&message::query("SELECT 1"));
    wait::until("it to wait", wait::LONG, || waiting(&stages[0]) == 1);
    flock[0].start_again();
    stays.peer.until_ready();
}

/// Cancels what this session waits for.
#[track_caller]
fn cancel(stage: &Stage, session: &Session) {
    let key = session.key.as_ref().expect("a key");
    let (pid, secret) = key.body.split_first_chunk().expect("a process id");
    let mut peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
    peer.send(&message::cancel(u32::from_be_bytes(*pid), secret));
    peer.drain();
}

/// Replaces a file by renaming another one over it, as a careful program does.
fn replace(file: &Path, hosts: &[&str]) {
    let new = file.with_extension("new");
    fs::write(&new, hosts.join("\n")).expect("the new file");
    fs::rename(&new, file).expect("the file");
}

#[test]
fn a_file_of_hosts_is_followed() {
    let flock = plain();
    let direct = another_role(flock, "filed");
    let hosts = [0, 1, 2].map(|number| host(&flock[number]));
    let section = "members_file = 'main.hosts'\nmembers_interval = '100ms'";
    let stage = plan_from(flock, &direct, section, flock.ca_file())
        .file(
            "main.hosts",
            &format!("# all\n{}\n\n{} weight=50 # near\n", hosts[0], hosts[1]),
        )
        .more(&database("reads", &direct, "standby"))
        .start();
    let file = stage.proxy.directory().join("main.hosts");
    let listed = || -> BTreeSet<u16> {
        let rows = show(&mut console(&stage, ADMIN), "HOSTS");
        rows.iter()
            .map(|it| text(it, "port").parse().expect("a port"))
            .collect()
    };
    await_role(&stage, flock[1].port(), "standby");
    assert_eq!(listed(), ports(&flock.members()[..2]));
    let mut reader = session(&stage, &direct, "reads");
    assert_eq!(read_at(&mut reader), ports([&flock[1]]));
    let mut writer = session(&stage, &direct, "filed");
    writer.query("SELECT 1");

    replace(&file, &[&hosts[0], &hosts[2]]);
    await_role(&stage, flock[2].port(), "standby");
    assert_eq!(listed(), ports([&flock[0], &flock[2]]));
    assert_eq!(read_at(&mut reader), ports([&flock[2]]));
    wait::until(
        "connections to the one that went to end",
        wait::LONG,
        || {
            count_of_backends(&flock[1], "filed") == 0
                && count_of_backends(&flock[1], CHECKER.0) == 0
        },
    );
    await_log(
        &stage,
        &format!("{} belongs to the cluster no more", hosts[1]),
    );

    // Of a file with one wrong line nothing is taken over.
    replace(&file, &[&hosts[1], "localhost:notaport"]);
    await_log(&stage, "those that were known stay");
    assert_eq!(listed(), ports([&flock[0], &flock[2]]));
    writer.query("INSERT INTO register VALUES (0, 1)");
    assert_eq!(read_at(&mut reader), ports([&flock[2]]));
    replace(&file, &[&hosts[0], &hosts[1], &hosts[2]]);
    await_role(&stage, flock[1].port(), "standby");
    assert_eq!(listed(), ports(flock.members()));
    await_log(&stage, "its members are known again");
}

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
        let (sqlstate, _) = fails(&mut client, "INSERT INTO register VALUES (0, 2)");
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

/// `portcullis switchover` with the configuration of this proxy.
fn switchover(stage: &Stage, words: &[&str]) -> Command {
    let mut command = Command::new(testkit::proxy::binary());
    command
        .arg("switchover")
        .args(words)
        .arg("--config")
        .arg(stage.proxy.directory().join("portcullis.toml"))
        .env("PGPASSWORD", ADMIN.1)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Its standard output and its standard error.
fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn an_operator_switches_over_by_the_program() {
    let flock = Flock::start(1);
    let direct = role(&flock, "operated");
    let stage = plan(&flock, &direct, "switchover_timeout = '20s'").start();
    await_role(&stage, flock[1].port(), "standby");
    let hosts = [host(&flock[0]), host(&flock[1])];
    let mut client = session(&stage, &direct, "operated");
    client.query("INSERT INTO register VALUES (0, 1)");
    for (words, sentence) in [
        (&["main", "TO", &*hosts[0]][..], "is the primary already"),
        (&["main", "TO", "nowhere:1"], "has no host \"nowhere:1\""),
        (&["other", "TO", &hosts[1]], "there is no cluster \"other\""),
        (&["main", "ONTO", &hosts[1]], "TO WHICH HOST?"),
    ] {
        let output = switchover(&stage, words)
            .output()
            .expect("portcullis to run");
        let (out, err) = said(&output);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {out}{err}");
        assert!(err.contains(sentence), "{words:?}: {out}{err}");
        assert!(!err.contains(ADMIN.1), "{err}");
    }
    client.query("INSERT INTO register VALUES (0, 2)");
    assert_eq!(port(&mut client, "SHOW port"), flock[0].port());

    let running = switchover(&stage, &["main", "TO", &hosts[1]])
        .spawn()
        .expect("portcullis to run");
    await_log(&stage, "the other host is to be promoted now");
    // Who wants to write meanwhile waits.
    client
        .peer
        .send(&message::query("INSERT INTO register VALUES (0, 3)"));
    flock[0].demote_to_standby_of(&flock[1]);
    flock[1].promote();
    let output = running.wait_with_output().expect("its end");
    let (out, err) = said(&output);
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    assert!(out.contains("done, in "), "{out}{err}");
    client.peer.until_ready();
    assert_eq!(port(&mut client, "SHOW port"), flock[1].port());
    let count = flock[1].sql_in("operated", "SELECT count(*) FROM register");
    assert_eq!(count, [[Some("3".to_owned())]]);
}
