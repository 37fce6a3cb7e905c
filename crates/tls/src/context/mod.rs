//! Owns what an operator configured for TLS, in both roles: settings as plain values, the contexts
//! built from them, and what can be wrong with them.
//!
//! Takes file paths or PEM text. Gives contexts that are never changed again: a reload builds a new
//! one, and connections keep the one that they began with.

mod dated;
mod identity;
mod listener;
mod server;

pub use dated::Dated;
pub use listener::{ClientCertificates, ListenerContext, ListenerSettings};
pub use server::{Roots, ServerContext, ServerMode, ServerSettings};

pub(crate) use listener::ALPN;

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
    /// Its private key, unencrypted PEM.
    pub private_key: KeySource,
}

/// Something to tell the operator about a context that works.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// The certificate has expired.
    #[error("the certificate {of} expired {days} days ago; clients that verify it will refuse it")]
    Expired {
        /// Path of the file, or "(given as text)".
        of: String,
        /// Days since.
        days: i64,
    },
    /// The certificate's time has not come.
    #[error("the certificate {of} is not valid before {not_before}")]
    NotYetValid {
        /// Path of the file, or "(given as text)".
        of: String,
        /// The begin of its validity.
        not_before: String,
    },
    /// It expires within 30 days.
    #[error("the certificate {of} expires in {days} days")]
    ExpiresSoon {
        /// Path of the file, or "(given as text)".
        of: String,
        /// Days left.
        days: i64,
    },
}

/// Why a context could not be built. `of` is the path of the file, or "(given as text)".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContextFault {
    /// The file can't be read.
    #[error("cannot read {of}: {}; check the path and that this user may read it", io_reason(*kind))]
    Unreadable {
        /// The file.
        of: String,
        /// The operating system's reason.
        kind: std::io::ErrorKind,
    },
    /// There is no certificate in it.
    #[error(
        "{of} holds no PEM certificate; it must contain a \"-----BEGIN CERTIFICATE-----\" block"
    )]
    NoCertificate {
        /// The file.
        of: String,
    },
    /// A certificate in it is damaged, or refused by OpenSSL's security level.
    #[error("a certificate in {of} is not usable: {reason}")]
    BadCertificate {
        /// The file.
        of: String,
        /// OpenSSL's reason.
        reason: &'static str,
    },
    /// There is no private key in it.
    #[error("{of} holds no usable PEM private key: {reason}")]
    BadKey {
        /// The file.
        of: String,
        /// OpenSSL's reason.
        reason: &'static str,
    },
    /// The private key asks for a passphrase.
    #[error(
        "the private key {of} is encrypted; decrypt it with `openssl pkey -in {of} -out …` and \
         protect the file with mode 0600"
    )]
    EncryptedKey {
        /// The file.
        of: String,
    },
    /// Others may read the private key.
    #[error(
        "the private key {of} is readable by others (mode {mode:04o}); use mode 0600, or 0640 if \
         root owns it"
    )]
    KeyIsNotPrivate {
        /// The file.
        of: String,
        /// Its permission bits.
        mode: u32,
    },
    /// The key is not the certificate's.
    #[error("the private key {key} does not belong to the certificate {certificate}")]
    Mismatch {
        /// The certificate's file.
        certificate: String,
        /// The key's file.
        key: String,
    },
    /// Verification was asked for, but there is nothing to verify with.
    #[error("no trusted certificate authority in {of}; a verifying TLS mode needs at least one")]
    NoRoots {
        /// The file, or the system's directory.
        of: String,
    },
    /// OpenSSL refused a setting.
    #[error("OpenSSL refuses the TLS setting {setting} \"{value}\": {reason}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: String,
        /// OpenSSL's reason.
        reason: &'static str,
    },
    /// OpenSSL itself failed.
    #[error("OpenSSL failed: {reason}")]
    Library {
        /// OpenSSL's reason.
        reason: &'static str,
    },
}

fn library(stack: ErrorStack) -> ContextFault {
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
