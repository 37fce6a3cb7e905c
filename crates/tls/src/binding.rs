//! Owns channel binding data of type tls-server-end-point (RFC 5929 section 4.1).

use crate::ffi;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::x509::X509Ref;

/// The hash of the server's certificate, made with the hash of the certificate's own signature;
/// MD5 and SHA-1 are replaced by SHA-256. `None` if the signature has no hash of its own
/// (Ed25519, ML-DSA): no such binding is defined, and libpq fails when it is offered.
pub(crate) fn end_point(certificate: &X509Ref) -> Option<Vec<u8>> {
    let digest = match ffi::signature_digest(certificate)? {
        Nid::MD5 | Nid::SHA1 => MessageDigest::sha256(),
        other => MessageDigest::from_nid(other)?,
    };
    Some(certificate.digest(digest).ok()?.to_vec())
}
