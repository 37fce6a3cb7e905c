//! Settings of pools: defaults, who goes before whom, and what cannot be.

use config::{Config, Pinning, PoolMode, PoolSize, Prepared, ServerReset, TimeoutsOfUser};
use std::time::Duration;

const LEAST: &str = "[listen.tls]\ncertificate = \"s.crt\"\nprivate_key = \"s.key\"\n\
    [auth]\nauth_file = \"users.txt\"\n";
const PLAIN: &str = "[[database]]\nname = \"plain\"\nhost = \"h\"\n";

fn read(text: &str) -> Config {
    match Config::from_text(&format!("{LEAST}{text}"), "p.toml") {
        Ok((config, _)) => config,
        Err(invalid) => panic!("{:#?}\nin:\n{text}", invalid.errors),
    }
}

fn error(text: &str) -> String {
    let read = Config::from_text(&format!("{LEAST}{text}"), "p.toml");
    let errors = read.expect_err(text).errors;
    assert_eq!(errors.len(), 1, "{errors:#?}");
    errors[0].to_string()
}

#[test]
fn without_a_word_a_pool_is_pgbouncers() {
    let config = read(PLAIN);
    let database = &config.databases[0];
    let expected = PoolSize {
        mode: PoolMode::Session,
        size: 20,
        min_size: 0,
        reserve_size: 0,
        guaranteed: 0,
    };
    assert_eq!(config.pool_size(database, None), expected);
    let reserve_timeout = config.pool.reserve_timeout;
    assert_eq!(reserve_timeout, Some(Duration::from_secs(5)));
    assert_eq!(config.max_database_clients(database), None);
    assert_eq!(config.max_user_clients(None), None);
    assert_eq!(config.max_user_connections(None), None);
}

#[test]
fn users_go_before_databases_and_databases_before_the_rest() {
    let config = read(&format!(
        "[pool]\npool_mode = \"transaction\"\ndefault_pool_size = 10\nmin_pool_size = 3\n\
         reserve_pool_size = 2\npool_guaranteed = 1\nmax_user_connections = 30\n\
         max_user_client_connections = 40\nmax_db_client_connections = 50\n{PLAIN}\
         [[database]]\nname = \"own\"\nhost = \"h\"\npool_mode = \"statement\"\npool_size = 11\n\
         min_pool_size = 4\nreserve_pool_size = 5\nmax_db_client_connections = 0\n\
         [[user]]\nname = \"own\"\npool_mode = \"session\"\npool_size = 1\nreserve_pool_size = 6\n\
         pool_guaranteed = 7\nmax_user_connections = 0\nmax_user_client_connections = 41\n\
         [[user]]\nname = \"plain\"\n"
    ));
    let pool = |database: usize, user: Option<usize>| {
        let user = user.map(|user| &config.users[user]);
        let pool = config.pool_size(&config.databases[database], user);
        let PoolSize {
            mode,
            size,
            min_size,
            reserve_size,
            guaranteed,
        } = pool;
        (mode, size, min_size, reserve_size, guaranteed)
    };
    let (plain, own) = (0, 1);
    let (user_own, user_plain) = (Some(0), Some(1));
    assert_eq!(pool(plain, None), (PoolMode::Transaction, 10, 3, 2, 1));
    assert_eq!(pool(plain, user_plain), pool(plain, None));
    assert_eq!(pool(own, user_plain), (PoolMode::Statement, 11, 4, 5, 1));
    // A pool of one keeps no more than one ready.
    assert_eq!(pool(own, user_own), (PoolMode::Session, 1, 1, 6, 7));
    assert_eq!(
        config.max_database_clients(&config.databases[plain]),
        Some(50)
    );
    assert_eq!(config.max_database_clients(&config.databases[own]), None);
    let user = Some(&config.users[0]);
    assert_eq!(config.max_user_clients(user), Some(41));
    assert_eq!(config.max_user_clients(None), Some(40));
    assert_eq!(config.max_user_connections(user), None);
    assert_eq!(config.max_user_connections(None), Some(30));
}

#[test]
fn the_reserve_can_be_left_unused() {
    let config = read(&format!("[pool]\nreserve_pool_timeout = 0\n{PLAIN}"));
    assert_eq!(config.pool.reserve_timeout, None);
}

#[test]
fn what_cannot_be() {
    let cases = [
        (
            format!("[pool]\ndefault_pool_size = 0\n{PLAIN}"),
            "p.toml:7:21: pool.default_pool_size: this is out of bounds; allowed is 1 to 100000",
        ),
        (
            format!("[pool]\ndefault_pool_size = 2\nmin_pool_size = 3\n{PLAIN}"),
            "p.toml:8:17: pool.min_pool_size: 3 connections can't be kept ready in a pool of 2; \
             lower min_pool_size",
        ),
        (
            format!("[pool]\nmin_pool_size = 3\n{PLAIN}pool_size = 2\n"),
            "p.toml:11:13: database.pool_size: 3 connections can't be kept ready in a pool of 2; \
             lower min_pool_size",
        ),
        (
            format!("{PLAIN}min_pool_size = 21\n"),
            "p.toml:9:17: database.min_pool_size: 21 connections can't be kept ready in a pool of \
             20; lower min_pool_size",
        ),
        (
            format!("{PLAIN}pool_mode = \"transactions\"\n"),
            "p.toml:9:13: database.pool_mode: there is no such choice; write \"session\", \
             \"transaction\" or \"statement\" (did you mean \"transaction\"?)",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(error(&text), expected);
    }
}

#[test]
fn waits_end_as_pgbouncers_do_and_can_be_switched_off() {
    let config = read(PLAIN);
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(config.limits.query_wait_notify, seconds(5));
    assert_eq!(config.listen.transaction_timeout, None);
    assert_eq!(Some(config.databases[0].server_login_retry), seconds(15));
    let config = read(&format!(
        "[limits]\nquery_wait_notify = 0\n[listen]\ntransaction_timeout = 9\n{PLAIN}\
         server_login_retry = \"500ms\"\n"
    ));
    assert_eq!(config.limits.query_wait_notify, None);
    assert_eq!(config.listen.transaction_timeout, seconds(9));
    let half = Duration::from_millis(500);
    assert_eq!(config.databases[0].server_login_retry, half);
}

#[test]
fn users_have_timeouts_of_their_own() {
    let config = read(&format!(
        "{PLAIN}[[user]]\nname = \"a\"\nclient_idle_timeout = 1\nidle_transaction_timeout = 2\n\
         transaction_timeout = 0\n[[user]]\nname = \"b\"\nquery_timeout = 3\n"
    ));
    let seconds = |seconds| Some(Some(Duration::from_secs(seconds)));
    let first = TimeoutsOfUser {
        client_idle: seconds(1),
        idle_transaction: seconds(2),
        transaction: Some(None),
        query: None,
    };
    assert_eq!(config.users[0].timeouts, first);
    let second = TimeoutsOfUser {
        query: seconds(3),
        ..TimeoutsOfUser::default()
    };
    assert_eq!(config.users[1].timeouts, second);
}

#[test]
fn what_sessions_leave_behind_is_settled() {
    let pool = read(PLAIN).pool;
    assert_eq!(pool.state.reset, ServerReset::Auto);
    assert_eq!(pool.state.pinning, Pinning::Allow);
    assert_eq!(
        (pool.state.max_pinned_of(20), pool.state.max_pinned_of(1)),
        (10, 0)
    );
    assert_eq!(pool.state.idle_pinned_timeout, None);
    assert_eq!(pool.state.tracked, ["IntervalStyle"]);
    assert_eq!(pool.state.ignored, [""; 0]);
    let pool = read(&format!(
        "[pool]\nserver_reset = \"always\"\npinning = \"refuse\"\nmax_pinned = 3\n\
         idle_pinned_timeout = 60\ntrack_extra_parameters = [\"IntervalStyle\", \"app.user\"]\n\
         ignore_startup_parameters = \"extra_float_digits\"\n{PLAIN}"
    ))
    .pool;
    assert_eq!(pool.state.reset, ServerReset::Always);
    assert_eq!(pool.state.pinning, Pinning::Refuse);
    assert_eq!(pool.state.max_pinned_of(20), 3);
    assert_eq!(
        pool.state.idle_pinned_timeout,
        Some(Duration::from_secs(60))
    );
    assert_eq!(pool.state.tracked, ["IntervalStyle", "app.user"]);
    assert_eq!(pool.state.ignored, ["extra_float_digits"]);
    assert_eq!(
        error(&format!(
            "[pool]\nignore_startup_parameters = \"extra_float_digits, search_path\"\n{PLAIN}"
        )),
        "p.toml:7:29: pool.ignore_startup_parameters: this is not the name of a parameter; write \
         each in quotes of its own, as a list"
    );
}

#[test]
fn no_reset_is_warned_about() {
    let text = format!("{LEAST}[pool]\nserver_reset = \"never\"\n{PLAIN}");
    let (_, warnings) = Config::from_text(&text, "p.toml").expect("a configuration");
    let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "p.toml:7:16: pool.server_reset: a client finds what another one left in its session; \
          \"auto\" takes it back"
        ]
    );
}

#[test]
fn prepared_statements_are_bounded() {
    let pgbouncers = Prepared {
        per_server: Some(200),
        count_max: 5000,
        bytes_max: 16 << 20,
    };
    assert_eq!(read(PLAIN).pool.prepared, pgbouncers);
    let off = read(&format!("[pool]\nmax_prepared_statements = 0\n{PLAIN}"));
    assert_eq!(off.pool.prepared.per_server, None);
}
