//! Owns the PROXY protocol's header, version 2 (HAProxy's `proxy-protocol.txt`, section 2.2): what a
//! load balancer says in front of a connection about the client behind it.
//!
//! Additional fields (TLVs) are skipped, also the one about TLS: what a balancer says about
//! encryption proves nothing here. Version 1, which is text, is recognised and refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The twelve bytes that no other protocol starts with.
pub const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The longest header taken: addresses, and room for the fields that balancers add.
pub const HEADER_MAX: usize = 4096;

/// Signature, version and command, family, length.
const FIXED: usize = 16;

/// Whom the connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxied {
    /// The balancer itself (a health check): the socket's own address holds.
    Local,
    /// A client whose address the balancer doesn't tell, or has none (a Unix-domain socket): the
    /// socket's own address holds.
    Unknown,
    /// A client at this address.
    Client(SocketAddr),
}

/// Not a header that can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyFault {
    /// Something else than a header.
    #[error("the connection does not start with a PROXY protocol header")]
    Missing,
    /// Version 1.
    #[error(
        "the PROXY protocol header has version 1, which is text; the balancer must send version 2"
    )]
    Version1,
    /// A version that doesn't exist.
    #[error("the PROXY protocol header has version {0}; the balancer must send version 2")]
    Version(u8),
    /// A command other than LOCAL and PROXY.
    #[error("the PROXY protocol header has the unknown command {0}")]
    Command(u8),
    /// A family of addresses or a transport that can't carry PostgreSQL.
    #[error("the PROXY protocol header names the address family and transport {0:#04x}")]
    Family(u8),
    /// Less than the family's addresses take.
    #[error("the PROXY protocol header has {len} bytes where its addresses take {least}")]
    Short {
        /// Its length field.
        len: usize,
        /// What the family takes.
        least: usize,
    },
    /// More than is taken.
    #[error(
        "the PROXY protocol header has {len} bytes behind its start, more than {HEADER_MAX} in all"
    )]
    Long {
        /// Its length field.
        len: usize,
    },
}

/// How far a header has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// This many bytes are needed in all, as far as can be told: never more than the header has.
    Needs(usize),
    /// It is there, and this long.
    Whole(Proxied, usize),
}

/// Reads the header at the start of `data`. What follows it belongs to the client.
pub fn parse(data: &[u8]) -> Result<Progress, ProxyFault> {
    let seen = data.len().min(SIGNATURE.len());
    if data[..seen] != SIGNATURE[..seen] {
        // The shortest line of version 1 is no longer than this.
        let text = data.len().min(6);
        return match data[..text] == b"PROXY "[..text] {
            true if text < 6 => Ok(Progress::Needs(FIXED)),
            true => Err(ProxyFault::Version1),
            false => Err(ProxyFault::Missing),
        };
    }
    // Each byte is judged as soon as it is there: nobody waits for the rest of a wrong one.
    if let Some(&byte) = data.get(12) {
        match (byte >> 4, byte & 0xf) {
            (2, 0 | 1) => {}
            (2, command) => return Err(ProxyFault::Command(command)),
            (version, _) => return Err(ProxyFault::Version(version)),
        }
    }
    let Some((fixed, rest)) = data.split_first_chunk::<FIXED>() else {
        return Ok(Progress::Needs(FIXED));
    };
    let len = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if FIXED + len > HEADER_MAX {
        return Err(ProxyFault::Long { len });
    }
    let is_local = fixed[12] & 0xf == 0;
    let least = match fixed[13] {
        // "The receiver must accept the connection and use its own addresses, whatever follows."
        _ if is_local => 0,
        0x00 => 0,
        0x11 => 12,
        0x21 => 36,
        0x31 => 216,
        family => return Err(ProxyFault::Family(family)),
    };
    if len < least {
        return Err(ProxyFault::Short { len, least });
    }
    if rest.len() < len {
        return Ok(Progress::Needs(FIXED + len));
    }
    let proxied = match fixed[13] {
        _ if is_local => Proxied::Local,
        0x11 => client::<4, 8>(rest, |ip| Ipv4Addr::from(ip).into()),
        0x21 => client::<16, 32>(rest, |ip| Ipv6Addr::from(ip).into()),
        _ => Proxied::Unknown,
    };
    Ok(Progress::Whole(proxied, FIXED + len))
}

/// Source address, destination address, source port, destination port; `PORT` is where the ports are.
fn client<const IP: usize, const PORT: usize>(
    addresses: &[u8],
    ip: impl FnOnce([u8; IP]) -> IpAddr,
) -> Proxied {
    match (addresses.first_chunk::<IP>(), addresses.get(PORT..PORT + 2)) {
        (Some(address), Some(&[high, low])) => {
            let port = u16::from_be_bytes([high, low]);
            Proxied::Client(SocketAddr::new(ip(*address), port))
        }
        _ => Proxied::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &len, body].concat()
    }

    const V4: [u8; 12] = [192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x34, 0x15, 0x38];

    fn v6() -> Vec<u8> {
        let own: Ipv6Addr = "2001:db8::7".parse().unwrap();
        [&own.octets()[..], &[0; 16], &[0x12, 0x34, 0x15, 0x38]].concat()
    }

    #[test]
    fn headers() {
        let v4 = Proxied::Client("192.0.2.7:4660".parse().unwrap());
        let v6_client = Proxied::Client("[2001:db8::7]:4660".parse().unwrap());
        // PP2_TYPE_SSL that claims a verified client: skipped like any other field.
        let tls = [&V4[..], &[0x20, 0, 5, 7, 0, 0, 0, 0]].concat();
        let crowded = [&V4[..], &[4; HEADER_MAX - FIXED - 12]].concat();
        let table: &[(&str, Vec<u8>, Proxied)] = &[
            ("IPv4", header(0x21, 0x11, &V4), v4),
            ("IPv4 with fields", header(0x21, 0x11, &tls), v4),
            ("as long as may be", header(0x21, 0x11, &crowded), v4),
            ("IPv6", header(0x21, 0x21, &v6()), v6_client),
            ("Unix", header(0x21, 0x31, &[0; 216]), Proxied::Unknown),
            ("unspecified", header(0x21, 0x00, &[]), Proxied::Unknown),
            (
                "unspecified with fields",
                header(0x21, 0, &[4, 0, 0]),
                Proxied::Unknown,
            ),
            ("LOCAL", header(0x20, 0x00, &[]), Proxied::Local),
            (
                "LOCAL with addresses",
                header(0x20, 0x11, &V4),
                Proxied::Local,
            ),
            (
                "LOCAL of a strange family",
                header(0x20, 0x77, &[1]),
                Proxied::Local,
            ),
        ];
        for (name, bytes, proxied) in table {
            let whole = Progress::Whole(*proxied, bytes.len());
            assert_eq!(parse(bytes), Ok(whole), "{name}");
            let more = [&bytes[..], &SIGNATURE].concat();
            assert_eq!(parse(&more), Ok(whole), "{name}, and the client's bytes");
            for cut in 0..bytes.len() {
                let Ok(Progress::Needs(count)) = parse(&bytes[..cut]) else {
                    panic!("{name} cut at {cut}");
                };
                assert!(count > cut && count <= bytes.len(), "{name} cut at {cut}");
            }
        }
    }

    #[test]
    fn what_is_no_header() {
        let table: &[(Vec<u8>, ProxyFault)] = &[
            (b"\0\0\0\x08\x04\xd2\x16\x2f".to_vec(), ProxyFault::Missing),
            (b"\x16\x03\x01".to_vec(), ProxyFault::Missing),
            (b"\r\n\r\n\0\r\nQUIX".to_vec(), ProxyFault::Missing),
            (b"PROXX".to_vec(), ProxyFault::Missing),
            (
                b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n".to_vec(),
                ProxyFault::Version1,
            ),
            (b"PROXY ".to_vec(), ProxyFault::Version1),
            (header(0x31, 0x11, &V4), ProxyFault::Version(3)),
            (header(0x01, 0x11, &V4), ProxyFault::Version(0)),
            (header(0x22, 0x11, &V4), ProxyFault::Command(2)),
            (header(0x21, 0x12, &V4), ProxyFault::Family(0x12)),
            (header(0x21, 0x01, &V4), ProxyFault::Family(0x01)),
            (header(0x21, 0x41, &V4), ProxyFault::Family(0x41)),
            (
                header(0x21, 0x11, &V4[..11]),
                ProxyFault::Short { len: 11, least: 12 },
            ),
            (
                header(0x21, 0x21, &[0; 35]),
                ProxyFault::Short { len: 35, least: 36 },
            ),
            (
                header(0x21, 0x31, &[0; 215]),
                ProxyFault::Short {
                    len: 215,
                    least: 216,
                },
            ),
            (
                header(0x21, 0x11, &[0; 4081]),
                ProxyFault::Long { len: 4081 },
            ),
            (
                header(0x20, 0, &[0; 65535]),
                ProxyFault::Long { len: 65535 },
            ),
        ];
        for (bytes, fault) in table {
            assert_eq!(
                parse(bytes),
                Err(*fault),
                "{:?}",
                bytes.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn a_wrong_byte_is_known_as_soon_as_it_is_there() {
        let text = b"PROXY ";
        for cut in 1..text.len() {
            assert_eq!(parse(&text[..cut]), Ok(Progress::Needs(16)));
        }
        let wrong = header(0x11, 0x11, &V4);
        assert!(parse(&wrong[..13]).is_err());
        let long = header(0x21, 0x11, &[0; 5000]);
        assert!(parse(&long[..16]).is_err());
    }
}
