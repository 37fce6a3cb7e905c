//! Owns a file of hosts: reads it, and tells when it looks other than it did.
//!
//! It is looked at, not watched: that sees a file that is written, renamed over, or reached through links that now
//! point elsewhere (as Kubernetes swaps them) all alike, on every file system. Reading happens on a thread that may
//! block.

use crate::fault::{Fault, FileFault};
use crate::line;
use crate::located::{Found, distinct};
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

const BYTES_MAX: usize = 1 << 20;
/// How often it is looked at.
pub(crate) const LOOK: Duration = Duration::from_secs(1);
/// How long a changed file has to stay as it is before it is read: whoever writes one writes in steps.
const QUIET: Duration = Duration::from_millis(200);
/// How often that may fail before it is read all the same.
const PATIENCE: usize = 10;
/// A change so close to a look may come before or after it: the kernel's clock ticks every few milliseconds only.
const TICK_NS: i128 = 100_000_000;

/// A file of hosts.
#[derive(Debug)]
pub(crate) struct HostsFile {
    path: PathBuf,
    /// How it looked when it was last read.
    seen: Option<Look>,
}

/// How a file looked, and when that was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    /// `None`: it could not be looked at.
    stamp: Option<Stamp>,
    /// Nanoseconds since 1970.
    at_ns: i128,
}

/// What changes with every change of a file: by another file in its place, by writing, by chmod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    mode: u32,
    written_ns: i128,
    changed_ns: i128,
}

impl HostsFile {
    pub(crate) fn new(path: PathBuf) -> HostsFile {
        HostsFile { path, seen: None }
    }

    /// Reads it.
    pub(crate) async fn ask(&mut self) -> Result<Found, Fault> {
        let path = self.path.clone();
        let read = spawn_blocking(move || {
            // The look before the reading: what changes in between shows at the next look.
            let look = Look::at(&path);
            (look, read(&path))
        });
        let fault = |why| Fault::File {
            path: self.path.clone(),
            why,
        };
        let (look, text) = read.await.map_err(|it| fault(unreadable(&it.into())))?;
        self.seen = Some(look);
        let members = line::parse(&text.map_err(fault)?).map_err(fault)?;
        Ok(Found {
            members: distinct(members, &self.path.display().to_string())?,
            leader: None,
        })
    }

    /// True if it looks other than when it was read, and has come to rest.
    pub(crate) async fn has_changed(&self) -> bool {
        let Some(seen) = self.seen else { return true };
        let mut last = self.look().await;
        if last.stamp == seen.stamp && !seen.is_doubtful() {
            return false;
        }
        for _ in 0..PATIENCE {
            sleep(QUIET).await;
            let now = self.look().await;
            if now.stamp == last.stamp {
                break;
            }
            last = now;
        }
        true
    }

    async fn look(&self) -> Look {
        let path = self.path.clone();
        let looked = spawn_blocking(move || Look::at(&path)).await;
        looked.unwrap_or(Look {
            stamp: None,
            at_ns: 0,
        })
    }
}

impl Look {
    fn at(path: &Path) -> Look {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Look {
            at_ns: since.map_or(0, |since| i128::try_from(since.as_nanos()).unwrap_or(0)),
            stamp: std::fs::metadata(path).ok().map(|facts| Stamp::of(&facts)),
        }
    }

    /// True if it may have changed in the moment of the look.
    fn is_doubtful(self) -> bool {
        let near = |stamp: Stamp| (stamp.changed_ns - self.at_ns).abs() < TICK_NS;
        self.stamp.is_some_and(near)
    }
}

impl Stamp {
    fn of(facts: &Metadata) -> Stamp {
        let ns = |s: i64, ns: i64| i128::from(s) * 1_000_000_000 + i128::from(ns);
        Stamp {
            device: facts.dev(),
            inode: facts.ino(),
            size: facts.size(),
            mode: facts.mode(),
            written_ns: ns(facts.mtime(), facts.mtime_nsec()),
            changed_ns: ns(facts.ctime(), facts.ctime_nsec()),
        }
    }
}

fn unreadable(error: &io::Error) -> FileFault {
    FileFault::Unreadable(error.to_string())
}

fn read(path: &Path) -> Result<String, FileFault> {
    // Opening a pipe would wait for a writer.
    let facts = std::fs::metadata(path).map_err(|it| unreadable(&it))?;
    if !facts.is_file() {
        return Err(FileFault::NotAFile);
    }
    let file = File::open(path).map_err(|it| unreadable(&it))?;
    let mut bytes = Vec::new();
    let most = BYTES_MAX as u64 + 1;
    file.take(most)
        .read_to_end(&mut bytes)
        .map_err(|it| unreadable(&it))?;
    if bytes.len() > BYTES_MAX {
        return Err(FileFault::TooLong { most: BYTES_MAX });
    }
    String::from_utf8(bytes).map_err(|_| FileFault::NotText)
}
