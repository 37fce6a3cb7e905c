//! The account under which PostgreSQL runs. It refuses to run as root, so root's
//! tests run it as `postgres`, or as `nobody` where that account is missing; the
//! directories then belong to that account.

use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::unistd::{User, geteuid};

/// Who runs the server.
#[derive(Debug, Clone)]
pub enum Account {
    /// The account that runs the tests.
    Own,
    /// An unprivileged account, chosen because the tests run as root.
    Other(User),
}

impl Account {
    /// The account fit for a server on this machine.
    #[track_caller]
    pub fn for_server() -> Self {
        if !geteuid().is_root() {
            return Self::Own;
        }
        let user = ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| User::from_name(name).ok().flatten());
        Self::Other(user.expect("an account `postgres` or `nobody` to run PostgreSQL as"))
    }

    /// A command that will run under this account.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Self::Other(user) = self {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
            command.env("HOME", "/").env("USER", &user.name);
        }
        command
    }

    /// Gives a directory and everything in it to this account.
    pub fn own(&self, path: &Path) -> io::Result<()> {
        let Self::Other(user) = self else {
            return Ok(());
        };
        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
        if path.is_dir() {
            for entry in fs::read_dir(path)? {
                self.own(&entry?.path())?;
            }
        }
        Ok(())
    }
}
