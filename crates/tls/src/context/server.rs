//! Owns the TLS context towards a server: whom we trust, and who we are.

use super::identity::{certificates, present};
use super::{ALPN, ContextFault, Dated, Identity, Source, Warning, dated, library};
use crate::ffi;
use crate::profile::{self, Effective, Profile};
use openssl::ssl::{SslContext, SslContextBuilder, SslMethod, SslVerifyMode};
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::X509CheckFlags;
use std::path::Path;

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
    certificates: Vec<Dated>,
}

impl ServerContext {
    /// Reads, checks and assembles everything. `now_unix_s` is for the warnings only.
    pub fn build(
        settings: &ServerSettings,
        now_unix_s: i64,
    ) -> Result<ServerContext, ContextFault> {
        let mut builder = SslContextBuilder::new(SslMethod::tls_client()).map_err(library)?;
        let mut effective = profile::apply(&settings.profile, &mut builder)?;
        let mut certificates = Vec::new();
        let mut warnings = Vec::new();
        if let Some(identity) = &settings.identity {
            let presented = present(identity, &mut builder, now_unix_s)?;
            certificates.extend(dated::identity(&identity.certificate, &presented.chain));
            warnings = presented.warnings;
        }
        let mut offer = vec![u8::try_from(ALPN.len()).unwrap_or(0)];
        offer.extend_from_slice(ALPN);
        builder.set_alpn_protos(&offer).map_err(library)?;
        let verify = match &settings.mode {
            ServerMode::Require => SslVerifyMode::NONE,
            ServerMode::Pin(_) => SslVerifyMode::PEER,
            ServerMode::VerifyCa(roots) | ServerMode::VerifyFull(roots) => {
                certificates.extend(trust(roots, &mut builder)?);
                SslVerifyMode::PEER
            }
        };
        builder.set_verify(verify);
        builder
            .verify_param_mut()
            .set_hostflags(X509CheckFlags::NO_PARTIAL_WILDCARDS);
        let context = builder.build();
        effective.ciphers = profile::ciphers(&context);
        Ok(ServerContext {
            context,
            mode: settings.mode.clone(),
            warnings,
            effective,
            certificates,
        })
    }

    /// What the operator should know although it works.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Until when our certificate is good, and those that servers' are checked with, if they come
    /// from files.
    pub fn certificates(&self) -> &[Dated] {
        &self.certificates
    }

    /// The settings that OpenSSL really uses.
    pub fn effective(&self) -> &Effective {
        &self.effective
    }
}

/// X509_V_FLAG_X509_STRICT stays off: it refuses authorities without keyUsage, which is how
/// `openssl req -x509`, and so PostgreSQL's manual, makes them.
fn trust(roots: &Roots, builder: &mut SslContextBuilder) -> Result<Vec<Dated>, ContextFault> {
    let sources = match roots {
        Roots::System => return trust_the_system(builder).map(|()| Vec::new()),
        Roots::Given(sources) => sources,
    };
    let mut store = X509StoreBuilder::new().map_err(library)?;
    let mut dates = Vec::new();
    for source in sources {
        let found = certificates(source)?;
        dates.extend(dated::authorities(source, &found));
        for root in found {
            store.add_cert(root).map_err(library)?;
        }
    }
    if sources.is_empty() {
        let of = "an empty list".to_owned();
        return Err(ContextFault::NoRoots { of });
    }
    builder.set_cert_store(store.build());
    Ok(dates)
}

/// OpenSSL reads the system's authorities when it needs them, and does not mind if there are none.
fn trust_the_system(builder: &mut SslContextBuilder) -> Result<(), ContextFault> {
    let (file, directory) = ffi::default_roots();
    let in_file = certificates(&Source::File(Path::new(&file).into())).is_ok();
    let in_directory = std::fs::read_dir(&directory).is_ok_and(|mut all| all.next().is_some());
    if !in_file && !in_directory {
        return Err(ContextFault::NoRoots {
            of: format!("{file} and {directory} (package ca-certificates)"),
        });
    }
    builder.set_default_verify_paths().map_err(library)
}
