//! The quick start before a real server: what it refuses, what it offers, what it serves and writes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use testkit::{Binaries, Cluster, ClusterPlan, ScriptedServer, ports};

const PASSWORD: &str = "correct-horse-battery";

/// A role in a cluster, and a home of its own for the user.
struct Scene {
    cluster: &'static Cluster,
    role: String,
    home: tempfile::TempDir,
}

impl Scene {
    fn new(role: &str) -> Scene {
        let cluster = Cluster::shared();
        cluster.make_role(role, PASSWORD);
        Scene {
            cluster,
            role: role.to_owned(),
            home: tempfile::tempdir().unwrap(),
        }
    }

    fn url(&self) -> String {
        format!(
            "postgres://{}@localhost:{}/postgres",
            self.role,
            self.cluster.port()
        )
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(arguments).current_dir(self.home.path());
        command
            .env("HOME", self.home.path())
            .env("PGPASSWORD", PASSWORD);
        command
            .env_remove("XDG_DATA_HOME")
            .env_remove("PGPASSFILE")
            .stdin(Stdio::null());
        command
    }

    fn output(&self, arguments: &[&str]) -> Said {
        Said::of(self.command(arguments).output().unwrap())
    }

    fn pin(&self) -> String {
        let digits = self.cluster.certificate().fingerprint();
        let digits: String = digits.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{digits}")
    }

    fn ca(&self) -> String {
        self.cluster.ca_file().display().to_string()
    }
}

/// What a command said, and how it ended.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn of(output: Output) -> Said {
        let said = Said {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        };
        no_secret(&said.out);
        no_secret(&said.err);
        said
    }

    #[track_caller]
    fn fails_with(&self, expected: &str) {
        assert_eq!(self.code, Some(1), "{}{}", self.out, self.err);
        assert!(
            self.err.contains(expected),
            "{}\ndoes not say: {expected}",
            self.err
        );
    }

    #[track_caller]
    fn succeeds_with(&self, expected: &[&str]) {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        for expected in expected {
            assert!(
                self.out.contains(expected),
                "{}\ndoes not say: {expected}",
                self.out
            );
        }
    }
}

/// Neither the password nor a verifier nor a key.
#[track_caller]
fn no_secret(text: &str) {
    for secret in [PASSWORD, "SCRAM-SHA-256$", "PRIVATE KEY"] {
        assert!(!text.contains(secret), "a secret in:\n{text}");
    }
}

/// A quick start that is ready.
struct Serving {
    child: Child,
    lines: BufReader<ChildStdout>,
    said: String,
    psql: String,
}

impl Serving {
    fn start(scene: &Scene, more: &[&str]) -> Serving {
        let url = scene.url();
        let port = ports::reserve();
        let listen = port.address();
        let mut command = scene.command(&["quickstart", &url, "--listen", &listen]);
        command
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let (mut said, mut psql) = (String::new(), String::new());
        while !said.contains("Ctrl-C ends it") {
            let mut line = String::new();
            if lines.read_line(&mut line).unwrap() == 0 {
                let mut errors = String::new();
                child
                    .stderr
                    .take()
                    .unwrap()
                    .read_to_string(&mut errors)
                    .unwrap();
                panic!("the quick start ended early:\n{said}{errors}");
            }
            if line.trim_start().starts_with("psql ") {
                psql = line.trim().to_owned();
            }
            said.push_str(&line);
        }
        Serving {
            child,
            lines,
            said,
            psql,
        }
    }

    /// Runs the line to paste.
    fn psql(&self, home: &Path, sql: &str) -> String {
        let line = format!("{} -X -w -A -t -c \"$SQL\"", self.psql);
        let output = Command::new("sh")
            .args(["-c", &line])
            .env("SQL", sql)
            .env("HOME", home)
            .env("PGPASSWORD", PASSWORD)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}\n{errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn stop(mut self) {
        let kill = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        assert!(kill.unwrap().success());
        self.lines.read_to_string(&mut self.said).unwrap();
        let mut log = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut log)
            .unwrap();
        assert!(self.child.wait().unwrap().success(), "{log}");
        no_secret(&self.said);
        no_secret(&log);
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_unverified_certificate_is_shown_with_both_offers() {
    let scene = Scene::new("qs_unverified");
    let url = scene.url();
    let said = scene.output(&["quickstart", &url]);
    said.fails_with("is not verified");
    for expected in [
        "certificate      CN=localhost",
        "issued by      CN=Portcullis test authority",
        "made out to    localhost, 127.0.0.1, ::1",
        &format!("portcullis quickstart {url} --server-ca FILE"),
        &format!("portcullis quickstart {url} --pin {}", scene.pin()),
    ] {
        assert!(
            said.err.contains(expected),
            "{}\ndoes not say: {expected}",
            said.err
        );
    }
    assert!(
        !scene.home.path().join(".local").exists(),
        "made something for nothing"
    );
}

#[test]
fn another_certificate_than_the_pinned_one_is_not_offered_as_a_pin() {
    let scene = Scene::new("qs_other_pin");
    let (digits, shown) = ("0".repeat(64), scene.pin());
    let pin = format!("sha256:{digits}");
    let said = scene.output(&["quickstart", &scene.url(), "--pin", &pin]);
    said.fails_with("does NOT show the pinned certificate; somebody may be in between");
    said.fails_with(&digits);
    said.fails_with(shown.strip_prefix("sha256:").unwrap());
    for offer in ["--pin", "sha256:"] {
        assert!(!said.err.contains(offer), "{}", said.err);
    }
}

#[test]
fn works_with_the_authority_and_keeps_its_own() {
    let scene = Scene::new("qs_authority");
    let data = scene.home.path().join(".local/share/portcullis");
    let serve = || {
        let serving = Serving::start(&scene, &["--server-ca", &scene.ca()]);
        assert!(
            serving.said.contains("bound to this TLS channel"),
            "{}",
            serving.said
        );
        let sql = "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        assert_eq!(serving.psql(scene.home.path(), sql), "t|TLSv1.3\n");
        serving.stop();
        fs::read(data.join("ca.crt")).unwrap()
    };
    let first = serve();
    assert_eq!(first, serve(), "the authority is not reused");
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!((mode(&data), mode(&data.join("ca.key"))), (0o700, 0o600));

    fs::set_permissions(data.join("ca.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let said = scene.output(&["quickstart", &scene.url(), "--server-ca", &scene.ca()]);
    said.fails_with("others can read");
}

#[test]
fn a_refused_login_says_where_the_password_came_from() {
    let scene = Scene::new("qs_refused");
    let mut command = scene.command(&["quickstart", &scene.url(), "--pin", &scene.pin()]);
    let said = Said::of(command.env("PGPASSWORD", "wrong").output().unwrap());
    said.fails_with("login as \"qs_refused\" with the password from PGPASSWORD: the server says");
}

#[test]
fn works_with_the_pin() {
    let scene = Scene::new("qs_pin");
    let serving = Serving::start(&scene, &["--pin", &scene.pin()]);
    assert_eq!(
        serving.psql(scene.home.path(), "SELECT current_user"),
        "qs_pin\n"
    );
    serving.stop();
}

#[test]
fn clear_text_is_refused_unless_told() {
    let plan = ClusterPlan::new(Binaries::installed());
    let plain = plan
        .set("ssl", "off")
        .hba("host all all all scram-sha-256\n")
        .start();
    plain.make_role("qs_plain", PASSWORD);
    let home = tempfile::tempdir().unwrap();
    let scene = Scene {
        // Only for its commands: the server is the one without TLS.
        cluster: Cluster::shared(),
        role: "qs_plain".to_owned(),
        home,
    };
    let url = format!("postgres://qs_plain@localhost:{}/postgres", plain.port());
    scene
        .output(&["quickstart", &url])
        .fails_with("does not speak TLS");
    let target = scene.home.path().join("out");
    let target = target.to_str().unwrap();
    let said = scene.output(&[
        "quickstart",
        &url,
        "--server-tls",
        "disable",
        "--write",
        target,
    ]);
    said.succeeds_with(&["everything on this leg is in clear text"]);
    let asked = format!("{url}?sslmode=disable");
    scene
        .output(&["quickstart", &asked])
        .fails_with("--server-tls disable");
}

#[test]
fn what_it_writes_is_checked_and_run() {
    let scene = Scene::new("qs_write");
    let (url, ca) = (scene.url(), scene.ca());
    let port = ports::reserve();
    let listen = port.address();
    let arguments = [
        "quickstart",
        &url,
        "--server-ca",
        &ca,
        "--listen",
        &listen,
        "--write",
        "out",
    ];
    scene
        .output(&arguments)
        .succeeds_with(&["out holds:", "portcullis check --config out/"]);
    let mode = |name: &str| {
        let path = scene.home.path().join("out").join(name);
        fs::metadata(path).unwrap().mode() & 0o777
    };
    for name in ["server.key", "users.txt", "server.password"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    let users = fs::read_to_string(scene.home.path().join("out/users.txt")).unwrap();
    assert!(users.starts_with("\"qs_write\" \"SCRAM-SHA-256$4096:"));
    scene
        .output(&arguments)
        .fails_with("is already there and stays as it is");

    let checked = scene.output(&[
        "check",
        "--config",
        "out/portcullis.toml",
        "--ca",
        "out/ca.crt",
    ]);
    checked.succeeds_with(&[
        "server leg: database \"postgres\"",
        "as \"qs_write\": SCRAM-SHA-256-PLUS",
        "verified by      out/ca.crt, as localhost",
        "without TLS      refused (28000)",
        "Both legs hold.",
    ]);
    assert_eq!(checked.err, "");
    serves(&scene, &listen);
}

/// `run` with what was written.
fn serves(scene: &Scene, listen: &str) {
    let mut run = scene.command(&["run", "--config", "out/portcullis.toml"]);
    let mut child = run
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    testkit::wait::until("the proxy", testkit::wait::LONG, || {
        std::net::TcpStream::connect(listen).is_ok()
    });
    let port = listen.rsplit(':').next().unwrap();
    let line = format!(
        "host=localhost port={port} dbname=postgres user=qs_write sslmode=verify-full \
         sslrootcert=out/ca.crt channel_binding=require"
    );
    let mut psql = Command::new("psql");
    psql.args(["-X", "-w", "-A", "-t", "-c", "SELECT 1", &line])
        .env("PGPASSWORD", PASSWORD);
    let output = psql
        .current_dir(scene.home.path())
        .env("HOME", scene.home.path())
        .output();
    let output = output.unwrap();
    let killed = Command::new("kill")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    assert!(killed.success() && child.wait().unwrap().success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1\n", "{errors}");
}

#[test]
fn passwords_come_from_where_libpq_takes_them() {
    let scene = Scene::new("qs_pgpass");
    let (url, ca) = (scene.url(), scene.ca());
    let arguments = ["quickstart", &url, "--server-ca", &ca, "--write", "out"];
    let without = || {
        let mut command = scene.command(&arguments);
        command.env_remove("PGPASSWORD");
        Said::of(command.output().unwrap())
    };
    without().fails_with("set PGPASSWORD, add a line to ~/.pgpass");
    let passfile = scene.home.path().join(".pgpass");
    fs::write(&passfile, format!("*:*:*:qs_pgpass:{PASSWORD}\n")).unwrap();
    fs::set_permissions(&passfile, fs::Permissions::from_mode(0o644)).unwrap();
    let said = without();
    said.fails_with("no password");
    assert!(
        said.err.contains("is ignored, because others can read it"),
        "{}",
        said.err
    );
    fs::set_permissions(&passfile, fs::Permissions::from_mode(0o600)).unwrap();
    without().succeeds_with(&[".pgpass", "bound to this TLS channel"]);

    let mut wrong = scene.command(&arguments);
    let said = Said::of(wrong.env("PGPASSWORD", "wrong").output().unwrap());
    said.fails_with("password authentication failed for user \"qs_pgpass\" (SQLSTATE 28P01)");
}

#[test]
fn a_password_in_the_url_is_refused_and_not_repeated() {
    let scene = Scene::new("qs_url");
    let url = format!(
        "postgres://qs_url:{PASSWORD}@localhost:{}/postgres",
        scene.cluster.port()
    );
    scene
        .output(&["quickstart", &url])
        .fails_with("the shell's history");
    scene
        .output(&["quickstart", "mysql://a@b"])
        .fails_with("must begin with postgres://");
    let nobody = ports::reserve();
    let url = format!("postgres://a@127.0.0.1:{}/b", nobody.number);
    scene
        .output(&["quickstart", &url])
        .fails_with("cannot reach 127.0.0.1:");
}

#[test]
fn a_port_in_use_is_named_with_a_neighbour() {
    let scene = Scene::new("qs_port");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let (url, pin) = (scene.url(), scene.pin());
    let said = scene.output(&["quickstart", &url, "--pin", &pin, "--listen", &listen]);
    said.fails_with("choose another port, as --listen 127.0.0.1:");
}

#[test]
fn check_fails_where_a_leg_fails() {
    let scene = Scene::new("qs_check");
    let (url, ca) = (scene.url(), scene.ca());
    let arguments = ["quickstart", &url, "--server-ca", &ca, "--write", "out"];
    scene.output(&arguments).succeeds_with(&[]);
    let check = || scene.output(&["check", "--config", "out/portcullis.toml"]);
    let said = check();
    said.succeeds_with(&["Both legs hold."]);
    assert!(
        said.err.contains("warning: clients that trust"),
        "{}",
        said.err
    );

    let named = [
        "check",
        "--config",
        "out/portcullis.toml",
        "--ca",
        "out/ca.crt",
        "--name",
    ];
    let said = scene.output(&[&named[..], &["db.example"]].concat());
    said.succeeds_with(&["Both legs hold."]);
    assert!(said.err.contains("not to db.example"), "{}", said.err);

    // Another authority of the same name.
    let out = scene.home.path().join("out");
    let stranger = testkit::Authority::new("Portcullis test authority");
    fs::write(out.join("server-ca.crt"), stranger.pem()).unwrap();
    let said = check();
    said.fails_with("the peer's certificate was refused");
    assert!(
        said.out.contains("client leg"),
        "one leg's fault hides the other:\n{}",
        said.out
    );
    assert!(said.out.contains("FAILED"), "{}", said.out);
    let offline = scene.output(&["check", "--offline", "--config", "out/portcullis.toml"]);
    offline.succeeds_with(&["is right"]);

    fs::write(out.join("server-ca.crt"), scene.cluster.authority().pem()).unwrap();
    fs::write(out.join("server.password"), "wrong\n").unwrap();
    check().fails_with("SQLSTATE 28P01");
}

#[test]
fn a_server_that_is_no_postgresql_is_named() {
    let scene = Scene::new("qs_stranger");
    let server = ScriptedServer::start(|mut peer| {
        peer.expect(&[0, 0, 0, 8]);
        peer.send(b"HTTP/1.1 400 Bad Request\r\n");
        peer.drain();
    });
    let url = format!("postgres://a@{}/b", server.address());
    scene
        .output(&["quickstart", &url])
        .fails_with("does not speak TLS");
}
