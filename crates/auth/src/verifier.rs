//! Owns what is stored about a role's password, whatever its kind, and how texts become it.

use crate::auth_query::AuthQueryFault;
use crate::digest::{CryptoFault, md5_hex};
use crate::scram::{ScramFault, ScramVerifier};
use buf::Secret;
use std::fmt;

/// PostgreSQL's MD5 verifier: `hex(md5(password || user))`. As good as the password wherever the
/// server asks for MD5.
#[derive(Debug, Clone)]
pub struct Md5Hash(Secret);

impl Md5Hash {
    /// Compares in a time that depends on nothing.
    pub(crate) fn same_as(&self, other: &Md5Hash) -> bool {
        self.0.same_as(other.0.expose())
    }

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
    /// The look-up gave something that can't be used, which is the operator's business. The client
    /// sees what it would for [`Stored::Unknown`]; the refusal tells the reason.
    Unusable(AuthQueryFault),
    /// Nothing is stored: take the password and let the server decide. Only for
    /// [`Method::Password`](crate::Method::Password).
    AskServer,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The password `pencil` with RFC 7677's salt and iterations.
    const SCRAM: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
        WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    #[test]
    fn knows_the_kinds_apart() {
        let table = [
            ("hunter2", "Password"),
            ("md5", "Password"),
            ("md5fan", "Password"),
            ("md50123456789abcdef0123456789abcdef", "Md5"),
            // PostgreSQL's `get_password_type` takes lower-case digits alone.
            ("md50123456789ABCDEF0123456789abcdef", "Password"),
            ("md50123456789abcdef0123456789abcde", "Password"),
            ("md50123456789abcdef0123456789abcdef0", "Password"),
            (SCRAM, "Scram"),
            ("SCRAM-SHA-1$4096:a$b:c", "Password"),
        ];
        for (text, kind) in table {
            assert_eq!(
                format!("{:?}", Verifier::parse(text).unwrap()),
                kind,
                "{text}"
            );
        }
    }

    #[test]
    fn a_broken_scram_verifier_is_no_password() {
        let key = "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=";
        let table = [
            ("SCRAM-SHA-256$", ScramFault::Form),
            ("SCRAM-SHA-256$4096:c2FsdA==", ScramFault::Form),
            (
                &format!("SCRAM-SHA-256$4096:c2Fsd===${key}:{key}"),
                ScramFault::Form,
            ),
            (
                &format!("SCRAM-SHA-256$4096:${key}:{key}"),
                ScramFault::Salt,
            ),
            (
                &format!("SCRAM-SHA-256$0:c2FsdA==${key}:{key}"),
                ScramFault::Iterations,
            ),
            (
                &format!("SCRAM-SHA-256$1000001:c2FsdA==${key}:{key}"),
                ScramFault::Iterations,
            ),
            (
                &format!("SCRAM-SHA-256$+16:c2FsdA==${key}:{key}"),
                ScramFault::Iterations,
            ),
            (
                &format!("SCRAM-SHA-256$99999999999:c2FsdA==${key}:{key}"),
                ScramFault::Iterations,
            ),
            (
                &format!("SCRAM-SHA-256$16:c2FsdA==${key}:c2FsdA=="),
                ScramFault::Key,
            ),
            (
                &format!("SCRAM-SHA-256$16:c2FsdA==${key}:{key} "),
                ScramFault::Form,
            ),
        ];
        for (text, fault) in table {
            assert_eq!(
                Verifier::parse(text).unwrap_err(),
                VerifierFault::Scram(fault),
                "{text}"
            );
        }
        assert_eq!(Verifier::parse("").unwrap_err(), VerifierFault::Empty);
        assert_eq!(Verifier::parse("a\0b").unwrap_err(), VerifierFault::Nul);
    }

    #[test]
    fn scram_text_survives_a_round_trip() {
        let verifier = ScramVerifier::parse(SCRAM).unwrap();
        assert!(verifier.to_text().same_as(SCRAM.as_bytes()));
        let salt = verifier.derivation(Secret::new(b"pencil")).salt;
        let again = ScramVerifier::generate(&Secret::new(b"pencil"), &salt, 4096).unwrap();
        assert!(again.to_text().same_as(SCRAM.as_bytes()));
    }

    #[test]
    fn md5_is_as_the_manual_says() {
        // md5('secretalice'), then md5 of its digits and the salt, by coreutils' md5sum.
        let hash = Md5Hash::of("alice", b"secret").unwrap();
        assert!(hash.0.same_as(b"4a0a68b43b6cd5cf266fa02f196e2371"));
        assert!(
            hash.reply(*b"salt")
                .unwrap()
                .same_as(b"md5986e2194384c07f4fd1df4b1351b3e68")
        );
    }
}
