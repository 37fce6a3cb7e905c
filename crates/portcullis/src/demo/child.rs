//! Owns running a program to its end: bounded in time, ended at once when the end is wished, with
//! what it said kept in a file, so that no pipe can fill up.

use super::DemoFault;
use crate::interrupt::Interrupt;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Between two looks at a child.
const TURN: Duration = Duration::from_millis(10);

/// The end of a log that a message shows.
const SAID_MAX: usize = 600;

/// Starts a program in a process group of its own, with its output in `log`.
pub(crate) fn start(mut command: Command, log: &Path) -> Result<Child, DemoFault> {
    let out = File::options().create(true).append(true).open(log);
    let out = out.map_err(DemoFault::file("write", log))?;
    let err = out.try_clone()?;
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    command.spawn().map_err(|cause| DemoFault::Program {
        program: PathBuf::from(command.get_program()),
        cause,
    })
}

/// Runs a program to its successful end.
pub(crate) fn finish(
    program: &'static str,
    command: Command,
    log: &Path,
    limit: Duration,
    interrupt: &Interrupt,
) -> Result<(), DemoFault> {
    let mut child = start(command, log)?;
    match await_end(&mut child, limit, interrupt) {
        Some(status) if status.success() => Ok(()),
        Some(_) => Err(DemoFault::Failed {
            program,
            said: said(log),
        }),
        None => {
            end(&mut child, Signal::SIGKILL);
            match interrupt.is_wished() {
                true => Err(DemoFault::Interrupted),
                false => Err(DemoFault::Slow {
                    program,
                    limit_s: limit.as_secs(),
                    said: said(log),
                }),
            }
        }
    }
}

/// Waits for a child's end, but not longer than allowed or wished.
fn await_end(child: &mut Child, limit: Duration, interrupt: &Interrupt) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if interrupt.pause(TURN) {
            return None;
        }
    }
    None
}

/// Ends a child and its process group: by the signal, and by SIGKILL if that is not enough.
pub(crate) fn end(child: &mut Child, signal: Signal) {
    const PATIENCE: Duration = Duration::from_secs(5);
    let Ok(id) = i32::try_from(child.id()) else {
        return;
    };
    let group = Pid::from_raw(id);
    if !matches!(child.try_wait(), Ok(None)) {
        return;
    }
    let _ = killpg(group, signal);
    // Nobody's wish shortens this wait: what was made has to go.
    if await_end(child, PATIENCE, &Interrupt::default()).is_none() {
        let _ = killpg(group, Signal::SIGKILL);
        let _ = child.wait();
    }
}

/// The end of what a program said, in one line.
pub(crate) fn said(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(SAID_MAX)..]);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|it| !it.is_empty())
        .collect();
    match lines.is_empty() {
        true => "nothing".to_owned(),
        false => lines.join(" / "),
    }
}
