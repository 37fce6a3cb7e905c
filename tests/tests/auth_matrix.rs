//! Every authentication method under every TLS mode, on both legs: works, is refused, or is no
//! configuration, exactly where it should be.

use e2e::drivers::{self, Endpoint};
use e2e::{Stage, StagePlan};
use testkit::{Authority, Cluster, ClusterPlan, Identity, wait};

/// What becomes of a method in a mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Clients with and without TLS get in.
    Both,
    /// Clients with TLS get in, clients without it are refused.
    Tls,
    /// Clients without TLS get in; there is no TLS.
    Plain,
    /// The configuration is refused.
    Absurd,
}

use Fate::{Absurd, Both, Plain, Tls};

const LISTEN_MODES: [&str; 6] = [
    "disable",
    "allow",
    "prefer",
    "require",
    "verify-ca",
    "verify-full",
];

/// Methods towards clients, by mode in the order of [`LISTEN_MODES`].
const METHODS: [(&str, [Fate; 6]); 5] = [
    ("scram-sha-256", [Plain, Both, Both, Tls, Tls, Tls]),
    ("md5", [Plain, Both, Both, Tls, Tls, Tls]),
    ("password", [Absurd, Absurd, Absurd, Tls, Tls, Tls]),
    ("cert", [Absurd, Absurd, Absurd, Tls, Tls, Tls]),
    ("trust", [Plain, Both, Both, Tls, Tls, Tls]),
];

fn plan(direct: &Endpoint, authority: &Authority, method: &str, mode: &str) -> StagePlan {
    let pem = String::from_utf8(authority.pem().to_vec()).expect("PEM");
    let quoted = |text: &str| format!("'{text}'");
    let plan = Stage::before(Cluster::shared())
        .user(direct)
        .set("auth", "method", &quoted(method))
        .set("listen", "allow_trust", "true")
        .set("listen.tls", "mode", &quoted(mode));
    match mode {
        "disable" => plan
            .unset("listen.tls", "certificate")
            .unset("listen.tls", "private_key"),
        _ => plan
            .file("client-ca.crt", &pem)
            .set("listen.tls", "client_ca", "'client-ca.crt'"),
    }
}

#[test]
fn methods_towards_clients_by_modes_of_listeners() {
    let direct = Endpoint::role(Cluster::shared(), "matrix");
    let authority = Authority::new("authority of clients");
    let card = authority.issue(&Identity::client("matrix"));
    let directory = tempfile::TempDir::new().expect("a directory");
    let card = card.write(directory.path(), "card");
    for (method, fates) in METHODS {
        for (mode, fate) in LISTEN_MODES.into_iter().zip(fates) {
            let what = format!("{method} with mode {mode}");
            let plan = plan(&direct, &authority, method, mode);
            if fate == Absurd {
                let mut proxy = plan.launch();
                let status = proxy.await_end(wait::LONG);
                assert!(!status.success(), "{what} was accepted");
                continue;
            }
            let stage = plan.start();
            let client = |sslmode: &str| {
                let login = stage.endpoint(&direct).login().with("PGSSLMODE", sslmode);
                login
                    .with("PGSSLCERT", &card.certificate)
                    .with("PGSSLKEY", &card.private_key)
            };
            match fate {
                Plain | Both => assert_eq!(client("disable").says(), "matrix", "{what}"),
                Tls | Absurd => drop(client("disable").complains("FATAL")),
            }
            match fate {
                Tls | Both => assert_eq!(client("verify-full").says(), "matrix", "{what}"),
                Plain | Absurd => drop(client("verify-full").complains("SSL")),
            }
        }
    }
}

const SERVER_MODES: [&str; 6] = [
    "disable",
    "prefer",
    "require",
    "verify-ca",
    "verify-full",
    "pin",
];

/// What a server asks of its roles, and in which of [`SERVER_MODES`] Portcullis gives it.
const DEMANDS: [(&str, [bool; 6]); 4] = [
    ("scram-sha-256", [true; 6]),
    ("md5", [false, true, true, true, true, true]),
    ("password", [false, false, false, true, true, true]),
    ("trust", [true; 6]),
];

#[test]
fn demands_of_servers_by_modes_towards_them() {
    let hba: String = DEMANDS
        .iter()
        .map(|(demand, _)| format!("host all wants_{} all {demand}\n", name(demand)))
        .collect();
    let cluster = ClusterPlan::new(testkit::Binaries::installed())
        .hba(&hba)
        .start();
    let fingerprint: String = cluster
        .certificate()
        .fingerprint()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    for (demand, outcomes) in DEMANDS {
        let role = format!("wants_{}", name(demand));
        let encryption = if demand == "md5" {
            "md5"
        } else {
            "scram-sha-256"
        };
        cluster.sql(&format!(
            "SET password_encryption = '{encryption}'; CREATE ROLE {role} LOGIN PASSWORD 'secret'"
        ));
        let direct = Endpoint::existing(&cluster, &role, "secret");
        for (mode, works) in SERVER_MODES.into_iter().zip(outcomes) {
            let mut plan = Stage::before(&cluster).user(&direct).set(
                "database.tls",
                "mode",
                &format!("'{mode}'"),
            );
            if matches!(mode, "disable" | "prefer" | "require" | "pin") {
                plan = plan.unset("database.tls", "ca");
            }
            if mode == "pin" {
                plan = plan.set("database.tls", "pin", &format!("'sha256:{fingerprint}'"));
            }
            let stage = plan.start();
            let endpoint = stage.endpoint(&direct);
            match works {
                true => assert_eq!(endpoint.login().says(), role, "{demand} with mode {mode}"),
                false => {
                    let (sqlstate, message) = drivers::refusal(&endpoint);
                    assert_eq!(sqlstate, "57P03", "{demand} with mode {mode}: {message}");
                }
            }
        }
    }
}

/// A demand as part of a role's name.
fn name(demand: &str) -> String {
    demand.replace('-', "_")
}
