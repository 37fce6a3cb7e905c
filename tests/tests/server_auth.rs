//! What servers ask of the proxy, and what the proxy asks of servers before it answers.

use std::sync::OnceLock;

use e2e::drivers::{self, Endpoint};
use e2e::{Stage, StagePlan};
use testkit::{
    Authority, Binaries, Certificate, Cluster, ClusterPlan, Identity, KeyKind, Lifetime,
};

/// A rule for each method that a server may ask for, by the role's name.
const HBA: &str = "\
hostssl all by_md5 all md5
hostssl all by_cleartext all password
hostssl all by_certificate all cert
hostssl all by_both all scram-sha-256 clientcert=verify-full
hostssl all by_nothing all trust
hostssl all all all scram-sha-256
";

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| ClusterPlan::new(Binaries::installed()).hba(HBA).start())
}

fn before() -> StagePlan {
    Stage::before(cluster())
}

#[track_caller]
fn gets_in(stage: &Stage, direct: &Endpoint) {
    assert_eq!(stage.endpoint(direct).login().says(), direct.user);
}

/// The login fails on the server's leg, which is no fault of the client's.
#[track_caller]
fn fails(stage: &Stage, direct: &Endpoint, why: &str) {
    let (state, message) = drivers::refusal(&stage.endpoint(direct));
    assert!(message.contains(why), "{state}: {message}");
    assert_ne!(state, "28P01", "{message}");
    assert!(stage.proxy.log().contains(why), "{}", stage.proxy.log());
}

#[test]
fn scram_bound_to_the_servers_certificate() {
    let direct = Endpoint::role(cluster(), "by_scram_plus");
    let stage = before()
        .user(&direct)
        .set("database.tls", "channel_binding", "'require'")
        .start();
    gets_in(&stage, &direct);
    let log = stage.proxy.log();
    assert!(log.contains("server_login=\"scram-sha-256-plus\""), "{log}");
}

#[test]
fn scram_without_binding_where_the_configuration_says_so() {
    let direct = Endpoint::role(cluster(), "by_scram");
    let stage = before()
        .user(&direct)
        .set("database.tls", "channel_binding", "'disable'")
        .start();
    gets_in(&stage, &direct);
    let log = stage.proxy.log();
    assert!(log.contains("server_login=\"scram-sha-256\""), "{log}");
}

#[test]
fn a_server_that_cannot_bind_is_refused_where_binding_is_required() {
    let authority = Authority::of_kind("server authority with Ed25519", KeyKind::Ed25519);
    let leaf = authority.issue_with(&Identity::localhost(), KeyKind::Ed25519, Lifetime::Current);
    let cluster = ClusterPlan::new(Binaries::installed())
        .certificate(&authority, &leaf)
        .start();
    let direct = Endpoint::role(&cluster, "unbound");
    let lenient = Stage::before(&cluster).user(&direct).start();
    gets_in(&lenient, &direct);
    let strict = Stage::before(&cluster)
        .user(&direct)
        .set("database.tls", "channel_binding", "'require'")
        .start();
    fails(&strict, &direct, "channel binding");
}

#[test]
fn md5() {
    cluster().sql("SET password_encryption = 'md5'; CREATE ROLE by_md5 LOGIN PASSWORD 'secret'");
    let direct = Endpoint::existing(cluster(), "by_md5", "secret");
    let stage = before().user(&direct).start();
    gets_in(&stage, &direct);
    let log = stage.proxy.log();
    assert!(log.contains("server_login=\"md5\""), "{log}");
    // What MD5 needs is in its verifier, too.
    let verifier = cluster().sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'by_md5'");
    let verifier = verifier[0][0].clone().expect("a verifier");
    let stage = before()
        .user_with("by_md5", &verifier)
        .set("auth", "method", "'md5'")
        .start();
    gets_in(&stage, &direct);
    // Binding cannot be had from MD5.
    let strict = before()
        .user(&direct)
        .set("database.tls", "channel_binding", "'require'")
        .start();
    fails(&strict, &direct, "channel binding");
}

#[test]
fn the_password_itself_only_inside_verified_tls() {
    let direct = Endpoint::role(cluster(), "by_cleartext");
    let stage = before().user(&direct).start();
    gets_in(&stage, &direct);
    for mode in ["require", "prefer"] {
        let stage = before()
            .user(&direct)
            .set("database.tls", "mode", &format!("'{mode}'"))
            .unset("database.tls", "ca")
            .start();
        fails(&stage, &direct, "password");
    }
}

/// The client's password is used once towards the server, which asks for it itself.
#[test]
fn the_clients_password_goes_on_to_a_server_that_asks_for_it() {
    let direct = Endpoint::existing(cluster(), "by_cleartext_too", "its password");
    cluster().make_role("by_cleartext_too", "its password");
    let stage = before()
        .set("auth", "method", "'password'")
        .unset("auth", "auth_file")
        .start();
    gets_in(&stage, &direct);
}

/// The proxy's own certificate towards the server, whose authority is its clients' too.
fn with_certificate(plan: StagePlan, certificate: &Certificate) -> StagePlan {
    let text = |pem: Vec<u8>| String::from_utf8(pem).expect("PEM");
    plan.file("to-server.crt", &text(certificate.pem()))
        .file("to-server.key", &text(certificate.key_pem()))
        .set("database.tls", "certificate", "'to-server.crt'")
        .set("database.tls", "private_key", "'to-server.key'")
}

#[test]
fn a_client_certificate_alone_and_beside_scram() {
    let authority = cluster().authority();
    // The server's own words; where SCRAM is asked for, it blames the password for the certificate.
    let table = [
        ("by_certificate", "certificate authentication failed"),
        ("by_both", "password authentication failed"),
    ];
    for (role, words) in table {
        let direct = Endpoint::role(cluster(), role);
        let own = authority.issue(&Identity::client(role));
        let stage = with_certificate(before().user(&direct), &own).start();
        gets_in(&stage, &direct);
        let other = authority.issue(&Identity::client("somebody_else"));
        let stage = with_certificate(before().user(&direct), &other).start();
        stage.endpoint(&direct).login().complains(words);
        let stage = before().user(&direct).start();
        let login = stage.endpoint(&direct).login();
        login.complains("connection requires a valid client certificate");
    }
}

#[test]
fn a_server_that_asks_nothing() {
    let direct = Endpoint::role(cluster(), "by_nothing");
    let stage = before().user(&direct).start();
    gets_in(&stage, &direct);
    let strict = before()
        .user(&direct)
        .set("database.tls", "channel_binding", "'require'")
        .start();
    fails(&strict, &direct, "channel binding");
}

#[test]
fn a_role_that_may_not_log_in_is_refused_in_the_servers_words() {
    let direct = Endpoint::role(cluster(), "by_nobody");
    cluster().sql("ALTER ROLE by_nobody NOLOGIN");
    let stage = before().user(&direct).start();
    let (state, message) = drivers::refusal(&stage.endpoint(&direct));
    assert_eq!(state, "28000");
    assert_eq!(message, "role \"by_nobody\" is not permitted to log in");
}
