//! A child process and its directory that never outlive the test process.
//!
//! `Drop` does not run for statics, nor when a test process is killed. So each
//! child has a guard: a small shell in its own process group that waits on a pipe
//! whose other end only the test process holds. When that end closes, however the
//! process ended, the guard stops the child and removes the directory.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::wait;

const PATIENCE: Duration = Duration::from_secs(5);

/// $1 = pid, $2 = signal, $3 = directory. A line on stdin: the child is already gone.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
if read -r _; then exit 0; fi
kill -s "$2" "$1" 2>/dev/null
tries=0
# A zombie is gone enough: some containers never reap the orphans.
alive() { case $(grep '^State:' "/proc/$1/status" 2>/dev/null) in ''|*Z*) return 1;; esac; }
while alive "$1" && [ "$tries" -lt 100 ]; do sleep 0.05; tries=$((tries + 1)); done
kill -s KILL "$1" 2>/dev/null
rm -rf "$3"
"#;

/// A running child with the directory it works in; both gone after drop.
#[derive(Debug)]
pub struct Guarded {
    child: Child,
    stop: Signal,
    guard: Child,
    pipe: Option<ChildStdin>,
    // Last: removed after the child has stopped.
    directory: TempDir,
}

impl Guarded {
    /// Starts `command` with its output appended to `log`; `stop` is the signal that ends it.
    #[track_caller]
    pub fn start(mut command: Command, directory: TempDir, log: &Path, stop: Signal) -> Self {
        let out = File::options().create(true).append(true).open(log);
        let out = out.expect("a log file in the child's directory");
        let err = out.try_clone().expect("a second handle of the log file");
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {:?}: {error}", command.get_program()));
        let mut guard = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "guard", &child.id().to_string()])
            .arg(stop.as_str().trim_start_matches("SIG"))
            .arg(directory.path())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("the guard, a /bin/sh");
        let pipe = guard.stdin.take();
        Self {
            child,
            stop,
            guard,
            pipe,
            directory,
        }
    }

    /// The directory that vanishes with the child.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Process id of the child.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How the child ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the child's state")
    }

    /// Sends a signal; a child that is gone already is left alone.
    pub fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            let pid = as_pid(self.child.id());
            // Losing the race with the child's own end is no failure.
            let _ = kill(pid, signal);
        }
    }

    fn stop(&mut self) {
        self.signal(self.stop);
        if wait::within(PATIENCE, || self.ended()).is_none() {
            self.signal(Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.stop();
        if let Some(mut pipe) = self.pipe.take() {
            let _ = pipe.write_all(b"gone\n");
        }
        let _ = self.guard.wait();
    }
}

fn as_pid(id: u32) -> Pid {
    Pid::from_raw(i32::try_from(id).expect("a process id of the kernel"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(script: &str) -> Guarded {
        let directory = TempDir::new().expect("a directory");
        let log = directory.path().join("log");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        Guarded::start(command, directory, &log, Signal::SIGTERM)
    }

    #[test]
    fn drop_ends_the_child_and_removes_its_directory() {
        let guarded = sleeper("exec sleep 600");
        let (pid, directory) = (guarded.pid(), guarded.directory().to_owned());
        drop(guarded);
        assert!(kill(as_pid(pid), None).is_err());
        assert!(!directory.exists());
    }

    #[test]
    fn a_closed_pipe_alone_ends_the_child() {
        let mut guarded = sleeper("exec sleep 600");
        let directory = guarded.directory().to_owned();
        guarded.pipe = None; // what the kernel does when the test process dies
        wait::until("the child's end", wait::LONG, || guarded.ended().is_some());
        wait::until("the directory's end", wait::LONG, || !directory.exists());
    }

    #[test]
    fn reports_how_the_child_ended() {
        let mut guarded = sleeper("exit 7");
        let status = wait::until_some("the child's end", wait::LONG, || guarded.ended());
        assert_eq!(status.code(), Some(7));
    }
}
