//! Rules of who may log in from where (auth_hba_file), against PostgreSQL's own words.

use e2e::drivers::{self, Endpoint};
use e2e::{Stage, StagePlan};
use testkit::{Authority, Cluster, Identity, wait};

fn direct(name: &str) -> Endpoint {
    Endpoint::role(Cluster::shared(), name)
}

fn plan(rules: &str) -> StagePlan {
    Stage::before(Cluster::shared())
        .file("hba.conf", rules)
        .set("auth", "auth_hba_file", "'hba.conf'")
}

#[track_caller]
fn refused(stage: &Stage, endpoint: &Endpoint) -> String {
    let (sqlstate, message) = drivers::refusal(&stage.endpoint(endpoint));
    assert_eq!(sqlstate, "28000", "{message}");
    message
}

#[test]
fn the_first_rule_that_matches_decides() {
    let (may, barred, unknown) = (direct("hba_may"), direct("hba_barred"), direct("hba_other"));
    let stage = plan(
        "hostssl all hba_barred 127.0.0.0/8 reject\n\
         hostssl all hba_barred all scram-sha-256\n\
         hostssl postgres hba_may 127.0.0.1/32 scram-sha-256\n\
         hostssl all hba_other 10.0.0.0/8 trust\n",
    )
    .set("listen", "allow_trust", "true")
    .user(&may)
    .user(&barred)
    .user(&unknown)
    .start();
    assert_eq!(stage.endpoint(&may).login().says(), "hba_may");
    let message = refused(&stage, &barred);
    let wanted = "pg_hba.conf rejects connection for host \"127.0.0.1\", user \"hba_barred\", \
        database \"postgres\", SSL encryption";
    assert!(message.contains(wanted), "{message}");
    stage.proxy.await_log("line 1 of auth_hba_file rejects it");
    let message = refused(&stage, &unknown);
    let wanted = "no pg_hba.conf entry for host \"127.0.0.1\", user \"hba_other\", database \
        \"postgres\", SSL encryption";
    assert!(message.contains(wanted), "{message}");
    // A rule that lets one in is no way around the password.
    let (sqlstate, _) = drivers::refusal(&stage.endpoint(&may.with_password("wrong")));
    assert_eq!(sqlstate, "28P01");
}

/// PostgreSQL says the same of a connection that its rules don't know.
#[test]
fn the_words_are_postgresqls() {
    let role = direct("hba_words");
    let stage = plan("local all all peer\n").user(&role).start();
    let ours = refused(&stage, &role);
    let unencrypted = role.login().with("PGSSLMODE", "disable");
    let theirs = unencrypted.complains("no pg_hba.conf entry");
    let sentence = |said: &str| {
        let start = said.find("no pg_hba.conf entry").expect("the refusal");
        let end = said[start..]
            .find(['\n', '\r'])
            .map_or(said.len(), |end| start + end);
        said[start..end].replace("no encryption", "SSL encryption")
    };
    assert_eq!(sentence(&ours), sentence(&theirs));
}

#[test]
fn replication_needs_a_rule_of_its_own() {
    let role = direct("hba_replication");
    Cluster::shared().sql("ALTER ROLE hba_replication REPLICATION");
    let stage = plan("hostssl all all all scram-sha-256\n")
        .user(&role)
        .start();
    let endpoint = stage.endpoint(&role);
    assert_eq!(endpoint.login().says(), "hba_replication");
    let identify = "import psycopg; psycopg.connect(replication='true')";
    let said = endpoint.python(identify).complains("no pg_hba.conf entry");
    assert!(
        said.contains("replication connection from host \"127.0.0.1\""),
        "{said}"
    );
    let stage = plan("hostssl replication hba_replication all scram-sha-256\n")
        .user(&role)
        .start();
    stage.endpoint(&role).python(identify).says();
}

#[test]
fn a_rule_may_demand_a_certificate_beside_the_password() {
    let role = direct("hba_certificate");
    let authority = Authority::new("clients");
    let directory = tempfile::tempdir().expect("a directory");
    let ca = authority.write(directory.path(), "ca");
    let files = |name: &str| {
        let certificate = authority.issue(&Identity::client(name));
        certificate.write(directory.path(), name)
    };
    let (right, other) = (files("hba_certificate"), files("somebody"));
    let stage = plan("hostssl all all all scram-sha-256 clientcert=verify-full\n")
        .set("listen.tls", "client_ca", &format!("'{}'", ca.display()))
        .user(&role)
        .start();
    let login = |files: &testkit::certificates::Files| {
        let endpoint = stage.endpoint(&role);
        let login = endpoint.login().with("PGSSLCERT", &files.certificate);
        login.with("PGSSLKEY", &files.private_key)
    };
    assert_eq!(login(&right).says(), "hba_certificate");
    login(&other).complains("certificate authentication failed");
    stage
        .endpoint(&role)
        .login()
        .complains("certificate authentication failed");
}

#[test]
fn mistakes_come_at_once_with_their_lines() {
    let mut proxy = plan("hosts all all all md5\nhost all +admins all md5\n")
        .user_with("somebody", "password")
        .launch();
    assert!(!proxy.await_end(wait::LONG).success());
    let log = proxy.log();
    for wanted in [
        "hba.conf, line 1: ",
        "hba.conf, line 2: ",
        "auth.auth_hba_file",
    ] {
        assert!(log.contains(wanted), "{wanted}: {log}");
    }
    for (rules, wanted) in [
        ("local all all trust\n", "line 1: \"trust\" lets anybody in"),
        (
            "\nhostssl all all all cert\n",
            "line 2: certificates need client_ca",
        ),
    ] {
        let mut proxy = plan(rules).user_with("somebody", "password").launch();
        assert!(!proxy.await_end(wait::LONG).success());
        assert!(proxy.log().contains(wanted), "{}", proxy.log());
    }
    let mut proxy = plan("local all all peer\n")
        .set("auth", "method", "'md5'")
        .user_with("somebody", "password")
        .launch();
    assert!(!proxy.await_end(wait::LONG).success());
    assert!(
        proxy.log().contains("auth_hba_file has the methods"),
        "{}",
        proxy.log()
    );
}
