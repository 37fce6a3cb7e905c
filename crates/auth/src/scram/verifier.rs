//! Owns what a server keeps instead of a password, and its text in `pg_authid.rolpassword`:
//! `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.

use crate::digest::CryptoFault;
use crate::scram::keys::{Derivation, ScramKeys, derive};
use crate::scram::text::{decode, encode};
use crate::scram::{ITERATIONS_MAX, SALT_LEN_MAX};
use buf::Secret;
use std::fmt;

/// The start of every verifier's text.
pub(crate) const PREFIX: &str = "SCRAM-SHA-256$";

/// Enough to check a client and to prove to be the server, but not to log in anywhere.
#[derive(Clone)]
pub struct ScramVerifier {
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: u32,
    pub(crate) stored_key: Secret,
    pub(crate) server_key: Secret,
}

/// A text that is not a SCRAM verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScramFault {
    /// The parts are not where they should be, or not base64.
    #[error("not of the form SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>")]
    Form,
    /// Iterations out of bounds.
    #[error("iterations must be between 1 and {ITERATIONS_MAX}")]
    Iterations,
    /// Salt out of bounds.
    #[error("the salt must have between 1 and {SALT_LEN_MAX} bytes")]
    Salt,
    /// A key that does not have 32 bytes.
    #[error("StoredKey and ServerKey must have 32 bytes each")]
    Key,
}

impl ScramVerifier {
    /// The verifier that belongs to `keys`.
    pub fn from_keys(keys: &ScramKeys) -> Self {
        Self {
            salt: keys.salt.clone(),
            iterations: keys.iterations,
            stored_key: Secret::new(&*keys.stored_key()),
            server_key: keys.server_key.clone(),
        }
    }

    /// Computes a new verifier. `salt` should be 16 random bytes. Costs milliseconds of CPU.
    pub fn generate(password: &Secret, salt: &[u8], iterations: u32) -> Result<Self, CryptoFault> {
        let keys = derive(&Derivation {
            password: password.clone(),
            salt: salt.to_vec(),
            iterations,
        })?;
        Ok(Self::from_keys(&keys))
    }

    /// Reads the text of `pg_authid.rolpassword`.
    pub fn parse(text: &str) -> Result<Self, ScramFault> {
        let rest = text.strip_prefix(PREFIX).ok_or(ScramFault::Form)?;
        let (cost, keys) = rest.split_once('$').ok_or(ScramFault::Form)?;
        let (iterations, salt) = cost.split_once(':').ok_or(ScramFault::Form)?;
        let (stored_key, server_key) = keys.split_once(':').ok_or(ScramFault::Form)?;
        let salt = decode(salt).ok_or(ScramFault::Form)?;
        if salt.is_empty() || salt.len() > SALT_LEN_MAX {
            return Err(ScramFault::Salt);
        }
        Ok(Self {
            salt,
            iterations: parse_iterations(iterations).ok_or(ScramFault::Iterations)?,
            stored_key: parse_key(stored_key)?,
            server_key: parse_key(server_key)?,
        })
    }

    /// The text for a users file or `pg_authid`. It is a secret: not as good as the password, but
    /// enough to guess weak ones at leisure and to pose as the server.
    pub fn to_text(&self) -> Secret {
        let text = format!(
            "{PREFIX}{}:{}${}:{}",
            self.iterations,
            encode(&self.salt),
            encode(self.stored_key.expose()),
            encode(self.server_key.expose()),
        );
        Secret::from_vec(text.into_bytes())
    }

    /// The question whose answer fits this verifier if `password` is right.
    pub fn derivation(&self, password: Secret) -> Derivation {
        Derivation {
            password,
            salt: self.salt.clone(),
            iterations: self.iterations,
        }
    }

    /// Whether `keys` were derived from this verifier's password; in constant time.
    pub fn matches(&self, keys: &ScramKeys) -> bool {
        self.stored_key.same_as(&*keys.stored_key())
            & self.server_key.same_as(keys.server_key.expose())
    }
}

impl fmt::Debug for ScramVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScramVerifier(..)")
    }
}

/// A count within bounds, in plain decimal digits.
pub(crate) fn parse_iterations(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let iterations = text.parse().ok()?;
    (1..=ITERATIONS_MAX)
        .contains(&iterations)
        .then_some(iterations)
}

fn parse_key(text: &str) -> Result<Secret, ScramFault> {
    let key = Secret::from_vec(decode(text).ok_or(ScramFault::Form)?);
    if key.len() == 32 {
        Ok(key)
    } else {
        Err(ScramFault::Key)
    }
}
