//! Owns the directory of a demonstration: made so that PostgreSQL's account can reach its part of
//! it, gone with the value.

use super::DemoFault;
use super::account::Account;
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Longest path that leaves room for the name of a Unix-domain socket (`sun_path` has 108 bytes).
const PATH_LEN_MAX: usize = 70;

/// The directories.
pub(crate) struct Place {
    root: TempDir,
}

impl Place {
    /// Makes them.
    pub(crate) fn make(account: &Account) -> Result<Place, DemoFault> {
        let parent = match std::env::temp_dir() {
            usual if is_open(&usual) && usual.as_os_str().len() < PATH_LEN_MAX => usual,
            _ => PathBuf::from("/tmp"),
        };
        let root = TempDir::with_prefix_in("portcullis-demo-", &parent)
            .map_err(DemoFault::file("make a directory in", &parent))?;
        let place = Place { root };
        if let Account::Other(_) = account {
            // PostgreSQL's account has to pass through, not to look around.
            fs::set_permissions(place.root.path(), Permissions::from_mode(0o711))
                .map_err(DemoFault::file("open", place.root.path()))?;
        }
        for directory in [place.server(), place.proxy()] {
            fs::create_dir(&directory).map_err(DemoFault::file("make", &directory))?;
            fs::set_permissions(&directory, Permissions::from_mode(0o700))
                .map_err(DemoFault::file("protect", &directory))?;
        }
        let server = place.server();
        account
            .own(&server)
            .map_err(DemoFault::file("give away", &server))?;
        Ok(place)
    }

    /// All of it.
    pub(crate) fn path(&self) -> &Path {
        self.root.path()
    }

    /// PostgreSQL's part.
    pub(crate) fn server(&self) -> PathBuf {
        self.root.path().join("server")
    }

    /// The proxy's and the client's part.
    pub(crate) fn proxy(&self) -> PathBuf {
        self.root.path().join("proxy")
    }
}

/// True if everybody may pass through, all the way down.
fn is_open(path: &Path) -> bool {
    path.is_absolute()
        && path.ancestors().all(|part| {
            fs::metadata(part).is_ok_and(|facts| facts.permissions().mode() & 0o001 != 0)
        })
}

/// Writes a new file with this mode.
pub(crate) fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), DemoFault> {
    let mut options = OpenOptions::new();
    let made = options.write(true).create_new(true).mode(mode).open(path);
    made.and_then(|mut file| file.write_all(content))
        .map_err(DemoFault::file("write", path))
}
