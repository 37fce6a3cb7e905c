//! Owns the listening sockets that the service manager has opened (sd_listen_fds(3)): descriptors from 3
//! on, named by LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES. They are matched by address, not by name.

use crate::fault::Fault;
use crate::takeover;
use shell::inherit::{Handed, Inherited, Maker};
use std::env;
use std::os::fd::RawFd;
use std::process::Command;

/// The first descriptor behind standard input, output and error.
const FIRST: RawFd = 3;
/// More are a mistake.
const MOST: usize = 253;
/// What the manager says, and children are not to hear.
const VARIABLES: [&str; 3] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// What is wrong with what the service manager has opened.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    /// A variable that has no meaning.
    #[error("{variable} is {value:?}, and should be {wanted}")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// What it says.
        value: String,
        /// What it should.
        wanted: &'static str,
    },
    /// A descriptor that can't be used.
    #[error(
        "descriptor {number} ({name}) of the service manager cannot be used: {why}; check the .socket \
         unit (ListenStream=, Accept=no)"
    )]
    Unusable {
        /// Its number.
        number: RawFd,
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
    /// A socket of an address that the configuration doesn't have.
    #[error(
        "the service manager listens on {place}, and no address of [listen], [[listener]] or [metrics] \
         is that; name it there, or take it out of the .socket unit"
    )]
    NotNamed {
        /// Where it listens.
        place: String,
    },
}

/// Takes what the service manager has opened for this process. For a process that has opened nothing yet.
pub(crate) fn inherit(inherited: &mut Inherited) -> Result<(), Vec<Fault>> {
    let said = |variable: &str| env::var(variable).ok();
    let names = named(said, std::process::id()).map_err(|it| vec![Fault::Activation(it)])?;
    let mut faults = Vec::new();
    for (number, name) in (FIRST..).zip(names) {
        let added = takeover::own(number)
            .map_err(|error| error.to_string())
            .and_then(|socket| {
                let maker = Maker::Manager;
                let added = inherited.add(Handed { socket, maker });
                added.map_err(|unfit| unfit.to_string())
            });
        if let Err(why) = added {
            faults.push(Fault::Activation(Problem::Unusable { number, name, why }));
        }
    }
    match faults.is_empty() {
        true => Ok(()),
        false => Err(faults),
    }
}

/// The names of the descriptors that are for this process.
fn named(said: impl Fn(&str) -> Option<String>, pid: u32) -> Result<Vec<String>, Problem> {
    let [of, count, names] = VARIABLES;
    let number = |variable, wanted| match said(variable) {
        None => Ok(None),
        Some(value) => match value.parse::<u32>() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Problem::Variable {
                variable,
                value,
                wanted,
            }),
        },
    };
    if number(of, "a process id")? != Some(pid) {
        return Ok(Vec::new());
    }
    let wanted = "a number of descriptors up to 253";
    let count = match number(count, wanted)? {
        Some(most) if most as usize > MOST => {
            return Err(Problem::Variable {
                variable: count,
                value: most.to_string(),
                wanted,
            });
        }
        Some(count) => count as usize,
        None => 0,
    };
    let said = said(names).unwrap_or_default();
    let names = said.split(':').chain(std::iter::repeat(""));
    let named = names.map(|it| match it {
        "" => "unnamed".to_owned(),
        name => name.to_owned(),
    });
    Ok(named.take(count).collect())
}

/// Whether everything that the service manager has opened is in use: clients that come to a socket which
/// nobody accepts from would wait for ever.
pub(crate) fn all_used(inherited: &Inherited) -> Result<(), Vec<Fault>> {
    let not_named = inherited
        .rest()
        .filter(|(_, maker)| *maker == Maker::Manager);
    let faults: Vec<_> = not_named
        .map(|(place, _)| {
            let place = place.to_string();
            Fault::Activation(Problem::NotNamed { place })
        })
        .collect();
    match faults.is_empty() {
        true => Ok(()),
        false => Err(faults),
    }
}

/// A child that is not told of descriptors which it doesn't have.
pub(crate) fn forget(child: &mut Command) -> &mut Command {
    for variable in VARIABLES {
        child.env_remove(variable);
    }
    child
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named_by(variables: &[(&str, &str)]) -> Result<Vec<String>, Problem> {
        let said = |name: &str| {
            let found = variables.iter().find(|(it, _)| *it == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        named(said, 77)
    }

    #[test]
    fn only_what_is_meant_for_this_process_is_taken() {
        let nothing = || Ok(Vec::new());
        let names = |all: &[&str]| Ok(all.iter().map(|it| (*it).to_owned()).collect());
        for (variables, expected) in [
            (&[][..], nothing()),
            (&[("LISTEN_FDS", "2")], nothing()),
            (&[("LISTEN_PID", "76"), ("LISTEN_FDS", "2")], nothing()),
            (&[("LISTEN_PID", "77")], nothing()),
            (&[("LISTEN_PID", "77"), ("LISTEN_FDS", "0")], nothing()),
            (
                &[("LISTEN_PID", "77"), ("LISTEN_FDS", "1")],
                names(&["unnamed"]),
            ),
            (
                &[
                    ("LISTEN_PID", "77"),
                    ("LISTEN_FDS", "3"),
                    ("LISTEN_FDNAMES", "tcp:unix"),
                ],
                names(&["tcp", "unix", "unnamed"]),
            ),
        ] {
            assert_eq!(named_by(variables), expected, "{variables:?}");
        }
    }

    #[test]
    fn what_has_no_meaning_is_an_error() {
        for (variable, value) in [
            ("LISTEN_PID", "me"),
            ("LISTEN_FDS", "-1"),
            ("LISTEN_FDS", "254"),
            ("LISTEN_FDS", "all"),
        ] {
            let pid = ("LISTEN_PID", "77");
            let told = match variable {
                "LISTEN_PID" => named_by(&[(variable, value)]),
                _ => named_by(&[pid, (variable, value)]),
            };
            let problem = told.unwrap_err();
            assert!(problem.to_string().contains(variable), "{problem}");
            assert!(problem.to_string().contains(value), "{problem}");
        }
    }
}
