//! Owns what can go wrong with one TLS connection, as an operator should read it.
//!
//! Takes OpenSSL's error queue apart into facts. Never holds bytes of the connection: reasons are
//! OpenSSL's own constant texts, names come from certificates and are escaped.

use crate::facts::PeerCertificate;
use crate::flood::FloodKind;
use crate::verify::Refusal;
use openssl::error::{Error, ErrorStack};
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
    /// Too much that brings no data, in a row or over time.
    #[error("the peer sent too many {kind}: {records} at once without data to go with them")]
    Flood {
        /// Of what.
        kind: FloodKind,
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
    /// Another certificate after a renegotiation: the peer was judged by the first.
    #[error("the peer showed another certificate when it renegotiated")]
    PeerChanged,
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
        let Some(presented) = &self.presented else {
            return Ok(());
        };
        match self.code {
            SELF_SIGNED_LEAF | SELF_SIGNED_ROOT | NO_ISSUER | NO_ISSUER_OF_LEAF => write!(
                f,
                "; if this is the right peer, trust the authority \"{}\" or pin sha256:{}",
                presented.issuer,
                presented.sha256_hex()
            ),
            HOSTNAME_MISMATCH | IP_ADDRESS_MISMATCH => {
                let addresses = presented.ip.iter().map(ToString::to_string);
                let names: Vec<String> = presented.dns.iter().cloned().chain(addresses).collect();
                write!(f, "; the certificate is for: {}", names.join(", "))
            }
            EXPIRED => write!(f, "; it expired {}", presented.not_after),
            _ => Ok(()),
        }
    }
}

/// X509_V_ERR_* (openssl/x509_vfy.h)
const EXPIRED: i32 = 10;
const SELF_SIGNED_LEAF: i32 = 18;
const SELF_SIGNED_ROOT: i32 = 19;
const NO_ISSUER: i32 = 20;
const NO_ISSUER_OF_LEAF: i32 = 21;
const HOSTNAME_MISMATCH: i32 = 62;
/// libpq's rule for addresses in the common name has to know this one.
pub(crate) const IP_ADDRESS_MISMATCH: i32 = 64;

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

/// ERR_LIB_SSL (openssl/err.h)
const LIB_SSL: i32 = 20;
/// Reasons of SSL errors from here on are alerts that the peer sent: SSL_AD_REASON_OFFSET.
const ALERTS: i32 = 1000;

/// SSL_R_* (openssl/sslerr.h)
mod reason {
    pub const CERTIFICATE_VERIFY_FAILED: i32 = 134;
    pub const PEER_DID_NOT_RETURN_A_CERTIFICATE: i32 = 199;
    pub const NO_APPLICATION_PROTOCOL: i32 = 235;
    /// HTTP_REQUEST, HTTPS_PROXY_REQUEST, WRONG_VERSION_NUMBER, PACKET_LENGTH_TOO_LONG
    pub const NOT_TLS: [i32; 4] = [156, 155, 267, 198];
    /// NO_SUITABLE_KEY_SHARE, NO_SHARED_SIGNATURE_ALGORITHMS, NO_SUITABLE_SIGNATURE_ALGORITHM,
    /// NO_CIPHERS_AVAILABLE, NO_SHARED_CIPHER, UNSUPPORTED_PROTOCOL, WRONG_SSL_VERSION,
    /// VERSION_TOO_HIGH, VERSION_TOO_LOW, NO_SHARED_GROUPS, UNKNOWN_PROTOCOL
    pub const NOTHING_SHARED: [i32; 11] = [101, 376, 118, 181, 193, 258, 266, 166, 396, 410, 252];
}

/// Classifies what libssl said about a connection. `refusal` is what the certificate callback
/// kept.
pub(crate) fn classify(stack: Option<&ErrorStack>, refusal: Option<&Refusal>) -> TlsFault {
    let errors = stack.map(ErrorStack::errors).unwrap_or_default();
    let Some(error) = errors.iter().find(|error| error.library_code() == LIB_SSL) else {
        let reason = errors.first().map_or("unknown failure", text);
        return TlsFault::Protocol { reason };
    };
    let (code, reason) = (error.reason_code(), text(error));
    match code {
        reason::CERTIFICATE_VERIFY_FAILED => match refusal.and_then(Refusal::fault) {
            Some(fault) => TlsFault::Verify(Box::new(fault)),
            None => TlsFault::Protocol { reason },
        },
        reason::PEER_DID_NOT_RETURN_A_CERTIFICATE => TlsFault::Verify(Box::new(VerifyFault {
            code: 0,
            reason: "it sent none, and one is required here",
            depth: 0,
            subject: String::new(),
            expected: None,
            presented: None,
        })),
        reason::NO_APPLICATION_PROTOCOL => TlsFault::AlpnMissing,
        code if reason::NOT_TLS.contains(&code) => TlsFault::NotTls { reason },
        code if reason::NOTHING_SHARED.contains(&code) => {
            TlsFault::NoSharedVersionOrCipher { reason }
        }
        code if (ALERTS..ALERTS + 256).contains(&code) => {
            let code = u8::try_from(code - ALERTS).unwrap_or(u8::MAX);
            let name = alert_name(code);
            TlsFault::PeerAlert { code, name }
        }
        _ => TlsFault::Protocol { reason },
    }
}

/// The first reason in a queue, for failures outside of a connection.
pub(crate) fn first_reason(stack: &ErrorStack) -> &'static str {
    stack.errors().first().map_or("unknown failure", text)
}

fn text(error: &Error) -> &'static str {
    error.reason().unwrap_or("unknown failure")
}

/// RFC 8446 section 6 and the TLS Alerts registry.
fn alert_name(code: u8) -> &'static str {
    match code {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        22 => "record_overflow",
        40 => "handshake_failure",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        _ => "unknown alert",
    }
}
