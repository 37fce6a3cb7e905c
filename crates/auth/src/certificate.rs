//! Owns the decision whether a certificate, or an operating system user, may act as a role.
//! A rule names a certificate and a role, either perhaps by a [`Pattern`]. As in pg_ident.conf, the
//! question is not which role a certificate has, but whether it may have the one that was claimed.

use crate::leg::{LegFacts, PeerNames};
use crate::pattern::{Captures, Pattern};
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
    /// The role, perhaps made of what the name's pattern captures.
    pub role: Pattern,
}

impl CertificateRule {
    fn admits(&self, peer: &PeerNames, user: &str) -> bool {
        let all = self.name.captures(peer);
        all.iter().any(|captures| captures.make(&self.role, user))
    }
}

/// A name of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateName {
    /// Common name of the subject.
    CommonName(Pattern),
    /// dNSName of the subject alternative name.
    Dns(Pattern),
    /// rfc822Name of the subject alternative name.
    Email(Pattern),
    /// uniformResourceIdentifier of the subject alternative name.
    Uri(Pattern),
}

impl CertificateName {
    /// What each of the certificate's names that match has in the holes.
    fn captures<'a>(&'a self, peer: &'a PeerNames) -> Vec<Captures<'a>> {
        let (pattern, names) = match self {
            Self::CommonName(pattern) => {
                let name = peer.common_name.as_deref();
                return name
                    .and_then(|name| pattern.captures(name))
                    .into_iter()
                    .collect();
            }
            Self::Dns(pattern) => (pattern, &peer.dns),
            Self::Email(pattern) => (pattern, &peer.email),
            Self::Uri(pattern) => (pattern, &peer.uri),
        };
        names
            .iter()
            .filter_map(|name| pattern.captures(name))
            .collect()
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
            Self::Rules(rules) => rules.iter().any(|rule| rule.admits(peer, user)),
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
    use crate::pattern::Piece;

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
    fn a_claimed_role_is_admitted_by_any_name_and_rule_that_makes_it() {
        let mut leg = leg();
        let names = ["spiffe://example/sa/report", "spiffe://example/sa/app"];
        leg.peer.as_mut().unwrap().uri = names.map(str::to_owned).to_vec();
        let text = |text: &str| Piece::Text(text.to_owned());
        let role = || Piece::Capture("role".to_owned());
        let uri = Pattern::new(vec![text("spiffe://example/sa/"), role()]);
        let mail = Pattern::new(vec![role(), text("@example.org")]);
        let map = CertificateMap::Rules(vec![
            CertificateRule {
                name: CertificateName::Uri(uri),
                role: Pattern::new(vec![role()]),
            },
            CertificateRule {
                name: CertificateName::Email(mail),
                role: Pattern::new(vec![text("mail_"), role()]),
            },
        ]);
        for (user, admitted) in [
            ("app", true),
            ("report", true),
            ("mail_alice", true),
            ("alice", false),
            ("mail_app", false),
            ("postgres", false),
            ("", false),
        ] {
            assert_eq!(map.admits(&leg, user).is_ok(), admitted, "{user}");
        }
        leg.verified = false;
        assert_eq!(map.admits(&leg, "app"), Err(Reason::NoCertificate));
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
