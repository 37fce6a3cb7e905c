//! Owns `portcullis check`: every mistake of a configuration and of the files it names, then both
//! legs as they really are.

mod client_leg;
mod fault;
mod members;
mod sandbox;
mod server_leg;
pub(crate) mod summary;

pub(crate) use fault::CheckFault;
pub(crate) use sandbox::confine;

use crate::cli::CheckOptions;
use crate::fault::Fault;
use crate::load;
use crate::material::{Material, now_unix_s};
use crate::output::{complain, say};
use crate::process;
use crate::run;
use ::members::Plan;
use config::Config;
use shell::setup::Setup;
use tls::KeyHeap;

/// Checks everything, and says what was found.
pub(crate) fn run(options: &CheckOptions, keys: KeyHeap) -> Result<(), Vec<Fault>> {
    let config = load::configuration(&options.config)?;
    process::lock_memory(&config, keys).map_err(|fault| vec![fault])?;
    let mut material = Material::read(&config, now_unix_s())?;
    for warning in material.warnings() {
        complain(&format!("warning: {warning}"));
    }
    say(&format!("{} is right", options.config.display()));
    for line in summary::summary(&config, &material) {
        say(&format!("  {line}"));
    }
    for line in sandbox::lines(&options.config, &config, keys)? {
        say(&format!("  {line}"));
    }
    if options.offline {
        return Ok(());
    }
    let plans = std::mem::take(&mut material.sources);
    let mock = run::mock_secret(&config).map_err(|error| vec![Fault::System(error)])?;
    let setup = run::setup_of(&config, material, run::Lasting::with(mock))?;
    let faults = legs(&config, (setup, plans), options)?;
    match faults.is_empty() {
        true => {
            say("\nBoth legs hold.");
            Ok(())
        }
        false => Err(faults.into_iter().map(Fault::Check).collect()),
    }
}

/// The servers first: the proxy that the client leg is tried on takes the setup over.
fn legs(
    config: &Config,
    (setup, plans): (Setup, Vec<Plan>),
    options: &CheckOptions,
) -> Result<Vec<CheckFault>, Vec<Fault>> {
    let mut faults = server_leg::check(config, &setup, plans);
    faults.extend(client_leg::check(config, setup, options)?);
    Ok(faults)
}
