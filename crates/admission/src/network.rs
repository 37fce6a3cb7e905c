//! Owns what a range of addresses is: an address and how many of its bits count.

use std::net::IpAddr;

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Its address.
    pub address: IpAddr,
    /// How many bits of it count; more than it has are all of them.
    pub prefix: u8,
}

impl Network {
    /// Whether `address` lies in it. An IPv4 address in IPv6's clothes is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => same(
                own.to_bits().into(),
                other.to_bits().into(),
                self.prefix,
                32,
            ),
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                same(own.to_bits(), other.to_bits(), self.prefix, 128)
            }
            _ => false,
        }
    }
}

fn same(own: u128, other: u128, prefix: u8, bits: u8) -> bool {
    let ignored = bits.saturating_sub(prefix);
    (own ^ other).checked_shr(ignored.into()).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let table = [
            ("10.0.0.0", 8, "10.255.0.1", true),
            ("10.0.0.0", 8, "11.0.0.1", false),
            ("10.0.0.7", 32, "10.0.0.7", true),
            ("10.0.0.7", 32, "10.0.0.6", false),
            ("0.0.0.0", 0, "255.1.2.3", true),
            ("0.0.0.0", 0, "::1", false),
            ("::", 0, "2001:db8::1", true),
            ("::1", 128, "::1", true),
            ("::1", 128, "::2", false),
            ("2001:db8::", 32, "2001:db8:1::1", true),
            ("2001:db8::", 32, "2001:db9::", false),
            ("127.0.0.0", 8, "::ffff:127.0.0.1", true),
        ];
        for (address, prefix, other, within) in table {
            let address = address.parse().unwrap();
            let network = Network { address, prefix };
            let other = other.parse().unwrap();
            assert_eq!(network.contains(other), within, "{network:?} {other}");
        }
    }
}
