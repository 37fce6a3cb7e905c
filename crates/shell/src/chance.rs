//! Owns randomness: bytes of the system's generator, handed to the pure crates as arguments. Each call
//! of the generator takes 7,000 instructions, however few bytes are asked for.

use auth::Chance;
use session::fault::{Fault, FaultKind, Side};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// `N` random bytes.
pub fn bytes<const N: usize>() -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    match openssl::rand::rand_bytes(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(error) => Err(Fault::new(
            Side::Proxy,
            FaultKind::Unavailable {
                what: format!("the system's random generator: {error}"),
            },
        )),
    }
}

/// What a proof of a client's takes of it, in one draw.
pub fn for_proof() -> Result<Chance, Fault> {
    let drawn: [u8; 22] = bytes()?;
    let mut chance = Chance {
        nonce: [0; 18],
        md5_salt: [0; 4],
    };
    let (nonce, md5_salt) = drawn.split_at(chance.nonce.len());
    chance.nonce.copy_from_slice(nonce);
    chance.md5_salt.copy_from_slice(md5_salt);
    Ok(chance)
}

/// A number that no two callers have in common but by accident, for what would otherwise fall on one
/// moment for many. Never for what has to be hard to guess.
pub fn spread() -> u64 {
    RandomState::new().build_hasher().finish()
}
