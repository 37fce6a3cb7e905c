//! Owns what is known about a TLS connection after its handshake, and about a certificate.

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

/// A certificate's identity. Texts are escaped and contain no control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The subject, in the form of RFC 4514, most specific part first.
    pub subject: String,
    /// The issuer, likewise.
    pub issuer: String,
    /// The last common name of the subject; `None` if there is none, or if it holds a NUL byte.
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

impl PeerCertificate {
    /// Whole days from `now_unix_s` until the certificate expires; negative if it has.
    pub fn days_left(&self, now_unix_s: i64) -> i64 {
        (self.not_after_unix_s - now_unix_s).div_euclid(86_400)
    }

    /// The fingerprint in hexadecimal digits, as a `pin` takes it.
    pub fn sha256_hex(&self) -> String {
        self.sha256.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
