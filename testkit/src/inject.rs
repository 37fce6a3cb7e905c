//! What an attacker could do who has taken over another process: system calls, made by any of its
//! threads, with any arguments (`ptrace(2)`). The process goes on afterwards as if nothing had been.
//!
//! For children of the test, or for root. x86-64 only, because of the registers' names.

use std::fs::File;
use std::os::unix::fs::FileExt;

use nix::libc::user_regs_struct as Registers;
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::wait;

/// The machine's instruction `syscall`.
const SYSCALL: [u8; 2] = [0x0f, 0x05];
/// Below what compilers may use without saying so (the red zone).
const BELOW_STACK: u64 = 4096;

/// The threads of a process.
#[track_caller]
pub fn threads(process: u32) -> Vec<i32> {
    let place = format!("/proc/{process}/task");
    let entries = std::fs::read_dir(place).expect("its threads").flatten();
    let names = entries.filter_map(|it| it.file_name().to_str()?.parse().ok());
    names.collect()
}

/// A thread that stands still, waiting in a system call; it goes on when this is dropped.
pub struct Stopped {
    thread: Pid,
    registers: Registers,
    memory: File,
}

impl Stopped {
    /// Stops a thread once it waits.
    #[track_caller]
    pub fn thread(thread: i32) -> Self {
        let thread = Pid::from_raw(thread);
        wait::until_some("a thread that waits", wait::LONG, || Self::try_stop(thread))
    }

    /// `None` if it was found between two system calls.
    fn try_stop(thread: Pid) -> Option<Self> {
        // Not PTRACE_ATTACH: its SIGSTOP would outlive a test that fails.
        ptrace::seize(thread, ptrace::Options::empty()).expect("the right to trace it");
        ptrace::interrupt(thread).expect("a seized thread");
        await_stop(thread);
        let registers = ptrace::getregs(thread).expect("its registers");
        let path = format!("/proc/{thread}/mem");
        let memory = File::options().read(true).write(true).open(path);
        let stopped = Self {
            thread,
            registers,
            memory: memory.expect("its memory"),
        };
        let mut code = SYSCALL.map(|byte| !byte);
        let at = stopped.registers.rip.wrapping_sub(2);
        let read = stopped.memory.read_exact_at(&mut code, at);
        (read.is_ok() && code == SYSCALL).then_some(stopped)
    }

    /// Writes bytes where the thread can read them and doesn't miss them; gives the address.
    #[track_caller]
    pub fn place(&self, bytes: &[u8]) -> u64 {
        let at = self.registers.rsp - BELOW_STACK;
        self.memory.write_all_at(bytes, at).expect("its stack");
        at
    }

    /// Makes the system call and gives the kernel's answer, negative for an error.
    #[track_caller]
    pub fn call(&self, number: i64, arguments: &[u64]) -> i64 {
        let argument = |at: usize| arguments.get(at).copied().unwrap_or(0);
        let registers = Registers {
            rip: self.registers.rip - 2,
            rax: number.cast_unsigned(),
            // No call is to be taken up again after this stop.
            orig_rax: u64::MAX,
            rdi: argument(0),
            rsi: argument(1),
            rdx: argument(2),
            r10: argument(3),
            r8: argument(4),
            r9: argument(5),
            ..self.registers
        };
        ptrace::setregs(self.thread, registers).expect("its registers");
        ptrace::step(self.thread, None).expect("one step");
        await_stop(self.thread);
        let after = ptrace::getregs(self.thread).expect("its registers");
        after.rax.cast_signed()
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // Where it is gone by now, nothing has to be put back.
        let _ = ptrace::setregs(self.thread, self.registers);
        let _ = ptrace::detach(self.thread, None);
    }
}

#[track_caller]
fn await_stop(thread: Pid) {
    match waitpid(thread, Some(WaitPidFlag::__WALL)) {
        Ok(WaitStatus::Stopped(..) | WaitStatus::PtraceEvent(..)) => {}
        other => panic!("the thread did not stop: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::libc;
    use std::process::{Command, Stdio};

    #[test]
    fn a_process_makes_calls_for_somebody_else_and_goes_on() {
        let mut child = Command::new("/bin/cat");
        let mut child = child.stdin(Stdio::piped()).spawn().expect("cat");
        let [thread] = threads(child.id())[..] else {
            panic!("one thread");
        };
        let stopped = Stopped::thread(thread);
        assert_eq!(stopped.call(libc::SYS_getpid, &[]), i64::from(thread));
        let path = stopped.place(b"/nonexistent/file\0");
        let at_cwd = i64::from(libc::AT_FDCWD).cast_unsigned();
        let answer = stopped.call(libc::SYS_openat, &[at_cwd, path]);
        assert_eq!(answer, -i64::from(libc::ENOENT));
        drop(stopped);
        drop(child.stdin.take());
        assert!(child.wait().expect("its end").success());
    }
}
