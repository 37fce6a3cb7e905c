//! Owns one certificate of ours: read, measured against its key, its chain and its staple, and put
//! into a context.

use super::files::{certificates, key_name, name, private_key};
use super::staple::{self, Staple};
use super::{ContextFault, Expires, Expiry, Identity, Source, Warning, library};
use crate::facts::unix_s;
use crate::fault::first_reason;
use crate::ffi;
use openssl::pkey::{Id, PKey, Private};
use openssl::ssl::SslContextBuilder;
use openssl::stack::Stack;
use openssl::x509::{X509, X509Ref, X509VerifyResult};

/// From how many days before its end on a certificate is worth a warning.
const SOON_DAYS: i64 = 30;

/// A certificate of ours, ready to be put into contexts.
pub(super) struct Loaded {
    pub(super) of: String,
    leaf: X509,
    chain: Vec<X509>,
    key: PKey<Private>,
    pub(super) staple: Option<Staple>,
}

/// What was noted while certificates were read.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) warnings: Vec<Warning>,
    pub(super) expiries: Vec<Expiry>,
}

impl Loaded {
    /// Reads and checks everything of one identity.
    pub(super) fn read(
        identity: &Identity,
        now_unix_s: i64,
        notes: &mut Notes,
    ) -> Result<Loaded, ContextFault> {
        let of = name(&identity.certificate);
        let mut chain = certificates(&identity.certificate)?.into_iter();
        let Some(leaf) = chain.next() else {
            return Err(ContextFault::NoCertificate { of });
        };
        let chain: Vec<X509> = chain.collect();
        let (key, unused) = private_key(identity)?;
        notes.warnings.extend(unused);
        let belongs = leaf.public_key().is_ok_and(|public| public.public_eq(&key));
        if !belongs {
            return Err(ContextFault::Mismatch {
                certificate: of,
                key: key_name(&identity.private_key),
            });
        }
        notes.validity(&leaf, of.clone(), &of, now_unix_s);
        for intermediate in &chain {
            let called = format!("{} in {of}", ffi::name_text(intermediate.subject_name()));
            notes.validity(intermediate, called, &of, now_unix_s);
        }
        notes.warnings.extend(strangers(&leaf, &chain, &of));
        let staple = match &identity.staple {
            Some(source) => {
                let issuer = chain
                    .iter()
                    .find(|it| it.issued(&leaf) == X509VerifyResult::OK);
                staple::read(source, (&leaf, issuer), now_unix_s, notes)?
            }
            None => None,
        };
        Ok(Loaded {
            of,
            leaf,
            chain,
            key,
            staple,
        })
    }

    /// Puts it into a context, beside those with keys of other types.
    pub(super) fn present(&self, builder: &mut SslContextBuilder) -> Result<(), ContextFault> {
        let mut chain = Stack::new().map_err(library)?;
        for intermediate in &self.chain {
            chain.push(intermediate.clone()).map_err(library)?;
        }
        ffi::contexts::use_identity(builder, &self.leaf, &self.key, &chain).map_err(|stack| {
            ContextFault::BadCertificate {
                of: self.of.clone(),
                reason: first_reason(&stack),
            }
        })
    }

    /// The certificate itself.
    pub(super) fn leaf(&self) -> X509 {
        self.leaf.clone()
    }

    /// Its slot in a context: OpenSSL keeps one certificate of each type.
    pub(super) fn key_type(&self) -> Id {
        self.key.id()
    }

    /// It and its chain.
    pub(super) fn certificates(&self) -> impl Iterator<Item = X509> {
        std::iter::once(&self.leaf).chain(&self.chain).cloned()
    }

    /// The host names that it is made out to, in lower case.
    pub(super) fn names(&self) -> Vec<String> {
        let names = self.leaf.subject_alt_names();
        let dns = names.iter().flatten().filter_map(|name| name.dnsname());
        dns.map(str::to_ascii_lowercase).collect()
    }
}

impl Notes {
    fn validity(&mut self, certificate: &X509Ref, called: String, of: &str, now_unix_s: i64) {
        let Some(not_after_unix_s) = unix_s(certificate.not_after()) else {
            return;
        };
        self.expiries.push(Expiry {
            what: of.to_owned(),
            kind: Expires::Certificate,
            not_after_unix_s,
        });
        self.warnings
            .extend(validity(certificate, called, now_unix_s));
    }

    /// Authorities that peers are verified with.
    pub(super) fn authorities(&mut self, source: &Source, all: &[X509]) {
        let expiry = |authority: &X509| {
            Some(Expiry {
                what: name(source),
                kind: Expires::Authority,
                not_after_unix_s: unix_s(authority.not_after())?,
            })
        };
        self.expiries.extend(all.iter().filter_map(expiry));
    }
}

/// Certificates of the chain that did not sign the one before them.
fn strangers<'a>(
    leaf: &'a X509,
    chain: &'a [X509],
    of: &'a str,
) -> impl Iterator<Item = Warning> + 'a {
    let before = std::iter::once(leaf).chain(chain);
    let pairs = before.zip(chain);
    let stranger =
        |(signed, issuer): &(&X509, &X509)| issuer.issued(signed) != X509VerifyResult::OK;
    pairs
        .filter(stranger)
        .map(|(_, issuer)| Warning::NotTheIssuer {
            of: of.to_owned(),
            subject: ffi::name_text(issuer.subject_name()),
        })
}

fn validity(certificate: &X509Ref, of: String, now_unix_s: i64) -> Option<Warning> {
    let not_before = unix_s(certificate.not_before())?;
    if now_unix_s < not_before {
        let not_before = certificate.not_before().to_string();
        return Some(Warning::NotYetValid { of, not_before });
    }
    let left_s = unix_s(certificate.not_after())? - now_unix_s;
    if left_s < 0 {
        let days = (-left_s).div_euclid(86_400);
        return Some(Warning::Expired { of, days });
    }
    let days = left_s.div_euclid(86_400);
    (days < SOON_DAYS).then_some(Warning::ExpiresSoon { of, days })
}
