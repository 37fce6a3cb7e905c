//! Owns why a quick start went no further: one sentence each, with what to do.

use super::url::BadUrl;
use crate::conninfo::shell_word;
use crate::draft::hex;
use crate::leg;
use std::fmt;
use std::io;
use std::path::PathBuf;
use tls::PeerCertificate;

/// Why a quick start went no further. Never holds a password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QuickFault {
    /// The URL.
    #[error(transparent)]
    Url(#[from] BadUrl),
    /// No answer, or not the one of a PostgreSQL server.
    #[error("cannot reach {server}: {cause}")]
    Unreachable {
        /// Where.
        server: String,
        /// Why.
        cause: String,
    },
    /// The server has no TLS.
    #[error(
        "{server} does not speak TLS, so that passwords and rows would travel in clear text; \
         switch it on there (ssl = on in postgresql.conf), or allow clear text on this leg with \
         --server-tls disable"
    )]
    NoTls {
        /// Where.
        server: String,
    },
    /// The server's certificate is not to be trusted.
    #[error("{0}")]
    NotVerified(Box<NotVerified>),
    /// The server shows another certificate than the pinned one.
    #[error("{0}")]
    NotPinned(Box<NotPinned>),
    /// No password.
    #[error(
        "no password for {user:?}: set PGPASSWORD, add a line to ~/.pgpass, or run this at a \
         terminal to be asked"
    )]
    NoPassword {
        /// The role.
        user: String,
    },
    /// An empty password, or one with a zero byte.
    #[error("the password is empty or holds a zero byte; neither can be used with PostgreSQL")]
    EmptyPassword,
    /// A password that does not fit into a line.
    #[error("the password holds an end of line, so that no password file can hold it")]
    PasswordLine,
    /// The terminal.
    #[error("cannot ask for the password: {0}")]
    Prompt(#[source] io::Error),
    /// The server did not let us in.
    #[error("{server}: login as {user:?} with the password from {origin}: {cause}")]
    Login {
        /// Where.
        server: String,
        /// The role.
        user: String,
        /// Where its password came from.
        origin: String,
        /// Why.
        cause: String,
    },
    /// Nowhere to keep the authority.
    #[error("neither XDG_DATA_HOME nor HOME is an absolute path; set one of them")]
    NoHome,
    /// The directory of the authority.
    #[error("cannot keep the local authority in {}: {cause}", path.display())]
    Data {
        /// Where.
        path: PathBuf,
        /// The operating system's words.
        cause: io::Error,
    },
    /// A key that others could have read.
    #[error(
        "others can read {}, the key of the local authority; remove it and its neighbour ca.crt \
         to have new ones made",
        path.display()
    )]
    KeyIsNotPrivate {
        /// The key.
        path: PathBuf,
    },
    /// Not an authority.
    #[error("{} is not a local authority; remove it to have a new one made", path.display())]
    BrokenAuthority {
        /// The file.
        path: PathBuf,
    },
    /// OpenSSL made no certificate.
    #[error(transparent)]
    Mint(#[from] tls::mint::MintFault),
    /// OpenSSL takes no authority or certificate.
    #[error(transparent)]
    Context(#[from] tls::ContextFault),
    /// OpenSSL computes no verifier.
    #[error(transparent)]
    Verifier(#[from] auth::CryptoFault),
    /// The listening address.
    #[error("cannot listen on {address}: it is in use; choose another port, as --listen {next}")]
    InUse {
        /// The address.
        address: std::net::SocketAddr,
        /// A neighbour.
        next: std::net::SocketAddr,
    },
    /// A file of `--write`.
    #[error("cannot write {}: {cause}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        cause: io::Error,
    },
}

/// A certificate that did not verify, and what can be done about it.
#[derive(Debug)]
pub(crate) struct NotVerified {
    /// Where.
    pub(crate) server: String,
    /// Why.
    pub(crate) cause: String,
    /// What the server shows to everybody.
    pub(crate) certificate: Option<PeerCertificate>,
    /// The command line so far, without what decides about trust.
    pub(crate) command: Vec<String>,
}

impl fmt::Display for NotVerified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The engine's sentence ends in a hint of its own, which the offers below replace.
        let cause = self.cause.split("; ").next().unwrap_or_default();
        writeln!(f, "{} is not verified: {cause}", self.server)?;
        let Some(certificate) = &self.certificate else {
            return write!(f, "\nIt showed no certificate.");
        };
        writeln!(
            f,
            "\nIt shows this certificate, which nobody has vouched for yet:\n"
        )?;
        for line in leg::certificate(certificate) {
            writeln!(f, "{line}")?;
        }
        let command: Vec<String> = self.command.iter().map(|word| shell_word(word)).collect();
        let command = command.join(" ");
        write!(
            f,
            "\nIf you have the authority that signed it, as a PEM file:\n\n  \
             {command} --server-ca FILE\n\n\
             If you know this very certificate (compare the SHA-256 with the server's \
             administrator):\n\n  \
             {command} --pin sha256:{}",
            certificate.sha256_hex()
        )
    }
}

/// Another certificate than the pinned one. What it shows is not offered as a pin: the pin has done
/// its work if somebody is in between.
#[derive(Debug)]
pub(crate) struct NotPinned {
    /// Where.
    pub(crate) server: String,
    /// SHA-256 of the certificate that was to be shown.
    pub(crate) pinned: [u8; 32],
    /// What was shown.
    pub(crate) certificate: PeerCertificate,
}

impl fmt::Display for NotPinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} does NOT show the pinned certificate; somebody may be in between. Nothing was \
             sent: no user name, no password.\n",
            self.server
        )?;
        writeln!(f, "{}", leg::line("pinned SHA-256", &hex(&self.pinned)))?;
        writeln!(f, "\nIt shows this one instead:\n")?;
        for line in leg::certificate(&self.certificate) {
            writeln!(f, "{line}")?;
        }
        write!(
            f,
            "\nIf the server has a new certificate, get its SHA-256 from the server's administrator, \
             not from this connection."
        )
    }
}
