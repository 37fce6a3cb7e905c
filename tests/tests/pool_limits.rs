//! Limits of pools beyond their size: connections that are made ahead of need, those that are kept for a user,
//! and how many a role may have in all databases together.

use e2e::StagePlan;
use e2e::drivers::Endpoint;
use e2e::scripted::Session;
use e2e::tables::{ADMIN, console, number, of, plan, show};
use std::collections::BTreeSet;
use testkit::peer::message;
use testkit::{Cluster, wait};

fn direct(role: &str) -> Endpoint {
    Endpoint::direct(Cluster::shared(), role)
}

fn sharing(role: &Endpoint) -> StagePlan {
    plan(role).set("pool", "pool_mode", "'transaction'")
}

/// Server connections of this role.
#[track_caller]
fn backends(role: &Endpoint) -> BTreeSet<u32> {
    role.backends(Cluster::shared())
}

#[track_caller]
fn await_backends(role: &Endpoint, count: usize) -> BTreeSet<u32> {
    wait::until_some("server connections", wait::LONG, || {
        Some(backends(role)).filter(|it| it.len() == count)
    })
}

/// Another entry of the configuration for a database of the shared cluster.
fn another(name: &str, dbname: &str, more: &str) -> String {
    let cluster = Cluster::shared();
    format!(
        "[[database]]\nname = '{name}'\nhost = 'localhost'\nport = {}\ndbname = '{dbname}'\n{more}\n\
         [database.tls]\nca = '{}'\n",
        cluster.port(),
        cluster.ca_file().display()
    )
}

#[test]
fn a_pool_is_topped_up_and_neither_rest_nor_death_empties_it() {
    let role = direct("limits_ready");
    let stage = sharing(&role)
        .set("pool", "min_pool_size", "3")
        .set("database", "server_idle_timeout", "'2s'")
        .start();
    let mut client = Session::through(&stage, &role);
    await_backends(&role, 3);
    // More than that come and go; the three stay.
    let mut others: Vec<Session> = (0..5).map(|_| Session::through(&stage, &role)).collect();
    for other in &mut others {
        other.query("BEGIN");
    }
    assert_eq!(backends(&role).len(), 5);
    for other in &mut others {
        other.query("COMMIT");
    }
    wait::until("the rest of two", wait::LONG, || {
        let count = backends(&role).len();
        assert!(count >= 3, "{count} are left");
        count == 3
    });
    // What dies is made anew.
    let kill = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{}'",
        role.user
    );
    let before = backends(&role);
    Cluster::shared().sql(&kill);
    wait::until("new connections", wait::LONG, || {
        let now = backends(&role);
        now.len() == 3 && now.is_disjoint(&before)
    });
    assert_eq!(client.value("SELECT 7"), "7");
    let mut admin = console(&stage, ADMIN);
    let databases = show(&mut admin, "DATABASES");
    assert_eq!(number(of(&databases, "name", "*"), "min_pool_size"), 3);
    let counters = show(&mut admin, "COUNTERS");
    let prepared = number(of(&counters, "name", "server_prepared"), "value");
    assert!(prepared >= 5, "{prepared}");
    // Nothing is made for nobody.
    others.clear();
    drop(client);
    wait::until("the clients' end", wait::LONG, || {
        let users = show(&mut admin, "USERS");
        number(of(&users, "name", &role.user), "current_client_connections") == 0
    });
    Cluster::shared().sql(&kill);
    await_backends(&role, 0);
}

#[test]
fn old_connections_are_replaced_though_nobody_uses_them() {
    let role = direct("limits_old");
    let stage = sharing(&role)
        .set("pool", "min_pool_size", "2")
        .set("database", "server_lifetime", "'3s'")
        .start();
    let mut client = Session::through(&stage, &role);
    let first = await_backends(&role, 2);
    wait::until("younger ones", wait::LONG, || {
        let now = backends(&role);
        now.len() == 2 && now.is_disjoint(&first)
    });
    assert_eq!(client.value("SELECT 7"), "7");
}

#[test]
fn one_role_for_all_clients_needs_no_client() {
    let role = direct("limits_forced");
    let own = "user = 'limits_forced'\npassword_file = 'forced.txt'\nmin_pool_size = 2\n";
    let stage = sharing(&role)
        .file("forced.txt", &format!("{}\n", role.password))
        .more(&another("forced", &role.database, own))
        .start();
    let ready = await_backends(&role, 2);
    let through = Endpoint {
        database: "forced".to_owned(),
        ..role.clone()
    };
    let mut client = Session::through(&stage, &through);
    assert!(ready.contains(&client.process_id()));
    assert_eq!(backends(&role), ready);
}

#[test]
fn what_can_not_be_made_ahead_of_need_is_left_for_a_while() {
    let role = direct("limits_wrong");
    let own = "user = 'limits_wrong'\npassword_file = 'wrong.txt'\nmin_pool_size = 1\n";
    let stage = sharing(&role)
        .file("wrong.txt", "not its password\n")
        .more(&another("forced", &role.database, own))
        .start();
    let mut admin = console(&stage, ADMIN);
    let mut failed = || {
        let counters = show(&mut admin, "COUNTERS");
        number(of(&counters, "name", "server_prepare_failed"), "value")
    };
    wait::until("the third attempt", wait::LONG, || failed() >= 3);
    let log = stage.proxy.log();
    let told = |line: &&str| line.contains("(min_pool_size)");
    assert!(log.lines().filter(told).count() >= 3, "{log}");
    assert!(!log.contains("not its password"));
}

#[test]
fn what_is_guaranteed_to_one_user_is_not_had_by_another() {
    let (greedy, modest) = (direct("limits_greedy"), direct("limits_modest"));
    let stage = sharing(&greedy)
        .user(&modest)
        .set("database", "max_db_connections", "3")
        .set("limits", "query_wait_timeout", "'2s'")
        .more("[[user]]\nname = 'limits_modest'\npool_guaranteed = 1\n")
        .start();
    let mut quiet = Session::through(&stage, &modest);
    let mut holders: Vec<Session> = (0..3).map(|_| Session::through(&stage, &greedy)).collect();
    for holder in &mut holders[..2] {
        holder.query("BEGIN");
    }
    holders[2].peer.send(&message::query("SELECT 1"));
    let told = holders[2].peer.expect_frame(b'E').error_text();
    assert!(
        told.contains("query_wait_timeout") && told.contains("pool_guaranteed"),
        "{told}"
    );
    assert_eq!(quiet.value("SELECT 7"), "7");
    // With its clients the guarantee ends.
    quiet.peer.send(&message::TERMINATE);
    let mut third = wait::until_some("the third connection", wait::LONG, || {
        let mut session = Session::through(&stage, &greedy);
        session.peer.send(&message::query("BEGIN"));
        let first = session.peer.frame();
        (first.tag == b'C').then_some(session)
    });
    third.peer.expect_frame(b'Z');
    assert_eq!(backends(&greedy).len(), 3);
}

#[test]
fn a_role_has_so_many_connections_in_all_databases() {
    let role = direct("limits_role");
    let stage = sharing(&role)
        .set("pool", "max_user_connections", "2")
        .set("limits", "query_wait_timeout", "'3s'")
        .more(&another("elsewhere", &role.database, ""))
        .start();
    let elsewhere = Endpoint {
        database: "elsewhere".to_owned(),
        ..role.clone()
    };
    let mut here = Session::through(&stage, &role);
    let mut there = Session::through(&stage, &elsewhere);
    let mut waits = Session::through(&stage, &role);
    here.query("BEGIN");
    there.query("BEGIN");
    waits.peer.send(&message::query("SELECT 7"));
    wait::until("the wait", wait::LONG, || {
        let pools = show(&mut console(&stage, ADMIN), "POOLS");
        number(of(&pools, "database", &role.database), "cl_waiting") == 1
    });
    assert_eq!(backends(&role).len(), 2);
    // The other database's connection goes for it.
    there.query("COMMIT");
    waits.peer.expect_frame(b'T');
    waits.peer.until_ready();
    assert_eq!(backends(&role).len(), 2);
    // And this one's for the other, back and forth.
    for _ in 0..3 {
        assert_eq!(there.value("SELECT 8"), "8");
        assert_eq!(waits.value("SELECT 9"), "9");
        assert!(backends(&role).len() <= 2);
    }
    waits.query("BEGIN");
    there.peer.send(&message::query("SELECT 1"));
    let told = there.peer.expect_frame(b'E').error_text();
    assert!(
        told.contains("query_wait_timeout") && told.contains("max_user_connections"),
        "{told}"
    );
    let users = show(&mut console(&stage, ADMIN), "USERS");
    let row = of(&users, "name", &role.user);
    assert_eq!(number(row, "max_user_connections"), 2);
    assert_eq!(number(row, "current_connections"), 2);
}
