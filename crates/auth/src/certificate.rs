//! Owns the decision whether a certificate, or an operating system user, may act as a role.
//! Names compare exactly; patterns would be another arm of [`CertificateName`].

use crate::leg::{LegFacts, PeerNames};
use crate::refusal::Reason;

/// How the names in a client's certificate become roles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CertificateMap {
    /// The common name is the role (PostgreSQL manual, section 20.12).
    #[default]
    CommonName,
    /// Only what a rule names.
    Rules(Vec<CertificateRule>),
}

/// One name, and the role it may act as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRule {
    /// What the certificate must hold.
    pub name: CertificateName,
    /// The role.
    pub role: String,
}

/// A name of a certificate, compared exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateName {
    /// Common name of the subject.
    CommonName(String),
    /// dNSName of the subject alternative name.
    Dns(String),
    /// rfc822Name of the subject alternative name.
    Email(String),
    /// uniformResourceIdentifier of the subject alternative name.
    Uri(String),
}

impl CertificateName {
    fn is_in(&self, peer: &PeerNames) -> bool {
        match self {
            Self::CommonName(name) => peer.common_name.as_ref() == Some(name),
            Self::Dns(name) => peer.dns.contains(name),
            Self::Email(name) => peer.email.contains(name),
            Self::Uri(name) => peer.uri.contains(name),
        }
    }
}

impl CertificateMap {
    /// Whether the verified certificate of `leg` may act as `user`.
    pub(crate) fn admits(&self, leg: &LegFacts, user: &str) -> Result<(), Reason> {
        let peer = match &leg.peer {
            Some(peer) if leg.encrypted && leg.verified => peer,
            _ => return Err(Reason::NoCertificate),
        };
        if holds_nul(peer) {
            return Err(Reason::NulInCertificateName);
        }
        let admitted = match self {
            Self::CommonName => peer.common_name.as_deref() == Some(user),
            Self::Rules(rules) => rules
                .iter()
                .any(|rule| rule.role == user && rule.name.is_in(peer)),
        };
        if admitted {
            Ok(())
        } else {
            Err(Reason::CertificateNotMapped)
        }
    }
}

/// A name with a zero byte in it reads as two different names, depending on who reads.
fn holds_nul(peer: &PeerNames) -> bool {
    let alternative = [&peer.dns, &peer.email, &peer.uri];
    peer.common_name
        .iter()
        .chain(alternative.into_iter().flatten())
        .any(|name| name.contains('\0'))
}

/// How operating system users become roles on a Unix-domain socket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PeerMap {
    /// The operating system's name is the role (PostgreSQL manual, section 20.9).
    #[default]
    SameName,
    /// Only these pairs of operating system user and role.
    Pairs(Vec<(String, String)>),
}

impl PeerMap {
    /// Whether the process at the other end of `leg` may act as `user`.
    pub(crate) fn admits(&self, leg: &LegFacts, user: &str) -> Result<(), Reason> {
        let peer = leg.unix.as_ref().ok_or(Reason::NotUnixSocket)?;
        let admitted = match (self, &peer.os_user) {
            (_, None) => false,
            (Self::SameName, Some(os_user)) => os_user == user,
            (Self::Pairs(pairs), Some(os_user)) => pairs
                .iter()
                .any(|(from, role)| from == os_user && role == user),
        };
        if admitted {
            Ok(())
        } else {
            Err(Reason::PeerNotMapped)
        }
    }
}
