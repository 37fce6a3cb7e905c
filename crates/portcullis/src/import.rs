//! Owns `portcullis import`: reads PgBouncer's files, has them translated (crate `import`), and
//! prints or writes what comes out. No secret is printed.

use crate::cli::ImportOptions;
use crate::directory::{self, NewFile};
use crate::fault::Fault;
use crate::output::{complain, say};
use ::import::{Import, Kind, file};
use buf::Secret;
use config::Config;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

/// A users file may be big; nothing else is.
const FILE_MAX: u64 = 256 << 20;
/// Only its owner may read a file.
const PRIVATE: u32 = 0o600;

/// Translates, and prints or writes.
pub(crate) fn run(options: &ImportOptions) -> Result<(), Vec<Fault>> {
    let started = std::env::current_dir().map_err(|error| vec![Fault::System(error)])?;
    let import = ::import::translate(&options.file, &started, &mut load)
        .map_err(|faults| faults.into_iter().map(Fault::Import).collect::<Vec<_>>())?;
    if let Err(invalid) = Config::from_text(&import.configuration, file::CONFIGURATION) {
        return Err(invalid.errors.into_iter().map(Fault::from).collect());
    }
    match &options.write {
        None => print(&import),
        Some(directory) => write(&import, directory).map_err(|fault| vec![fault])?,
    }
    Ok(())
}

/// A whole file, straight into memory that is wiped.
fn load(path: &Path) -> Result<Secret, ErrorKind> {
    let file = File::open(path).map_err(|error| error.kind())?;
    let facts = file.metadata().map_err(|error| error.kind())?;
    if facts.is_dir() {
        return Err(ErrorKind::IsADirectory);
    }
    if facts.len() > FILE_MAX {
        return Err(ErrorKind::FileTooLarge);
    }
    // Room for all from the start: a vector that grows leaves copies behind.
    let room = usize::try_from(facts.len()).unwrap_or(0) + 1;
    let mut bytes = Vec::with_capacity(room);
    let read = file.take(FILE_MAX).read_to_end(&mut bytes);
    let secret = Secret::from_vec(bytes);
    read.map_err(|error| error.kind())?;
    Ok(secret)
}

/// The configuration alone: what belongs to it holds secrets, or is of no use without a place.
fn print(import: &Import) {
    say(import.configuration.trim_end());
    let names: Vec<&str> = import.files.iter().map(|file| file.name.as_str()).collect();
    complain(&format!(
        "not printed: {}; --write DIR writes them as well",
        names.join(", ")
    ));
}

fn write(import: &Import, directory: &Path) -> Result<(), Fault> {
    let files = import.files.iter();
    let files = files.map(|file| (file.name.as_str(), file.content.expose(), PRIVATE));
    let mut files: Vec<NewFile<'_>> = files.collect();
    files.push((
        file::CONFIGURATION,
        import.configuration.as_bytes(),
        PRIVATE,
    ));
    directory::write(directory, &files)?;
    say(&format!(
        "{} holds, for you alone to read:",
        directory.display()
    ));
    for (name, ..) in &files {
        say(&format!("  {name}"));
    }
    let mut last = None;
    for note in &import.notes {
        if last != Some(note.kind) {
            say(&format!("\n{}:", note.kind.heading()));
            last = Some(note.kind);
        }
        say(&format!("  {note}"));
    }
    let configuration = directory.join(file::CONFIGURATION);
    let todo = import.notes.iter().any(|note| note.kind == Kind::ToDo);
    let when = if todo { "When that is done" } else { "Next" };
    say(&format!(
        "\n{when}:\n\n  portcullis check --config {0}\n  portcullis run --config {0}",
        configuration.display()
    ));
    Ok(())
}
