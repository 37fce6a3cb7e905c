//! Sealing bytes to a public key, so that only the holder of the other half reads them: the format of the public tool
//! `age` ([age-encryption.org/v1](https://age-encryption.org/v1)) with X25519 keys, over libcrypto.
//!
//! Owns the format and the keys' texts. Takes bytes, and chance as an argument; gives bytes. Does no I/O. What is
//! secret in it is wiped.

mod age;
mod bech32;
mod key;
mod primitives;

pub use age::{Chance, OpenFault, open, seal};
pub use key::{BadKey, Identity, Recipient};

/// libcrypto refused something. In FIPS mode it has no ChaCha20-Poly1305.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("libcrypto does not do what sealing takes (X25519, HKDF, ChaCha20-Poly1305): {0}")]
pub struct CryptoFault(String);

impl From<openssl::error::ErrorStack> for CryptoFault {
    fn from(stack: openssl::error::ErrorStack) -> CryptoFault {
        let first = stack.errors().first();
        let reason = first.and_then(openssl::error::Error::reason);
        CryptoFault(reason.unwrap_or("no reason given").to_owned())
    }
}
