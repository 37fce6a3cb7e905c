//! Owns the cancel key of a session: whoever holds it may cancel, so it is wiped and never shown.

use buf::Secret;
use std::ops::RangeInclusive;

/// The secret of BackendKeyData and CancelRequest: 4 bytes in protocol 3.0, 4 to 256 in 3.2.
#[derive(Debug, Clone)]
pub struct CancelKey(Secret);

impl CancelKey {
    /// Lengths that the manual allows ("BackendKeyData").
    pub const LENGTHS: RangeInclusive<usize> = 4..=256;

    /// Copies a key of an allowed length.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        Self::LENGTHS
            .contains(&bytes.len())
            .then(|| Self(Secret::new(bytes)))
    }

    /// The key itself. The name is long so that each use is seen in review.
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    /// Compares in a time that depends on the lengths alone.
    pub fn same_as(&self, other: &Self) -> bool {
        self.0.same_as(other.0.expose())
    }
}

/// Constant in time, like [`CancelKey::same_as`].
impl PartialEq for CancelKey {
    fn eq(&self, other: &Self) -> bool {
        self.same_as(other)
    }
}
impl Eq for CancelKey {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lengths_of_the_manual_are_keys() {
        for (len, allowed) in [
            (0, false),
            (3, false),
            (4, true),
            (32, true),
            (256, true),
            (257, false),
        ] {
            assert_eq!(CancelKey::new(&vec![7; len]).is_some(), allowed, "{len}");
        }
    }

    #[test]
    fn debug_hides_the_key() {
        let key = CancelKey::new(b"abcd").unwrap();
        assert_eq!(format!("{key:?}"), "CancelKey(Secret(..))");
    }
}
