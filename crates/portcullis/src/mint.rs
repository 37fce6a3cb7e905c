//! Owns certificates and passwords that Portcullis makes itself, for the demo and the quick start:
//! crate `tls` makes them, this gives it the clock, the names and the days.

use buf::Secret;
use openssl::hash::MessageDigest;
use openssl::x509::X509;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tls::mint::{Authority, KeyKind, Leaf, MintFault, Minted, Usage, Validity};

const DAY_S: i64 = 86_400;
/// Clocks of neighbours may be a little behind.
const SKEW_S: i64 = 3_600;

/// Whom a certificate is for.
pub(crate) struct Names {
    /// Host names.
    pub(crate) dns: Vec<String>,
    /// Addresses.
    pub(crate) ip: Vec<IpAddr>,
}

/// This machine, as its own programs call it.
pub(crate) fn loopback() -> Names {
    Names {
        dns: vec!["localhost".to_owned()],
        ip: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
    }
}

fn validity(now_unix_s: i64, days: i64) -> Validity {
    Validity {
        not_before_unix_s: now_unix_s - SKEW_S,
        not_after_unix_s: now_unix_s + days * DAY_S,
    }
}

/// A new authority.
pub(crate) fn authority(name: &str, now_unix_s: i64, days: i64) -> Result<Authority, MintFault> {
    Authority::create(name, validity(now_unix_s, days), KeyKind::EcdsaP256)
}

/// A server's certificate.
pub(crate) fn leaf(
    authority: &Authority,
    common_name: &str,
    names: &Names,
    now_unix_s: i64,
    days: i64,
) -> Result<Minted, MintFault> {
    let dns: Vec<&str> = names.dns.iter().map(String::as_str).collect();
    authority.issue(&Leaf {
        common_name,
        dns: &dns,
        ip: &names.ip,
        usage: Usage::Server,
        validity: validity(now_unix_s, days),
        key: KeyKind::EcdsaP256,
    })
}

/// SHA-256 of a certificate's DER form.
pub(crate) fn sha256(pem: &[u8]) -> Result<[u8; 32], MintFault> {
    let digest = X509::from_pem(pem).and_then(|it| it.digest(MessageDigest::sha256()));
    let digest = digest.ok().and_then(|digest| (*digest).try_into().ok());
    let reason = "SHA-256 of a certificate";
    digest.ok_or(MintFault { reason })
}

/// A password of 144 random bits.
pub(crate) fn password() -> Result<Secret, MintFault> {
    let mut bytes = [0; 18];
    let random = openssl::rand::rand_bytes(&mut bytes);
    let reason = "the random generator";
    random.map_err(|_| MintFault { reason })?;
    let text = Secret::from_vec(crate::draft::hex(&bytes).into_bytes());
    bytes.fill(0);
    Ok(text)
}
