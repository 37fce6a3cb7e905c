//! Every TLS mode of both legs against peers that are right, wrong, or without TLS: works
//! exactly where it should, and fails for the reason that is true.

use std::sync::mpsc;

use e2e::drivers::{self, Endpoint};
use e2e::{Program, Stage, StagePlan};
use openssl::ssl::{NameType, SslVersion};
use testkit::certificates::Lifetime;
use testkit::{
    Authority, Binaries, Certificate, ClientTls, Cluster, ClusterPlan, Identity, KeyKind, Peer,
    ScriptedServer, ServerTls,
};

/// What a client with this `sslmode` gets to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Plain,
    Encrypted,
    Refused,
}

use Outcome::{Encrypted, Plain, Refused};

/// How libpq says that it got in: by its own view of the connection.
const WITNESS: &str = "import psycopg\n\
    with psycopg.connect() as conn:\n\
    \x20   print(bool(conn.pgconn.ssl_in_use))";

const SSL_MODES: [&str; 4] = ["disable", "allow", "prefer", "verify-full"];

#[track_caller]
fn check(program: Program, outcome: Outcome) -> String {
    match outcome {
        Plain => assert_eq!(program.says(), "False"),
        Encrypted => assert_eq!(program.says(), "True"),
        Refused => return program.complains("connection"),
    }
    String::new()
}

#[test]
fn clients_with_and_without_tls() {
    let direct = Endpoint::role(Cluster::shared(), "modes_of_clients");
    let table = [
        ("disable", [Plain, Plain, Plain, Refused]),
        ("allow", [Plain, Plain, Encrypted, Encrypted]),
        ("prefer", [Plain, Plain, Encrypted, Encrypted]),
        ("require", [Refused, Encrypted, Encrypted, Encrypted]),
    ];
    for (mode, outcomes) in table {
        let mut plan = Stage::before(Cluster::shared()).user(&direct).set(
            "listen.tls",
            "mode",
            &format!("'{mode}'"),
        );
        if mode == "disable" {
            plan = plan
                .unset("listen.tls", "certificate")
                .unset("listen.tls", "private_key");
        }
        let stage = plan.start();
        for (sslmode, outcome) in SSL_MODES.into_iter().zip(outcomes) {
            let client = stage.endpoint(&direct).python(WITNESS);
            let complaint = check(client.with("PGSSLMODE", sslmode), outcome);
            if mode == "require" && outcome == Refused {
                assert!(complaint.contains("requires TLS"), "{complaint}");
            }
        }
    }
}

/// libpq's environment for a client with this certificate.
fn with_card(program: Program, directory: &std::path::Path, card: &Certificate) -> Program {
    let digest: String = card
        .fingerprint()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let files = card.write(directory, &digest);
    program
        .with("PGSSLCERT", files.certificate)
        .with("PGSSLKEY", files.private_key)
}

#[test]
fn clients_with_and_without_a_certificate() {
    let direct = Endpoint::role(Cluster::shared(), "modes_of_cards");
    let authority = Authority::new("authority of clients");
    let pem = String::from_utf8(authority.pem().to_vec()).expect("PEM");
    let directory = tempfile::TempDir::new().expect("a directory");
    let own = authority.issue(&Identity::client("modes_of_cards"));
    let others = authority.issue(&Identity::client("somebody_else"));
    let past = authority.issue_with(
        &Identity::client("modes_of_cards"),
        KeyKind::EcdsaP256,
        Lifetime::Expired,
    );
    let foreign = Authority::new("authority of clients").issue(&Identity::client("modes_of_cards"));
    // Without a certificate, then with the user's own, somebody else's, an expired and a foreign one.
    let table = [
        (
            "require",
            [Encrypted, Encrypted, Encrypted, Refused, Refused],
        ),
        (
            "verify-ca",
            [Refused, Encrypted, Encrypted, Refused, Refused],
        ),
        (
            "verify-full",
            [Refused, Encrypted, Refused, Refused, Refused],
        ),
    ];
    for (mode, [none, of_own, of_others, of_past, of_foreign]) in table {
        let stage = Stage::before(Cluster::shared())
            .user(&direct)
            .file("client-ca.crt", &pem)
            .set("listen.tls", "client_ca", "'client-ca.crt'")
            .set("listen.tls", "mode", &format!("'{mode}'"))
            .start();
        let client = || stage.endpoint(&direct).python(WITNESS);
        check(client(), none);
        for (card, outcome) in [
            (&own, of_own),
            (&others, of_others),
            (&past, of_past),
            (&foreign, of_foreign),
        ] {
            check(with_card(client(), directory.path(), card), outcome);
        }
    }
}

#[test]
fn versions_of_tls_towards_clients() {
    let direct = Endpoint::role(Cluster::shared(), "versions_of_clients");
    let plan = || Stage::before(Cluster::shared()).user(&direct);
    let old = |program: Program| program.with("PGSSLMAXPROTOCOLVERSION", "TLSv1.2");
    let stage = plan().start();
    old(stage.endpoint(&direct).login()).says();
    stage.proxy.await_log("client_tls=\"TLSv1.2");
    let strict = plan().set("listen.tls", "min_version", "'TLSv1.3'").start();
    old(strict.endpoint(&direct).login()).complains("SSL error");
    strict.endpoint(&direct).login().says();
    // Below the floor of 1.2 there is nothing, whatever is set.
    let ancient = stage
        .client_tls()
        .versions(SslVersion::TLS1, SslVersion::TLS1_1);
    let mut peer = Peer::tcp(stage.proxy.address());
    peer.send(&testkit::peer::message::SSL_REQUEST);
    peer.expect(b"S");
    assert!(peer.try_handshake(&ancient).is_err());
}

#[test]
fn every_kind_of_certificate_towards_clients() {
    let direct = Endpoint::role(Cluster::shared(), "kinds_of_keys");
    for kind in [
        KeyKind::Rsa2048,
        KeyKind::EcdsaP256,
        KeyKind::EcdsaP384,
        KeyKind::EcdsaP521,
        KeyKind::Ed25519,
    ] {
        let authority = Authority::new("authority of any kind");
        let leaf = authority.issue_with(&Identity::localhost(), kind, Lifetime::Current);
        let stage = Stage::before(Cluster::shared())
            .user(&direct)
            .certificate(&authority, &leaf)
            .start();
        stage.endpoint(&direct).login().says();
        drivers::psycopg_direct_tls_login(&stage.endpoint(&direct));
    }
}

#[test]
fn direct_tls_from_clients_where_it_is_allowed() {
    let direct = Endpoint::role(Cluster::shared(), "direct_from_client");
    let plan = || Stage::before(Cluster::shared()).user(&direct);
    let stage = plan().start();
    drivers::psycopg_direct_tls_login(&stage.endpoint(&direct));
    let refusing = plan().set("listen.tls", "direct", "false").start();
    let client = refusing.endpoint(&direct).python(WITNESS);
    client
        .with("PGSSLNEGOTIATION", "direct")
        .complains("connection");
    refusing.endpoint(&direct).login().says();
    // Without ALPN, direct TLS ends after the handshake without a word.
    let mut peer = Peer::tcp(stage.proxy.address()).handshake(&stage.client_tls());
    peer.send(b"\0\0\0\x08");
    let (rest, _) = peer.drain();
    assert!(rest.is_empty(), "{}", rest.escape_ascii());
}

/// The server's leg of a session of `direct`, in the words of `pg_stat_ssl`; or the refusal.
#[track_caller]
fn server_leg(stage: &Stage, direct: &Endpoint, wanted: Result<&str, &str>) {
    let query = "SELECT coalesce(version, 'plain') FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let program = stage.endpoint(direct).psql(&[query]);
    match wanted {
        Ok(version) => assert_eq!(program.says(), version),
        Err(why) => {
            program.complains(why);
        }
    }
}

/// One row: a mode, the authority to trust (where the mode takes one), and what comes of it.
type Row<'a> = (&'a str, Option<&'a Authority>, Result<&'a str, &'a str>);

#[track_caller]
fn towards(cluster: &Cluster, role: &str, rows: &[Row<'_>]) {
    let direct = Endpoint::role(cluster, role);
    for (mode, authority, wanted) in rows {
        let stage = mode_towards(cluster, &direct, mode, *authority).start();
        server_leg(&stage, &direct, *wanted);
    }
}

fn mode_towards(
    cluster: &Cluster,
    direct: &Endpoint,
    mode: &str,
    authority: Option<&Authority>,
) -> StagePlan {
    let plan = Stage::before(cluster)
        .user(direct)
        .set("database.tls", "mode", &format!("'{mode}'"))
        .unset("database.tls", "ca");
    match authority {
        None => plan,
        Some(authority) => {
            let pem = String::from_utf8(authority.pem().to_vec()).expect("PEM");
            plan.file("server-ca.crt", &pem)
                .set("database.tls", "ca", "'server-ca.crt'")
        }
    }
}

const TLS: Result<&str, &str> = Ok("TLSv1.3");
const DISTRUSTED: Result<&str, &str> = Err("can't reach the server: TLS");

fn both_kinds() -> &'static str {
    "hostssl all all all scram-sha-256\nhostnossl all all all scram-sha-256\n"
}

#[test]
fn a_server_whose_certificate_is_right() {
    let cluster = ClusterPlan::new(Binaries::installed())
        .hba(both_kinds())
        .start();
    let right = cluster.authority();
    let wrong = Authority::new("Portcullis test authority");
    towards(
        &cluster,
        "right_server",
        &[
            ("disable", None, Ok("plain")),
            ("prefer", None, TLS),
            ("require", None, TLS),
            ("verify-ca", Some(right), TLS),
            ("verify-full", Some(right), TLS),
            ("verify-ca", Some(&wrong), DISTRUSTED),
            ("verify-full", Some(&wrong), DISTRUSTED),
            // The authorities of the operating system know nothing of this one.
            ("verify-full", None, DISTRUSTED),
        ],
    );
}

#[test]
fn a_server_whose_certificate_names_another() {
    let authority = Authority::new("authority of another");
    let leaf = authority.issue(&Identity::server(&["elsewhere.example"]));
    let cluster = ClusterPlan::new(Binaries::installed())
        .certificate(&authority, &leaf)
        .start();
    towards(
        &cluster,
        "other_server",
        &[
            ("require", None, TLS),
            ("verify-ca", Some(&authority), TLS),
            ("verify-full", Some(&authority), Err("elsewhere.example")),
        ],
    );
    // Its true name may be written down beside the address.
    let direct = Endpoint::role(&cluster, "other_server_named");
    let stage = mode_towards(&cluster, &direct, "verify-full", Some(&authority))
        .set("database.tls", "server_name", "'elsewhere.example'")
        .start();
    server_leg(&stage, &direct, TLS);
}

#[test]
fn a_server_whose_certificate_has_expired() {
    let authority = Authority::new("authority of the past");
    let leaf = authority.issue_with(
        &Identity::localhost(),
        KeyKind::EcdsaP256,
        Lifetime::Expired,
    );
    let cluster = ClusterPlan::new(Binaries::installed())
        .certificate(&authority, &leaf)
        .start();
    towards(
        &cluster,
        "past_server",
        &[
            ("require", None, TLS),
            ("verify-ca", Some(&authority), Err("expired")),
            ("verify-full", Some(&authority), Err("expired")),
        ],
    );
}

/// A pinned certificate may be anything, but must be that one.
#[test]
fn a_server_whose_certificate_is_pinned() {
    let cluster = Cluster::shared();
    let direct = Endpoint::role(cluster, "pinned");
    let pin = |certificate: &Certificate| {
        let digits: String = certificate
            .fingerprint()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        format!("'sha256:{digits}'")
    };
    let other = cluster.authority().issue(&Identity::localhost());
    for (certificate, wanted) in [(cluster.certificate(), TLS), (&other, DISTRUSTED)] {
        let stage = mode_towards(cluster, &direct, "pin", None)
            .set("database.tls", "pin", &pin(certificate))
            .start();
        server_leg(&stage, &direct, wanted);
    }
}

#[test]
fn a_server_without_tls() {
    let cluster = ClusterPlan::new(Binaries::installed())
        .hba("host all all all scram-sha-256\n")
        .set("ssl", "off")
        .start();
    let authority = cluster.authority();
    let refused = Err("the server refused TLS");
    towards(
        &cluster,
        "no_tls",
        &[
            ("disable", None, Ok("plain")),
            ("prefer", None, Ok("plain")),
            ("require", None, refused),
            ("verify-ca", Some(authority), refused),
            ("verify-full", Some(authority), refused),
        ],
    );
}

#[test]
fn a_server_that_insists_on_tls_refuses_in_its_own_words() {
    let cluster = Cluster::shared();
    towards(
        cluster,
        "insists",
        &[("disable", None, Err("no pg_hba.conf entry for host"))],
    );
}

#[test]
fn versions_of_tls_towards_servers() {
    let old = ClusterPlan::new(Binaries::installed())
        .set("ssl_max_protocol_version", "TLSv1.2")
        .start();
    let direct = Endpoint::role(&old, "old_server");
    let stage = Stage::before(&old).user(&direct).start();
    server_leg(&stage, &direct, Ok("TLSv1.2"));
    let strict = Stage::before(&old)
        .user(&direct)
        .set("database.tls", "min_version", "'TLSv1.3'")
        .start();
    server_leg(&strict, &direct, DISTRUSTED);
}

#[test]
fn every_kind_of_certificate_of_servers() {
    for kind in [KeyKind::Rsa2048, KeyKind::Ed25519] {
        let authority = Authority::of_kind("authority of a kind", kind);
        let leaf = authority.issue_with(&Identity::localhost(), kind, Lifetime::Current);
        let cluster = ClusterPlan::new(Binaries::installed())
            .certificate(&authority, &leaf)
            .start();
        let direct = Endpoint::role(&cluster, "kinds_of_servers");
        let stage = Stage::before(&cluster).user(&direct).start();
        server_leg(&stage, &direct, TLS);
    }
}

/// PostgreSQL 17 and later take TLS at once; earlier ones hang up on it.
#[test]
fn direct_tls_towards_servers() {
    let table = [
        (Cluster::shared_18(), TLS),
        (Cluster::shared(), Err("FATAL")),
    ];
    for (cluster, wanted) in table {
        let direct = Endpoint::role(cluster, "direct_to_server");
        let stage = Stage::before(cluster)
            .user(&direct)
            .set("database.tls", "negotiation", "'direct'")
            .start();
        server_leg(&stage, &direct, wanted);
    }
}

#[test]
fn a_server_named_by_its_address() {
    let cluster = Cluster::shared();
    let direct = Endpoint::role(cluster, "by_address");
    let plan = || {
        Stage::before(cluster)
            .user(&direct)
            .set("database", "host", "'127.0.0.1'")
    };
    server_leg(&plan().start(), &direct, TLS);
    // The client may name the proxy by its address, too.
    let stage = plan().start();
    let mut endpoint = stage.endpoint(&direct);
    endpoint.host = "127.0.0.1".to_owned();
    endpoint.login().says();
}

/// The name goes upstream in every mode (routers in front of servers need it); addresses don't.
#[test]
fn server_name_indication_in_every_mode() {
    let authority = Authority::new("authority of the scripted server");
    let leaf = authority.issue(&Identity::localhost());
    let direct = Endpoint::role(Cluster::shared(), "indicated");
    for (mode, host, wanted) in [
        ("prefer", "localhost", Some("localhost")),
        ("require", "localhost", Some("localhost")),
        ("verify-ca", "localhost", Some("localhost")),
        ("verify-full", "localhost", Some("localhost")),
        ("verify-full", "127.0.0.1", None),
    ] {
        let (sender, names) = mpsc::channel();
        let tls = ServerTls::new(&leaf);
        let server = ScriptedServer::start(move |peer| {
            let peer = peer.grant_tls(&tls);
            let name = peer
                .ssl()
                .and_then(|ssl| ssl.servername(NameType::HOST_NAME));
            let _ = sender.send(name.map(str::to_owned));
        });
        let verified = mode.starts_with("verify").then_some(&authority);
        let stage = mode_towards(Cluster::shared(), &direct, mode, verified)
            .set("database", "host", &format!("'{host}'"))
            .set("database", "port", &server.address().port().to_string())
            .start();
        stage.endpoint(&direct).login().complains("FATAL");
        let seen = names
            .recv_timeout(testkit::wait::LONG)
            .expect("a handshake");
        assert_eq!(seen.as_deref(), wanted, "{mode} {host}");
        server.finish();
    }
}

/// A client's blind trust changes nothing of what the proxy demands of the server.
#[test]
fn a_blind_client_sees_the_same_proxy() {
    let direct = Endpoint::role(Cluster::shared(), "blind");
    let stage = Stage::before(Cluster::shared()).user(&direct).start();
    let peer = Peer::tls(stage.proxy.address(), &ClientTls::blind());
    assert!(
        peer.ssl()
            .is_some_and(|ssl| ssl.peer_certificate().is_some())
    );
    let login = stage.endpoint(&direct).login().with("PGSSLMODE", "require");
    login.with("PGSSLROOTCERT", "/nonexistent").says();
}
