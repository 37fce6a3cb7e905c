//! Owns the file: opened for its owner alone, begun anew when it was moved away, and rotated.
//!
//! A pipe or a device may stand in its place: it is written to, and never waited for, moved or read.

use rustix::fs::{FlockOperation, OFlags, flock};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use zeroize::{Zeroize as _, Zeroizing};

/// Nobody but the owner reads or writes it.
const MODE: u32 = 0o600;

/// When a file makes room for a new one. The old one gets the time as an ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// Once it has so many bytes; 0: never.
    pub bytes_max: u64,
    /// Once it was written to for so long; 0: never.
    pub age_max: Duration,
    /// Old files that are kept; 0: all.
    pub kept_max: usize,
}

struct Opened {
    file: File,
    bytes: u64,
    since: Instant,
    is_regular: bool,
    /// No other process that writes such a log has it.
    is_ours: bool,
}

/// Lines on their way into the file.
#[derive(Default)]
pub(crate) struct Out {
    /// Whole lines, wiped in the end: they may hold literals.
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    /// So much of them is in the file.
    at: usize,
}

impl Out {
    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// A part of a line that went into another file is written again.
    fn back_to_the_line(&mut self) {
        let before = &self.bytes[..self.at];
        self.at = before
            .iter()
            .rposition(|it| *it == b'\n')
            .map_or(0, |it| it + 1);
    }

    fn clear(&mut self) {
        self.bytes.zeroize();
        self.at = 0;
    }
}

pub(crate) struct Target {
    path: PathBuf,
    rotation: Rotation,
    /// `None`: it has to be opened before anything is written.
    opened: Option<Opened>,
    /// The file that was written to last, by device and number.
    last: Option<(u64, u64)>,
    rotations: u64,
    written_bytes: u64,
}

impl Target {
    pub(crate) fn open(path: PathBuf, rotation: Rotation) -> io::Result<Target> {
        let opened = Some(open(&path)?);
        Ok(Target {
            path,
            rotation,
            opened,
            last: None,
            rotations: 0,
            written_bytes: 0,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn rotations(&self) -> u64 {
        self.rotations
    }

    pub(crate) fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// The length of a regular file that no other process writes such a log to.
    pub(crate) fn own_len(&self) -> Option<u64> {
        let opened = self.opened.as_ref()?;
        (opened.is_ours && opened.is_regular).then_some(opened.bytes)
    }

    /// Is opened anew for what comes next.
    pub(crate) fn close(&mut self) {
        self.opened = None;
    }

    /// Makes room for what is about to be written, if that is due. Never between the lines of one batch.
    pub(crate) fn make_ready(&mut self) -> io::Result<()> {
        self.reopen_if_moved()?;
        self.rotate_if_due()
    }

    fn reopen_if_moved(&mut self) -> io::Result<()> {
        let is_there = self
            .opened
            .as_ref()
            .is_some_and(|it| is_at(&it.file, &self.path));
        if !is_there {
            self.opened = Some(open(&self.path)?);
        }
        Ok(())
    }

    /// Writes what is left of lines; what could not be written stays.
    pub(crate) fn write(&mut self, out: &mut Out) -> io::Result<()> {
        self.reopen_if_moved()?;
        let Some(opened) = &mut self.opened else {
            return Ok(());
        };
        let facts = opened.file.metadata()?;
        let this = (facts.dev(), facts.ino());
        if self.last.replace(this).is_some_and(|it| it != this) {
            out.back_to_the_line();
        }
        while !out.is_empty() {
            match opened.file.write(&out.bytes[out.at..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    opened.bytes += count as u64;
                    self.written_bytes += count as u64;
                    out.at += count;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        out.clear();
        Ok(())
    }

    fn rotate_if_due(&mut self) -> io::Result<()> {
        let Rotation {
            bytes_max, age_max, ..
        } = self.rotation;
        let is_due = self.opened.as_ref().is_some_and(|it| {
            let is_long = bytes_max > 0 && it.bytes >= bytes_max;
            let is_old = !age_max.is_zero() && it.since.elapsed() >= age_max;
            it.is_regular && it.bytes > 0 && (is_long || is_old)
        });
        match is_due {
            true => self.rotate(),
            false => Ok(()),
        }
    }

    /// Begins a new file.
    pub(crate) fn rotate(&mut self) -> io::Result<()> {
        fs::rename(&self.path, self.free_name())?;
        self.opened = Some(open(&self.path)?);
        self.rotations += 1;
        self.forget_the_oldest();
        Ok(())
    }

    /// A name for a file that makes room: the path with the time, which sorts as it passes.
    fn free_name(&self) -> PathBuf {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let mut micros = now.map_or(0, |now| now.as_micros());
        loop {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{micros:017}"));
            let name = PathBuf::from(name);
            if !name.exists() {
                return name;
            }
            micros += 1;
        }
    }

    /// Removes old files beyond those that are kept; one that can't be removed is no reason to stop writing.
    fn forget_the_oldest(&self) {
        let (Some(directory), Some(name)) = (self.path.parent(), self.path.file_name()) else {
            return;
        };
        if self.rotation.kept_max == 0 {
            return;
        }
        let prefix = format!("{}.", name.to_string_lossy());
        let is_old = |path: &PathBuf| {
            let name = path.file_name().map(|it| it.to_string_lossy().into_owned());
            let ending = name.as_deref().and_then(|it| it.strip_prefix(&prefix));
            ending.is_some_and(is_of_rotation)
        };
        let entries = fs::read_dir(directory).into_iter().flatten();
        let mut old: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(is_old)
            .collect();
        old.sort();
        for path in old.iter().rev().skip(self.rotation.kept_max) {
            if let Err(error) = fs::remove_file(path) {
                tracing::warn!(path = %path.display(), %error, "an old log file cannot be removed");
            }
        }
    }
}

fn open(path: &Path) -> io::Result<Opened> {
    // A pipe that nobody reads is an error, and a full one no reason to hang.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let mut options = OpenOptions::new();
    options.append(true).mode(MODE).custom_flags(flags);
    let file = options.create(true).open(path)?;
    let facts = file.metadata()?;
    // One that is there already may be readable for others.
    if facts.is_file() && facts.permissions().mode() & 0o777 != MODE {
        file.set_permissions(fs::Permissions::from_mode(MODE))?;
    }
    Ok(Opened {
        bytes: facts.len(),
        since: Instant::now(),
        is_regular: facts.is_file(),
        is_ours: flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok(),
        file,
    })
}

/// True if this is the file that has the path's name.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(ours), Ok(there)) = (file.metadata(), fs::metadata(path)) else {
        return false;
    };
    (ours.dev(), ours.ino()) == (there.dev(), there.ino())
}

/// True for the ending that a rotation gives a file.
pub(crate) fn is_of_rotation(ending: &str) -> bool {
    ending.len() == 17 && ending.bytes().all(|byte| byte.is_ascii_digit())
}
