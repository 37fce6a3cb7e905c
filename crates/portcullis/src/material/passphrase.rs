//! Owns passphrases of private keys: the first line of a file, or of what a program writes.
//!
//! A program is run here and nowhere else: by [`run_command`], without a shell, with nothing to read
//! and a bound on its time and its output. What it says on standard error may be a secret, too, and
//! is dropped.

use super::{holding, secrets};
use crate::fault::{Fault, PassphraseProblem};
use buf::Secret;
use config::{Config, Holds, Origin, Source};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::collections::HashMap;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a program may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most that it may write.
const OUTPUT_MAX: usize = 4096;

/// Why a program gave no passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CommandFault {
    /// It could not be started.
    #[error("the command cannot be started: {0}")]
    NotStarted(std::io::ErrorKind),
    /// It failed.
    #[error("the command ended with status {0}")]
    Status(i32),
    /// A signal ended it.
    #[error("the command was ended by a signal")]
    Killed,
    /// It took too long.
    #[error("the command did not end within {} seconds", .0.as_secs())]
    Timeout(Duration),
    /// It wrote too much.
    #[error("the command wrote more than {OUTPUT_MAX} bytes")]
    TooMuch,
    /// Its output could not be read.
    #[error("the command's output cannot be read")]
    Unreadable,
}

/// All passphrases, by where they come from.
pub(super) fn passphrases(config: &Config) -> Result<HashMap<Origin, Secret>, Vec<Fault>> {
    let mut all = HashMap::new();
    let mut faults = Vec::new();
    for source in holding(config, Holds::Passphrase) {
        if all.contains_key(&source.from) {
            continue;
        }
        match passphrase(source) {
            Ok(secret) => drop(all.insert(source.from.clone(), secret)),
            Err(fault) => faults.push(fault),
        }
    }
    match faults.is_empty() {
        true => Ok(all),
        false => Err(faults),
    }
}

fn passphrase(source: &Source) -> Result<Secret, Fault> {
    let bad = |problem| Fault::Passphrase {
        place: source.place.clone(),
        problem,
    };
    let whole = match &source.from {
        Origin::Command(words) => {
            run_command(words, TIMEOUT).map_err(|fault| bad(PassphraseProblem::Command(fault)))?
        }
        Origin::File(path) => secrets::private_file(&source.place, path, OUTPUT_MAX as u64)?,
        Origin::Env(_) => return Err(bad(PassphraseProblem::Empty)),
    };
    match secrets::first_line(whole.expose()) {
        [] => Err(bad(PassphraseProblem::Empty)),
        line => Ok(Secret::new(line)),
    }
}

/// Runs a program with its arguments and gives what it writes.
pub(super) fn run_command(words: &[String], timeout: Duration) -> Result<Secret, CommandFault> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(CommandFault::NotStarted(std::io::ErrorKind::InvalidInput));
    };
    // A group of its own, so that nothing of it is left behind.
    let started = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    let mut child = started.map_err(|error| CommandFault::NotStarted(error.kind()))?;
    let deadline = Instant::now() + timeout;
    let output = match child.stdout.take() {
        Some(stdout) => read(stdout, deadline, timeout),
        None => Err(CommandFault::Unreadable),
    };
    if output.is_err() {
        end(&mut child);
        return output;
    }
    let status = wait(&mut child, deadline).ok_or(CommandFault::Timeout(timeout));
    match status?.code() {
        Some(0) => output,
        Some(code) => Err(CommandFault::Status(code)),
        None => Err(CommandFault::Killed),
    }
}

/// Everything until the end of the output.
fn read(stdout: ChildStdout, deadline: Instant, timeout: Duration) -> Result<Secret, CommandFault> {
    // Never grows, so that no copy is left behind; wiped whatever came of it.
    let mut room = vec![0; OUTPUT_MAX + 1];
    let filled = fill(stdout, &mut room, (deadline, timeout));
    let room = Secret::from_vec(room);
    filled.map(|filled| Secret::new(&room.expose()[..filled]))
}

/// Reads as much as fits, and gives how much there was.
fn fill(
    mut stdout: ChildStdout,
    room: &mut [u8],
    (deadline, timeout): (Instant, Duration),
) -> Result<usize, CommandFault> {
    let mut filled = 0;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let wait = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut ready = [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, wait) {
            Ok(0) if left.is_zero() => return Err(CommandFault::Timeout(timeout)),
            Ok(0) | Err(Errno::EINTR) => continue,
            Ok(_) => {}
            Err(_) => return Err(CommandFault::Unreadable),
        }
        match stdout.read(&mut room[filled..]) {
            Ok(0) => return Ok(filled),
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return Err(CommandFault::Unreadable),
        }
        if filled > OUTPUT_MAX {
            return Err(CommandFault::TooMuch);
        }
    }
}

/// The program's end. Its output has ended, so it is a matter of moments, or of the deadline.
fn wait(child: &mut Child, deadline: Instant) -> Option<std::process::ExitStatus> {
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if Instant::now() >= deadline {
            end(child);
            return None;
        }
        // Nothing tells of the end of a child but asking, a few times.
        let _ = poll(&mut [], PollTimeout::from(2u8));
    }
}

fn end(child: &mut Child) {
    if let Ok(group) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str, timeout_ms: u64) -> Result<Secret, CommandFault> {
        let words = ["/bin/sh", "-c", script].map(str::to_owned);
        run_command(&words, Duration::from_millis(timeout_ms))
    }

    #[test]
    fn a_command_is_bounded_in_time_and_output() {
        let said = run("printf 'a b\\nc'; echo secret >&2", 10_000).unwrap();
        assert_eq!(said.expose(), b"a b\nc");
        let fault = |script, timeout_ms| run(script, timeout_ms).err().unwrap();
        assert_eq!(fault("exit 3", 10_000), CommandFault::Status(3));
        assert_eq!(fault("kill -9 $$", 10_000), CommandFault::Killed);
        assert_eq!(fault("yes", 10_000), CommandFault::TooMuch);
        let short = CommandFault::Timeout(Duration::from_millis(50));
        assert_eq!(fault("sleep 60", 50), short);
        // One that has closed its output, and one whose child keeps it open.
        assert_eq!(fault("exec >&-; sleep 60", 50), short);
        assert_eq!(fault("sleep 60 & exit 0", 50), short);
        let nothing = run_command(&["/nonexistent/program".to_owned()], TIMEOUT);
        let not_found = CommandFault::NotStarted(std::io::ErrorKind::NotFound);
        assert_eq!(nothing.err(), Some(not_found));
        assert!(run("read line; echo \"got $line\"", 10_000).is_ok());
    }
}
