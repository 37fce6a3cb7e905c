//! A process with all that descend from it, stopped, woken or killed as one, as a container
//! runtime does it. PostgreSQL's processes are each the leader of a session of their own, so
//! no signal to a process group reaches them all; /proc tells who belongs together.

use std::collections::HashMap;
use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait;

#[derive(Debug, Clone, Copy)]
struct Process {
    pid: Pid,
    parent: Pid,
    state: char,
}

impl Process {
    /// As proc(5) describes `/proc/PID/stat`; `None` for a process that is gone.
    fn read(pid: Pid) -> Option<Self> {
        Self::parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The program's name, between parentheses, may hold any byte.
    fn parse(pid: Pid, stat: &str) -> Option<Self> {
        let (_, behind_name) = stat.rsplit_once(')')?;
        let mut fields = behind_name.split_whitespace();
        Some(Self {
            pid,
            state: fields.next()?.chars().next()?,
            parent: Pid::from_raw(fields.next()?.parse().ok()?),
        })
    }

    /// A zombie holds nothing but its number; some containers never reap the orphans.
    fn is_gone(self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }

    fn is_still(self) -> bool {
        self.is_gone() || matches!(self.state, 'T' | 't')
    }
}

/// Stops the process and all of its descendants, and gives their ids once they stand still.
#[track_caller]
pub(crate) fn stop(root: Pid) -> Vec<Pid> {
    send(root, Signal::SIGSTOP);
    // A parent that stands still has no more children.
    wait::until("a stopped process", wait::LONG, || {
        Process::read(root).is_none_or(Process::is_still)
    });
    wait::until_some("stopped processes", wait::LONG, || {
        let family = of(root);
        let moving = family.iter().filter(|process| !process.is_still());
        let moved = moving.map(|process| send(process.pid, Signal::SIGSTOP));
        (moved.count() == 0).then(|| family.iter().map(|process| process.pid).collect())
    })
}

/// Lets all of them go on, the descendants first, so that the parent finds them as it left them.
pub(crate) fn wake(root: Pid) {
    for process in of(root).iter().rev() {
        send(process.pid, Signal::SIGCONT);
    }
}

/// Ends all of them by SIGKILL and waits until nothing is left but, at most, zombies.
#[track_caller]
pub(crate) fn end(root: Pid) {
    // Whatever is orphaned before it is known would live on.
    let family = stop(root);
    for pid in &family {
        send(*pid, Signal::SIGKILL);
    }
    wait::until("the end of killed processes", wait::LONG, || {
        let left = family.iter().filter_map(|pid| Process::read(*pid));
        left.into_iter().all(Process::is_gone)
    });
}

/// The process, then its children, then theirs.
fn of(root: Pid) -> Vec<Process> {
    let mut children: HashMap<Pid, Vec<Process>> = HashMap::new();
    for process in everybody() {
        children.entry(process.parent).or_default().push(process);
    }
    let mut family: Vec<Process> = Process::read(root).into_iter().collect();
    let mut looked_at = 0;
    while let Some(process) = family.get(looked_at) {
        looked_at += 1;
        family.extend(children.remove(&process.pid).unwrap_or_default());
    }
    family
}

fn everybody() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").expect("/proc");
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Process::read(Pid::from_raw(pid)))
}

/// Losing the race with the process's own end is no failure.
fn send(pid: Pid, signal: Signal) {
    let _ = kill(pid, signal);
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    /// A shell with a child and a grandchild, the latter in a session of its own.
    fn family_of_three() -> (Child, Pid) {
        let script = "(setsid sleep 600 & wait) & wait";
        let shell = Command::new("/bin/sh").args(["-c", script]).spawn();
        let shell = shell.expect("a shell");
        let root = Pid::from_raw(i32::try_from(shell.id()).expect("a process id"));
        wait::until("a grandchild", wait::LONG, || {
            let family = of(root);
            let last = family.last().map(|process| process.pid);
            let name = last.and_then(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).ok());
            family.len() == 3 && name.is_some_and(|name| name == "sleep\n")
        });
        (shell, root)
    }

    #[test]
    fn all_stand_still_and_go_on_and_end() {
        let (mut shell, root) = family_of_three();
        let family = stop(root);
        assert_eq!(family.len(), 3);
        let state = |pid: &Pid| Process::read(*pid).map(|process| process.state);
        assert!(family.iter().all(|pid| state(pid) == Some('T')));
        wake(root);
        wait::until("awake processes", wait::LONG, || {
            family.iter().all(|pid| state(pid) == Some('S'))
        });
        stop(root);
        end(root);
        let gone = |pid: &Pid| Process::read(*pid).is_none_or(Process::is_gone);
        assert!(family.iter().all(gone));
        shell.wait().expect("the shell's end");
    }

    #[test]
    fn a_name_may_hold_anything() {
        let pid = Pid::from_raw(7);
        let process = Process::parse(pid, "7 (a) T 9 (b) S 3 7 7 0 -1").expect("a process");
        assert_eq!((process.state, process.parent), ('S', Pid::from_raw(3)));
        assert!(Process::parse(pid, "7 (cut").is_none());
    }
}
