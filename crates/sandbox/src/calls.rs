//! Owns the list of system calls that a proxy never needs, and the filter that refuses them with
//! EPERM (`seccomp(2)`). A list of what is refused, not of what is allowed: libraries of the system
//! are updated under a running program, and may need other calls tomorrow than today.

use crate::Mode;
use nix::errno::Errno;
use nix::libc::{
    self, AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, SECCOMP_RET_ERRNO, SECCOMP_RET_LOG, c_long,
};
use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp,
    SeccompCondition, SeccompFilter, SeccompRule, TargetArch, sock_filter,
};
use std::collections::BTreeMap;

/// Other programs.
const PROGRAMS: &[c_long] = &[libc::SYS_execve, libc::SYS_execveat];

/// Other processes: their memory, their descriptors, their secrets.
const PROCESSES: &[c_long] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_process_mrelease,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_perf_event_open,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
];

/// Other views of the file system, and ways around it.
const FILES: &[c_long] = &[
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    OPEN_TREE_ATTR,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_mknodat,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    libc::SYS_lookup_dcookie,
];

/// The machine as a whole.
const MACHINE: &[c_long] = &[
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    libc::SYS_nfsservctl,
];

/// Parts of the kernel that are large, often broken into, and of no use here. io_uring would also
/// pass by this filter.
const RISKS: &[c_long] = &[
    libc::SYS_bpf,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_personality,
];

/// What only this processor has.
#[cfg(target_arch = "x86_64")]
const PROCESSOR: &[c_long] = &[
    libc::SYS_uselib,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_mknod,
    libc::SYS_sysfs,
    libc::SYS__sysctl,
    libc::SYS_ustat,
];
#[cfg(not(target_arch = "x86_64"))]
const PROCESSOR: &[c_long] = &[];

/// open_tree_attr(2) of Linux 6.15, not in the C library's list yet; the same on all processors.
const OPEN_TREE_ATTR: c_long = 467;

/// Flags of clone(2) that make new namespaces, in which a process has privileges.
const NAMESPACES: i32 = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

/// Families of sockets that a proxy may need; of all others the kernel has some hundred thousand lines.
const FAMILIES: [i32; 4] = [AF_UNIX, AF_INET, AF_INET6, AF_NETLINK];

/// On x86-64 every system call has a second number, for programs with 32-bit pointers (x32).
#[cfg(target_arch = "x86_64")]
const X32: u32 = 0x4000_0000;

/// System calls that are refused whatever their arguments.
pub fn refused() -> impl Iterator<Item = c_long> {
    let groups = [PROGRAMS, PROCESSES, FILES, MACHINE, RISKS, PROCESSOR];
    groups.into_iter().flatten().copied()
}

/// Filters the thread's system calls. Gives how many are refused; `None`: this kernel filters none.
pub(crate) fn filter(mode: Mode) -> Result<Option<usize>, Error> {
    match seccompiler::apply_filter(&program(mode)?) {
        Ok(()) => Ok(Some(refused().count())),
        Err(Error::Seccomp(error) | Error::Prctl(error))
            if matches!(
                Errno::from_raw(error.raw_os_error().unwrap_or(0)),
                // Without the system call, without filters, or with a filter that refuses this.
                Errno::ENOSYS | Errno::EINVAL | Errno::EPERM
            ) =>
        {
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

/// The filter. The kernel keeps the answer for calls that depend on nothing but their number, so that
/// what a session does costs no step of it.
fn program(mode: Mode) -> Result<BpfProgram, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        refused().map(|number| (number, Vec::new())).collect();
    rules.insert(libc::SYS_clone, namespaces()?);
    rules.insert(libc::SYS_socket, vec![other_families()?]);
    rules.insert(libc::SYS_socketpair, vec![other_families()?]);
    rules.insert(libc::SYS_ioctl, keystrokes()?);
    let refuse = match mode {
        Mode::Enforce => SeccompAction::Errno(errno(Errno::EPERM)),
        Mode::Log => SeccompAction::Log,
    };
    let processor = TargetArch::try_from(std::env::consts::ARCH)?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, processor)?;
    let mut program = by_number(mode);
    program.extend(BpfProgram::try_from(filter)?);
    Ok(program)
}

/// What the filter's maker has no words for: a range of numbers, and another error.
fn by_number(mode: Mode) -> BpfProgram {
    let answer = |error: Errno| match mode {
        Mode::Enforce => SECCOMP_RET_ERRNO | errno(error),
        Mode::Log => SECCOMP_RET_LOG,
    };
    // linux/bpf_common.h: BPF_LD | BPF_W | BPF_ABS, BPF_JMP | BPF_JGE, BPF_JMP | BPF_JEQ, BPF_RET.
    let step = |code, jf, k| sock_filter { code, jt: 0, jf, k };
    let load_number = step(0x20, 0, 0);
    let mut program = vec![load_number];
    #[cfg(target_arch = "x86_64")]
    program.extend([step(0x35, 1, X32), step(0x06, 0, answer(Errno::EPERM))]);
    // Its flags lie in memory, where no filter sees them. With ENOSYS the C library uses clone(2). The
    // call is harmless in itself, and not worth a note for each thread.
    if mode == Mode::Enforce {
        let clone3 = u32::try_from(libc::SYS_clone3).unwrap_or(u32::MAX);
        program.extend([step(0x15, 1, clone3), step(0x06, 0, answer(Errno::ENOSYS))]);
    }
    program
}

fn errno(error: Errno) -> u32 {
    (error as i32).unsigned_abs()
}

/// A rule for each namespace: flags are bits, and one is enough.
fn namespaces() -> Result<Vec<SeccompRule>, BackendError> {
    let bits = (0..32).map(|bit| 1_u64 << bit);
    let wanted = bits.filter(|bit| bit & u64::from(NAMESPACES.cast_unsigned()) != 0);
    wanted
        .map(|bit| SeccompRule::new(vec![argument(0, SeccompCmpOp::MaskedEq(bit), bit)?]))
        .collect()
}

fn other_families() -> Result<SeccompRule, BackendError> {
    let others = FAMILIES
        .iter()
        .map(|family| argument(0, SeccompCmpOp::Ne, u64::from(family.cast_unsigned())));
    SeccompRule::new(others.collect::<Result<_, _>>()?)
}

/// What types commands into the terminal that the proxy was started from.
fn keystrokes() -> Result<Vec<SeccompRule>, BackendError> {
    [libc::TIOCSTI, libc::TIOCLINUX]
        .into_iter()
        .map(|request| {
            #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
            SeccompRule::new(vec![argument(1, SeccompCmpOp::Eq, request as u64)?])
        })
        .collect()
}

/// The kernel looks at the lower half of these arguments only, and so does the rule.
fn argument(index: u8, op: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, op, value)
}
