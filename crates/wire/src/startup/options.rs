//! Owns reading the startup parameter `options`, a command line in small: `-c name=value` and
//! `--name=value`, with backslashes for spaces (`pg_split_opts`, `process_postgres_switches` and
//! `ParseLongOption` in the server).
//!
//! It can set anything, so whoever allows only some settings has to read it. Other switches of the
//! server program are refused: no client needs them and some change how the server works.

use crate::{StartupFault, Text};
use std::fmt;

/// One setting of the session.
#[derive(Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name, with `_` for every `-`; case does not matter to the server.
    pub name: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Setting({} bytes, {} bytes)",
            self.name.len(),
            self.value.len()
        )
    }
}

/// The settings in `options`, in order; of two with the same name the last one holds.
pub fn options(text: Text<'_>) -> Result<Vec<Setting>, StartupFault> {
    let arguments = arguments(&text);
    let mut settings = Vec::new();
    let mut rest = arguments
        .iter()
        .enumerate()
        .map(|(at, argument)| (at + 1, &argument[..]));
    while let Some((at, argument)) = rest.next() {
        let (at, assignment) = match argument {
            b"-c" => rest.next().ok_or(StartupFault::NoValue { argument: at })?,
            [b'-', b'c', glued @ ..] => (at, glued),
            [b'-', b'-', name @ ..] if !name.is_empty() => (at, name),
            _ => return Err(StartupFault::Switch { argument: at }),
        };
        settings.push(setting(assignment, at)?);
    }
    Ok(settings)
}

fn setting(assignment: &[u8], argument: usize) -> Result<Setting, StartupFault> {
    let equals = assignment.iter().position(|byte| *byte == b'=');
    let equals = equals.ok_or(StartupFault::NoValue { argument })?;
    if equals == 0 {
        return Err(StartupFault::Switch { argument });
    }
    let dashes = |byte: &u8| if *byte == b'-' { b'_' } else { *byte };
    Ok(Setting {
        name: assignment[..equals].iter().map(dashes).collect(),
        value: assignment[equals + 1..].to_vec(),
    })
}

/// Splits at white space that no backslash protects; a backslash stands for the byte behind it.
fn arguments(text: &[u8]) -> Vec<Vec<u8>> {
    let space = |byte: u8| matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r');
    let mut arguments = Vec::new();
    let mut bytes = text.iter().copied().peekable();
    loop {
        while bytes.next_if(|byte| space(*byte)).is_some() {}
        if bytes.peek().is_none() {
            return arguments;
        }
        let mut argument = Vec::new();
        while let Some(byte) = bytes.next_if(|byte| !space(*byte)) {
            if byte != b'\\' {
                argument.push(byte);
            } else if let Some(protected) = bytes.next() {
                argument.push(protected);
            }
        }
        arguments.push(argument);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_the_server_reads_them() {
        let table: [(&str, &[(&str, &str)]); 9] = [
            ("", &[]),
            ("  \t ", &[]),
            ("-c work_mem=4MB", &[("work_mem", "4MB")]),
            ("-cwork_mem=4MB", &[("work_mem", "4MB")]),
            ("--work-mem=4MB", &[("work_mem", "4MB")]),
            ("-c a=1  --b=2\n-c c=", &[("a", "1"), ("b", "2"), ("c", "")]),
            (r"-c search_path=a\ b,\\c", &[("search_path", r"a b,\c")]),
            ("-c a=b=c", &[("a", "b=c")]),
            ("-c a=1\\", &[("a", "1")]),
        ];
        for (text, expected) in table {
            let settings = options(text.into()).unwrap();
            let got: Vec<_> = settings
                .iter()
                .map(|s| (&s.name[..], &s.value[..]))
                .collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|(n, v)| (n.as_bytes(), v.as_bytes()))
                .collect();
            assert_eq!(got, expected, "{text:?}");
        }
    }

    #[test]
    fn other_switches_are_refused() {
        for (text, fault) in [
            ("-c", StartupFault::NoValue { argument: 1 }),
            ("-c a=1 -c b", StartupFault::NoValue { argument: 4 }),
            ("--a", StartupFault::NoValue { argument: 1 }),
            ("--", StartupFault::Switch { argument: 1 }),
            ("-c =1", StartupFault::Switch { argument: 2 }),
            ("-d 5", StartupFault::Switch { argument: 1 }),
            ("-c a=1 -F", StartupFault::Switch { argument: 3 }),
            ("name=value", StartupFault::Switch { argument: 1 }),
            ("\\ ", StartupFault::Switch { argument: 1 }),
        ] {
            assert_eq!(options(text.into()), Err(fault), "{text:?}");
        }
    }
}
