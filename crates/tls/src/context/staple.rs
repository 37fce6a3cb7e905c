//! Owns stapled OCSP responses (RFC 6066 section 8, RFC 6960): read from a file, checked to be
//! good, fresh, and about this certificate, and handed to clients that ask. A response that a client
//! would refuse is not stapled: without one it may still connect.

use super::files::{bytes, name};
use super::identity::Notes;
use super::{Clock, ContextFault, Expires, Expiry, Source, Warning, library};
use crate::ffi;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::ocsp::{
    OcspBasicResponse, OcspCertId, OcspCertStatus, OcspFlag, OcspResponse, OcspResponseStatus,
};
use openssl::ssl::{SslContextBuilder, SslRef};
use openssl::stack::Stack;
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{X509, X509Ref};

/// A responder's clock may be a little ahead of ours.
const SKEW_S: i64 = 300;

/// A response about one certificate.
#[derive(Clone)]
pub(super) struct Staple {
    certificate_sha256: Vec<u8>,
    der: Vec<u8>,
    next_update_unix_s: i64,
}

/// Reads the response about a certificate, whose issuer comes from its chain. `None`, with a
/// warning, if clients would refuse it.
pub(super) fn read(
    source: &Source,
    (leaf, issuer): (&X509Ref, Option<&X509>),
    now_unix_s: i64,
    notes: &mut Notes,
) -> Result<Option<Staple>, ContextFault> {
    let of = name(source);
    let der = bytes(source)?;
    let judged = match issuer {
        Some(issuer) => judge(&der, leaf, issuer, now_unix_s),
        None => Err(
            "the certificate's issuer is needed to check it; append the issuer to the \
             certificate's file"
                .to_owned(),
        ),
    };
    // What OpenSSL has left of a response that it refused is nobody's error.
    ffi::forget_errors();
    match judged {
        Ok(next_update_unix_s) => {
            notes.expiries.push(Expiry {
                what: of,
                kind: Expires::Staple,
                not_after_unix_s: next_update_unix_s,
            });
            Ok(Some(Staple {
                certificate_sha256: sha256(leaf).map_err(library)?,
                der,
                next_update_unix_s,
            }))
        }
        Err(why) => {
            notes.warnings.push(Warning::NotStapled { of, why });
            Ok(None)
        }
    }
}

/// Until when the response is good, or why it isn't.
fn judge(der: &[u8], leaf: &X509Ref, issuer: &X509, now_unix_s: i64) -> Result<i64, String> {
    let response =
        OcspResponse::from_der(der).map_err(|_| "it is no OCSP response in DER form".to_owned())?;
    if response.status() != OcspResponseStatus::SUCCESSFUL {
        return Err("it is the responder's refusal to answer; fetch another one".to_owned());
    }
    let basic = response
        .basic()
        .map_err(|_| "it is an OCSP response of an unknown type".to_owned())?;
    signed(&basic, issuer)
        .map_err(|_| "it is not signed by, or for, the issuer of this certificate".to_owned())?;
    let status = [MessageDigest::sha1(), MessageDigest::sha256()]
        .into_iter()
        .filter_map(|digest| OcspCertId::from_cert(digest, leaf, issuer).ok())
        .find_map(|id| basic.find_status(&id))
        .ok_or("it is about another certificate")?;
    match status.status {
        OcspCertStatus::GOOD => {}
        OcspCertStatus::REVOKED => {
            return Err("it says that the certificate is revoked; replace the certificate".into());
        }
        _ => return Err("it says that the responder does not know the certificate".into()),
    }
    let from = ffi::contexts::generalized_unix_s(status.this_update);
    if from.is_none_or(|from| now_unix_s + SKEW_S < from) {
        return Err("its time has not come; compare this machine's clock".to_owned());
    }
    let next = status.next_update();
    let until = next.and_then(ffi::contexts::generalized_unix_s);
    match until {
        None => Err("it does not say until when it is good".to_owned()),
        Some(until) if until <= now_unix_s => Err("it is stale; fetch a new one".to_owned()),
        Some(until) => Ok(until),
    }
}

/// By the issuer, or by a responder that the issuer has appointed.
fn signed(basic: &OcspBasicResponse, issuer: &X509) -> Result<(), ErrorStack> {
    let mut store = X509StoreBuilder::new()?;
    store.add_cert(issuer.clone())?;
    store.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
    let mut certificates = Stack::new()?;
    certificates.push(issuer.clone())?;
    basic.verify(&certificates, &store.build(), OcspFlag::empty())
}

/// Makes a context hand out these responses, each while it is fresh.
pub(super) fn install(
    staples: Vec<Staple>,
    clock: &Clock,
    builder: &mut SslContextBuilder,
) -> Result<(), ContextFault> {
    if staples.is_empty() {
        return Ok(());
    }
    let clock = clock.clone();
    let answer = move |ssl: &mut SslRef| {
        let chosen = ssl.certificate().and_then(|it| sha256(it).ok());
        let staple = staples
            .iter()
            .find(|it| chosen.as_ref() == Some(&it.certificate_sha256))
            .filter(|it| clock.now_unix_s() < it.next_update_unix_s);
        match staple {
            Some(staple) => ssl.set_ocsp_status(&staple.der).map(|()| true),
            None => Ok(false),
        }
    };
    builder.set_status_callback(answer).map_err(library)
}

fn sha256(certificate: &X509Ref) -> Result<Vec<u8>, ErrorStack> {
    Ok(certificate.digest(MessageDigest::sha256())?.to_vec())
}
