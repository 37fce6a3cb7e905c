//! Servers fail under clients that share their connections: who had one reads an error that drivers try
//! again on, the others notice nothing, and pools recover by themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use e2e::drivers::Endpoint;
use e2e::load;
use e2e::scripted::Session;
use e2e::{Stage, StagePlan};
use nix::sys::signal::kill;
use nix::unistd::Pid;
use testkit::peer::message;
use testkit::{Cluster, Signal, wait};

/// What a client may read whose server connection is gone, or can't be had for a moment: connection
/// failure, administrator's and crash shutdown, cannot connect now.
const TRY_AGAIN: [&str; 4] = ["08006", "57P01", "57P02", "57P03"];

fn sharing(cluster: &Cluster, role: &Endpoint, size: usize) -> StagePlan {
    Stage::before(cluster)
        .user(role)
        .set("pool", "pool_mode", "\"transaction\"")
        .set("pool", "default_pool_size", &size.to_string())
        .set("database", "server_login_retry", "\"100ms\"")
        .set("listen", "workers", "2")
}

#[track_caller]
fn only_such_as_are_tried_again(errors: &BTreeMap<String, usize>, stage: &Stage) {
    let clear = errors.keys().all(|it| TRY_AGAIN.contains(&&**it));
    assert!(clear, "{errors:?}\n{}", stage.proxy.log());
    assert!(!stage.proxy.log().contains("panicked"));
}

/// Ends the role's backends, and waits for the end of just those: one that came between two looks would be
/// told to end and not be waited for.
#[track_caller]
fn terminate_all(cluster: &Cluster, role: &Endpoint) {
    let told = cluster.sql(&format!(
        "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{}'",
        role.user
    ));
    let pid = |mut row: Vec<Option<String>>| row.swap_remove(0)?.parse::<u32>().ok();
    let told: BTreeSet<u32> = told.into_iter().filter_map(pid).collect();
    assert!(!told.is_empty());
    wait::until("the backends' end", wait::LONG, || {
        role.backends(cluster).is_disjoint(&told)
    });
}

#[test]
fn connections_that_die_at_rest_are_not_noticed() {
    let cluster = Cluster::shared();
    let role = Endpoint::direct(cluster, "faults_rest");
    let stage = sharing(cluster, &role, 3).start();
    let mut clients: Vec<Session> = (0..6).map(|_| Session::through(&stage, &role)).collect();
    for round in 0..5 {
        for client in &mut clients {
            client
                .peer
                .send(&message::query(&format!("SELECT {round}")));
        }
        for client in &mut clients {
            client.peer.until_ready();
        }
        terminate_all(cluster, &role);
    }
    for client in &mut clients {
        assert_eq!(client.value("SELECT 'well'"), "well");
    }
}

/// Its own worker notices a connection that ends; where that one is held up, whoever takes the connection over does.
#[cfg(target_arch = "x86_64")]
#[test]
fn connections_that_die_at_a_worker_held_up_are_not_noticed() {
    use testkit::inject::{Stopped, threads};

    let cluster = Cluster::shared();
    let role = Endpoint::direct(cluster, "faults_held_up");
    let plan = sharing(cluster, &role, 1).set("process", "core_dumps", "true");
    let stage = plan.start();
    let mut clients: Vec<Session> = (0..2).map(|_| Session::through(&stage, &role)).collect();
    let is_worker = |thread: &i32| {
        let name = format!("/proc/{}/task/{thread}/comm", stage.proxy.pid());
        std::fs::read_to_string(name).is_ok_and(|it| it.starts_with("worker-"))
    };
    let workers = threads(stage.proxy.pid()).into_iter().filter(is_worker);
    let mut served_meanwhile = 0;
    for worker in workers.collect::<Vec<_>>() {
        for asker in [0, 1] {
            assert_eq!(clients[1 - asker].value("SELECT 'mine'"), "mine");
            let held_up = Stopped::thread(worker);
            terminate_all(cluster, &role);
            let asker = &mut clients[asker].peer;
            asker.send(&message::query("SELECT 'well'"));
            // Who lives at that worker is held up, too.
            let is_held_up = asker.silent_for(Duration::from_secs(2));
            drop(held_up);
            if !is_held_up {
                served_meanwhile += 1;
                // The first message, without its first byte, which that look has taken.
                let rest = asker.bytes(4);
                let len = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
                asker.bytes(len - 4);
            }
            let row = message::frame(b'D', b"\0\x01\0\0\0\x04well");
            let answer = asker.until_ready();
            assert!(answer.iter().any(|it| it.bytes() == row), "{answer:?}");
        }
    }
    assert_ne!(served_meanwhile, 0, "nobody lived at the other worker");
}

#[test]
fn who_is_in_a_transaction_or_a_query_is_told() {
    let cluster = Cluster::shared();
    let role = Endpoint::direct(cluster, "faults_busy");
    let stage = sharing(cluster, &role, 2).start();
    let mut waits = Session::through(&stage, &role);
    let mut idle = Session::through(&stage, &role);
    idle.query("BEGIN");
    let mut busy = Session::through(&stage, &role);
    busy.peer.send(&message::query("SELECT pg_sleep(600)"));
    let sleeps = format!(
        "SELECT 1 FROM pg_stat_activity WHERE usename = '{}' AND wait_event = 'PgSleep'",
        role.user
    );
    wait::until("the sleep", wait::LONG, || !cluster.sql(&sleeps).is_empty());
    waits.peer.send(&message::query("SELECT 'served'"));
    terminate_all(cluster, &role);
    for session in [&mut idle, &mut busy] {
        let last = session.peer.until_tag(b'E').pop().expect("an error");
        assert!(TRY_AGAIN.contains(&&*last.field(b'C').unwrap_or_default()));
        session.peer.end();
    }
    let row = waits.peer.until_ready();
    assert!(row.iter().any(|it| it.body.ends_with(b"served")));
}

#[test]
fn backends_are_terminated_under_load() {
    let cluster = Cluster::shared();
    let role = Endpoint::direct(cluster, "faults_load");
    let stage = sharing(cluster, &role, 3).start();
    let errors = load::during(&stage, &role, 12, |meter| {
        for _ in 0..15 {
            meter.await_progress(1);
            cluster.sql(&format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{}' \
                 ORDER BY random() LIMIT 1",
                role.user
            ));
        }
        meter.await_progress(8);
    });
    only_such_as_are_tried_again(&errors, &stage);
    assert!(role.backends(cluster).len() <= 3);
}

/// A killed backend takes all others with it: the server recovers from the crash.
#[test]
fn a_server_crashes_and_recovers_under_load() {
    let cluster = Cluster::start();
    let role = Endpoint::direct(&cluster, "faults_crash");
    let stage = sharing(&cluster, &role, 3).start();
    let errors = load::during(&stage, &role, 12, |meter| {
        for crash in 1..=2 {
            meter.await_progress(4);
            let pid = role.backends(&cluster).pop_last().expect("a backend");
            let pid = pid.try_into().expect("a process id");
            kill(Pid::from_raw(pid), Signal::SIGKILL).expect("a backend to kill");
            // The server goes on until it has noticed; only then does progress mean that it has recovered.
            wait::until("the recovery", wait::LONG, || {
                let log = cluster.log();
                let noticed = log.matches("all server processes terminated").count();
                let ready = log.matches("ready to accept connections").count();
                noticed == crash && ready == crash + 1
            });
        }
        meter.await_progress(8);
    });
    assert!(!errors.is_empty());
    only_such_as_are_tried_again(&errors, &stage);
}

#[test]
fn a_server_is_restarted_and_killed_under_load() {
    let mut cluster = Cluster::start();
    let role = Endpoint::direct(&cluster, "faults_restart");
    let stage = sharing(&cluster, &role, 3).start();
    let errors = load::during(&stage, &role, 12, |meter| {
        for signal in [Signal::SIGINT, Signal::SIGKILL, Signal::SIGQUIT] {
            meter.await_progress(4);
            cluster.restart(signal);
        }
        meter.await_progress(8);
    });
    assert!(!errors.is_empty());
    only_such_as_are_tried_again(&errors, &stage);
}

#[test]
fn an_idle_connection_lets_go_of_its_database() {
    let cluster = Cluster::shared();
    let role = Endpoint::direct(cluster, "faults_drop");
    let stage = sharing(cluster, &role, 3)
        .set("database", "server_idle_timeout", "\"1s\"")
        .start();
    let mut client = Session::through(&stage, &role);
    client.query("SELECT 1");
    // The client stays; only what it used rests, and not for long.
    wait::until("the end of connections at rest", wait::LONG, || {
        role.backends(cluster).is_empty()
    });
    cluster.sql("DROP DATABASE faults_drop");
    client.peer.send(&message::query("SELECT 1"));
    let error = client.peer.expect_frame(b'E');
    assert!(
        error.error_text().contains("faults_drop"),
        "{}",
        error.error_text()
    );
}

/// Reloads change what is said of pools; who works meanwhile doesn't notice.
#[test]
fn reloads_fail_no_query() {
    let cluster = Cluster::shared();
    let role = Endpoint::direct(cluster, "faults_reload");
    let stage = sharing(cluster, &role, 3).start();
    let file = stage.proxy.directory().join("portcullis.toml");
    let pid = i32::try_from(stage.proxy.pid()).expect("a process id");
    let reloads = |stage: &Stage| {
        let log = stage.proxy.log();
        log.matches("portcullis::reload: reloaded").count()
    };
    let errors = load::during(&stage, &role, 12, |meter| {
        for turn in 0..6 {
            meter.await_progress(2);
            let text = std::fs::read_to_string(&file).expect("the configuration");
            let (old, new) = [("= 3\n", "= 4\n"), ("= 4\n", "= 3\n")][turn % 2];
            let old = format!("default_pool_size {old}");
            let new = format!("default_pool_size {new}");
            assert!(text.contains(&old), "{text}");
            std::fs::write(&file, text.replace(&old, &new)).expect("the configuration");
            let before = reloads(&stage);
            kill(Pid::from_raw(pid), Signal::SIGHUP).expect("a proxy to signal");
            wait::until("the reload", wait::LONG, || reloads(&stage) > before);
        }
        meter.await_progress(4);
    });
    assert!(errors.is_empty(), "{errors:?}\n{}", stage.proxy.log());
    assert_eq!(Session::through(&stage, &role).value("SELECT 1"), "1");
}
