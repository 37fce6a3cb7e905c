//! The console: who gets in, what tools written for PgBouncer find there, and what orders do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use e2e::Stage;
use e2e::drivers::Endpoint;
use e2e::scripted::{Session, offer_proof, prove};
use e2e::tables::{
    ADMIN, Row, WATCHER, columns, console, endpoint, number, of, plan, refused, rows, show, text,
};
use testkit::peer::message;
use testkit::{Cluster, Frame, Peer, Signal, wait};

const LIMIT: Duration = Duration::from_secs(30);

fn direct(role: &str) -> Endpoint {
    Endpoint::direct(Cluster::shared(), role)
}

/// A new client of the database, which is let in or not.
fn try_login(stage: &Stage, role: &Endpoint) -> Frame {
    let mut peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
    let role = stage.endpoint(role);
    peer.send(&message::startup(&[
        ("user", &role.user),
        ("database", &role.database),
    ]));
    offer_proof(&mut peer, &role.password);
    peer.frame()
}

/// `prometheus-community/pgbouncer_exporter`: what its driver (lib/pq) says at the start, then its queries
/// in its order, by the simple protocol. One that fails makes the instance look down.
#[test]
fn the_exporters_queries_are_answered() {
    let role = direct("console_exporter");
    let stage = plan(&role).start();
    let mut client = Session::through(&stage, &stage.endpoint(&role));
    client.query("SELECT 1");
    let mut peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
    peer.send(&message::startup(&[
        ("user", WATCHER.0),
        ("database", "pgbouncer"),
        ("extra_float_digits", "2"),
        ("client_encoding", "UTF8"),
        ("datestyle", "ISO, MDY"),
    ]));
    prove(&mut peer, WATCHER.1);
    let mut exporter = Session::settle(peer);
    exporter.query("SHOW STATS");
    let version = exporter.query("SHOW VERSION;");
    assert_eq!(columns(&version), [("version".to_owned(), 25)]);
    let lists = exporter.query("SHOW LISTS;");
    assert_eq!(columns(&lists).len(), 2);
    let lists = rows(&lists);
    for list in [
        "databases",
        "users",
        "pools",
        "free_clients",
        "used_clients",
        "dns_queries",
    ] {
        number(of(&lists, "list", list), "items");
    }
    assert!(number(of(&lists, "list", "used_clients"), "items") >= 2);
    let config = exporter.query("SHOW CONFIG;");
    assert!([3, 4].contains(&columns(&config).len()));
    for key in ["max_client_conn", "max_user_connections"] {
        number(of(&rows(&config), "key", key), "value");
    }
    let databases = show(&mut exporter, "DATABASES");
    let all = of(&databases, "name", "*");
    assert_eq!(
        (text(all, "host"), number(all, "disabled")),
        ("localhost", 0)
    );
    let totals = show(&mut exporter, "STATS_TOTALS");
    let total = of(&totals, "database", &role.database);
    for (column, least) in [
        ("xact_count", 1),
        ("query_count", 1),
        ("server_assignment_count", 1),
        ("client_login_count", 1),
        ("bytes_received", 100),
        ("bytes_sent", 100),
    ] {
        assert!(number(total, column) >= least, "{column} {total:?}");
    }
    let pools = show(&mut exporter, "POOLS");
    let pool = of(&pools, "user", &role.user);
    assert_eq!(text(pool, "database"), role.database);
    assert_eq!(
        (number(pool, "cl_active"), number(pool, "sv_active")),
        (1, 1)
    );
    let clients = show(&mut exporter, "CLIENTS");
    assert_eq!(text(of(&clients, "user", &role.user), "state"), "active");
}

#[test]
fn what_is_shown_is_what_is() {
    let role = direct("console_shown");
    let stage = plan(&role).start();
    let mut peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
    peer.send(&message::startup(&[
        ("user", &role.user),
        ("database", &role.database),
        ("application_name", "the application"),
    ]));
    prove(&mut peer, &role.password);
    let own = peer.local_address();
    let mut client = Session::settle(peer);
    let pid = client.process_id();
    let mut watcher = console(&stage, WATCHER);
    let clients = show(&mut watcher, "CLIENTS");
    let seen = of(&clients, "user", &role.user);
    assert_eq!(text(seen, "application_name"), "the application");
    assert_eq!(text(seen, "addr"), "127.0.0.1");
    assert_eq!(number(seen, "port"), u64::from(own.port()));
    assert_eq!(number(seen, "local_port"), u64::from(stage.proxy.port()));
    assert!(text(seen, "tls").starts_with("TLSv1.3/TLS_"), "{seen:?}");
    let servers = show(&mut watcher, "SERVERS");
    let server = of(&servers, "user", &role.user);
    assert_eq!(number(server, "remote_pid"), u64::from(pid));
    assert_eq!(text(server, "link"), text(seen, "ptr"));
    assert_eq!(text(seen, "link"), text(server, "ptr"));
    assert_eq!(text(server, "state"), "active");
    let before = show(&mut watcher, "STATS_TOTALS");
    let counts = |rows: &[Row]| {
        let row = of(rows, "database", &role.database);
        (number(row, "xact_count"), number(row, "query_count"))
    };
    client.query("BEGIN");
    client.query("SELECT 1");
    client.query("COMMIT");
    let after = show(&mut watcher, "STATS_TOTALS");
    let (before, after) = (counts(&before), counts(&after));
    assert_eq!((after.0 - before.0, after.1 - before.1), (1, 3));
    // What it did counts when it is gone, too.
    drop(client);
    wait::until("the client is gone", LIMIT, || {
        let clients = show(&mut watcher, "CLIENTS");
        clients.iter().all(|row| text(row, "user") != role.user)
    });
    assert_eq!(counts(&show(&mut watcher, "STATS_TOTALS")), after);
}

#[test]
fn only_those_who_are_named_get_in_and_watchers_only_watch() {
    let role = direct("console_stranger");
    let stage = plan(&role).start();
    for database in ["pgbouncer", "portcullis"] {
        let stranger = endpoint(&stage, (&role.user, &role.password), database);
        let error = try_login(&stage, &stranger);
        assert_eq!(error.field(b'C').as_deref(), Some("42501"));
        let mut watcher = Session::through(&stage, &endpoint(&stage, WATCHER, database));
        assert_eq!(show(&mut watcher, "STATE").len(), 3);
        for order in [
            "PAUSE",
            "RESUME",
            "KILL",
            "KILL_CLIENT 1",
            "CANCEL_CLIENT 1",
            "RECONNECT",
            "DISABLE a",
            "ENABLE a",
            "SUSPEND",
            "WAIT_CLOSE",
            "RELOAD",
            "SHUTDOWN",
            "SET a = b",
        ] {
            assert_eq!(refused(&mut watcher, order).0, "42501", "{order}");
        }
        assert_eq!(refused(&mut watcher, "SHOW FDS").0, "0A000");
    }
    // Whoever fails to prove it is told no more than elsewhere.
    let mut peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
    peer.send(&message::startup(&[
        ("user", ADMIN.0),
        ("database", "pgbouncer"),
    ]));
    offer_proof(&mut peer, "a wrong password");
    peer.expect_error("28P01");
}

#[test]
fn psql_reads_the_console() {
    let role = direct("console_psql");
    let stage = plan(&role).start();
    let psql = |command: &str| {
        let admin = endpoint(&stage, ADMIN, "portcullis");
        let mut psql = admin.command(Cluster::client_program("psql"));
        psql.args([
            "--no-psqlrc",
            "--tuples-only",
            "--no-align",
            "--command",
            command,
        ]);
        let output = psql.output().expect("psql");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        (String::from_utf8_lossy(&output.stdout).into_owned(), said)
    };
    assert!(psql("SHOW VERSION").0.starts_with("Portcullis "));
    assert!(psql("show help").1.contains("SHOW HELP|"));
    assert!(
        psql("show clients")
            .0
            .contains("C|console_admin|portcullis|none|active|127.0.0.1|")
    );
    assert_eq!(
        psql("SHOW STATE").0,
        "active|yes\npaused|no\nsuspended|no\n"
    );
}

#[test]
fn a_paused_database_waits_and_goes_on() {
    for mode in ["session", "transaction"] {
        let role = direct(&format!("console_pause_{mode}"));
        let stage = plan(&role)
            .set("pool", "pool_mode", &format!("\"{mode}\""))
            .start();
        let mut client = Session::through(&stage, &stage.endpoint(&role));
        client.query("BEGIN");
        let mut admin = console(&stage, ADMIN);
        admin
            .peer
            .send(&message::query(&format!("PAUSE {}", role.database)));
        let mut watcher = console(&stage, WATCHER);
        wait::until("the database is paused", LIMIT, || {
            text(&show(&mut watcher, "DATABASES")[0], "paused") == "1"
        });
        // It waits for whoever has a connection.
        assert!(admin.peer.silent_for(Duration::from_millis(100)));
        client.query("COMMIT");
        if mode == "session" {
            assert!(admin.peer.silent_for(Duration::from_millis(100)));
            client.peer.close();
        }
        let done = admin.peer.until_ready();
        assert_eq!(done[0].body, b"PAUSE\0");
        assert_eq!(show(&mut admin, "SERVERS").len(), 0);
        admin.query("RESUME");
        let mut next = Session::through(&stage, &stage.endpoint(&role));
        assert_eq!(next.value("SELECT 1"), "1");
    }
}

#[test]
fn everything_is_paused_and_resumed_by_signals_too() {
    let role = direct("console_signals");
    let mut stage = plan(&role).start();
    let mut watcher = console(&stage, WATCHER);
    let mut state = |key: &str, value: &str| {
        wait::until("the state has changed", LIMIT, || {
            text(of(&show(&mut watcher, "STATE"), "key", key), "value") == value
        });
    };
    stage.proxy.signal(Signal::SIGUSR1);
    state("paused", "yes");
    let mut admin = console(&stage, ADMIN);
    assert_eq!(refused(&mut admin, "PAUSE").0, "55000");
    assert_eq!(refused(&mut admin, "KILL").1, "already suspended/paused");
    stage.proxy.signal(Signal::SIGUSR2);
    state("active", "yes");
    assert_eq!(
        refused(&mut admin, "RESUME").1,
        "pooler is not paused/suspended"
    );
    assert_eq!(refused(&mut admin, "PAUSE pgbouncer").0, "55000");
}

/// In the middle of a result, in a transaction, between two: nobody moves until RESUME, and then nothing was
/// lost.
#[test]
fn suspended_sessions_stand_still_and_go_on() {
    const ROWS: usize = 300_000;
    for mode in ["session", "transaction"] {
        let role = direct(&format!("console_suspend_{mode}"));
        let stage = plan(&role)
            .set("pool", "pool_mode", &format!("\"{mode}\""))
            .start();
        let begin = || Session::through(&stage, &stage.endpoint(&role));
        let (mut idle, mut busy, mut reading) = (begin(), begin(), begin());
        busy.query("BEGIN");
        let long = format!("SELECT repeat('x', 1000) FROM generate_series(1, {ROWS})");
        reading.peer.send(&message::query(&long));
        reading.peer.expect_frame(b'T');
        let rows = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..ROWS {
                    reading.peer.expect_frame(b'D');
                    rows.fetch_add(1, Ordering::Relaxed);
                }
                reading.peer.until_ready();
            });
            let mut admin = console(&stage, ADMIN);
            admin.query("SUSPEND");
            assert_eq!(refused(&mut admin, "SUSPEND").1, "already suspended/paused");
            let state = show(&mut admin, "STATE");
            assert_eq!(text(of(&state, "key", "suspended"), "value"), "yes");
            // What was on its way to the reader comes to it; then nothing does.
            let (mut before, mut looks) = (0, 0);
            wait::until("the end of what was on its way", LIMIT, || {
                let now = rows.load(Ordering::Relaxed);
                looks = if now == before { looks + 1 } else { 0 };
                before = now;
                looks == 20
            });
            assert!(before < ROWS);
            for client in [&mut idle, &mut busy] {
                client.peer.send(&message::query("SELECT 7"));
            }
            for client in [&mut idle, &mut busy] {
                assert!(client.peer.silent_for(Duration::from_millis(100)));
            }
            assert_eq!(rows.load(Ordering::Relaxed), before);
            admin.query("RESUME");
            for client in [&mut idle, &mut busy] {
                let frames = client.peer.until_ready();
                assert!(frames.iter().any(|it| it.tag == b'D'));
            }
        });
        assert_eq!(rows.load(Ordering::Relaxed), ROWS);
        busy.query("COMMIT");
        assert_eq!(begin().value("SELECT 1"), "1");
    }
}

#[test]
fn clients_that_take_nothing_do_not_hold_a_suspension_up() {
    let role = direct("console_suspend_stuck");
    let mut stage = plan(&role).set("limits", "suspend_timeout", "1").start();
    let mut stuck = Session::through(&stage, &stage.endpoint(&role));
    let mut well = Session::through(&stage, &stage.endpoint(&role));
    let pid = stuck.process_id();
    let long = "SELECT repeat('x', 1000000) FROM generate_series(1, 300)";
    stuck.peer.send(&message::query(long));
    stuck.peer.expect_frame(b'T');
    wait::until("a server that is held back", LIMIT, || {
        let waits = format!(
            "SELECT 1 FROM pg_stat_activity WHERE pid = {pid} AND wait_event = 'ClientWrite'"
        );
        !Cluster::shared().sql(&waits).is_empty()
    });
    let mut admin = console(&stage, ADMIN);
    admin.query("SUSPEND");
    stage
        .proxy
        .await_log("clients that did not take their data were closed");
    // By the signal as well.
    stage.proxy.signal(Signal::SIGUSR2);
    assert_eq!(well.value("SELECT 1"), "1");
    wait::until("the end of the stuck one", LIMIT, || {
        let lives = format!("SELECT 1 FROM pg_stat_activity WHERE pid = {pid}");
        Cluster::shared().sql(&lives).is_empty()
    });
    // PAUSE waits for whoever has a connection.
    well.peer.close();
    admin.query(&format!("PAUSE {}", role.database));
    assert_eq!(
        refused(&mut admin, "SUSPEND").1,
        "cannot suspend with paused databases"
    );
}

#[test]
fn clients_are_killed_one_by_one_and_all() {
    let role = direct("console_kill");
    let stage = plan(&role)
        .set("pool", "pool_mode", "'transaction'")
        .start();
    let begin = || Session::through(&stage, &stage.endpoint(&role));
    let (mut idle, mut busy) = (begin(), begin());
    busy.query("BEGIN");
    let mut admin = console(&stage, ADMIN);
    let clients = show(&mut admin, "CLIENTS");
    let in_state = |state: &str| {
        let mut all = clients.iter().filter(|row| text(row, "user") == role.user);
        number(
            all.find(|row| text(row, "state") == state).expect(state),
            "id",
        )
    };
    admin.query(&format!("KILL_CLIENT {}", in_state("idle")));
    let fault = idle.peer.expect_error("57P01");
    assert_eq!(fault.field(b'S').as_deref(), Some("FATAL"));
    assert_eq!(
        refused(&mut admin, "KILL_CLIENT 999999").1,
        "client not found"
    );
    // Nobody else noticed.
    busy.query("SELECT 1");
    admin.query(&format!("KILL {}", role.database));
    busy.peer.expect_error("57P01");
    let databases = show(&mut admin, "DATABASES");
    assert_eq!(text(of(&databases, "name", "*"), "paused"), "1");
    admin.query(&format!("RESUME {}", role.database));
    assert_eq!(begin().value("SELECT 1"), "1");
}

#[test]
fn a_client_that_waits_is_killed_too() {
    let role = direct("console_kill_waiting");
    let stage = plan(&role)
        .set("pool", "pool_mode", "'transaction'")
        .set("pool", "default_pool_size", "1")
        .start();
    let begin = || Session::through(&stage, &stage.endpoint(&role));
    let (mut busy, mut waiting) = (begin(), begin());
    busy.query("BEGIN");
    waiting.peer.send(&message::query("SELECT 1"));
    let mut admin = console(&stage, ADMIN);
    let number = client_in(&mut admin, &role, "waiting");
    admin.query(&format!("KILL_CLIENT {number}"));
    waiting.peer.expect_error("57P01");
    busy.query("COMMIT");
}

/// The number of the role's client in this state, as soon as there is one.
fn client_in(admin: &mut Session, role: &Endpoint, state: &str) -> u64 {
    let is_it = |row: &&Row| text(row, "user") == role.user && text(row, "state") == state;
    wait::until_some(state, LIMIT, || {
        let clients = show(admin, "CLIENTS");
        clients.iter().find(is_it).map(|row| number(row, "id"))
    })
}

#[test]
fn what_one_client_executes_or_waits_for_is_cancelled_and_nothing_else() {
    let role = direct("console_cancel");
    let stage = plan(&role)
        .set("pool", "pool_mode", "'transaction'")
        .set("pool", "default_pool_size", "1")
        .start();
    let begin = || Session::through(&stage, &stage.endpoint(&role));
    let (mut busy, mut waiting) = (begin(), begin());
    let mut admin = console(&stage, ADMIN);
    let idle = client_in(&mut admin, &role, "idle");
    let refusal = ("55000".to_owned(), "client executes nothing".to_owned());
    let order = format!("CANCEL_CLIENT {idle}");
    assert_eq!(refused(&mut admin, &order), refusal);
    busy.peer.send(&message::query("SELECT pg_sleep(60)"));
    let running = client_in(&mut admin, &role, "active");
    waiting.peer.send(&message::query("SELECT 1"));
    let queued = client_in(&mut admin, &role, "waiting");
    admin.query(&format!("CANCEL_CLIENT {queued}"));
    waiting.peer.expect_error("57014");
    waiting.peer.until_ready();
    assert!(busy.peer.silent_for(Duration::from_millis(100)));
    let done = admin.query(&format!("CANCEL_CLIENT {running}"));
    assert_eq!(done[0].body, b"CANCEL_CLIENT\0");
    // The columns were on their way already.
    busy.peer.expect_frame(b'T');
    busy.peer.expect_error("57014");
    busy.peer.until_ready();
    // Both go on, with the same server connection; who is gone is not found.
    assert_eq!(waiting.process_id(), busy.process_id());
    let refusal = ("42704".to_owned(), "client not found".to_owned());
    assert_eq!(refused(&mut admin, "CANCEL_CLIENT 999999"), refusal);
    stage.proxy.await_log("CANCEL_CLIENT");
}

#[test]
fn a_session_with_its_own_server_connection_is_cancelled_too() {
    let role = direct("console_cancel_session");
    let stage = plan(&role).start();
    let mut client = Session::through(&stage, &stage.endpoint(&role));
    let pid = client.process_id();
    client.peer.send(&message::query("SELECT pg_sleep(60)"));
    let mut admin = console(&stage, ADMIN);
    let sleeps =
        format!("SELECT 1 FROM pg_stat_activity WHERE pid = {pid} AND wait_event = 'PgSleep'");
    wait::until("a statement that sleeps", LIMIT, || {
        !Cluster::shared().sql(&sleeps).is_empty()
    });
    let id = client_in(&mut admin, &role, "active");
    admin.query(&format!("CANCEL_CLIENT {id}"));
    client.peer.expect_frame(b'T');
    client.peer.expect_error("57014");
    client.peer.until_ready();
    assert_eq!(client.process_id(), pid);
    // The console's own clients execute nothing.
    let own = text(of(&show(&mut admin, "CLIENTS"), "user", ADMIN.0), "id").to_owned();
    assert_eq!(
        refused(&mut admin, &format!("CANCEL_CLIENT {own}")).0,
        "55000"
    );
}

#[test]
fn connections_are_replaced_when_they_come_back() {
    let role = direct("console_reconnect");
    let stage = plan(&role)
        .set("pool", "pool_mode", "'transaction'")
        .start();
    let mut client = Session::through(&stage, &stage.endpoint(&role));
    let first = client.process_id();
    assert_eq!(client.process_id(), first);
    let mut admin = console(&stage, ADMIN);
    client.query("BEGIN");
    admin.query("RECONNECT");
    // It serves its transaction to the end.
    assert_eq!(client.process_id(), first);
    let servers = show(&mut admin, "SERVERS");
    assert_eq!(text(&servers[0], "close_needed"), "1");
    admin.peer.send(&message::query("WAIT_CLOSE"));
    assert!(admin.peer.silent_for(Duration::from_millis(100)));
    client.query("COMMIT");
    assert_eq!(admin.peer.until_ready()[0].body, b"WAIT_CLOSE\0");
    assert_ne!(client.process_id(), first);
}

#[test]
fn a_disabled_database_takes_no_clients() {
    let role = direct("console_disable");
    let stage = plan(&role).start();
    let mut admin = console(&stage, ADMIN);
    admin.query(&format!("DISABLE {}", role.database));
    let refusal = try_login(&stage, &role);
    assert_eq!(refusal.field(b'C').as_deref(), Some("57P03"));
    admin.query(&format!("ENABLE {}", role.database));
    assert_eq!(try_login(&stage, &role).tag, b'R');
}

#[test]
fn a_reload_is_answered_when_it_is_in_force_or_refused() {
    let role = direct("console_reload");
    let stage = plan(&role).set("files", "reload", "'sighup'").start();
    let mut admin = console(&stage, ADMIN);
    let limit = |admin: &mut Session| {
        number(
            of(&show(admin, "CONFIG"), "key", "max_client_conn"),
            "value",
        )
    };
    let before = limit(&mut admin);
    let file = stage.proxy.directory().join("portcullis.toml");
    let good = std::fs::read_to_string(&file).expect("the configuration");
    let write = |text: &str| std::fs::write(&file, text).expect("the configuration");
    write(&good.replacen("[listen]\n", "[listen]\nmax_client_conn = 77\n", 1));
    admin.query("RELOAD");
    assert_eq!((limit(&mut admin), before == 77), (77, false));
    write("[nonsense]\n");
    assert_eq!(refused(&mut admin, "RELOAD").0, "F0000");
    assert_eq!(limit(&mut admin), 77);
}

#[test]
fn a_shutdown_waits_for_clients_where_it_says_so() {
    let role = direct("console_shutdown");
    let mut stage = plan(&role).start();
    let mut client = Session::through(&stage, &stage.endpoint(&role));
    let mut admin = console(&stage, ADMIN);
    let done = admin.query("SHUTDOWN WAIT_FOR_CLIENTS");
    assert_eq!(done[0].body, b"SHUTDOWN\0");
    stage.proxy.await_log("waiting for clients to leave");
    // Its session goes on as if nothing had happened.
    client.query("BEGIN");
    client.query("COMMIT");
    assert_eq!(client.value("SELECT 1"), "1");
    client.peer.close();
    let status = stage.proxy.await_end(LIMIT);
    assert!(status.success(), "{status}");

    let mut stage = plan(&role).start();
    let mut client = Session::through(&stage, &stage.endpoint(&role));
    let mut admin = console(&stage, ADMIN);
    admin.peer.send(&message::query("SHUTDOWN"));
    client.peer.expect_error("57P01");
    admin.peer.expect_error("57P01");
    let status = stage.proxy.await_end(LIMIT);
    assert!(status.success(), "{status}");
}

#[test]
fn a_configured_database_of_that_name_is_no_console() {
    let role = direct("console_shadowed");
    let configured = format!(
        "[[database]]\nname = 'pgbouncer'\nhost = 'localhost'\nport = {}\ndbname = '{}'\n\n[database.tls]\nca = '{}'\n",
        Cluster::shared().port(),
        role.database,
        Cluster::shared().ca_file().display()
    );
    let stage = plan(&role).more(&configured).start();
    let shadow = endpoint(&stage, (&role.user, &role.password), "pgbouncer");
    let mut client = Session::through(&stage, &shadow);
    assert_eq!(client.value("SELECT 1"), "1");
    let mut admin = Session::through(&stage, &endpoint(&stage, ADMIN, "portcullis"));
    assert!(show(&mut admin, "VERSION").len() == 1);
}

#[test]
fn there_may_be_no_console() {
    let role = direct("console_none");
    let stage = Stage::before(Cluster::shared())
        .user(&role)
        .set("database", "name", "'app'")
        .more("[admin]\nconsole = false\n")
        .start();
    let stranger = endpoint(&stage, (&role.user, &role.password), "pgbouncer");
    let error = try_login(&stage, &stranger);
    assert_eq!(error.field(b'C').as_deref(), Some("3D000"));
}

/// Whoever runs Portcullis could do everything anyway: over the Unix socket it needs no name in a list.
#[test]
fn the_account_that_runs_it_is_admin_over_the_unix_socket() {
    let role = direct("console_unix");
    let stage = plan(&role).set("listen", "unix_socket_dir", "'.'").start();
    stage.proxy.await_log("ready");
    let path = stage
        .proxy
        .directory()
        .join(format!(".s.PGSQL.{}", stage.proxy.port()));
    let mut peer = Peer::unix(&path);
    peer.send(&message::startup(&[
        ("user", "pgbouncer"),
        ("database", "pgbouncer"),
    ]));
    let mut admin = Session::settle(peer);
    let clients = show(&mut admin, "CLIENTS");
    let own = of(&clients, "user", "pgbouncer");
    assert_eq!(
        (text(own, "addr"), number(own, "remote_pid")),
        ("unix", u64::from(std::process::id()))
    );
    admin.query("RECONNECT");
}

/// Drivers that only know the extended protocol, with results in binary.
#[test]
fn tokio_postgres_reads_the_console() {
    let role = direct("console_tokio");
    let stage = plan(&role).start();
    let client = Session::through(&stage, &stage.endpoint(&role));
    let read = e2e::drivers::tokio_read(
        &endpoint(&stage, WATCHER, "pgbouncer"),
        "SHOW POOLS",
        &["database", "user", "pool_mode"],
        &["cl_active", "sv_active", "maxwait"],
    );
    let wanted = [&role.database, &role.user, "session"].map(str::to_owned);
    assert!(read.contains(&(wanted.to_vec(), vec![1, 1, 0])), "{read:?}");
    drop(client);
}

/// The same queries as in [`the_exporters_queries_are_answered`], read by lib/pq itself.
#[test]
#[ignore = "needs Go and lib/pq: apt-get install golang-go golang-github-lib-pq-dev"]
fn lib_pq_reads_what_the_exporter_reads() {
    let role = direct("console_libpq");
    let stage = plan(&role).start();
    let client = Session::through(&stage, &stage.endpoint(&role));
    let watcher = endpoint(&stage, WATCHER, "pgbouncer");
    let dsn = format!(
        "host=localhost port={} user={} password='{}' dbname=pgbouncer sslmode=verify-full sslrootcert={}",
        watcher.port,
        watcher.user,
        watcher.password.replace('\'', "\\'"),
        watcher.ca_file.display(),
    );
    let cache = stage.proxy.directory().join("go");
    let mut go = std::process::Command::new("go");
    go.arg("run")
        .arg(e2e::drivers::file("exporter.go"))
        .env("GOPATH", "/usr/share/gocode")
        .env("GO111MODULE", "off")
        .env("GOCACHE", cache)
        .env("DSN", dsn);
    let said = e2e::drivers::succeed(&mut go);
    assert!(said.contains("SHOW pools; 17 columns"), "{said}");
    assert!(said.contains("prepared Portcullis "), "{said}");
    drop(client);
}

/// Orders of every day, while clients work: none of them reads an error.
#[test]
fn nobody_notices_pause_resume_reconnect_and_reload() {
    let role = direct("console_load");
    let stage = plan(&role)
        .set("pool", "pool_mode", "'transaction'")
        .set("pool", "default_pool_size", "3")
        .set("files", "reload", "'sighup'")
        .start();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let begun = std::sync::Barrier::new(7);
    let done: Vec<usize> = std::thread::scope(|scope| {
        let work = |number: usize| {
            let (stage, role, stop, begun) = (&stage, &role, &stop, &begun);
            scope.spawn(move || {
                let mut client = Session::through(stage, &stage.endpoint(role));
                begun.wait();
                let mut done = 0;
                while !stop.load(Ordering::Relaxed) {
                    let wanted = (number * 1_000_000 + done).to_string();
                    client.query("BEGIN");
                    assert_eq!(client.value(&format!("SELECT {wanted}")), wanted);
                    client.query("COMMIT");
                    done += 1;
                }
                done
            })
        };
        let workers: Vec<_> = (0..6).map(work).collect();
        begun.wait();
        let mut admin = console(&stage, ADMIN);
        for _ in 0..5 {
            for order in ["PAUSE", "RESUME", "RECONNECT", "WAIT_CLOSE", "RELOAD"] {
                admin.query(order);
            }
        }
        stop.store(true, Ordering::Relaxed);
        let ended = workers.into_iter().map(|worker| worker.join());
        ended
            .map(|done| done.expect("a client without an error"))
            .collect()
    });
    assert!(done.iter().all(|count| *count > 0), "{done:?}");
    let mut watcher = console(&stage, WATCHER);
    let counters = show(&mut watcher, "COUNTERS");
    let succeeded = of(&counters, "name", "reload_succeeded");
    assert_eq!(number(succeeded, "value"), 5);
    let certificates = show(&mut watcher, "CERTIFICATES");
    assert!(
        certificates
            .iter()
            .any(|row| text(row, "file").ends_with("proxy.crt"))
    );
}

/// What a reload doesn't concern stays as it is; what it does is made anew when it comes back.
#[test]
fn a_reload_touches_only_what_changed() {
    let role = direct("console_untouched");
    let stage = plan(&role)
        .set("pool", "pool_mode", "'transaction'")
        .set("files", "reload", "'sighup'")
        .start();
    let mut client = Session::through(&stage, &stage.endpoint(&role));
    let pid = client.process_id();
    let mut admin = console(&stage, ADMIN);
    let file = stage.proxy.directory().join("portcullis.toml");
    let good = std::fs::read_to_string(&file).expect("the configuration");
    let mut reload = |from: &str, to: &str| {
        let changed = good.replacen(from, to, 1);
        assert_ne!(changed, good);
        std::fs::write(&file, changed).expect("the configuration");
        admin.query("RELOAD");
    };
    reload(
        "[listen]\n",
        "[listen]\n# A line more.\nmax_client_conn = 77\n",
    );
    assert_eq!(client.process_id(), pid);
    let users = stage.proxy.directory().join("users.txt");
    let before = std::fs::read_to_string(&users).expect("the users");
    std::fs::write(&users, format!("{before}\"another\" \"user\"\n")).expect("the users");
    reload("[listen]\n", "[listen]\nmax_client_conn = 78\n");
    assert_eq!(client.process_id(), pid);
    reload("[[database]]\n", "[[database]]\ntcp_user_timeout = '7s'\n");
    assert_ne!(client.process_id(), pid);
}
