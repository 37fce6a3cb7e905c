//! Owns the buffers of one worker thread: ports borrow them while bytes are in them and hand them
//! back empty, so an idle session holds none.
//!
//! Scratch memory of a thread, nothing else: no session's state lives here, and what comes back is
//! empty (and wiped, where it was `Plain`).

use buf::{Cipher, Plain};
use std::cell::RefCell;

/// Ciphertext taken from a socket with one read.
pub const READ_BYTES: usize = 64 * 1024;

/// Plaintext that one turn moves in one direction: what one read brings, and room for one record
/// more, without which the engine would stop before the last.
pub const PLAIN_BYTES: usize = READ_BYTES + 16 * 1024;

/// Ciphertext of one turn: the plaintext's records with their overhead, and a reserve for what TLS
/// itself has to say (a KeyUpdate answer, an alert).
pub const CIPHER_BYTES: usize = PLAIN_BYTES + 8 * 1024;

/// Buffers of each kind kept per thread; more than these, used in a burst, are given back.
const KEPT_MAX: usize = 16;

/// What a worker keeps of both kinds after a burst, in bytes.
pub const KEPT_BYTES: usize = KEPT_MAX * (PLAIN_BYTES + CIPHER_BYTES);

thread_local! {
    static PLAIN: RefCell<Vec<Plain>> = const { RefCell::new(Vec::new()) };
    static CIPHER: RefCell<Vec<Cipher>> = const { RefCell::new(Vec::new()) };
}

macro_rules! lend {
    ($borrow:ident, $give_back:ident, $kind:ident, $pool:ident, $bytes:ident) => {
        /// Gives `slot` a buffer if it has none.
        #[inline]
        pub fn $borrow(slot: &mut $kind) {
            if slot.capacity() == 0 {
                *slot = $pool
                    .with_borrow_mut(Vec::pop)
                    .unwrap_or_else(|| $kind::with_capacity($bytes));
            }
        }

        /// Takes the buffer of `slot` back if it is empty; one of another size is dropped.
        #[inline]
        pub fn $give_back(slot: &mut $kind) {
            if slot.capacity() > 0 && slot.is_empty() {
                let buffer = std::mem::replace(slot, $kind::none());
                $pool.with_borrow_mut(|kept| {
                    if kept.len() < KEPT_MAX && buffer.capacity() == $bytes {
                        kept.push(buffer);
                    }
                });
            }
        }
    };
}

lend!(borrow_plain, give_back_plain, Plain, PLAIN, PLAIN_BYTES);
lend!(
    borrow_cipher,
    give_back_cipher,
    Cipher,
    CIPHER,
    CIPHER_BYTES
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_of_another_size_is_never_lent_out() {
        give_back_cipher(&mut Cipher::with_capacity(16));
        let mut slot = Cipher::none();
        borrow_cipher(&mut slot);
        assert_eq!(slot.capacity(), CIPHER_BYTES);
    }

    #[test]
    fn only_empty_buffers_go_back() {
        let mut slot = Plain::none();
        borrow_plain(&mut slot);
        assert_eq!(slot.capacity(), PLAIN_BYTES);
        slot.push(b"x").unwrap();
        give_back_plain(&mut slot);
        assert_eq!(slot.bytes(), b"x");
        slot.clear();
        give_back_plain(&mut slot);
        assert_eq!(slot.capacity(), 0);
    }
}
