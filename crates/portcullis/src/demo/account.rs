//! Owns the account that PostgreSQL runs under. It refuses to run as root (manual, section "The
//! PostgreSQL User Account"), so root's demo runs it as somebody without privileges.

use super::DemoFault;
use nix::unistd::{User, geteuid};
use std::io;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// Who runs the server.
pub(crate) enum Account {
    /// Whoever runs the demo.
    Own,
    /// An account without privileges, because root runs the demo.
    Other(User),
}

impl Account {
    /// The account for a server on this machine.
    pub(crate) fn choose() -> Result<Account, DemoFault> {
        if !geteuid().is_root() {
            return Ok(Account::Own);
        }
        let known = |name| User::from_name(name).ok().flatten();
        let user = ["postgres", "nobody"].into_iter().find_map(known);
        user.map(Account::Other).ok_or(DemoFault::NoAccount)
    }

    /// A command under this account, in a process group of its own: Ctrl-C at the terminal is for
    /// the demo, which then ends its children in order.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.process_group(0).current_dir("/").env("LC_ALL", "C");
        if let Account::Other(user) = self {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
            command.env("HOME", "/").env("USER", &user.name);
        }
        command
    }

    /// Gives a file or directory to this account.
    pub(crate) fn own(&self, path: &Path) -> io::Result<()> {
        match self {
            Account::Own => Ok(()),
            Account::Other(user) => chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())),
        }
    }
}
