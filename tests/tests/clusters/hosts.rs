//! Hosts that are not to be used, or not for all: one that can't prove itself, one that lags, one of an old history,
//! one of another system.

use std::fs;
use std::net::SocketAddr;

use e2e::clustered::{
    CHECKER, another_role, await_host, await_role, count_of_backends, database, host, plan,
    plan_from, plan_of, role, session,
};
use e2e::drivers::Endpoint;
use e2e::tables::{ADMIN, console, number, of, refused, show, text};
use testkit::peer::message;
use testkit::{Authority, Cluster, Fault, FaultPipe, Flock, FlockPlan, Identity, Member, wait};

use super::{A_WHILE, Paused, pausing, plain, port, ports, read_at, replace, value};

/// More of the log than servers write by themselves meanwhile.
const LAG_BYTES_MAX: u64 = 100_000;

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
    stage.proxy.await_log(&why);
    let log = stage.proxy.log();
    assert!(
        log.contains(&format!("{} is down (tls)", host(&flock[1]))),
        "{log}"
    );
    let event = format!(
        "from={} why=no host says that it is the primary",
        host(&flock[0])
    );
    stage.proxy.await_log(&event);
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

/// Each host proves itself as its own section wants it, towards those who ask what it is and towards sessions: by another
/// authority, by a pin, or by a version that it doesn't have. The sections go for hosts of a file, too, which come later.
#[test]
fn hosts_prove_themselves_by_sections_of_their_own() {
    let (stranger, pinned) = (Authority::new("a stranger"), Authority::new("of nobody"));
    let certificate = pinned.issue(&Identity::server(&["another.example"]));
    let flock = FlockPlan::new(2)
        .certificate(1, &stranger, &stranger.issue(&Identity::localhost()))
        .certificate(2, &pinned, &certificate)
        .set_on(2, "ssl_max_protocol_version", "TLSv1.2")
        .start();
    let direct = role(&flock, "own_tls");
    let own = |member: &Member, settings: &str| {
        format!(
            "[[cluster.host_tls]]\nhost = '{}'\n{settings}\n",
            host(member)
        )
    };
    let digits: String = (certificate.fingerprint().iter())
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let by_authority = own(
        &flock[1],
        &format!("ca = '{}'", flock[1].ca_file().display()),
    );
    let by_pin = format!("mode = 'pin'\npin = 'sha256:{digits}'");
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("hosts");
    replace(&file, &[&host(&flock[0]), &host(&flock[1])]);
    let section = format!("members_file = '{}'", file.display());
    let start = |by_pin: &str| {
        plan_from(&flock, &direct, &section, flock.ca_file())
            .more(&by_authority)
            .more(&own(&flock[2], by_pin))
            .more(&database("reads", &direct, "standby"))
            .start()
    };
    let stage = start(&by_pin);
    await_role(&stage, flock[0].port(), "primary");
    await_role(&stage, flock[1].port(), "standby");
    let mut reader = session(&stage, &direct, "reads");
    assert_eq!(read_at(&mut reader), ports([&flock[1]]));
    let both = [host(&flock[0]), host(&flock[1]), host(&flock[2])];
    replace(&file, &both.each_ref().map(String::as_str));
    await_role(&stage, flock[2].port(), "standby");
    assert_eq!(read_at(&mut reader), ports([&flock[1], &flock[2]]));
    session(&stage, &direct, "own_tls").query("INSERT INTO register VALUES (0, 1)");

    // `check` reaches each as the proxy does, and says how it verified it.
    let (succeeded, said) = stage.check();
    assert!(succeeded, "{said}");
    let by_name = "authority and name (mode = \"verify-full\")";
    let by = [by_name, by_name, "SHA-256 (mode = \"pin\")"];
    for (host, by) in both.iter().zip(by) {
        let at = format!(" at {host}\n");
        let mut legs = said.split("server leg: ").filter(|it| it.contains(&at));
        assert!(
            legs.next().is_some_and(|it| it.contains(by)),
            "{host}: {said}"
        );
    }

    // The same host, of which more is wanted than it has.
    let stage = start(&format!("{by_pin}\nmin_version = 'TLSv1.3'"));
    let is_down = |it: &_| text(it, "health") == "down";
    let row = await_host(&stage, flock[2].port(), "down", is_down);
    assert_eq!(text(&row, "trouble"), "tls", "{row:?}");
    await_role(&stage, flock[1].port(), "standby");
    let mut reader = session(&stage, &direct, "reads");
    assert_eq!(read_at(&mut reader), ports([&flock[1]]));
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
    stage.proxy.await_log(&format!(
        "{new} is written to from now on, and {old} no more"
    ));
    stage
        .proxy
        .await_log(&format!("{old} is refused: old timeline now"));
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

/// What is known of a host may be old: each new connection is looked at before it is lent. Here the address of the primary
/// leads to a standby from one moment to the next, while the connection of the check goes on to the primary.
#[test]
fn a_new_connection_to_a_standby_is_not_taken_for_one_to_the_primary() {
    let flock = plain();
    let direct = another_role(flock, "looked_at");
    let at = |member: &Member| SocketAddr::from(([127, 0, 0, 1], member.port()));
    let pipe = FaultPipe::start(at(&flock[0]), Fault::None, Fault::None);
    let only = format!("localhost:{}", pipe.address().port());
    let stage = plan_of(flock, &direct, &[only], "").start();
    let mut session = session(&stage, &direct, "looked_at");
    assert_eq!(port(&mut session, "SHOW port"), flock[0].port());
    pipe.lead_to(at(&flock[1]));
    console(&stage, ADMIN).query("RECONNECT");
    session.peer.send(&message::query("SHOW port"));
    assert!(session.peer.silent_for(A_WHILE));
    await_role(&stage, pipe.address().port(), "primary");
    pipe.lead_to(at(&flock[0]));
    let frames = session.peer.until_ready();
    assert_eq!(value(&frames), flock[0].port().to_string());
}
