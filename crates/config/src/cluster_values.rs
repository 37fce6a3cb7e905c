//! Owns the types of settings that only clusters have: hosts with their weights, names of DNS, addresses of services.

use crate::checked::{HostAddress, HostName, Member};
use crate::error::Malformed;
use crate::read::{Bad, Read, Value};
use crate::setting::{Bounds, Kind, Unit};
use crate::values::{at_least_one, host, kind, malformed, text};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// PostgreSQL's own.
const PORT: u16 = 5432;
/// The weight of a host of which nothing else is said.
const WEIGHT: u32 = 100;
const WEIGHT_MAX: u32 = 1000;
/// The port of DNS.
const DNS_PORT: u16 = 53;
/// Bytes of a zone.
const ZONE_MAX: usize = 63;

/// Hosts of a cluster.
#[derive(Clone)]
pub(crate) struct Members(pub(crate) Vec<Member>);
/// Hosts of a cluster, as they are called there.
#[derive(Clone)]
pub(crate) struct HostNamesOfCluster(pub(crate) Vec<HostName>);
/// A name to look up.
#[derive(Clone)]
pub(crate) struct DnsName(pub(crate) String);
/// Servers of DNS.
#[derive(Clone)]
pub(crate) struct NameServers(pub(crate) Vec<SocketAddr>);
/// Services: scheme, host and port of each.
#[derive(Clone)]
pub(crate) struct Urls(pub(crate) Vec<String>);

impl Read for Members {
    const KIND: Kind = kind("a host, or a list of hosts", Unit::None);

    fn read(value: &Value<'_>, _: Bounds) -> Result<Self, Bad> {
        let one = |value: &Value<'_>| {
            let text = text(value, Bounds::new(1, 512), Self::KIND.name)?;
            member(text).ok_or_else(|| malformed(value, Malformed::Member))
        };
        at_least_one(value, one).map(Self)
    }
}

impl Read for HostNamesOfCluster {
    const KIND: Kind = kind("a host, or a list of hosts", Unit::None);

    fn read(value: &Value<'_>, _: Bounds) -> Result<Self, Bad> {
        let one = |value: &Value<'_>| {
            let text = text(value, Bounds::new(1, 263), Self::KIND.name)?;
            let (name, port) =
                place(text).ok_or_else(|| malformed(value, Malformed::MemberName))?;
            Ok(HostName { name, port })
        };
        at_least_one(value, one).map(Self)
    }
}

impl Read for DnsName {
    const KIND: Kind = kind("a name of DNS", Unit::None);

    fn read(value: &Value<'_>, _: Bounds) -> Result<Self, Bad> {
        let text = text(value, Bounds::new(1, 254), Self::KIND.name)?;
        match host(text) {
            Some(HostAddress::Name(name)) => Ok(Self(normal(&name))),
            _ => Err(malformed(value, Malformed::DnsName)),
        }
    }
}

impl Read for NameServers {
    const KIND: Kind = kind("an address, or a list of addresses", Unit::None);

    fn read(value: &Value<'_>, _: Bounds) -> Result<Self, Bad> {
        let one = |value: &Value<'_>| {
            let text = value.text(Self::KIND.name)?;
            name_server(text).ok_or_else(|| malformed(value, Malformed::NameServer))
        };
        at_least_one(value, one).map(Self)
    }
}

impl Read for Urls {
    const KIND: Kind = kind("a URL, or a list of URLs", Unit::None);

    fn read(value: &Value<'_>, _: Bounds) -> Result<Self, Bad> {
        let one = |value: &Value<'_>| {
            let text = text(value, Bounds::new(1, 512), Self::KIND.name)?;
            service(text).ok_or_else(|| malformed(value, Malformed::ServiceUrl))
        };
        at_least_one(value, one).map(Self)
    }
}

/// `name[:port] [weight=N] [zone=Z]`.
fn member(text: &str) -> Option<Member> {
    let mut words = text.split_ascii_whitespace();
    let (name, port) = place(words.next()?)?;
    let (mut weight, mut zone) = (None, None);
    for word in words {
        let before = match word.split_once('=')? {
            ("weight", number) => {
                let number = decimal(number)?.try_into().ok();
                weight
                    .replace(number.filter(|it| *it <= WEIGHT_MAX)?)
                    .is_some()
            }
            ("zone", word) if (1..=ZONE_MAX).contains(&word.len()) => {
                zone.replace(word.to_owned()).is_some()
            }
            _ => return None,
        };
        if before {
            return None;
        }
    }
    Some(Member {
        name,
        port: port.unwrap_or(PORT),
        weight: weight.unwrap_or(WEIGHT),
        zone: zone.unwrap_or_default(),
    })
}

/// An address, with a port or at that of DNS.
fn name_server(text: &str) -> Option<SocketAddr> {
    let bare = |text: &str| Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, DNS_PORT));
    text.parse().ok().or_else(|| bare(text))
}

/// Scheme, host and port; a slash behind them is left out.
fn service(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    place(rest)?;
    matches!(scheme, "https" | "http").then(|| format!("{scheme}://{rest}"))
}

/// `name`, `name:port`, `[address]:port`, `[address]`, or an address of IPv6 as it is.
fn place(text: &str) -> Option<(String, Option<u16>)> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (name, port) = rest.split_once(']')?;
            let _: Ipv6Addr = name.parse().ok()?;
            match port {
                "" => (name, None),
                port => (name, Some(port.strip_prefix(':')?)),
            }
        }
        None => match text.split_once(':') {
            Some((name, port)) if !port.contains(':') => (name, Some(port)),
            _ => (text, None),
        },
    };
    let name = match host(name)? {
        HostAddress::Name(name) => normal(&name),
        HostAddress::Ip(address) => address.to_string(),
        HostAddress::UnixDir(_) => return None,
    };
    let port = match port {
        Some(port) => Some(u16::try_from(decimal(port)?).ok().filter(|it| *it > 0)?),
        None => None,
    };
    Some((name, port))
}

/// Names of DNS are the same in upper and lower case, and with a dot at the end.
fn normal(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// A number without a sign, which the standard library would take.
fn decimal(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_ports_weights_and_zones() {
        type Parts = (&'static str, u16, u32, &'static str);
        let right: [(&str, Parts); 10] = [
            ("db1", ("db1", 5432, 100, "")),
            ("DB1.Example.com.:1", ("db1.example.com", 1, 100, "")),
            ("10.0.0.1:6000", ("10.0.0.1", 6000, 100, "")),
            ("::1", ("::1", 5432, 100, "")),
            ("[2001:DB8::1]", ("2001:db8::1", 5432, 100, "")),
            ("[2001:db8::1]:65535", ("2001:db8::1", 65535, 100, "")),
            ("db1 weight=0", ("db1", 5432, 0, "")),
            ("db1:7 zone=eu-1a", ("db1", 7, 100, "eu-1a")),
            ("db1  zone=a=b\tweight=1000", ("db1", 5432, 1000, "a=b")),
            (" db1 weight=7 ", ("db1", 5432, 7, "")),
        ];
        for (text, (name, port, weight, zone)) in right {
            let wanted = Member {
                name: name.to_owned(),
                port,
                weight,
                zone: zone.to_owned(),
            };
            assert_eq!(member(text), Some(wanted), "{text:?}");
        }
        for text in [
            "",
            " ",
            ":5432",
            "weight=1",
            "/run/postgresql",
            "postgres://db1",
            "[db1]:5432",
            "[10.0.0.1]:1",
            "[::1",
            "[::1]1",
            "db1:",
            "db1:0",
            "db1:+1",
            "db1:65536",
            "db1 db2",
            "db1 weight=",
            "db1 weight=+1",
            "db1 weight=1001",
            "db1 weight=99999999999999999999",
            "db1 weight=1 weight=1",
            "db1 zone=",
            "db1 zone=a zone=b",
            "db1 Zone=a",
            "-db1",
            "d b1",
        ] {
            assert_eq!(member(text), None, "{text:?}");
        }
        assert_eq!(member(&format!("db1 zone={}", "z".repeat(64))), None);
    }

    #[test]
    fn services_are_hosts_and_ports_and_nothing_else() {
        for (text, wanted) in [
            (
                "https://a.example.com:8008",
                Some("https://a.example.com:8008"),
            ),
            ("https://a/", Some("https://a")),
            ("http://[::1]:2379", Some("http://[::1]:2379")),
            ("a.example.com", None),
            ("ftp://a", None),
            ("https://", None),
            ("https://user:secret@a", None),
            ("https://user@a", None),
            ("https://a/cluster", None),
            ("https://a?x", None),
            ("https://a:8008#x", None),
            ("https:///run/patroni", None),
            ("https://a:b:c", None),
            ("https://a:0", None),
        ] {
            assert_eq!(service(text).as_deref(), wanted, "{text:?}");
        }
    }
}
