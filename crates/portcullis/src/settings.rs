//! Owns `portcullis settings`: help for single settings, or the reference of all.

use crate::cli::SettingsOptions;
use crate::fault::Fault;
use crate::output::say;

/// Prints what is known about the names, or everything.
pub(crate) fn run(options: &SettingsOptions) -> Result<(), Vec<Fault>> {
    if options.names.is_empty() {
        say(config::reference().trim_end());
        return Ok(());
    }
    let mut faults = Vec::new();
    for name in &options.names {
        match config::help(name) {
            Some(help) => say(help.trim_end()),
            None => faults.push(Fault::NoSuchSetting { name: name.clone() }),
        }
    }
    match faults.is_empty() {
        true => Ok(()),
        false => Err(faults),
    }
}
