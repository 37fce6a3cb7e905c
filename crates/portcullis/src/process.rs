//! Owns what the process asks of the kernel before it serves anybody: no core dumps, as many open
//! files as allowed, memory that stays out of swap.

use crate::fault::Fault;
use config::{Config, MaxClientConn, Workers};
use nix::sys::prctl;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use tls::KeyHeap;

/// Room for passwords and verifiers, in bytes.
const SECRETS: usize = 1 << 20;

/// Descriptors that are not clients': listeners, log, runtimes, files being read.
const OTHER_FILES: u64 = 128;

/// Descriptors of one client: its socket, its server's, and room for a cancel now and then.
const FILES_PER_CLIENT: u64 = 2;

/// Keeps memory out of core files and away from debuggers of the same user; the one setting that
/// works where core files go through a pipe, too (`prctl(2)`, PR_SET_DUMPABLE).
pub(crate) fn forbid_core_dumps(config: &Config) {
    if config.process.core_dumps {
        return;
    }
    if let Err(error) = prctl::set_dumpable(false) {
        tracing::warn!(%error, "cannot switch core dumps off (PR_SET_DUMPABLE)");
    }
    if let Err(error) = setrlimit(Resource::RLIMIT_CORE, 0, 0) {
        tracing::warn!(%error, "cannot switch core dumps off (RLIMIT_CORE)");
    }
}

/// Keeps secrets and buffers out of swap from now on, if the configuration says so. `keys` is how
/// private keys are kept.
pub(crate) fn lock_memory(config: &Config, keys: KeyHeap) -> Result<(), Fault> {
    if !config.process.lock_memory {
        return Ok(());
    }
    // Before OpenSSL's heap was made nobody could raise it: that takes what the limit was then.
    let raised = getrlimit(Resource::RLIMIT_MEMLOCK).map(|(_, hard)| {
        let _ = setrlimit(Resource::RLIMIT_MEMLOCK, hard, hard);
        hard
    });
    let workers = workers(config);
    let needed = SECRETS + workers * shell::KEPT_BYTES;
    match (guard::lock(needed), keys) {
        (Ok(()), KeyHeap::Locked) => Ok(()),
        _ => Err(Fault::NotLockable {
            needed_mib: (needed as u64).div_ceil(1 << 20) + 1,
            workers,
            limit: raised.ok().filter(|limit| *limit != RLIM_INFINITY),
        }),
    }
}

/// Worker threads of this configuration.
fn workers(config: &Config) -> usize {
    match config.listen.workers {
        Workers::PerCore => std::thread::available_parallelism().map_or(1, usize::from),
        Workers::Exactly(count) => count as usize,
    }
}

/// How many clients these many descriptors are enough for.
fn fitting(files: u64) -> usize {
    let clients = files.saturating_sub(OTHER_FILES) / FILES_PER_CLIENT;
    usize::try_from(clients).unwrap_or(usize::MAX).max(1)
}

/// Raises the limit of open files to what is allowed, and says how many clients fit into it.
pub(crate) fn clients_max(config: &Config) -> usize {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    let files = match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(_) => soft,
    };
    let fitting = fitting(files);
    match config.listen.max_client_conn {
        MaxClientConn::Fitted => fitting,
        MaxClientConn::Exactly(wanted) => {
            let wanted = wanted as usize;
            if wanted > fitting {
                tracing::warn!(
                    max_client_conn = wanted,
                    open_files = files,
                    "max_client_conn is more than the limit of open files allows ({fitting} clients); \
                     raise it (LimitNOFILE= in a service unit, ulimit -n in a shell)"
                );
            }
            wanted
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_fit_to_what_is_left_of_the_descriptors() {
        for (files, clients) in [
            (0, 1),
            (128, 1),
            (131, 1),
            (132, 2),
            (1024, 448),
            (20_000, 9_936),
        ] {
            assert_eq!(fitting(files), clients, "{files}");
        }
    }
}
