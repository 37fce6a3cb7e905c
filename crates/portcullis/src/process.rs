//! Owns what the process asks of the kernel before it serves anybody: no core dumps, as many open
//! files as allowed.

use config::{Config, MaxClientConn};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

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
