//! Owns the name of the server that a connection is meant for: a host name or an IP address.
//!
//! The difference decides three things: SNI is sent for names only (RFC 6066 section 3), names are
//! compared with dNSName entries, and addresses with iPAddress entries (RFC 6125, as libpq).

use std::fmt;
use std::net::IpAddr;

/// The host as the operator wrote it, checked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ServerName {
    /// A host name, at most 253 bytes, without a trailing dot.
    Name(Box<str>),
    /// An IP address.
    Ip(IpAddr),
}

/// The text can't be the name of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadServerName {
    /// Nothing was given.
    #[error("the server's host name is empty")]
    Empty,
    /// Longer than a host name can be (RFC 1035 section 2.3.4).
    #[error("the server's host name has {0} bytes; a host name has at most 253")]
    TooLong(usize),
    /// A byte that no host name has.
    #[error("the server's host name contains the byte {byte:#04x} at position {at}")]
    Byte {
        /// The byte.
        byte: u8,
        /// Where it stands, from 0.
        at: usize,
    },
}

impl ServerName {
    /// Takes `host` apart: an IPv4 or IPv6 address, else a host name.
    pub fn parse(host: &str) -> Result<ServerName, BadServerName> {
        if let Ok(address) = host.parse() {
            return Ok(ServerName::Ip(address));
        }
        let name = host.strip_suffix('.').unwrap_or(host);
        if name.is_empty() {
            return Err(BadServerName::Empty);
        }
        if name.len() > 253 {
            return Err(BadServerName::TooLong(name.len()));
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        match name.bytes().position(|byte| !allowed(byte)) {
            Some(at) => Err(BadServerName::Byte {
                byte: name.as_bytes()[at],
                at,
            }),
            None => Ok(ServerName::Name(name.into())),
        }
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerName::Name(name) => f.write_str(name),
            ServerName::Ip(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_told_apart() {
        let ip = |text: &str| ServerName::Ip(text.parse().unwrap());
        assert_eq!(ServerName::parse("127.0.0.1"), Ok(ip("127.0.0.1")));
        assert_eq!(ServerName::parse("::1"), Ok(ip("::1")));
        let name = ServerName::Name("db.example".into());
        assert_eq!(ServerName::parse("db.example."), Ok(name));
        assert_eq!(ServerName::parse("."), Err(BadServerName::Empty));
        assert_eq!(
            ServerName::parse("a\0b"),
            Err(BadServerName::Byte { byte: 0, at: 1 })
        );
        let long = "a".repeat(254);
        assert_eq!(ServerName::parse(&long), Err(BadServerName::TooLong(254)));
    }
}
