//! Owns certificate revocation lists (RFC 5280 section 5): read from a file, put into the store that
//! peers are verified with. With a list, every certificate of a chain needs one that is in date:
//! without it the peer is refused.

use super::files::{bytes, name};
use super::identity::Notes;
use super::{ContextFault, Expires, Expiry, Source, Warning, library};
use crate::facts::unix_s;
use crate::fault::first_reason;
use crate::ffi;
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{X509, X509Crl};

/// From how many days before its end on a list is worth a warning. Lists are renewed far more often
/// than certificates.
const SOON_DAYS: i64 = 2;
const BEGIN: &[u8] = b"-----BEGIN X509 CRL-----";

/// Adds the lists of a source to a store, and makes it check with them.
pub(super) fn check_with(
    source: &Source,
    roots: &[X509],
    (store, now_unix_s): (&mut X509StoreBuilder, i64),
    notes: &mut Notes,
) -> Result<(), ContextFault> {
    let of = name(source);
    let lists = lists(source)?;
    for authority in roots {
        let subject = ffi::name_text(authority.subject_name());
        let has = |list: &X509Crl| ffi::name_text(list.issuer_name()) == subject;
        if !lists.iter().any(has) {
            notes.warnings.push(Warning::NoCrlOf {
                of: of.clone(),
                authority: subject,
            });
        }
    }
    for list in &lists {
        let from = unix_s(list.last_update());
        if from.is_some_and(|from| now_unix_s < from) {
            let (of, not_before) = (of.clone(), list.last_update().to_string());
            notes
                .warnings
                .push(Warning::CrlNotYetValid { of, not_before });
        }
        ffi::contexts::add_crl(store, list).map_err(library)?;
        let Some(until) = list.next_update().and_then(unix_s) else {
            continue;
        };
        notes.expiries.push(Expiry {
            what: of.clone(),
            kind: Expires::RevocationList,
            not_after_unix_s: until,
        });
        let days = (until - now_unix_s).div_euclid(86_400);
        let of = of.clone();
        if until < now_unix_s {
            notes.warnings.push(Warning::CrlExpired { of, days: -days });
        } else if days < SOON_DAYS {
            notes.warnings.push(Warning::CrlExpiresSoon { of, days });
        }
    }
    store
        .set_flags(X509VerifyFlags::CRL_CHECK | X509VerifyFlags::CRL_CHECK_ALL)
        .map_err(library)
}

/// All lists of a source; at least one.
fn lists(source: &Source) -> Result<Vec<X509Crl>, ContextFault> {
    let of = name(source);
    let pem = bytes(source)?;
    let mut rest = pem.as_slice();
    let mut lists = Vec::new();
    while let Some(at) = rest.windows(BEGIN.len()).position(|it| it == BEGIN) {
        rest = &rest[at..];
        let list = X509Crl::from_pem(rest).map_err(|stack| ContextFault::BadCrl {
            of: of.clone(),
            reason: first_reason(&stack),
        })?;
        lists.push(list);
        rest = &rest[BEGIN.len()..];
    }
    match lists.is_empty() {
        true => Err(ContextFault::NoCrl { of }),
        false => Ok(lists),
    }
}
