//! Owns the first bytes of a connection, before any TLS: a pure machine over what the socket gave.
//!
//! Takes raw bytes and the listener's policy, gives what to do. It consumes exactly the packets it
//! understands; whatever lies behind an SSLRequest belongs to the TLS engine and is never read as
//! PostgreSQL's protocol (CVE-2021-23214). Source: manual, "SSL Session Encryption".

use crate::fault::{Fault, FaultKind, Side};
use buf::Cipher;
use wire::StartupFault;
use wire::startup::{CancelRequest, Packet, first, is_tls};

/// What the operator allows on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// TLS or nothing.
    Required,
    /// TLS if the client wants it.
    Optional,
    /// No TLS.
    Off,
}

/// Everything that may be written to a socket unencrypted: constants, none of them payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preamble {
    /// 'S': go ahead with TLS.
    Willing,
    /// 'N': not this kind of encryption.
    Unwilling,
    /// Our own SSLRequest to a server.
    SslRequest,
    /// ErrorResponse: this listener requires TLS.
    TlsRequired,
}

impl Preamble {
    /// The bytes.
    pub fn bytes(self) -> &'static [u8] {
        match self {
            Preamble::Willing => b"S",
            Preamble::Unwilling => b"N",
            Preamble::SslRequest => &wire::startup::SSL_REQUEST_BYTES,
            Preamble::TlsRequired => {
                b"E\0\0\0\x65SFATAL\0VFATAL\0C28000\0Mthis connection requires TLS; \
                  set sslmode=verify-full or at least require\0\0"
            }
        }
    }
}

/// A greeting under way, by what the client has asked for so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Greeting {
    encryption: Encryption,
    asked: Asked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Nothing,
    Ssl,
    Gss,
    Both,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Greeted {
    /// Read more.
    More,
    /// Write this and read on.
    Answer(Preamble),
    /// Write 'S' and start TLS with what is left of the input.
    Tls,
    /// Start TLS with all of the input; ALPN `postgresql` is a must.
    DirectTls,
    /// Go on unencrypted, which the operator has allowed, with what is left of the input.
    Clear,
    /// A cancel request outside TLS.
    Cancel(CancelRequest),
}

impl Greeting {
    /// A greeting on a listener with this policy.
    pub fn new(encryption: Encryption) -> Greeting {
        Greeting {
            encryption,
            asked: Asked::Nothing,
        }
    }

    /// True if the client has sent a whole packet yet.
    pub fn has_begun(&self) -> bool {
        self.asked != Asked::Nothing
    }

    /// Takes the next packet off `raw`.
    pub fn step(&mut self, raw: &mut Cipher) -> Result<Greeted, Fault> {
        if raw.is_empty() {
            return Ok(Greeted::More);
        }
        if is_tls(raw.bytes()) {
            // After an SSLRequest was refused, or where TLS is off, this is no packet.
            return match (self.encryption, self.asked) {
                (Encryption::Off, _) => Err(length(0x1603_0000)),
                _ => Ok(Greeted::DirectTls),
            };
        }
        let (packet, len) = match first(raw.bytes()) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(Greeted::More),
            Err(fault) => return self.refuse(&fault),
        };
        let (greeted, asked) = match (packet, self.encryption, self.asked) {
            (Packet::Ssl, Encryption::Required | Encryption::Optional, asked)
                if !matches!(asked, Asked::Ssl | Asked::Both) =>
            {
                (Greeted::Tls, asked)
            }
            (Packet::Ssl, _, Asked::Nothing) => (Greeted::Answer(Preamble::Unwilling), Asked::Ssl),
            (Packet::Ssl, _, Asked::Gss) => (Greeted::Answer(Preamble::Unwilling), Asked::Both),
            (Packet::Gss, _, Asked::Nothing) => (Greeted::Answer(Preamble::Unwilling), Asked::Gss),
            (Packet::Gss, _, Asked::Ssl) => (Greeted::Answer(Preamble::Unwilling), Asked::Both),
            (Packet::Cancel(request), _, asked) => (Greeted::Cancel(request), asked),
            (Packet::Startup(_) | Packet::Ssl | Packet::Gss, Encryption::Required, _) => {
                return Err(Fault::new(Side::Client, FaultKind::TlsRequired));
            }
            // What the arrival makes of it: a session, or an unsupported version.
            (Packet::Startup(_) | Packet::Ssl | Packet::Gss, _, _) => return Ok(Greeted::Clear),
        };
        self.asked = asked;
        raw.consume(len);
        Ok(greeted)
    }

    /// A packet that can't be served: unencrypted there is nothing to say but that TLS is due.
    fn refuse(&self, fault: &StartupFault) -> Result<Greeted, Fault> {
        match (fault, self.encryption) {
            (StartupFault::Length { len } | StartupFault::Request { len, .. }, _) => {
                Err(length(*len))
            }
            (_, Encryption::Required) => Err(Fault::new(Side::Client, FaultKind::TlsRequired)),
            _ => Ok(Greeted::Clear),
        }
    }
}

fn length(len: u32) -> Fault {
    Fault::new(Side::Client, FaultKind::BadLength { tag: 0, len })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Message;
    use wire::from_server::ErrorResponse;

    const SSL: &[u8] = &wire::startup::SSL_REQUEST_BYTES;
    const GSS: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x30";
    const START: &[u8] = b"\0\0\0\x10\0\x03\0\0user\0a\0\0";

    fn greet(encryption: Encryption, parts: &[&[u8]]) -> (String, usize) {
        let mut greeting = Greeting::new(encryption);
        let mut raw = Cipher::with_capacity(16 * 1024);
        let mut seen = String::new();
        for part in parts {
            raw.push(part).unwrap();
            let step = greeting.step(&mut raw);
            seen += match &step {
                Ok(Greeted::More) => "more ",
                Ok(Greeted::Answer(Preamble::Unwilling)) => "N ",
                Ok(Greeted::Answer(_)) => "? ",
                Ok(Greeted::Tls) => "tls ",
                Ok(Greeted::DirectTls) => "direct ",
                Ok(Greeted::Clear) => "clear ",
                Ok(Greeted::Cancel(_)) => "cancel ",
                Err(fault) if fault.kind == FaultKind::TlsRequired => "required ",
                Err(_) => "silence ",
            };
        }
        (seen.trim_end().to_owned(), raw.len())
    }

    #[test]
    fn greetings() {
        use Encryption::{Off, Optional, Required};
        let long = [&b"\0\0\x27\x15\0\x03\0\0"[..], &[b'a'; 10]].concat();
        let cancel: &[u8] = b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01abcd";
        let table: &[(Encryption, &[&[u8]], &str)] = &[
            (Required, &[SSL], "tls"),
            (Required, &[&SSL[..3], &SSL[3..]], "more tls"),
            (Required, &[GSS, SSL], "N tls"),
            (Required, &[GSS, GSS], "N required"),
            (Required, &[START], "required"),
            (Required, &[cancel], "cancel"),
            (Required, &[b"\x16"], "direct"),
            (Required, &[GSS, b"\x16\x03"], "N direct"),
            (Required, &[&long], "silence"),
            (Required, &[b"\0\0\0\x03"], "silence"),
            (Required, &[b"\0\0\0\0"], "silence"),
            (Required, &[b"\xff\xff\xff\xff"], "silence"),
            (Required, &[b"GET / HTTP/1.1\r\n\r\n"], "silence"),
            (Required, &[b"\0\0\0\x08\0\x02\0\0"], "required"),
            (Optional, &[SSL], "tls"),
            (Optional, &[START], "clear"),
            (Off, &[SSL, GSS, START], "N N clear"),
            (Off, &[SSL, SSL], "N clear"),
            (Off, &[b"\x16\x03\x01"], "silence"),
        ];
        for (encryption, parts, expected) in table {
            let (seen, _) = greet(*encryption, parts);
            assert_eq!(seen, *expected, "{encryption:?} {parts:?}");
        }
    }

    #[test]
    fn bytes_behind_ssl_request_stay_for_the_tls_engine() {
        let merged = [SSL, START].concat();
        assert_eq!(
            greet(Encryption::Required, &[&merged]),
            ("tls".into(), START.len())
        );
        assert_eq!(
            greet(Encryption::Off, &[START]),
            ("clear".into(), START.len())
        );
    }

    #[test]
    fn constant_errors_are_whole_messages() {
        let bytes = Preamble::TlsRequired.bytes();
        let frame = wire::frame::whole(bytes, |_| 30_000).unwrap().unwrap();
        assert_eq!(frame.total, bytes.len());
        let error = ErrorResponse::decode(frame.body).unwrap();
        assert_eq!(error.fields.sqlstate().unwrap(), "28000");
    }
}
