//! Owns the text of a file of hosts: one host a line, as `name[:port] [weight=N] [zone=Z]`. Touches no file.

use crate::fault::FileFault;
use crate::located::{Located, is_host};
use std::collections::HashMap;

/// The port of a line that has none: PostgreSQL's own.
pub const PORT: u16 = 5432;
/// The most that a weight may be.
pub const WEIGHT_MAX: u32 = 65_535;
const ZONE_BYTES_MAX: usize = 63;

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// It begins with something that is no host.
    #[error("{0:?} is no host name and no address; write name, name:port or [address]:port")]
    Host(String),
    /// Behind the host stands no port.
    #[error("{0:?} is no port; write a number from 1 to 65535")]
    Port(String),
    /// It is no weight.
    #[error("{0:?} is no weight; write a number from 0 to {WEIGHT_MAX}")]
    Weight(String),
    /// It is no zone.
    #[error("{0:?} is no zone; write a word of at most {ZONE_BYTES_MAX} bytes")]
    Zone(String),
    /// It is nothing that can stand there.
    #[error("{0:?} is not known here; write weight=N or zone=Z")]
    Word(String),
    /// The same is said twice.
    #[error("{0} stands there twice; remove one of them")]
    Twice(&'static str),
}

/// The host of a line; `None` for an empty one. What stands behind # is for people.
pub fn parse_line(text: &str) -> Result<Option<Located>, BadLine> {
    let text = text.split('#').next().unwrap_or_default();
    let mut words = text.split_whitespace();
    let Some(host) = words.next() else {
        return Ok(None);
    };
    let (name, port) = host_and_port(host)?;
    let mut located = Located::named(name, port);
    let (mut weight, mut zone) = (None, None);
    for word in words {
        let bad = || word.to_owned();
        match word.split_once('=') {
            Some(("weight", value)) => {
                let number = value.parse().ok().filter(|it| *it <= WEIGHT_MAX);
                let number: u32 = number.ok_or_else(|| BadLine::Weight(value.to_owned()))?;
                once(&mut weight, number, "weight")?;
            }
            Some(("zone", value)) if is_zone(value) => once(&mut zone, value, "zone")?,
            Some(("zone", value)) => return Err(BadLine::Zone(value.to_owned())),
            _ => return Err(BadLine::Word(bad())),
        }
    }
    located.member.weight = weight.unwrap_or(located.member.weight);
    located.member.zone = zone.unwrap_or_default().to_owned();
    Ok(Some(located))
}

/// The hosts of a whole file.
pub(crate) fn parse(text: &str) -> Result<Vec<Located>, FileFault> {
    let mut lines = HashMap::new();
    let mut members = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let located = parse_line(text).map_err(|why| FileFault::Line { line, why })?;
        let Some(located) = located else { continue };
        if let Some(before) = lines.insert(located.key().clone(), line) {
            return Err(FileFault::Twice {
                line,
                before,
                host: located.key().to_string(),
            });
        }
        members.push(located);
    }
    Ok(members)
}

fn once<T>(place: &mut Option<T>, value: T, what: &'static str) -> Result<(), BadLine> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(BadLine::Twice(what)),
    }
}

pub(crate) fn is_zone(text: &str) -> bool {
    let is_plain = |it: char| !it.is_control() && !it.is_whitespace();
    (1..=ZONE_BYTES_MAX).contains(&text.len()) && text.chars().all(is_plain)
}

/// `name`, `name:port`, `[address]:port`, `[address]`, or an address of IPv6 as it is.
fn host_and_port(text: &str) -> Result<(&str, u16), BadLine> {
    let bad = || BadLine::Host(text.to_owned());
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (name, port) = rest.split_once(']').ok_or_else(bad)?;
            let is_address = name.contains(':');
            let port = match port.strip_prefix(':') {
                Some(port) => Some(port),
                None if port.is_empty() => None,
                None => return Err(bad()),
            };
            (is_address.then_some(name).ok_or_else(bad)?, port)
        }
        None => match text.split_once(':') {
            Some((name, port)) if !port.contains(':') => (name, Some(port)),
            _ => (text, None),
        },
    };
    if !is_host(name) {
        return Err(bad());
    }
    let port = match port {
        None => PORT,
        Some(port) => match port.parse() {
            Ok(0) | Err(_) => return Err(BadLine::Port(port.to_owned())),
            Ok(number) => number,
        },
    };
    Ok((name, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_a_line_is_it_is_a_host_or_refused(text in "[a-z0-9:.\\[\\]#= \\t-]{0,40}|.*") {
            if let Ok(Some(located)) = parse_line(&text) {
                prop_assert!(is_host(&located.name) && located.port > 0);
                prop_assert_eq!(&Located::of(located.member.clone()), &located);
            }
        }

        #[test]
        fn what_is_written_is_read(
            host in "[a-z]([a-z0-9-]{0,20}[a-z0-9])?(\\.[a-z]{1,8}){0,3}",
            port in 1_u16..,
            weight in 0..=WEIGHT_MAX,
            zone in "[a-z0-9.-]{1,20}",
        ) {
            let text = format!("{host}:{port} zone={zone} weight={weight}");
            let located = parse_line(&text).unwrap().unwrap();
            let member = &located.member;
            prop_assert_eq!((&located.name, located.port), (&host, port));
            prop_assert_eq!((member.weight, &member.zone), (weight, &zone));
        }
    }

    #[test]
    fn lines_are_hosts_or_empty_or_refused() {
        type Parts = (&'static str, u16, u32, &'static str);
        let fine: [(&str, Option<Parts>); 15] = [
            ("", None),
            ("   \t", None),
            ("# db1", None),
            ("  # weight=1", None),
            ("db1", Some(("db1", 5432, 100, ""))),
            ("db1:6000", Some(("db1", 6000, 100, ""))),
            ("DB1.Example.:6000\r", Some(("db1.example", 6000, 100, ""))),
            ("10.0.0.1", Some(("10.0.0.1", 5432, 100, ""))),
            ("10.0.0.1:1", Some(("10.0.0.1", 1, 100, ""))),
            ("2001:db8::1", Some(("2001:db8::1", 5432, 100, ""))),
            ("[2001:db8::1]", Some(("2001:db8::1", 5432, 100, ""))),
            ("[2001:db8::1]:65535", Some(("2001:db8::1", 65535, 100, ""))),
            (
                "db1 weight=0 zone=a-1 # near",
                Some(("db1", 5432, 0, "a-1")),
            ),
            (
                "db1 zone=b=c weight=65535",
                Some(("db1", 5432, 65535, "b=c")),
            ),
            ("\tdb1\tweight=7#all", Some(("db1", 5432, 7, ""))),
        ];
        for (text, wanted) in fine {
            let found = parse_line(text).unwrap();
            let parts = found.as_ref().map(|it| {
                let member = &it.member;
                (
                    it.name.as_str(),
                    it.port,
                    member.weight,
                    member.zone.as_str(),
                )
            });
            assert_eq!(parts, wanted, "{text:?}");
        }
        let host = |text: &str| BadLine::Host(text.to_owned());
        let port = |text: &str| BadLine::Port(text.to_owned());
        let word = |text: &str| BadLine::Word(text.to_owned());
        for (text, wanted) in [
            (":5432", host(":5432")),
            ("weight=1", host("weight=1")),
            ("/var/run/postgresql", host("/var/run/postgresql")),
            ("postgres://db1", port("//db1")),
            ("[db1]:5432", host("[db1]:5432")),
            ("[::1", host("[::1")),
            ("[::1]5432", host("[::1]5432")),
            ("10.0.0.256", host("10.0.0.256")),
            ("db1:", port("")),
            ("db1:0", port("0")),
            ("db1:65536", port("65536")),
            ("db1:x", port("x")),
            ("db1 weight=", BadLine::Weight(String::new())),
            ("db1 weight=-1", BadLine::Weight("-1".to_owned())),
            ("db1 weight=65536", BadLine::Weight("65536".to_owned())),
            ("db1 zone=", BadLine::Zone(String::new())),
            ("db1 db2", word("db2")),
            ("db1 Weight=1", word("Weight=1")),
            ("db1 weight=1 weight=2", BadLine::Twice("weight")),
            ("db1 zone=a zone=a", BadLine::Twice("zone")),
        ] {
            assert_eq!(parse_line(text), Err(wanted), "{text:?}");
        }
        let zone = format!("db1 zone={}", "z".repeat(64));
        assert!(matches!(parse_line(&zone), Err(BadLine::Zone(_))));
    }

    #[test]
    fn a_fault_of_a_file_names_its_line() {
        let members = parse("# all\n\ndb1\r\ndb2:6000\n").unwrap();
        let keys: Vec<_> = members.iter().map(|it| it.key().as_str()).collect();
        assert_eq!(keys, ["db1:5432", "db2:6000"]);
        let fault = parse("db1\n# x\ndb2 weight=x\n").unwrap_err();
        assert_eq!(
            fault.to_string(),
            "line 3: \"x\" is no weight; write a number from 0 to 65535"
        );
        let fault = parse("db1\n\nDB1:5432").unwrap_err();
        assert_eq!(
            fault.to_string(),
            "line 3: db1:5432 stands in line 1 already; remove one of them"
        );
    }
}
