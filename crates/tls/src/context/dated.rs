//! Owns until when the certificates, revocation lists and staples of a context are good, file by file,
//! so that somebody can be told before it bites.

use super::files::certificates;
use super::{ContextFault, Expires, Expiry, Source};
use crate::facts::unix_s;

/// A file and the end of its validity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dated {
    /// Path of the file, or "(given as text)".
    pub of: String,
    /// What is in it.
    pub kind: Expires,
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

    /// Of a file of certificates that no context of ours is built from.
    pub fn read(source: &Source, kind: Expires) -> Result<Option<Dated>, ContextFault> {
        let ends = certificates(source)?.into_iter();
        let ends = ends.filter_map(|it| unix_s(it.not_after()));
        let expiries: Vec<Expiry> = ends
            .map(|not_after_unix_s| Expiry {
                what: super::files::name(source),
                kind,
                not_after_unix_s,
            })
            .collect();
        Ok(of(&expiries).pop())
    }
}

/// What a context was built from, file by file: a chain is as good as the first of its certificates
/// to expire, authorities as the last of them, lists and staples as the first.
pub(super) fn of(expiries: &[Expiry]) -> Vec<Dated> {
    let mut files: Vec<Dated> = Vec::new();
    for Expiry {
        what,
        kind,
        not_after_unix_s,
    } in expiries
    {
        let end = *not_after_unix_s;
        let known = files
            .iter_mut()
            .find(|it| it.kind == *kind && it.of == *what);
        match (known, kind) {
            (None, _) => files.push(Dated {
                of: what.clone(),
                kind: *kind,
                not_after_unix_s: end,
            }),
            (Some(it), Expires::Authority) => it.not_after_unix_s = end.max(it.not_after_unix_s),
            (Some(it), _) => it.not_after_unix_s = end.min(it.not_after_unix_s),
        }
    }
    files
}
