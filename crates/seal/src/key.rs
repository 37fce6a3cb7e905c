//! Owns both halves of a key: the recipient, whom things are sealed to, and the identity, which opens them.

use crate::{CryptoFault, bech32, primitives};
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

const RECIPIENT: &str = "age";
const IDENTITY: &str = "age-secret-key-";

/// A text that is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Not a public key.
    #[error(
        "this is no recipient of age; it begins with \"age1\" and has 62 characters (`portcullis audit keygen`)"
    )]
    Recipient,
    /// A secret key where a public one belongs.
    #[error(
        "this is a secret key, which opens what is sealed; write its public half, which begins with \"age1\""
    )]
    Secret,
    /// Not a secret key.
    #[error(
        "this is no identity of age; it begins with \"AGE-SECRET-KEY-1\" and has 74 characters"
    )]
    Identity,
}

/// The public half of a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient(pub(crate) [u8; 32]);

impl FromStr for Recipient {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Recipient, BadKey> {
        if text.len() > IDENTITY.len() && text[..].to_ascii_lowercase().starts_with(IDENTITY) {
            return Err(BadKey::Secret);
        }
        bech32::decode(RECIPIENT, text)
            .map(Recipient)
            .ok_or(BadKey::Recipient)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bech32::encode(RECIPIENT, &self.0))
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({self})")
    }
}

/// The secret half of a key. It is wiped, and shown nowhere but by [`text`](Self::text).
#[derive(Clone)]
pub struct Identity(pub(crate) Zeroizing<[u8; 32]>);

impl Identity {
    /// The key of 32 random bytes.
    pub fn of(seed: [u8; 32]) -> Identity {
        Identity(Zeroizing::new(seed))
    }

    /// The one identity of a file as `age-keygen` writes it: comments, and a line with the key.
    pub fn read(file: &str) -> Result<Identity, BadKey> {
        let mut keys = file.lines().map(str::trim);
        let key = keys.find(|line| !line.is_empty() && !line.starts_with('#'));
        let text = key.ok_or(BadKey::Identity)?;
        // One case throughout, as bech32 wants it; age writes capitals.
        if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
            return Err(BadKey::Identity);
        }
        let text = Zeroizing::new(text.to_ascii_lowercase());
        let key = bech32::decode(IDENTITY, &text).ok_or(BadKey::Identity)?;
        Ok(Identity::of(key))
    }

    /// Its text.
    pub fn text(&self) -> Zeroizing<String> {
        let text = Zeroizing::new(bech32::encode(IDENTITY, &self.0));
        Zeroizing::new(text.to_ascii_uppercase())
    }

    /// Its public half.
    pub fn recipient(&self) -> Result<Recipient, CryptoFault> {
        primitives::public(&self.0).map(Recipient)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(…)")
    }
}
