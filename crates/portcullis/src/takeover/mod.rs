//! Owns the change from a running process to its successor without a refused connection: the new one asks
//! over a Unix-domain socket ([`ask()`]), the old one gives it the listening sockets and goes on accepting
//! until the new one does ([`Desk`]); from then on the old one only ends its sessions, and is told of cancel
//! requests for them (`link`).
//!
//! Whoever is at the other end is believed if it has our user id, and nobody else is heard.

mod ask;
mod descriptors;
mod frames;
mod give;
mod link;
mod talk;

pub(crate) use ask::{Elder, ask};
pub(crate) use descriptors::own;
pub(crate) use give::{Desk, Heir};
pub(crate) use link::link_to_elder;

use std::io;
use std::path::PathBuf;

/// Why a process did not take over. The one that it asked goes on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakeoverFault {
    /// The socket can't be reached.
    #[error("listen.takeover_socket: cannot connect to {}: {cause}; check who owns it and its directory", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// The operating system's error.
        cause: io::Error,
    },
    /// The socket can't be made.
    #[error("listen.takeover_socket: cannot listen on {}: {cause}; its directory must be there and writable", path.display())]
    NotMade {
        /// The socket.
        path: PathBuf,
        /// The operating system's error.
        cause: io::Error,
    },
    /// Somebody else listens there.
    #[error(
        "listen.takeover_socket: {} belongs to a process of user id {uid}, and this one has {own}; \
         sockets are taken over from the same account only",
        path.display()
    )]
    Stranger {
        /// The socket.
        path: PathBuf,
        /// Who listens.
        uid: u32,
        /// Who we are.
        own: u32,
    },
    /// The other process doesn't say what it should.
    #[error(
        "process {pid} at listen.takeover_socket did not give its sockets away: {why}; it goes on as before"
    )]
    NotGiven {
        /// The other process.
        pid: i32,
        /// What it did instead.
        why: Why,
    },
}

/// What somebody did instead of what it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Why {
    /// It closed the connection.
    #[error("it closed the connection")]
    Closed,
    /// It was silent for too long.
    #[error("it did not answer in time")]
    Silent,
    /// It waited no longer.
    #[error("it waited no longer for this one to be ready")]
    TooLate,
    /// It speaks another version.
    #[error(
        "it speaks version {0} of the take-over, and the other side another; stop one before the other is started"
    )]
    Version(u8),
    /// It said something else.
    #[error("what it said is not understood")]
    Garbage,
    /// It belongs to somebody else.
    #[error("it belongs to user id {0}")]
    Stranger(u32),
    /// The system refused something.
    #[error("{0}")]
    System(io::Error),
}

impl From<io::Error> for Why {
    fn from(error: io::Error) -> Why {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Why::Silent,
            io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::UnexpectedEof => Why::Closed,
            io::ErrorKind::InvalidData => Why::Garbage,
            _ => Why::System(error),
        }
    }
}
