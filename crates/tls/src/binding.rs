//! Owns channel binding data of type tls-server-end-point (RFC 5929 section 4.1). What belongs to a
//! context's own certificates is made once, and lies beside them: to hash a certificate for each
//! client takes 27,000 instructions.

use crate::ffi;
use foreign_types::ForeignTypeRef;
use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::ssl::{SslContext, SslContextBuilder, SslRef};
use openssl::x509::{X509, X509Ref};
use std::sync::OnceLock;

/// Certificates of a context with their binding data. They are held here, so that no other one can
/// come to lie at their address.
struct EndPoints(Vec<(X509, Option<Vec<u8>>)>);

/// The place of the data in a context.
fn index() -> Option<Index<SslContext, EndPoints>> {
    static INDEX: OnceLock<Option<Index<SslContext, EndPoints>>> = OnceLock::new();
    *INDEX.get_or_init(|| SslContext::new_ex_index().ok())
}

/// Makes the data of all certificates that a context has.
pub(crate) fn remember(
    builder: &mut SslContextBuilder,
    certificates: impl Iterator<Item = X509>,
) -> Result<(), ErrorStack> {
    let index = index().ok_or_else(ErrorStack::get)?;
    let with_data = |certificate: X509| {
        let data = end_point(&certificate);
        (certificate, data)
    };
    builder.set_ex_data(index, EndPoints(certificates.map(with_data).collect()));
    Ok(())
}

/// The data of the certificate that a server has shown on this connection.
pub(crate) fn own_end_point(ssl: &SslRef) -> Option<Vec<u8>> {
    let shown = ssl.certificate()?;
    let known = index().and_then(|index| ssl.ssl_context().ex_data(index));
    let mut known = known.iter().flat_map(|it| &it.0);
    match known.find(|(certificate, _)| certificate.as_ptr() == shown.as_ptr()) {
        Some((_, data)) => data.clone(),
        None => end_point(shown),
    }
}

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
