//! The page on operations is true: its commands run as they stand, and the lines it shows are those
//! that the proxy writes.

use std::path::Path;
use std::process::Command;

use e2e::Stage;
use testkit::{Cluster, Identity, proxy, wait};

fn page() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md");
    std::fs::read_to_string(root).expect("the page")
}

/// The lines inside the fenced blocks of this language.
fn lines(page: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}");
    let mut blocks = page.split(&fence[..]).skip(1);
    let inside = blocks.by_ref().filter_map(|rest| rest.split("```").next());
    let lines = inside.flat_map(str::lines).filter(|line| !line.is_empty());
    lines.map(str::to_owned).collect()
}

#[test]
fn the_commands_check_and_reload() {
    let commands = lines(&page(), "sh");
    assert_eq!(commands.len(), 2, "{commands:?}");
    let stage = Stage::before(Cluster::shared())
        .set("files", "reload", "'sighup'")
        .set("listen.tls", "certificate", "'proxy.crt'")
        .set("listen.tls", "private_key", "'proxy.key'")
        .start();
    let directory = stage.proxy.directory();
    stage
        .authority
        .issue(&Identity::localhost())
        .write(directory, "proxy");
    let bin = proxy::binary().parent().expect("its directory").display();
    let path = std::env::var("PATH").unwrap_or_default();
    for command in &commands {
        let output = Command::new("bash")
            .args(["-euc", command])
            .current_dir(directory)
            .env("PATH", format!("{bin}:{path}"))
            .env("MAINPID", stage.proxy.pid().to_string())
            .output()
            .expect("bash");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{command}: {said}");
    }
    stage.proxy.await_log("portcullis::reload: reloaded");
}

#[test]
fn the_lines_shown_are_those_written() {
    let stage = Stage::before(Cluster::shared())
        .set("log", "stats_period", "1")
        .start();
    let directory = stage.proxy.directory();
    let stranger = stage.authority.issue(&Identity::localhost());
    std::fs::write(directory.join("proxy.key"), stranger.key_pem()).expect("a foreign key");
    stage.proxy.await_log("what was in force stays in force");
    std::fs::write(directory.join("proxy.crt"), stranger.pem()).expect("its certificate");
    stage.proxy.await_log("portcullis::reload: reloaded");
    stage.proxy.await_log("portcullis::stats: statistics");
    wait::until("statistics of the reload", wait::LONG, || {
        stage.proxy.log().contains("reload_succeeded=1")
    });
    let log = stage.proxy.log();
    for line in lines(&page(), "text") {
        // The certificates of tests are nearer to their end than the page's.
        if line.starts_with("WARN") {
            continue;
        }
        // Level, target and message; the values are others here.
        let fixed = line.split(" reason=").next().unwrap_or(&line);
        let fixed = fixed.split(" clients=").next().unwrap_or(fixed);
        let fixed = fixed.split(" landlock_abi=").next().unwrap_or(fixed);
        assert!(log.contains(fixed), "{fixed:?} is not in\n{log}");
    }
}
