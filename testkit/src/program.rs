//! Running a program to its end, with a deadline: one that waits for ever fails its test and says what it had said,
//! instead of holding up all others.

use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a program of a test may run. The longest take half a minute on a loaded machine.
const LIMIT: Duration = Duration::from_secs(300);

/// What it said, and how it ended. Panics if it can't be started, or doesn't end.
#[track_caller]
pub fn output(command: &mut Command) -> Output {
    output_within(command, LIMIT)
}

#[track_caller]
fn output_within(command: &mut Command, limit: Duration) -> Output {
    let name = command.get_program().to_string_lossy().into_owned();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let child = child.unwrap_or_else(|error| panic!("{name}: {error}"));
    let id = i32::try_from(child.id()).expect("a process id");
    let (ended, end) = mpsc::channel();
    let waiting = thread::spawn(move || drop(ended.send(child.wait_with_output())));
    let output = end.recv_timeout(limit).ok();
    let is_late = output.is_none();
    if is_late {
        // It is a child that nobody has waited for, so its number is still its own.
        let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
    }
    let output = output.or_else(|| end.recv_timeout(Duration::from_secs(10)).ok());
    if is_late {
        let said = output.and_then(Result::ok).map(|it| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            format!("{}\n{}", text(&it.stdout), text(&it.stderr))
        });
        panic!(
            "{name} did not end within {limit:?}; it said:\n{}",
            said.unwrap_or_default()
        );
    }
    waiting.join().expect("the thread that waits");
    let output = output.expect("an end");
    output.unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_what_was_said() {
        let output = output(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]));
        assert_eq!(
            (&output.stdout[..], &output.stderr[..]),
            (&b"out\n"[..], &b"err\n"[..])
        );
        assert_eq!(output.status.code(), Some(3));
    }

    #[test]
    #[should_panic(expected = "it said:\nbefore")]
    fn one_that_never_ends_is_killed_and_shown() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo before; exec sleep 1000"]);
        output_within(&mut command, Duration::from_millis(300));
    }
}
