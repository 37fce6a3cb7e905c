//! The commands as people run them: what they print, what they write, how they exit.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use tls::mint::{Authority, KeyKind, Leaf, Usage, Validity};

fn portcullis(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .current_dir(directory)
        .env("APP_PASSWORD", "of-no-use")
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn private(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A directory with all that the example of `init` needs.
fn ready() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let validity = Validity {
        not_before_unix_s: 1_700_000_000,
        not_after_unix_s: 4_000_000_000,
    };
    let authority = Authority::create("Test CA", validity, KeyKind::EcdsaP256).unwrap();
    let leaf = authority
        .issue(&Leaf {
            common_name: "localhost",
            dns: &["localhost"],
            ip: &[],
            usage: Usage::Server,
            validity,
            key: KeyKind::EcdsaP256,
        })
        .unwrap();
    fs::write(at("ca.crt"), &authority.minted().certificate).unwrap();
    fs::write(at("server.crt"), &leaf.certificate).unwrap();
    private(&at("server.key"), leaf.private_key.expose());
    private(&at("users.txt"), b"\"alice\" \"secret\"\n");
    private(&at("app.password"), b"secret\n");
    directory
}

const GOOD: &str = "[listen.tls]\ncertificate = \"server.crt\"\nprivate_key = \"server.key\"\n\
    [auth]\nauth_file = \"users.txt\"\n\
    [[database]]\nname = \"app\"\nhost = \"db.example.com\"\nuser = \"app\"\n\
    password_file = \"app.password\"\n[database.tls]\nca = \"ca.crt\"\n";

#[test]
fn init_writes_once_and_never_over() {
    let directory = tempfile::tempdir().unwrap();
    let first = portcullis(directory.path(), &["init"]);
    assert!(first.status.success(), "{}", text(&first.stderr));
    assert!(text(&first.stdout).contains("portcullis check --config portcullis.toml"));
    let written = fs::read_to_string(directory.path().join("portcullis.toml")).unwrap();
    assert_eq!(written, config::example());
    fs::write(directory.path().join("portcullis.toml"), "mine").unwrap();
    let second = portcullis(directory.path(), &["init"]);
    assert_eq!(second.status.code(), Some(1));
    assert_eq!(
        text(&second.stderr),
        "error: portcullis.toml is already there and stays as it is; give another name, or move \
         it away\n"
    );
    let kept = fs::read_to_string(directory.path().join("portcullis.toml")).unwrap();
    assert_eq!(kept, "mine");
}

#[test]
fn check_is_content_with_what_is_right() {
    let directory = ready();
    fs::write(directory.path().join("p.toml"), GOOD).unwrap();
    let checked = portcullis(
        directory.path(),
        &["check", "--offline", "--config", "p.toml"],
    );
    assert_eq!(text(&checked.stderr), "");
    assert!(checked.status.success());
    let said = text(&checked.stdout);
    let begin = "p.toml is right\n  listens on 127.0.0.1:6432 with TLS\n  knows 1 users\n  has 1 passwords \
         for servers\n  database \"app\" is at db.example.com:5432 with TLS\n";
    assert!(said.starts_with(begin), "{said}");
}

#[test]
fn check_says_all_that_is_wrong_with_the_text() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(
        directory.path().join("p.toml"),
        "[listen]\nadress = 1\n[tsl]\n",
    )
    .unwrap();
    let checked = portcullis(
        directory.path(),
        &["check", "--offline", "--config", "p.toml"],
    );
    assert_eq!(checked.status.code(), Some(1));
    let said = text(&checked.stderr);
    assert!(
        said.contains(
            "error: p.toml:2:1: listen.adress: there is no such setting; did you mean address?\n"
        ),
        "{said}"
    );
    assert!(
        said.contains("error: p.toml:3:2: tsl: there is no such section"),
        "{said}"
    );
    assert!(said.ends_with("5 errors\n"), "{said}");
}

#[test]
fn check_says_all_that_is_wrong_with_the_files() {
    let directory = ready();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("p.toml"), GOOD).unwrap();
    let check = || {
        text(
            &portcullis(
                directory.path(),
                &["check", "--offline", "--config", "p.toml"],
            )
            .stderr,
        )
    };

    fs::set_permissions(at("server.key"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(at("users.txt"), fs::Permissions::from_mode(0o644)).unwrap();
    private(&at("app.password"), b"\n");
    fs::write(at("ca.crt"), "not a certificate").unwrap();
    let said = check();
    for expected in [
        "error: p.toml:3:15: listen.tls.private_key: the private key server.key is readable by others (mode 0644)",
        "error: p.toml:5:13: auth.auth_file: others can read users.txt (mode 0644)",
        "error: p.toml:10:17: database.password_file: the password is empty",
        "error: p.toml:12:6: database.tls.ca: ca.crt holds no PEM certificate",
        "4 errors",
    ] {
        assert!(said.contains(expected), "{said}\ndoes not say: {expected}");
    }

    fs::remove_file(at("server.crt")).unwrap();
    fs::remove_file(at("users.txt")).unwrap();
    let said = check();
    for expected in [
        "error: p.toml:2:15: listen.tls.certificate: cannot read server.crt: no such file or directory",
        "error: p.toml:5:13: auth.auth_file: cannot read users.txt: no such file or directory",
        "2 errors",
    ] {
        assert!(said.contains(expected), "{said}\ndoes not say: {expected}");
    }
}

#[test]
fn check_says_what_is_wrong_with_text_and_files_together() {
    let directory = ready();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("p.toml"), GOOD.replace("name =", "nmae = 1\nname =")).unwrap();
    fs::remove_file(at("ca.crt")).unwrap();
    fs::set_permissions(at("users.txt"), fs::Permissions::from_mode(0o644)).unwrap();
    let arguments = ["check", "--offline", "--config", "p.toml"];
    let said = text(&portcullis(directory.path(), &arguments).stderr);
    for expected in [
        "database.nmae: there is no such setting",
        "database.tls.ca: cannot read ca.crt: no such file or directory",
        "auth.auth_file: others can read users.txt (mode 0644)",
        "3 errors",
    ] {
        assert!(said.contains(expected), "{said}\ndoes not say: {expected}");
    }
}

/// The same, with a cluster in the place of the host.
fn with_cluster(database: &str, cluster: &str) -> String {
    format!(
        "[listen.tls]\ncertificate = \"server.crt\"\nprivate_key = \"server.key\"\n\
         [auth]\nauth_file = \"users.txt\"\n\
         [[database]]\nname = \"app\"\ncluster = \"main\"\n{database}\n\
         [[cluster]]\nname = \"main\"\ncheck_user = \"c\"\ncheck_password_file = \"app.password\"\n\
         {cluster}\n"
    )
}

#[test]
fn check_shows_clusters_and_where_databases_go() {
    let directory = ready();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("main.hosts"), "# all\ndb1 zone=a\n\n").unwrap();
    let routed = "pool_mode = \"transaction\"\nroute_reads = \"replicas\"";
    let by_tls = "[cluster.tls]\nca = \"ca.crt\"";
    let primary = "goes to the primary of cluster \"main\" with TLS";
    for (database, cluster, has, goes) in [
        (
            "",
            "hosts = [\"db1\", \"[::1]:7 weight=50 zone=a\"]".to_owned(),
            "db1:5432 (weight 100), [::1]:7 (weight 50, zone a)",
            primary.to_owned(),
        ),
        (
            routed,
            "dns = \"db.example.com\"".to_owned(),
            "the addresses of db.example.com at port 5432",
            format!("{primary}, and statements that only read to standbys"),
        ),
        (
            "target = \"standby\"",
            "srv = \"_postgresql._tcp.example.com\"".to_owned(),
            "the targets of _postgresql._tcp.example.com",
            "goes to standbys of cluster \"main\" with TLS".to_owned(),
        ),
        (
            "target = \"prefer-standby\"",
            "members_file = \"main.hosts\"".to_owned(),
            "the hosts in main.hosts",
            "goes to standbys, or else the primary, of cluster \"main\" with TLS".to_owned(),
        ),
        (
            "target = \"any\"",
            "patroni = [\"https://p1:8008\", \"https://p2:8008\"]".to_owned(),
            "the hosts that Patroni names at https://p1:8008, https://p2:8008",
            "goes to any host of cluster \"main\" with TLS".to_owned(),
        ),
        (
            "",
            "etcd = \"https://e:2379\"\netcd_user = \"u\"\netcd_password_file = \"app.password\"\n\
             [cluster.source_tls]\nca = \"ca.crt\"\ncertificate = \"server.crt\"\nprivate_key = \"server.key\""
                .to_owned(),
            "the hosts under /service/main in etcd at https://e:2379",
            primary.to_owned(),
        ),
    ] {
        fs::write(at("p.toml"), with_cluster(database, &format!("{cluster}\n{by_tls}"))).unwrap();
        let checked = portcullis(
            directory.path(),
            &["check", "--offline", "--config", "p.toml"],
        );
        assert_eq!(text(&checked.stderr), "", "{cluster}");
        let said = text(&checked.stdout);
        for line in [
            format!("  cluster \"main\" has {has}\n"),
            format!("  database \"app\" {goes}\n"),
            "  TLS towards cluster \"main\": ".to_owned(),
        ] {
            assert!(said.contains(&line), "{said}\nlacks: {line}");
        }
    }
}

#[test]
fn check_says_what_is_wrong_with_the_files_of_a_cluster() {
    let directory = ready();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("bad.hosts"), "db1\n# two\ndb2 wieght=1\n").unwrap();
    fs::copy(at("server.key"), at("open.key")).unwrap();
    fs::set_permissions(at("open.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let etcd = "etcd = \"https://e:2379\"\n[cluster.source_tls]\n";
    for (cluster, says) in [
        (
            "members_file = \"none.hosts\"".to_owned(),
            "p.toml:14:16: cluster.members_file: cannot read none.hosts",
        ),
        (
            "members_file = \"bad.hosts\"".to_owned(),
            "p.toml:14:16: cluster.members_file: bad.hosts line 3: \"wieght=1\" is not known here",
        ),
        (
            format!("{etcd}ca = \"users.txt\""),
            "cannot use what [cluster.source_tls] names: it holds no PEM certificate",
        ),
        (
            format!("{etcd}certificate = \"server.crt\"\nprivate_key = \"open.key\""),
            "p.toml:17:15: cluster.source_tls.private_key: ",
        ),
        (
            "hosts = \"db1\"\n[cluster.tls]\nca = \"users.txt\"".to_owned(),
            "p.toml:16:6: cluster.tls.ca: ",
        ),
    ] {
        fs::write(at("p.toml"), with_cluster("", &cluster)).unwrap();
        let checked = portcullis(
            directory.path(),
            &["check", "--offline", "--config", "p.toml"],
        );
        assert_eq!(checked.status.code(), Some(1), "{cluster}");
        let said = text(&checked.stderr);
        assert!(said.contains(says), "{said}\nlacks: {says}");
        assert_eq!(said.matches("error: ").count(), 1, "{said}");
    }
}

#[test]
fn check_tries_the_hosts_of_a_cluster() {
    let directory = ready();
    // Nobody listens at port 1.
    let cluster = "hosts = [\"127.0.0.1:1\", \"[::1]:1\"]\n[cluster.tls]\nca = \"ca.crt\"";
    fs::write(directory.path().join("p.toml"), with_cluster("", cluster)).unwrap();
    let checked = portcullis(directory.path(), &["check", "--config", "p.toml"]);
    assert_eq!(checked.status.code(), Some(1));
    let (out, said) = (text(&checked.stdout), text(&checked.stderr));
    let asked = "server leg: cluster \"main\" has 127.0.0.1:1, [::1]:1\n";
    assert!(out.contains(asked), "{out}");
    for host in ["127.0.0.1:1", "[::1]:1"] {
        let tried = format!("server leg: cluster \"main\" at {host}\n");
        assert!(out.contains(&tried), "{out}");
        let failed = format!("error: cluster \"main\" at {host}: ");
        assert!(said.contains(&failed), "{said}");
    }
}

#[test]
fn check_says_why_nobody_tells_the_hosts_of_a_cluster() {
    let directory = ready();
    // Nobody listens at port 1.
    let cluster = "patroni = \"https://127.0.0.1:1\"\n[cluster.tls]\nca = \"ca.crt\"";
    fs::write(directory.path().join("p.toml"), with_cluster("", cluster)).unwrap();
    let checked = portcullis(directory.path(), &["check", "--config", "p.toml"]);
    assert_eq!(checked.status.code(), Some(1));
    let said = text(&checked.stderr);
    let failed = "error: who belongs to cluster \"main\": Patroni: ";
    assert!(said.contains(failed), "{said}");
}

#[test]
fn a_variable_holds_a_password_if_it_is_set() {
    let directory = ready();
    let at = directory.path().join("p.toml");
    fs::write(
        &at,
        GOOD.replace(
            "password_file = \"app.password\"",
            "password_env = \"APP_PASSWORD\"",
        ),
    )
    .unwrap();
    let checked = portcullis(
        directory.path(),
        &["check", "--offline", "--config", "p.toml"],
    );
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    fs::write(
        &at,
        GOOD.replace(
            "password_file = \"app.password\"",
            "password_env = \"NO_SUCH_VARIABLE_HERE\"",
        ),
    )
    .unwrap();
    let checked = portcullis(
        directory.path(),
        &["check", "--offline", "--config", "p.toml"],
    );
    let said = text(&checked.stderr);
    assert!(
        said.contains("p.toml:10:16: database.password_env: this variable is not set"),
        "{said}"
    );
}

#[test]
fn weakenings_are_warned_about() {
    let directory = ready();
    let weak = GOOD.replace("ca = \"ca.crt\"", "mode = \"disable\"");
    fs::write(directory.path().join("p.toml"), weak).unwrap();
    let checked = portcullis(
        directory.path(),
        &["check", "--offline", "--config", "p.toml"],
    );
    assert!(checked.status.success());
    let said = text(&checked.stderr);
    assert!(
        said.starts_with("warning: p.toml:12:8: database.tls.mode: "),
        "{said}"
    );
}

#[test]
fn settings_are_explained() {
    let directory = tempfile::tempdir().unwrap();
    let all = portcullis(directory.path(), &["settings"]);
    assert_eq!(text(&all.stdout), config::reference());
    let one = portcullis(directory.path(), &["settings", "listen.tls.mode"]);
    assert!(text(&one.stdout).contains("verify-full"));
    let none = portcullis(directory.path(), &["settings", "nonsense"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(text(&none.stderr).contains("there is no setting or section \"nonsense\""));
}

#[test]
fn a_command_line_that_is_not_understood_is_explained() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [&["chekc"][..], &["check"], &[]] {
        let output = portcullis(directory.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains("Usage:"), "{arguments:?}");
    }
    let url = "postgres://alice@localhost/app";
    let portless = portcullis(directory.path(), &["quickstart", url, "--listen", "7777"]);
    assert!(text(&portless.stderr).contains("as 127.0.0.1:7777 or [::1]:7777"));
    let version = portcullis(directory.path(), &["--version"]);
    assert!(
        text(&version.stdout).contains("OpenSSL "),
        "{}",
        text(&version.stdout)
    );
    let missing = portcullis(directory.path(), &["check", "--config", "none.toml"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("cannot read none.toml: no such file or directory"));
    assert!(text(&missing.stderr).contains("portcullis init"));
    let listed = portcullis(directory.path(), &["check", "--config", "."]);
    let said = text(&listed.stderr);
    assert!(
        said.contains("name the file in it") && !said.contains("init"),
        "{said}"
    );
}
