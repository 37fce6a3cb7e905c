//! Owns the types of settings other than words: how each is read from a TOML value.

use crate::checked::{CaSource, HostAddress, MaxClientConn, Sha256, Workers};
use crate::error::{Malformed, Problem};
use crate::read::{Bad, Read, Value};
use crate::setting::{Bounds, Kind, Unit};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Addresses to listen on.
#[derive(Clone)]
pub(crate) struct Addresses(pub(crate) Vec<SocketAddr>);
/// Ranges of addresses: an address, and how many of its bits count.
#[derive(Clone)]
pub(crate) struct Networks(pub(crate) Vec<(IpAddr, u8)>);
/// Names of hosts.
#[derive(Clone)]
pub(crate) struct Names(pub(crate) Vec<String>);
/// Permission bits of a file.
#[derive(Clone)]
pub(crate) struct Mode(pub(crate) u32);
/// A time that may be switched off by 0.
#[derive(Clone)]
pub(crate) struct Timeout(pub(crate) Option<Duration>);
/// A time that may be switched off by 0, and whose number is written with a unit.
#[derive(Clone)]
pub(crate) struct TimeoutWithUnit(pub(crate) Option<Duration>);
/// Servers.
#[derive(Clone)]
pub(crate) struct Hosts(pub(crate) Vec<HostAddress>);
/// Ports of servers.
#[derive(Clone)]
pub(crate) struct Ports(pub(crate) Vec<u16>);
/// The name that a server's certificate has to bear.
#[derive(Clone)]
pub(crate) struct ServerName(pub(crate) String);
/// The name of an environment variable.
#[derive(Clone)]
pub(crate) struct EnvName(pub(crate) String);

/// Names of PostgreSQL users.
#[derive(Clone)]
pub(crate) struct Roles(pub(crate) Vec<String>);
/// Names of PostgreSQL's parameters.
#[derive(Clone)]
pub(crate) struct ParameterNames(pub(crate) Vec<String>);
/// A program and its arguments.
#[derive(Clone)]
pub(crate) struct Command(pub(crate) Vec<String>);
/// Host names, each perhaps with `*` as its first label.
#[derive(Clone)]
pub(crate) struct HostNames(pub(crate) Vec<String>);
/// A version: major, minor, patch.
#[derive(Clone)]
pub(crate) struct Version(pub(crate) (u32, u32, u32));

pub(crate) const fn kind(name: &'static str, unit: Unit) -> Kind {
    Kind {
        name,
        unit,
        words: &[],
    }
}

fn within(value: &Value<'_>, amount: u64, bounds: Bounds, unit: Unit) -> Result<(), Bad> {
    match bounds.hold(amount) {
        true => Ok(()),
        false => Err(value.bad(Problem::OutOfBounds { bounds, unit })),
    }
}

/// A whole number within bounds.
fn number(value: &Value<'_>, bounds: Bounds, expected: &'static str) -> Result<u64, Bad> {
    let number = value.integer().ok_or_else(|| value.not(expected))?;
    let unit = Unit::Count;
    let amount =
        u64::try_from(number).map_err(|_| value.bad(Problem::OutOfBounds { bounds, unit }))?;
    within(value, amount, bounds, unit)?;
    Ok(amount)
}

/// A text within bounds and without control characters.
pub(crate) fn text<'v>(
    value: &Value<'v>,
    bounds: Bounds,
    expected: &'static str,
) -> Result<&'v str, Bad> {
    let text = value.text(expected)?;
    within(value, text.len() as u64, bounds, Unit::Length)?;
    match text.contains(char::is_control) {
        true => Err(malformed(value, Malformed::ControlCharacter)),
        false => Ok(text),
    }
}

/// An IP address with a port.
fn address(value: &Value<'_>, expected: &'static str) -> Result<SocketAddr, Bad> {
    let text = value.text(expected)?;
    text.parse()
        .map_err(|_| malformed(value, Malformed::Address))
}

pub(crate) fn malformed(value: &Value<'_>, form: Malformed) -> Bad {
    value.bad(Problem::Malformed(form))
}

/// Each element of a list, or the one value, read by `one`.
fn each<T>(value: &Value<'_>, one: impl Fn(&Value<'_>) -> Result<T, Bad>) -> Result<Vec<T>, Bad> {
    value.elements().iter().map(one).collect()
}

/// The same, but an empty list is an error.
pub(crate) fn at_least_one<T>(
    value: &Value<'_>,
    one: impl Fn(&Value<'_>) -> Result<T, Bad>,
) -> Result<Vec<T>, Bad> {
    let list = each(value, one)?;
    match list.is_empty() {
        true => Err(malformed(value, Malformed::EmptyList)),
        false => Ok(list),
    }
}

impl<T: Read> Read for Option<T> {
    const KIND: Kind = T::KIND;
    const BOUNDS: Bounds = T::BOUNDS;

    fn read(value: &Value<'_>, bounds: Bounds) -> Result<Self, Bad> {
        T::read(value, bounds).map(Some)
    }

    fn unset() -> Option<Self> {
        Some(None)
    }
}

impl Read for bool {
    const KIND: Kind = kind("true or false", Unit::None);

    fn read(value: &Value<'_>, _: Bounds) -> Result<Self, Bad> {
        value.boolean(Self::KIND.name)
    }
}

impl Read for u32 {
    const KIND: Kind = kind("a whole number", Unit::Count);
    const BOUNDS: Bounds = Bounds::new(0, u32::MAX as u64);

    fn read(value: &Value<'_>, bounds: Bounds) -> Result<Self, Bad> {
        let amount = number(value, bounds, Self::KIND.name)?;
        u32::try_from(amount).map_err(|_| value.not(Self::KIND.name))
    }
}

impl Read for u64 {
    const KIND: Kind = kind("a whole number", Unit::Count);
    const BOUNDS: Bounds = Bounds::new(0, i64::MAX as u64);

    fn read(value: &Value<'_>, bounds: Bounds) -> Result<Self, Bad> {
        number(value, bounds, Self::KIND.name)
    }
}

impl Read for String {
    const KIND: Kind = kind("a text", Unit::Length);
    const BOUNDS: Bounds = Bounds::new(1, 4096);

    fn read(value: &Value<'_>, bounds: Bounds) -> Result<Self, Bad> {
        text(value, bounds, Self::KIND.name).map(str::to_owned)
    }
}

impl Read for Names {
    const KIND: Kind = kind("a name, or a list of names", Unit::None);

    fn read(value: &Value<'_>, _: Bounds) -> Result<Self, Bad> {
        let one = |value: &Value<'_>| text(value, Bounds::new(1, 253), "a name").map(str::to_owned);
        each(value, one).map(Self)
    }
}

impl Read for SocketAddr {
    const KIND: Kind = kind("an address with a port, in quotes", Unit::None);

    fn read(value: &Value<'_>, _: Bounds) -> Result<Self, Bad> {
        address(value, Self::KIND.name)
    }
}

impl Read for PathBuf {
    const KIND: Kind = kind("a path, in quotes", Unit::None);
    const BOUNDS: Bounds = Bounds::new(1, 4095);

    fn read(value: &Value<'_>, bounds: Bounds) -> Result<Self, Bad> {
        text(value, bounds, Self::KIND.name).map(PathBuf::from)
    }
}

impl Read for Duration {
    const KIND: Kind = kind(
        "a duration: seconds, or for example \"500ms\"",
        Unit::Millis,
    );

    fn read(value: &Value<'_>, bounds: Bounds) -> Result<Self, Bad> {
        let amount = millis(value, bounds)?;
        within(value, amount, bounds, Unit::Millis)?;
        Ok(Self::from_millis(amount))
    }
}

impl Read for Timeout {
    const KIND: Kind = kind("a duration, or 0 for none", Unit::Millis);

    fn read(value: &Value<'_>, bounds: Bounds) -> Result<Self, Bad> {
        match millis(value, bounds)? {
            0 => Ok(Self(None)),
            _ => Duration::read(value, bounds).map(|time| Self(Some(time))),
        }
    }
}

impl Read for TimeoutWithUnit {
    const KIND: Kind = kind("a duration with its unit, or 0 for none", Unit::Millis);

    fn read(value: &Value<'_>, bounds: Bounds) -> Result<Self, Bad> {
        match value.integer() {
            Some(number) if number != 0 => Err(malformed(value, Malformed::UnitNeeded)),
            _ => Timeout::read(value, bounds).map(|time| Self(time.0)),
        }
    }
}

/// The milliseconds of a duration: a number of seconds, or a text with a unit.
fn millis(value: &Value<'_>, bounds: Bounds) -> Result<u64, Bad> {
    let unit = Unit::Millis;
    let too_much = || value.bad(Problem::OutOfBounds { bounds, unit });
    if let Some(seconds) = value.integer() {
        let seconds = u64::try_from(seconds).map_err(|_| too_much())?;
        return seconds.checked_mul(1000).ok_or_else(too_much);
    }
    let text = value.text(Duration::KIND.name)?;
    let form = || malformed(value, Malformed::Duration);
    let digits = text.find(|letter: char| !letter.is_ascii_digit());
    let (number, unit) = text.split_at(digits.ok_or_else(form)?);
    let factor = match unit.trim_start() {
        "ms" => 1,
        "s" => 1000,
        "min" | "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(form()),
    };
    if number.is_empty() {
        return Err(form());
    }
    let number: u64 = number.parse().map_err(|_| too_much())?;
    number.checked_mul(factor).ok_or_else(too_much)
}

impl Read for Addresses {
    const KIND: Kind = kind("an address, or a list of addresses", Unit::None);

    fn read(value: &Value<'_>, _: Bounds) -> Result<Self, Bad> {
        each(value, |one| address(one, Self::KIND.name)).map(Self)
    }
}

impl Read for Networks {
    const KIND: Kind = kind("a network, or a list of networks", Unit::None);

    fn read(value: &Value<'_>, _: Bounds) -> Result<Self, Bad> {
        let one = |value: &Value<'_>| {
            let text = value.text(Self::KIND.name)?;
            network(text).ok_or_else(|| malformed(value, Malformed::Network))
        };
        each(value, one).map(Self)
    }
}

/// An address, or an address and a number of bits.
fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match bits {
        // A sign would be taken by the standard library, but is no number of bits.
        Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => bits.parse().ok()?,
        Some(_) => return None,
        None => most,
    };
    (prefix <= most).then_some((address, prefix))
}

impl Read for Mode {
    const KIND: Kind = kind("a file mode: octal digits in quotes", Unit::None);

    fn read(value: &Value<'_>, _: Bounds) -> Result<Self, Bad> {
        let text = value.text(Self::KIND.name)?;
        let mode = u32::from_str_radix(text, 8).ok();
        // A sign would be taken by the standard library, but is not a mode.
        mode.filter(|mode| *mode <= 0o777 && text.starts_with(|c: char| c.is_ascii_digit()))
            .map(Self)
            .ok_or_else(|| malformed(value, Malformed::Mode))
    }
}

impl Read for Workers {
    const KIND: Kind = kind("a whole number, or 0 for one per core", Unit::Count);

    fn read(value: &Value<'_>, bounds: Bounds) -> Result<Self, Bad> {
        Ok(match u32::read(value, bounds)? {
            0 => Self::PerCore,
            number => Self::Exactly(number),
        })
    }
}

impl Read for MaxClientConn {
    const KIND: Kind = kind("a whole number, or \"auto\"", Unit::Count);

    fn read(value: &Value<'_>, bounds: Bounds) -> Result<Self, Bad> {
        if value.integer().is_some() {
            return u32::read(value, bounds).map(Self::Exactly);
        }
        match value.text(Self::KIND.name)? {
            "auto" => Ok(Self::Fitted),
            _ => Err(value.not(Self::KIND.name)),
        }
    }
}

impl Read for Hosts {
    const KIND: Kind = kind("a host, or a list of hosts", Unit::None);

    fn read(value: &Value<'_>, _: Bounds) -> Result<Self, Bad> {
        at_least_one(value, |value| address_of_host(value, Self::KIND.name)).map(Self)
    }
}

impl Read for HostAddress {
    const KIND: Kind = kind("a host", Unit::None);

    fn read(value: &Value<'_>, _: Bounds) -> Result<Self, Bad> {
        address_of_host(value, Self::KIND.name)
    }
}

/// One host within bounds.
fn address_of_host(value: &Value<'_>, expected: &'static str) -> Result<HostAddress, Bad> {
    let text = text(value, Bounds::new(1, 253), expected)?;
    host(text).ok_or_else(|| malformed(value, Malformed::Host))
}

/// One host: the directory of a socket, an address, or a name (RFC 1123, and `_` as in practice).
pub(crate) fn host(text: &str) -> Option<HostAddress> {
    if text.starts_with('/') {
        return Some(HostAddress::UnixDir(PathBuf::from(text)));
    }
    let bare = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    if let Ok(address) = bare.unwrap_or(text).parse::<IpAddr>() {
        return Some(HostAddress::Ip(address));
    }
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let is_name = text.chars().all(fits) && !text.starts_with(['-', '.']);
    (is_name && !text.is_empty()).then(|| HostAddress::Name(text.to_owned()))
}

impl Read for ServerName {
    const KIND: Kind = kind("the name of a host", Unit::None);

    fn read(value: &Value<'_>, _: Bounds) -> Result<Self, Bad> {
        match address_of_host(value, Self::KIND.name)? {
            HostAddress::Name(name) => Ok(Self(name)),
            HostAddress::Ip(address) => Ok(Self(address.to_string())),
            HostAddress::UnixDir(_) => Err(malformed(value, Malformed::Host)),
        }
    }
}

impl Read for Ports {
    const KIND: Kind = kind("a port, or a list with one for each host", Unit::Count);
    const BOUNDS: Bounds = Bounds::new(1, 65535);

    fn read(value: &Value<'_>, bounds: Bounds) -> Result<Self, Bad> {
        let one = |value: &Value<'_>| {
            let amount = number(value, bounds, Self::KIND.name)?;
            u16::try_from(amount).map_err(|_| value.not(Self::KIND.name))
        };
        at_least_one(value, one).map(Self)
    }
}

impl Read for Sha256 {
    const KIND: Kind = kind("\"sha256:…\"", Unit::None);

    fn read(value: &Value<'_>, _: Bounds) -> Result<Self, Bad> {
        let text = value.text(Self::KIND.name)?;
        pin(text).ok_or_else(|| malformed(value, Malformed::Pin))
    }
}

/// The digest of a pin; colons between bytes, as OpenSSL prints them, are taken.
fn pin(text: &str) -> Option<Sha256> {
    let digits: String = text
        .strip_prefix("sha256:")?
        .chars()
        .filter(|letter| *letter != ':')
        .collect();
    if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, place) in digest.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(digits.get(place..place + 2)?, 16).ok()?;
    }
    Some(Sha256(digest))
}

impl Read for CaSource {
    const KIND: Kind = kind("\"system\", or a path", Unit::None);
    const BOUNDS: Bounds = PathBuf::BOUNDS;

    fn read(value: &Value<'_>, bounds: Bounds) -> Result<Self, Bad> {
        match value.text(Self::KIND.name)? {
            "system" => Ok(Self::System),
            _ => PathBuf::read(value, bounds).map(Self::File),
        }
    }
}

impl Read for EnvName {
    const KIND: Kind = kind("the name of an environment variable", Unit::None);

    fn read(value: &Value<'_>, _: Bounds) -> Result<Self, Bad> {
        let text = value.text(Self::KIND.name)?;
        let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        match !text.is_empty() && text.chars().all(fits) && !text.starts_with(char::is_numeric) {
            true => Ok(Self(text.to_owned())),
            false => Err(malformed(value, Malformed::EnvName)),
        }
    }
}

impl Read for Roles {
    const KIND: Kind = kind("a user, or a list of users", Unit::Length);

    fn read(value: &Value<'_>, bounds: Bounds) -> Result<Self, Bad> {
        each(value, |one| String::read(one, bounds)).map(Self)
    }
}

impl Read for ParameterNames {
    const KIND: Kind = kind("a parameter, or a list of parameters", Unit::None);

    fn read(value: &Value<'_>, _: Bounds) -> Result<Self, Bad> {
        let one = |value: &Value<'_>| {
            let text = value.text(Self::KIND.name)?;
            let fits = |letter: char| letter.is_ascii_alphanumeric() || "_.".contains(letter);
            match !text.is_empty() && text.chars().all(fits) {
                true => Ok(text.to_owned()),
                false => Err(malformed(value, Malformed::Parameter)),
            }
        };
        each(value, one).map(Self)
    }
}

impl Read for Command {
    const KIND: Kind = kind("a list of texts: a program and its arguments", Unit::None);

    fn read(value: &Value<'_>, _: Bounds) -> Result<Self, Bad> {
        let bounds = Bounds::new(0, 4096);
        let words = at_least_one(value, |value| {
            text(value, bounds, Self::KIND.name).map(str::to_owned)
        })?;
        match words.first().is_some_and(|program| !program.is_empty()) {
            true => Ok(Self(words)),
            false => Err(malformed(value, Malformed::Command)),
        }
    }
}

impl Read for HostNames {
    const KIND: Kind = kind("a host name, or a list of host names", Unit::None);

    fn read(value: &Value<'_>, _: Bounds) -> Result<Self, Bad> {
        let one = |value: &Value<'_>| {
            let text = value.text(Self::KIND.name)?;
            let host = text.strip_prefix("*.").unwrap_or(text);
            match host_name(host) {
                true => Ok(text.to_ascii_lowercase()),
                false => Err(malformed(value, Malformed::HostName)),
            }
        };
        each(value, one).map(Self)
    }
}

/// Labels of letters, digits, - and _ (RFC 1123), and no address.
fn host_name(text: &str) -> bool {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    let label = |label: &str| (1..=63).contains(&label.len()) && label.chars().all(fits);
    text.len() <= 253 && text.split('.').all(label) && text.parse::<IpAddr>().is_err()
}

impl Read for Version {
    const KIND: Kind = kind("a version, in quotes", Unit::None);

    fn read(value: &Value<'_>, _: Bounds) -> Result<Self, Bad> {
        let text = value.text(Self::KIND.name)?;
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let part = |part: &str| part.parse().ok().filter(|_| digits(part));
        let parts: Option<Vec<u32>> = text.split('.').map(part).collect();
        match parts.as_deref() {
            Some([major, minor]) => Ok(Self((*major, *minor, 0))),
            Some([major, minor, patch]) => Ok(Self((*major, *minor, *patch))),
            _ => Err(malformed(value, Malformed::Version)),
        }
    }
}
