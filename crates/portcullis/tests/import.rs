//! `portcullis import` as people run it: what it prints, what it writes with which modes, what it
//! refuses; and the sample that PgBouncer comes with.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

fn portcullis(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command
        .current_dir(directory)
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Both outputs of a command that succeeded.
#[track_caller]
fn succeeds(output: &Output) -> (String, String) {
    let both = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}{}", both.0, both.1);
    both
}

const SECRETS: [&str; 3] = ["hunter2", "hunter3", "hunter4"];

/// A directory with a configuration that holds secrets, split into files.
fn ready() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(
        at("pgbouncer.ini"),
        "%include databases.ini\n[pgbouncer]\nlisten_addr = 127.0.0.1\nunix_socket_dir =\n\
         auth_type = hba\nauth_hba_file = rules\nauth_file = userlist.txt\nauth_user = looker\n\
         pidfile = /run/p.pid\n",
    )
    .unwrap();
    fs::write(
        at("databases.ini"),
        "[databases]\napp = host=db user=app password='hunter2'\n",
    )
    .unwrap();
    fs::write(at("rules"), "host all all 127.0.0.1/32 scram-sha-256\n").unwrap();
    fs::write(
        at("userlist.txt"),
        "\"alice\" \"hunter3\"\n\"looker\" \"hunter4\"\n",
    )
    .unwrap();
    directory
}

#[test]
fn it_prints_the_configuration_and_no_secret() {
    let directory = ready();
    let output = portcullis(directory.path(), &["import", "pgbouncer.ini"]);
    let (out, err) = succeeds(&output);
    let (config, _) = config::Config::from_text(&out, "p.toml").unwrap();
    assert_eq!(config.databases.len(), 1);
    assert!(
        out.contains("password_file = \"app.password\"  # databases.ini:2"),
        "{out}"
    );
    assert_eq!(
        err,
        "not printed: users.txt, hba.conf, auth_user.password, app.password; --write DIR writes \
         them as well\n"
    );
    for secret in SECRETS {
        assert!(!out.contains(secret) && !err.contains(secret), "{secret}");
    }
}

#[test]
fn it_writes_files_that_check_takes_and_never_over_others() {
    let directory = ready();
    let arguments = ["import", "pgbouncer.ini", "--write", "to/new"];
    let (out, err) = succeeds(&portcullis(directory.path(), &arguments));
    assert_eq!(err, "");
    for line in [
        "to/new holds, for you alone to read:\n  users.txt\n  hba.conf\n",
        "Not needed:\n  pgbouncer.ini:9: pidfile: who runs it says so",
        "Next:\n\n  portcullis check --config to/new/portcullis.toml\n",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }
    let new = directory.path().join("to/new");
    for (name, content) in [
        (
            "users.txt",
            "\"alice\" \"hunter3\"\n\"looker\" \"hunter4\"\n",
        ),
        ("hba.conf", "host all all 127.0.0.1/32 scram-sha-256\n"),
        ("app.password", "hunter2\n"),
        ("auth_user.password", "hunter4\n"),
    ] {
        let path = new.join(name);
        assert_eq!(fs::read_to_string(&path).unwrap(), content, "{name}");
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
    }
    let mode = fs::metadata(&new).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700);
    let config = fs::read_to_string(new.join("portcullis.toml")).unwrap();
    for secret in SECRETS {
        assert!(
            !out.contains(secret) && !config.contains(secret),
            "{secret}"
        );
    }
    let check = ["check", "--offline", "--config", "to/new/portcullis.toml"];
    succeeds(&portcullis(directory.path(), &check));

    let again = portcullis(directory.path(), &arguments);
    assert_eq!(again.status.code(), Some(1));
    let said = text(&again.stderr);
    assert!(
        said.starts_with("error: to/new/users.txt is already there"),
        "{said}"
    );
}

#[test]
fn mistakes_are_all_named_and_nothing_is_written() {
    let directory = ready();
    fs::write(
        directory.path().join("bad.ini"),
        "[databases]\na = host=db port=hunter2\n%include gone.ini\n[pgbouncer]\nauth_type = hunter3\n",
    )
    .unwrap();
    let output = portcullis(directory.path(), &["import", "bad.ini", "--write", "new"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "error: bad.ini:3: cannot read gone.ini: entity not found; run this as PgBouncer's user, \
         where its files are\n"
    );
    fs::write(directory.path().join("gone.ini"), "").unwrap();
    let output = portcullis(directory.path(), &["import", "bad.ini", "--write", "new"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    for fault in [
        "error: bad.ini:2: a: port: ",
        "error: bad.ini:5: auth_type: ",
        "2 errors",
    ] {
        assert!(said.contains(fault), "{fault}: {said}");
    }
    assert!(!said.contains("hunter"), "{said}");
    assert!(!directory.path().join("new").exists());
}

/// The sample of PgBouncer's package, with its users file beside it.
fn sample(directory: &Path) -> String {
    let examples = Path::new("/usr/share/doc/pgbouncer/examples/pgbouncer.ini");
    let installed = Path::new("/etc/pgbouncer/pgbouncer.ini");
    let found = if examples.exists() {
        examples
    } else {
        installed
    };
    let sample = fs::read_to_string(found).expect("PgBouncer's sample: scripts/install test");
    fs::write(directory.join("userlist.txt"), "\"a\" \"b\"\n").unwrap();
    sample.replace("/etc/pgbouncer/userlist.txt", "userlist.txt")
}

#[test]
fn pgbouncers_own_sample_becomes_a_right_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let sample = sample(directory.path());
    fs::write(directory.path().join("pgbouncer.ini"), &sample).unwrap();
    let arguments = ["import", "pgbouncer.ini", "--write", "new"];
    succeeds(&portcullis(directory.path(), &arguments));
    let written = fs::read_to_string(directory.path().join("new/portcullis.toml")).unwrap();
    for line in [
        "address = [\"127.0.0.1:6432\"]",
        "method = \"md5\"",
        "auth_file = \"users.txt\"",
    ] {
        assert!(written.contains(line), "{line}: {written}");
    }
    let check = ["check", "--offline", "--config", "new/portcullis.toml"];
    succeeds(&portcullis(directory.path(), &check));
}

/// Each line of the sample that shows a setting, written as one.
#[test]
fn so_does_the_sample_with_every_setting_written() {
    let directory = tempfile::tempdir().unwrap();
    let shown = |line: &str| {
        let line = line.strip_prefix(';')?.trim_start();
        let key = line.split_once('=')?.0.trim();
        let is_key = |letter: char| letter.is_ascii_alphanumeric() || "_*".contains(letter);
        (!key.is_empty() && key.chars().all(is_key)).then(|| line.to_owned())
    };
    let sample = sample(directory.path());
    let whole: Vec<String> = sample
        .lines()
        .map(|line| shown(line).unwrap_or_else(|| line.to_owned()))
        .collect();
    let added = whole
        .iter()
        .zip(sample.lines())
        .filter(|(one, other)| one != other);
    assert!(added.count() > 60, "{whole:#?}");
    fs::write(directory.path().join("pgbouncer.ini"), whole.join("\n")).unwrap();
    let output = portcullis(directory.path(), &["import", "pgbouncer.ini"]);
    let (out, _) = succeeds(&output);
    for line in [
        "name = \"bardb\"",
        "dbname = \"bazdb\"",
        "name = \"forcedb\"",
        "port = 300",
        "user = \"baz\"",
        "password_file = \"forcedb.password\"",
        "pool_size = 50",
        "host = \"testserver\"",
        "max_user_connections = 10",
        "admin_users = [\"user2\", \"someadmin\", \"otheradmin\"]",
        "ignore_startup_parameters = [\"extra_float_digits\"]",
        "query_wait_timeout = 120",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }
    assert!(!out.contains("connect_query ="), "{out}");
}
