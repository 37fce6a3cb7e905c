//! Owns the TLS context towards a server: whom we trust, and who we are.

use super::{ContextFault, Identity, Source, Warning};
use crate::profile::{Effective, Profile};
use openssl::ssl::SslContext;

/// The certificate authorities that a server's certificate is checked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roots {
    /// The operating system's.
    System,
    /// Those of these files and texts.
    Given(Vec<Source>),
}

/// How sure we are to be of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerMode {
    /// Encrypted, but to anybody.
    Require,
    /// A certificate signed by one of these authorities.
    VerifyCa(Roots),
    /// Likewise, and it names the host that we connect to.
    VerifyFull(Roots),
    /// Exactly the certificate whose DER form has this SHA-256.
    Pin([u8; 32]),
}

/// What an operator says about the TLS towards a server.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// What is verified.
    pub mode: ServerMode,
    /// Our client certificate, if the server asks for one.
    pub identity: Option<Identity>,
    /// Versions, suites, groups.
    pub profile: Profile,
}

/// TLS towards a server, ready for any number of connections and threads.
#[derive(Clone)]
pub struct ServerContext {
    pub(crate) context: SslContext,
    pub(crate) mode: ServerMode,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) effective: Effective,
}

impl ServerContext {
    /// Reads, checks and assembles everything. `now_unix_s` is for the warnings only.
    pub fn build(
        settings: &ServerSettings,
        now_unix_s: i64,
    ) -> Result<ServerContext, ContextFault> {
        let _ = (settings, now_unix_s);
        Err(ContextFault::Library { reason: "not built" })
    }

    /// What the operator should know although it works.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The settings that OpenSSL really uses.
    pub fn effective(&self) -> &Effective {
        &self.effective
    }
}
