//! Owns what can go wrong with one TLS connection, as an operator should read it.
//!
//! Takes OpenSSL's error queue apart into facts. Never holds bytes of the connection: reasons are
//! OpenSSL's own constant texts, names come from certificates and are escaped.

use crate::facts::PeerCertificate;
use std::fmt;

/// Why a TLS connection failed. The engine is dead after any of these; what it still wants to
/// tell the peer (the alert) is in the output buffer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsFault {
    /// The peer's certificate was not accepted.
    #[error("{0}")]
    Verify(Box<VerifyFault>),
    /// Both sides have no protocol version, cipher suite, group or signature algorithm in common.
    #[error(
        "no TLS version or cipher suite in common with the peer ({reason}); compare both sides' \
         minimum version and cipher settings"
    )]
    NoSharedVersionOrCipher {
        /// OpenSSL's reason.
        reason: &'static str,
    },
    /// The peer refused with a TLS alert (RFC 8446 section 6).
    #[error("the peer refused with TLS alert {code} ({name}){}", hint(*code))]
    PeerAlert {
        /// The alert's number.
        code: u8,
        /// The alert's name in RFC 8446.
        name: &'static str,
    },
    /// The peer offered application protocols, and `postgresql` was not among them.
    #[error("the peer's ALPN list does not contain \"postgresql\"")]
    AlpnMissing,
    /// The bytes are not TLS.
    #[error("the peer does not speak TLS here ({reason})")]
    NotTls {
        /// OpenSSL's reason.
        reason: &'static str,
    },
    /// The stream ended without close_notify, so what came last may be missing something.
    #[error("the connection was cut without TLS close_notify; the data may be truncated")]
    Truncated,
    /// Too many records without application data, one after the other.
    #[error("the peer sent {records} TLS records without data in a row")]
    Flood {
        /// How many.
        records: u32,
    },
    /// What TLS has to send did not fit into the output buffer.
    #[error("the TLS output buffer of {capacity} bytes is too small or the peer reads too slowly")]
    OutputOverflow {
        /// Bytes that the buffer holds in all.
        capacity: usize,
    },
    /// The peer broke the protocol, or a record did not authenticate.
    #[error("TLS failed: {reason}")]
    Protocol {
        /// OpenSSL's reason.
        reason: &'static str,
    },
    /// The engine was used after it had failed or closed.
    #[error("the TLS connection is closed already")]
    Dead,
}

/// Why a certificate of the peer was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyFault {
    /// X509_V_ERR_* (openssl/x509_vfy.h); 0 if the peer sent no certificate at all or the pin differs.
    pub code: i32,
    /// OpenSSL's text for it.
    pub reason: &'static str,
    /// 0 is the peer's own certificate, higher is towards the root.
    pub depth: u32,
    /// Subject of the certificate at that depth.
    pub subject: String,
    /// Whom the connection was meant for, if the name was to be checked.
    pub expected: Option<String>,
    /// The peer's own certificate, as it was presented. Not to be trusted.
    pub presented: Option<Box<PeerCertificate>>,
}

impl fmt::Display for VerifyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the peer's certificate was refused: {}", self.reason)?;
        if !self.subject.is_empty() {
            write!(f, " (certificate {} at depth {})", self.subject, self.depth)?;
        }
        if let Some(expected) = &self.expected {
            write!(f, "; connected to \"{expected}\"")?;
        }
        Ok(())
    }
}

fn hint(alert: u8) -> &'static str {
    match alert {
        42..=46 | 49 => "; it does not accept our certificate",
        48 => "; it does not trust the authority that signed our certificate",
        116 => "; it asks for a client certificate",
        112 => "; it does not know the host name we sent",
        120 => "; it does not support the protocol \"postgresql\" on this port",
        40 | 70 | 71 => "; compare both sides' minimum version and cipher settings",
        _ => "",
    }
}
