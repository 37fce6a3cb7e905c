//! Owns the calls of libcrypto: X25519 (RFC 7748), HKDF-SHA-256 (RFC 5869), HMAC, ChaCha20-Poly1305 (RFC 8439).

use crate::CryptoFault;
use openssl::derive::Deriver;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{Id, PKey};
use openssl::sign::Signer;
use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};
use zeroize::Zeroizing;

/// Bytes by which sealed bytes are longer.
pub(crate) const TAG: usize = 16;

/// The public half of an X25519 key.
pub(crate) fn public(secret: &[u8; 32]) -> Result<[u8; 32], CryptoFault> {
    let key = PKey::private_key_from_raw_bytes(secret, Id::X25519)?;
    let mut public = [0; 32];
    public.copy_from_slice(&key.raw_public_key()?);
    Ok(public)
}

/// What two keys have in common. An error for a public half that has nothing in common with any.
pub(crate) fn shared(
    secret: &[u8; 32],
    public: &[u8; 32],
) -> Result<Zeroizing<[u8; 32]>, CryptoFault> {
    let secret = PKey::private_key_from_raw_bytes(secret, Id::X25519)?;
    let public = PKey::public_key_from_raw_bytes(public, Id::X25519)?;
    let mut deriver = Deriver::new(&secret)?;
    deriver.set_peer(&public)?;
    let mut shared = Zeroizing::new([0; 32]);
    deriver.derive(shared.as_mut_slice())?;
    Ok(shared)
}

/// HMAC-SHA-256.
pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> Result<Zeroizing<[u8; 32]>, ErrorStack> {
    let key = PKey::hmac(key)?;
    let mut signer = Signer::new(MessageDigest::sha256(), &key)?;
    for part in parts {
        signer.update(part)?;
    }
    let mut mac = Zeroizing::new([0; 32]);
    signer.sign(mac.as_mut_slice())?;
    Ok(mac)
}

/// 32 bytes of HKDF-SHA-256.
pub(crate) fn hkdf(
    secret: &[u8],
    salt: &[u8],
    info: &[u8],
) -> Result<Zeroizing<[u8; 32]>, CryptoFault> {
    // No salt is one of zeros.
    let salt = if salt.is_empty() { &[0; 32] } else { salt };
    let key = hmac(salt, &[secret])?;
    Ok(hmac(key.as_slice(), &[info, &[1]])?)
}

/// Seals bytes, with the tag behind them.
pub(crate) fn encrypt(
    key: &[u8; 32],
    nonce: &[u8; 12],
    plain: &[u8],
    to: &mut Vec<u8>,
) -> Result<(), CryptoFault> {
    let mut tag = [0; TAG];
    let cipher = Cipher::chacha20_poly1305();
    let sealed = encrypt_aead(cipher, key, Some(nonce), &[], plain, &mut tag)?;
    to.extend_from_slice(&sealed);
    to.extend_from_slice(&tag);
    Ok(())
}

/// Opens bytes with their tag; `None` if this key and nonce did not seal them.
pub(crate) fn decrypt(
    key: &[u8; 32],
    nonce: &[u8; 12],
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let (sealed, tag) = sealed.split_at_checked(sealed.len().checked_sub(TAG)?)?;
    let cipher = Cipher::chacha20_poly1305();
    let plain = decrypt_aead(cipher, key, Some(nonce), &[], sealed, tag).ok()?;
    Some(Zeroizing::new(plain))
}
