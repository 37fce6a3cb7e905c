//! The page on migration is true: what PgBouncer serves from a file, Portcullis serves from what its
//! import makes of it, by the page's own commands.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use testkit::account::Account;
use testkit::guard::{Guarded, Workplace};
use testkit::{Authority, Cluster, Identity, Signal, ports, proxy, wait};

const PASSWORD: &str = "moves, with spaces";

fn page() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/migration.md");
    fs::read_to_string(root).expect("the page")
}

/// The commands of the page.
fn commands() -> Vec<String> {
    let page = page();
    let block = page.split("```sh\n").nth(1).expect("a block of commands");
    let block = block.split("```").next().expect("its end");
    block.lines().map(str::to_owned).collect()
}

fn shell(line: &str, directory: &Path) -> Command {
    let bin = proxy::binary().parent().expect("its directory").display();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("bash");
    command.args(["-euc", &format!("exec {line}")]);
    command
        .current_dir(directory)
        .env("PATH", format!("{bin}:{path}"));
    command.env("PGPASSWORD", PASSWORD).env_remove("RUST_LOG");
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

fn write(path: PathBuf, content: &str) {
    fs::write(&path, content).expect("a file");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("its mode");
}

/// What a site has that comes from PgBouncer: its files, a certificate, and a role of the server.
struct Site {
    place: Workplace,
    port: ports::Reserved,
    role: &'static str,
    sslmode: &'static str,
}

impl Site {
    /// With these lines in PgBouncer's own section.
    #[track_caller]
    fn new(role: &'static str, lines: &str) -> Self {
        let cluster = Cluster::shared();
        cluster.make_role(role, PASSWORD);
        cluster.make_database(role, role);
        let place = Workplace::new("portcullis-move-");
        let directory = place.path();
        let port = ports::reserve();
        let authority = Authority::new("Migration");
        authority.write(directory, "ca");
        authority
            .issue(&Identity::localhost())
            .write(directory, "proxy");
        fs::copy(cluster.ca_file(), directory.join("server-ca.crt")).expect("a copy");
        let query = format!("SELECT rolpassword FROM pg_authid WHERE rolname = '{role}'");
        let verifier = cluster.sql(&query)[0][0].clone().expect("a verifier");
        let users = format!("; by hand\n\"{role}\" \"{verifier}\"\n");
        write(directory.join("userlist.txt"), &users);
        write(
            directory.join("databases.ini"),
            &format!(
                "[databases]\n\
                 forced = host=localhost port={0} dbname={role} user={role} password='{PASSWORD}'\n\
                 * = host=localhost port={0}\n",
                cluster.port()
            ),
        );
        write(
            directory.join("pgbouncer.ini"),
            &format!(
                "%include databases.ini\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\n\
                 unix_socket_dir =\nauth_file = userlist.txt\nclient_tls_sslmode = require\n\
                 client_tls_cert_file = proxy.crt\nclient_tls_key_file = proxy.key\n\
                 server_tls_sslmode = verify-full\nserver_tls_ca_file = server-ca.crt\n{lines}",
                port.number
            ),
        );
        Self {
            place,
            port,
            role,
            sslmode: "verify-full",
        }
    }

    /// The same with this users file.
    fn users(self, text: &str) -> Self {
        write(self.place.path().join("userlist.txt"), text);
        self
    }

    /// What psql says through whatever listens.
    fn asks(&self, database: &str) -> Option<String> {
        let line = format!(
            "psql 'host=localhost port={} user={} dbname={database} sslmode={} \
             sslrootcert=ca.crt' -XAtc 'select current_user, current_database()'",
            self.port.number, self.role, self.sslmode
        );
        let output = shell(&line, self.place.path()).output().expect("psql");
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// PgBouncer with a copy of the site's files: it refuses to run as root, and under another account
/// it could not read them.
fn pgbouncer(site: &Site) -> (Guarded, PathBuf) {
    let place = Workplace::new("portcullis-before-");
    for entry in fs::read_dir(site.place.path()).expect("the site's files") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("its name");
        fs::copy(&path, place.path().join(name)).expect("a copy");
    }
    let account = Account::for_server();
    account.own(place.path()).expect("PgBouncer's owner");
    let mut command = account.command(Path::new("/usr/sbin/pgbouncer"));
    command.arg("pgbouncer.ini").current_dir(place.path());
    let log = place.path().join("log");
    (Guarded::start(command, place, &log, Signal::SIGTERM), log)
}

/// The same questions to PgBouncer and, after the page's commands, to Portcullis.
#[track_caller]
fn moves(site: &Site) {
    let directory = site.place.path();
    let (mut before, log) = pgbouncer(site);
    answers(site, &mut before, &log);
    before.signal(Signal::SIGTERM);
    wait::until_some("PgBouncer's end", wait::LONG, || before.ended());

    let commands = commands();
    let [import, check, run] = commands.as_slice() else {
        panic!("three commands expected: {commands:?}");
    };
    let import = import.replace("/etc/pgbouncer/pgbouncer.ini", "pgbouncer.ini");
    succeeds(&shell(&import, directory).output().expect("the import"));
    succeeds(&shell(check, directory).output().expect("the check"));
    let place = Workplace::new("portcullis-after-");
    let log = place.path().join("log");
    let mut after = Guarded::start(shell(run, directory), place, &log, Signal::SIGINT);
    answers(site, &mut after, &log);
    let said = fs::read_to_string(&log).expect("the log");
    assert!(!said.contains(PASSWORD), "the password is in the log");
}

/// Both of the site's databases answer as they should.
#[track_caller]
fn answers(site: &Site, proxy: &mut Guarded, log: &Path) {
    for database in [site.role, "forced"] {
        let answer = wait::until_some("an answer", wait::LONG, || {
            assert!(proxy.ended().is_none(), "{:?}", fs::read_to_string(log));
            site.asks(database)
        });
        assert_eq!(answer, format!("{0}|{0}", site.role), "{database}");
    }
}

#[test]
fn what_pgbouncer_serves_portcullis_serves_after_the_pages_commands() {
    moves(&Site::new("moves_by_scram", "auth_type = scram-sha-256\n"));
}

#[test]
fn so_it_does_with_rules() {
    let site = Site::new("moves_by_rules", "auth_type = hba\nauth_hba_file = rules\n");
    write(
        site.place.path().join("rules"),
        "# who may come from where\nhostssl all all 127.0.0.1/32 scram-sha-256\n\
         host all all 0.0.0.0/0 reject\n",
    );
    moves(&site);
}

/// Passwords in the users file, and no TLS that anybody has asked for: how most begin.
#[test]
fn so_it_does_with_pgbouncers_defaults() {
    let role = "moves_by_default";
    let lines = "auth_type = md5\nclient_tls_sslmode = disable\nserver_tls_sslmode = prefer\n";
    let site = Site {
        sslmode: "disable",
        ..Site::new(role, lines).users(&format!("\"{role}\" \"{PASSWORD}\"\n"))
    };
    moves(&site);
}

#[test]
fn so_it_does_where_users_are_looked_up() {
    let looker = "moves_looker";
    let site = Site::new(
        "moves_by_query",
        "auth_type = scram-sha-256\nauth_user = moves_looker\n\
         auth_query = SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1\n",
    );
    let cluster = Cluster::shared();
    cluster.make_role(looker, PASSWORD);
    cluster.sql(&format!("ALTER ROLE {looker} SUPERUSER"));
    moves(&site.users(&format!("\"{looker}\" \"{PASSWORD}\"\n")));
}
