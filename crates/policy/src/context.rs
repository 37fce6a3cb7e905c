//! Owns what is known of a client, its database and the time, as rules ask for it.

use crate::views::Sight;
use std::net::IpAddr;

/// Who sends a statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// The name that the client proved.
    pub user: String,
    /// The role that its statements run under when its session begins.
    pub role: String,
    /// The database that it asked for.
    pub database: String,
    /// `application_name`, as the client says.
    pub application: String,
    /// Its address; `None` on a Unix-domain socket.
    pub address: Option<IpAddr>,
    /// How it is encrypted.
    pub tls: Tls,
    /// It showed a certificate that was verified.
    pub client_certificate: bool,
    /// What is known of its database's views, by the rules that are asked.
    pub views: Sight,
}

/// How a client is encrypted; ordered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tls {
    /// Not at all.
    #[default]
    None,
    /// TLS 1.2, or an older one.
    V1_2,
    /// TLS 1.3.
    V1_3,
}

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// An address in it.
    pub address: IpAddr,
    /// How many of its bits count.
    pub bits: u8,
}

impl Network {
    /// True if `other` lies in it. An IPv4 address inside an IPv6 one counts as IPv4.
    pub fn holds(self, other: IpAddr) -> bool {
        match (self.address.to_canonical(), other.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(other)) => {
                let differing = u32::from(ours) ^ u32::from(other);
                self.bits == 0 || differing.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(ours), IpAddr::V6(other)) => {
                let differing = u128::from(ours) ^ u128::from(other);
                self.bits == 0 || differing.leading_zeros() >= u32::from(self.bits)
            }
            _ => false,
        }
    }
}

/// A minute of a week, in UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moment {
    /// Minutes since midnight.
    pub minute: u16,
    /// Days since Monday.
    pub day: u8,
}

impl Moment {
    /// The moment that lies so many seconds behind the start of 1970, a Thursday.
    pub fn of(unix_s: u64) -> Moment {
        let day = unix_s / 86_400;
        Moment {
            minute: (unix_s % 86_400 / 60) as u16,
            day: ((day + 3) % 7) as u8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_known_times() {
        for (unix_s, minute, day) in [
            (0, 0, 3),
            (86_399, 1439, 3),
            (4 * 86_400, 0, 0),
            // 2024-02-29 12:34:56, a Thursday.
            (1_709_210_096, 754, 3),
        ] {
            assert_eq!(Moment::of(unix_s), Moment { minute, day });
        }
    }

    #[test]
    fn networks_hold_what_shares_their_bits() {
        for (network, bits, address, held) in [
            ("10.0.0.0", 8, "10.255.0.1", true),
            ("10.0.0.0", 8, "11.0.0.1", false),
            ("10.0.0.7", 32, "10.0.0.7", true),
            ("10.0.0.7", 32, "10.0.0.6", false),
            ("0.0.0.0", 0, "1.2.3.4", true),
            ("0.0.0.0", 0, "::1", false),
            ("10.0.0.0", 8, "::ffff:10.1.1.1", true),
            ("2001:db8::", 32, "2001:db8:1::", true),
            ("2001:db8::", 32, "2001:db9::", false),
        ] {
            let network = Network {
                address: network.parse().unwrap(),
                bits,
            };
            assert_eq!(network.holds(address.parse().unwrap()), held, "{address}");
        }
    }
}
