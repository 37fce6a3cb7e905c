//! Owns what a source found: members, and how each is reached.

use crate::Fault;
use cluster::{Key, Member};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr};

/// How many members a cluster has at most.
pub const MEMBERS_MAX: usize = 1024;

/// What a source knows now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The members, each once and at least one.
    pub members: Vec<Located>,
    /// The one that the source names as the one that is written to, if it names one.
    pub leader: Option<Key>,
}

/// A member, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// What the cluster knows of it.
    pub member: Member,
    /// Where to dial; `None`: look the name up.
    pub address: Option<IpAddr>,
    /// What its certificate has to be for: a name, or an address where it has no name. Dialled unless there is an
    /// address.
    pub name: String,
    /// Its port.
    pub port: u16,
    /// What the source calls it, as Patroni's switchover wants it; empty if it has no other name.
    pub title: String,
}

impl Located {
    /// A member like any other, found by its name. Names of DNS are the same in upper and lower case, and with a dot
    /// at the end.
    pub fn named(name: &str, port: u16) -> Located {
        let name = normal(name);
        Located {
            member: Member::plain(Key::new(&name, port)),
            address: None,
            name,
            port,
            title: String::new(),
        }
    }

    /// A member like any other that is one of several addresses of a name.
    pub fn addressed(name: &str, address: IpAddr, port: u16) -> Located {
        Located {
            member: Member::plain(Key::new(&address.to_string(), port)),
            address: Some(address),
            name: normal(name),
            port,
            title: String::new(),
        }
    }

    /// A member that is known by its key alone.
    pub fn of(member: Member) -> Located {
        // A key ends in its port, whoever made it.
        let (host, port) = member.key.as_str().rsplit_once(':').unwrap_or_default();
        let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        Located {
            address: None,
            name: bare.unwrap_or(host).to_owned(),
            port: port.parse().unwrap_or_default(),
            title: String::new(),
            member,
        }
    }

    /// What it is found under.
    pub fn key(&self) -> &Key {
        &self.member.key
    }
}

fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Where a cluster keeps a host under this name: a host name (RFC 1123, with the underscore that containers like) or
/// an address.
pub(crate) fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_fine = |it: u8| it.is_ascii_alphanumeric() || it == b'-' || it == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(is_fine) && !label.starts_with('-')
    };
    if name.contains(':') {
        return name.parse::<Ipv6Addr>().is_ok();
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let ends_in_digits = name
        .rsplit('.')
        .next()
        .is_some_and(|it| it.bytes().all(|it| it.is_ascii_digit()));
    // A name that ends in a number is an address or nothing.
    name.len() <= 253
        && name.split('.').all(is_label)
        && (!ends_in_digits || name.parse::<IpAddr>().is_ok())
}

/// Each of them once, and not more than there may be; `from` says where they are from.
pub(crate) fn distinct(mut members: Vec<Located>, from: &str) -> Result<Vec<Located>, Fault> {
    let mut seen = HashSet::new();
    members.retain(|it| seen.insert(it.key().clone()));
    match members.len() {
        0 => Err(Fault::Empty {
            from: from.to_owned(),
        }),
        found if found > MEMBERS_MAX => Err(Fault::TooMany {
            from: from.to_owned(),
            found,
        }),
        _ => Ok(members),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_name_and_port() {
        for (host, port) in [
            ("db1.example", 5432),
            ("10.0.0.1", 6000),
            ("2001:db8::1", 1),
        ] {
            let located = Located::of(Member::plain(Key::new(host, port)));
            assert_eq!((located.name.as_str(), located.port), (host, port));
            assert_eq!(Located::named(host, port), located);
        }
    }

    #[test]
    fn names_are_the_same_however_they_are_written() {
        let located = Located::named("DB1.Example.", 5432);
        assert_eq!(located, Located::named("db1.example", 5432));
        let located = Located::addressed("DB.example.", "2001:DB8::1".parse().unwrap(), 5432);
        assert_eq!(located.key().as_str(), "[2001:db8::1]:5432");
        assert_eq!(located.name, "db.example");
    }

    #[test]
    fn hosts_are_names_or_addresses() {
        for (name, wanted) in [
            ("db1", true),
            ("db-1.example.", true),
            ("db_1.example", true),
            ("10.0.0.1", true),
            ("2001:db8::1", true),
            ("1a.example", true),
            ("", false),
            (".", false),
            ("a..b", false),
            ("-a", false),
            ("a b", false),
            ("a/b", false),
            ("10.0.0", false),
            ("10.0.0.256", false),
            ("a:b", false),
            ("b\u{fc}cher.example", false),
        ] {
            assert_eq!(is_host(name), wanted, "{name}");
        }
        assert!(!is_host(&"a".repeat(64)));
        assert!(!is_host(&["abcdefgh"; 30].join(".")));
    }

    #[test]
    fn members_are_distinct_some_and_not_too_many() {
        let one = Located::named("a", 1);
        let twice = vec![one.clone(), Located::named("A.", 1)];
        assert_eq!(distinct(twice, "x").unwrap(), [one]);
        assert!(matches!(distinct(vec![], "x"), Err(Fault::Empty { .. })));
        let many = |count| (1..=count).map(|port| Located::named("a", port)).collect();
        assert!(distinct(many(1024), "x").is_ok());
        let fault = distinct(many(1025), "x").unwrap_err();
        assert!(matches!(fault, Fault::TooMany { found: 1025, .. }));
    }
}
