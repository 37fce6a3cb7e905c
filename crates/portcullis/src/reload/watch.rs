//! Owns the kernel's notices about directories (`inotify(7)`). Directories, not files: a file that is
//! renamed over another, or reached through a link that is, is a new file.
//!
//! Says that something happened, not what: whether it matters is judged by looking at the files.

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use tokio::net::unix::pipe::Receiver;

/// Watched directories. What the kernel has to say is read as from a pipe.
pub(crate) struct Watch(Receiver);

impl Watch {
    /// Watches these directories; those that are not there are passed over. Within a runtime.
    pub(crate) fn over(directories: &BTreeSet<PathBuf>) -> io::Result<Watch> {
        // Not IN_MODIFY: a log in the same directory would tell of each line. Who writes a file
        // closes it.
        let wanted = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_ONLYDIR;
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        for directory in directories {
            match inotify.add_watch(directory, wanted) {
                Ok(_) | Err(nix::Error::ENOENT | nix::Error::ENOTDIR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let notices = inotify.as_fd().try_clone_to_owned()?;
        Receiver::from_owned_fd_unchecked(notices).map(Watch)
    }

    /// Waits until something has happened, and forgets it.
    pub(crate) async fn notice(&mut self) -> io::Result<()> {
        // At least one event with the longest name (`inotify(7)`).
        let mut events = [0; 4096];
        self.0.readable().await?;
        loop {
            match self.0.try_read(&mut events) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}
