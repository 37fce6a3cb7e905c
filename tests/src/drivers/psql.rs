//! psql with the script `drivers/psql.sql`.

use tempfile::TempDir;
use testkit::Cluster;

use super::{Endpoint, file, succeed};

#[track_caller]
pub(super) fn run(endpoint: &Endpoint) {
    let directory = TempDir::new().expect("a directory");
    let scratch = directory.path().join("copied");
    let mut command = endpoint.command(Cluster::client_program("psql"));
    command.args(["--no-psqlrc", "--set=ON_ERROR_STOP=1", "--quiet"]);
    command
        .arg(format!("--set=file={}", scratch.display()))
        .env("DRIVER_FILE", &scratch);
    let output = succeed(command.arg("--file").arg(file("psql.sql")));
    for wanted in [
        "SSL connection",
        "Asynchronous notification \"psql_channel\"",
    ] {
        assert!(
            output.contains(wanted),
            "psql did not say {wanted:?}:\n{output}"
        );
    }
}
