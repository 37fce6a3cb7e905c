//! Owns what an operator configured for TLS, in both roles: settings as plain values, the contexts
//! built from them, and what can be wrong with them.
//!
//! Takes file paths or PEM text. Gives contexts that are never changed again: a reload builds a new
//! one, and connections keep the one that they began with.

mod crl;
mod dated;
mod files;
mod identity;
mod listener;
mod names;
mod notes;
mod server;
mod staple;
mod tickets;

pub use dated::Dated;
pub use listener::{
    ClientCertificates, ListenerContext, ListenerSettings, NamedIdentity, UnknownNames,
};
pub use notes::{ContextFault, Expires, Expiry, Warning};
pub use server::{Roots, ServerContext, ServerMode, ServerSettings};
pub use tickets::{Chance, Clock, Tickets};

pub(crate) use listener::ALPN;
pub(crate) use tickets::{Found, TicketKey};

use crate::fault::first_reason;
use buf::Secret;
use openssl::error::ErrorStack;
use std::path::PathBuf;

/// Where certificates come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A PEM file.
    File(PathBuf),
    /// PEM text.
    Pem(Vec<u8>),
}

/// Where a private key comes from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// A PEM file, read into memory that is wiped.
    File(PathBuf),
    /// PEM text.
    Pem(Secret),
}

/// A certificate with its chain, and the private key that belongs to it.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate, followed by the intermediate ones.
    pub certificate: Source,
    /// Its private key, PEM.
    pub private_key: KeySource,
    /// What the private key is encrypted with, if it is.
    pub passphrase: Option<Secret>,
    /// A responder's statement about the certificate (OCSP, RFC 6960), DER, to hand to clients that
    /// ask for it. Servers never ask us.
    pub staple: Option<Source>,
}

impl Identity {
    /// A certificate whose key is not encrypted, without a staple.
    pub fn new(certificate: Source, private_key: KeySource) -> Identity {
        Identity {
            certificate,
            private_key,
            passphrase: None,
            staple: None,
        }
    }
}

pub(crate) fn library(stack: ErrorStack) -> ContextFault {
    ContextFault::Library {
        reason: first_reason(&stack),
    }
}

/// An error of the operating system in the words people know.
pub fn io_reason(kind: std::io::ErrorKind) -> String {
    match kind {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        kind => kind.to_string(),
    }
}

/// PostgreSQL's rule for a private key's file (manual section 19.9 "Secure TCP/IP Connections with
/// SSL"): no access for group and others, except that the group may read a file that root owns.
pub fn key_file_is_private(mode: u32, owner_uid: u32) -> bool {
    let others = if owner_uid == 0 { 0o037 } else { 0o077 };
    mode & others == 0
}
