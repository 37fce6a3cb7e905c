//! Owns the hash functions of the exchanges, over OpenSSL, so that a FIPS provider decides what is
//! available. Secret intermediate values are given back as arrays in `Zeroizing`.

use openssl::error::ErrorStack;
use openssl::hash::{MessageDigest, hash};
use openssl::md::Md;
use openssl::md_ctx::MdCtx;
use std::sync::OnceLock;
use zeroize::Zeroizing;

/// A key or digest of SHA-256's length.
pub(crate) type Key = Zeroizing<[u8; 32]>;

/// SHA-256's block, which HMAC pads its key to.
const HMAC_BLOCK: usize = 64;

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

/// SHA-256 of the provider that OpenSSL's configuration chooses, looked up by name once: each look-up
/// costs as much as a digest of two blocks.
fn provided_sha256() -> Result<&'static Md, ErrorStack> {
    static FETCHED: OnceLock<Md> = OnceLock::new();
    match FETCHED.get() {
        Some(fetched) => Ok(fetched),
        None => {
            let fetched = Md::fetch(None, "SHA2-256", None)?;
            Ok(FETCHED.get_or_init(|| fetched))
        }
    }
}

/// HMAC-SHA-256 (RFC 2104) out of two digests: OpenSSL's own needs a key object, a context and a
/// dozen look-ups by name, ten times as much work as the digests themselves.
pub(crate) fn hmac(key: &[u8], data: &[u8]) -> Result<Key, CryptoFault> {
    let mut block = Zeroizing::new([0; HMAC_BLOCK]);
    match block.get_mut(..key.len()) {
        Some(start) => start.copy_from_slice(key),
        None => block[..32].copy_from_slice(&*sha256(key)),
    }
    let padded = |pad: u8| Zeroizing::new(block.map(|byte| byte ^ pad));
    let compute = || {
        let sha256 = provided_sha256()?;
        let mut context = MdCtx::new()?;
        let mut digest = |start: &[u8], rest: &[u8]| {
            context.digest_init(sha256)?;
            context.digest_update(start)?;
            context.digest_update(rest)?;
            let mut out = Zeroizing::new([0; 32]);
            context.digest_final(out.as_mut_slice())?;
            Ok::<_, ErrorStack>(out)
        };
        let inner = digest(&*padded(0x36), data)?;
        digest(&*padded(0x5c), &*inner)
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

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::pkey::PKey;
    use openssl::sign::Signer;

    #[test]
    fn hmac_is_openssls() {
        for key_len in [1, 32, 63, 64, 65, 200] {
            for data_len in [0, 1, 55, 56, 64, 300] {
                let (key, data) = (vec![7; key_len], vec![9; data_len]);
                let theirs = PKey::hmac(&key).unwrap();
                let mut signer = Signer::new(MessageDigest::sha256(), &theirs).unwrap();
                let wanted = signer.sign_oneshot_to_vec(&data).unwrap();
                assert_eq!(
                    hmac(&key, &data).unwrap().as_slice(),
                    wanted,
                    "{key_len} {data_len}"
                );
            }
        }
    }
}
