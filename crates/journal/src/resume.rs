//! Owns finding the end of the chain that an earlier process left in a file, or in those that it rotated away.

use crate::chain::{Link, Stamped};
use crate::file::is_of_rotation;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// Bytes from the end of a file in which a line is looked for; the longest that is written has fewer.
const LOOK_BACK: u64 = 4 << 20;

/// Where an earlier process stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resumed {
    /// Its last record, if there is any.
    pub link: Option<Link>,
    /// The file doesn't end with a line end: the process ended while it wrote.
    pub is_open: bool,
    /// And what stands there is no whole record.
    pub is_torn: bool,
    /// How long the file was.
    pub file_bytes: u64,
}

/// Reads where the chain of a file stands. A pipe or device has none.
pub fn resumed(path: &Path) -> io::Result<Resumed> {
    let facts = match fs::metadata(path) {
        Ok(facts) => facts,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Resumed {
                link: before(path)?,
                ..Resumed::default()
            });
        }
        Err(error) => return Err(error),
    };
    if !facts.is_file() {
        return Ok(Resumed::default());
    }
    if facts.len() == 0 {
        return Ok(Resumed {
            link: before(path)?,
            ..Resumed::default()
        });
    }
    end(path)
}

/// How a file ends.
fn end(path: &Path) -> io::Result<Resumed> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(LOOK_BACK)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let whole = bytes
        .iter()
        .rposition(|it| *it == b'\n')
        .map_or(0, |it| it + 1);
    let (lines, rest) = bytes.split_at(whole);
    let at_end = Stamped::read(rest);
    let mut lines = lines.rsplit(|it| *it == b'\n').filter(|it| !it.is_empty());
    let link = at_end.or_else(|| lines.find_map(Stamped::read));
    Ok(Resumed {
        link: link.map(|it| it.link()),
        is_open: !rest.is_empty(),
        is_torn: !rest.is_empty() && at_end.is_none(),
        file_bytes: len,
    })
}

/// The last stamp of the newest file beside this one that a rotation, ours or another's, moved away.
fn before(path: &Path) -> io::Result<Option<Link>> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(None);
    };
    let directory = match directory.as_os_str().is_empty() {
        true => Path::new("."),
        false => directory,
    };
    let name = name.to_string_lossy().into_owned();
    let mut found: Vec<(std::time::SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let other = entry.file_name().to_string_lossy().into_owned();
        let is_moved = other
            .strip_prefix(&name)
            .and_then(|it| it.strip_prefix(['.', '-']))
            .is_some_and(|it| is_of_rotation(it) || it.starts_with(|c: char| c.is_ascii_digit()));
        if is_moved && entry.file_type()?.is_file() {
            found.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    found.sort();
    let mut links = found.iter().rev().map(|(_, path)| end(path));
    links
        .find_map(|it| it.map(|it| it.link).transpose())
        .transpose()
}
