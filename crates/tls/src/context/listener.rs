//! Owns the TLS context of a listener: our certificate towards clients.

use super::{ContextFault, Identity, Source, Warning};
use crate::profile::{Effective, Profile};
use openssl::ssl::SslContext;

/// Whether clients are asked for a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ClientCertificates {
    /// Not asked for.
    #[default]
    Off,
    /// Asked for; verified with these authorities if one comes.
    Optional(Source),
    /// Asked for; the handshake fails without one that these authorities signed.
    Required(Source),
}

/// What an operator says about a listener's TLS.
#[derive(Debug, Clone)]
pub struct ListenerSettings {
    /// Our certificate and key.
    pub identity: Identity,
    /// Certificates of clients.
    pub clients: ClientCertificates,
    /// Versions, suites, groups.
    pub profile: Profile,
}

/// A listener's TLS, ready for any number of connections and threads.
#[derive(Clone)]
pub struct ListenerContext {
    pub(crate) context: SslContext,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) effective: Effective,
}

impl ListenerContext {
    /// Reads, checks and assembles everything. `now_unix_s` is for the warnings only.
    pub fn build(
        settings: &ListenerSettings,
        now_unix_s: i64,
    ) -> Result<ListenerContext, ContextFault> {
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
