//! Owns the decision whether a peer's certificate is accepted, and keeps what was seen.
//!
//! Takes OpenSSL's own verdict for each certificate of the chain and only ever narrows it, with
//! two exceptions that are spelled out: a pinned certificate needs no chain, and an IP host may
//! stand in the common name of a certificate without iPAddress entries, as for libpq.

use crate::facts::PeerCertificate;
use crate::fault::{IP_ADDRESS_MISMATCH, VerifyFault};
use crate::ffi;
use crate::name::ServerName;
use openssl::hash::MessageDigest;
use openssl::ssl::{SslRef, SslVerifyMode};
use openssl::x509::{X509Ref, X509StoreContextRef, X509VerifyResult};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// X509_V_ERR_APPLICATION_VERIFICATION (openssl/x509_vfy.h)
const APPLICATION_VERIFICATION: i32 = 50;

/// What the peer's chain is measured with, beside OpenSSL's own checks.
pub(crate) enum Rule {
    /// A chain to a trusted authority.
    Chain,
    /// Likewise; the name of the host is checked by OpenSSL.
    Name(ServerName),
    /// One certificate by its SHA-256, however it is signed.
    Pin([u8; 32]),
}

impl Rule {
    fn expected(&self) -> Option<String> {
        match self {
            Rule::Name(name) => Some(name.to_string()),
            Rule::Chain | Rule::Pin(_) => None,
        }
    }
}

/// The first refusal, kept from the callback until the handshake call has returned. It is shared
/// with libssl's callback, which runs inside that call on the same thread.
#[derive(Clone, Default)]
pub(crate) struct Refusal(Arc<Mutex<Option<VerifyFault>>>);

impl Refusal {
    /// A copy of it, if there was one.
    pub(crate) fn fault(&self) -> Option<VerifyFault> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn keep(&self, fault: impl FnOnce() -> VerifyFault) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_none() {
            *kept = Some(fault());
        }
    }
}

/// Makes `ssl` judge the peer's certificate by `rule`.
pub(crate) fn install(ssl: &mut SslRef, mode: SslVerifyMode, rule: Rule) -> Refusal {
    let refusal = Refusal::default();
    let kept = refusal.clone();
    ssl.set_verify_callback(mode, move |accepted, chain| {
        let verdict = judge(&rule, accepted, chain);
        if let Verdict::Refused(reason) = &verdict {
            kept.keep(|| describe(chain, *reason, rule.expected()));
        }
        matches!(verdict, Verdict::Accepted)
    });
    refusal
}

enum Verdict {
    Accepted,
    Refused(Reason),
}

#[derive(Clone, Copy)]
enum Reason {
    /// What the store context says.
    OpenSsl,
    /// The pin differs.
    Pin,
}

fn judge(rule: &Rule, accepted: bool, chain: &mut X509StoreContextRef) -> Verdict {
    let fits = match rule {
        Rule::Pin(pin) => {
            let fits = leaf(chain).is_some_and(|leaf| sha256(leaf).is_some_and(|sum| sum == *pin));
            if !fits {
                return Verdict::Refused(Reason::Pin);
            }
            true
        }
        _ if accepted => return Verdict::Accepted,
        Rule::Name(ServerName::Ip(address)) => {
            chain.error().as_raw() == IP_ADDRESS_MISMATCH
                && leaf(chain).is_some_and(|leaf| common_name_is(leaf, *address))
        }
        Rule::Chain | Rule::Name(_) => false,
    };
    if fits {
        chain.set_error(X509VerifyResult::OK);
        Verdict::Accepted
    } else {
        Verdict::Refused(Reason::OpenSsl)
    }
}

fn leaf(chain: &X509StoreContextRef) -> Option<&X509Ref> {
    chain.chain()?.get(0)
}

fn sha256(certificate: &X509Ref) -> Option<[u8; 32]> {
    let digest = certificate.digest(MessageDigest::sha256()).ok()?;
    (*digest).try_into().ok()
}

/// libpq's rule for hosts given as an address: the common name counts if there is no iPAddress
/// entry at all.
fn common_name_is(leaf: &X509Ref, address: IpAddr) -> bool {
    let Some(facts) = PeerCertificate::read(leaf) else {
        return false;
    };
    let named = facts
        .common_name
        .and_then(|name| name.parse::<IpAddr>().ok());
    !has_ip_entry(leaf) && named == Some(address)
}

fn has_ip_entry(leaf: &X509Ref) -> bool {
    leaf.subject_alt_names()
        .is_some_and(|names| names.iter().any(|name| name.ipaddress().is_some()))
}

fn describe(chain: &X509StoreContextRef, reason: Reason, expected: Option<String>) -> VerifyFault {
    let presented = leaf(chain).and_then(PeerCertificate::read).map(Box::new);
    let refused = match reason {
        Reason::OpenSsl => chain.current_cert(),
        Reason::Pin => leaf(chain),
    };
    let subject = refused.map(|certificate| ffi::name_text(certificate.subject_name()));
    let (code, text, depth) = match reason {
        Reason::OpenSsl => (
            chain.error().as_raw(),
            chain.error().error_string(),
            chain.error_depth(),
        ),
        Reason::Pin => (
            APPLICATION_VERIFICATION,
            "its SHA-256 is not the pinned one",
            0,
        ),
    };
    VerifyFault {
        code,
        reason: text,
        depth,
        subject: subject.unwrap_or_default(),
        expected,
        presented,
    }
}
