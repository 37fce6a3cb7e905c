//! The README is true: its commands run as they stand, with the example's host and port replaced by
//! those of a server that exists here. A block that this file doesn't know fails.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use testkit::guard::{Guarded, Workplace};
use testkit::{Cluster, Identity, Signal, ports, proxy, wait};

const PASSWORD: &str = "a password that only one test has";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .to_owned()
}

/// The fenced blocks of the README by language, in order.
fn blocks(language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join("README.md")).expect("the README");
    let mut blocks = vec![];
    let mut rest = &text[..];
    while let Some((_, after)) = rest.split_once("\n```") {
        let (name, after) = after.split_once('\n').expect("a line after a fence");
        let (block, after) = after.split_once("\n```").expect("the end of a fence");
        if name == language {
            blocks.push(block.to_owned());
        }
        rest = after;
    }
    blocks
}

/// Runs a line of the README in `directory`, with the proxy's binary on the path.
fn shell(line: &str, directory: &Path) -> Command {
    let bin = proxy::binary().parent().expect("the binary's directory");
    let path = format!(
        "{}:{}",
        bin.display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let mut command = Command::new("bash");
    command.args(["-euc", &format!("exec {line}")]);
    command.current_dir(directory);
    command.env("PATH", path).env("PGPASSWORD", PASSWORD);
    command.env("XDG_DATA_HOME", directory.join("data"));
    command
}

#[track_caller]
fn succeeds(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "{text}");
    assert!(!text.contains(PASSWORD), "the password is in the output");
    text
}

/// Starts a line that goes on until it is stopped; gives it with the path of its output.
fn start(line: &str, place: Workplace) -> (Guarded, PathBuf) {
    let log = place.path().join("output");
    let command = shell(line, place.path());
    (Guarded::start(command, place, &log, Signal::SIGINT), log)
}

/// The output, as soon as it contains `text`.
#[track_caller]
fn output_with(running: &mut Guarded, log: &Path, text: &str) -> String {
    wait::until_some(
        &format!("{text:?} in the output"),
        Duration::from_secs(60),
        || {
            let output = std::fs::read_to_string(log).unwrap_or_default();
            if output.contains(text) {
                return Some(output);
            }
            assert!(running.ended().is_none(), "it has ended: {output}");
            None
        },
    )
}

/// A role of this name with its own database on the shared cluster.
fn role_and_database(role: &str, database: &str) -> &'static Cluster {
    let cluster = Cluster::shared();
    cluster.make_role(role, PASSWORD);
    cluster.make_database(database, role);
    cluster
}

#[test]
fn every_block_is_run_by_a_test() {
    let run = [
        "make demo",
        "make test",
        "make install",
        "portcullis quickstart postgres://app@db.example.com:5432/shop",
        "portcullis init",
        "portcullis check --config portcullis.toml\nportcullis run --config portcullis.toml",
    ];
    assert_eq!(blocks("sh"), run);
    assert_eq!(blocks("toml").len(), 1);
}

#[test]
fn make_knows_its_targets_and_the_demo_works() {
    for target in blocks("sh").iter().take(3) {
        let dry = shell(&format!("{target} --dry-run"), &root()).output();
        succeeds(&dry.expect("make"));
    }
    let place = Workplace::new("portcullis-readme-");
    let demo = shell("portcullis demo --once", place.path()).output();
    let text = succeeds(&demo.expect("the demo"));
    for fact in ["TLSv1.3", "SCRAM-SHA-256-PLUS", "verify-full"] {
        assert!(text.contains(fact), "{fact}: {text}");
    }
}

#[test]
fn quickstart_leads_to_a_verified_session() {
    let (role, database) = ("readme_app", "readme_shop");
    let cluster = role_and_database(role, database);
    let port = ports::reserve();
    let line = blocks("sh")[3]
        .replace("app@", &format!("{role}@"))
        .replace(
            "db.example.com:5432/shop",
            &format!("localhost:{}/{database}", cluster.port()),
        );
    let ca = cluster.ca_file().display().to_string();
    let line = format!("{line} --server-ca {ca} --listen 127.0.0.1:{}", port.number);
    let (mut running, log) = start(&line, Workplace::new("portcullis-readme-"));
    let output = output_with(&mut running, &log, "sslmode=verify-full");
    assert!(!output.contains(PASSWORD));
    let psql = output
        .lines()
        .find_map(|line| line.find("psql ").map(|at| &line[at..]))
        .expect("a psql line");
    let line = format!("{psql} -XAtc 'select 6 * 7'");
    let asked = wait::until_some("an answer", Duration::from_secs(30), || {
        let output = shell(&line, running.directory()).output().expect("psql");
        output.status.success().then_some(output)
    });
    assert_eq!(succeeds(&asked).trim(), "42");
}

#[test]
fn the_configuration_is_checked_and_serves() {
    let (role, database) = ("readme_user", "readme_database");
    let cluster = role_and_database(role, database);
    let place = Workplace::new("portcullis-readme-");
    let directory = place.path().to_owned();
    let port = ports::reserve();

    let init = shell(&blocks("sh")[4], &directory).output().expect("init");
    succeeds(&init);
    let written = directory.join("portcullis.toml");
    assert!(written.exists());

    let authority = testkit::Authority::new("README");
    authority
        .issue(&Identity::localhost())
        .write(&directory, "proxy");
    let proxy_ca = authority.write(&directory, "proxy-ca");
    std::fs::copy(cluster.ca_file(), directory.join("server-ca.crt")).expect("a copy");
    let query = format!("SELECT rolpassword FROM pg_authid WHERE rolname = '{role}'");
    let verifier = cluster.sql(&query)[0][0].clone().expect("a verifier");
    let users = directory.join("users.txt");
    std::fs::write(&users, format!("\"{role}\" \"{verifier}\"\n")).expect("the users file");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&users, private).expect("mode 0600");
    let replaced: HashMap<&str, String> = HashMap::from([
        ("127.0.0.1:6432", format!("127.0.0.1:{}", port.number)),
        (
            "host = \"db.example.com\"",
            format!("host = \"localhost\"\nport = {}", cluster.port()),
        ),
    ]);
    let mut text = blocks("toml")[0].clone();
    for (example, here) in &replaced {
        assert!(text.contains(example), "{example}");
        text = text.replace(example, here);
    }
    std::fs::write(&written, text).expect("the configuration");

    let lines: Vec<String> = blocks("sh")[5].lines().map(str::to_owned).collect();
    succeeds(&shell(&lines[0], &directory).output().expect("check"));
    let (mut running, log) = start(&lines[1], place);
    output_with(&mut running, &log, "ready");
    let ca = proxy_ca.display();
    let psql = format!(
        "psql 'host=localhost port={} user={role} dbname={database} sslmode=verify-full \
         sslrootcert={ca} channel_binding=require' -XAtc 'select 6 * 7'",
        port.number
    );
    let output = shell(&psql, &directory).output().expect("psql");
    assert_eq!(succeeds(&output).trim(), "42");
}
