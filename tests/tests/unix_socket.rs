//! The Unix-domain listener: who may open it, and who its peer credentials let in.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use e2e::drivers::Endpoint;
use e2e::{Program, Stage, StagePlan};
use nix::unistd::{User, geteuid};
use testkit::{Cluster, Signal, wait};

fn account() -> String {
    let user = User::from_uid(geteuid()).expect("the accounts");
    user.expect("an account of our own").name
}

/// A proxy with a socket beside its configuration.
fn with_socket(plan: StagePlan) -> Stage {
    let stage = plan.set("listen", "unix_socket_dir", "'.'").start();
    // The TCP address listens before the socket has its mode.
    stage.proxy.await_log("ready");
    stage
}

fn socket(stage: &Stage) -> PathBuf {
    let name = format!(".s.PGSQL.{}", stage.proxy.port());
    stage.proxy.directory().join(name)
}

fn login(stage: &Stage, direct: &Endpoint) -> Program {
    let mut endpoint = stage.endpoint(direct);
    endpoint.host = directory(stage.proxy.directory());
    endpoint.login().with("PGSSLMODE", "prefer")
}

fn directory(path: &Path) -> String {
    path.display().to_string()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("the socket").permissions().mode() & 0o777
}

#[test]
fn the_socket_is_its_owners_alone_unless_told() {
    let stage = with_socket(Stage::before(Cluster::shared()));
    let path = socket(&stage);
    assert!(
        fs::metadata(&path)
            .expect("the socket")
            .file_type()
            .is_socket()
    );
    assert_eq!(mode(&path), 0o600);
    let open = Stage::before(Cluster::shared()).set("listen", "unix_socket_mode", "'0660'");
    assert_eq!(mode(&socket(&with_socket(open))), 0o660);
}

#[test]
fn no_socket_unless_named() {
    let stage = Stage::before(Cluster::shared()).start();
    assert!(!socket(&stage).exists());
}

#[test]
fn peers_are_who_the_kernel_says() {
    let own = account();
    let cluster = Cluster::shared();
    // The role has the tests' account's name, so that of one cluster only one test may make it.
    let direct = match own.as_str() {
        "postgres" => Endpoint::existing(cluster, "postgres", "none"),
        name => Endpoint::role(cluster, name),
    };
    cluster.sql(&format!(
        "ALTER ROLE \"{own}\" PASSWORD 'known to the file'"
    ));
    let file_knows = direct.with_password("known to the file");
    let other = Endpoint::role(cluster, "somebody_else");
    let stage = with_socket(Stage::before(cluster).user(&file_knows).user(&other));
    // The kernel's word is the proof: no password is asked for.
    let answer = login(&stage, &direct).with("PGPASSWORD", "wrong").says();
    assert_eq!(answer, own);
    login(&stage, &other).complains("Peer authentication failed for user \"somebody_else\"");
    // Over TCP there are no such peers.
    let tcp = stage.endpoint(&direct).login();
    tcp.with("PGPASSWORD", "wrong")
        .complains("password authentication failed");
}

#[test]
fn passwords_where_the_socket_is_set_to_them() {
    let direct = Endpoint::role(Cluster::shared(), "by_password_on_socket");
    let plan = Stage::before(Cluster::shared()).user(&direct).set(
        "auth",
        "unix_socket_method",
        "'scram-sha-256'",
    );
    let stage = with_socket(plan);
    assert_eq!(login(&stage, &direct).says(), "by_password_on_socket");
    let wrong = login(&stage, &direct).with("PGPASSWORD", "wrong");
    wrong.complains("password authentication failed");
}

#[test]
fn the_socket_goes_with_the_proxy() {
    let mut stage = with_socket(Stage::before(Cluster::shared()));
    let path = socket(&stage);
    stage.proxy.await_log("ready");
    stage.proxy.signal(Signal::SIGTERM);
    let status = stage.proxy.await_end(wait::LONG);
    assert!(status.success(), "{status}");
    assert!(!path.exists());
}

/// The server itself may be reached over a Unix socket: the directory is the host.
#[test]
fn a_server_behind_its_own_socket() {
    let cluster = Cluster::shared();
    let direct = Endpoint::existing(cluster, "postgres", "unused");
    let place = cluster.socket();
    let place = place.parent().expect("a directory");
    let stage = Stage::before(cluster)
        .user(&direct)
        .set("database", "host", &format!("'{}'", place.display()))
        .set("database.tls", "mode", "'disable'")
        .unset("database.tls", "ca")
        .start();
    // The kit's clusters trust `postgres` on their socket.
    assert_eq!(stage.endpoint(&direct).login().says(), "postgres");
}
