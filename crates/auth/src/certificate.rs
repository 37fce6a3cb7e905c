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
    pub fn admits(&self, leg: &LegFacts, user: &str) -> Result<(), Reason> {
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
    pub fn admits(&self, leg: &LegFacts, user: &str) -> Result<(), Reason> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leg::UnixPeer;

    fn leg() -> LegFacts {
        LegFacts {
            encrypted: true,
            verified: true,
            peer: Some(PeerNames {
                common_name: Some("alice".into()),
                dns: vec!["a.example".into()],
                email: vec!["alice@example.org".into()],
                uri: vec!["spiffe://example/alice".into()],
                ..PeerNames::default()
            }),
            ..LegFacts::default()
        }
    }

    #[test]
    fn the_common_name_is_the_role() {
        let map = CertificateMap::CommonName;
        assert_eq!(map.admits(&leg(), "alice"), Ok(()));
        for other in ["Alice", "alic", "alice ", "a.example", ""] {
            let verdict = map.admits(&leg(), other);
            assert_eq!(verdict, Err(Reason::CertificateNotMapped), "{other}");
        }
    }

    #[test]
    fn without_a_verified_certificate_nobody_is_admitted() {
        let spoil: [fn(&mut LegFacts); 3] = [
            |leg| leg.encrypted = false,
            |leg| leg.verified = false,
            |leg| leg.peer = None,
        ];
        for spoil in spoil {
            let mut leg = leg();
            spoil(&mut leg);
            let verdict = CertificateMap::CommonName.admits(&leg, "alice");
            assert_eq!(verdict, Err(Reason::NoCertificate));
        }
    }

    #[test]
    fn rules_name_what_is_admitted() {
        use CertificateName::*;
        let table = [
            (CommonName("alice".into()), true),
            (CommonName("a.example".into()), false),
            (Dns("a.example".into()), true),
            (Dns("alice".into()), false),
            (Email("alice@example.org".into()), true),
            (Email("spiffe://example/alice".into()), false),
            (Uri("spiffe://example/alice".into()), true),
            (Uri("spiffe://example/alice/x".into()), false),
        ];
        for (name, admitted) in table {
            let map = CertificateMap::Rules(vec![CertificateRule {
                name: name.clone(),
                role: "owner".into(),
            }]);
            assert_eq!(map.admits(&leg(), "owner").is_ok(), admitted, "{name:?}");
            assert!(map.admits(&leg(), "alice").is_err(), "{name:?}");
        }
        let none = CertificateMap::Rules(Vec::new());
        assert!(none.admits(&leg(), "alice").is_err());
    }

    #[test]
    fn a_zero_byte_in_any_name_spoils_the_certificate() {
        let spoil: [fn(&mut PeerNames); 4] = [
            |peer| peer.common_name = Some("alice\0.evil".into()),
            |peer| peer.dns.push("a\0b".into()),
            |peer| peer.email.push("\0".into()),
            |peer| peer.uri.push("x\0".into()),
        ];
        for spoil in spoil {
            let mut leg = leg();
            spoil(leg.peer.as_mut().unwrap());
            for user in ["alice", "alice\0.evil"] {
                let verdict = CertificateMap::CommonName.admits(&leg, user);
                assert_eq!(verdict, Err(Reason::NulInCertificateName));
            }
        }
    }

    #[test]
    fn the_operating_system_user_is_the_role_or_mapped() {
        let leg = |os_user: Option<&str>| LegFacts {
            unix: Some(UnixPeer {
                os_user: os_user.map(str::to_owned),
            }),
            ..LegFacts::default()
        };
        let same = PeerMap::SameName;
        assert_eq!(same.admits(&leg(Some("alice")), "alice"), Ok(()));
        let not_mapped = Err(Reason::PeerNotMapped);
        assert_eq!(same.admits(&leg(Some("bob")), "alice"), not_mapped);
        assert_eq!(same.admits(&leg(None), "alice"), not_mapped);
        let no_socket = same.admits(&LegFacts::default(), "alice");
        assert_eq!(no_socket, Err(Reason::NotUnixSocket));
        let pairs = PeerMap::Pairs(vec![("root".into(), "postgres".into())]);
        assert_eq!(pairs.admits(&leg(Some("root")), "postgres"), Ok(()));
        assert_eq!(pairs.admits(&leg(Some("postgres")), "postgres"), not_mapped);
    }
}
