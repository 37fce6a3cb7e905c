//! Owns the hash functions of the exchanges, over OpenSSL, so that a FIPS provider decides what is
//! available. Secret intermediate values are given back as arrays in `Zeroizing`.

use openssl::hash::{MessageDigest, hash};
use openssl::pkey::PKey;
use openssl::sign::Signer;
use zeroize::Zeroizing;

/// A key or digest of SHA-256's length.
pub(crate) type Key = Zeroizing<[u8; 32]>;

/// OpenSSL would not compute something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CryptoFault {
    /// MD5 is switched off, as FIPS demands.
    #[error("OpenSSL refuses MD5 (FIPS mode?): store SCRAM-SHA-256 verifiers instead")]
    Md5Unavailable,
    /// SHA-256, HMAC or PBKDF2 failed.
    #[error("OpenSSL failed to compute HMAC-SHA-256 or PBKDF2")]
    ScramUnavailable,
}

pub(crate) fn sha256(data: &[u8]) -> Key {
    Zeroizing::new(openssl::sha::sha256(data))
}

pub(crate) fn hmac(key: &[u8], data: &[u8]) -> Result<Key, CryptoFault> {
    let compute = || {
        let key = PKey::hmac(key)?;
        let mut signer = Signer::new(MessageDigest::sha256(), &key)?;
        let mut out = Zeroizing::new([0; 32]);
        signer.sign_oneshot(out.as_mut_slice(), data)?;
        Ok::<_, openssl::error::ErrorStack>(out)
    };
    compute().map_err(|_| CryptoFault::ScramUnavailable)
}

pub(crate) fn pbkdf2(password: &[u8], salt: &[u8], iterations: u32) -> Result<Key, CryptoFault> {
    let mut out = Zeroizing::new([0; 32]);
    openssl::pkcs5::pbkdf2_hmac(
        password,
        salt,
        iterations as usize,
        MessageDigest::sha256(),
        out.as_mut_slice(),
    )
    .map_err(|_| CryptoFault::ScramUnavailable)?;
    Ok(out)
}

/// The 32 lower-case hexadecimal digits of MD5 over `first` followed by `second`.
pub(crate) fn md5_hex(first: &[u8], second: &[u8]) -> Result<Zeroizing<[u8; 32]>, CryptoFault> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let data = Zeroizing::new([first, second].concat());
    let digest = hash(MessageDigest::md5(), &data).map_err(|_| CryptoFault::Md5Unavailable)?;
    let mut out = Zeroizing::new([0; 32]);
    for (pair, byte) in out.chunks_exact_mut(2).zip(digest.iter()) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    Ok(out)
}
