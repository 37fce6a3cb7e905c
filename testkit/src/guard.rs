//! A child process and its directory that never outlive the test process.
//!
//! `Drop` does not run for statics, nor when a test process is killed. So each
//! directory has a guard: a small shell in its own process group that waits on a pipe
//! whose other end only the test process holds. When that end closes, however the
//! process ended, the guard stops the child and removes the directory.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::{family, wait};

const PATIENCE: Duration = Duration::from_secs(5);

/// Longest path that leaves room for a socket's name within `sun_path` (108 bytes).
const PATH_LEN_MAX: usize = 80;

/// $1 = directory. Lines on stdin: "PID SIGNAL" of the child, or "gone" after all is cleared.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
pid=
while read -r word rest; do
    if [ "$word" = gone ]; then exit 0; fi
    pid=$word signal=$rest
done
# A zombie is gone enough: some containers never reap the orphans.
alive() { case $(grep '^State:' "/proc/$pid/status" 2>/dev/null) in ''|*Z*) return 1;; esac; }
if [ -n "$pid" ]; then
    kill -s "$signal" "$pid" 2>/dev/null
    # Whoever stands still, as a server that hangs, hears nothing before it is woken.
    for stat in /proc/[0-9]*/stat; do
        { read -r each _ _ parent _ <"$stat"; } 2>/dev/null || continue
        if [ "$parent" = "$pid" ]; then kill -s CONT "$each" 2>/dev/null; fi
    done
    kill -s CONT "$pid" 2>/dev/null
    tries=0
    while alive && [ "$tries" -lt 100 ]; do sleep 0.05; tries=$((tries + 1)); done
    kill -s KILL "$pid" 2>/dev/null
fi
# Something that the killed test had begun, such as initdb, may still be writing.
tries=0
while rm -rf "$1"; sleep 0.2; [ -e "$1" ] && [ "$tries" -lt 50 ]; do tries=$((tries + 1)); done
"#;

/// A directory that vanishes with this value, or with the process.
#[derive(Debug)]
pub struct Workplace {
    guard: Child,
    pipe: Option<ChildStdin>,
    directory: Option<TempDir>,
}

impl Workplace {
    /// Makes an empty directory, short enough for Unix-domain sockets.
    #[track_caller]
    pub fn new(prefix: &str) -> Self {
        let directory = TempDir::with_prefix(prefix).expect("a directory");
        let directory = match directory.path().as_os_str().len() > PATH_LEN_MAX {
            true => TempDir::with_prefix_in(prefix, "/tmp").expect("a directory in /tmp"),
            false => directory,
        };
        let mut guard = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "guard"])
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
            guard,
            pipe,
            directory: Some(directory),
        }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.directory
            .as_ref()
            .expect("a directory until drop")
            .path()
    }

    /// If the guard is gone, all that is lost is the clearing up after a killed test.
    fn tell(&self, line: &str) {
        if let Some(mut pipe) = self.pipe.as_ref() {
            let _ = pipe.write_all(line.as_bytes());
        }
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        self.directory = None;
        self.tell("gone\n");
        self.pipe = None;
        let _ = self.guard.wait();
    }
}

/// A running child with the directory it works in; both gone after drop.
#[derive(Debug)]
pub struct Guarded {
    // Locked while a signal is sent: a child that nobody reaps meanwhile keeps its process id.
    child: Mutex<Child>,
    stop: Signal,
    // Dropped, and so removed, after the child has been stopped.
    place: Workplace,
}

impl Guarded {
    /// Starts `command` with its output appended to `log`; `stop` is the signal that ends it.
    #[track_caller]
    pub fn start(command: Command, place: Workplace, log: &Path, stop: Signal) -> Self {
        let child = spawn(command, log);
        tell_of(&place, &child, stop);
        Self {
            child: Mutex::new(child),
            stop,
            place,
        }
    }

    /// Starts another child in the place of one that has ended.
    #[track_caller]
    pub fn start_again(&self, command: Command, log: &Path) {
        let mut child = self.child();
        let ended = child.try_wait().expect("the child's state");
        assert!(ended.is_some(), "the child before is still there");
        *child = spawn(command, log);
        tell_of(&self.place, &child, self.stop);
    }

    /// The directory that vanishes with the child.
    pub fn directory(&self) -> &Path {
        self.place.path()
    }

    /// Process id of the child.
    pub fn pid(&self) -> u32 {
        self.child().id()
    }

    /// How the child ended, if it has.
    pub fn ended(&self) -> Option<ExitStatus> {
        self.child().try_wait().expect("the child's state")
    }

    /// Sends a signal; a child that is gone already is left alone.
    pub fn signal(&self, signal: Signal) {
        self.unless_ended(|pid| {
            // Losing the race with the child's own end is no failure.
            let _ = kill(pid, signal);
        });
    }

    /// Stops the child and all of its descendants by SIGSTOP, until [`Guarded::wake`].
    #[track_caller]
    pub fn hang(&self) {
        self.unless_ended(|pid| {
            family::stop(pid);
        });
    }

    /// Lets the child and all of its descendants go on.
    pub fn wake(&self) {
        self.unless_ended(family::wake);
    }

    /// Ends the child and all of its descendants by SIGKILL, and waits until they are gone.
    #[track_caller]
    pub fn kill(&self) {
        self.unless_ended(family::end);
    }

    #[track_caller]
    fn unless_ended(&self, act: impl FnOnce(Pid)) {
        let mut child = self.child();
        if child.try_wait().expect("the child's state").is_none() {
            act(as_pid(child.id()));
        }
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.signal(self.stop);
        self.wake();
        if wait::within(PATIENCE, || self.ended()).is_none() {
            self.signal(Signal::SIGKILL);
            let _ = self.child().wait();
        }
    }
}

#[track_caller]
fn spawn(mut command: Command, log: &Path) -> Child {
    let out = File::options().create(true).append(true).open(log);
    let out = out.expect("a log file in the child's directory");
    let err = out.try_clone().expect("a second handle of the log file");
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    command
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {:?}: {error}", command.get_program()))
}

fn tell_of(place: &Workplace, child: &Child, stop: Signal) {
    let signal = stop.as_str().trim_start_matches("SIG");
    place.tell(&format!("{} {signal}\n", child.id()));
}

fn as_pid(id: u32) -> Pid {
    Pid::from_raw(i32::try_from(id).expect("a process id of the kernel"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn sleeper(script: &str) -> Guarded {
        let place = Workplace::new("portcullis-guard-");
        let log = place.path().join("log");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        Guarded::start(command, place, &log, Signal::SIGTERM)
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
        guarded.place.pipe = None; // what the kernel does when the test process dies
        // Sooner than the guard's patience: by the signal, not by SIGKILL.
        let soon = Duration::from_secs(3);
        wait::until("the child's end", soon, || guarded.ended().is_some());
        wait::until("the directory's end", wait::LONG, || !directory.exists());
    }

    /// The child ends only after its own child, which stands still as well, has ended.
    #[test]
    fn a_closed_pipe_alone_ends_what_stands_still() {
        let script = "trap 'kill $!; wait $!; exit' TERM; sleep 600 & echo ready; wait";
        let mut guarded = sleeper(script);
        let log = guarded.directory().join("log");
        let said = || fs::read_to_string(&log).unwrap_or_default();
        wait::until("a grandchild", wait::LONG, || said() == "ready\n");
        guarded.hang();
        guarded.place.pipe = None;
        let soon = Duration::from_secs(3);
        wait::until("the child's end", soon, || guarded.ended().is_some());
    }

    #[test]
    fn reports_how_the_child_ended() {
        let guarded = sleeper("exit 7");
        let status = wait::until_some("the child's end", wait::LONG, || guarded.ended());
        assert_eq!(status.code(), Some(7));
    }
}
