//! PgBouncer's files in, Portcullis' out: what each setting becomes, what is noted, and that whatever
//! comes out is a right configuration.

use buf::Secret;
use config::Config;
use import::{Import, Kind, translate};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::io::ErrorKind;
use std::path::Path;

const CLIENT_TLS: &str = "client_tls_sslmode = require\nclient_tls_cert_file = /s.crt\n\
    client_tls_key_file = /s.key\n";

fn files(files: &[(&str, &str)]) -> Result<Import, Vec<String>> {
    let mut load = |path: &Path| {
        let found = files.iter().find(|(name, _)| Path::new(name) == path);
        found.map_or(Err(ErrorKind::NotFound), |(_, text)| {
            Ok(Secret::new(text.as_bytes()))
        })
    };
    let done = translate(Path::new("p.ini"), Path::new("/start"), &mut load);
    done.map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

/// The import of these files; what comes out is right.
#[track_caller]
fn import(given: &[(&str, &str)]) -> Import {
    let import = files(given).unwrap_or_else(|faults| panic!("{faults:#?}"));
    let text = &import.configuration;
    if let Err(invalid) = Config::from_text(text, "/etc/portcullis.toml") {
        panic!("{:#?}\nin:\n{text}", invalid.errors);
    }
    let users = import
        .files
        .iter()
        .find(|it| it.name == "users.txt")
        .expect("users.txt");
    let users = std::str::from_utf8(users.content.expose()).expect("text");
    auth::users::Users::parse(users).expect("users");
    if let Some(rules) = content(&import, "hba.conf") {
        auth::hba::Hba::parse(rules).expect("rules");
    }
    import
}

#[track_caller]
fn one(text: &str) -> Import {
    import(&[("p.ini", text)])
}

fn content<'i>(import: &'i Import, name: &str) -> Option<&'i str> {
    let file = import.files.iter().find(|it| it.name == name)?;
    std::str::from_utf8(file.content.expose()).ok()
}

/// The lines of the configuration that are no comments, without the places they come from.
fn lines(import: &Import) -> Vec<&str> {
    let lines = import.configuration.lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| line.split("  # ").next().unwrap_or(line))
        .collect()
}

/// The lines of one section.
fn section<'i>(import: &'i Import, header: &str) -> Vec<&'i str> {
    let lines = lines(import);
    let mut lines = lines.into_iter().skip_while(|line| *line != header).skip(1);
    let inside = lines.by_ref().take_while(|line| !line.starts_with('['));
    inside.collect()
}

fn notes(import: &Import, kind: Kind) -> Vec<String> {
    let notes = import.notes.iter().filter(|note| note.kind == kind);
    notes.map(ToString::to_string).collect()
}

/// That one of the notes starts like this.
#[track_caller]
fn noted(import: &Import, kind: Kind, start: &str) {
    let notes = notes(import, kind);
    let found = notes.iter().any(|note| note.starts_with(start));
    assert!(found, "{start}: not in {notes:#?}");
}

#[test]
fn a_small_configuration_as_a_whole() {
    let import = import(&[
        (
            "p.ini",
            "[databases]\nshop = host=db1 port=5433 dbname=shop_production pool_size=50\n\
             * = host=10.0.0.7\n[users]\nreport = pool_mode=session max_user_connections=3\n\
             [pgbouncer]\nlisten_addr = 10.0.0.1, ::1\nlisten_port = 6433\nunix_socket_dir =\n\
             auth_type = scram-sha-256\nauth_file = /etc/pgbouncer/userlist.txt\n\
             pool_mode = transaction\nserver_idle_timeout = 60\nquery_wait_timeout = 0.5\n\
             max_db_connections = 80\nadmin_users = a, b\nlogfile = /var/log/p.log\n\
             client_tls_sslmode = require\nclient_tls_cert_file = s.crt\n\
             client_tls_key_file = /k/s.key\nserver_tls_sslmode = verify-full\n\
             server_tls_ca_file = /ca.crt\n",
        ),
        ("/etc/pgbouncer/userlist.txt", "\"a\" \"one\"\n\"b\" \"\"\n"),
    ]);
    assert_eq!(
        lines(&import),
        [
            "[listen]",
            "address = [\"10.0.0.1:6433\", \"[::1]:6433\"]",
            "[listen.tls]",
            "mode = \"require\"",
            "certificate = \"/start/s.crt\"",
            "private_key = \"/k/s.key\"",
            "[auth]",
            "method = \"scram-sha-256\"",
            "auth_file = \"users.txt\"",
            "[[database]]",
            "name = \"shop\"",
            "host = \"db1\"",
            "max_db_connections = 80",
            "server_idle_timeout = 60",
            "port = 5433",
            "dbname = \"shop_production\"",
            "pool_size = 50",
            "[database.tls]",
            "mode = \"verify-full\"",
            "ca = \"/ca.crt\"",
            "[[database]]",
            "name = \"*\"",
            "host = \"10.0.0.7\"",
            "max_db_connections = 80",
            "server_idle_timeout = 60",
            "[database.tls]",
            "mode = \"verify-full\"",
            "ca = \"/ca.crt\"",
            "[pool]",
            "pool_mode = \"transaction\"",
            "[[user]]",
            "name = \"report\"",
            "pool_mode = \"session\"",
            "max_user_connections = 3",
            "[limits]",
            "query_wait_timeout = 1",
            "[admin]",
            "admin_users = [\"a\", \"b\"]",
        ]
    );
    assert_eq!(
        content(&import, "users.txt"),
        Some("\"a\" \"one\"\n\"b\" \"\"\n")
    );
    assert_eq!(
        import
            .notes
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        [
            "p.ini:14: query_wait_timeout: 0.5 s is out of bounds here; 1 s is written instead",
            "p.ini:17: logfile: the log goes to standard error, where systemd or a container takes \
             it up",
        ]
    );
    let text = &import.configuration;
    assert!(
        text.contains("# - p.ini:17: logfile: the log goes to standard error"),
        "{text}"
    );
    assert!(text.contains("pool_size = 50  # p.ini:2"), "{text}");
    assert!(
        text.contains("# When a server connection goes back to the pool.\npool_mode"),
        "{text}"
    );
}

#[test]
fn each_general_setting_with_its_meaning() {
    for (theirs, header, ours) in [
        ("max_client_conn = 500", "[listen]", "max_client_conn = 500"),
        (
            "max_client_conn = 0",
            "[listen]",
            "max_client_conn = 1000000",
        ),
        ("listen_backlog = 4096", "[listen]", "listen_backlog = 4096"),
        (
            "client_login_timeout = 15.5",
            "[listen]",
            "client_login_timeout = \"15500ms\"",
        ),
        (
            "client_login_timeout = 0",
            "[listen]",
            "client_login_timeout = 3600",
        ),
        (
            "client_idle_timeout = 0",
            "[listen]",
            "client_idle_timeout = 0",
        ),
        (
            "idle_transaction_timeout = 60",
            "[listen]",
            "idle_transaction_timeout = 60",
        ),
        (
            "transaction_timeout = 60",
            "[listen]",
            "transaction_timeout = 60",
        ),
        ("query_timeout = 60", "[listen]", "query_timeout = 60"),
        (
            "tcp_user_timeout = 30000",
            "[listen]",
            "tcp_user_timeout = \"30000ms\"",
        ),
        (
            "tcp_user_timeout = 30000",
            "[[database]]",
            "tcp_user_timeout = \"30000ms\"",
        ),
        ("server_lifetime = 0", "[[database]]", "server_lifetime = 0"),
        (
            "server_check_delay = 0",
            "[[database]]",
            "server_check_delay = 0",
        ),
        (
            "server_connect_timeout = 15",
            "[[database]]",
            "server_connect_timeout = 15",
        ),
        (
            "server_login_retry = 1",
            "[[database]]",
            "server_login_retry = 1",
        ),
        (
            "pool_mode = Statement",
            "[pool]",
            "pool_mode = \"statement\"",
        ),
        (
            "default_pool_size = 0x10",
            "[pool]",
            "default_pool_size = 16",
        ),
        ("min_pool_size = 30", "[pool]", "min_pool_size = 20"),
        ("reserve_pool_size = 5", "[pool]", "reserve_pool_size = 5"),
        (
            "reserve_pool_timeout = 0",
            "[pool]",
            "reserve_pool_timeout = 0",
        ),
        (
            "max_user_connections = 5",
            "[pool]",
            "max_user_connections = 5",
        ),
        (
            "max_prepared_statements = 0",
            "[pool]",
            "max_prepared_statements = 0",
        ),
        (
            "server_reset_query_always = 1",
            "[pool]",
            "server_reset = \"always\"",
        ),
        (
            "ignore_startup_parameters = extra_float_digits, search_path",
            "[pool]",
            "ignore_startup_parameters = [\"extra_float_digits\", \"search_path\"]",
        ),
        (
            "query_wait_timeout = 0",
            "[limits]",
            "query_wait_timeout = 86400",
        ),
        ("query_wait_notify = 0", "[limits]", "query_wait_notify = 0"),
        (
            "cancel_wait_timeout = 3",
            "[limits]",
            "cancel_wait_timeout = 3",
        ),
        ("tcp_keepalive = 0", "[tcp]", "tcp_keepalive = false"),
        ("tcp_keepidle = 40000", "[tcp]", "tcp_keepidle = 32767"),
        ("log_connections = 0", "[log]", "log_connections = false"),
        ("stats_period = 10", "[log]", "stats_period = 10"),
        ("verbose = 1", "[log]", "level = \"debug\""),
        ("stats_users = mon", "[admin]", "stats_users = [\"mon\"]"),
        (
            "unix_socket_dir = /run/p",
            "[listen]",
            "unix_socket_dir = \"/run/p\"",
        ),
        (
            "unix_socket_dir = /run/p",
            "[listen]",
            "unix_socket_mode = \"0777\"",
        ),
        (
            "unix_socket_dir = /run/p\nunix_socket_mode = 0770",
            "[listen]",
            "unix_socket_mode = \"0770\"",
        ),
        ("listen_addr = *", "[listen]", "address = [\"[::]:6432\"]"),
        (
            "listen_addr = localhost",
            "[listen]",
            "address = [\"127.0.0.1:6432\"]",
        ),
        ("", "[listen]", "unix_socket_dir = \"/tmp\""),
    ] {
        let import = one(&format!("[databases]\nd = host=h\n[pgbouncer]\n{theirs}\n"));
        let written = section(&import, header);
        assert!(written.contains(&ours), "{theirs}: {written:#?}");
    }
}

#[test]
fn methods_and_what_they_need() {
    let tls = format!("listen_addr = 127.0.0.1\n{CLIENT_TLS}");
    let plain = "listen_addr = 127.0.0.1\n".to_owned();
    for (base, theirs, method, kind) in [
        (&plain, "", "md5", None),
        (&plain, "md5", "md5", None),
        (&plain, "scram-sha-256", "scram-sha-256", None),
        (&plain, "trust", "trust", Some(Kind::Differs)),
        (&plain, "any", "trust", Some(Kind::Differs)),
        (&plain, "plain", "md5", Some(Kind::Differs)),
        (&tls, "plain", "password", None),
        (&tls, "pam", "password", Some(Kind::Differs)),
        (&plain, "pam", "scram-sha-256", Some(Kind::ToDo)),
        (&tls, "ldap", "password", Some(Kind::Differs)),
        (&tls, "cert", "cert", None),
        (&plain, "cert", "cert", None),
    ] {
        let auth = match theirs {
            "" => String::new(),
            theirs => format!("auth_type = {theirs}\n"),
        };
        let import = one(&format!(
            "[databases]\nd = host=h\n[pgbouncer]\n{base}{auth}"
        ));
        let written = section(&import, "[auth]");
        let wanted = format!("method = \"{method}\"");
        assert!(written.contains(&wanted.as_str()), "{theirs}: {written:#?}");
        let about = import.notes.iter().find(|note| note.key == "auth_type");
        assert_eq!(about.map(|note| note.kind), kind, "{theirs}");
    }
}

#[test]
fn the_socket_asks_for_what_pgbouncer_asked_for() {
    for (theirs, ours) in [
        ("md5", "md5"),
        ("scram-sha-256", "scram-sha-256"),
        ("trust", "trust"),
        ("plain", "md5"),
        ("pam", "peer"),
    ] {
        let import = one(&format!(
            "[pgbouncer]\nunix_socket_dir = /run\nauth_type = {theirs}\n"
        ));
        let wanted = format!("unix_socket_method = \"{ours}\"");
        let written = section(&import, "[auth]");
        assert!(written.contains(&wanted.as_str()), "{theirs}: {written:#?}");
    }
}

#[test]
fn tls_of_clients() {
    let with = |text: &str| {
        one(&format!(
            "[databases]\nd = host=h\n[pgbouncer]\nlisten_addr = ::1\n{text}"
        ))
    };
    let tls = |text: &str| {
        let import = with(text);
        let lines = section(&import, "[listen.tls]");
        lines.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(tls(""), ["mode = \"disable\""]);
    noted(
        &with(""),
        Kind::Differs,
        "client_tls_sslmode: clients are not encrypted",
    );
    let pair = "client_tls_cert_file = /c\nclient_tls_key_file = /k\n";
    let pair_written = ["certificate = \"/c\"", "private_key = \"/k\""];
    let expected = |mode: &str, rest: &[&str]| {
        let mode = format!("mode = \"{mode}\"");
        let lines = [mode.as_str()].into_iter().chain(pair_written);
        lines
            .chain(rest.iter().copied())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    for (theirs, ours, rest) in [
        ("allow", "allow", &[][..]),
        ("prefer", "prefer", &[]),
        ("require", "require", &[]),
        ("verify-ca", "verify-ca", &["client_ca = \"client-ca.crt\""]),
        (
            "verify-full",
            "verify-ca",
            &["client_ca = \"client-ca.crt\""],
        ),
        (
            "require\nclient_tls_ca_file = /a",
            "require",
            &["client_ca = \"/a\""],
        ),
        (
            "require\nclient_tls_protocols = tlsv1.3",
            "require",
            &["min_version = \"TLSv1.3\""],
        ),
        (
            "require\nclient_tls_protocols = tlsv1.1,tlsv1.2",
            "require",
            &["max_version = \"TLSv1.2\""],
        ),
        ("require\nclient_tls_protocols = secure", "require", &[]),
        ("require\nclient_tls_ciphers = fast", "require", &[]),
        (
            "require\nclient_tls_ciphers = HIGH:!aNULL\nclient_tls_ecdhcurve = prime256v1",
            "require",
            &["ciphers = \"HIGH:!aNULL\"", "groups = \"prime256v1\""],
        ),
        (
            "require\nclient_tls13_ciphers = TLS_AES_128_GCM_SHA256",
            "require",
            &["ciphersuites = \"TLS_AES_128_GCM_SHA256\""],
        ),
    ] {
        let found = tls(&format!("client_tls_sslmode = {theirs}\n{pair}"));
        assert_eq!(found, expected(ours, rest), "{theirs}");
    }
    let import = with("client_tls_sslmode = require\n");
    noted(
        &import,
        Kind::ToDo,
        "client_tls_cert_file: no file is named",
    );
    noted(&import, Kind::ToDo, "client_tls_key_file: no file is named");
    let import = with(&format!("client_tls_sslmode = verify-full\n{pair}"));
    noted(
        &import,
        Kind::Differs,
        "p.ini:5: client_tls_sslmode: PgBouncer's verify-full",
    );
    noted(&import, Kind::ToDo, "client_tls_ca_file: no file is named");
}

#[test]
fn tls_of_servers() {
    for (theirs, ours) in [
        ("", &["mode = \"prefer\""][..]),
        ("server_tls_sslmode = disable", &["mode = \"disable\""]),
        ("server_tls_sslmode = allow", &["mode = \"prefer\""]),
        (
            "server_tls_sslmode = require\nserver_tls_ca_file = /a",
            &["mode = \"require\""],
        ),
        (
            "server_tls_sslmode = verify-ca",
            &["mode = \"verify-full\""],
        ),
        (
            "server_tls_sslmode = verify-ca\nserver_tls_ca_file = /a",
            &["mode = \"verify-ca\"", "ca = \"/a\""],
        ),
        (
            "server_tls_sslmode = verify-full",
            &["mode = \"verify-full\""],
        ),
        (
            "server_tls_sslmode = verify-full\nserver_tls_cert_file = /c\nserver_tls_key_file = /k",
            &[
                "mode = \"verify-full\"",
                "certificate = \"/c\"",
                "private_key = \"/k\"",
            ],
        ),
        (
            "server_tls_sslmode = verify-full\nserver_tls_cert_file = /c",
            &["mode = \"verify-full\""],
        ),
        (
            "server_tls_sslmode = disable\nserver_tls_protocols = tlsv1.3",
            &["mode = \"disable\""],
        ),
    ] {
        let import = one(&format!("[databases]\nd = host=h\n[pgbouncer]\n{theirs}\n"));
        assert_eq!(section(&import, "[database.tls]"), ours, "{theirs}");
    }
}

#[test]
fn hosts_and_sockets() {
    for (value, ours) in [
        ("", &["host = \"/tmp\"", "mode = \"disable\""][..]),
        (
            "host=/run/pg",
            &["host = \"/run/pg\"", "mode = \"disable\""],
        ),
        ("host=a,b", &["host = [\"a\", \"b\"]", "mode = \"prefer\""]),
        (
            "host=2001:db8::7",
            &["host = \"2001:db8::7\"", "mode = \"prefer\""],
        ),
        (
            "host=a,/run/pg",
            &[
                "host = [\"a\", \"/run/pg\"]",
                "mode = \"prefer\"",
                "[[database.host_tls]]",
                "host = [\"/run/pg\"]",
                "mode = \"disable\"",
            ],
        ),
    ] {
        let import = one(&format!("[databases]\nd = {value}\n[pgbouncer]\n"));
        let lines = lines(&import);
        let wanted = |line: &&&str| {
            ["host", "mode", "[[database.host"]
                .iter()
                .any(|it| line.starts_with(it))
        };
        let found: Vec<&str> = lines.iter().filter(wanted).copied().collect();
        assert_eq!(found, ours, "{value}");
    }
    let own = one("[databases]\nd =\n[pgbouncer]\nunix_socket_dir = /run/q\n");
    assert!(section(&own, "[[database]]").contains(&"host = \"/run/q\""));
    let several = one("[databases]\nd = host=a,b\n[pgbouncer]\n");
    noted(&several, Kind::Differs, "p.ini:2: d: load_balance_hosts");
    let in_order = one("[databases]\nd = host=a,b load_balance_hosts=disable\n[pgbouncer]\n");
    assert!(
        !in_order
            .notes
            .iter()
            .any(|note| note.key == "d: load_balance_hosts")
    );
}

#[test]
fn sizes_of_databases() {
    let import = one(
        "[databases]\nd = host=h reserve_pool=3 pool_mode=session max_db_connections=7 \
         max_db_client_connections=9 server_lifetime=60 pool_size=5\n\
         [pgbouncer]\nmin_pool_size = 10\nmax_db_connections = 8\n",
    );
    let written = section(&import, "[[database]]");
    for line in [
        "reserve_pool_size = 3",
        "pool_mode = \"session\"",
        "max_db_connections = 7",
        "max_db_client_connections = 9",
        "server_lifetime = 60",
        "pool_size = 5",
        "min_pool_size = 5",
    ] {
        assert!(written.contains(&line), "{line}: {written:#?}");
    }
    noted(
        &import,
        Kind::Differs,
        "p.ini:2: d: min_pool_size: a pool of 5 keeps no more",
    );
}

#[test]
fn forced_users_and_their_passwords() {
    let import = import(&[
        (
            "p.ini",
            "[databases]\n* = host=h user=own password='it''s  x'\nb/ = host=h\n\
             c = host=h user=listed\nd = host=h user=hashed\ne = host=h password=nobodys\n\
             [pgbouncer]\nauth_file = u\n"
                .replace("b/ = host=h\n", "\"../x\" = host=h user=q password=w\n")
                .as_str(),
        ),
        (
            "u",
            "\"listed\" \"plain-one\"\n\"hashed\" \"md50123456789abcdef0123456789abcdef\"\n",
        ),
    ]);
    assert_eq!(content(&import, "any.password"), Some("it's  x\n"));
    assert_eq!(content(&import, "c.password"), Some("plain-one\n"));
    assert_eq!(content(&import, "_x.password"), Some("w\n"));
    noted(
        &import,
        Kind::Differs,
        "p.ini:5: d: user: its password stands nowhere as such",
    );
    noted(&import, Kind::NotNeeded, "p.ini:6: e: password");
    for file in &import.files {
        assert!(!file.name.contains('/'), "{}", file.name);
    }
    for secret in ["it's", "plain-one", "nobodys", "0123456789abcdef"] {
        let everything = format!("{import:?}");
        assert!(!everything.contains(secret), "{secret}");
    }
}

#[test]
fn passwords_have_files_of_their_own() {
    let import = one(
        "[databases]\n\"a b\" = host=h user=u password=p1\na_b = host=h user=u password=p2\n\
         \"a:b\" = host=h user=u password=p3\n[pgbouncer]\n",
    );
    let names: Vec<&str> = import.files.iter().map(|file| file.name.as_str()).collect();
    let expected = [
        "users.txt",
        "a_b.password",
        "2-a_b.password",
        "3-a_b.password",
    ];
    assert_eq!(names, expected);
}

#[test]
fn users_are_read_as_pgbouncer_reads_them() {
    let import = import(&[
        ("p.ini", "[pgbouncer]\nauth_file = u\n"),
        (
            "u",
            "; c\n# c\n \"a\"\"b\" \"x\"\"y\" trailing \"z\"\n\"twice\" \"1\"\n\"twice\" \"2\"\n\
             \"bad\" \"SCRAM-SHA-256$nonsense\"\n\"tight\"\"?\n\n"
                .replace("\"tight\"\"?\n", "\"tight\"=\"s\"\n")
                .as_str(),
        ),
    ]);
    assert_eq!(
        content(&import, "users.txt"),
        Some("\"a\"\"b\" \"x\"\"y\"\n\"twice\" \"2\"\n\"tight\" \"s\"\n")
    );
    noted(
        &import,
        Kind::ToDo,
        "u:6: user \"bad\": the secret looks like a SCRAM verifier",
    );
}

#[test]
fn a_users_file_that_is_not_there_is_empty() {
    let import = one("[pgbouncer]\nauth_file = /gone\n");
    assert_eq!(content(&import, "users.txt"), Some(""));
    noted(
        &import,
        Kind::ToDo,
        "p.ini:2: auth_file: there is no such file",
    );
}

#[test]
fn looking_users_up() {
    let import = import(&[
        (
            "p.ini",
            "[databases]\na = host=h auth_user=other\nb = host=h\n[pgbouncer]\nauth_file = u\n\
             auth_user = looker\nauth_dbname = b\nauth_query = SELECT a, b FROM f($1)\n",
        ),
        ("u", "\"looker\" \"looks\"\n"),
    ]);
    assert_eq!(
        section(&import, "[auth]"),
        [
            "method = \"md5\"",
            "unix_socket_method = \"md5\"",
            "auth_file = \"users.txt\"",
            "auth_password_file = \"auth_user.password\"",
            "auth_user = \"looker\"",
            "auth_dbname = \"b\"",
            "auth_query = \"SELECT a, b FROM f($1)\"",
        ]
    );
    assert_eq!(content(&import, "auth_user.password"), Some("looks\n"));
    noted(
        &import,
        Kind::ToDo,
        "p.ini:2: a: auth_user: there is one for all databases",
    );
    let single = one("[databases]\na = host=h auth_user=looker\n[pgbouncer]\n");
    assert!(section(&single, "[auth]").contains(&"auth_user = \"looker\""));
    noted(
        &single,
        Kind::Differs,
        "p.ini:2: a: auth_user: here it holds for every database",
    );
    let useless = one("[pgbouncer]\nauth_query = SELECT 1\nauth_dbname = x\n");
    noted(
        &useless,
        Kind::NotNeeded,
        "p.ini:2: auth_query: without auth_user",
    );
    let nowhere = one("[databases]\na = host=h\n[pgbouncer]\nauth_user = u\nauth_dbname = x\n");
    noted(
        &nowhere,
        Kind::ToDo,
        "p.ini:5: auth_dbname: no database has this name",
    );
}

#[test]
fn rules_are_kept_and_closed_where_they_mean_something_else() {
    let import = import(&[
        (
            "p.ini",
            "[databases]\na = host=h\n[pgbouncer]\nlisten_addr = ::1\nauth_type = hba\n\
             auth_hba_file = r\nunix_socket_dir = /run\nauth_ident_file = i\n",
        ),
        (
            "r",
            "# comment \\\nlocal all all peer\nhost a @admins all scram-sha-256\n\
             hostssl all +staff all cert \\\nlocal all all peer map=m\nnonsense\n\
             host all all 10.0.0.0/8 trust\n",
        ),
    ]);
    assert_eq!(
        content(&import, "hba.conf"),
        Some(
            "# comment \nlocal all all peer\n\
             # to be rewritten: host a @admins all scram-sha-256\nhost all all all reject\n\
             # to be rewritten: hostssl all +staff all cert \nhostssl all all all reject\n\
             # to be rewritten: local all all peer map=m\nlocal all all reject\n\
             # to be rewritten: nonsense\nlocal all all reject\nhost all all all reject\n\
             host all all 10.0.0.0/8 trust\n"
        )
    );
    noted(
        &import,
        Kind::ToDo,
        "r:3: rule: @admins is not supported here",
    );
    noted(
        &import,
        Kind::Differs,
        "p.ini:6: auth_hba_file: a rule lets clients in",
    );
    noted(&import, Kind::Differs, "p.ini:8: auth_ident_file");
    assert_eq!(
        section(&import, "[auth]"),
        ["auth_hba_file = \"hba.conf\"", "auth_file = \"users.txt\""]
    );
    assert!(section(&import, "[listen]").contains(&"allow_trust = true"));
    let lost = one("[pgbouncer]\nauth_type = hba\nauth_hba_file = r\n");
    let closed = "local all all reject\nhost all all all reject\n";
    assert_eq!(content(&lost, "hba.conf"), Some(closed));
    noted(
        &lost,
        Kind::ToDo,
        "p.ini:3: auth_hba_file: there is no such file",
    );
}

#[test]
fn rules_by_certificate_name_the_authority() {
    let import = import(&[
        (
            "p.ini",
            format!(
                "[databases]\na = host=h\n[pgbouncer]\nlisten_addr = ::1\nauth_type = hba\n\
                 auth_hba_file = r\n{CLIENT_TLS}"
            )
            .as_str(),
        ),
        ("r", "hostssl all all all cert\n"),
    ]);
    assert!(section(&import, "[listen.tls]").contains(&"client_ca = \"client-ca.crt\""));
    noted(&import, Kind::ToDo, "client_tls_ca_file: no file is named");
}

#[test]
fn peers_need_a_number() {
    let peers = "[peers]\n1 = host=a\n2 = host=/run/b port=7 pool_size=3\n";
    let import = one(&format!("{peers}[pgbouncer]\npeer_id = 1\n"));
    let lines = lines(&import);
    let start = lines
        .iter()
        .position(|line| *line == "[[peer]]")
        .expect("peers");
    assert_eq!(
        lines[start..start + 8],
        [
            "[[peer]]",
            "id = 1",
            "host = \"a\"",
            "[[peer]]",
            "id = 2",
            "host = \"/run/b\"",
            "port = 7",
            "[peer.tls]",
        ]
    );
    assert!(section(&import, "[listen]").contains(&"peer_id = 1"));
    noted(
        &import,
        Kind::Differs,
        "p.ini:2: peers: peers have to be Portcullis",
    );
    let negative = one(&format!("{peers}[pgbouncer]\npeer_id = -1\n"));
    assert!(!negative.configuration.contains("[[peer]]"));
    let alone = one(&format!("{peers}[pgbouncer]\n"));
    assert!(!alone.configuration.contains("[[peer]]"));
    noted(&alone, Kind::Differs, "p.ini:2: peers: without peer_id");
}

#[test]
fn what_has_no_equivalent_is_named_with_its_reason() {
    let import = one(
        "[databases]\nd = host=h connect_query='SELECT secret()' timezone=UTC \
         target_session_attrs=read-write\n[pgbouncer]\nserver_round_robin = 1\n\
         server_reset_query = RESET ALL\ndisable_pqexec = 0\ntomorrows_setting = 1\n\
         so_reuseport = 1\npidfile = /run/p.pid\nunix_socket_dir = /run\nunix_socket_group = g\n",
    );
    assert_eq!(
        notes(&import, Kind::Differs),
        [
            "server_tls_sslmode: servers are not verified, as PgBouncer had it, so that anyone in \
             between can be the server; \"verify-full\" is the default here, with ca = the file of \
             your authority",
            "p.ini:2: d: connect_query: nothing is run on new server connections; what it sets, \
             ALTER ROLE … IN DATABASE … SET sets as well",
            "p.ini:2: d: timezone: clients say it themselves; for all of them, ALTER ROLE … IN \
             DATABASE … SET on the server",
            "p.ini:2: d: target_session_attrs: the first host that answers is taken, primary or \
             not; name only hosts that fit",
            "p.ini:4: server_round_robin: the connection that rested last is taken first, so that \
             the others can grow old",
            "p.ini:5: server_reset_query: how a connection is reset is not a query here: all that a \
             client leaves behind is taken back (server_reset in [pool])",
            "p.ini:7: tomorrows_setting: PgBouncer up to 1.25 has no such setting; it is left out",
            "p.ini:11: unix_socket_group: the socket has the group that Portcullis runs with, or \
             that of a directory with the setgid bit; give one of them this group",
        ]
    );
    assert_eq!(notes(&import, Kind::NotNeeded).len(), 2);
    assert!(!format!("{import:?}").contains("secret()"));
}

#[test]
fn mistakes_name_file_line_and_key_and_no_value() {
    let faults = files(&[
        (
            "p.ini",
            "[databases]\na = host=hunter2! port=x\nb = password='hunter2\nc = nonsense=hunter2\n\
             pgbouncer = host=h\nd = pool_mode=hunter2 pool_size=hunter2\n[users]\nu = what=hunter2\n\
             [peers]\nx = port=1\n[pgbouncer]\npeer_id = 1\nlisten_addr = hunter2\nlisten_port = 0\n\
             auth_type = hunter2\ndefault_pool_size = hunter2\nquery_timeout = hunter2\n\
             server_lifetime = hunter2\nauth_user = u\nauth_query = SELECT hunter2\n\
             client_tls_sslmode = hunter2\nadmin_users = a\tb\nauth_file = u\n",
        ),
        ("u", "\"a\" \"hunter2\nhunter2\n"),
    ])
    .expect_err("mistakes");
    assert_eq!(
        faults,
        [
            "p.ini:2: a: host: this is not a host; write a name, an IP address, or the directory of \
             a Unix socket",
            "p.ini:2: a: port: this is not a port; write a number from 1 to 65535",
            "p.ini:3: b: write name=value pairs, apart by spaces; a value with spaces in single \
             quotes",
            "p.ini:4: c: nonsense: PgBouncer has no such parameter here",
            "p.ini:5: pgbouncer: this name belongs to the console",
            "p.ini:6: d: pool_mode: there is no such choice; there are session, transaction and \
             statement",
            "p.ini:6: d: pool_size: this is not a whole number",
            "p.ini:8: u: what: PgBouncer has no such parameter here",
            "p.ini:10: x: a peer's name is its number, from 1 to 16383",
            "p.ini:10: x: a peer needs its host",
            "p.ini:13: listen_addr: this is not an address; write IP addresses, localhost or *",
            "p.ini:14: listen_port: this is not a port; write a number from 1 to 65535",
            "p.ini:15: auth_type: there is no such choice; there are any, trust, plain, md5, cert, \
             hba, pam, ldap and scram-sha-256",
            "p.ini:16: default_pool_size: this is not a whole number",
            "p.ini:17: query_timeout: this is not a number of seconds",
            "p.ini:18: server_lifetime: this is not a number of seconds",
            "p.ini:20: auth_query: the query must use $1, which stands for the user's name",
            "p.ini:21: client_tls_sslmode: there is no such choice; there are disable, allow, \
             prefer, require, verify-ca and verify-full",
            "p.ini:22: admin_users: this text is empty, too long, or has control characters",
            "u:1: this is no line of a users file; write \"user\" \"secret\", both in double quotes",
            "u:2: this is no line of a users file; write \"user\" \"secret\", both in double quotes",
        ]
    );
}

/// A password with a space that nobody has quoted goes on as parameters.
#[test]
fn the_rest_of_a_password_is_not_printed() {
    let faults = files(&[(
        "p.ini",
        "[databases]\na = host=h password=hunter2 hunter3=hunter4 port=0\n[pgbouncer]\n",
    )])
    .expect_err("mistakes");
    assert_eq!(
        faults,
        [
            "p.ini:2: a: what follows the password: PgBouncer has no such parameter here",
            "p.ini:2: a: port: this is not a port; write a number from 1 to 65535",
        ]
    );
}

#[test]
fn options_of_rules_are_not_printed() {
    let import = import(&[
        ("p.ini", "[pgbouncer]\nauth_type = hba\nauth_hba_file = r\n"),
        ("r", "host all all all ldap ldapbindpasswd=hunter2\n"),
    ]);
    noted(
        &import,
        Kind::ToDo,
        "r:1: rule: the option \"ldapbindpasswd\" is not known",
    );
    assert!(!format!("{import:?}").contains("hunter2"));
}

#[test]
fn texts_with_control_characters_are_faults() {
    for setting in [
        "auth_user = u\nauth_dbname = \u{1}",
        "auth_user = \u{1}",
        "auth_user = u\nauth_query = $1\u{1}",
        "unix_socket_dir = \u{1}",
        "stats_users = \u{1}",
        "ignore_startup_parameters = \u{1}",
        "server_tls_sslmode = verify-full\nserver_tls_ca_file = \u{1}",
        "server_tls13_ciphers = \u{1}",
    ] {
        let text = format!("[databases]\n* = host=h\n[pgbouncer]\n{setting}\n");
        let faults = files(&[("p.ini", &text)]).expect_err(setting);
        let problem = ": this text is empty, too long, or has control characters";
        assert!(faults[0].ends_with(problem), "{faults:?}");
    }
}

#[test]
fn an_empty_file_gives_a_right_configuration() {
    let import = one("");
    noted(&import, Kind::ToDo, "databases: none is there");
}

/// Every setting that PgBouncer or this crate may know, and some that nobody does.
fn keys() -> Vec<&'static str> {
    let mut keys = vec![
        "auth_user",
        "auth_query",
        "auth_dbname",
        "auth_type",
        "auth_hba_file",
        "listen_addr",
        "listen_port",
        "unix_socket_mode",
        "client_tls_sslmode",
        "client_tls_cert_file",
        "client_tls_ca_file",
        "client_tls_protocols",
        "client_tls_ciphers",
        "client_tls_ecdhcurve",
        "server_tls_sslmode",
        "server_tls_ca_file",
        "server_tls_key_file",
        "server_reset_query",
        "server_reset_query_always",
        "verbose",
        "conffile",
        "nonsense",
    ];
    let settings = config::SECTIONS.iter().flat_map(|section| section.settings);
    keys.extend(settings.map(|setting| setting.name));
    keys
}

const VALUES: &[&str] = &[
    "",
    "0",
    "1",
    "2",
    "-1",
    "07",
    "0777",
    "0.0001",
    "15",
    "6432",
    "40000",
    "1e9",
    "99999999999",
    "disable",
    "allow",
    "require",
    "verify-ca",
    "verify-full",
    "trust",
    "hba",
    "cert",
    "md5",
    "pam",
    "plain",
    "transaction",
    "*",
    "localhost",
    "::1, 10.0.0.1",
    "/run/x",
    "/c",
    "SELECT $1",
    "a",
    "a,b",
    "tlsv1.3",
    "all",
    "x = y",
    "host=a,/b",
    "\u{1}",
    "ü",
];
const PAIRS: &[&str] = &[
    "",
    "host=h",
    "host=h,/run",
    "host=/x",
    "port=1",
    "port=0",
    "user=u",
    "password='a b'",
    "pool_size=0",
    "pool_size=1",
    "min_pool_size=99",
    "pool_mode=statement",
    "auth_user=u",
    "reserve_pool=1",
    "auth_dbname=d",
    "server_lifetime=0",
    "nonsense=1",
    "dbname=d",
    "max_user_connections=0",
    "query_timeout=1",
];

/// The text without the lines that faults are about.
fn without(text: &str, faults: &[String]) -> String {
    let number = |fault: &String| fault.split(':').nth(1)?.parse::<usize>().ok();
    let bad: Vec<usize> = faults.iter().filter_map(number).collect();
    assert!(!bad.is_empty(), "{faults:?}");
    let numbered = (1..).zip(text.lines());
    let good = numbered.filter(|(line, _)| !bad.contains(line));
    good.map(|(_, line)| format!("{line}\n")).collect()
}

proptest! {
    #[test]
    fn what_comes_out_is_right_or_the_fault_is_said(
        settings in vec((select(keys()), select(VALUES)), 0..12),
        databases in vec((select(&["a", "*", "\"b c\"", "pgbouncer"][..]), vec(select(PAIRS), 0..4)), 0..4),
        users in vec((select(&["u", "v"][..]), vec(select(PAIRS), 0..3)), 0..2),
        peers in vec((select(&["1", "2", "x"][..]), vec(select(PAIRS), 0..2)), 0..2),
    ) {
        let mut text = String::from("[pgbouncer]\n");
        for (key, value) in settings {
            text += &format!("{key} = {value}\n");
        }
        for (section, entries) in [("databases", databases), ("users", users), ("peers", peers)] {
            text += &format!("[{section}]\n");
            for (key, pairs) in entries {
                text += &format!("{key} = {}\n", pairs.join(" "));
            }
        }
        // Lines with faults are taken out until none is left.
        let import = loop {
            match files(&[("p.ini", &text), ("a", "\"u\" \"p\"\n")]) {
                Ok(import) => break import,
                Err(faults) => text = without(&text, &faults),
            }
        };
        let read = Config::from_text(&import.configuration, "/p.toml");
        prop_assert!(read.is_ok(), "{:#?}\nfrom:\n{text}", read.err());
    }

    #[test]
    fn any_text_is_read_to_its_end(text in "(\\[databases\\]|\\[pgbouncer\\]|[a-c=' \"%#;\n\\[\\]]|host|%include ){0,40}") {
        let _ = files(&[("p.ini", &text)]);
    }
}
