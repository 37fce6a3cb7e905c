//! Owns the way from the path of a configuration file to a checked configuration.

use crate::fault::Fault;
use crate::output::complain;
use crate::{material, querylog};
use config::{Config, Invalid, Warning};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// No sensible configuration is bigger; a device or the wrong file may be.
const FILE_MAX: u64 = 4 << 20;

/// Reads and checks a configuration; its warnings are printed.
pub(crate) fn configuration(path: &Path) -> Result<Config, Vec<Fault>> {
    let (config, warnings) = configuration_with_warnings(path)?;
    for warning in warnings {
        complain(&format!("warning: {warning}"));
    }
    Ok(config)
}

/// Reads and checks a configuration.
pub(crate) fn configuration_with_warnings(
    path: &Path,
) -> Result<(Config, Vec<Warning>), Vec<Fault>> {
    let unreadable = |fault: std::io::Error| Fault::NoConfiguration {
        path: path.to_owned(),
        kind: fault.kind(),
    };
    let not_text = |reason| Fault::NotText {
        path: path.to_owned(),
        reason,
    };
    let file = File::open(path).map_err(|fault| vec![unreadable(fault)])?;
    let mut bytes = Vec::new();
    let read = file.take(FILE_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|fault| vec![unreadable(fault)])?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(vec![not_text("it has more than 4 MiB")]);
    }
    let text = String::from_utf8(bytes).map_err(|_| vec![not_text("it is not UTF-8 text")])?;
    let checked = Config::from_text(&text, &path.to_string_lossy());
    let (config, warnings) = checked.map_err(|Invalid { errors, sources }| {
        let errors = errors.into_iter().map(Fault::from);
        let faults = errors.chain(material::unusable(&sources));
        faults.collect::<Vec<Fault>>()
    })?;
    querylog::recipients(&config)?;
    Ok((config, warnings))
}
