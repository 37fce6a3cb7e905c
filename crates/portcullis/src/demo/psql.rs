//! Owns the real `psql`: the line that people paste, and the same connection made once by the demo.

use super::cluster::{DATABASE, ROLE};
use super::place::Place;
use super::scene::{HOST, Scene};
use super::{DemoFault, child};
use crate::conninfo::{conninfo, shell_word};
use crate::interrupt::Interrupt;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

/// The connection, verified in full.
fn connection(scene: &Scene) -> String {
    conninfo(&[
        ("host", HOST),
        ("port", &scene.address.port().to_string()),
        ("dbname", DATABASE),
        ("user", ROLE),
        ("sslmode", "verify-full"),
        ("sslrootcert", &scene.authority.display().to_string()),
        ("channel_binding", "require"),
        ("passfile", &scene.passfile.display().to_string()),
    ])
}

/// The line to paste.
pub(crate) fn line(scene: &Scene) -> String {
    format!("psql {}", shell_word(&connection(scene)))
}

/// Connects with psql, and gives its version and what it says about the connection.
pub(crate) fn run(
    program: &Path,
    scene: &Scene,
    place: &Place,
    interrupt: &Interrupt,
) -> Result<String, DemoFault> {
    let mut command = Command::new(program);
    command
        .args([
            "--no-psqlrc",
            "--no-password",
            "--set",
            "ON_ERROR_STOP=1",
            "--tuples-only",
        ])
        .args(["--command", "\\conninfo"])
        .args(["--command", "SELECT 'psql ' || 'has a row'"])
        .arg(connection(scene))
        // The user's own certificates and history are none of the demo's business.
        .env("HOME", place.proxy())
        .process_group(0);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(name);
        }
    }
    let log = place.proxy().join("psql.log");
    child::finish("psql", command, &log, LIMIT, interrupt)?;
    let said = std::fs::read_to_string(&log).map_err(DemoFault::file("read", &log))?;
    if !said.contains("psql has a row") {
        let said = child::said(&log);
        return Err(DemoFault::Failed {
            program: "psql",
            said,
        });
    }
    // Up to version 17 this is one line; later ones print a table.
    let about = said.lines().find(|line| line.starts_with("SSL connection"));
    Ok(about.map_or_else(|| "connected and got a row".to_owned(), str::to_owned))
}
