//! How clients prove who they are, against every kind of verifier. What servers ask of
//! the proxy is in `server_auth.rs`.

use e2e::Stage;
use e2e::StagePlan;
use e2e::drivers::{self, Endpoint};
use testkit::{Authority, Certificate, Cluster, Identity, KeyKind, Lifetime};

const WRONG_PASSWORD: &str = "password authentication failed for user";

fn before() -> StagePlan {
    Stage::before(Cluster::shared())
}

#[track_caller]
fn role(name: &str) -> Endpoint {
    Endpoint::role(Cluster::shared(), name)
}

/// The role's verifier as the server keeps it.
#[track_caller]
fn verifier(role: &str) -> String {
    let query = format!("SELECT rolpassword FROM pg_authid WHERE rolname = '{role}'");
    Cluster::shared().sql(&query)[0][0]
        .clone()
        .expect("a password")
}

/// A role whose verifier at the server is of MD5; SCRAM towards it cannot be.
#[track_caller]
fn md5_role(name: &str) -> Endpoint {
    let password = format!("password of {name}");
    Cluster::shared().sql(&format!(
        "SET password_encryption = 'md5'; CREATE ROLE {name} LOGIN PASSWORD '{password}'"
    ));
    Endpoint::existing(Cluster::shared(), name, &password)
}

#[track_caller]
fn gets_in(stage: &Stage, direct: &Endpoint) {
    assert_eq!(stage.endpoint(direct).login().says(), direct.user);
}

#[track_caller]
fn is_refused(stage: &Stage, direct: &Endpoint, sqlstate: &str) -> String {
    let (state, message) = drivers::refusal(&stage.endpoint(direct));
    assert_eq!(state, sqlstate, "{message}\n{}", stage.proxy.log());
    message
}

#[test]
fn scram_by_a_password_in_the_file() {
    let direct = role("scram_by_password");
    let stage = before().user(&direct).start();
    gets_in(&stage, &direct);
    let log = stage.proxy.log();
    assert!(log.contains("proof=\"scram-sha-256-plus\""), "{log}");
}

/// The client's proof gives the key for the server, which has the same verifier.
#[test]
fn scram_passes_through_by_the_servers_own_verifier() {
    let direct = role("scram_through");
    let stage = before()
        .user_with(&direct.user, &verifier("scram_through"))
        .start();
    gets_in(&stage, &direct);
    is_refused(&stage, &direct.with_password("wrong"), "28P01");
}

#[test]
fn a_verifier_that_differs_from_the_servers_is_named_as_the_cause() {
    let direct = role("scram_differs");
    let other = role("scram_other_salt");
    Cluster::shared().sql(&format!(
        "ALTER ROLE {} PASSWORD '{}'",
        other.user, direct.password
    ));
    let stage = before()
        .user_with(&direct.user, &verifier(&other.user))
        .start();
    let (_, message) = drivers::refusal(&stage.endpoint(&direct));
    assert!(
        message.contains("verifier"),
        "{message}\n{}",
        stage.proxy.log()
    );
    stage.proxy.await_log("verifier");
}

#[test]
fn channel_binding_as_the_client_wishes() {
    let direct = role("wishes_binding");
    let stage = before().user(&direct).start();
    for wish in ["disable", "prefer", "require"] {
        stage
            .endpoint(&direct)
            .login()
            .with("PGCHANNELBINDING", wish)
            .says();
    }
}

#[test]
fn channel_binding_as_the_proxy_requires() {
    let direct = role("must_bind");
    let stage = before()
        .user(&direct)
        .set("auth", "channel_binding", "'require'")
        .start();
    gets_in(&stage, &direct);
    // As PostgreSQL would say it: nothing but -PLUS is on offer.
    let login = stage.endpoint(&direct).login();
    login
        .with("PGCHANNELBINDING", "disable")
        .complains("SASL authentication mechanisms");
}

#[test]
fn channel_binding_that_the_proxy_leaves_off() {
    let direct = role("must_not_bind");
    let stage = before()
        .user(&direct)
        .set("auth", "channel_binding", "'disable'")
        .start();
    gets_in(&stage, &direct);
    let login = stage.endpoint(&direct).login();
    login
        .with("PGCHANNELBINDING", "require")
        .complains("channel binding");
}

/// Each certificate's signature hashes with something else (RFC 5929 section 4.1).
#[test]
fn channel_binding_to_every_kind_of_certificate() {
    let direct = role("binds_to_any");
    for kind in [
        KeyKind::Rsa2048,
        KeyKind::RsaPss2048,
        KeyKind::EcdsaP384,
        KeyKind::EcdsaP521,
    ] {
        let authority = Authority::of_kind("an authority of its kind", kind);
        let leaf = authority.issue_with(&Identity::localhost(), kind, Lifetime::Current);
        let stage = before()
            .user(&direct)
            .certificate(&authority, &leaf)
            .start();
        stage
            .endpoint(&direct)
            .login()
            .with("PGCHANNELBINDING", "require")
            .says();
    }
}

/// RFC 5929 has no hash for a certificate signed with Ed25519: no -PLUS, or libpq would fail.
#[test]
fn no_channel_binding_to_a_certificate_of_ed25519() {
    let direct = role("cannot_bind");
    let authority = Authority::of_kind("authority with Ed25519", KeyKind::Ed25519);
    let leaf = authority.issue_with(&Identity::localhost(), KeyKind::Ed25519, Lifetime::Current);
    let stage = before()
        .user(&direct)
        .certificate(&authority, &leaf)
        .start();
    gets_in(&stage, &direct);
    let login = stage.endpoint(&direct).login();
    login
        .with("PGCHANNELBINDING", "require")
        .complains("channel binding");
}

#[test]
fn wrong_passwords_and_unknown_users_look_alike() {
    let direct = role("guessed");
    let stage = before().user(&direct).start();
    for (endpoint, name) in [
        (direct.with_password("wrong"), "guessed"),
        (direct.as_user("no_such_user"), "no_such_user"),
    ] {
        let message = is_refused(&stage, &endpoint, "28P01");
        assert_eq!(message, format!("{WRONG_PASSWORD} \"{name}\""));
    }
}

#[test]
fn an_expired_role_is_refused() {
    let direct = role("expired");
    Cluster::shared().sql("ALTER ROLE expired VALID UNTIL '2001-01-01'");
    let stage = before().user(&direct).start();
    is_refused(&stage, &direct, "28P01");
}

#[test]
fn md5_by_its_verifier_serves_clients_and_server() {
    let direct = md5_role("by_md5");
    let forced = role("forced_by_md5");
    let stage = before()
        .user_with("by_md5", &verifier("by_md5"))
        .set("auth", "method", "'md5'")
        .set("database", "user", "'forced_by_md5'")
        .set("database", "password_file", "'forced'")
        .file("forced", &forced.password)
        .start();
    assert_eq!(stage.endpoint(&direct).login().says(), forced.user);
    stage.proxy.await_log("proof=\"md5\"");
    is_refused(&stage, &direct.with_password("wrong"), "28P01");
}

#[test]
fn a_verifier_of_md5_is_no_use_to_scram() {
    let direct = md5_role("md5_for_scram");
    let stage = before()
        .user_with("md5_for_scram", &verifier("md5_for_scram"))
        .start();
    is_refused(&stage, &direct, "28P01");
    stage.proxy.await_log("md5");
}

/// Method md5 does SCRAM with those who have a SCRAM verifier, as PostgreSQL does.
#[test]
fn method_md5_does_scram_where_the_verifier_is_scrams() {
    let direct = role("scram_under_md5");
    let stage = before()
        .user_with("scram_under_md5", &verifier("scram_under_md5"))
        .set("auth", "method", "'md5'")
        .start();
    gets_in(&stage, &direct);
    stage.proxy.await_log("proof=\"scram-sha-256-plus\"");
}

#[test]
fn a_password_is_judged_by_the_server_where_the_file_has_none() {
    let direct = role("asked_for_password");
    let stage = before()
        .set("auth", "method", "'password'")
        .unset("auth", "auth_file")
        .start();
    gets_in(&stage, &direct);
    let message = is_refused(&stage, &direct.with_password("wrong"), "28P01");
    assert_eq!(message, format!("{WRONG_PASSWORD} \"asked_for_password\""));
    is_refused(&stage, &direct.as_user("no_such_user"), "28P01");
}

#[test]
fn a_password_is_never_asked_for_in_clear_text() {
    let exception = "[[user]]\nname = 'x'\nmethod = 'password'\n";
    for (method, more) in [("'password'", ""), ("'scram-sha-256'", exception)] {
        let plan = before()
            .set("auth", "method", method)
            .set("listen.tls", "mode", "'allow'")
            .more(more);
        refuses_to_start(plan, "works inside TLS only");
    }
}

#[track_caller]
fn refuses_to_start(plan: StagePlan, why: &str) {
    let mut proxy = plan.launch();
    let status = proxy.await_end(testkit::wait::LONG);
    assert!(!status.success(), "{status}");
    assert!(proxy.log().contains(why), "{}", proxy.log());
}

/// A client certificate of a fresh authority, and a stage that asks for it.
struct Carded {
    authority: Authority,
    directory: tempfile::TempDir,
}

impl Carded {
    fn new() -> Self {
        Self {
            authority: Authority::new("authority of clients"),
            directory: tempfile::TempDir::new().expect("a directory"),
        }
    }

    fn plan(&self) -> StagePlan {
        let pem = String::from_utf8(self.authority.pem().to_vec()).expect("PEM");
        before()
            .file("client-ca.crt", &pem)
            .set("listen.tls", "client_ca", "'client-ca.crt'")
    }

    fn login(&self, endpoint: &Endpoint, certificate: &Certificate) -> e2e::Program {
        let name = format!("{:x}", certificate.fingerprint()[0]);
        let files = certificate.write(self.directory.path(), &name);
        endpoint
            .login()
            .with("PGSSLCERT", &files.certificate)
            .with("PGSSLKEY", &files.private_key)
    }
}

#[test]
fn a_certificate_whose_common_name_is_the_user() {
    let direct = role("by_cert");
    let carded = Carded::new();
    let stage = carded
        .plan()
        .user(&direct)
        .set("auth", "method", "'cert'")
        .start();
    let endpoint = stage.endpoint(&direct);
    let own = carded.authority.issue(&Identity::client("by_cert"));
    // The proof is the certificate: the password is never asked for.
    let login = carded.login(&endpoint, &own).with("PGPASSWORD", "wrong");
    assert_eq!(login.says(), "by_cert");

    let others = carded.authority.issue(&Identity::client("somebody_else"));
    carded
        .login(&endpoint, &others)
        .complains("certificate authentication failed");
    endpoint.login().complains("certificate");
    is_refused(&stage, &direct, "28000");

    let strangers = Authority::new("authority of clients").issue(&Identity::client("by_cert"));
    let complaint = carded.login(&endpoint, &strangers).complains("");
    assert!(!complaint.contains("password"), "{complaint}");
}

#[test]
fn a_map_from_names_in_certificates_to_users() {
    let direct = role("by_map");
    let carded = Carded::new();
    let names = [
        (
            "CN=Ms Map",
            carded
                .authority
                .issue_client("Ms Map", &["DNS:unmapped.example"]),
        ),
        (
            "DNS:app.example.com",
            carded.authority.issue_client("x", &["DNS:app.example.com"]),
        ),
        (
            "email:app@example.com",
            carded
                .authority
                .issue_client("x", &["email:app@example.com"]),
        ),
        (
            "URI:spiffe://example/app",
            carded
                .authority
                .issue_client("x", &["DNS:y", "URI:spiffe://example/app"]),
        ),
    ];
    let map: String = names
        .iter()
        .map(|(name, _)| format!("[[auth.map]]\ncertificate = '{name}'\nuser = 'by_map'\n"))
        .collect();
    let stage = carded
        .plan()
        .user(&direct)
        .set("auth", "method", "'cert'")
        .more(&map)
        .start();
    let endpoint = stage.endpoint(&direct);
    for (_, certificate) in &names {
        assert_eq!(carded.login(&endpoint, certificate).says(), "by_map");
    }
    // With a map, a common name alone counts for nothing.
    let own = carded.authority.issue(&Identity::client("by_map"));
    carded
        .login(&endpoint, &own)
        .complains("certificate authentication failed");
}

#[test]
fn nobody_is_trusted_unless_the_listener_says_so() {
    let direct = role("trusted");
    let unwary = before().user(&direct).set("auth", "method", "'trust'");
    refuses_to_start(unwary, "allow_trust");

    let trusting = before().user(&direct).set("auth", "method", "'trust'").set(
        "listen",
        "allow_trust",
        "true",
    );
    let stage = trusting.start();
    gets_in(&stage, &direct.with_password("anything"));
}

#[test]
fn a_forced_user_with_its_password_from_a_file() {
    let direct = role("forced_client");
    let forced = role("forced_user");
    let stage = before()
        .user(&direct)
        .set("database", "user", "'forced_user'")
        .set("database", "password_file", "'forced'")
        .file("forced", &format!("{}\n", forced.password))
        .start();
    assert_eq!(stage.endpoint(&direct).login().says(), "forced_user");
    is_refused(&stage, &forced, "28P01");
}

#[test]
fn a_forced_user_with_its_password_from_the_environment() {
    let direct = role("forced_client_too");
    let forced = role("forced_user_too");
    let stage = before()
        .user(&direct)
        .set("database", "user", "'forced_user_too'")
        .set("database", "password_env", "'FORCED_PASSWORD'")
        .environment("FORCED_PASSWORD", &forced.password)
        .start();
    assert_eq!(stage.endpoint(&direct).login().says(), "forced_user_too");
}

#[test]
fn one_user_is_an_exception() {
    let (plain, special) = (role("plain_user"), role("special_user"));
    let server_user = role("special_at_server");
    let carded = Carded::new();
    let stage = carded
        .plan()
        .user(&plain)
        .file("special", &server_user.password)
        .more(
            "[[user]]\nname = 'special_user'\nmethod = 'cert'\nserver_user = 'special_at_server'\n\
             server_password_file = 'special'\n",
        )
        .start();
    gets_in(&stage, &plain);
    is_refused(&stage, &special, "28000");
    let own = carded.authority.issue(&Identity::client("special_user"));
    let login = carded.login(&stage.endpoint(&special), &own);
    assert_eq!(login.says(), "special_at_server");
}
