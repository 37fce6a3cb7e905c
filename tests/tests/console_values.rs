//! What the console and `/metrics` say of a known load: counts to the unit, times that agree with each
//! other; every setting, and changing one.

use std::sync::mpsc;
use std::time::Duration;

use e2e::drivers::Endpoint;
use e2e::observed::{METRICS, page, value};
use e2e::scripted::Session;
use e2e::tables::{
    ADMIN, Row, WATCHER, columns, console, endpoint, number, of, plan, refused, rows, show, text,
};
use e2e::{Stage, StagePlan};
use testkit::peer::message;
use testkit::{Authority, Cluster, Identity, Peer, ScriptedServer, ServerTls, wait};

const LIMIT: Duration = Duration::from_secs(30);

fn direct(role: &str) -> Endpoint {
    Endpoint::direct(Cluster::shared(), role)
}

fn measured(role: &Endpoint, mode: &str) -> StagePlan {
    plan(role)
        .set("pool", "pool_mode", &format!("'{mode}'"))
        .more(METRICS)
}

/// What was counted for the role's database so far.
fn totals(watcher: &mut Session, role: &Endpoint) -> Row {
    let all = show(watcher, "STATS_TOTALS");
    of(&all, "database", &role.database).clone()
}

fn rise(before: &Row, after: &Row, column: &str) -> u64 {
    number(after, column) - number(before, column)
}

/// A series of this pool.
fn pool_series(stage: &Stage, name: &str, role: &Endpoint) -> f64 {
    let (database, user) = (&role.database, &role.user);
    value(
        stage,
        &format!("portcullis_pool_{name}{{database=\"{database}\",user=\"{user}\"}}"),
    )
}

#[test]
fn a_known_load_is_counted_to_the_unit_and_its_times_agree() {
    const TRANSACTIONS: u64 = 12;
    const NAP_US: u64 = 3000;
    for (mode, leases) in [("session", 0), ("transaction", TRANSACTIONS)] {
        let role = direct(&format!("values_load_{mode}"));
        let stage = measured(&role, mode).start();
        let mut client = Session::through(&stage, &stage.endpoint(&role));
        let mut watcher = console(&stage, WATCHER);
        let before = totals(&mut watcher, &role);
        let spread_before = match mode {
            "session" => [0.0; 2],
            _ => ["server_seconds_count", "wait_seconds_count"]
                .map(|name| pool_series(&stage, name, &role)),
        };
        for _ in 0..TRANSACTIONS {
            client.query("BEGIN");
            client.query("SELECT pg_sleep(0.003)");
            client.query("COMMIT");
        }
        let after = totals(&mut watcher, &role);
        let rose = |column| rise(&before, &after, column);
        assert_eq!(rose("xact_count"), TRANSACTIONS, "{mode}");
        assert_eq!(rose("query_count"), 3 * TRANSACTIONS, "{mode}");
        assert_eq!(rose("server_assignment_count"), leases, "{mode}");
        assert_eq!(rose("client_login_count"), 0, "{mode}");
        let (transactions_us, queries_us) = (rose("xact_time"), rose("query_time"));
        assert!(queries_us >= TRANSACTIONS * NAP_US, "{mode} {after:?}");
        assert!(transactions_us >= queries_us, "{mode} {after:?}");
        assert_eq!(rose("wait_time"), 0, "{mode}: nobody was in the way");

        // The same in /metrics, where each transaction is in one bucket.
        let series = |name: &str| pool_series(&stage, name, &role);
        let sum = series("server_seconds_sum");
        let total = number(&after, "xact_time") as f64 / 1e6;
        assert!((sum - total).abs() < 1e-6, "{mode}: {sum} {total}");
        let counted = series("server_seconds_count") - spread_before[0];
        assert_eq!(counted, TRANSACTIONS as f64, "{mode}");
        assert!(series("total_seconds_sum") >= sum, "{mode}");
        let waits = series("wait_seconds_count");
        assert_eq!(waits, number(&after, "server_assignment_count") as f64);
        let of_database = format!("{{database=\"{}\"}}", role.database);
        let count = value(
            &stage,
            &format!("portcullis_stats_queries_total{of_database}"),
        );
        assert_eq!(count, number(&after, "query_count") as f64);

        // Averages are of the same sums: the first period has just begun.
        let all = show(&mut watcher, "STATS");
        let row = of(&all, "database", &role.database);
        for (average, sum, count) in [
            ("avg_xact_time", "total_xact_time", "total_xact_count"),
            ("avg_query_time", "total_query_time", "total_query_count"),
        ] {
            let wanted = number(row, sum) / number(row, count);
            assert!(wanted > 0 && number(row, average) == wanted, "{row:?}");
        }
        let totals = show(&mut watcher, "TOTALS");
        let query_time = of(&totals, "name", "total_query_time");
        assert!(number(query_time, "value") >= number(row, "total_query_time"));
    }
}

#[test]
fn waits_for_a_server_connection_are_measured() {
    let role = direct("values_wait");
    let stage = measured(&role, "transaction")
        .set("pool", "default_pool_size", "1")
        .start();
    let mut first = Session::through(&stage, &stage.endpoint(&role));
    let mut second = Session::through(&stage, &stage.endpoint(&role));
    let mut watcher = console(&stage, WATCHER);
    let before = totals(&mut watcher, &role);
    first.query("BEGIN");
    second.peer.send(&message::query("SELECT 1"));
    wait::until("a client waits", LIMIT, || {
        let pools = show(&mut watcher, "POOLS");
        let pool = of(&pools, "user", &role.user);
        let waited_us = number(pool, "maxwait") * 1_000_000 + number(pool, "maxwait_us");
        number(pool, "cl_waiting") == 1 && waited_us >= 20_000
    });
    let page = page(&stage);
    assert!(
        page.contains(&format!(
            "portcullis_pool_cl_waiting{{database=\"{}\",user=\"{}\"}} 1\n",
            role.database, role.user
        )),
        "{page}"
    );
    first.query("COMMIT");
    second.peer.until_ready();
    let after = totals(&mut watcher, &role);
    let waited_us = rise(&before, &after, "wait_time");
    assert!(waited_us >= 20_000, "{after:?}");
    let sum = pool_series(&stage, "wait_seconds_sum", &role);
    assert!(sum >= 0.02, "{sum}");
    // The wait is no time of the server's, but the client sees both.
    let server = pool_series(&stage, "server_seconds_sum", &role);
    let total = pool_series(&stage, "total_seconds_sum", &role);
    assert!(total >= server + 0.02, "{total} {server}");
}

/// Parse of a name and text, Bind and Execute of it, Sync.
fn prepared(name: &str, parse: Option<&str>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(text) = parse {
        let body = [name.as_bytes(), b"\0", text.as_bytes(), b"\0\0\0"].concat();
        bytes.extend(message::frame(b'P', &body));
    }
    let bind = [b"\0", name.as_bytes(), b"\0\0\0\0\0\0\0"].concat();
    bytes.extend(message::frame(b'B', &bind));
    bytes.extend(message::frame(b'E', b"\0\0\0\0\0"));
    bytes.extend(message::frame(b'S', b""));
    bytes
}

#[test]
fn statements_are_counted_on_both_sides() {
    let role = direct("values_statements");
    let stage = measured(&role, "transaction")
        .set("pool", "default_pool_size", "1")
        .start();
    let begin = || Session::through(&stage, &stage.endpoint(&role));
    let (mut one, mut other) = (begin(), begin());
    let mut watcher = console(&stage, WATCHER);
    let before = totals(&mut watcher, &role);
    let run = |client: &mut Session, name, parse| {
        client.peer.send(&prepared(name, parse));
        client.peer.until_ready();
    };
    run(&mut one, "a", Some("SELECT 41"));
    run(&mut one, "a", None);
    run(&mut one, "b", Some("SELECT 42"));
    // The server has this one already.
    run(&mut other, "mine", Some("SELECT 41"));
    let after = totals(&mut watcher, &role);
    let rose = |column| rise(&before, &after, column);
    assert_eq!(rose("client_parse_count"), 3);
    assert_eq!(rose("server_parse_count"), 2);
    assert_eq!(rose("bind_count"), 4);
    let clients = show(&mut watcher, "CLIENTS");
    let mut kept: Vec<_> = clients
        .iter()
        .filter(|row| text(row, "user") == role.user)
        .map(|row| number(row, "prepared_statements"))
        .collect();
    kept.sort_unstable();
    assert_eq!(kept, [1, 2]);
    let servers = show(&mut watcher, "SERVERS");
    let server = of(&servers, "user", &role.user);
    assert_eq!(number(server, "prepared_statements"), 2);
}

#[test]
fn every_setting_is_shown_and_no_secret() {
    let role = direct("values_settings");
    let stage = measured(&role, "transaction").start();
    let mut watcher = console(&stage, WATCHER);
    let settings = show(&mut watcher, "CONFIG");
    let of_key = |key| {
        let row = of(&settings, "key", key);
        (
            row["value"].as_deref(),
            row["default"].as_deref(),
            text(row, "changeable"),
        )
    };
    assert_eq!(
        of_key("pool_mode"),
        (Some("transaction"), Some("session"), "yes")
    );
    assert_eq!(of_key("default_pool_size"), (Some("20"), Some("20"), "yes"));
    assert_eq!(of_key("admin_users"), (Some(ADMIN.0), Some(""), "yes"));
    assert_eq!(of_key("metrics.address").2, "no");
    assert_eq!(of_key("level").2, "no");
    assert_eq!(of_key("database[1].host"), (Some("localhost"), None, "yes"));
    // What "auto" came to: tools read a number.
    assert!(number(of(&settings, "key", "max_client_conn"), "value") > 0);
    let all = format!("{settings:?}");
    for secret in [ADMIN.1, WATCHER.1, &role.password] {
        assert!(!all.contains(secret));
    }
}

#[test]
fn a_setting_is_changed_until_the_next_reload() {
    let role = direct("values_set");
    let stage = plan(&role).set("files", "reload", "'sighup'").start();
    let mut admin = console(&stage, ADMIN);
    let shown = |admin: &mut Session, key: &str| {
        text(of(&show(admin, "CONFIG"), "key", key), "value").to_owned()
    };
    let mode = |admin: &mut Session| {
        let client = Session::through(&stage, &stage.endpoint(&role));
        let pools = show(admin, "POOLS");
        let mode = text(of(&pools, "user", &role.user), "pool_mode").to_owned();
        drop(client);
        mode
    };
    assert_eq!(mode(&mut admin), "session");
    let done = admin.query("SET pool_mode = 'transaction'");
    let tag = done.iter().find(|frame| frame.tag == b'C').expect("a tag");
    assert!(tag.body.starts_with(b"SET"), "{tag:?}");
    admin.query("SET query_wait_timeout TO 7");
    // A second change leaves the first one as it is.
    assert_eq!(shown(&mut admin, "pool_mode"), "transaction");
    assert_eq!(shown(&mut admin, "query_wait_timeout"), "7");
    assert_eq!(mode(&mut admin), "transaction");
    for (order, sqlstate) in [
        ("SET nonsense = 1", "22023"),
        ("SET verbose = 1", "22023"),
        ("SET \"listen.workers\" = 3", "22023"),
        ("SET level = 'debug'", "22023"),
        ("SET default_pool_size = 0", "22023"),
        ("SET default_pool_size = 'many'", "22023"),
        ("SET \"database.host\" = 'elsewhere'", "22023"),
        ("SET auth_file = '/nowhere'", "22023"),
    ] {
        assert_eq!(refused(&mut admin, order).0, sqlstate, "{order}");
    }
    admin
        .peer
        .send(&message::query("SET default_pool_size = 0"));
    let error = admin.peer.expect_frame(b'E');
    let hint = error.field(b'H').expect("a hint");
    assert!(hint.contains("1 to 100000"), "{hint}");
    admin.peer.until_ready();
    // What was refused changed nothing.
    assert_eq!(shown(&mut admin, "default_pool_size"), "20");
    assert_eq!(shown(&mut admin, "query_wait_timeout"), "7");
    admin.query("RELOAD");
    assert_eq!(shown(&mut admin, "pool_mode"), "session");
    assert_eq!(shown(&mut admin, "query_wait_timeout"), "120");
    assert_eq!(mode(&mut admin), "session");
}

#[test]
fn limits_hosts_and_memory_are_shown() {
    let role = direct("values_limits");
    let user = format!(
        "[[user]]\nname = '{}'\npool_size = 7\nmax_user_client_connections = 9\n",
        role.user
    );
    let stage = measured(&role, "transaction")
        .set("pool", "reserve_pool_size", "3")
        .set("pool", "max_db_client_connections", "11")
        .set("database", "max_db_connections", "13")
        .more(&user)
        .start();
    let mut client = Session::through(&stage, &stage.endpoint(&role));
    client.query("BEGIN");
    let mut watcher = console(&stage, WATCHER);
    let databases = show(&mut watcher, "DATABASES");
    let database = of(&databases, "name", "*");
    for (column, wanted) in [
        ("pool_size", 20),
        ("reserve_pool_size", 3),
        ("max_connections", 13),
        ("current_connections", 1),
        ("max_client_connections", 11),
        ("current_client_connections", 1),
    ] {
        assert_eq!(number(database, column), wanted, "{column}");
    }
    let users = show(&mut watcher, "USERS");
    let user = of(&users, "name", &role.user);
    for (column, wanted) in [
        ("pool_size", 7),
        ("max_user_client_connections", 9),
        ("current_connections", 1),
        ("current_client_connections", 1),
    ] {
        assert_eq!(number(user, column), wanted, "{column}");
    }
    let hosts = show(&mut watcher, "DNS_HOSTS");
    let host = of(&hosts, "hostname", "localhost");
    assert!(["127.0.0.1", "::1"].contains(&text(host, "addrs")));
    let lists = show(&mut watcher, "LISTS");
    assert_eq!(number(of(&lists, "list", "dns_names"), "items"), 1);
    let memory = show(&mut watcher, "MEM");
    let servers = of(&memory, "name", "server");
    assert_eq!(number(servers, "used"), 1);
    assert_eq!(number(servers, "memtotal"), number(servers, "size"));
    client.query("COMMIT");
}

#[test]
fn faults_are_counted_by_side_and_kind() {
    let role = direct("values_faults");
    let stage = measured(&role, "session").start();
    let mut client = Session::through(&stage, &stage.endpoint(&role));
    let mut admin = console(&stage, ADMIN);
    let clients = show(&mut admin, "CLIENTS");
    let id = number(of(&clients, "user", &role.user), "id");
    admin.query(&format!("KILL_CLIENT {id}"));
    client.peer.expect_error("57P01");
    let series = "portcullis_faults_total{side=\"portcullis\",kind=\"killed\"}";
    wait::until("the fault is counted", LIMIT, || {
        page(&stage).contains(&format!("{series} 1\n"))
    });
}

/// Names of `/metrics`, so that dashboards go on working.
#[test]
fn the_names_of_metrics_are_those_of_the_list() {
    let role = direct("values_names");
    let stage = measured(&role, "transaction").start();
    let mut client = Session::through(&stage, &stage.endpoint(&role));
    client.query("SELECT 1");
    let page = page(&stage);
    let names = page.lines().filter_map(|it| it.strip_prefix("# TYPE "));
    let names: Vec<&str> = names.collect();
    let wanted = include_str!("metrics.names");
    let wanted: Vec<&str> = wanted.lines().collect();
    assert_eq!(names, wanted, "{}", names.join("\n"));
    // Nothing that a client said is among them.
    assert!(!page.contains("SELECT"));
}

/// The exporter's queries again, now for what its numbers say.
#[test]
fn the_exporter_reads_what_happened() {
    let role = direct("values_exporter");
    let stage = measured(&role, "transaction").start();
    let mut client = Session::through(&stage, &stage.endpoint(&role));
    for _ in 0..5 {
        client.query("SELECT pg_sleep(0.001)");
    }
    let mut exporter = Session::through(&stage, &endpoint(&stage, WATCHER, "pgbouncer"));
    exporter.query("SHOW STATS");
    let totals = exporter.query("SHOW STATS_TOTALS;");
    assert_eq!(columns(&totals).len(), 13);
    let totals = rows(&totals);
    let total = of(&totals, "database", &role.database);
    assert_eq!(number(total, "xact_count"), 5);
    assert_eq!(number(total, "query_count"), 5);
    assert!(number(total, "query_time") >= 5000, "{total:?}");
    assert_eq!(number(total, "query_time"), number(total, "xact_time"));
    let pools = show(&mut exporter, "POOLS");
    let pool = of(&pools, "user", &role.user);
    assert_eq!((number(pool, "sv_idle"), number(pool, "sv_active")), (1, 0));
    let config = show(&mut exporter, "CONFIG");
    assert_eq!(
        number(of(&config, "key", "max_user_connections"), "value"),
        0
    );
    assert!(number(of(&config, "key", "max_client_conn"), "value") > 0);
}

/// What docs/console.md tells people to say is understood.
#[test]
fn the_examples_of_the_page_work() {
    let role = direct("values_page");
    let stage = measured(&role, "session").start();
    let mut admin = console(&stage, ADMIN);
    let page = include_str!("../../docs/console.md");
    let blocks = page.split("```sql\n").skip(1);
    let blocks = blocks.filter_map(|it| it.split_once("```"));
    let lines: Vec<&str> = blocks.flat_map(|(block, _)| block.lines()).collect();
    assert!(lines.len() >= 5, "{lines:?}");
    for line in lines {
        let answer = admin.query(line);
        assert!(answer.iter().any(|frame| frame.tag == b'C'), "{line}");
    }
}

/// Another instance that takes its time with a cancel request.
#[test]
fn peers_are_shown_with_what_is_passed_on_to_them() {
    let role = direct("values_peers");
    let authority = Authority::new("Peers");
    let tls = ServerTls::new(&authority.issue(&Identity::localhost()));
    let directory = tempfile::tempdir().expect("a directory");
    let ca_file = authority.write(directory.path(), "peers");
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = std::sync::Mutex::new(may_go_on);
    let other = ScriptedServer::start(move |peer: Peer| {
        let mut peer = peer.grant_tls(&tls);
        peer.startup();
        let waits = may_go_on.lock().expect("the test's word");
        let _ = waits.recv_timeout(wait::LONG);
        peer.close();
    });
    let port = other.address().port();
    let stage = measured(&role, "session")
        .set("listen", "peer_id", "1")
        .more(&format!(
            "[[peer]]\nid = 7\nhost = 'localhost'\nport = {port}\n[peer.tls]\nca = '{}'\n",
            ca_file.display()
        ))
        .start();
    let mut watcher = console(&stage, WATCHER);
    let peers = show(&mut watcher, "PEERS");
    let peer = of(&peers, "peer_id", "7");
    assert_eq!(
        (text(peer, "host"), number(peer, "port")),
        ("localhost", u64::from(port))
    );
    assert!(number(peer, "pool_size") > 0);
    let asked = |watcher: &mut Session| {
        let pools = show(watcher, "PEER_POOLS");
        let pool = of(&pools, "peer_id", "7");
        (
            number(pool, "cl_active_cancel_req"),
            number(pool, "sv_active_cancel"),
        )
    };
    assert_eq!(asked(&mut watcher), (0, 0));
    let lists = show(&mut watcher, "LISTS");
    for list in ["peers", "peer_pools"] {
        assert_eq!(number(of(&lists, "list", list), "items"), 1);
    }
    let mut cancel = Peer::tls(stage.proxy.address(), &stage.client_tls());
    cancel.send(&message::cancel(4711, b"aaaa"));
    wait::until("the request is passed on", LIMIT, || {
        asked(&mut watcher) == (1, 1)
    });
    let series = "portcullis_peer_cl_active_cancel_req{peer_id=\"7\"}";
    assert_eq!(value(&stage, series), 1.0);
    go_on.send(()).expect("the other instance");
    wait::until("it is done", LIMIT, || asked(&mut watcher) == (0, 0));
}
