//! Owns until when the certificates of a context are good, file by file, so that somebody can be
//! told before it bites.

use super::Source;
use super::identity::name;
use crate::facts::unix_s;
use openssl::x509::{X509, X509Ref};

/// A file of certificates and the end of their validity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dated {
    /// Path of the file, or "(given as text)".
    pub of: String,
    /// From when on it is of no more use, in seconds since 1970.
    pub not_after_unix_s: i64,
}

impl Dated {
    /// Days from `now_unix_s` until then, rounded down; negative once it is over.
    pub fn days_left(&self, now_unix_s: i64) -> i64 {
        self.not_after_unix_s
            .saturating_sub(now_unix_s)
            .div_euclid(86_400)
    }
}

/// Our own certificate with its chain: as good as the first of them to expire.
pub(super) fn identity(source: &Source, chain: &[X509]) -> Option<Dated> {
    dated(source, chain.iter().filter_map(|it| end(it)).min())
}

/// Authorities: as good as the last of them to expire.
pub(super) fn authorities(source: &Source, certificates: &[X509]) -> Option<Dated> {
    dated(source, certificates.iter().filter_map(|it| end(it)).max())
}

fn end(certificate: &X509Ref) -> Option<i64> {
    unix_s(certificate.not_after())
}

fn dated(source: &Source, end: Option<i64>) -> Option<Dated> {
    Some(Dated {
        of: name(source),
        not_after_unix_s: end?,
    })
}
