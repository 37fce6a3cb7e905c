//! Owns passwords, keys and verifiers: in guarded memory, never moved out of, wiped on drop, compared
//! in constant time, without a printable form.

use guard::Slot;
use std::fmt;
use zeroize::Zeroize;

/// A secret byte string, wiped on drop. `Debug` shows only that it is one; there is no `Display`.
pub struct Secret(Slot);

impl Secret {
    /// Copies `bytes` into a block of their own. The caller still owns, and wipes, the original.
    pub fn new(bytes: &[u8]) -> Self {
        let mut slot = Slot::new(bytes.len());
        slot.copy_from_slice(bytes);
        Self(slot)
    }

    /// Copies a vector's bytes and wipes it, its spare capacity included.
    pub fn from_vec(mut bytes: Vec<u8>) -> Self {
        let secret = Self::new(&bytes);
        bytes.zeroize();
        secret
    }

    /// The bytes themselves. The name is long so that each use is seen in review.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True for the empty secret.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Compares in a time that depends on the lengths alone.
    pub fn same_as(&self, other: &[u8]) -> bool {
        self.0.len() == other.len() && openssl::memcmp::eq(&self.0, other)
    }
}

impl Clone for Secret {
    fn clone(&self) -> Self {
        Self::new(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_by_content_and_prints_nothing() {
        let secret = Secret::from_vec(b"hunter2".to_vec());
        assert!(secret.same_as(b"hunter2"));
        assert!(!secret.same_as(b"hunter3"));
        assert!(!secret.same_as(b"hunter"));
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }
}
