//! Owns the reading of passwords and users: from files that only we may read, or from variables,
//! straight into memory that is wiped.

use super::holding;
use crate::fault::{Fault, PasswordProblem};
use auth::users::Users;
use buf::Secret;
use config::{Config, Holds, Origin, Place, Source};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Error, Read as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::{env, str};

/// Users of a file; a million of them have about 150 MB.
const USERS_MAX: u64 = 256 << 20;
/// One password.
const PASSWORD_MAX: u64 = 64 << 10;

/// The users file, if one is named.
pub(super) fn users(config: &Config) -> Result<Users, Vec<Fault>> {
    let Some(source) = holding(config, Holds::Users).next() else {
        return Ok(Users::default());
    };
    let (place, Origin::File(path)) = (&source.place, &source.from) else {
        return Ok(Users::default());
    };
    let text = private_file(place, path, USERS_MAX).map_err(|fault| vec![fault])?;
    let text = str::from_utf8(text.expose()).map_err(|_| {
        vec![Fault::UsersNotText {
            place: place.clone(),
            path: path.clone(),
        }]
    })?;
    let placed = |fault| Fault::Users {
        place: place.clone(),
        path: path.clone(),
        fault,
    };
    Users::parse(text).map_err(|faults| faults.into_iter().map(placed).collect())
}

/// All passwords, by where they come from.
pub(super) fn passwords(config: &Config) -> Result<HashMap<Origin, Secret>, Vec<Fault>> {
    let mut passwords = HashMap::new();
    let mut faults = Vec::new();
    for source in holding(config, Holds::Password) {
        match password(source) {
            Ok(secret) => drop(passwords.insert(source.from.clone(), secret)),
            Err(fault) => faults.push(fault),
        }
    }
    match faults.is_empty() {
        true => Ok(passwords),
        false => Err(faults),
    }
}

/// One password: the first line of a file, or the whole of a variable.
fn password(source: &Source) -> Result<Secret, Fault> {
    let bad = |problem| Fault::Password {
        place: source.place.clone(),
        problem,
    };
    let whole = match &source.from {
        Origin::File(path) => private_file(&source.place, path, PASSWORD_MAX)?,
        Origin::Env(name) => {
            let value = env::var_os(name).ok_or_else(|| bad(PasswordProblem::NotSet))?;
            Secret::from_vec(value.into_vec())
        }
        // The configuration takes commands for passphrases only.
        Origin::Command(_) => return Err(bad(PasswordProblem::Empty)),
    };
    let line = match source.from {
        Origin::File(_) => first_line(whole.expose()),
        Origin::Env(_) | Origin::Command(_) => whole.expose(),
    };
    match line {
        [] => Err(bad(PasswordProblem::Empty)),
        line if line.contains(&0) => Err(bad(PasswordProblem::ZeroByte)),
        line => Ok(Secret::new(line)),
    }
}

/// What stands before the first end of line, in either style.
pub(super) fn first_line(text: &[u8]) -> &[u8] {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or(text);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// What is wrong with a file of secrets that others can read. One that is not there is not judged.
pub(super) fn not_private(place: &Place, path: &Path) -> Option<Fault> {
    let facts = std::fs::metadata(path).ok()?;
    let mode = facts.mode() & 0o7777;
    let fault = Fault::NotPrivate {
        place: place.clone(),
        path: path.to_owned(),
        mode,
    };
    (facts.is_file() && !tls::key_file_is_private(mode, facts.uid())).then_some(fault)
}

/// The contents of a file that others cannot read, judged and read through one descriptor, so that
/// it cannot change in between.
pub(super) fn private_file(place: &Place, path: &Path, most: u64) -> Result<Secret, Fault> {
    let unreadable = |fault: Error| Fault::Unreadable {
        place: place.clone(),
        path: path.to_owned(),
        kind: fault.kind(),
    };
    let file = File::open(path).map_err(unreadable)?;
    let facts = file.metadata().map_err(unreadable)?;
    let mode = facts.mode() & 0o7777;
    if !tls::key_file_is_private(mode, facts.uid()) {
        return Err(Fault::NotPrivate {
            place: place.clone(),
            path: path.to_owned(),
            mode,
        });
    }
    if facts.len() > most {
        return Err(Fault::TooBig {
            place: place.clone(),
            path: path.to_owned(),
            most,
        });
    }
    // Room for all from the start: a vector that grows leaves copies behind.
    let room = usize::try_from(facts.len()).unwrap_or(0) + 1;
    let mut bytes = Vec::with_capacity(room);
    let read = file.take(most).read_to_end(&mut bytes);
    let secret = Secret::from_vec(bytes);
    read.map_err(unreadable)?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line() {
        for (text, line) in [
            ("", ""),
            ("a", "a"),
            ("a\n", "a"),
            ("a \r\nb\n", "a "),
            ("\n", ""),
        ] {
            assert_eq!(first_line(text.as_bytes()), line.as_bytes(), "{text:?}");
        }
    }
}
