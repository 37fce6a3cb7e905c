//! What depends on the OpenSSL that the proxy runs with: hybrid groups from 3.5 on, and a FIPS
//! provider.
//!
//! `PORTCULLIS_OPENSSL` names a directory with another OpenSSL 3 (`bin`, `lib`, and a FIPS provider in
//! `lib/ossl-modules`), which the same program then loads. Without it, what the system's library
//! can't show is skipped, loudly.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::drivers::Endpoint;
use e2e::{Stage, StagePlan};
use testkit::{Cluster, wait};

const HYBRID: &str = "X25519MLKEM768";

/// From 3.5 on OpenSSL has hybrid groups.
const KNOWS_HYBRIDS: i64 = 0x3050_0000;

fn other() -> Option<PathBuf> {
    std::env::var_os("PORTCULLIS_OPENSSL").map(PathBuf::from)
}

fn libraries(prefix: &Path) -> String {
    prefix.join("lib").display().to_string()
}

/// With a library that knows hybrid groups, if there is one.
fn newer(plan: StagePlan) -> Option<StagePlan> {
    match other() {
        _ if openssl::version::number() >= KNOWS_HYBRIDS => Some(plan),
        Some(prefix) => Some(plan.environment("LD_LIBRARY_PATH", &libraries(&prefix))),
        None => None,
    }
}

#[track_caller]
fn is_refused(plan: StagePlan, words: &[&str]) {
    let mut proxy = plan.launch();
    assert!(!proxy.await_end(wait::LONG).success());
    let log = proxy.log();
    for word in words {
        assert!(log.contains(word), "{word}: {log}");
    }
}

/// Two proxies in a row: one offers the hybrid group as a client, the other takes it as a server.
#[test]
fn a_hybrid_group_is_negotiated_on_both_legs() {
    let cluster = Cluster::shared();
    let direct = Endpoint::direct(cluster, "hybrid");
    let groups = format!("'{HYBRID}:X25519'");
    let inner = Stage::before(cluster)
        .user(&direct)
        .set("listen.tls", "groups", &groups);
    let Some(inner) = newer(inner) else {
        eprintln!("SKIPPED: OpenSSL below 3.5 has no hybrid groups; see PORTCULLIS_OPENSSL");
        return;
    };
    let inner = inner.start();
    let outer = StagePlan::new("localhost", inner.proxy.port(), &inner.ca_file)
        .user(&direct)
        .set("database.tls", "groups", &format!("'{HYBRID}'"));
    let outer = newer(outer).expect("the same library").start();
    assert_eq!(outer.endpoint(&direct).login().says(), "hybrid");
    let started = |stage: &Stage, leg: &str| {
        stage.proxy.await_log("session started");
        let log = stage.proxy.log();
        let line = log.lines().find(|line| line.contains("session started"));
        let (_, rest) = line.and_then(|it| it.split_once(leg)).expect("the leg");
        rest.split('"').nth(1).expect("its facts").to_owned()
    };
    assert!(started(&outer, "server_tls=").ends_with(HYBRID));
    assert!(started(&inner, "client_tls=").ends_with(HYBRID));
    // Clients that know no such group still get in, by the next of the list.
    assert_eq!(inner.endpoint(&direct).login().says(), "hybrid");
}

#[test]
fn a_group_that_the_library_does_not_know_is_named_with_its_version() {
    if openssl::version::number() >= KNOWS_HYBRIDS {
        eprintln!("SKIPPED: this OpenSSL knows the group");
        return;
    }
    let plan = || StagePlan::new("localhost", 1, "ca.crt".as_ref());
    let (_, version) = openssl::version::version()
        .split_once(' ')
        .expect("OpenSSL 3.0.0 …");
    let number = version.split(' ').next().expect("a number");
    let library = format!("OpenSSL {number} does not know \"{HYBRID}\"");
    let groups = format!("'{HYBRID}:X25519'");
    is_refused(plan().set("listen.tls", "groups", &groups), &[&library]);
    is_refused(plan().set("database.tls", "groups", &groups), &[&library]);
}

/// A configuration of OpenSSL in which only what FIPS 140 approves is to be had.
fn fips(prefix: &Path, directory: &Path) -> Option<PathBuf> {
    let module = prefix.join("lib/ossl-modules/fips.so");
    let sealed = directory.join("fipsmodule.cnf");
    let output = Command::new(prefix.join("bin/openssl"))
        .env("LD_LIBRARY_PATH", libraries(prefix))
        .args(["fipsinstall", "-quiet", "-module"])
        .arg(&module)
        .arg("-out")
        .arg(&sealed)
        .output();
    if !module.exists() || !output.is_ok_and(|it| it.status.success()) {
        return None;
    }
    let file = directory.join("openssl.cnf");
    let text = format!(
        "config_diagnostics = 1\nopenssl_conf = init\n.include {}\n[init]\nproviders = p\n\
         alg_section = a\n[p]\nfips = fips_sect\nbase = b\n[b]\nactivate = 1\n\
         [a]\ndefault_properties = fips=yes\n",
        sealed.display()
    );
    fs::write(&file, text).expect("a file");
    Some(file)
}

#[test]
fn what_a_fips_provider_forbids_is_named_and_the_rest_works() {
    let directory = tempfile::tempdir().expect("a directory");
    let found = other().and_then(|prefix| Some((fips(&prefix, directory.path())?, prefix)));
    let Some((configuration, prefix)) = found else {
        eprintln!("SKIPPED: no FIPS provider; see PORTCULLIS_OPENSSL");
        return;
    };
    let approved = |plan: StagePlan| {
        let modules = prefix.join("lib/ossl-modules").display().to_string();
        let configuration = configuration.display().to_string();
        let mut plan = plan
            .environment("LD_LIBRARY_PATH", &libraries(&prefix))
            .environment("OPENSSL_MODULES", &modules)
            .environment("OPENSSL_CONF", &configuration);
        for section in ["listen.tls", "database.tls"] {
            plan = plan
                .set(section, "groups", "'P-256:P-384'")
                .set(
                    section,
                    "ciphers",
                    "'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256'",
                )
                .set(
                    section,
                    "ciphersuites",
                    "'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384'",
                )
                .set(
                    section,
                    "signature_algorithms",
                    "'ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256'",
                );
        }
        plan
    };
    let cluster = Cluster::shared();
    let direct = Endpoint::direct(cluster, "approved");
    let plan = || approved(Stage::before(cluster).user(&direct));
    for (setting, value, name) in [
        ("groups", "'P-256:X25519'", "X25519"),
        (
            "ciphersuites",
            "'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256'",
            "TLS_CHACHA20_POLY1305_SHA256",
        ),
        (
            "ciphers",
            "'ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256'",
            "ECDHE-ECDSA-CHACHA20-POLY1305",
        ),
    ] {
        let said = format!("in FIPS mode does not allow or know \"{name}\"");
        for section in ["listen.tls", "database.tls"] {
            is_refused(plan().set(section, setting, value), &[&said]);
        }
    }
    let stage = plan().start();
    let endpoint = stage.endpoint(&direct);
    endpoint.login().with("PGCHANNELBINDING", "require").says();
    let (state, _) = e2e::drivers::refusal(&endpoint.with_password("wrong"));
    assert_eq!(state, "28P01");
}
