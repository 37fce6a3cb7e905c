//! The running proxy in its sandbox, which is on unless told otherwise: what an attacker inside could
//! do, what reloads still can do, and what is said about it.

use std::fs;
use std::path::Path;
use std::process::Command;

use e2e::drivers::Endpoint;
use e2e::{Stage, StagePlan};
use nix::sys::signal::kill;
use nix::unistd::{Pid, geteuid};
use testkit::guard::Workplace;
use testkit::{Authority, Certificate, Cluster, Identity, Peer, Portcullis, Signal, proxy, wait};

fn before() -> StagePlan {
    Stage::before(Cluster::shared())
}

fn role(name: &str) -> Endpoint {
    Endpoint::role(Cluster::shared(), name)
}

/// Changes the text of the configuration, and asks for a reload.
#[track_caller]
fn edit(proxy: &mut Portcullis, from: &str, to: &str) {
    let file = proxy.directory().join("portcullis.toml");
    let text = fs::read_to_string(&file).expect("the configuration");
    assert!(text.contains(from), "no {from:?} in\n{text}");
    fs::write(&file, text.replace(from, to)).expect("the configuration");
    proxy.signal(Signal::SIGHUP);
}

#[track_caller]
fn shows(stage: &Stage, certificate: &Certificate) -> bool {
    let peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
    let shown = peer.ssl().and_then(|ssl| ssl.peer_certificate());
    peer.close();
    shown.is_some_and(|shown| shown == certificate.certificate)
}

/// The kernel's words about each thread (proc(5)).
fn statuses(process: u32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("its threads");
    let status = |entry: std::io::Result<fs::DirEntry>| {
        fs::read_to_string(entry.ok()?.path().join("status")).ok()
    };
    tasks.filter_map(status).collect()
}

#[test]
fn every_thread_of_a_running_proxy_is_confined() {
    let direct = role("confined");
    let stage = before().user(&direct).set("listen", "workers", "3").start();
    stage.proxy.await_log("ready");
    assert_eq!(stage.endpoint(&direct).login().says(), "confined");
    let log = stage.proxy.log();
    assert!(
        log.contains("portcullis::sandbox: confined mode=\"on\""),
        "{log}"
    );
    let all = statuses(stage.proxy.pid());
    // Workers, acceptor, main.
    assert!(all.len() >= 5, "{} threads", all.len());
    for status in all {
        for line in ["Seccomp:\t2", "NoNewPrivs:\t1"] {
            assert!(status.lines().any(|it| it == line), "{line:?} in\n{status}");
        }
    }
}

/// System calls that an attacker would make, made by each thread of the real program.
#[cfg(target_arch = "x86_64")]
#[test]
fn whoever_takes_over_a_thread_runs_nothing_and_reads_nothing_else() {
    use nix::libc;
    use testkit::inject::{Stopped, threads};

    let direct = role("taken_over");
    let elsewhere = Workplace::new("portcullis-elsewhere-");
    fs::write(elsewhere.path().join("secret"), "secret").expect("a file");
    // Without core dumps nobody but root could trace it.
    let attacked = |sandbox: &str| {
        let plan = before().user(&direct).set("process", "core_dumps", "true");
        let stage = plan.set("process", "sandbox", sandbox).start();
        stage.proxy.await_log("ready");
        stage
    };
    let open = |thread: &Stopped, path: &Path| {
        let name = [path.as_os_str().as_encoded_bytes(), b"\0"].concat();
        let here = i64::from(libc::AT_FDCWD) as u64;
        match thread.call(libc::SYS_openat, &[here, thread.place(&name), 0]) {
            opened @ 0.. => {
                thread.call(libc::SYS_close, &[opened as u64]);
                0
            }
            error => -error,
        }
    };
    let [eperm, eacces, efault] = [libc::EPERM, libc::EACCES, libc::EFAULT].map(i64::from);
    let secret = elsewhere.path().join("secret");
    // The attacks work where there is no sandbox.
    let free = attacked("'off'");
    let main = free.proxy.pid() as i32;
    let thread = Stopped::thread(main);
    assert_eq!(thread.call(libc::SYS_execve, &[1, 0, 0]), -efault);
    assert_eq!(open(&thread, &secret), 0);
    drop(thread);

    let stage = attacked("'on'");
    let landlock = stage.proxy.log().contains("landlock_abi=");
    let key = stage.proxy.directory().join("proxy.key");
    for thread in threads(stage.proxy.pid()) {
        let thread = Stopped::thread(thread);
        for call in [
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_ptrace,
            libc::SYS_bpf,
        ] {
            assert_eq!(thread.call(call, &[1, 0, 0]), -eperm, "system call {call}");
        }
        assert_eq!(open(&thread, &key), 0);
        if landlock {
            assert_eq!(open(&thread, &secret), eacces);
            assert_eq!(open(&thread, Path::new("/proc/self/mem")), eacces);
        }
        // Names of hosts and accounts can be looked up.
        for path in [
            "/etc/hosts",
            "/etc/passwd",
            "/etc/nsswitch.conf",
            "/etc/resolv.conf",
        ] {
            if Path::new(path).exists() {
                assert_eq!(open(&thread, Path::new(path)), 0, "{path}");
            }
        }
    }
    // It has taken no harm.
    assert_eq!(stage.endpoint(&direct).login().says(), "taken_over");
}

#[test]
fn a_reload_that_names_a_file_elsewhere_needs_a_restart() {
    let elsewhere = Workplace::new("portcullis-elsewhere-");
    let mut stage = before().start();
    let new = stage.authority.issue(&Identity::localhost());
    let files = new.write(elsewhere.path(), "new");
    let old_name = stage.proxy.directory().join("proxy").display().to_string();
    let new_name = elsewhere.path().join("new").display().to_string();
    if !stage.proxy.log().contains("landlock_abi=") {
        return;
    }
    edit(&mut stage.proxy, &old_name, &new_name);
    stage.proxy.await_log("what was in force stays in force");
    let log = stage.proxy.log();
    let refused: Vec<_> = log
        .lines()
        .filter(|line| line.contains("reload refused"))
        .collect();
    assert_eq!(refused.len(), 2, "{log}");
    for (line, file) in refused.iter().zip([&files.certificate, &files.private_key]) {
        assert!(line.contains(&file.display().to_string()), "{line}");
        assert!(line.contains("it needs a restart"), "{line}");
    }
    assert!(!shows(&stage, &new));
    // Back within, and renewed there: all is as before.
    edit(&mut stage.proxy, &new_name, &old_name);
    stage.proxy.await_log("portcullis::reload: reloaded");
    new.write(stage.proxy.directory(), "proxy");
    wait::until("the new certificate", wait::LONG, || shows(&stage, &new));
}

#[test]
fn log_refuses_nothing_and_tells_what_on_would() {
    let elsewhere = Workplace::new("portcullis-elsewhere-");
    let mut stage = before().set("process", "sandbox", "'log'").start();
    let new = stage.authority.issue(&Identity::localhost());
    new.write(elsewhere.path(), "new");
    let old_name = stage.proxy.directory().join("proxy").display().to_string();
    let new_name = elsewhere.path().join("new").display().to_string();
    edit(&mut stage.proxy, &old_name, &new_name);
    wait::until("the new certificate", wait::LONG, || shows(&stage, &new));
    let log = stage.proxy.log();
    for said in [
        "would let files be read only here",
        "would refuse this: ",
        "needs a restart",
        "mode=\"log\"",
        "process.sandbox: whoever breaks into the proxy",
    ] {
        assert!(log.contains(said), "no {said:?} in\n{log}");
    }
    assert!(
        statuses(stage.proxy.pid())
            .iter()
            .all(|it| it.contains("Seccomp:\t2\n"))
    );
}

#[test]
fn without_a_sandbox_nothing_is_confined() {
    let stage = before().set("process", "sandbox", "'off'").start();
    stage.proxy.await_log("ready");
    let ours = fs::read_to_string("/proc/thread-self/status").expect("our own status");
    let line = |text: &str| {
        text.lines()
            .find(|line| line.starts_with("Seccomp:"))
            .map(str::to_owned)
    };
    for status in statuses(stage.proxy.pid()) {
        assert_eq!(line(&status), line(&ours));
    }
    assert!(!stage.proxy.log().contains("portcullis::sandbox"));
}

/// The resolver says the same about hosts inside as outside.
#[test]
fn names_of_hosts_are_looked_up_in_the_sandbox() {
    let direct = role("looks_up");
    let reason = |host: &str, sandbox: &str| {
        let plan = before().user(&direct).set("process", "sandbox", sandbox);
        let plan = plan.set("database", "host", &format!("'{host}'"));
        let stage = plan
            .set("database.tls", "server_name", "'localhost'")
            .start();
        let login = stage
            .endpoint(&direct)
            .psql(&["SELECT 1"])
            .into_command()
            .output();
        let login = login.expect("psql");
        let log = stage.proxy.log();
        let lines = log.lines().filter(|line| line.contains("client refused"));
        let reason = lines.filter_map(|line| line.split_once("reason=")).next();
        (
            login.status.success(),
            reason.map(|(_, reason)| reason.to_owned()),
        )
    };
    let hostname = fs::read_to_string("/proc/sys/kernel/hostname").expect("our name");
    assert_eq!(reason("localhost", "'on'"), (true, None));
    for host in ["no-such-host.invalid", hostname.trim()] {
        assert_eq!(reason(host, "'on'"), reason(host, "'off'"), "{host}");
    }
}

/// A certificate whose key is encrypted, as files of a site.
struct Locked {
    authority: Authority,
    leaf: Certificate,
}

impl Locked {
    fn new() -> Self {
        let authority = Authority::new("authority of a locked key");
        let leaf = authority.issue(&Identity::localhost());
        Self { authority, leaf }
    }

    fn key(certificate: &Certificate, passphrase: &str) -> String {
        let cipher = openssl::symm::Cipher::aes_256_cbc();
        let pem = certificate
            .key
            .private_key_to_pem_pkcs8_passphrase(cipher, passphrase.as_bytes());
        String::from_utf8(pem.expect("an encrypted key")).expect("PEM")
    }

    /// Its passphrase is what `cat` finds in a file.
    fn plan(&self, passphrase: &str) -> StagePlan {
        before()
            .certificate(&self.authority, &self.leaf)
            .file("locked.key", &Self::key(&self.leaf, passphrase))
            .file("passphrase", passphrase)
            .set("listen.tls", "private_key", "'locked.key'")
            .set(
                "listen.tls",
                "private_key_passphrase_command",
                "['/bin/cat', 'passphrase']",
            )
    }

    /// Another certificate, and another passphrase.
    fn renew(&self, stage: &Stage, passphrase: &str) -> Certificate {
        let new = self.authority.issue(&Identity::localhost());
        let directory = stage.proxy.directory();
        fs::write(directory.join("passphrase"), passphrase).expect("a passphrase");
        fs::write(directory.join("locked.key"), Self::key(&new, passphrase)).expect("a key");
        fs::write(directory.join("proxy.crt"), new.pem()).expect("a certificate");
        new
    }
}

/// The process that runs passphrase commands, by the log.
fn attendant(stage: &Stage) -> Pid {
    let log = stage.proxy.log();
    let line = log
        .lines()
        .find(|line| line.contains("are run by a process of their own"));
    let number = line.and_then(|line| line.rsplit_once("process="));
    let number = number.and_then(|(_, number)| number.trim().parse().ok());
    Pid::from_raw(number.unwrap_or_else(|| panic!("no attendant in\n{log}")))
}

/// True once it is gone; a zombie is.
fn is_gone(process: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status"));
    status.map_or(true, |status| status.contains("State:\tZ"))
}

#[test]
fn passphrase_commands_run_for_reloads_and_no_others_do() {
    let locked = Locked::new();
    let mut stage = locked.plan("first word").start();
    let attendant = attendant(&stage);
    for passphrase in ["second word", "third word"] {
        let new = locked.renew(&stage, passphrase);
        stage.proxy.signal(Signal::SIGHUP);
        wait::until("the new certificate", wait::LONG, || shows(&stage, &new));
    }
    // Another command, even for the same passphrase.
    edit(
        &mut stage.proxy,
        "['/bin/cat', 'passphrase']",
        "['/bin/cat', './passphrase']",
    );
    stage.proxy.await_log("reload refused");
    let log = stage.proxy.log();
    let refused = log.lines().find(|line| line.contains("reload refused"));
    let refused = refused.unwrap_or_default();
    assert!(
        refused.contains("listen.tls.private_key_passphrase_command"),
        "{log}"
    );
    assert!(refused.contains("it needs a restart"), "{log}");
    edit(
        &mut stage.proxy,
        "['/bin/cat', './passphrase']",
        "['/bin/cat', 'passphrase']",
    );
    let new = locked.renew(&stage, "fourth word");
    wait::until("the new certificate", wait::LONG, || shows(&stage, &new));
    // Nobody is there to run it, and nobody is started in its place.
    kill(attendant, Signal::SIGKILL).expect("the attendant");
    locked.renew(&stage, "fifth word");
    stage.proxy.signal(Signal::SIGHUP);
    stage
        .proxy
        .await_log("the process that runs commands has ended; it needs a restart");
    assert!(shows(&stage, &new));
    for word in ["first", "second", "third", "fourth", "fifth"] {
        assert!(!stage.proxy.log().contains(word), "{}", stage.proxy.log());
    }
}

#[test]
fn the_process_that_runs_commands_ends_with_the_proxy() {
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let mut stage = Locked::new().plan("a word").start();
        stage.proxy.await_log("ready");
        let attendant = attendant(&stage);
        assert!(!is_gone(attendant));
        stage.proxy.signal(signal);
        stage.proxy.await_end(wait::LONG);
        wait::until("its end", wait::LONG, || is_gone(attendant));
    }
}

/// In the middle of a command, too; and the command with it.
#[test]
fn a_command_that_runs_when_the_proxy_is_killed_ends_with_it() {
    let locked = Locked::new();
    let script = "echo $$ > pid; test -e slow && exec sleep 600; cat passphrase";
    let plan = locked.plan("a word");
    let command = format!("['/bin/sh', '-c', '{script}']");
    let plan = plan.set("listen.tls", "private_key_passphrase_command", &command);
    let mut stage = plan.start();
    stage.proxy.await_log("ready");
    let attendant = attendant(&stage);
    let at = |name: &str| stage.proxy.directory().join(name);
    let (pid, slow) = (at("pid"), at("slow"));
    fs::remove_file(&pid).expect("the first run's");
    fs::write(slow, "").expect("a file");
    stage.proxy.signal(Signal::SIGHUP);
    let command = wait::until_some("the command", wait::LONG, || {
        fs::read_to_string(&pid).ok()?.trim().parse().ok()
    });
    let command = Pid::from_raw(command);
    assert!(!is_gone(command));
    stage.proxy.signal(Signal::SIGKILL);
    stage.proxy.await_end(wait::LONG);
    for process in [attendant, command] {
        wait::until("its end", wait::LONG, || is_gone(process));
    }
}

/// `portcullis check --offline` on the configuration of a running proxy, through `wrapper`.
fn check(stage: &Stage, wrapper: &[&str]) -> (bool, String) {
    let words = [wrapper, &[proxy::binary().to_str().expect("a path")]].concat();
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .args(["check", "--offline", "--config", "portcullis.toml"]);
    let output = command.current_dir(stage.proxy.directory()).output();
    let output = output.expect("portcullis check");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn check_reports_what_the_kernel_makes_of_each() {
    let said = |sandbox: &str, cores: &str| {
        let plan = before().set("process", "sandbox", sandbox);
        let stage = plan.set("process", "core_dumps", cores).start();
        let (right, said) = check(&stage, &[]);
        assert!(right, "{said}");
        said
    };
    let on = said("'on'", "false");
    for line in [
        "core dumps are off (PR_SET_DUMPABLE 0, RLIMIT_CORE 0)",
        "new privileges are given up (no_new_privs)",
        "files are ",
        "system calls are refused (seccomp)",
        "memory of secrets and rows is not locked (lock_memory)",
        "private keys are in OpenSSL's secure heap",
    ] {
        assert!(on.contains(line), "no {line:?} in\n{on}");
    }
    assert!(
        on.contains("(Landlock ABI ") || on.contains("no Landlock"),
        "{on}"
    );
    let off = said("'off'", "true");
    for line in [
        "core dumps are not off (PR_SET_DUMPABLE 1",
        "files are not confined (sandbox = \"off\")",
        "system calls are not confined (sandbox = \"off\")",
    ] {
        assert!(off.contains(line), "no {line:?} in\n{off}");
    }
    let log = said("'log'", "false");
    assert!(
        log.contains("files are not confined (sandbox = \"log\")"),
        "{log}"
    );
    assert!(log.contains("system calls are noted (seccomp)"), "{log}");
}

/// What keeps a process from locking memory; root could do it whatever the limit.
fn limited(limit: &str) -> Vec<&str> {
    match geteuid().is_root() {
        true => vec![
            "setpriv",
            "--bounding-set=-ipc_lock",
            "prlimit",
            limit,
            "--",
        ],
        false => vec!["prlimit", limit, "--"],
    }
}

/// A program whose headers say nothing of its stacks would get some that run.
#[test]
fn no_memory_is_both_written_to_and_run() {
    let direct = role("written_or_run");
    let plan = before().user(&direct).set("listen", "workers", "2");
    let stage = plan.set("process", "core_dumps", "true").start();
    assert_eq!(stage.endpoint(&direct).login().says(), "written_or_run");
    let maps = fs::read_to_string(format!("/proc/{}/maps", stage.proxy.pid()));
    let maps = maps.expect("its mappings");
    let rights: Vec<&str> = maps
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .collect();
    assert!(rights.contains(&"r-xp") && rights.contains(&"rw-p"));
    let both = maps.lines().filter(|line| line.contains(" rwx"));
    assert_eq!(both.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn memory_is_locked_on_request_or_there_is_no_start() {
    let direct = role("locked_memory");
    let plan = before().user(&direct).set("listen", "workers", "2");
    let plan = plan.set("process", "lock_memory", "true");
    let stage = plan.set("process", "core_dumps", "true").start();
    assert_eq!(stage.endpoint(&direct).login().says(), "locked_memory");
    let smaps = fs::read_to_string(format!("/proc/{}/smaps", stage.proxy.pid()));
    let smaps = smaps.expect("its mappings");
    // libssl's record buffers lie in a range of their own, without reserved memory, and stay as they are.
    let guarded = smaps.lines().filter(|line| {
        line.starts_with("VmFlags:") && line.contains(" wf") && !line.contains(" nr")
    });
    let (locked, swappable): (Vec<&str>, Vec<&str>) = guarded.partition(|it| it.contains(" lo"));
    assert!(!locked.is_empty() && swappable.is_empty(), "{swappable:?}");

    let (right, said) = check(&stage, &[]);
    assert!(
        right && said.contains("memory of secrets and rows is locked"),
        "{said}"
    );
    let (right, said) = check(&stage, &limited("--memlock=4194304:4194304"));
    assert!(!right, "{said}");
    for words in [
        "process.lock_memory",
        "2 workers",
        "4096 KiB",
        "LimitMEMLOCK=",
        "ulimit -l",
    ] {
        assert!(said.contains(words), "no {words:?} in\n{said}");
    }
    // The heap of private keys does not fit.
    let (right, said) = check(&stage, &limited("--memlock=65536:65536"));
    assert!(!right && said.contains("process.lock_memory"), "{said}");
    let (right, said) = check(&stage, &limited("--memlock=8388608:8388608"));
    assert!(right, "{said}");
}

/// Keys of sessions are written down only by a build that was made for it, which says so.
#[test]
fn a_key_log_exists_only_in_a_build_of_its_own() {
    let direct = role("key_log");
    let binary = fs::read(proxy::binary()).expect("the program");
    let named = b"SSLKEYLOGFILE";
    let made_for_it = binary.windows(named.len()).any(|bytes| bytes == named);
    let place = Workplace::new("portcullis-keys-");
    let file = place.path().join("keys");
    let plan = before()
        .user(&direct)
        .environment("SSLKEYLOGFILE", &file.display().to_string());
    let stage = plan.start();
    assert_eq!(stage.endpoint(&direct).login().says(), "key_log");
    let (log, keys) = (
        stage.proxy.log(),
        fs::read_to_string(&file).unwrap_or_default(),
    );
    assert_eq!(
        keys.contains("CLIENT_TRAFFIC_SECRET_0"),
        made_for_it,
        "{log}"
    );
    assert_eq!(file.exists(), made_for_it);
    assert_eq!(
        log.contains("this build writes the keys of all sessions"),
        made_for_it,
        "{log}"
    );
}
