//! Owns the orders about clusters: a cluster, and one of its hosts, whose names need no quotes for what addresses have.

use super::{Command, Misunderstood, NAME_MAX, Statement};
use crate::words::Word;

/// The longest name of a host, with its port: names have 253 letters at most (RFC 1035).
const HOST_MAX: usize = 261;

/// `DRAIN cluster host`, `UNDRAIN cluster host`, `SWITCHOVER cluster`, `SWITCHOVER cluster TO host`.
pub(super) fn order(verb: &str, words: &[Word<'_>]) -> Result<Statement, Misunderstood> {
    let name = |word: &Word<'_>, most: usize| {
        let name = word.host().filter(|it| !it.is_empty() && it.len() <= most);
        name.map(str::to_owned).ok_or(Misunderstood::Invalid)
    };
    let command = match (verb, words) {
        ("switchover", []) => return Err(Misunderstood::NoCluster),
        ("switchover", [cluster]) => Command::Switchover {
            cluster: name(cluster, NAME_MAX)?,
            to: None,
        },
        ("switchover", [cluster, Word::Bare(to), host]) if to.eq_ignore_ascii_case("to") => {
            Command::Switchover {
                cluster: name(cluster, NAME_MAX)?,
                to: Some(name(host, HOST_MAX)?),
            }
        }
        ("drain", [cluster, host]) => Command::Drain {
            cluster: name(cluster, NAME_MAX)?,
            host: name(host, HOST_MAX)?,
        },
        ("undrain", [cluster, host]) => Command::Undrain {
            cluster: name(cluster, NAME_MAX)?,
            host: name(host, HOST_MAX)?,
        },
        ("drain" | "undrain", [] | [_]) => return Err(Misunderstood::NoHost),
        _ => return Err(Misunderstood::Invalid),
    };
    Ok(Statement::Command(command))
}

#[cfg(test)]
mod tests {
    use super::super::understand;
    use super::*;

    fn command(text: &str) -> Command {
        match understand(text) {
            Ok(Statement::Command(command)) => command,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn orders() {
        let names = |host: &str| ("main".to_owned(), host.to_owned());
        for (text, name) in [
            ("drain main db1", "db1"),
            ("DRAIN main db-1.example.com:5432;", "db-1.example.com:5432"),
            ("drain \"main\" \"db-1\"", "db-1"),
            ("drain main '[::1]:5432'", "[::1]:5432"),
            ("drain main [::1]:5432 -- now", "[::1]:5432"),
        ] {
            let (cluster, host) = names(name);
            assert_eq!(command(text), Command::Drain { cluster, host }, "{text}");
            let (cluster, host) = names(name);
            let text = text.replace("drain", "UNdrain").replace("DRAIN", "undrain");
            assert_eq!(command(&text), Command::Undrain { cluster, host }, "{text}");
        }
        for (text, to) in [
            ("switchover main", None),
            ("Switchover 'main' ;", None),
            ("SWITCHOVER main TO db2:5433", Some("db2:5433")),
            ("switchover \"main\" to \"db2\"", Some("db2")),
            ("switchover main to to", Some("to")),
        ] {
            let (cluster, to) = ("main".to_owned(), to.map(str::to_owned));
            assert_eq!(command(text), Command::Switchover { cluster, to }, "{text}");
        }
    }

    #[test]
    fn what_is_refused() {
        use Misunderstood::{Invalid, NoCluster, NoHost};
        let long = "x".repeat(NAME_MAX + 1);
        for (text, expected) in [
            ("drain", NoHost),
            ("undrain main", NoHost),
            ("drain main a b", Invalid),
            ("drain main ''", Invalid),
            ("drain main =", Invalid),
            ("switchover", NoCluster),
            ("switchover main db2", Invalid),
            ("switchover main to", Invalid),
            ("switchover main 'to' db2", Invalid),
            ("switchover main to db2 now", Invalid),
            (&format!("switchover {long}"), Invalid),
            (&format!("drain main {}", "x".repeat(HOST_MAX + 1)), Invalid),
            (&format!("set {long} = 1"), Invalid),
        ] {
            assert_eq!(understand(text), Err(expected), "{text}");
        }
    }
}
