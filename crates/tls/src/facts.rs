//! Owns what is known about a TLS connection after its handshake, and about a certificate.

use crate::binding;
use crate::ffi;
use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::ssl::{NameType, SslRef, SslVersion};
use openssl::x509::{GeneralNameRef, X509Ref};
use std::net::IpAddr;

/// What both ends agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegFacts {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: String,
    /// The cipher suite by OpenSSL's name.
    pub cipher: String,
    /// The key exchange group, such as `X25519` or `P-256`.
    pub group: Option<String>,
    /// The server name: what the client asked for, or what was sent to the server.
    pub sni: Option<String>,
    /// The application protocol agreed on.
    pub alpn: Option<String>,
    /// tls-server-end-point channel binding data (RFC 5929 section 4) of the server's certificate
    /// on this leg; `None` where the certificate's signature names no hash (Ed25519, ML-DSA).
    pub end_point: Option<Vec<u8>>,
    /// The peer's certificate; verified only as far as the context demanded.
    pub peer: Option<PeerCertificate>,
}

/// What a handshake came to, without a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreed {
    /// TLS 1.3, and not 1.2.
    pub is_tls13: bool,
    /// An earlier session was taken up.
    pub is_resumed: bool,
}

impl Agreed {
    /// Reads a connection whose handshake is done.
    pub(crate) fn read(ssl: &SslRef) -> Agreed {
        Agreed {
            is_tls13: ssl.version2() == Some(SslVersion::TLS1_3),
            is_resumed: ssl.session_reused(),
        }
    }
}

/// A certificate's identity. Texts are escaped and contain no control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The subject, in the form of RFC 4514, most specific part first.
    pub subject: String,
    /// The issuer, likewise.
    pub issuer: String,
    /// The common name of the subject; `None` if there is none, if there are several (which of
    /// them counts would be the reader's choice, not the issuer's), or if it holds a NUL or another
    /// control character.
    pub common_name: Option<String>,
    /// Subject alternative names: dNSName.
    pub dns: Vec<String>,
    /// Subject alternative names: rfc822Name.
    pub email: Vec<String>,
    /// Subject alternative names: uniformResourceIdentifier.
    pub uri: Vec<String>,
    /// Subject alternative names: iPAddress.
    pub ip: Vec<IpAddr>,
    /// SHA-256 of the certificate's DER form.
    pub sha256: [u8; 32],
    /// When it expires, as OpenSSL prints it.
    pub not_after: String,
    /// When it expires, in seconds since 1970.
    pub not_after_unix_s: i64,
}

impl LegFacts {
    /// Reads a connection whose handshake is done.
    pub(crate) fn read(ssl: &SslRef) -> LegFacts {
        let peer = ssl.peer_certificate();
        let end_point = match (ssl.is_server(), ssl.session_reused()) {
            // The certificate of the handshake that the session began with.
            (true, true) => ffi::contexts::remembered_end_point(ssl),
            (true, false) => binding::own_end_point(ssl),
            (false, _) => peer.as_deref().and_then(binding::end_point),
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).escape_debug().to_string();
        LegFacts {
            version: ssl.version_str().to_owned(),
            cipher: ssl
                .current_cipher()
                .map(|cipher| cipher.name().to_owned())
                .unwrap_or_default(),
            group: ffi::group(ssl).map(|name| usual_name(&name)),
            sni: ssl.servername_raw(NameType::HOST_NAME).map(text),
            alpn: ssl.selected_alpn_protocol().map(text),
            end_point,
            peer: peer.as_deref().and_then(PeerCertificate::read),
        }
    }
}

/// The curves' names as everybody but OpenSSL spells them.
fn usual_name(group: &str) -> String {
    match group {
        "x25519" => "X25519",
        "x448" => "X448",
        "secp256r1" | "prime256v1" => "P-256",
        "secp384r1" => "P-384",
        "secp521r1" => "P-521",
        other => other,
    }
    .to_owned()
}

impl PeerCertificate {
    /// Reads a certificate; `None` only if OpenSSL can't even hash it.
    pub(crate) fn read(certificate: &X509Ref) -> Option<PeerCertificate> {
        let digest = certificate.digest(MessageDigest::sha256()).ok()?;
        Some(PeerCertificate {
            subject: ffi::name_text(certificate.subject_name()),
            issuer: ffi::name_text(certificate.issuer_name()),
            common_name: common_name(certificate),
            dns: alternatives(certificate, |name| name.dnsname().and_then(clean)),
            email: alternatives(certificate, |name| name.email().and_then(clean)),
            uri: alternatives(certificate, |name| name.uri().and_then(clean)),
            ip: alternatives(certificate, |name| name.ipaddress().and_then(address)),
            sha256: (*digest).try_into().ok()?,
            not_after: certificate.not_after().to_string(),
            not_after_unix_s: unix_s(certificate.not_after()).unwrap_or(0),
        })
    }

    /// Whole days from `now_unix_s` until the certificate expires; negative if it has.
    pub fn days_left(&self, now_unix_s: i64) -> i64 {
        (self.not_after_unix_s - now_unix_s).div_euclid(86_400)
    }

    /// The fingerprint in hexadecimal digits, as a `pin` takes it.
    pub fn sha256_hex(&self) -> String {
        self.sha256
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

fn common_name(certificate: &X509Ref) -> Option<String> {
    let name = certificate.subject_name();
    let mut entries = name.entries_by_nid(Nid::COMMONNAME);
    let (only, None) = (entries.next()?, entries.next()) else {
        return None;
    };
    clean(&only.data().to_string().ok()?)
}

fn alternatives<T>(certificate: &X509Ref, read: impl Fn(&GeneralNameRef) -> Option<T>) -> Vec<T> {
    certificate
        .subject_alt_names()
        .map(|names| names.iter().filter_map(read).collect())
        .unwrap_or_default()
}

/// A name with a NUL or another control character is nobody's name: software that stops reading
/// there would take it for another one.
fn clean(name: &str) -> Option<String> {
    let usable = !name.is_empty() && !name.chars().any(char::is_control);
    usable.then(|| name.to_owned())
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(four));
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

/// Seconds since 1970 of a certificate's time.
pub(crate) fn unix_s(time: &Asn1TimeRef) -> Option<i64> {
    let difference = Asn1Time::from_unix(0).ok()?.diff(time).ok()?;
    Some(i64::from(difference.days) * 86_400 + i64::from(difference.secs))
}
