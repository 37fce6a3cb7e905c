//! Owns passphrases of private keys: the first line of a file, or of what a program writes.

use super::command::{Commands, OUTPUT_MAX};
use super::{holding, secrets};
use crate::fault::{Fault, PassphraseProblem};
use buf::Secret;
use config::{Config, Holds, Origin, Source};
use std::collections::HashMap;

/// All passphrases, by where they come from.
pub(super) fn passphrases(
    config: &Config,
    commands: &mut Commands,
) -> Result<HashMap<Origin, Secret>, Vec<Fault>> {
    let mut all = HashMap::new();
    let mut faults = Vec::new();
    for source in holding(config, Holds::Passphrase) {
        if all.contains_key(&source.from) {
            continue;
        }
        match passphrase(source, commands) {
            Ok(secret) => drop(all.insert(source.from.clone(), secret)),
            Err(fault) => faults.push(fault),
        }
    }
    match faults.is_empty() {
        true => Ok(all),
        false => Err(faults),
    }
}

fn passphrase(source: &Source, commands: &mut Commands) -> Result<Secret, Fault> {
    let bad = |problem| Fault::Passphrase {
        place: source.place.clone(),
        problem,
    };
    let whole = match &source.from {
        Origin::Command(words) => {
            let output = commands.run(words);
            output.map_err(|fault| bad(PassphraseProblem::Command(fault)))?
        }
        Origin::File(path) => secrets::private_file(&source.place, path, OUTPUT_MAX as u64)?,
        Origin::Env(_) => return Err(bad(PassphraseProblem::Empty)),
    };
    match secrets::first_line(whole.expose()) {
        [] => Err(bad(PassphraseProblem::Empty)),
        line => Ok(Secret::new(line)),
    }
}
