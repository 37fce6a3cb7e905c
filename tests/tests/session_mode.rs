//! What a client of session mode may rely on: its server's process id, its own startup
//! values, the server's own words, the protocol version it asked for.

use e2e::Stage;
use e2e::drivers::Endpoint;
use testkit::Cluster;

/// Runs the check in front of both servers.
#[track_caller]
fn before_both(role: &str, check: impl Fn(&Endpoint)) {
    for cluster in [Cluster::shared(), Cluster::shared_18()] {
        let direct = Endpoint::direct(cluster, role);
        let stage = Stage::before(cluster).user(&direct).start();
        check(&stage.endpoint(&direct));
    }
}

#[test]
fn the_process_id_is_the_servers_own() {
    before_both("knows_its_pid", |endpoint| {
        let script = "import psycopg\n\
            with psycopg.connect() as conn:\n\
            \x20   print(conn.info.backend_pid == conn.execute('SELECT pg_backend_pid()').fetchone()[0])";
        assert_eq!(endpoint.python(script).says(), "True");
    });
}

#[test]
fn a_session_ends_when_its_server_process_is_terminated() {
    before_both("terminated", |endpoint| {
        let script = "import psycopg\n\
            one, two = psycopg.connect(autocommit=True), psycopg.connect(autocommit=True)\n\
            two.execute('SELECT pg_terminate_backend(%s, 30000)', (one.info.backend_pid,))\n\
            try:\n\
            \x20   one.execute('SELECT 1')\n\
            except psycopg.errors.AdminShutdown as error:\n\
            \x20   print(error.sqlstate)";
        assert_eq!(endpoint.python(script).says(), "57P01");
    });
}

/// Each leg negotiates for itself. libpq hangs up on a peer below `min_protocol_version`.
#[test]
fn clients_get_protocol_3_2_whatever_the_server_speaks() {
    let script = "import psycopg\n\
        conn = psycopg.connect(min_protocol_version='3.2', max_protocol_version='latest')\n\
        print(conn.info.backend_pid == conn.execute('SELECT pg_backend_pid()').fetchone()[0])";
    before_both("speaks_3_2", |endpoint| {
        assert_eq!(endpoint.python(script).says(), "True");
    });
}

#[test]
fn reset_returns_to_the_clients_own_startup_values() {
    before_both("resets", |endpoint| {
        let said = endpoint
            .psql(&[
                "SET work_mem = '1MB'",
                "SET application_name = 'other'",
                "SET search_path = pg_catalog",
                "RESET ALL",
                "SHOW work_mem",
                "SHOW application_name",
                "SHOW search_path",
                "SHOW DateStyle",
            ])
            .with("PGOPTIONS", "-c work_mem=3MB -c search_path=mine,\"a\\ b\"")
            .with("PGAPPNAME", "the client's own")
            .with("PGDATESTYLE", "SQL, DMY")
            .says();
        assert_eq!(said, "3MB\nthe client's own\nmine,\"a b\"\nSQL, DMY");
    });
}

#[test]
fn startup_parameters_reach_the_server_unread() {
    before_both("has_wishes", |endpoint| {
        let script = "import os, psycopg\n\
            conn = psycopg.connect(options='-c extra_float_digits=2 -c my.x=mine --search_path=nowhere')\n\
            for name in ['extra_float_digits', 'my.x', 'search_path']:\n\
            \x20   print(conn.execute(f'SHOW {name}').fetchone()[0])";
        assert_eq!(endpoint.python(script).says(), "2\nmine\nnowhere");
    });
}

#[test]
fn a_refused_startup_parameter_is_refused_in_the_servers_words() {
    before_both("wishes_too_much", |endpoint| {
        let login = || endpoint.login();
        login()
            .with("PGOPTIONS", "-c no_such_setting=1")
            .complains("unrecognized configuration parameter \"no_such_setting\"");
        login()
            .with("PGOPTIONS", "-c log_statement=all")
            .complains("permission denied to set parameter \"log_statement\"");
    });
}

#[test]
fn errors_of_the_login_are_the_servers_own() {
    before_both("refused_by_server", |endpoint| {
        let mut nowhere = endpoint.clone();
        nowhere.database = "no_such_database".to_owned();
        let (state, message) = e2e::drivers::refusal(&nowhere);
        assert_eq!(state, "3D000");
        assert_eq!(message, "database \"no_such_database\" does not exist");
    });
}

#[test]
fn errors_of_queries_are_the_servers_own() {
    before_both("errs", |endpoint| {
        let complaint = endpoint.psql(&["SELECT * FROM nowhere"]).complains("42P01");
        assert!(
            complaint.contains("LINE 1: SELECT * FROM nowhere"),
            "{complaint}"
        );
        assert!(complaint.contains("parserOpenTable"), "{complaint}");
    });
}

#[test]
fn two_sessions_of_a_role_have_their_own_temporary_tables() {
    before_both("twice", |endpoint| {
        let script = "import psycopg\n\
            one, two = psycopg.connect(autocommit=True), psycopg.connect(autocommit=True)\n\
            one.execute('CREATE TEMP TABLE mine (id int)')\n\
            print(two.execute(\"SELECT to_regclass('mine')\").fetchone()[0])\n\
            print(one.info.backend_pid == two.info.backend_pid)";
        assert_eq!(endpoint.python(script).says(), "None\nFalse");
    });
}
