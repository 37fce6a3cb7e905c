//! Owns the bodies of AuthenticationRequest (`R`) messages that Portcullis sends to clients
//! (PostgreSQL manual, section 55.7). Gives bytes without type and length.

use std::fmt;

/// Mechanism name without channel binding (RFC 7677).
pub(crate) const SCRAM_SHA_256: &str = "SCRAM-SHA-256";
/// Mechanism name with channel binding.
pub(crate) const SCRAM_SHA_256_PLUS: &str = "SCRAM-SHA-256-PLUS";

/// One AuthenticationRequest.
#[derive(Clone, PartialEq, Eq)]
pub enum AuthRequest {
    /// AuthenticationOk.
    Ok,
    /// AuthenticationCleartextPassword.
    CleartextPassword,
    /// AuthenticationMD5Password.
    Md5Password {
        /// The challenge.
        salt: [u8; 4],
    },
    /// AuthenticationSASL with the names of the mechanisms, best first.
    Sasl(Vec<&'static str>),
    /// AuthenticationSASLContinue.
    SaslContinue(Vec<u8>),
    /// AuthenticationSASLFinal.
    SaslFinal(Vec<u8>),
}

impl AuthRequest {
    /// The Int32 that starts the body.
    pub fn code(&self) -> i32 {
        match self {
            Self::Ok => 0,
            Self::CleartextPassword => 3,
            Self::Md5Password { .. } => 5,
            Self::Sasl(_) => 10,
            Self::SaslContinue(_) => 11,
            Self::SaslFinal(_) => 12,
        }
    }

    /// The body of the `R` message.
    pub fn body(&self) -> Vec<u8> {
        let mut body = self.code().to_be_bytes().to_vec();
        match self {
            Self::Ok | Self::CleartextPassword => {}
            Self::Md5Password { salt } => body.extend_from_slice(salt),
            Self::Sasl(names) => {
                for name in names {
                    body.extend_from_slice(name.as_bytes());
                    body.push(0);
                }
                body.push(0);
            }
            Self::SaslContinue(data) | Self::SaslFinal(data) => body.extend_from_slice(data),
        }
        body
    }
}

impl fmt::Debug for AuthRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "Ok",
            Self::CleartextPassword => "CleartextPassword",
            Self::Md5Password { .. } => "Md5Password",
            Self::Sasl(_) => "Sasl",
            Self::SaslContinue(_) => "SaslContinue",
            Self::SaslFinal(_) => "SaslFinal",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_as_the_manual_says() {
        let table: [(AuthRequest, &[u8]); 6] = [
            (AuthRequest::Ok, b"\0\0\0\0"),
            (AuthRequest::CleartextPassword, b"\0\0\0\x03"),
            (
                AuthRequest::Md5Password { salt: *b"salt" },
                b"\0\0\0\x05salt",
            ),
            (
                AuthRequest::Sasl(vec![SCRAM_SHA_256_PLUS, SCRAM_SHA_256]),
                b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0",
            ),
            (AuthRequest::SaslContinue(b"r=x".to_vec()), b"\0\0\0\x0br=x"),
            (AuthRequest::SaslFinal(b"v=x".to_vec()), b"\0\0\0\x0cv=x"),
        ];
        for (request, body) in table {
            assert_eq!(request.body(), body, "{request:?}");
        }
    }
}
