//! Clusters whose hosts are not all alike: strangers, laggards, two primaries, none; and where sessions and single
//! statements are led then.

mod hosts;
mod mirrors;
mod routes;
mod statements;
mod without;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use e2e::Stage;
use e2e::clustered::{
    CHECKER, another_role, await_role, count_of_backends, database, host, plan, plan_from, role,
    session,
};
use e2e::scripted::Session;
use e2e::tables::{ADMIN, console, show, text};
use testkit::peer::message;
use testkit::{Flock, Frame, Member, wait};

/// Long enough for any answer that is on its way.
const A_WHILE: Duration = Duration::from_millis(300);

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

/// The first value of the only row among these.
#[track_caller]
fn value(frames: &[Frame]) -> String {
    let row = frames.iter().find(|frame| frame.tag == b'D');
    let body = &row.unwrap_or_else(|| panic!("no row in {frames:?}")).body;
    let len = u32::from_be_bytes(body[2..6].try_into().expect("a length"));
    String::from_utf8_lossy(&body[6..6 + len as usize]).into_owned()
}

/// Replaces a file by renaming another one over it, as a careful program does.
fn replace(file: &Path, hosts: &[&str]) {
    let new = file.with_extension("new");
    fs::write(&new, hosts.join("\n")).expect("the new file");
    fs::rename(&new, file).expect("the file");
}

/// The sandbox lets it ask, and the certificate of each address is for the name.
#[test]
fn the_addresses_of_a_name_are_hosts() {
    let flock = plain();
    let direct = another_role(flock, "named");
    let section = format!("dns = 'localhost'\ndns_port = {}", flock[0].port());
    let stage = plan_from(flock, &direct, &section, flock.ca_file()).start();
    let mut session = session(&stage, &direct, "named");
    assert_eq!(port(&mut session, "SHOW port"), flock[0].port());
    let hosts = show(&mut console(&stage, ADMIN), "HOSTS");
    let host = hosts.iter().find(|it| text(it, "host") == "127.0.0.1");
    let host = host.expect("the address that the server listens at");
    assert_eq!(
        (text(host, "role"), text(host, "health")),
        ("primary", "up")
    );
}

/// The source of members becomes another one, which says nothing yet: nobody is lost for that.
#[test]
fn hosts_stay_until_a_new_source_has_answered() {
    let flock = plain();
    let direct = another_role(flock, "sourced");
    let section = format!("hosts = '{}'", host(&flock[0]));
    let stage = plan_from(flock, &direct, &section, flock.ca_file()).start();
    let mut session = session(&stage, &direct, "sourced");
    session.query("BEGIN");
    let file = stage.proxy.directory().join("portcullis.toml");
    let text = fs::read_to_string(&file).expect("the configuration");
    // Nobody answers under this name (RFC 6761).
    let text = text.replace(&section, "dns = 'nowhere.invalid'");
    let new = file.with_extension("new");
    fs::write(&new, text).expect("the new configuration");
    fs::rename(new, file).expect("the configuration");
    stage.proxy.await_log("its members can't be looked up");
    assert_eq!(port(&mut session, "SHOW port"), flock[0].port());
    session.query("COMMIT");
    assert_eq!(port(&mut session, "SHOW port"), flock[0].port());
    await_role(&stage, flock[0].port(), "primary");
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
    stage
        .proxy
        .await_log(&format!("{} belongs to the cluster no more", hosts[1]));

    // Of a file with one wrong line nothing is taken over.
    replace(&file, &[&hosts[1], "localhost:notaport"]);
    stage.proxy.await_log("those that were known stay");
    assert_eq!(listed(), ports([&flock[0], &flock[2]]));
    writer.query("INSERT INTO register VALUES (0, 1)");
    assert_eq!(read_at(&mut reader), ports([&flock[2]]));
    replace(&file, &[&hosts[0], &hosts[1], &hosts[2]]);
    await_role(&stage, flock[1].port(), "standby");
    assert_eq!(listed(), ports(flock.members()));
    stage.proxy.await_log("its members are known again");
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
    stage
        .proxy
        .await_log("the other host is to be promoted now");
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
