//! What the running proxy gives up for good, so that whoever breaks into it gains little: every file
//! outside of a [`Plan`] (Landlock), the system calls that a proxy never needs (seccomp), and all ways
//! to more privileges.
//!
//! A sandbox confines the thread that enters it and whatever that thread starts afterwards: [`enter`]
//! is for a process with one thread. It never reads a configuration and never writes to a log.

mod calls;
mod files;
mod plan;

pub use calls::refused as refused_calls;
pub use plan::Plan;

use nix::sys::prctl;

/// What becomes of things outside of the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The kernel refuses them: files with EACCES, system calls with EPERM.
    Enforce,
    /// System calls are noted in the kernel's log (SECCOMP_RET_LOG); files are not confined.
    Log,
}

/// What the kernel of this machine made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entered {
    /// Version of Landlock's interface that confines files; `None`: the kernel has no Landlock, or it
    /// was not asked to confine.
    pub landlock: Option<u32>,
    /// How many system calls are refused (or noted); `None`: the kernel has no seccomp filters.
    pub calls: Option<usize>,
}

/// Why a sandbox could not be entered although the kernel has what it needs.
#[derive(Debug, thiserror::Error)]
pub enum SandboxFault {
    /// The other threads would stay outside.
    #[error("there are {0} threads already, and a sandbox confines only one")]
    Threads(usize),
    /// `PR_SET_NO_NEW_PRIVS`.
    #[error("new privileges cannot be given up: {0}")]
    Privileges(#[source] nix::Error),
    /// Landlock has refused the plan.
    #[error("files cannot be confined (Landlock): {0}")]
    Files(#[source] landlock::RulesetError),
    /// The filter is wrong for this machine.
    #[error("system calls cannot be filtered (seccomp): {0}")]
    Calls(#[source] seccompiler::Error),
}

/// Confines this thread and all that it starts from now on. What the kernel lacks is passed over, and
/// missing in the answer.
pub fn enter(plan: &Plan, mode: Mode) -> Result<Entered, SandboxFault> {
    match threads() {
        Some(threads) if threads != 1 => return Err(SandboxFault::Threads(threads)),
        _ => {}
    }
    prctl::set_no_new_privs().map_err(SandboxFault::Privileges)?;
    Ok(Entered {
        landlock: match mode {
            Mode::Enforce => files::confine(plan).map_err(SandboxFault::Files)?,
            Mode::Log => None,
        },
        // Last: what comes before needs nothing that is refused, but the less is done after it the
        // better.
        calls: calls::filter(mode).map_err(SandboxFault::Calls)?,
    })
}

/// Threads of this process, if the system says.
fn threads() -> Option<usize> {
    std::fs::read_dir("/proc/self/task")
        .ok()
        .map(Iterator::count)
}
