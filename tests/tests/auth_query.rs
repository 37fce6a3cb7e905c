//! Users looked up in the database: the default query and others, and what attackers might
//! make of them.

use std::sync::{Mutex, PoisonError};

use e2e::drivers::{self, Endpoint};
use e2e::{Stage, StagePlan};
use testkit::{Cluster, wait};

static GRANTS: Mutex<()> = Mutex::new(());

/// A proxy that looks users up as `role`, which may read the verifiers.
#[track_caller]
fn looking_up(cluster: &Cluster, role: &str) -> StagePlan {
    let looker = Endpoint::role(cluster, role);
    {
        // The server refuses to have the rights of one table changed twice at once.
        let _alone = GRANTS.lock().unwrap_or_else(PoisonError::into_inner);
        cluster.sql(&format!("GRANT SELECT ON pg_authid TO {role}"));
    }
    Stage::before(cluster)
        .unset("auth", "auth_file")
        .set("auth", "auth_user", &format!("'{role}'"))
        .set("auth", "auth_password_file", "'looker.password'")
        .set("auth", "auth_dbname", "'postgres'")
        .file("looker.password", &format!("{}\n", looker.password))
}

#[track_caller]
fn is_refused(stage: &Stage, direct: &Endpoint) {
    let (state, message) = drivers::refusal(&stage.endpoint(direct));
    assert_eq!(state, "28P01", "{message}\n{}", stage.proxy.log());
    let wanted = format!(
        "password authentication failed for user \"{}\"",
        direct.user
    );
    assert_eq!(message, wanted);
}

#[test]
fn the_default_query() {
    for cluster in [Cluster::shared(), Cluster::shared_18()] {
        let stage = looking_up(cluster, "looks_up").start();
        let direct = Endpoint::direct(cluster, "looked_up");
        let endpoint = stage.endpoint(&direct);
        assert_eq!(endpoint.login().says(), "looked_up");
        endpoint.login().with("PGCHANNELBINDING", "require").says();
        is_refused(&stage, &direct.with_password("wrong"));
        is_refused(&stage, &direct.as_user("no_such_user"));
    }
}

#[test]
fn a_new_password_is_seen_at_once() {
    let cluster = Cluster::shared();
    let stage = looking_up(cluster, "sees_changes").start();
    let direct = Endpoint::role(cluster, "changes");
    stage.endpoint(&direct).login().says();
    cluster.sql("ALTER ROLE changes PASSWORD 'another'");
    is_refused(&stage, &direct);
    stage
        .endpoint(&direct.with_password("another"))
        .login()
        .says();
}

#[test]
fn roles_that_must_not_get_in() {
    let cluster = Cluster::shared();
    let stage = looking_up(cluster, "sees_all_roles").start();
    for (role, change) in [
        ("past_its_time", "VALID UNTIL '2001-01-01'"),
        ("without_password", "PASSWORD NULL"),
        ("without_login", "NOLOGIN"),
    ] {
        let direct = Endpoint::role(cluster, role);
        cluster.sql(&format!("ALTER ROLE {role} {change}"));
        is_refused(&stage, &direct);
    }
}

#[test]
fn a_function_of_the_operators_own() {
    let cluster = Cluster::shared();
    let looker = Endpoint::role(cluster, "may_call_only");
    cluster.sql(
        "CREATE FUNCTION look_up(wanted text) RETURNS TABLE (name text, secret text)\n\
         SECURITY DEFINER SET search_path = pg_catalog LANGUAGE sql AS $$\n\
         SELECT rolname::text, rolpassword FROM pg_authid WHERE rolname = wanted AND NOT rolsuper $$;\n\
         REVOKE ALL ON FUNCTION look_up(text) FROM public;\n\
         GRANT EXECUTE ON FUNCTION look_up(text) TO may_call_only",
    );
    let stage = Stage::before(cluster)
        .set("auth", "auth_user", "'may_call_only'")
        .set("auth", "auth_dbname", "'postgres'")
        .set(
            "auth",
            "auth_query",
            "'SELECT name, secret FROM public.look_up($1)'",
        )
        .user(&looker)
        .set("auth", "auth_password_file", "'looker.password'")
        .file("looker.password", &looker.password)
        .start();
    let direct = Endpoint::role(cluster, "found_by_function");
    assert_eq!(stage.endpoint(&direct).login().says(), "found_by_function");
    cluster.sql("CREATE ROLE powerful SUPERUSER LOGIN PASSWORD 'powerful'");
    is_refused(&stage, &Endpoint::existing(cluster, "powerful", "powerful"));
    // Who is in the file isn't looked up.
    assert_eq!(stage.endpoint(&looker).login().says(), "may_call_only");
}

#[test]
fn names_are_bound_never_spliced() {
    let cluster = Cluster::shared();
    let stage = looking_up(cluster, "binds_names").start();
    for name in [
        "o'hara",
        "semi;colon",
        "back\\slash",
        "$1",
        "per%cent",
        "x' OR '1'='1",
        "tab\tname",
    ] {
        cluster.sql(&format!(
            "CREATE ROLE \"{name}\" LOGIN PASSWORD 'a strange name'"
        ));
        let direct = Endpoint::existing(cluster, name, "a strange name");
        assert_eq!(stage.endpoint(&direct).login().says(), name);
    }
    let attack = "x'; CREATE ROLE broken_in SUPERUSER; --";
    is_refused(&stage, &Endpoint::existing(cluster, attack, "x"));
    let broken_in = cluster.sql("SELECT 1 FROM pg_roles WHERE rolname = 'broken_in'");
    assert!(broken_in.is_empty());
}

/// A client's own settings must not decide which `pg_authid`, or which operator, is asked.
#[test]
fn a_clients_search_path_does_not_reach_the_look_up() {
    let cluster = Cluster::shared();
    let direct = Endpoint::direct(cluster, "attacker");
    let stage = looking_up(cluster, "is_attacked")
        .set(
            "auth",
            "auth_query",
            "'SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1'",
        )
        .set("auth", "auth_dbname", "'attacker'")
        .start();
    cluster.sql_in(
        "attacker",
        "GRANT SELECT ON pg_catalog.pg_authid TO is_attacked",
    );
    // A table with everybody's name and the attacker's own verifier, open to all.
    cluster.sql_in(
        "attacker",
        "CREATE SCHEMA evil AUTHORIZATION attacker;\n\
         CREATE TABLE evil.pg_authid AS SELECT 'postgres'::text AS rolname,\n\
         (SELECT rolpassword FROM pg_catalog.pg_authid WHERE rolname = 'attacker') AS rolpassword;\n\
         GRANT USAGE ON SCHEMA evil TO public; GRANT SELECT ON evil.pg_authid TO public",
    );
    let options = "-c search_path=evil,pg_catalog";
    let own = stage.endpoint(&direct).psql(&["SHOW search_path"]);
    assert_eq!(own.with("PGOPTIONS", options).says(), "evil,pg_catalog");
    let superuser = direct.as_user("postgres");
    stage
        .endpoint(&superuser)
        .login()
        .with("PGOPTIONS", options)
        .complains("password authentication failed for user \"postgres\"");
}

#[test]
fn queries_that_fail_are_the_operators_business() {
    let cluster = Cluster::shared();
    let direct = Endpoint::role(cluster, "waits_in_vain");
    let table = [
        (
            "an error",
            "'SELECT rolname, 1/0 FROM pg_catalog.pg_authid WHERE rolname = $1'",
        ),
        ("no such table", "'SELECT a, b FROM nowhere WHERE a = $1'"),
    ];
    for (number, (what, query)) in table.into_iter().enumerate() {
        let stage = looking_up(cluster, &format!("looks_in_vain_{number}"))
            .set("auth", "auth_query", query)
            .start();
        let (state, message) = drivers::refusal(&stage.endpoint(&direct));
        assert_ne!(state, "28P01", "{what}: {message}");
        assert!(
            !message.contains("nowhere") && !message.contains("zero"),
            "{what}: {message}"
        );
        stage.proxy.await_log("auth_query failed");
    }
}

/// A client reads what PostgreSQL says of a wrong password, whether the user exists or not; the log
/// names the setting and what came, also where there was no row to count the columns of.
#[test]
fn results_that_are_no_use_are_told_in_the_log_alone() {
    let cluster = Cluster::shared();
    let direct = Endpoint::role(cluster, "judged_in_vain");
    let nobody = direct.as_user("no_such_user_at_all");
    let one = "must return exactly two columns, user and secret; it returned 1";
    let three = "must return exactly two columns, user and secret; it returned 3";
    let table = [
        ("rolname", one, one),
        ("rolname, rolpassword, 1", three, three),
        (
            "NULL::name, rolpassword",
            "returned NULL as the user",
            "no such user",
        ),
        (
            "'postgres'::name, rolpassword",
            "returned another user",
            "no such user",
        ),
        (
            "rolname, 'SCRAM-SHA-256$4096:not-one'",
            "returned an unusable secret",
            "no such user",
        ),
    ];
    for (number, (columns, for_known, for_unknown)) in table.into_iter().enumerate() {
        let query = format!("\"SELECT {columns} FROM pg_catalog.pg_authid WHERE rolname = $1\"");
        let stage = looking_up(cluster, &format!("judges_in_vain_{number}"))
            .set("auth", "auth_query", &query)
            .start();
        for (who, reason) in [(&direct, for_known), (&nobody, for_unknown)] {
            is_refused(&stage, who);
            let refused = wait::until_some("the log's line", wait::LONG, || {
                let log = stage.proxy.log();
                let line = log.lines().find(|line| line.contains(&who.user))?;
                Some(line.to_owned())
            });
            assert!(refused.contains(reason), "{columns}: {refused}");
            let operators = reason != "no such user";
            assert_eq!(refused.contains("see auth_query in [auth]"), operators);
        }
        assert!(
            !stage.proxy.log().contains("not-one"),
            "a secret in the log"
        );
    }
}

/// A user without a row is a user that does not exist, and nobody's fault but the client's.
#[test]
fn no_row_is_no_such_user() {
    let cluster = Cluster::shared();
    let stage = looking_up(cluster, "finds_nobody").start();
    is_refused(&stage, &Endpoint::existing(cluster, "not_there", "x"));
    stage.proxy.await_log("there is no such user");
    assert!(!stage.proxy.log().contains("see auth_query"));
}
