//! What the kernel says about a running process: CPU time, switches, memory.

use nix::sys::time::TimeSpec;
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use std::fs;
use std::time::Duration;

/// What a process has used so far, all its threads together, also those that are gone.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// CPU time, to the nanosecond.
    pub cpu: Duration,
    /// Of it, the share spent in user space as the kernel estimates it by ticks.
    user_ticks: u64,
    system_ticks: u64,
    /// Times that a living thread went to sleep by itself.
    pub switches: u64,
}

impl Usage {
    /// Reads the usage of a living process.
    #[track_caller]
    pub fn of(pid: u32) -> Self {
        let (user_ticks, system_ticks) = ticks(pid);
        Self {
            cpu: cpu_time(pid),
            user_ticks,
            system_ticks,
            switches: switches(pid),
        }
    }

    /// What was used since `before`.
    pub fn since(self, before: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            user_ticks: self.user_ticks.saturating_sub(before.user_ticks),
            system_ticks: self.system_ticks.saturating_sub(before.system_ticks),
            switches: self.switches.saturating_sub(before.switches),
        }
    }

    /// Share of CPU time in the kernel, 0 to 1; `None` if too little was used to tell.
    pub fn system_share(&self) -> Option<f64> {
        let all = self.user_ticks + self.system_ticks;
        (all >= 10).then(|| self.system_ticks as f64 / all as f64)
    }
}

fn cpu_time(pid: u32) -> Duration {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a process id of the kernel"));
    let clock = clock_getcpuclockid(pid).expect("the CPU clock of the proxy");
    let time: TimeSpec = clock_gettime(clock).expect("the CPU time of the proxy");
    Duration::from(time)
}

/// utime and stime of /proc/PID/stat, fields 14 and 15 (proc(5)).
fn ticks(pid: u32) -> (u64, u64) {
    let text = read(&format!("/proc/{pid}/stat"));
    // The command's name, field 2, may hold anything; it ends at the last parenthesis.
    let (_, rest) = text.rsplit_once(')').expect("a command's name in stat");
    let mut fields = rest.split_whitespace().skip(11);
    let mut next = || fields.next().and_then(|field| field.parse().ok());
    (
        next().expect("utime in stat"),
        next().expect("stime in stat"),
    )
}

fn switches(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the threads of the proxy");
    let of_task = |path: std::path::PathBuf| {
        let text = fs::read_to_string(path.join("status")).ok()?;
        value(&text, "voluntary_ctxt_switches:")
    };
    // A thread may end between the two reads.
    let tasks = tasks.flatten().filter_map(|task| of_task(task.path()));
    tasks.sum()
}

/// Resident memory in KiB.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Proportional set size: shared pages count by their share.
    pub pss_kib: u64,
    /// Anonymous pages: heap and stacks.
    pub anonymous_kib: u64,
}

impl Memory {
    /// Reads the memory of a living process. Where its pages can't be inspected (the proxy forbids
    /// it to other accounts than root), the resident set stands in for the proportional one.
    #[track_caller]
    pub fn of(pid: u32) -> Self {
        let status = read(&format!("/proc/{pid}/status"));
        let pss = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
        let pss = pss.ok().and_then(|text| value(&text, "Pss:"));
        let resident = || value(&status, "VmRSS:").expect("VmRSS in status");
        Self {
            pss_kib: pss.unwrap_or_else(resident),
            anonymous_kib: value(&status, "RssAnon:").expect("RssAnon in status"),
        }
    }
}

/// The first child of a process, once it has one.
pub fn child(pid: u32) -> Option<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    text.split_whitespace().next()?.parse().ok()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn value(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process;

    #[test]
    fn the_own_process_is_readable() {
        let before = Usage::of(process::id());
        let mut sum = 0u64;
        while Usage::of(process::id()).since(before).cpu < Duration::from_millis(5) {
            sum = sum.wrapping_add(1);
        }
        assert!(sum > 0);
        let memory = Memory::of(process::id());
        assert!(memory.pss_kib > 0 && memory.anonymous_kib > 0);
    }

    #[test]
    fn a_value_is_found_by_its_whole_name() {
        let text = "Pss_Anon: 3 kB\nPss:    17 kB\n";
        assert_eq!(value(text, "Pss:"), Some(17));
        assert_eq!(value(text, "Rss:"), None);
    }
}
