//! Owns the running of programs that give passphrases: without a shell, with nothing to read and a
//! bound on their time and their output. What they say on standard error may be a secret, too, and is
//! dropped.
//!
//! They are run by [`run_command`] alone: in this process, or in another one that outlives the moment
//! in which this one gives up the right to run anything ([`Attendant`]).

use super::attendant::Attendant;
use crate::activation::forget;
use buf::Secret;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a program may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// The most that it may write.
pub(super) const OUTPUT_MAX: usize = 4096;

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
    /// The sandbox lets other programs be run than this one.
    #[error(
        "the command was not in the configuration at the start, and no other is run; it needs a restart"
    )]
    NotAtStart,
    /// There is nobody to run it.
    #[error("the process that runs commands has ended; it needs a restart")]
    Unattended,
}

impl CommandFault {
    /// Whether the operator can see the same by running it.
    pub(crate) fn is_its_own(self) -> bool {
        !matches!(self, Self::NotAtStart | Self::Unattended)
    }
}

/// Who runs programs.
pub(crate) enum Commands {
    /// This process.
    Here,
    /// Another one, and only programs that it was told of at the start.
    Attended(Attendant),
    /// The same, but what it was not told of this process runs itself, and says so.
    Noted(Attendant),
    /// Nobody: there was nothing to run at the start.
    Refused,
}

impl Commands {
    /// What a program writes.
    pub(crate) fn run(&mut self, words: &[String]) -> Result<Secret, CommandFault> {
        match self {
            Self::Here => run_command((words, &[]), TIMEOUT, None),
            Self::Refused => Err(CommandFault::NotAtStart),
            Self::Attended(attendant) => attendant.run(words),
            Self::Noted(attendant) => match attendant.run(words) {
                Err(CommandFault::NotAtStart) => {
                    tracing::warn!(
                        "sandbox = \"on\" would not run a command that was not in the configuration at \
                         the start: it needs a restart"
                    );
                    run_command((words, &[]), TIMEOUT, None)
                }
                done => done,
            },
        }
    }
}

/// Runs a program with its arguments, and with these variables in its environment, and gives what it writes. `client` is whoever waits for it, if
/// that is another process: once that is gone, so is the program.
pub(super) fn run_command(
    (words, told): (&[String], &[(&str, String)]),
    timeout: Duration,
    client: Option<BorrowedFd<'_>>,
) -> Result<Secret, CommandFault> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(CommandFault::NotStarted(std::io::ErrorKind::InvalidInput));
    };
    // A group of its own, so that nothing of it is left behind.
    let started = forget(&mut Command::new(program))
        .args(arguments)
        .envs(told.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    let mut child = started.map_err(|error| CommandFault::NotStarted(error.kind()))?;
    let deadline = Instant::now() + timeout;
    let output = match child.stdout.take() {
        Some(stdout) => read(stdout, client, (deadline, timeout)),
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
fn read(
    stdout: ChildStdout,
    client: Option<BorrowedFd<'_>>,
    times: (Instant, Duration),
) -> Result<Secret, CommandFault> {
    // Never grows, so that no copy is left behind; wiped whatever came of it.
    let mut room = vec![0; OUTPUT_MAX + 1];
    let filled = fill(stdout, client, &mut room, times);
    let room = Secret::from_vec(room);
    filled.map(|filled| Secret::new(&room.expose()[..filled]))
}

/// Reads as much as fits, and gives how much there was.
fn fill(
    mut stdout: ChildStdout,
    client: Option<BorrowedFd<'_>>,
    room: &mut [u8],
    (deadline, timeout): (Instant, Duration),
) -> Result<usize, CommandFault> {
    let mut filled = 0;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let wait = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut ready = vec![PollFd::new(stdout.as_fd(), PollFlags::POLLIN)];
        ready.extend(client.map(|client| PollFd::new(client, PollFlags::POLLHUP)));
        let polled = poll(&mut ready, wait);
        let gone = ready.get(1).and_then(PollFd::any) == Some(true);
        match polled {
            Ok(_) if gone => return Err(CommandFault::Killed),
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
        let told = [("PORTCULLIS_TO", "db2:5432".to_owned())];
        run_command((&words, &told), Duration::from_millis(timeout_ms), None)
    }

    #[test]
    fn a_command_is_bounded_in_time_and_output() {
        let said = run("printf 'a b\\nc'; echo secret >&2", 10_000).unwrap();
        assert_eq!(said.expose(), b"a b\nc");
        let said = run("printf $PORTCULLIS_TO", 10_000).unwrap();
        assert_eq!(said.expose(), b"db2:5432");
        let fault = |script, timeout_ms| run(script, timeout_ms).err().unwrap();
        assert_eq!(fault("exit 3", 10_000), CommandFault::Status(3));
        assert_eq!(fault("kill -9 $$", 10_000), CommandFault::Killed);
        assert_eq!(fault("yes", 10_000), CommandFault::TooMuch);
        let short = CommandFault::Timeout(Duration::from_millis(50));
        assert_eq!(fault("sleep 60", 50), short);
        // One that has closed its output, and one whose child keeps it open.
        assert_eq!(fault("exec >&-; sleep 60", 50), short);
        assert_eq!(fault("sleep 60 & exit 0", 50), short);
        let nothing = ["/nonexistent/program".to_owned()];
        let nothing = run_command((&nothing, &[]), TIMEOUT, None);
        let not_found = CommandFault::NotStarted(std::io::ErrorKind::NotFound);
        assert_eq!(nothing.err(), Some(not_found));
        assert!(run("read line; echo \"got $line\"", 10_000).is_ok());
    }
}
