//! What is shipped beside the program: the service's unit, manual pages, completions.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use e2e::StagePlan;
use tempfile::TempDir;
use testkit::{Signal, proxy, wait};

/// A file of the source tree.
fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What a service manager hears.
struct Manager {
    /// Where its socket is.
    directory: TempDir,
    socket: UnixDatagram,
}

impl Manager {
    fn listening() -> Manager {
        let directory = tempfile::tempdir().expect("a directory");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("its mode");
        socket
            .set_read_timeout(Some(wait::LONG))
            .expect("a deadline");
        Manager { directory, socket }
    }

    fn path(&self) -> String {
        self.directory.path().join("notify").display().to_string()
    }

    fn told(&self) -> String {
        let mut text = [0; 1024];
        let len = self.socket.recv(&mut text).expect("a notification");
        String::from_utf8_lossy(&text[..len]).trim().to_owned()
    }
}

#[test]
fn the_service_manager_is_told_of_the_begin_and_the_end() {
    let manager = Manager::listening();
    let mut stage = StagePlan::new("localhost", 1, "ca.crt".as_ref())
        .environment("NOTIFY_SOCKET", &manager.path())
        .start();
    assert_eq!(manager.told(), "READY=1");
    stage.proxy.signal(Signal::SIGINT);
    let told = manager.told();
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines[0], "STOPPING=1");
    // The drain of 30 s is not cut short by a TimeoutStopSec= that knows nothing of it.
    assert_eq!(lines.last(), Some(&"EXTEND_TIMEOUT_USEC=40000000"));
    stage.proxy.await_end(wait::LONG);
}

/// Every few seconds, while all threads answer, and with a warning where that is not often enough.
#[test]
fn the_service_manager_is_told_that_the_proxy_is_alive() {
    let mut stage = StagePlan::new("localhost", 1, "ca.crt".as_ref()).start();
    stage.proxy.signal(Signal::SIGQUIT);
    stage.proxy.await_end(wait::LONG);
    let manager = Manager::listening();
    for (limit, is_short) in [("30000000", false), ("3000000", true)] {
        let script = format!("WATCHDOG_USEC={limit} WATCHDOG_PID=$$ exec \"$0\" \"$@\"");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).arg(proxy::binary());
        shell.env("NOTIFY_SOCKET", manager.path());
        let mut proxy = stage.proxy.successor_by(shell).listening();
        assert_eq!(manager.told(), "READY=1");
        for _ in 0..2 {
            assert_eq!(manager.told(), "WATCHDOG=1");
        }
        let warned = proxy.log().contains("WatchdogSec=");
        assert_eq!(warned, is_short, "{}", proxy.log());
        proxy.signal(Signal::SIGQUIT);
        wait::until("the end to be told", wait::LONG, || {
            manager.told().starts_with("STOPPING=1")
        });
        proxy.await_end(wait::LONG);
    }
}

/// The journal files a line under what it begins with, and has a clock.
#[test]
fn lines_for_the_journal_are_ranked_and_have_no_time() {
    let mut stage = StagePlan::new("localhost", 1, "ca.crt".as_ref()).start();
    stage.proxy.signal(Signal::SIGQUIT);
    stage.proxy.await_end(wait::LONG);
    for (stream, is_journal) in [("$(stat -Lc %d:%i /dev/stderr)", true), ("1:1", false)] {
        let script = format!("JOURNAL_STREAM={stream} exec \"$0\" \"$@\"");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).arg(proxy::binary());
        let mut proxy = stage.proxy.successor_by(shell).listening();
        proxy.await_log("ready");
        proxy.signal(Signal::SIGQUIT);
        proxy.await_end(wait::LONG);
        let log = proxy.log();
        let ranks = ["<3>ERROR ", "<4> WARN ", "<6> INFO "];
        let is_ranked = |line: &str| ranks.iter().any(|rank| line.starts_with(rank));
        assert!(log.lines().any(|line| line.contains("ready")), "{log}");
        for line in log.lines() {
            assert_eq!(is_ranked(line), is_journal, "{line}");
        }
    }
}

/// The unit's own command lines, tried on a configuration.
#[test]
fn the_unit_starts_what_there_is() {
    let unit = shipped("dist/portcullis.service");
    let stage = StagePlan::new("localhost", 1, "ca.crt".as_ref()).start();
    let configuration = stage.proxy.directory().join("portcullis.toml");
    let lines = |key: &str| -> Vec<Vec<String>> {
        let of_key = unit.lines().filter_map(|line| line.strip_prefix(key));
        of_key
            .map(|line| line.split(' ').map(str::to_owned).collect())
            .collect()
    };
    let commands = [lines("ExecStartPre="), lines("ExecStart=")].concat();
    assert_eq!(commands.len(), 2);
    for command in commands {
        assert_eq!(command[0], "/usr/bin/portcullis");
        let (last, arguments) = command[1..].split_last().expect("arguments");
        assert_eq!(last, "/etc/portcullis/portcullis.toml");
        let mut run = Command::new(proxy::binary());
        run.args(arguments).env_remove("RUST_LOG");
        if command[1] == "check" {
            let output = run.arg(&configuration).output().expect("check");
            assert!(output.status.success(), "{output:?}");
        } else {
            // To the command line it is sound: what is missing is the file.
            let output = run.arg("/nonexistent").output().expect("run");
            assert_eq!(output.status.code(), Some(1), "{output:?}");
        }
    }
    // A thread that stands still for a moment is no reason to end all sessions.
    let seconds = |key: &str| -> u64 {
        let value = lines(key)[0][0].clone();
        value.parse().expect("seconds")
    };
    assert!(seconds("WatchdogSec=") > 20);
    // Of an end without a drain; a drain says itself how long it takes.
    assert!(seconds("TimeoutStopSec=") > 10);
    let [check, signal] = &lines("ExecReload=")[..] else {
        panic!("a check, and the signal");
    };
    assert_eq!(*check, lines("ExecStartPre=")[0]);
    assert!(signal.contains(&"-HUP".to_owned()));
    // SIGTERM would wait for clients that stay.
    assert_eq!(lines("KillSignal=")[0], ["SIGINT"]);
    assert!(shipped("dist/Containerfile").contains("\nSTOPSIGNAL SIGINT\n"));
}

/// What it does not know, a group of system calls for example, it leaves out with a warning and no error.
#[test]
fn systemd_knows_all_that_the_units_say() {
    let directory = tempfile::tempdir().expect("a directory");
    let binary = proxy::binary().display().to_string();
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no"]);
    for name in ["portcullis.service", "portcullis.socket"] {
        let unit = shipped(&format!("dist/{name}")).replace("/usr/bin/portcullis", &binary);
        let file = directory.path().join(name);
        fs::write(&file, unit).expect("the unit");
        verify.arg(file);
    }
    let output = verify.output().expect("systemd-analyze");
    let said = String::from_utf8_lossy(&output.stderr);
    // It may have something to say about other units of the machine.
    let ours = said.lines().any(|line| line.contains("portcullis.s"));
    assert!(output.status.success() && !ours, "{said}");
}

/// The sockets are those of the configuration that the package makes, and go with it.
#[test]
fn the_socket_unit_listens_where_the_configuration_does() {
    let unit = shipped("dist/portcullis.socket");
    let streams = unit
        .lines()
        .filter_map(|it| it.strip_prefix("ListenStream="));
    let streams: Vec<_> = streams.collect();
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("portcullis.toml");
    let init = Command::new(proxy::binary())
        .arg("init")
        .arg(&file)
        .output();
    assert!(init.expect("init").status.success());
    let text = fs::read_to_string(&file).expect("the configuration");
    let [stream] = streams[..] else {
        panic!("{streams:?}");
    };
    assert!(text.contains(&format!("address = \"{stream}\"")), "{text}");
    let manifest = shipped("crates/portcullis/Cargo.toml");
    for unit in ["portcullis.service", "portcullis.socket"] {
        let asset = format!("[\"../../dist/{unit}\", \"usr/lib/systemd/system/\"");
        assert!(manifest.contains(&asset), "{unit}");
    }
}

#[test]
fn pages_have_every_command_and_every_setting() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path();
    let output = Command::new(proxy::binary()).arg("pages").arg(at).output();
    assert!(output.expect("pages").status.success());
    let page = |name: &str| fs::read_to_string(at.join(name)).expect("a page");
    // Roff writes some characters in its own way.
    let settings = page("portcullis.toml.5").replace('\\', "");
    for line in shipped("docs/settings.md").lines() {
        if let Some(path) = line
            .strip_prefix("### `")
            .and_then(|it| it.strip_suffix('`'))
        {
            let name = path.rsplit('.').next().expect("a name");
            assert!(settings.contains(name), "{path}");
        }
    }
    for command in ["run", "check", "init", "quickstart", "demo", "settings"] {
        let page = page(&format!("portcullis-{command}.1"));
        assert!(page.contains(".SH SYNOPSIS"), "{command}");
        for shell in ["portcullis.bash", "_portcullis", "portcullis.fish"] {
            assert!(
                fs::read_to_string(at.join(shell))
                    .expect("completions")
                    .contains(command)
            );
        }
    }
    let bash = Command::new("bash")
        .arg("-n")
        .arg(at.join("portcullis.bash"))
        .output();
    assert!(bash.expect("bash").status.success());
}
