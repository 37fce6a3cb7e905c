//! Owns randomness: bytes of the system's generator, handed to the pure crates as arguments.

use session::fault::{Fault, FaultKind, Side};

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
