//! Owns the TLS context towards a server: whom we trust, and who we are.

use super::crl;
use super::files::certificates;
use super::identity::{Loaded, Notes};
use super::{ALPN, ContextFault, Dated, Expiry, Identity, Source, Warning, dated, library};
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
    /// Revocation lists of the servers' authorities.
    pub crl: Option<Source>,
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
    expiries: Vec<Expiry>,
}

impl ServerContext {
    /// Reads, checks and assembles everything. `now_unix_s` is for the warnings only.
    pub fn build(
        settings: &ServerSettings,
        now_unix_s: i64,
    ) -> Result<ServerContext, ContextFault> {
        let mut builder = SslContextBuilder::new(SslMethod::tls_client()).map_err(library)?;
        let mut effective = profile::apply(&settings.profile, &mut builder)?;
        let mut notes = Notes::default();
        if let Some(identity) = &settings.identity {
            Loaded::read(identity, now_unix_s, &mut notes)?.present(&mut builder)?;
        }
        let mut offer = vec![u8::try_from(ALPN.len()).unwrap_or(0)];
        offer.extend_from_slice(ALPN);
        builder.set_alpn_protos(&offer).map_err(library)?;
        let verify = match &settings.mode {
            ServerMode::Require => SslVerifyMode::NONE,
            ServerMode::Pin(_) => SslVerifyMode::PEER,
            ServerMode::VerifyCa(roots) | ServerMode::VerifyFull(roots) => {
                let lists = settings.crl.as_ref().map(|crl| (crl, now_unix_s));
                trust(roots, lists, &mut builder, &mut notes)?;
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
            warnings: notes.warnings,
            effective,
            certificates: dated::of(&notes.expiries),
            expiries: notes.expiries,
        })
    }

    /// When everything expires that this was built from.
    pub fn expiries(&self) -> &[Expiry] {
        &self.expiries
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
fn trust(
    roots: &Roots,
    lists: Option<(&Source, i64)>,
    builder: &mut SslContextBuilder,
    notes: &mut Notes,
) -> Result<(), ContextFault> {
    let mut store = X509StoreBuilder::new().map_err(library)?;
    let mut all = Vec::new();
    match roots {
        Roots::System => trust_the_system(&mut store)?,
        Roots::Given(sources) if sources.is_empty() => {
            let of = "an empty list".to_owned();
            return Err(ContextFault::NoRoots { of });
        }
        Roots::Given(sources) => {
            for source in sources {
                let found = certificates(source)?;
                notes.authorities(source, &found);
                all.extend(found);
            }
        }
    }
    for root in &all {
        store.add_cert(root.clone()).map_err(library)?;
    }
    if let Some((lists, now_unix_s)) = lists {
        crl::check_with(lists, &all, (&mut store, now_unix_s), notes)?;
    }
    builder.set_cert_store(store.build());
    Ok(())
}

/// OpenSSL reads the system's authorities when it needs them, and does not mind if there are none.
fn trust_the_system(store: &mut X509StoreBuilder) -> Result<(), ContextFault> {
    let (file, directory) = ffi::default_roots();
    let in_file = certificates(&Source::File(Path::new(&file).into())).is_ok();
    let in_directory = std::fs::read_dir(&directory).is_ok_and(|mut all| all.next().is_some());
    if !in_file && !in_directory {
        return Err(ContextFault::NoRoots {
            of: format!("{file} and {directory} (package ca-certificates)"),
        });
    }
    store.set_default_paths().map_err(library)
}
