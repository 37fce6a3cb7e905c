//! `portcullis top`: driven in a real terminal in front of a working proxy, and printing what it sees.

use std::process::{Command, Output};

use e2e::Stage;
use e2e::clustered::{await_leader, await_role, host, plan as clustered, role as clustered_role};
use e2e::drivers::Endpoint;
use e2e::scripted::{Session, prove};
use e2e::tables::{ADMIN, WATCHER, plan};
use tempfile::TempDir;
use testkit::peer::message;
use testkit::{Authority, Cluster, Flock, Peer, Signal, wait};

/// A proxy that looks at statements, and a role of its database.
fn stage(name: &str) -> (Stage, Endpoint) {
    let role = Endpoint::direct(Cluster::shared(), name);
    let stage = plan(&role).set("inspection", "statements", "true").start();
    (stage, role)
}

fn url(stage: &Stage, user: &str) -> String {
    format!("postgres://{user}@localhost:{}", stage.proxy.port())
}

/// What `--once` gives to this user.
fn once(stage: &Stage, (user, password): (&str, &str), more: &[&str]) -> Output {
    Command::new(testkit::proxy::binary())
        .args(["top", "--once", "--interval", "0.2", &url(stage, user)])
        .args(more)
        .env("PGPASSWORD", password)
        .output()
        .expect("portcullis to run")
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A terminal of 140 by 40, with a server of its own that ends with it.
struct Terminal {
    place: TempDir,
}

impl Terminal {
    /// Runs this in it; the shell stays behind it.
    fn start(command: &str, environment: &[(&str, &str)]) -> Terminal {
        let place = tempfile::tempdir().expect("a directory");
        let terminal = Terminal { place };
        let mut tmux = terminal.tmux();
        tmux.args([
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "140",
            "-y",
            "40",
        ]);
        for (name, value) in environment {
            tmux.env(name, value);
        }
        let ran = tmux.arg("/bin/sh").status().expect("tmux to run");
        assert!(ran.success());
        terminal.send(&["-l", command]);
        terminal.send(&["Enter"]);
        terminal
    }

    fn tmux(&self) -> Command {
        let mut tmux = Command::new("tmux");
        tmux.arg("-S").arg(self.place.path().join("socket"));
        tmux.env("LC_ALL", "C.UTF-8").env("TERM", "xterm-256color");
        tmux
    }

    fn send(&self, keys: &[&str]) {
        let sent = self.tmux().arg("send-keys").args(keys).status();
        assert!(sent.expect("tmux to run").success());
    }

    fn screen(&self) -> String {
        let captured = self.tmux().args(["capture-pane", "-p"]).output();
        lossy(&captured.expect("tmux to run").stdout)
    }

    /// Waits until the screen shows all of these.
    #[track_caller]
    fn await_screen(&self, texts: &[&str]) -> String {
        let all = |screen: &String| texts.iter().all(|text| screen.contains(text));
        let seen = wait::within(wait::LONG, || Some(self.screen()).filter(all));
        seen.unwrap_or_else(|| panic!("{texts:?} in\n{}", self.screen()))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.tmux().arg("kill-server").status();
    }
}

#[test]
fn a_statement_is_seen_and_cancelled_and_a_client_killed_in_a_terminal() {
    let (stage, role) = stage("top_driven");
    let through = stage.endpoint(&role);
    let mut sleeper = Session::through(&stage, &through);
    sleeper.peer.send(&message::query("select pg_sleep(600)"));
    let command = format!(
        "{} top --interval 0.2 {} --ca {}; echo ended as $?",
        testkit::proxy::binary().display(),
        url(&stage, ADMIN.0),
        stage.ca_file.display()
    );
    let terminal = Terminal::start(&command, &[("PGPASSWORD", ADMIN.1)]);
    terminal.await_screen(&["top_driven", "executing", "pg_sleep"]);

    // Whoever says no has done nothing; whoever says yes has cancelled that statement.
    terminal.send(&["c"]);
    terminal.await_screen(&["Cancel what client", "top_driven"]);
    terminal.send(&["n"]);
    wait::until("the question to go", wait::LONG, || {
        !terminal.screen().contains("Cancel what client")
    });
    terminal.send(&["c"]);
    terminal.await_screen(&["Cancel what client"]);
    terminal.send(&["y"]);
    let answer = sleeper.peer.until_tag(b'Z');
    let error = answer.iter().find(|frame| frame.tag == b'E');
    let sqlstate = error.and_then(|it| it.field(b'C'));
    assert_eq!(sqlstate.as_deref(), Some("57014"));

    // The client is still there, among the clients; then it is gone.
    terminal.send(&["2"]);
    terminal.send(&["/"]);
    terminal.send(&["-l", "top_driven"]);
    terminal.send(&["Enter"]);
    terminal.await_screen(&["top_driven", "TLSv1.3"]);
    terminal.send(&["K"]);
    terminal.await_screen(&["End the session of client", "top_driven"]);
    terminal.send(&["y"]);
    let error = sleeper.peer.expect_frame(b'E');
    assert_eq!(error.field(b'C').as_deref(), Some("57P01"));

    terminal.send(&["3"]);
    terminal.await_screen(&["select pg_sleep(?)"]);
    // The terminal is given back as it was.
    terminal.send(&["q"]);
    terminal.await_screen(&["ended as 0"]);
    terminal.send(&["-l", "stty -a"]);
    terminal.send(&["Enter"]);
    terminal.await_screen(&[" icanon", " echo"]);
}

#[test]
fn who_may_only_look_is_told_so_and_a_lost_proxy_too() {
    let (stage, role) = stage("top_watcher");
    let _client = Session::through(&stage, &stage.endpoint(&role));
    let command = format!(
        "{} top --view clients {} --ca {}; echo ended as $?",
        testkit::proxy::binary().display(),
        url(&stage, WATCHER.0),
        stage.ca_file.display()
    );
    let terminal = Terminal::start(&command, &[("PGPASSWORD", WATCHER.1)]);
    terminal.await_screen(&["top_watcher"]);
    terminal.send(&["/"]);
    terminal.send(&["-l", "top_watcher"]);
    terminal.send(&["Enter", "K"]);
    terminal.await_screen(&["End the session of client"]);
    terminal.send(&["y"]);
    terminal.await_screen(&["admin access needed"]);
    drop(stage);
    terminal.await_screen(&["NO CONNECTION"]);
    terminal.send(&["C-c"]);
    terminal.await_screen(&["ended as"]);
}

/// Nothing is left running behind a terminal that was closed.
#[test]
fn a_terminal_that_is_closed_ends_it() {
    let (stage, _role) = stage("top_closed");
    let command = format!(
        "exec {} top {} --ca {}",
        testkit::proxy::binary().display(),
        url(&stage, WATCHER.0),
        stage.ca_file.display()
    );
    let terminal = Terminal::start(&command, &[("PGPASSWORD", WATCHER.1)]);
    terminal.await_screen(&["Activity"]);
    let pid = terminal
        .tmux()
        .args(["display-message", "-p", "#{pane_pid}"])
        .output();
    let pid = lossy(&pid.expect("tmux to run").stdout).trim().to_owned();
    let lives = || {
        std::path::Path::new("/proc")
            .join(&pid)
            .join("exe")
            .read_link()
            .is_ok()
    };
    assert!(!pid.is_empty() && lives());
    drop(terminal);
    wait::until("its end", wait::LONG, || !lives());
}

#[test]
fn once_prints_and_another_authority_is_refused() {
    let (stage, role) = stage("top_once");
    let mut client = Session::through(&stage, &stage.endpoint(&role));
    client.query("select 1");
    let ca = stage.ca_file.display().to_string();
    let printed = once(&stage, WATCHER, &["--ca", &ca, "--view", "clients"]);
    let text = lossy(&printed.stdout);
    assert!(printed.status.success(), "{}", lossy(&printed.stderr));
    assert!(
        text.contains("top_once") && text.contains("TLSv1.3"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "{text}");

    let place = tempfile::tempdir().expect("a directory");
    let stranger = Authority::new("Somebody else").write(place.path(), "stranger");
    let stranger = stranger.display().to_string();
    let refused = once(&stage, WATCHER, &["--ca", &stranger]);
    let said = lossy(&refused.stderr);
    assert!(
        !refused.status.success() && said.contains("certificate"),
        "{said}"
    );
    let wrong = once(&stage, (WATCHER.0, "not the password"), &["--ca", &ca]);
    let said = lossy(&wrong.stderr);
    assert!(
        !wrong.status.success() && said.contains("password"),
        "{said}"
    );
    assert!(!said.contains("not the password"), "{said}");
}

/// By the configuration of the proxy itself: exactly the certificate that it names.
#[test]
fn the_configuration_leads_to_the_proxy() {
    let (stage, role) = stage("top_configured");
    let _client = Session::through(&stage, &stage.endpoint(&role));
    let printed = Command::new(testkit::proxy::binary())
        .args([
            "top",
            "--once",
            "--interval",
            "0.2",
            "--view",
            "pools",
            "--config",
        ])
        .arg(stage.proxy.directory().join("portcullis.toml"))
        .env("PGPASSWORD", ADMIN.1)
        .output()
        .expect("portcullis to run");
    let text = lossy(&printed.stdout);
    assert!(printed.status.success(), "{}", lossy(&printed.stderr));
    assert!(text.contains("top_configured"), "{text}");
}

/// What is wrong at the beginning is told on the command line: the screen stays as it was, and a password that is
/// wrong is tried once.
#[test]
fn what_is_wrong_at_the_beginning_ends_it() {
    let (stage, _role) = stage("top_wrong");
    let command = format!(
        "{} top {} --ca {}; echo ended as $?",
        testkit::proxy::binary().display(),
        url(&stage, ADMIN.0),
        stage.ca_file.display()
    );
    let terminal = Terminal::start(&command, &[("PGPASSWORD", "not the password")]);
    let screen = terminal.await_screen(&["cannot use the console of", "ended as 1"]);
    assert!(
        screen.contains("password authentication failed"),
        "{screen}"
    );
}

/// A client's name for itself is text, and nothing that the terminal obeys.
#[test]
fn no_text_of_a_client_reaches_the_terminal_as_a_command() {
    let (stage, role) = stage("top_hostile");
    let through = stage.endpoint(&role);
    let mut peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
    peer.send(&message::startup(&[
        ("user", &through.user),
        ("database", &through.database),
        (
            "application_name",
            "\u{1b}]2;taken over\u{7}\u{1b}[2J\u{9b}2Jbad",
        ),
    ]));
    prove(&mut peer, &through.password);
    let _client = Session::settle(peer);
    let command = format!(
        "{} top --view clients {} --ca {}; echo ended as $?",
        testkit::proxy::binary().display(),
        url(&stage, WATCHER.0),
        stage.ca_file.display()
    );
    let terminal = Terminal::start(&command, &[("PGPASSWORD", WATCHER.1)]);
    terminal.await_screen(&["top_hostile"]);
    terminal.send(&["/"]);
    terminal.send(&["-l", "top_hostile"]);
    terminal.send(&["Enter", "Enter"]);
    terminal.await_screen(&["application_name", "]2;taken over", "2Jbad", "Esc: back"]);
    let title = terminal
        .tmux()
        .args(["display-message", "-p", "#T"])
        .output();
    assert!(!lossy(&title.expect("tmux to run").stdout).contains("taken over"));
    // What is pasted was not typed: nobody is asked, and nobody is ended.
    terminal.send(&["Escape"]);
    let paste = terminal.place.path().join("paste");
    std::fs::write(&paste, "Kyq").expect("a file");
    let loaded = terminal.tmux().arg("load-buffer").arg(&paste).status();
    assert!(loaded.expect("tmux to run").success());
    let pasted = terminal.tmux().args(["paste-buffer", "-p"]).status();
    assert!(pasted.expect("tmux to run").success());
    terminal.send(&["?"]);
    terminal.await_screen(&["choose a view"]);
}

/// Another process in the place of the one that was watched is found by itself; a signal gives the terminal back.
#[test]
fn a_restart_is_seen_and_a_signal_gives_the_terminal_back() {
    let (mut stage, _role) = stage("top_restart");
    let command = format!(
        "{} top --view clients --interval 0.2 {} --ca {}; echo ended as $?",
        testkit::proxy::binary().display(),
        url(&stage, WATCHER.0),
        stage.ca_file.display()
    );
    let terminal = Terminal::start(&command, &[("PGPASSWORD", WATCHER.1)]);
    terminal.await_screen(&["TLSv1.3", "1 rows"]);
    stage.proxy.signal(Signal::SIGQUIT);
    stage.proxy.await_end(wait::LONG);
    terminal.await_screen(&["NO CONNECTION"]);
    let _successor = stage.proxy.successor().listening();
    wait::until("a new connection", wait::LONG, || {
        !terminal.screen().contains("NO CONNECTION")
    });
    terminal.await_screen(&["TLSv1.3", "1 rows"]);
    let pids = terminal
        .tmux()
        .args(["display-message", "-p", "#{pane_pid}"])
        .output();
    let shell = lossy(&pids.expect("tmux to run").stdout).trim().to_owned();
    let children = format!("/proc/{shell}/task/{shell}/children");
    let child = std::fs::read_to_string(children).expect("the shell's children");
    let child = child.trim().parse().expect("one child");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child), Signal::SIGTERM).expect("a signal");
    terminal.await_screen(&["ended as 0"]);
    terminal.send(&["-l", "stty -a"]);
    terminal.send(&["Enter"]);
    terminal.await_screen(&[" icanon", " echo"]);
}

/// A host is drained, used again and made the primary, from the screen; who may only look is told so.
#[test]
fn hosts_of_a_cluster_are_seen_drained_and_switched_to() {
    let flock = Flock::start(1);
    let direct = clustered_role(&flock, "top_cluster");
    let stage = clustered(&flock, &direct, "switchover_timeout = '20s'").start();
    await_role(&stage, flock[1].port(), "standby");
    let hosts = [host(&flock[0]), host(&flock[1])];
    let command = |user: &str| {
        format!(
            "{} top --view clusters --interval 0.2 {} --ca {}; echo ended as $?",
            testkit::proxy::binary().display(),
            url(&stage, user),
            stage.ca_file.display()
        )
    };
    let terminal = Terminal::start(&command(ADMIN.0), &[("PGPASSWORD", ADMIN.1)]);
    let leads = |host: &str| format!("main  {host}  since ");
    terminal.await_screen(&[&leads(&hosts[0]), "2 of 2 hosts up", "standby", &hosts[1]]);
    terminal.send(&["/"]);
    terminal.send(&["-l", &hosts[1]]);
    terminal.send(&["Enter"]);
    terminal.await_screen(&["1 of 2 rows"]);

    let ask = |key: &str, question: &str| {
        terminal.send(&[key]);
        terminal.await_screen(&[question, "any other key: no"]);
        terminal.send(&["y"]);
    };
    ask("d", &format!("Send nothing new to {}?", hosts[1]));
    terminal.await_screen(&["done: DRAIN", "drained"]);
    ask("u", &format!("Use {} again?", hosts[1]));
    terminal.await_screen(&["done: UNDRAIN"]);
    wait::until("the host to be used", wait::LONG, || {
        !terminal.screen().contains("drained")
    });

    let watcher = Terminal::start(&command(WATCHER.0), &[("PGPASSWORD", WATCHER.1)]);
    watcher.await_screen(&[&leads(&hosts[0])]);
    watcher.send(&["S"]);
    watcher.await_screen(&["any other key: no"]);
    watcher.send(&["y"]);
    watcher.await_screen(&["admin access needed"]);

    ask("S", &format!("Make {} the primary of main?", hosts[1]));
    stage
        .proxy
        .await_log("the other host is to be promoted now");
    terminal.await_screen(&["SWITCHOVER \"main\" TO"]);
    flock[0].demote_to_standby_of(&flock[1]);
    flock[1].promote();
    terminal.await_screen(&["done: SWITCHOVER", &leads(&hosts[1])]);
    await_leader(&stage, Some(&flock[1]));

    let ca = stage.ca_file.display().to_string();
    let printed = once(&stage, WATCHER, &["--ca", &ca, "--view", "clusters"]);
    let text = lossy(&printed.stdout);
    assert!(
        text.contains(&leads(&hosts[1])) && text.contains("primary"),
        "{text}"
    );
}
