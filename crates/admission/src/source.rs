//! Owns what counts as one source of clients.

use std::net::IpAddr;

/// Where a client comes from, as bounds see it: whoever has one address of an IPv6 network has all
/// of its /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// A Unix-domain socket: this machine.
    Local,
    /// An IPv4 address.
    V4([u8; 4]),
    /// The first half of an IPv6 address.
    V6([u8; 8]),
}

impl Source {
    /// The source of an address; `None` is a Unix-domain socket.
    pub fn of(address: Option<IpAddr>) -> Source {
        match address.map(|address| address.to_canonical()) {
            None => Source::Local,
            Some(IpAddr::V4(address)) => Source::V4(address.octets()),
            Some(IpAddr::V6(address)) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Source::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources() {
        let of = |text: &str| Source::of(Some(text.parse().unwrap()));
        assert_eq!(of("10.0.0.1"), Source::V4([10, 0, 0, 1]));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:0:0:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(Source::of(None), Source::Local);
    }
}
