//! The console: who gets in, what tools written for PgBouncer find there, and what orders do.

use std::collections::HashMap;
use std::time::Duration;

use e2e::drivers::Endpoint;
use e2e::scripted::{Session, offer_proof, prove};
use e2e::{Stage, StagePlan};
use testkit::peer::message;
use testkit::{Cluster, Frame, Peer, Signal, wait};

const LIMIT: Duration = Duration::from_secs(30);

fn direct(role: &str) -> Endpoint {
    Endpoint::direct(Cluster::shared(), role)
}

/// Users of the console alone: PostgreSQL doesn't know them.
const ADMIN: (&str, &str) = ("console_admin", "the admin's password");
const WATCHER: (&str, &str) = ("console_watcher", "the watcher's password");

/// A proxy with a console for both.
fn plan(role: &Endpoint) -> StagePlan {
    Stage::before(Cluster::shared())
        .user(role)
        .user_with(ADMIN.0, ADMIN.1)
        .user_with(WATCHER.0, WATCHER.1)
        .more(&format!(
            "[admin]\nadmin_users = '{}'\nstats_users = ['{}']\n",
            ADMIN.0, WATCHER.0
        ))
}

fn endpoint(stage: &Stage, (user, password): (&str, &str), database: &str) -> Endpoint {
    Endpoint {
        host: "localhost".to_owned(),
        port: stage.proxy.port(),
        ca_file: stage.ca_file.clone(),
        user: user.to_owned(),
        password: password.to_owned(),
        database: database.to_owned(),
    }
}

fn console(stage: &Stage, user: (&str, &str)) -> Session {
    Session::through(stage, &endpoint(stage, user, "pgbouncer"))
}

/// What a table's row says, by column.
type Row = HashMap<String, Option<String>>;

fn rows(frames: &[Frame]) -> Vec<Row> {
    let names = columns(frames);
    let values = |frame: &Frame| {
        let mut rest = &frame.body[2..];
        names
            .iter()
            .map(|(name, _)| {
                let (len, tail) = rest.split_first_chunk().expect("a length");
                let len = usize::try_from(i32::from_be_bytes(*len)).ok();
                let (value, tail) = tail.split_at(len.unwrap_or(0));
                rest = tail;
                let value = len.map(|_| String::from_utf8_lossy(value).into_owned());
                (name.clone(), value)
            })
            .collect()
    };
    let data = frames.iter().filter(|frame| frame.tag == b'D');
    data.map(values).collect()
}

/// Names and type oids.
fn columns(frames: &[Frame]) -> Vec<(String, u32)> {
    let described = frames.iter().find(|frame| frame.tag == b'T');
    let mut rest = &described.expect("columns").body[2..];
    let mut names = Vec::new();
    while let Some(end) = rest.iter().position(|byte| *byte == 0) {
        let name = String::from_utf8_lossy(&rest[..end]).into_owned();
        let oid = &rest[end + 7..end + 11];
        names.push((name, u32::from_be_bytes(oid.try_into().expect("an oid"))));
        rest = &rest[end + 19..];
    }
    names
}

fn show(session: &mut Session, table: &str) -> Vec<Row> {
    rows(&session.query(&format!("SHOW {table};")))
}

fn text<'r>(row: &'r Row, column: &str) -> &'r str {
    row[column].as_deref().unwrap_or_default()
}

fn number(row: &Row, column: &str) -> u64 {
    text(row, column).parse().expect(column)
}

/// The row of a role in a table.
fn of<'r>(rows: &'r [Row], column: &str, value: &str) -> &'r Row {
    let found = rows.iter().find(|row| text(row, column) == value);
    found.unwrap_or_else(|| panic!("no {column} = {value} in {rows:?}"))
}

/// What an order that is refused reads.
fn refused(session: &mut Session, order: &str) -> (String, String) {
    session.peer.send(&message::query(order));
    let error = session.peer.expect_frame(b'E');
    session.peer.until_ready();
    let field = |code| error.field(code).unwrap_or_default();
    (field(b'C'), field(b'M'))
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
