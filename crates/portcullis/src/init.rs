//! Owns `portcullis init`: a commented configuration, never over an existing file.

use crate::cli::InitOptions;
use crate::fault::Fault;
use crate::output::say;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};

/// Writes the example, and says what comes next.
pub(crate) fn run(options: &InitOptions) -> Result<(), Vec<Fault>> {
    let path = &options.file;
    let fault = |fault: std::io::Error| match fault.kind() {
        ErrorKind::AlreadyExists => vec![Fault::AlreadyThere { path: path.clone() }],
        kind => vec![Fault::Unwritable {
            path: path.clone(),
            kind,
        }],
    };
    let new = OpenOptions::new().write(true).create_new(true).open(path);
    new.and_then(|mut file| file.write_all(config::example().as_bytes()))
        .map_err(fault)?;
    let shown = path.display();
    say(&format!(
        "{shown} is written. It needs from you:\n  \
         certificate, private_key   what clients see, under [listen.tls]\n  \
         name, host                 where the database is, under [[database]]\n  \
         auth_file                  who may log in, under [auth]\n\
         Then: portcullis check --config {shown}"
    ));
    Ok(())
}
