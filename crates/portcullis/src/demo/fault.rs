//! Owns why a demonstration ended: one sentence each, with what to do.

use std::io;
use std::path::PathBuf;

/// Why a demonstration ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoFault {
    /// No server programs.
    #[error(
        "found no PostgreSQL to show: neither on PATH, nor by pg_config --bindir, nor in \
         /usr/lib/postgresql; install it (Debian, Ubuntu: apt-get install postgresql; Fedora: dnf \
         install postgresql-server)"
    )]
    NoPostgres,
    /// Root, without anybody to run PostgreSQL as.
    #[error(
        "PostgreSQL refuses to run as root, and there is no account postgres or nobody to run it \
         as; run the demo as an ordinary user"
    )]
    NoAccount,
    /// A file or directory of the demo.
    #[error("cannot {what} {}: {cause}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// The operating system's words.
        cause: io::Error,
    },
    /// A program does not start.
    #[error("cannot run {}: {cause}", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// The operating system's words.
        cause: io::Error,
    },
    /// A program ran and failed.
    #[error("{program} failed; it said: {said}")]
    Failed {
        /// The program.
        program: &'static str,
        /// The end of what it said.
        said: String,
    },
    /// A program took too long.
    #[error("{program} took longer than {limit_s} seconds; it said: {said}")]
    Slow {
        /// The program.
        program: &'static str,
        /// How long it was given.
        limit_s: u64,
        /// The end of what it said.
        said: String,
    },
    /// A certificate.
    #[error(transparent)]
    Mint(#[from] tls::mint::MintFault),
    /// The proxy's TLS, or the probe's.
    #[error(transparent)]
    Context(#[from] tls::ContextFault),
    /// A connection that should have worked.
    #[error("{leg}: {cause}")]
    Leg {
        /// Which.
        leg: &'static str,
        /// Why.
        cause: String,
    },
    /// A leg that is not what it claims to be.
    #[error("not as claimed: {0}")]
    NotAsClaimed(String),
    /// The operating system.
    #[error("the operating system failed: {0}")]
    System(#[from] io::Error),
    /// Somebody wished the end before it was reached.
    #[error("interrupted; everything that was made is removed")]
    Interrupted,
}

impl DemoFault {
    /// For `map_err` of a file operation.
    pub(crate) fn file(
        what: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(io::Error) -> DemoFault {
        let path = path.to_owned();
        move |cause| DemoFault::File { what, path, cause }
    }
}
