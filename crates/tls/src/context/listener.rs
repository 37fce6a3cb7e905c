//! Owns the TLS context of a listener: our certificate towards clients.

use super::identity::{Presented, certificates, present};
use super::{ContextFault, Dated, Identity, Source, Warning, dated, library};
use crate::profile::{self, Effective, Profile};
use openssl::ssl::{AlpnError, SslContext, SslContextBuilder, SslMethod, SslVerifyMode};
use openssl::stack::Stack;
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;

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
    pub(crate) profile: Profile,
    pub(crate) chain: Vec<X509>,
    certificates: Vec<Dated>,
}

impl ListenerContext {
    /// Reads, checks and assembles everything. `now_unix_s` is for the warnings only.
    pub fn build(
        settings: &ListenerSettings,
        now_unix_s: i64,
    ) -> Result<ListenerContext, ContextFault> {
        let mut builder = SslContextBuilder::new(SslMethod::tls_server()).map_err(library)?;
        let mut effective = profile::apply(&settings.profile, &mut builder)?;
        let Presented { chain, warnings } = present(&settings.identity, &mut builder, now_unix_s)?;
        builder
            .set_session_id_context(b"portcullis")
            .map_err(library)?;
        builder
            .set_alpn_select_callback(|_, offered| choose(offered).ok_or(AlpnError::ALERT_FATAL));
        let mut certificates = Vec::new();
        let verify = match &settings.clients {
            ClientCertificates::Off => SslVerifyMode::NONE,
            ClientCertificates::Optional(roots) => {
                certificates.extend(trust(roots, &mut builder)?);
                SslVerifyMode::PEER
            }
            ClientCertificates::Required(roots) => {
                certificates.extend(trust(roots, &mut builder)?);
                SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT
            }
        };
        builder.set_verify(verify);
        let context = builder.build();
        effective.ciphers = profile::ciphers(&context);
        let own = dated::identity(&settings.identity.certificate, &chain);
        certificates.splice(..0, own);
        Ok(ListenerContext {
            context,
            warnings,
            effective,
            profile: settings.profile.clone(),
            chain,
            certificates,
        })
    }

    /// What the operator should know although it works.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Until when its certificates are good, and those it checks clients' with.
    pub fn certificates(&self) -> &[Dated] {
        &self.certificates
    }

    /// The settings that OpenSSL really uses.
    pub fn effective(&self) -> &Effective {
        &self.effective
    }
}

/// The protocol of PostgreSQL's direct TLS (manual section 54.2.11 "SSL Session Encryption").
pub(crate) const ALPN: &[u8] = b"postgresql";

/// Finds `postgresql` in a client's list (RFC 7301 section 3.1: length-prefixed names). A client
/// that sends a list without it means another service, and has to be refused.
fn choose(mut offered: &[u8]) -> Option<&[u8]> {
    while let Some((length, rest)) = offered.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(*length))?;
        if name == ALPN {
            return Some(name);
        }
        offered = rest;
    }
    None
}

/// Trusts these authorities for clients' certificates, and names them in the request, so that
/// clients with several certificates can choose.
fn trust(roots: &Source, builder: &mut SslContextBuilder) -> Result<Option<Dated>, ContextFault> {
    let mut store = X509StoreBuilder::new().map_err(library)?;
    let mut names = Stack::new().map_err(library)?;
    let found = certificates(roots)?;
    let dated = dated::authorities(roots, &found);
    for root in found {
        let name = root.subject_name().to_owned().map_err(library)?;
        names.push(name).map_err(library)?;
        store.add_cert(root).map_err(library)?;
    }
    builder.set_cert_store(store.build());
    builder.set_client_ca_list(names);
    Ok(dated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_protocol_is_chosen() {
        for (offered, expected) in [
            (&b"\x0apostgresql"[..], true),
            (b"\x02h2\x0apostgresql", true),
            (b"\x02h2", false),
            (b"\x0apostgresqL", false),
            (b"\x0bpostgresql2", false),
            (b"\x0apostgresq", false),
            (b"\x00", false),
            (b"", false),
        ] {
            assert_eq!(choose(offered), expected.then_some(ALPN), "{offered:?}");
        }
    }
}
