//! Owns until when the certificates of a context are good, file by file, so that somebody can be
//! told before it bites.

use super::{Expires, Expiry};

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

/// What a context was built from, file by file: a chain is as good as the first of its certificates
/// to expire, authorities as the last of them, lists and staples as the first.
pub(super) fn of(expiries: &[Expiry]) -> Vec<Dated> {
    let mut files: Vec<(Expires, Dated)> = Vec::new();
    for Expiry {
        what,
        kind,
        not_after_unix_s,
    } in expiries
    {
        let end = *not_after_unix_s;
        let known = files
            .iter_mut()
            .find(|(of, it)| of == kind && it.of == *what);
        match known {
            None => {
                let dated = Dated {
                    of: what.clone(),
                    not_after_unix_s: end,
                };
                files.push((*kind, dated));
            }
            Some((Expires::Authority, it)) => it.not_after_unix_s = end.max(it.not_after_unix_s),
            Some((_, it)) => it.not_after_unix_s = end.min(it.not_after_unix_s),
        }
    }
    files.into_iter().map(|(_, dated)| dated).collect()
}
