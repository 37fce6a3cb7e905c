//! Owns the writing of a whole configuration into a directory: either all of its files are new, or
//! none is written.

use crate::fault::Fault;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{Error, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// A file to be written: its name, its content, its permission bits.
pub(crate) type NewFile<'a> = (&'a str, &'a [u8], u32);

/// Writes the files in their order, so that a configuration that comes last is complete. The
/// directory is made if it isn't there, for this user alone.
pub(crate) fn write(directory: &Path, files: &[NewFile<'_>]) -> Result<(), Fault> {
    let mut builder = DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(directory);
    made.map_err(|error| unwritable(directory, &error))?;
    if let Some((name, ..)) = files.iter().find(|it| directory.join(it.0).exists()) {
        let path = directory.join(name);
        return Err(Fault::AlreadyThere { path });
    }
    for (name, content, mode) in files {
        let path = directory.join(name);
        new(&path, content, *mode).map_err(|error| unwritable(&path, &error))?;
    }
    Ok(())
}

fn unwritable(path: &Path, error: &Error) -> Fault {
    Fault::Unwritable {
        path: path.to_owned(),
        kind: error.kind(),
    }
}

fn new(path: &Path, content: &[u8], mode: u32) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content)
}
