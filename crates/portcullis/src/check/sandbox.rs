//! Owns what `check` says about the process itself: core dumps, privileges, sandbox, memory. A sandbox
//! can't be left again, so another process goes into it and says what the kernel made of that.

use crate::cli::CONFINE;
use crate::confine;
use crate::fault::Fault;
use crate::load;
use crate::output::say;
use crate::process;
use config::{Config, Sandbox};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use tls::KeyHeap;

/// What to say.
pub(super) fn lines(
    path: &Path,
    config: &Config,
    keys: KeyHeap,
) -> Result<Vec<String>, Vec<Fault>> {
    let mut lines = tried(path).map_err(|fault| vec![fault])?;
    lines.push(match config.process.lock_memory {
        true => "memory of secrets and rows is locked".to_owned(),
        false => "memory of secrets and rows is not locked (lock_memory)".to_owned(),
    });
    lines.push(match keys {
        KeyHeap::Locked => "private keys are in OpenSSL's secure heap, locked".to_owned(),
        KeyHeap::NotLocked => {
            "private keys are in OpenSSL's secure heap, not locked: the limit of \
             locked memory is too small (LimitMEMLOCK=, ulimit -l)"
                .to_owned()
        }
    });
    Ok(lines)
}

/// What a process says that goes into the sandbox.
fn tried(path: &Path) -> Result<Vec<String>, Fault> {
    let mut command = Command::new("/proc/self/exe");
    command.arg(CONFINE).arg(path);
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(Fault::System)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout).lines().map(str::to_owned).collect()),
        false => Err(Fault::NotConfined {
            said: match text(&output.stderr) {
                // Killed, as by a filter of system calls around this one.
                said if said.is_empty() => output.status.to_string(),
                said => said.replace('\n', "; "),
            },
        }),
    }
}

/// The hidden command: the same steps as `run` takes, and what the kernel says of them.
pub(crate) fn confine(path: &Path) -> Result<(), Vec<Fault>> {
    let system = |error| vec![Fault::System(error)];
    let (config, _) = load::configuration_with_warnings(path)?;
    // Opened now, read later: then nothing of /proc can be opened any more.
    let status = File::open("/proc/thread-self/status").map_err(system)?;
    process::forbid_core_dumps(&config);
    let confined = confine::enter(path, &config)?;
    let facts = Facts::read(status).map_err(system)?;
    say(&facts.core_dumps());
    say(match facts.no_new_privileges {
        true => "new privileges are given up (no_new_privs)",
        false => "new privileges are not given up",
    });
    for line in sandbox(&config, &confined, &facts) {
        say(&line);
    }
    Ok(())
}

fn sandbox(config: &Config, confined: &confine::Confined, facts: &Facts) -> [String; 2] {
    let mode = config.process.sandbox;
    let Some(entered) = confined.entered else {
        let off = |what| format!("{what} are not confined (sandbox = \"off\")");
        return [off("files"), off("system calls")];
    };
    let files = match (mode, entered.landlock) {
        (Sandbox::On, Some(abi)) => {
            format!(
                "files are confined to {} places (Landlock ABI {abi})",
                confined.readable
            )
        }
        (Sandbox::On, None) => "files are not confined: this kernel has no Landlock".to_owned(),
        _ => "files are not confined (sandbox = \"log\")".to_owned(),
    };
    let calls = match (entered.calls, facts.filtered) {
        (Some(calls), true) => {
            let done = match mode {
                Sandbox::On => "refused",
                Sandbox::Log | Sandbox::Off => "noted",
            };
            format!("{calls} system calls are {done} (seccomp)")
        }
        _ => "system calls are not confined: this kernel has no seccomp filters".to_owned(),
    };
    [files, calls]
}

/// What the kernel says of this process.
struct Facts {
    dumpable: bool,
    core_bytes: u64,
    no_new_privileges: bool,
    filtered: bool,
}

impl Facts {
    fn read(mut status: File) -> io::Result<Facts> {
        let mut text = String::new();
        status.read_to_string(&mut text)?;
        let has = |key: &str, value: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            line.is_some_and(|found| found.trim() == value)
        };
        Ok(Facts {
            dumpable: prctl::get_dumpable()?,
            core_bytes: getrlimit(Resource::RLIMIT_CORE)?.0,
            no_new_privileges: has("NoNewPrivs:", "1"),
            filtered: has("Seccomp:", "2"),
        })
    }

    fn core_dumps(&self) -> String {
        match (self.dumpable, self.core_bytes) {
            (false, 0) => "core dumps are off (PR_SET_DUMPABLE 0, RLIMIT_CORE 0)".to_owned(),
            (dumpable, bytes) => {
                let dumpable = u8::from(dumpable);
                format!("core dumps are not off (PR_SET_DUMPABLE {dumpable}, RLIMIT_CORE {bytes})")
            }
        }
    }
}
