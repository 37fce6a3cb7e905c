//! Owns the step from what TLS knows of a leg to what authentication and the log are told: the two
//! crates do not know each other.

use crate::port::Port;
use auth::{LegFacts, PeerNames, UnixPeer};
use std::borrow::Cow;
use std::fmt;

/// What is true of a port whose handshake is done. `verified`: the mode checks the peer's
/// certificate, so that one which is here has passed.
pub fn facts(port: &Port, verified: bool) -> LegFacts {
    let unix = port.socket.is_unix().then(|| UnixPeer {
        os_user: port.socket.peer_uid().and_then(user_name),
    });
    let Some(tls) = port.engine().facts() else {
        return LegFacts {
            unix,
            ..LegFacts::default()
        };
    };
    LegFacts {
        encrypted: true,
        version: Some(tls.version),
        cipher: Some(tls.cipher),
        group: tls.group,
        sni: tls.sni,
        end_point: tls.end_point,
        verified: verified && tls.peer.is_some(),
        peer: tls.peer.map(|peer| PeerNames {
            subject: peer.subject,
            common_name: peer.common_name,
            dns: peer.dns,
            email: peer.email,
            uri: peer.uri,
            sha256: peer.sha256,
        }),
        unix,
    }
}

fn user_name(uid: u32) -> Option<String> {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid));
    user.ok().flatten().map(|user| user.name)
}

/// A leg in one word for the log: version, suite and group, or what it is instead.
pub struct Summary<'a>(pub &'a LegFacts);

impl Summary<'_> {
    /// The same as a text, which for a leg without TLS takes no memory.
    pub fn words(&self) -> Cow<'static, str> {
        match (&self.0.version, &self.0.cipher) {
            (Some(_), Some(_)) => Cow::Owned(self.to_string()),
            _ => Cow::Borrowed(self.without_tls()),
        }
    }

    fn without_tls(&self) -> &'static str {
        match self.0.unix {
            Some(_) => "unix socket",
            None => "UNENCRYPTED by configuration",
        }
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.version, &self.0.cipher) {
            (Some(version), Some(cipher)) => {
                write!(f, "{version} {cipher}")?;
                match &self.0.group {
                    Some(group) => write!(f, " {group}"),
                    None => Ok(()),
                }
            }
            _ => f.write_str(self.without_tls()),
        }
    }
}
