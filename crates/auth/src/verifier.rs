//! Owns what is stored about a role's password, whatever its kind, and how texts become it.

use crate::digest::{CryptoFault, md5_hex};
use crate::scram::{ScramFault, ScramVerifier};
use buf::Secret;
use std::fmt;

/// PostgreSQL's MD5 verifier: `hex(md5(password || user))`. As good as the password wherever the
/// server asks for MD5.
#[derive(Debug, Clone)]
pub struct Md5Hash(Secret);

impl Md5Hash {
    /// Computes the hash of a user's password.
    pub fn of(user: &str, password: &[u8]) -> Result<Self, CryptoFault> {
        Ok(Self(Secret::new(&*md5_hex(password, user.as_bytes())?)))
    }

    /// Reads `md5` and 32 hexadecimal digits, as `pg_authid.rolpassword` holds them.
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("md5")?.as_bytes();
        let is_hash = digits.len() == 32
            && digits
                .iter()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_hash.then(|| Self(Secret::new(digits)))
    }

    /// The reply to a challenge, without its zero byte: `md5` and `hex(md5(hash || salt))`.
    pub(crate) fn reply(&self, salt: [u8; 4]) -> Result<Secret, CryptoFault> {
        let digits = md5_hex(self.0.expose(), &salt)?;
        Ok(Secret::from_vec([b"md5", digits.as_slice()].concat()))
    }

    /// Whether both are the same, in constant time.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.0.same_as(other.0.expose())
    }
}

/// What is stored about a password. `Debug` shows only which kind it is.
#[derive(Clone)]
pub enum Verifier {
    /// A SCRAM-SHA-256 verifier.
    Scram(ScramVerifier),
    /// An MD5 hash.
    Md5(Md5Hash),
    /// The password itself.
    Password(Secret),
}

/// A text that looks like a verifier but is none. Never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifierFault {
    /// The empty text: a password that can't be used.
    #[error("the secret is empty")]
    Empty,
    /// A zero byte, which no password on the wire can hold.
    #[error("the secret holds a zero byte")]
    Nul,
    /// It starts as a SCRAM verifier does. Taking it for a password would hide a typing mistake.
    #[error("the secret looks like a SCRAM verifier, but is {0}")]
    Scram(#[from] ScramFault),
}

impl Verifier {
    /// Reads a secret of a users file or of `pg_authid.rolpassword`: a SCRAM verifier, `md5` and 32
    /// hexadecimal digits, or else the password itself.
    pub fn parse(text: &str) -> Result<Self, VerifierFault> {
        if text.is_empty() {
            return Err(VerifierFault::Empty);
        }
        if text.contains('\0') {
            return Err(VerifierFault::Nul);
        }
        if text.starts_with(crate::scram::PREFIX) {
            return Ok(Self::Scram(ScramVerifier::parse(text)?));
        }
        Ok(match Md5Hash::parse(text) {
            Some(hash) => Self::Md5(hash),
            None => Self::Password(Secret::new(text.as_bytes())),
        })
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scram(_) => "Scram",
            Self::Md5(_) => "Md5",
            Self::Password(_) => "Password",
        })
    }
}

/// What a look-up of a user gave.
#[derive(Debug, Clone)]
pub enum Stored {
    /// The user may log in with the password that this verifies.
    Known(Verifier),
    /// No such user, or its password is missing or expired. The exchange runs to its end as for
    /// any other user and then fails.
    Unknown,
    /// Nothing is stored: take the password and let the server decide. Only for
    /// [`Method::Password`](crate::Method::Password).
    AskServer,
}
